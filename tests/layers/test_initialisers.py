"""What is drawn keeps the scale of what passes, whatever the string is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from contractconv import Layer, Network
from contractconv.errors import ParameterError, ShapeError
from contractconv.layers import Conv, ConvCP, ConvTransposed, Dense, Depthwise, Part, Separable
from contractconv.layers.initialisers import (
    Constant,
    Drawn,
    Glorot,
    He,
    LeCun,
    Normal,
    Orthogonal,
    Scaled,
    Uniform,
    as_initialiser,
)  # fmt: skip


def _drawn(part: Part, shape: tuple[int, ...], seed: int = 0) -> Any:
    return Network(part).init(seed, shape, dtype="float64")


# What comes into an element of the result, and how many elements of it one reaches.
FANS: list[tuple[Any, tuple[int, ...], float, float]] = [
    (lambda i: Dense(70, init=i), (1, 50), 50, 70),
    (lambda i: Dense(40, over="h w c", init=i), (1, 4, 5, 6), 120, 40),
    (lambda i: Conv(48, 3, init=i), (1, 8, 8, 16), 144, 432),
    (lambda i: Conv(48, 3, stride=2, padding="same", init=i), (1, 8, 8, 16), 144, 108),
    (lambda i: Conv(48, (5,), groups=4, init=i), (1, 9, 64), 80, 60),
    (lambda i: Depthwise(5, multiplier=2, init=i), (1, 9, 9, 99), 25, 50),
    (lambda i: ConvTransposed(48, 4, stride=2, init=i), (1, 5, 5, 16), 64, 768),
    (lambda i: Layer("b t c, c o -> b t o", o=60, init=i), (1, 3, 60), 60, 60),
]


@pytest.mark.parametrize("number", range(len(FANS)))
@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated"])
def test_variances_follow_the_fans(number: int, distribution: Any) -> None:
    make, shape, fan_in, fan_out = FANS[number]
    for init, variance in [
        (He(distribution=distribution), 2 / fan_in),
        (He("out", distribution), 2 / fan_out),
        (Glorot(distribution), 2 / (fan_in + fan_out)),
        (LeCun(distribution), 1 / fan_in),
    ]:
        weight = _drawn(make(init), shape)["W"]
        # The variance of n numbers is off by a share of about sqrt(2 / n).
        assert weight.var() == pytest.approx(variance, rel=5 * (2 / weight.size) ** 0.5)
        assert abs(weight.mean()) < 5 * (variance / weight.size) ** 0.5
    reach = np.abs(weight).max() / weight.std()
    assert {"normal": reach > 2.5, "uniform": reach < 1.9, "truncated": reach < 2.5}[distribution]


@pytest.mark.parametrize(
    "part",
    [
        Dense(300, init="lecun"),
        Layer("b i, i r, r o -> b o", r=40, o=300, init="lecun"),
        Layer("b i, i r, r s, s o -> b o", r=40, s=30, o=300, init="lecun"),
    ],
)
def test_products_of_weights_keep_the_scale(part: Part) -> None:
    x = np.random.default_rng(1).standard_normal((200, 100))
    made = [Network(part)(_drawn(part, (200, 100), seed), x).var() for seed in range(4)]
    assert np.mean(made) == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize(
    "part",
    [
        Conv(64, 3, padding="same", map="relu"),
        Separable(64, 3, padding="same", map="relu"),
        ConvCP(64, 3, rank=50, padding="same", map="relu"),
    ],
)
def test_rectifiers_lose_half_by_default(part: Part) -> None:
    x = np.random.default_rng(1).standard_normal((2, 32, 32, 32))
    made = [(Network(part)(_drawn(part, x.shape, s), x) ** 2).mean() for s in range(4)]
    assert np.mean(made) == pytest.approx(1, rel=0.25)


def test_defaults_suit_the_map() -> None:
    assert as_initialiser(None, "relu") == as_initialiser(None, "gelu") == He()
    assert as_initialiser(None, "tanh") == as_initialiser(None) == LeCun()


@pytest.mark.parametrize(("rows", "columns"), [(12, 5), (5, 12), (7, 7)])
def test_orthogonal_matrices(rows: int, columns: int) -> None:
    weight = _drawn(Dense(columns, init="orthogonal"), (1, rows))["W"]
    product = weight.T @ weight if rows > columns else weight @ weight.T
    np.testing.assert_allclose(product, np.eye(min(rows, columns)), atol=1e-12)


def test_orthogonal_kernels_by_groups() -> None:
    weight = _drawn(Conv(8, 3, groups=2, init=Orthogonal(2.0)), (1, 5, 5, 6))["W"]
    assert weight.shape == (3, 3, 2, 3, 4)
    for group in range(2):
        columns = weight[:, :, group].reshape(27, 4)
        np.testing.assert_allclose(columns.T @ columns, 4 * np.eye(4), atol=1e-12)
    each = _drawn(Depthwise(3, init="orthogonal"), (1, 5, 5, 6))["W"].reshape(9, 6)
    np.testing.assert_allclose((each**2).sum(0), 1, atol=1e-12)


def test_orthogonal_matrices_have_no_favourite_direction() -> None:
    found = [_drawn(Dense(2, init="orthogonal"), (1, 2), seed)["W"] for seed in range(400)]
    assert abs(np.mean([np.linalg.det(w) for w in found])) < 0.2
    assert np.abs(np.mean(found, 0)).max() < 0.2


@pytest.mark.parametrize(
    ("init", "check"),
    [
        ("zeros", lambda w: (w == 0).all()),
        ("ones", lambda w: (w == 1).all()),
        (0.5, lambda w: (w == 0.5).all()),
        (Constant(3), lambda w: (w == 3).all()),
        (np.arange(20.0).reshape(5, 4), lambda w: (w.ravel() == np.arange(20)).all()),
        (np.arange(20.0).reshape(4, 5).T, lambda w: (w.T.ravel() == np.arange(20)).all()),
        ([[1] * 4] * 5, lambda w: (w == 1).all()),
        (lambda rng, shape: rng.integers(9, size=shape), lambda w: (w % 1 == 0).all()),
        (Uniform(2, 3), lambda w: ((w >= 2) & (w < 3)).all()),
        (Normal(0.1, mean=5), lambda w: abs(w.mean() - 5) < 0.2),
        ("truncated_normal", lambda w: np.abs(w).max() < 0.01 * 2 / 0.87),
    ],
)
def test_other_ways_to_begin(init: Any, check: Any) -> None:
    weight = _drawn(Dense(4, init=init), (1, 5))["W"]
    assert weight.shape == (5, 4)
    assert weight.flags.c_contiguous
    assert check(weight)


def test_arrays_that_are_given_are_copied() -> None:
    given = np.ones((5, 4), "float32")
    weight = Network(Dense(4, init=given)).init(0, (1, 5))["W"]
    weight[:] = 0
    assert (given == 1).all()


def test_empty_parameters() -> None:
    assert _drawn(Dense(4, init="he"), (1, 0))["W"].shape == (0, 4)
    assert _drawn(Dense(4, init="orthogonal"), (1, 0))["W"].shape == (0, 4)


@pytest.mark.parametrize("init", ["hee", "", {"W": "hee"}])
def test_wrong_names(init: Any) -> None:
    with pytest.raises(ParameterError, match="there is no initialiser"):
        Dense(4, init=init)


def test_wrong_options() -> None:
    with pytest.raises(ParameterError, match="fan='both'"):
        Scaled(fan="both")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="distribution='cauchy'"):
        Glorot("cauchy")  # type: ignore[arg-type]


@pytest.mark.parametrize("init", [np.ones((4, 5)), lambda rng, shape: 3.0])
def test_arrays_of_another_shape(init: Any) -> None:
    with pytest.raises(ShapeError, match=r"is given for shape \(5, 4\)"):
        Network(Dense(4, init=init)).init(0, (1, 5))


def test_a_single_number() -> None:
    assert He()(np.random.default_rng(0), Drawn(())).shape == ()
