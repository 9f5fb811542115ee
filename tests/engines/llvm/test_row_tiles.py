"""Rows that lie lines apart are copied tile by tile, exactly, for any form of a sum."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.arrays.views import contiguous
from contractconv.engines.llvm import direct_kernels, row_tiles
from contractconv.engines.llvm.direct_kernels import nest_of
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.loop_nest import Nest
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Problem
from contractconv.planning.cost import volume

pytestmark = pytest.mark.skipif(not native.available(), reason="there is no compiler")

Shape = tuple[int, ...]
# A string whose left operand, or whose right one, gives rows; and the shapes of both.
CASES: dict[str, tuple[str, tuple[Shape, Shape]]] = {
    "a product": ("j o, j c -> o c", ((700, 70), (700, 200))),
    "turned": ("j o, j c -> c o", ((700, 200), (700, 70))),
    "odd sizes": ("j o, j c -> o c", ((397, 83), (397, 131))),
    "a prime sum": ("j o, j c -> o c", ((1031, 64), (1031, 128))),
    "a long sum": ("j o, j c -> o c", ((70_000, 18), (70_000, 128))),
    "batches": ("b j o, b j c -> b o c", ((3, 300, 64), (3, 300, 256))),
    "batches inside": ("j b o, j b c -> b o c", ((300, 3, 64), (300, 3, 256))),
    "attention": ("b h i j, b i h d -> b j h d", ((2, 3, 90, 90), (2, 90, 3, 128))),
    "two sums": ("b i o, b i c -> o c", ((5, 90, 64), (5, 90, 128))),
    "sums that are apart": ("b o i, i b c -> o c", ((70, 64, 9), (9, 70, 128))),
    "several rows": ("j o p, j c -> o p c", ((300, 7, 13), (300, 128))),
    "rows apart": ("j o p, j c -> p c o", ((300, 3, 64), (300, 128))),
    "windows of the other": ("b (i+k-1) c, b i o -> k c o", ((4, 190, 96), (4, 190, 64))),
    "strided windows": ("b (3*i+k-2) (3*j+l-2) c, b i j o -> k l c o",
                        ((6, 35, 14, 192), (6, 12, 5, 80))),
    "an index of one alone": ("j o m, j c -> o c", ((300, 64, 2), (300, 128))),
}  # fmt: skip


@pytest.fixture
def nests(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Nest]]:
    """The nests of leaves that are made ready from now on."""
    found, program = list[Nest](), direct_kernels._Leaf.program

    def noted(self: Any) -> Any:
        found.append(self.nest)
        return program(self)

    monkeypatch.setattr(direct_kernels._Leaf, "program", noted)
    cc.clear_caches()
    yield found
    cc.clear_caches()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_sums_are_exact(name: str, dtype: str, threads: int, nests: list[Nest]) -> None:
    spec, shapes = CASES[name]
    draw = np.random.default_rng(len(name))
    left, right = (draw.integers(-2, 3, shape) for shape in shapes)
    exact = cc.contract(spec, left, right)
    del nests[:]
    before = cc.get_num_threads()
    cc.set_num_threads(threads)
    try:
        made = cc.contract(spec, left.astype(dtype), right.astype(dtype), algorithm="direct")
    finally:
        cc.set_num_threads(before)
    np.testing.assert_array_equal(made, exact)
    assert nests


@pytest.mark.parametrize("copied", [False, True])
def test_vectors_that_all_blocks_share_or_copy_themselves(
    copied: bool, nests: list[Nest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk reads its part of a copy that was made for whole sums, or makes one of its own."""
    if copied:
        monkeypatch.setattr(direct_kernels, "_MOST_TOGETHER", 0)
        monkeypatch.setattr(direct_kernels, "_REUSED", 1)
    draw = np.random.default_rng(5)
    for spec, shapes in (
        ("m k, k n -> m n", ((80, 600), (600, 700))),
        ("k m, k n -> m n", ((1200, 700), (1200, 300))),
        ("k m, n k -> m n", ((600, 700), (256, 600))),
    ):
        left, right = (draw.integers(-2, 3, shape) for shape in shapes)
        made = cc.contract(spec, left.astype("f4"), right.astype("f4"), algorithm="direct")
        np.testing.assert_array_equal(made, cc.contract(spec, left, right))
    assert any(nest.packed for nest in nests)


def test_operands_of_any_strides_are_summed_exactly() -> None:
    draw = np.random.default_rng(3)
    whole = draw.integers(-2, 3, (640, 3, 300)).astype("f4")
    views = [whole[:600, 0, :96], whole[::2, 1, 4:200], whole[::-1, 2, ::2], whole.T[40:140, 0].T]
    for left, right in product(views, views):
        rows = min(len(left), len(right))
        given = left[:rows], right[:rows]
        made = cc.contract("j o, j c -> o c", *given, algorithm="direct")
        np.testing.assert_array_equal(made, given[0].T.astype(int) @ given[1].astype(int))


def test_a_finish_waits_for_the_last_chunk() -> None:
    draw = np.random.default_rng(2)
    x, w = draw.integers(-2, 3, (900, 70)), draw.integers(-2, 3, (900, 256))
    bias = draw.integers(-9, 10, 256)
    made = cc.contract(
        "j o, j c -> o c", x.astype("f8"), w.astype("f8"), bias=bias.astype("f8"),
        activation="relu", algorithm="direct",
    )  # fmt: skip
    np.testing.assert_array_equal(made, np.maximum(x.T @ w + bias, 0))


def found(spec: str, shapes: tuple[Shape, Shape], dtype: str = "float64") -> tuple[Problem, Nest]:
    problem = resolve(parse(spec), list(shapes), {})
    nest = nest_of(problem, contiguous(problem, np.dtype(dtype).itemsize), dtype)
    assert nest is not None
    return problem, nest


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_worth_a_copy(dtype: str) -> None:
    for spec in ("j o, j c -> o c", "j o, j c -> c o"):
        assert found(spec, ((900, 512), (900, 512)), dtype)[1].packed


@pytest.mark.parametrize(
    ("why", "spec", "shapes"),
    [
        ("sums are neighbours", "m k, n k -> m n", ((300, 600), (600, 600))),
        ("there are few columns", "j o, j c -> o c", ((700, 8), (700, 8))),
        ("the sum is short", "j o, j c -> o c", ((40, 600), (40, 600))),
        ("there are too few rows for a tile", "j o, j c -> o c", ((900, 3), (900, 512))),
        ("products are elementwise", "b i c, b i c -> c", ((9, 90, 512), (9, 90, 512))),
    ],
)
def test_what_is_not_worth_a_copy(why: str, spec: str, shapes: tuple[Shape, Shape]) -> None:
    assert not found(spec, shapes)[1].packed, why


@pytest.mark.parametrize("name", CASES)
def test_chunks_are_the_whole_sum(name: str) -> None:
    """Each value of what is summed is in exactly one chunk, and none is longer than it may be."""
    problem, nest = found(*CASES[name])
    covered = np.zeros([problem.extents[n] for n in nest.summed], int)
    for some in row_tiles.chunks(problem, nest, "float64"):
        spans = [some.get(n, (0, problem.extents[n])) for n in nest.summed]
        covered[tuple(slice(start, start + size) for start, size in spans)] += 1
        if nest.packed and len(nest.summed) == 1:
            assert volume(nest.summed, problem.extents) == len(covered)
            assert spans[0][1] <= row_tiles._MOST_STEPS
    assert (covered == 1).all()
