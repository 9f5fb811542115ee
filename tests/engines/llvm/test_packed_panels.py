"""Panels that are copied so that each lies without gaps, for all blocks or for each alone."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.arrays.views import Array
from contractconv.engines.llvm import direct_kernels
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.kernels.product_loops import panels_of
from contractconv.engines.llvm.packing import in_panels, reading
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse

pytestmark = pytest.mark.skipif(not native.available(), reason="needs llvmlite")


def moved(read: Any, array: Array) -> Array:
    """What a copy holds, made by indexing; what nobody fills is NaN."""
    copy = read.copy
    made = np.full(copy.elements, 0.0 if copy.padded else np.nan)
    for shape, (source, there), (target, here) in copy.moves(array.strides, 8):
        if prod(shape):
            given = np.lib.stride_tricks.as_strided(
                np.frombuffer(array, np.float64)[source // 8 :], shape, there
            )
            np.lib.stride_tricks.as_strided(made[target // 8 :], shape, here)[...] = given
    return made


@pytest.mark.parametrize("most", [1, 2, 3, 4])
@pytest.mark.parametrize("width", [1, 7, 8, 9, 23, 24, 40, 56, 57, 79])
def test_lanes_in_panels(width: int, most: int) -> None:
    panels = panels_of(width, 8, most)
    assert [lane for lanes, _ in panels for lane in lanes] == [*range(width)]
    widths = [width for _, width in panels]
    assert widths == sorted(widths, reverse=True)
    assert max(widths) <= 8 * most
    assert all(len(lanes) % width == 0 for lanes, width in panels[:-1])


@pytest.mark.parametrize("order", ["k l c o", "o k c l", "c o l k"])
@pytest.mark.parametrize("width", [9, 24, 57])
def test_every_number_is_where_a_block_reads_it(width: int, order: str) -> None:
    """Of blocks that have all lanes or some panels, and whatever of the taps."""
    sizes = {"k": 3, "l": 2, "c": 5, "o": width}
    shape = tuple(sizes[n] for n in order.split())
    problem = resolve(
        parse(f"b (i-k+2) (j+l) c, {order} -> b i j o"), [(2, 6, 6, 5), shape], {"i": 4}
    )
    array, most = np.arange(float(prod(shape))).reshape(shape), 3
    panels = panels_of(width, 8, most)
    starts = [start for lanes, wide in panels for start in range(lanes.start, lanes.stop, wide)]
    for first in starts:
        block = problem.restricted("o", first, width - first).restricted("k", 1, 2)
        block = block.restricted("c", 2, 3)
        read = in_panels(
            block.operands[1], (problem, problem.operands[1]), array.strides, 8, "o", panels
        )
        made, at = moved(read, array), np.empty(1, np.int64)
        for lanes, wide in panels_of(width - first, 8, most):
            for lane in lanes:
                panel = (lane - lanes.start) // wide * read.panel + lanes.start
                inside = (lane - lanes.start) % wide
                for k, m, c in np.ndindex(2, 2, 3):
                    steps = read.steps
                    at = read.offset + k * steps["k"] + m * steps["l"] + c * steps["c"]
                    at += panel * steps["o"] + inside * 8
                    index = {"k": 1 + k, "l": m, "c": 2 + c, "o": first + lane}
                    assert made[at // 8] == array[tuple(index[n] for n in order.split())]


def test_a_copy_that_reaches_outside_is_zero_there() -> None:
    problem = resolve(parse("b (i+k-1) c, b i o -> k c o"), [(2, 7, 9), (2, 7, 4)], {"k": 3})
    array = np.ones((2, 7, 9))
    term = problem.operands[0]
    read = in_panels(term, (problem, term), array.strides, 8, "c", panels_of(9, 4, 1))
    assert np.nansum(moved(read, array)) == array.sum()
    assert read.copy is not None
    assert read.copy.padded


def test_shares_of_a_copy_make_all_of_it() -> None:
    problem = resolve(parse("m k, k n -> m n"), [(70, 300), (300, 50)], {})
    array = np.random.default_rng(0).random((300, 50))
    term = problem.operands[1]
    read = in_panels(term, (problem, term), array.strides, 8, "n", panels_of(50, 8, 2))
    assert read.copy is not None
    whole, made = moved(read, array), np.full(read.copy.elements, np.nan)
    for part in read.copy.shares(3):
        some = moved(read.__class__(0, {}, part), array)
        np.copyto(made, some, where=~np.isnan(some))
    np.testing.assert_array_equal(made, whole)


def test_what_lies_well_already_is_read_where_it_lies() -> None:
    problem = resolve(parse("m k, k n -> m n"), [(70, 300), (300, 50)], {})
    assert reading(problem, problem.operands[1], (400, 8), 8, ("n",)).copy is None


# --- whole layers ----------------------------------------------------------------------------

CASES: dict[str, tuple[str, tuple[tuple[int, ...], ...]]] = {
    "matrices": ("m k, k n -> m n", ((130, 70), (70, 90))),
    "wide": ("m k, k n -> m n", ((80, 600), (600, 700))),
    "long sums": ("b (i+k) c, b i o -> k c o", ((8, 702, 40), (8, 700, 72))),
    "batches": ("b m k, b k n -> b m n", ((5, 90, 40), (5, 40, 72))),
    "turned": ("m k, n k -> m n", ((130, 70), (90, 70))),
    "padded": ("b (i+k-1) (j+l-1) c, k l c o -> b i j o", ((3, 9, 12, 40), (3, 3, 40, 72))),
    "strided": ("b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o", ((3, 17, 20, 33), (3, 3, 33, 56))),
    "dilated": ("b (i+2*k-2) c, k c o -> b i o", ((4, 60, 40), (3, 40, 90))),
    "transposed": ("b i c, k c o -> b (2*i+k-1) o", ((4, 40, 40), (4, 40, 90))),
    "channels first": ("b c (i+k-1), o c k -> b o i", ((4, 48, 70), (90, 48, 3))),
    "groups": ("b i g c, k g c o -> b (i+k) g o", ((4, 40, 2, 40), (3, 2, 40, 72))),
    "volume": ("b (i+k) (j+l) (m+n) c, k l n c o -> b i j m o",
               ((1, 6, 7, 8, 12), (2, 3, 2, 12, 40))),
}  # fmt: skip


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Whether leaves that are made ready from now on copy panels."""
    found, program = [], direct_kernels._Leaf.program

    def noted(self: Any) -> Any:
        made = program(self)
        found.append(self.in_panels)
        return made

    monkeypatch.setattr(direct_kernels._Leaf, "program", noted)
    cc.clear_caches()
    yield found
    cc.clear_caches()


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_layers_in_panels(
    name: str, dtype: str, apart: bool, packed: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly, forward and both gradients, with one copy for all blocks or one for each."""
    if apart:
        monkeypatch.setattr(direct_kernels, "_MOST_TOGETHER", 0)
        monkeypatch.setattr(direct_kernels, "_REUSED", 1)
    spec, shapes = CASES[name]
    layer, draw = cc.Contraction(spec), np.random.default_rng(len(name))
    run = layer.compile(*shapes, dtype=dtype, algorithm="direct")
    x, w = (draw.integers(-2, 3, shape).astype(dtype) for shape in shapes)
    y = run(x, w)
    g = draw.integers(-2, 3, y.shape).astype(dtype)
    exact = [a.astype("int64") for a in (g, x, w)]
    np.testing.assert_array_equal(y, layer(*exact[1:]))
    for which in (0, 1):
        np.testing.assert_array_equal(run.vjp(which, g, x, w), layer.grad(which)(*exact))
    assert any(packed)


def test_rows_that_are_few_are_not_worth_a_copy(packed: list[bool]) -> None:
    run = cc.Contraction("m k, k n -> m n").compile(
        (8, 600), (600, 700), dtype="float32", algorithm="direct"
    )
    run(np.ones((8, 600), "float32"), np.ones((600, 700), "float32"))
    assert not any(packed)
