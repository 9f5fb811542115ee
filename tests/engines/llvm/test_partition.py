"""Leaves that are cut where windows reach outside: each number of the result has one part."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contractconv.arrays.views import contiguous
from contractconv.engines.llvm.direct_kernels import nest_of
from contractconv.engines.llvm.partition import apart, unpadded
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Access, Problem
from contractconv.planning.cost import volume

Point = tuple[int, ...]
# Elements, places, taps, steps between both, and where the first one is.
WINDOWS = (
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 6),
    st.tuples(st.integers(1, 3), st.sampled_from((-2, -1, 1, 2))), st.integers(-8, 8),
)  # fmt: skip


def window(size: int, results: int, taps: int, steps: tuple[int, int], offset: int) -> Problem:
    """Windows along one axis, that may reach outside of it anywhere."""
    read = Access((("i", steps[0]), ("k", steps[1])), offset, 1, size)
    terms = (read,), (Access.along("k", taps),)
    out = (Access.along("i", results),)
    return Problem(terms, out, (("i", results), ("k", taps)), "sum", (results,))


def points(problem: Problem) -> Counter[Point]:
    """Of each product: where it is read, what it is multiplied with, and where it goes."""
    (read,), (factor,) = problem.operands
    (out,) = problem.output
    found: Counter[Point] = Counter()
    for values in product(*(range(size) for _, size in problem.sizes)):
        at = dict(zip(problem.extents, values, strict=True))
        place = [a.offset + sum(c * at[n] for n, c in a.terms) for a in (read, factor, out)]
        found[tuple(place)] += 0 <= place[0] < read.size
    return +found


def written(parts: tuple[Problem, ...]) -> Counter[int]:
    """How often each number of the result is written."""
    return Counter(part.output[0].offset + n for part in parts for n in range(part.extents["i"]))


@given(*WINDOWS, st.data())
def test_parts_of_pieces_are_the_pieces(
    size: int, results: int, taps: int, steps: tuple[int, int], offset: int, data: st.DataObject
) -> None:
    whole = window(size, results, taps, steps, offset)
    start = data.draw(st.integers(0, results - 1))
    piece = whole.restricted("i", start, data.draw(st.integers(1, results - start)))
    parts = unpadded(piece)
    assert written(parts) == written((piece,))
    assert sum((points(part) for part in parts), Counter()) == points(piece)


@pytest.mark.parametrize("row", range(14))
def test_a_row_at_the_edge_has_one_part(row: int) -> None:
    whole = window(10, 14, 5, (1, -1), 0)
    (part,) = unpadded(whole.restricted("i", row, 1))
    assert part.points == min(row + 1, 5, 14 - row)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("spec", "shapes"),
    [
        ("b c (i+k) (j+l), o c k l -> b o i j", ((64, 24, 17, 17), (24, 24, 3, 3))),
        ("b c (i+k) (j+l), o c k l -> b o i j", ((1, 16, 66, 66), (40, 16, 3, 3))),
        ("b c j, o c -> b o j", ((2, 64, 700), (96, 64))),
        ("b (i+k) (j+l) c, k l c o -> b i j o", ((8, 30, 30, 64), (3, 3, 64, 128))),
        ("i k, k j -> i j", ((600, 300), (300, 500))),
    ],
)
def test_pieces_of_work_have_whole_tiles_of_rows(
    spec: str, shapes: tuple[tuple[int, ...], ...], dtype: str
) -> None:
    """A tile of fewer rows loads the same vectors for fewer products."""
    problem = resolve(parse(spec), list(shapes), {})
    nest = nest_of(problem, contiguous(problem, 4 if dtype == "float32" else 8), dtype)
    assert nest is not None
    parts = [part for (part,) in apart(problem, nest, 0, 4)]
    assert len(parts) > 1
    assert sum(part.points for part in parts) == problem.points
    rows = [volume(nest.rows, part.extents) for part in parts]
    assert min(rows) >= min(nest.tile.rows, volume(nest.rows, problem.extents))


@pytest.mark.parametrize("rows", [48, 200, 1000, 20_000])
@pytest.mark.parametrize("summed", [64, 1000])
@pytest.mark.parametrize("lanes", [64, 400, 2048])
def test_pieces_read_little_together(rows: int, summed: int, lanes: int) -> None:
    """As little as the best of all grids of as many pieces, up to what whole panels cost."""
    problem = resolve(parse("i k, k j -> i j"), [(rows, summed), (summed, lanes)], {})
    nest = nest_of(problem, contiguous(problem, 4), "float32")
    assert nest is not None
    parts = [part for (part,) in apart(problem, nest, 0, 4)]
    sides = [(part.extents[nest.rows[0]], part.extents[nest.lane]) for part in parts]
    assert sum(high * wide for high, wide in sides) == rows * lanes
    across = len({part.output[0 if nest.lane == "i" else 1].offset for part in parts})
    count, (high, wide) = len(parts), (problem.extents[n] for n in (nest.rows[0], nest.lane))
    grids = [n for n in range(1, count + 1) if wide // n >= nest.tile.vectors * 16]
    fitting = [n for n in grids if high * n // count >= 4 * nest.tile.rows] or [across]
    least = min(count // n * wide + n * high for n in fitting)
    assert sum(map(sum, sides)) <= 1.5 * least


@given(*WINDOWS, st.data())
def test_parts_that_add_up_leave_out_what_has_no_tap(
    size: int, summed: int, taps: int, steps: tuple[int, int], offset: int, data: st.DataObject
) -> None:
    """The gradient of a weight, some of whose taps lie outside at some places."""
    read = Access((("i", steps[0]), ("k", steps[1])), offset, 1, size)
    terms = (read,), (Access.along("i", summed),)
    sizes = (("k", taps), ("i", summed))
    whole = Problem(terms, (Access.along("k", taps),), sizes, "sum", (taps,))
    start = data.draw(st.integers(0, taps - 1))
    piece = whole.restricted("k", start, data.draw(st.integers(1, taps - start)))
    parts = unpadded(piece, adding=True)
    assert parts[0].extents["k"] == piece.extents["k"]
    assert sum((points(part) for part in parts), Counter()) == points(piece)
