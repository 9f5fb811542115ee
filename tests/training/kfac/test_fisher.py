"""What comes back to an output against Hessians that are written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import contractconv as cc
from contractconv.errors import ParameterError, ShapeError
from contractconv.training.kfac.fisher import LOSSES, NOISE, Likelihood, drawn

Array = NDArray[Any]
EXAMPLES, SIZE, DRAWS = 3, 4, 20_000
Y = np.random.default_rng(0).standard_normal((EXAMPLES, SIZE))


def hessian(loss: str, y: Array) -> Array:
    """Of one example's part of the mean loss, by its output."""
    if loss == "cross_entropy":
        p = np.exp(y) / np.exp(y).sum()
        return (np.diag(p) - np.outer(p, p)) / EXAMPLES
    if loss == "mse":
        return 2 * np.eye(SIZE) / (EXAMPLES * SIZE)
    share = 1 / (1 + np.exp(-y))
    return np.diag(share * (1 - share)) / (EXAMPLES * SIZE)


def terms(loss: str) -> int:
    return EXAMPLES if loss == "cross_entropy" else EXAMPLES * SIZE


@pytest.mark.parametrize("loss", LOSSES)
def test_roots_make_the_hessian(loss: str) -> None:
    y = cc.tensor("y", "b o")
    likelihood = Likelihood(loss, y, "o", SIZE)
    roots = np.stack(cc.program({f"r{n}": r for n, r in enumerate(likelihood.roots())})(Y))
    assert len(roots) == SIZE
    for b in range(EXAMPLES):
        found = terms(loss) * roots[:, b].T @ roots[:, b]
        np.testing.assert_allclose(found, hessian(loss, Y[b]), atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_drawn_targets_make_it_on_average(loss: str) -> None:
    y = cc.tensor("y", "b t o")
    likelihood = Likelihood(loss, y, "o")
    run = cc.program({"g": likelihood.sampled()}, inputs=[y, likelihood.noise])
    shape = (EXAMPLES, DRAWS, SIZE)
    noise = drawn(loss, shape, np.random.default_rng(1))
    g = run(np.broadcast_to(Y[:, None], shape), noise)
    for b in range(EXAMPLES):
        # The mean is over all draws, too.
        found = terms(loss) * DRAWS * g[b].T @ g[b]
        spread = np.abs(hessian(loss, Y[b])).max() * 6 / np.sqrt(DRAWS)
        np.testing.assert_allclose(found, hessian(loss, Y[b]), atol=spread)
        np.testing.assert_allclose(
            terms(loss) * DRAWS * g[b].mean(0), 0, atol=6 / np.sqrt(DRAWS) * 2
        )


def test_one_label_is_drawn_for_each_example() -> None:
    y = cc.tensor("y", "b o")
    likelihood = Likelihood("cross_entropy", y, "o")
    run = cc.program({"g": likelihood.sampled()}, inputs=[y, likelihood.noise])
    g = run(Y, drawn("cross_entropy", Y.shape, np.random.default_rng(2)))
    share = np.exp(Y) / np.exp(Y).sum(1, keepdims=True)
    code = share - EXAMPLES * g
    np.testing.assert_allclose(np.sort(code, 1), [[0, 0, 0, 1]] * EXAMPLES, atol=1e-12)


def test_labels_without_noise_are_shared() -> None:
    y = cc.tensor("y", "b o")
    likelihood = Likelihood("cross_entropy", y, "o")
    run = cc.program({"g": likelihood.sampled()}, inputs=[y, likelihood.noise])
    np.testing.assert_allclose(run(np.zeros((1, 2)), np.zeros((1, 2))), 0)


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ParameterError, match="choose one of cross_entropy, mse"):
        Likelihood("hinge", cc.tensor("y", "b o"), "o")


def test_the_axis_is_one_of_the_output() -> None:
    with pytest.raises(ShapeError, match="class"):
        Likelihood("mse", cc.tensor("y", "b o"), "class")


@pytest.mark.parametrize(("axes", "size"), [("b o", None), ("b t o", 3)])
def test_roots_need_a_size_and_one_axis_beside_the_batch(axes: str, size: int | None) -> None:
    with pytest.raises(ParameterError, match="one backward pass"):
        Likelihood("mse", cc.tensor("y", axes), "o", size).roots()


def test_noise_has_the_name_that_programs_take() -> None:
    assert Likelihood("mse", cc.tensor("y", "b o"), "o").noise.label == NOISE
