"""Parts of blocks: together they have every point, each of them once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise, product
from math import prod
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Draw, Problem, problems, windows

from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Problem as Numeric
from contractconv.notation.problem import shape_of
from contractconv.planning.blocks.cuts import Grid, cuts_of, ranges_of
from contractconv.planning.blocks.parts import Cut, reads, slices_of


def numeric(problem: Problem) -> Numeric:
    """The numeric problem of a drawn one."""
    shapes = [tuple(shape) for shape in problem.shapes]
    return resolve(parse(problem.spec), shapes, problem.extents, problem.output_shape)


@st.composite
def grids(draw: Draw, problem: Numeric) -> list[Grid]:
    """Blocks of any sizes for each operand."""
    found = []
    for term in problem.operands:
        ends = [sorted(draw(st.lists(st.integers(0, a.size), max_size=3))) for a in term]
        found.append(
            tuple(
                tuple(stop - start for start, stop in pairwise([0, *at, access.size]))
                for at, access in zip(ends, term, strict=True)
            )
        )
    return found


def _landing(problem: Numeric) -> Counter[tuple[int, ...]]:
    """Where points land that are inside every axis, and how many of them."""
    found: Counter[tuple[int, ...]] = Counter()
    for point in product(*(range(size) for _, size in problem.sizes)):
        values = dict(zip(problem.indices, point, strict=True))
        places = [_place(term, values) for term in (*problem.operands, problem.output)]
        if None not in places:
            found[places[-1] or ()] += 1
    return found


def _place(term: Any, values: dict[str, int]) -> tuple[int, ...] | None:
    """Which element of a term a point meets."""
    met = []
    for access in term:
        numerator = access.offset + sum(c * values[name] for name, c in access.terms)
        if numerator % access.divisor or not 0 <= numerator // access.divisor < access.size:
            return None
        met.append(numerator // access.divisor)
    return tuple(met)


def _moved(found: Counter[tuple[int, ...]], box: Any) -> Iterator[tuple[tuple[int, ...], int]]:
    for place, count in found.items():
        yield tuple(n + at.start for n, at in zip(place, box, strict=True)), count


@settings(max_examples=max(20, settings().max_examples // 6))
@given(problem=st.one_of(problems(), windows()), data=st.data())
def test_parts_have_each_point_once(problem: Problem, data: st.DataObject) -> None:
    whole = numeric(problem)
    if whole.points > 3000:
        return
    cut = Cut.of(whole, cuts_of(whole, data.draw(grids(whole))))
    assert [sum(sizes) for sizes in cut.grid] == list(whole.output_sizes)
    found: Counter[tuple[int, ...]] = Counter()
    for _, box in cut.boxes():
        for part in cut.parts(box):
            assert part.places[-1] == box
            found.update(dict(_moved(_landing(part.problem), box)))
    assert found == _landing(whole)


@given(data=st.data(), size=st.integers(0, 9))
def test_pieces_of_blocks_are_what_is_read(data: st.DataObject, size: int) -> None:
    ends = sorted(data.draw(st.lists(st.integers(0, size), max_size=4)))
    sizes = tuple(stop - start for start, stop in pairwise([0, *ends, size]))
    start, stop = sorted(data.draw(st.tuples(st.integers(0, size), st.integers(0, size))))
    counts, found = reads((slice(start, stop),), (sizes,))
    blocks = slices_of(sizes)
    met = [n for read in found for n in range(size)[blocks[read.block[0]]][read.at[0]]]
    assert met == list(range(start, stop))
    assert prod(counts) == len(found)
    assert all(read.whole == (read.at[0] == slice(0, sizes[read.block[0]])) for read in found)


def test_a_window_cuts_no_slivers_beside_what_stands_alone() -> None:
    problem = resolve(parse("(i+k-1), i, k -> i"), [(12,), (12,), (3,)], {})
    assert cuts_of(problem, [((5, 7),), ((6, 6),), ((3,),)]) == {"i": (6,)}
    assert cuts_of(problem, [((3, 9),), ((6, 6),), ((3,),)]) == {"i": (3, 6)}


def test_what_is_summed_is_cut_where_operands_are() -> None:
    problem = resolve(parse("i k, k j -> i j"), [(4, 6), (6, 4)], {})
    cut = Cut.of(problem, cuts_of(problem, [((4,), (2, 4)), ((5, 1), (4,))]))
    assert dict(cut.summed) == {"k": tuple(ranges_of((2, 5), 6))}
    assert cut.grid == ((4,), (4,))
    (box,) = (box for _, box in cut.boxes())
    shapes = [[shape_of(term) for term in part.problem.operands] for part in cut.parts(box)]
    assert shapes == [[(4, 2), (2, 4)], [(4, 3), (3, 4)], [(4, 1), (1, 4)]]
