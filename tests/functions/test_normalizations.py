"""Normalisations: torch's values and derivatives, statistics, dtypes, nothing to normalise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_oracle import agree, numbers, run

from contractconv import functions as F
from contractconv.api.tensor import tensor
from contractconv.errors import ParameterError, ShapeError

torch: Any = pytest.importorskip("torch")
T: Any = torch.nn.functional

GIVEN = {"x": numbers("b t c"), "scale": numbers("c"), "shift": numbers("c", seed=1)}


def test_layer_norm() -> None:
    agree(
        lambda x, scale, shift: F.layer_norm(x, "c", scale, shift),
        lambda x, scale, shift: T.layer_norm(x, (7,), scale, shift),
        GIVEN,
    )
    agree(
        lambda x: F.layer_norm(x, "c t", epsilon=1e-3),
        lambda x: T.layer_norm(x, (5, 7), eps=1e-3),
        {"x": numbers("b t c")},
    )


def test_rms_norm() -> None:
    agree(
        lambda x, scale: F.rms_norm(x, "c", scale),
        lambda x, scale: T.rms_norm(x, (7,), scale, eps=1e-6),
        {"x": numbers("b t c"), "scale": numbers("c")},
    )


def test_batch_norm_of_a_training_step() -> None:
    def theirs(x: Any, scale: Any, shift: Any) -> Any:
        mean, variance = torch.zeros(7).double(), torch.ones(7).double()
        y = T.batch_norm(x.transpose(1, 2), mean, variance, scale, shift, True, 1.0)
        # Torch's running variance is that of a sample.
        return y.transpose(1, 2), x.mean((0, 1)), x.var((0, 1), correction=0)

    def ours(x: Any, scale: Any, shift: Any) -> Any:
        y, statistics = F.batch_norm(x, "b t", scale, shift)
        return y, *statistics

    agree(ours, theirs, GIVEN)


def test_batch_norm_of_a_trained_network() -> None:
    def theirs(x: Any, mean: Any, variance: Any, scale: Any, shift: Any) -> Any:
        y = (x - mean) / torch.sqrt(variance + 1e-5) * scale + shift
        # Torch's own takes no derivative by the statistics.
        fixed = (x.transpose(1, 2), mean.detach(), variance.detach(), scale, shift)
        assert torch.allclose(T.batch_norm(*fixed), y.transpose(1, 2), rtol=1e-9)
        return y

    def ours(x: Any, mean: Any, variance: Any, scale: Any, shift: Any) -> Any:
        found = F.Statistics(mean, variance)
        y, used = F.batch_norm(x, "b t", scale, shift, statistics=found)
        assert used is found
        return y

    axes, variance = numbers("c", seed=5)
    moments = {"mean": numbers("c", seed=4), "variance": (axes, variance**2)}
    agree(ours, theirs, {"x": GIVEN["x"], **moments, **{k: GIVEN[k] for k in ("scale", "shift")}})


def test_instance_norm() -> None:
    agree(
        lambda x, scale, shift: F.instance_norm(x, "t", scale, shift),
        lambda x, scale, shift: T.instance_norm(
            x.transpose(1, 2), weight=scale, bias=shift
        ).transpose(1, 2),
        GIVEN,
    )


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_group_norm(groups: int) -> None:
    agree(
        lambda x, scale, shift: F.group_norm(x, "t", "d", groups, scale, shift),
        lambda x, scale, shift: T.group_norm(x.transpose(1, 2), groups, scale, shift).transpose(
            1, 2
        ),
        {"x": numbers("b t d"), "scale": numbers("d"), "shift": numbers("d", seed=1)},
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_keep_their_width(dtype: Any) -> None:
    given = {name: (axes, array.astype(dtype)) for name, (axes, array) in GIVEN.items()}
    made = run(lambda x, a, b: F.layer_norm(x, "c", a, b), given, "x scale shift")
    assert {array.dtype for array in made} == {np.dtype(dtype)}


def test_what_is_equal_is_zero_and_far_from_zero_is_no_matter() -> None:
    y, dx = run(lambda x: F.layer_norm(x, "c"), {"x": ("b c", np.full((2, 3), 1e8))}, "x")
    assert not y.any()
    assert not dx.any()
    near, far = (
        run(lambda x: F.layer_norm(x, "c"), {"x": ("b c", start + np.eye(3))})[0]
        for start in (0, 2.0**40)
    )
    np.testing.assert_allclose(near, far, rtol=1e-3)


def test_a_batch_of_nothing() -> None:
    def ours(x: Any) -> Any:
        y, statistics = F.batch_norm(x, "b")
        return y, *statistics

    y, mean, variance, dx = run(ours, {"x": ("b c", np.zeros((0, 3)))}, "x")
    assert y.shape == dx.shape == (0, 3)
    assert mean.tolist() == variance.tolist() == [0, 0, 0]


def test_mistakes_are_pointed_at() -> None:
    x = tensor("x", "b t c")
    with pytest.raises(
        ShapeError, match="the scale is along 'c o', the tensor 'b t c': 'o'\n  c o"
    ):
        F.layer_norm(x, "c", scale=tensor("scale", "c o"))
    with pytest.raises(ShapeError, match="none called 'd'"):
        F.rms_norm(x, "d")
    with pytest.raises(ParameterError, match="'c' is divided into groups"):
        F.group_norm(x, "t c", "c", 7)
