"""Tiles along a window: what they read once serves the right results, at every size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.engines.llvm import kernel_calls, loop_nest
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.kernels.product_loops import Spread, Tile
from contractconv.engines.llvm.kernels.window_loops import Reads, Window, fitting
from contractconv.execution.products import recipe_of
from contractconv.notation.problem import Access

pytestmark = pytest.mark.skipif(not native.available(), reason="kernels are not compiled")

# Every number meets others in another way: strides, dilations, reversed windows, padding.
PLACES = ("(i+k)", "(2*i+k)", "(i+2*k)", "(3*i+2*k)", "(i-k+4)", "(i+k-1)", "(2*i-k+1)")
SPECS = {
    "depthwise": "b (h+m) {} c, m k c -> b h i c",
    "few outputs": "b (h+m) {} c, m k c o -> b h i o",
    "one line": "{} c, k c -> i c",
}


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Iterator[None]:
    yield
    cc.set_num_threads(None)


def numbers(seed: int, shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(seed).integers(-4, 5, shape)


DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
# Taps and channels. Kernels take long to compile: half of the sizes are met in one precision and
# half in the other, the other way round at every second place, so that all meet all in pairs.
SIZES = ((2, 1), (3, 16), (5, 7), (3, 80))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize(("results", "dtype"), [(5, "float64"), (14, "float32")])
def test_windows_of_every_size(kind: str, place: str, results: int, dtype: str) -> None:
    """Forward and both gradients, exactly: sums of small integers are exact in floats."""
    half = (PLACES.index(place) + (dtype == "float32")) % 2
    layer = cc.Contraction(SPECS[kind].format(place))
    cc.set_num_threads(1 + results % 3)
    for taps, channels in SIZES if DEEP else SIZES[half::2]:
        length = 3 * results + 2 * taps + 5
        shapes = {
            "depthwise": ((2, 4, length, channels), (2, taps, channels)),
            "few outputs": ((2, 4, length, channels), (2, taps, channels, 5)),
            "one line": ((length, channels), (taps, channels)),
        }[kind]
        extents: Any = {"i": results}
        x, w = (numbers(n, shape) for n, shape in enumerate(shapes))
        g = numbers(2, layer(x, w, **extents).shape)
        for n in (None, 0, 1):
            call: Any = layer if n is None else layer.grad(n)
            factors = (x, w) if n is None else (g, x, w)
            wanted = call(*factors, **extents)
            floats = [factor.astype(dtype) for factor in factors]
            made = call(*floats, algorithm="direct", **extents)
            assert made.dtype == dtype
            assert np.array_equal(made, wanted), (taps, channels, n)


@pytest.mark.parametrize("place", ["(j+l-1)", "(2*j+l-1)", "(j+2*l-3)", "(3*j-2*l+2)", "(j-l+1)"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("length", "taps"), [(5, 3), (28, 3), (33, 5), (61, 2), (6, 5)])
def test_windows_leave_out_what_is_outside(
    place: str, turned: bool, length: int, taps: int
) -> None:
    """Forward and the gradient of the input, exactly, wherever tiles meet the boundary."""
    layer: Any = cc.Contraction(f"b (i+k-1) {place} c, k l c -> b i j c")
    for threads, channels in ((1, 3), (2, 80)):
        cc.set_num_threads(threads)
        x = numbers(0, (2, 7, length, channels)).astype("float32")
        x = x[:, ::-1, ::-1] if turned else x
        w = numbers(1, (3, taps, channels)).astype("float32")
        extents = {} if "-l" not in place and "-2*l" not in place else {"j": length}
        whole = [a.astype(np.int64) for a in (x, w)]
        wanted = layer(*whole, **extents)
        assert np.array_equal(layer(x, w, algorithm="direct", **extents), wanted)
        g = numbers(2, wanted.shape)
        back = layer.grad(0)(g.astype("float32"), x, w, algorithm="direct", **extents)
        assert np.array_equal(back, layer.grad(0)(g, *whole, **extents))


@pytest.mark.parametrize("padding", [1, 2])
@pytest.mark.parametrize("channels", [1, 6, 33])
def test_padded_weight_gradients_need_no_copies(padding: int, channels: int) -> None:
    layer = cc.Contraction(f"b (i+k-{padding}) (j+l-{padding}) c, k l c -> b i j c")
    x, w = numbers(0, (3, 30, 26, channels)), numbers(1, (5, 3, channels))
    g = numbers(2, layer(x, w).shape)
    for threads in (1, 2, 5):
        cc.set_num_threads(threads)
        run = layer.compile(x.shape, w.shape, dtype="float64", algorithm="direct")
        arrays = g.astype(float), x.astype(float)
        made = run.vjp(1, *arrays, w.astype(float))
        assert np.array_equal(made, layer.grad(1)(g, x, w))
        (step,) = run.vjp_plan(1).steps
        known = recipe_of(step, arrays, np.empty(step.problem.output_sizes), not step.disjoint)
        assert known is not None
        assert known.program.program.scratch == 0


def test_tiles_know_the_places_outside() -> None:
    access = Access.of([("j", 1), ("l", 1)], -1, 1, 10)
    found = loop_nest.Along(("j",), 10, "l", Tile(4, 1, True), Window(3, 1, 1), 64, 0.5)
    bounds = kernel_calls.Bounds(access, 64)
    edges = [
        (form.early, form.late)
        for start in (0, 4, 8)
        for form in [bounds.leave_out(found, start, min(4, 10 - start))]
    ]
    assert edges == [(1, 0), (0, 0), (0, 1)]
    beyond = kernel_calls.Bounds(Access.of([("j", 1), ("l", 1)], 20, 1, 10), 64)
    outside = beyond.leave_out(found, 0, 4)
    assert not any(outside.meetings(4))


@pytest.mark.parametrize("unit", [1, 2, 3])
@pytest.mark.parametrize("step", [-2, -1, 1, 2])
def test_rows_and_taps_meet_where_they_are(unit: int, step: int) -> None:
    window = Window(taps=3, unit=unit, step=step)
    met = {
        (row, tap): place - window.before
        for place, pairs in enumerate(window.meetings(4))
        for row, tap in pairs
    }
    assert met == {(row, tap): unit * row + step * tap for row in range(4) for tap in range(3)}


def test_tiles_fit_the_registers() -> None:
    registers = native.registers()[0]
    groups = [Spread(each=4, step=4), Spread(each=24, step=3), Spread(each=8, step=8)]
    ways = [
        Tile(1, 1),
        Tile(1, 1, True),
        Tile(1, 1, True, uniform=True),
        *(Tile(1, s.period(16), spread=s) for s in groups),
    ]
    near = Reads(16, beside=1, first=3.0, other=0.2)
    for rows, lines, taps, wide, like, reads in product(
        (2, 3, 14, 100), (1, 3, 6), (2, 3, 16), (1, 2, 3, 8), ways, (Reads(16), near)
    ):
        fit = fitting(rows, lines, taps, (1, 1), wide, like, reads)
        if fit is None:
            continue
        tile, window = fit.tile, fit.window
        assert tile.rows * tile.vectors < registers
        assert window.lines in (1, lines) or reads is near
        assert lines % window.lines == 0
        if like.spread is not None:
            assert tile.vectors % like.vectors == 0
            assert wide % tile.vectors == 0
        assert window.rest == rows % (tile.rows // window.lines)
        assert window.lines == 1 or window.rest == 0


def test_a_window_is_used_where_it_saves_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def noted(*arguments: Any) -> loop_nest.Along | None:
        found.append(loop_nest.along(*arguments))
        return found[-1]

    monkeypatch.setattr(kernel_calls, "along", noted)
    x, w = np.ones((1, 31, 37, 48), np.float32), np.ones((3, 3, 48), np.float32)
    cc.contract("b (i+k) (j+l) c, k l c -> b i j c", x, w, algorithm="direct")
    assert [(one.rows, one.tap) for one in found if one is not None] == [(("j",), "l")] * len(found)
    assert found
