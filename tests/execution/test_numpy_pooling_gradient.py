"""Gradients of pooling by numpy: against windows looked at one by one."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.engines.numpy import pooling_gradient
from contractconv.engines.numpy.pooling_gradient import is_pooling, pool_gradient
from contractconv.machine import work_sharing
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Problem

POOLS = {
    "side by side": ("b (2*i+k) (2*j+l) c -> b i j c", (2, 6, 4, 3), {"k": 2, "l": 2}),
    "overlapping": ("b (2*i+k) (j+l) c -> b i j c", (2, 7, 5, 3), {"k": 3, "l": 3}),
    "padded": ("b (2*i+k-1) (2*j+l-1) c -> b i j c", (2, 7, 6, 2), {"k": 3, "l": 3}),
    "dilated": ("(i+2*k-2) c -> i c", (9, 4), {"k": 3}),
    "backwards": ("(4-k+i) c -> i c", (9, 4), {"k": 5, "i": 5}),
    "from the end": ("c (8-2*i-k) -> i c", (3, 9), {"k": 3, "i": 4}),
    "channels first, turned": ("b c (i+k) -> i c b", (2, 3, 8), {"k": 2}),
    "more padding than image": ("(i+k-6) -> i", (4,), {"k": 3, "i": 16}),
    "part of an axis": ("(i+k) c -> i c", (9, 5), {"k": 2, "i": 3, "c": 5}),
    "one tap": ("(2*i+k) -> i", (7,), {"k": 1}),
    "nothing": ("(i+1) c -> c", (3, 2), {"i": 0}),
    "one number": ("->", (), {}),
    "one result": ("i -> ", (5,), {}),
    "one result of one window": ("(i+2) (j+k) -> j", (4, 5), {"i": 2, "k": 5}),
    "whole axes": ("b h w c -> b c", (2, 3, 4, 5), {}),
    "a constant axis": ("b (1) (i+k) -> b i", (2, 3, 7), {"k": 2}),
    "three dimensions": ("(h+m) (2*i+k) (j+l) -> h i j", (4, 5, 4), {"m": 2, "k": 2, "l": 3}),
}


@pytest.fixture(params=["whole", "shared"])
def cutting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole arrays, or a few results at a time in three threads."""
    if request.param == "shared":
        monkeypatch.setattr(pooling_gradient, "_PART", 4)
        monkeypatch.setattr(work_sharing, "WORTH", 1)
        monkeypatch.setattr(work_sharing, "get_num_threads", lambda: 3)


def pool(name: str, reduce: str) -> Problem:
    spec, shape, extents = POOLS[name]
    return resolve(parse(spec, reduce=reduce), [shape], extents)


def one_by_one(problem: Problem, array: Any, cotangent: Any) -> Any:
    """Every window by itself, its points in row-major order of the reduced indices."""
    made = np.zeros_like(array)
    outer = [access.names[0] for access in problem.output]
    for at in product(*(range(problem.extents[n]) for n in outer)):
        points = []
        for tap in product(*(range(problem.extents[n]) for n in problem.reduced)):
            values = dict(zip((*outer, *problem.reduced), (*at, *tap), strict=True))
            place = tuple(
                access.offset + sum(step * values[n] for n, step in access.terms)
                for access in problem.operands[0]
            )
            if all(0 <= n < size for n, size in zip(place, array.shape, strict=True)):
                points.append(place)
        if problem.reduce == "mean":
            for place in points:
                made[place] += cotangent[at] / np.prod(
                    [problem.extents[n] for n in problem.reduced]
                )
            continue
        best: Any = None
        for place in points:
            value = array[place]
            better = best is None or (
                value > array[best] if problem.reduce == "max" else value < array[best]
            )
            if best is None or (not np.isnan(array[best]) and (better or np.isnan(value))):
                best = place
        if best is not None:
            made[best] += cotangent[at]
    return made


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduce", ["max", "min", "mean"])
@pytest.mark.parametrize("name", POOLS)
@pytest.mark.usefixtures("cutting")
def test_the_gradient_is_that_of_windows_one_by_one(name: str, reduce: str, dtype: str) -> None:
    problem = pool(name, reduce)
    assert is_pooling(problem)
    rng = np.random.default_rng(len(name))
    shape = POOLS[name][1]
    # Few values, so that many are equal; shares of a mean that add up exactly.
    array = rng.integers(-2, 3, shape).astype(dtype)
    cotangent = 720.0 * rng.integers(-3, 4, problem.output_sizes).astype(dtype)
    made = pool_gradient(problem, array, cotangent)
    assert made.dtype == array.dtype
    np.testing.assert_allclose(made, one_by_one(problem, array, cotangent), rtol=1e-6)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("reduce", ["max", "min"])
@pytest.mark.parametrize("name", ["side by side", "padded", "more padding than image"])
def test_what_cannot_be_compared_or_exceeded(name: str, reduce: str, special: float) -> None:
    problem, rng = pool(name, reduce), np.random.default_rng(5)
    array = rng.integers(-2, 3, POOLS[name][1]).astype(float)
    array[rng.random(array.shape) < 0.6] = special
    cotangent = rng.integers(1, 9, problem.output_sizes).astype(float)
    wanted = one_by_one(problem, array, cotangent)
    assert np.array_equal(pool_gradient(problem, array, cotangent), wanted)


def test_an_infinite_cotangent_stays_where_it_belongs() -> None:
    problem = resolve(parse("(2*i+k) -> i", reduce="max"), [(4,)], {"k": 2})
    made = pool_gradient(problem, np.array([1.0, 3.0, 5.0, 2.0]), np.array([np.inf, np.nan]))
    assert np.array_equal(made, [0, np.inf, np.nan, 0], equal_nan=True)


@pytest.mark.parametrize(
    ("spec", "shapes", "reduce"),
    [
        ("(i+k) (j+l) -> i j", [(9, 9)], "prod"),
        ("(i+k) -> i", [(99,)], "max"),  # too many taps to go through
        ("(i+j+k) -> i j", [(9,)], "max"),  # several results begin at one element
        ("i, (i+k) -> i", [(3,), (5,)], "max"),
        ("(i+k) -> i r", [(9,)], "max"),
        ("i i -> i", [(3, 3)], "max"),
    ],
)
def test_what_is_no_pooling(spec: str, shapes: list[tuple[int, ...]], reduce: str) -> None:
    extents = {"r": 2} if "r" in spec else {}
    extents |= {"k": 70 if shapes[0] == (99,) else 3} if "k" in spec and "," not in spec else {}
    extents |= {"l": 2} if "l" in spec else {}
    extents |= {"i": 2} if "(i+j" in spec else {}
    assert not is_pooling(resolve(parse(spec, reduce=reduce), shapes, extents))


def test_the_plan_says_it_and_integers_have_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRACTCONV_KERNELS", "numpy")
    cc.clear_caches()
    run = cc.Contraction("(2*i+k) c -> i c", reduce="max").compile((600, 9), k=2, dtype="float32")
    assert pooling_gradient.NAME in str(run.vjp_plan(0))
    x = np.arange(5400).reshape(600, 9) % 7
    wanted = one_by_one(resolve(parse("(2*i+k) c -> i c", reduce="max"), [x.shape], {"k": 2}),
                        x.astype(float), np.ones((300, 9)))  # fmt: skip
    made = run.vjp(0, np.ones((300, 9), np.float32), x.astype(np.float32))
    assert np.array_equal(made, wanted)
    cc.clear_caches()
