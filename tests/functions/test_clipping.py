"""Gradients that are cut, against the formula in wide numbers and against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv import functions as F
from contractconv.errors import ParameterError

AXES = ("i o", "o", "")
SYMBOLS = [cc.tensor(f"g{n}", axes) for n, axes in enumerate(AXES)]


def drawn(dtype: Any, size: float) -> list[Any]:
    rng = np.random.default_rng(1)
    made = [rng.standard_normal(shape) * size for shape in ((3, 4), (4,), ())]
    if np.dtype(dtype).kind == "c":
        made = [a + 1j * rng.standard_normal(a.shape) * size for a in made]
    return [np.asarray(a).astype(dtype) for a in made]


def length(arrays: list[Any]) -> float:
    return float(np.sqrt(sum(np.sum(np.abs(a.astype(np.clongdouble)) ** 2) for a in arrays)))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e30])
def test_all_together_are_as_long_as_the_bound(dtype: str, size: float) -> None:
    if dtype == "float16" and size > 1e4:
        size = 1e4
    arrays = drawn(dtype, size)
    made = cc.compile(F.clipped(SYMBOLS, norm=2.0), inputs=SYMBOLS)(*arrays)
    scale = min(1.0, 2.0 / length(arrays))
    real = float(np.finfo(dtype).eps)
    for before, after in zip(arrays, made, strict=True):
        assert after.dtype == before.dtype
        np.testing.assert_allclose(after, before * scale, rtol=4 * real, atol=1e-7)
    assert length(list(made)) <= 2.0 * (1 + 4 * real)


def test_short_gradients_stay_as_they_are() -> None:
    arrays = drawn("float32", 1e-3)
    made = cc.compile(F.clipped(SYMBOLS, norm=2.0), inputs=SYMBOLS)(*arrays)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, made, strict=True))


@pytest.mark.parametrize("shapes", [[(3, 4), (4,), ()], [(0, 4), (4,), ()]])
def test_zeros_and_nothing_are_no_quotient_of_zeros(shapes: list[tuple[int, ...]]) -> None:
    made = cc.compile(F.clipped(SYMBOLS, norm=2.0), inputs=SYMBOLS)(*map(np.zeros, shapes))
    assert all(np.array_equal(a, np.zeros(s)) for a, s in zip(made, shapes, strict=True))


def test_what_is_no_number_is_not_hidden() -> None:
    arrays = [np.full((3, 4), np.nan), np.ones(4), np.ones(())]
    made = cc.compile(F.clipped(SYMBOLS, norm=2.0), inputs=SYMBOLS)(*arrays)
    assert all(np.isnan(a).all() for a in made)


def test_torchs_norm() -> None:
    torch: Any = pytest.importorskip("torch")
    arrays = drawn("float64", 3.0)
    theirs = [torch.zeros(a.shape, dtype=torch.float64, requires_grad=True) for a in arrays]
    for w, g in zip(theirs, arrays, strict=True):
        w.grad = torch.tensor(g)
    whole = torch.nn.utils.clip_grad_norm_(theirs, 2.0)
    ours = cc.compile([F.global_norm(SYMBOLS), *F.clipped(SYMBOLS, norm=2.0)], inputs=SYMBOLS)
    found, *made = ours(*arrays)
    np.testing.assert_allclose(found, whole.item(), rtol=1e-14)
    for w, g in zip(theirs, made, strict=True):
        np.testing.assert_allclose(w.grad.numpy(), g, rtol=1e-6)  # torch adds 1e-6 to the norm


def test_elements_are_cut_first() -> None:
    arrays = drawn("float64", 3.0)
    both = cc.compile(F.clipped(SYMBOLS, norm=2.0, value=1.5), inputs=SYMBOLS)(*arrays)
    cut = [np.clip(a, -1.5, 1.5) for a in arrays]
    for ours, theirs in zip(both, cut, strict=True):
        np.testing.assert_allclose(ours, theirs * min(1, 2.0 / length(cut)), rtol=1e-14)
    alone = cc.compile(F.clipped(SYMBOLS, value=1.5), inputs=SYMBOLS)(*arrays)
    assert all(np.array_equal(a, b) for a, b in zip(cut, alone, strict=True))


def test_bounds_are_above_zero() -> None:
    for bound in (0.0, -1.0, float("nan")):
        with pytest.raises(ParameterError, match="a bound is above zero"):
            F.clipped(SYMBOLS, norm=bound)
        with pytest.raises(ParameterError, match="a bound is above zero"):
            F.clipped(SYMBOLS, value=bound)


def test_nothing_is_cut_where_there_is_nothing() -> None:
    assert F.clipped([], norm=1.0) == []
    with pytest.raises(ParameterError, match="give one at least"):
        F.global_norm([])


def test_derivatives_pass_through_a_cut() -> None:
    g = cc.tensor("g", "i")
    (cut,) = F.clipped([g], norm=1.0)
    run = cc.compile(cc.jvp(cut, g, cc.tensor("v", "i")))
    x, v = np.array([3.0, 4.0]), np.array([1.0, -2.0])
    change = v / 5 - x * (x @ v) / 125  # of x / |x|
    np.testing.assert_allclose(run(g=x, v=v), change, rtol=1e-13)
