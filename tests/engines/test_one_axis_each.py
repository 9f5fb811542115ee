"""Poolings along one axis after the other: the same numbers, chosen at the same places."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.arrays.views import Array
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.pooling import forward, gradient_kernel
from contractconv.engines.numpy import pooling_gradient, reducing
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Problem
from contractconv.planning.one_axis_each import stages

COMBINE: dict[str, Any] = {"max": np.maximum, "min": np.minimum, "sum": np.add, "mean": np.add}
NOTHING = {"max": -np.inf, "min": np.inf, "sum": 0, "mean": 0}
# Strides, dilations, paddings and taps of each axis, and how long it is.
AXES = {
    "squares": ((1, 1, 0, 5, 14), (1, 1, 0, 5, 12)),
    "padded": ((1, 1, 2, 5, 12), (1, 1, 3, 6, 11)),
    "strided": ((2, 1, 1, 5, 19), (1, 1, 0, 4, 9)),
    "dilated": ((1, 2, 3, 4, 15), (2, 1, 1, 5, 16)),
    "rectangular": ((1, 1, 0, 7, 15), (1, 1, 1, 3, 10)),
    "volumes": ((1, 1, 1, 3, 7), (1, 1, 0, 3, 8), (1, 1, 1, 4, 9)),
}


def layer(axes: tuple[tuple[int, ...], ...], order: str) -> tuple[str, tuple[int, ...], Any]:
    """The string, the operand's shape, and how many taps there are."""
    places, taps = "ijm"[: len(axes)], "kln"[: len(axes)]
    written = [
        f"({step}*{place}+{far}*{tap}-{cut})"
        for (step, far, cut, *_), place, tap in zip(axes, places, taps, strict=True)
    ]
    sizes = {"b": 2, "c": 19}
    read = " ".join(" ".join(written) if name == "x" else name for name in order)
    made = " ".join(" ".join(places) if name == "x" else name for name in order)
    shape = [s for n in order for s in ([a[4] for a in axes] if n == "x" else [sizes[n]])]
    return f"{read} -> {made}", tuple(shape), {t: a[3] for t, a in zip(taps, axes, strict=True)}


def by_taps(x: Array, axes: tuple[tuple[int, ...], ...], first: int, reduce: str) -> Iterator[Any]:
    """In row-major order the taps of all windows: which elements, and what stands there."""
    room = [(0, 0)] * x.ndim
    for n, (_, _, cut, taps, _) in enumerate(axes):
        room[first + n] = (cut, 4 * taps)
    padded = np.pad(x, room, constant_values=NOTHING[reduce])
    for at in product(*(range(a[3]) for a in axes)):
        key: list[slice] = [slice(None)] * x.ndim
        for n, (step, far, cut, taps, size) in enumerate(axes):
            count = (size + 2 * cut - far * (taps - 1) - 1) // step + 1
            key[first + n] = slice(far * at[n], far * at[n] + step * (count - 1) + 1, step)
        yield tuple(key), padded[tuple(key)], padded.shape


def pooled(x: Array, axes: tuple[tuple[int, ...], ...], first: int, reduce: str) -> Array:
    total = None
    for _, values, _ in by_taps(x, axes, first, reduce):
        total = values if total is None else COMBINE[reduce](total, values)
    assert total is not None
    return np.asarray(total)


def spread(x: Array, g: Array, axes: tuple[tuple[int, ...], ...], first: int, reduce: str) -> Array:
    """The gradient: each cotangent goes to the first tap that has the extremum, or to all."""
    best, free, made = pooled(x, axes, first, reduce), np.ones(g.shape, bool), None
    for key, values, shape in by_taps(x, axes, first, reduce):
        made = np.zeros(shape) if made is None else made
        hit = np.ones(g.shape, bool)
        if reduce in ("max", "min"):
            hit = free & ((values == best) | (np.isnan(values) & np.isnan(best)))
            free &= ~hit
        made[key] += np.where(hit, g, 0)
    assert made is not None
    inside = [slice(None)] * x.ndim
    for n, (*_, cut, _, size) in enumerate(axes):
        inside[first + n] = slice(cut, cut + size)
    return np.asarray(made[tuple(inside)])


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """One axis after the other wherever it is possible; how many stages there were."""
    found = []

    def noted(problem: Problem, _: float) -> tuple[Problem, ...]:
        made = stages(problem, 0)
        found.append(len(made))
        return made

    for room in (forward, gradient_kernel, pooling_gradient, reducing):
        monkeypatch.setattr(room, "stages", noted)
    cc.clear_caches()
    yield found
    cc.clear_caches()


@pytest.mark.parametrize("kernels", ["llvm", "numpy"])
@pytest.mark.parametrize("order", ["bxc", "bcx"])
@pytest.mark.parametrize("reduce", COMBINE)
@pytest.mark.parametrize("name", AXES)
def test_the_same_numbers(
    name: str,
    reduce: Any,
    order: str,
    kernels: str,
    always: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exactly, and with many that are equal, so that it matters which one comes first."""
    monkeypatch.setenv("CONTRACTCONV_KERNELS", kernels)
    axes, first = AXES[name], order.index("x")
    spec, shape, extents = layer(axes, order)
    taps = int(np.prod([a[3] for a in axes]))
    for dtype, strange in product(("float32", "float64"), (False, True)):
        draw = np.random.default_rng(len(name))
        x = draw.integers(-2, 3, shape).astype(dtype)
        if strange and reduce in ("max", "min"):
            x[draw.random(shape) < 0.05] = np.nan
            x[draw.random(shape) < 0.05] = NOTHING[reduce]
        run = cc.Contraction(spec, reduce=reduce).compile(shape, dtype=dtype, extents=extents)
        share = taps if reduce == "mean" else 1
        wanted = pooled(x, axes, first, reduce)
        np.testing.assert_allclose(run(x) * share, wanted, rtol=1e-6)
        g = draw.integers(-3, 4, wanted.shape).astype(dtype) * share
        wanted = spread(x, g / share, axes, first, reduce)
        # A mean divides some times for each element: its numbers are seldom whole.
        near = 1e-5 if reduce == "mean" else 0
        np.testing.assert_allclose(run.vjp(0, g, x), wanted, rtol=1e-6, atol=near)
    if native.available() or reduce != "sum":  # numpy sums windows otherwise
        assert max(always) == len(axes)


def test_what_has_one_axis_is_one_stage() -> None:
    problem = resolve(parse("b (i+k) -> b i", reduce="max"), [(4, 30)], {"k": 9})
    assert stages(problem, 0) == ()


def test_it_is_done_where_it_pays() -> None:
    """Windows of 5 x 5 that overlap, but not those that neither overlap nor leave a gap."""
    for step, pays in ((1, True), (5, False)):
        spec = f"({step}*i+k) ({step}*j+l) -> i j"
        problem = resolve(parse(spec, reduce="max"), [(40, 40)], {"k": 5, "l": 5})
        assert bool(stages(problem, 1.4)) is pays


def test_taps_that_are_not_in_order_stay_together() -> None:
    """The first one in row-major order is not the first of the first row then."""
    problem = resolve(
        parse("(i+k+m) (j+l) -> i j", reduce="max"), [(12, 12)], {"k": 3, "l": 4, "m": 2}
    )
    for stage in stages(problem, 0):
        assert stage.reduced == tuple(n for n in problem.reduced if n in stage.reduced)
