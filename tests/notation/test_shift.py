"""Blocks of a contraction: together they are the whole, and each reads what it says, no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import Array, Draw, empties, problems, seeds, windows
from strategies import Problem as Case

from contractconv.errors import ParameterError
from contractconv.notation.affine import Affine
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Access, Problem
from contractconv.notation.shift import block, block_spec, part_of, result_block

CASES = st.one_of(problems(), windows(), empties())
# Combinations, and what an element holds on which nothing lands.
UFUNCS = [(np.add, 0), (np.maximum, -(2**62))]


# --- an oracle on problems: every point at once ---------------------------------------------


def problem_of(case: Case) -> Problem:
    return resolve(parse(case.spec), case.shapes, case.extents, case.output_shape)


def points_of(problem: Problem) -> dict[str, Array]:
    """The value of each index at every point of the index space."""
    grid = np.indices([extent for _, extent in problem.sizes], dtype=np.int64)
    return {name: grid[n].ravel() for n, (name, _) in enumerate(problem.sizes)}


def met(term: Sequence[Access], points: Mapping[str, Array], count: int) -> tuple[Array, Array]:
    """The element of an array that each point meets, and whether it meets one."""
    where = np.zeros((len(term), count), np.int64)
    inside = np.ones(count, bool)
    for n, axis in enumerate(term):
        number = axis.offset + sum(c * points[name] for name, c in axis.terms) + where[n]
        where[n], rest = np.divmod(number, axis.divisor)
        inside &= (rest == 0) & (where[n] >= 0) & (where[n] < axis.size)
    return where, inside


def reads_of(problem: Problem) -> tuple[list[Array], Array]:
    """What each point meets of every term, and which points contribute."""
    points, count = points_of(problem), problem.points
    pairs = [met(term, points, count) for term in (*problem.operands, problem.output)]
    return [where for where, _ in pairs], np.logical_and.reduce([inside for _, inside in pairs])


def combined(problem: Problem, arrays: Sequence[Array], ufunc: Any, identity: int) -> Array:
    """The result of a problem, in exact integers."""
    places, inside = reads_of(problem)
    # With an axis more, since a number cannot be written by positions.
    out = np.full((*problem.output_sizes, 1), identity, np.int64)
    terms = np.ones(int(inside.sum()), np.int64)
    for array, where in zip(arrays, places, strict=False):
        terms = terms * array[tuple(where[:, inside])]
    ufunc.at(out, (*places[-1][:, inside], np.zeros_like(terms)), terms)
    return out[..., 0]


def operands_of(case: Case, problem: Problem, seed: int) -> list[Array]:
    shapes = [tuple(axis.size for axis in term) for term in problem.operands]
    return [a.reshape(s) for a, s in zip(case.operands(seed), shapes, strict=True)]


def cropped(array: Array, place: Sequence[slice]) -> Array:
    key: tuple[Any, ...] = (*place, ...)
    part: Array = array[key]
    return part


# --- blocks of indices ----------------------------------------------------------------------


def cuts(draw: Draw, extent: int) -> list[range]:
    """An index in uneven pieces, empty ones among them."""
    inner = draw(st.lists(st.integers(0, extent), max_size=2))
    return [range(*pair) for pair in pairwise(sorted([0, *inner, extent]))]


@st.composite
def cut_cases(draw: Draw) -> tuple[Case, list[dict[str, range]]]:
    """A problem, and ranges of some of its indices that together are all of them."""
    case = draw(CASES)
    some = draw(st.lists(st.sampled_from([*case.extents] or [""]), max_size=2, unique=True))
    names = [name for name in some if name]
    pieces = [cuts(draw, case.extents[name]) for name in names]
    return case, [dict(zip(names, ranges, strict=True)) for ranges in product(*pieces)]


@given(drawn=cut_cases(), seed=seeds(), way=st.sampled_from(UFUNCS))
def test_blocks_of_indices_are_the_whole(
    drawn: tuple[Case, list[dict[str, range]]], seed: int, way: tuple[Any, int]
) -> None:
    case, ranges = drawn
    problem = problem_of(case)
    arrays = operands_of(case, problem, seed)
    out = np.full(problem.output_sizes, way[1], np.int64)
    for one in ranges:
        part = block(problem, one)
        if part is not None:
            *views, there = map(cropped, (*arrays, out), part.places)
            way[0](there, combined(part.problem, views, *way), out=there)
    assert np.array_equal(out, combined(problem, arrays, *way))


def test_a_block_may_take_every_other_value() -> None:
    problem = resolve(parse("(2*i+k-1), k -> i"), [(9,), (3,)])
    part = block(problem, {"i": range(1, 5, 2)})
    assert part is not None
    assert str(part.problem) == "(4*i+k), k -> (2*i)"
    assert part.places == ((slice(1, 8),), (slice(0, 3),), (slice(1, 4),))


# --- boxes of the result --------------------------------------------------------------------


@st.composite
def boxed_cases(draw: Draw) -> tuple[Case, list[tuple[slice, ...]]]:
    """A problem, and its result in uneven boxes."""
    case = draw(CASES)
    sizes = problem_of(case).output_sizes
    pieces = [[slice(r.start, r.stop) for r in cuts(draw, size)] for size in sizes]
    return case, list(product(*pieces))


@given(drawn=boxed_cases(), seed=seeds(), way=st.sampled_from(UFUNCS))
def test_boxes_of_the_result_are_the_whole(
    drawn: tuple[Case, list[tuple[slice, ...]]], seed: int, way: tuple[Any, int]
) -> None:
    case, boxes = drawn
    problem = problem_of(case)
    arrays = operands_of(case, problem, seed)
    whole, count = combined(problem, arrays, *way), landings(problem)
    for box in boxes:
        part = result_block(problem, box)
        views = list(map(cropped, arrays, part.places))
        assert part.places[-1] == box
        assert np.array_equal(combined(part.problem, views, *way), cropped(whole, box))
        assert np.array_equal(landings(part.problem), cropped(count, box))
        assert part.contributes or (cropped(whole, box) == way[1]).all()
        assert _ends_land(part.problem)


def landings(problem: Problem) -> Array:
    """How many points land on each element, whatever they read: what a mean is divided by."""
    where, inside = met(problem.output, points_of(problem), problem.points)
    count = np.zeros((*problem.output_sizes, 1), np.int64)
    np.add.at(count, (*where[:, inside], np.zeros(int(inside.sum()), int)), 1)
    return count[..., 0]


def _ends_land(inner: Problem) -> bool:
    """Whether of each index the first and the last value land, if no axis can be jumped over."""
    points = points_of(inner)
    _, lands = met(inner.output, points, inner.points)
    if not lands.any() or not all(_is_dense(axis) for axis in inner.output):
        return True
    landed = {name: {*points[name][lands].tolist()} for name in inner.kept}
    return all({0, inner.extents[name] - 1} <= landed[name] for name in inner.kept)


def _is_dense(axis: Access) -> bool:
    """One index alone, or a window that cannot jump over its axis."""
    steps = [abs(c) for _, c in axis.terms]
    return axis.divisor == 1 and (steps in ([], [1]) or (len(steps) == 2 and min(steps) == 1))


# --- as tight as can be ---------------------------------------------------------------------


def rows_read(problem: Problem, n: int) -> Iterator[set[int]]:
    """For each axis of an operand the places that are read."""
    places, inside = reads_of(problem)
    yield from ({*row[inside].tolist()} for row in places[n])


CONVOLUTIONS = [
    "b (i+k-1) c, k c o -> b i o",
    "b (2*i+k-1) c, k c o -> b i o",
    "b (3*i+k) c, k c o -> b i o",
    "b (i+2*k-2) c, k c o -> b i o",
    "b (i-k) c, k c o -> b i o",
    "b (2*i-k+1) c, k c o -> b i o",
]


def derived(spec: str) -> list[tuple[str, tuple[tuple[int, ...], ...], tuple[int, ...]]]:
    """A convolution and both of its gradients, with shapes of operands and result."""
    x, w = (2, 11, 2), (3, 2, 3)
    inputs, _ = spec.split(" -> ")
    image, kernel = inputs.split(", ")
    y = resolve(parse(spec), [x, w]).result_shape
    return [
        (spec, (x, w), y),
        (f"b i o, {kernel} -> {image}", (y, w), x),
        (f"b i o, {image} -> {kernel}", (y, x), w),
    ]


STRINGS = [case for spec in CONVOLUTIONS for case in derived(spec)]


@pytest.mark.parametrize(("spec", "shapes", "result"), STRINGS)
def test_every_end_of_what_is_named_is_read(
    spec: str, shapes: tuple[tuple[int, ...], ...], result: tuple[int, ...]
) -> None:
    extents = {"k": 3, "i": resolve(parse(spec), shapes, None, result).extents["i"]}
    problem = resolve(parse(spec), shapes, extents, result)
    for axis, size in enumerate(result):
        for start, stop in [(0, 1), (0, 2), (1, 3), (size - 1, size), (0, size)]:
            box = [slice(0, s) for s in result]
            box[axis] = slice(start, min(stop, size))
            part = result_block(problem, box)
            for n in range(2):
                for rows, at in zip(rows_read(part.problem, n), part.places[n], strict=True):
                    if rows:
                        assert (min(rows), max(rows) + 1) == (0, at.stop - at.start)


Expected = tuple[str, list[list[tuple[int, int]]]]

# A string with shapes and extents, the block, and what it is.
TABLE: list[tuple[str, list[tuple[int, ...]], dict[str, int], dict[str, range], Expected]] = [
    (  # stride
        "(2*i+k-1), k -> i", [(9,), (3,)], {}, {"i": range(2, 4)},
        ("(2*i+k), k -> i", [[(3, 8)], [(0, 3)], [(2, 4)]]),
    ),
    (  # a dilation
        "(i+3*k), k -> i", [(12,), (3,)], {}, {"i": range(1, 3)},
        ("(i+3*k), k -> i", [[(1, 9)], [(0, 3)], [(1, 3)]]),
    ),
    (  # of taps, a partial sum
        "(i+3*k), k -> i", [(12,), (3,)], {}, {"k": range(1, 3)},
        ("(i+3*k), k -> i", [[(3, 12)], [(1, 3)], [(0, 6)]]),
    ),
    (  # backwards
        "(i-k), k -> i", [(5,), (3,)], {}, {"i": range(2)},
        ("(i-k), k -> i", [[(0, 2)], [(0, 2)], [(0, 2)]]),
    ),
    (  # padding that only some taps leave: a tap that never meets the image is not read
        "(i+k-4), k -> i", [(9,), (5,)], {"i": 9}, {"i": range(2)},
        ("(i+k-4), (k-3) -> i", [[(0, 2)], [(3, 5)], [(0, 2)]]),
    ),
    (  # fractions
        "((h-k+1)/2), k -> h", [(4,), (3,)], {"h": 8}, {"h": range(3, 6)},
        ("((h-k+2)/2), k -> h", [[(1, 4)], [(0, 3)], [(3, 6)]]),
    ),
    (  # a transposed convolution: blocks overlap in the result
        "i, k -> (2*i+k)", [(5,), (3,)], {}, {"i": range(1, 3)},
        ("i, k -> (2*i+k)", [[(1, 3)], [(0, 3)], [(2, 7)]]),
    ),
    (  # diagonals
        "i i, i j -> j", [(5, 5), (5, 2)], {}, {"i": range(1, 3)},
        ("i i, i j -> j", [[(1, 3), (1, 3)], [(1, 3), (0, 2)], [(0, 2)]]),
    ),
    (
        "i -> i i", [(5,)], {}, {"i": range(1, 3)},
        ("i -> i i", [[(1, 3)], [(1, 3), (1, 3)]]),
    ),
    (  # compositions are split
        "(h w) -> w h", [(6,)], {"h": 2}, {"w": range(1, 2)},
        ("h w -> w h", [[(0, 2), (1, 2)], [(1, 2), (0, 2)]]),
    ),
    (  # constants stay
        "(2) i -> i", [(5, 4)], {}, {"i": range(1, 3)},
        ("(0) i -> i", [[(2, 3), (1, 3)], [(1, 3)]]),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "shapes", "extents", "ranges", "expected"), TABLE)
def test_the_string_of_a_block(
    spec: str,
    shapes: list[tuple[int, ...]],
    extents: dict[str, int],
    ranges: dict[str, range],
    expected: Expected,
) -> None:
    part = block(resolve(parse(spec), shapes, extents), ranges)
    assert part is not None
    found = [[(at.start, at.stop) for at in place] for place in part.places]
    assert (str(part.problem), found) == expected


BOXES: list[tuple[str, list[tuple[int, ...]], dict[str, int], list[slice], Expected]] = [
    (  # what scatters: positions are left out, and in the middle of a long window taps are
        "i, k -> (2*i+k)", [(9,), (3,)], {}, [slice(8, 10)],
        ("i, k -> (2*i+k-2)", [[(3, 5)], [(0, 3)], [(8, 10)]]),
    ),
    (
        "i, k -> (2*i+k)", [(9,), (3,)], {}, [slice(0, 1)],
        ("i, k -> (2*i+k)", [[(0, 1)], [(0, 1)], [(0, 1)]]),
    ),
    (
        "i, k -> (2*i+9*k)", [(3,), (3,)], {}, [slice(10, 12)],
        ("i, k -> (2*i+9*k+1)", [[(1, 2)], [(1, 2)], [(10, 12)]]),
    ),
    (
        "i -> i i", [(5,)], {}, [slice(0, 3), slice(2, 5)],
        ("i -> (i+2) i", [[(2, 3)], [(0, 3), (2, 5)]]),
    ),
    (
        "b i, k -> b (i+k)", [(2, 3), (2,)], {}, [slice(1, 2), slice(3, 4)],
        ("b i, k -> b (i+k)", [[(1, 2), (2, 3)], [(1, 2)], [(1, 2), (3, 4)]]),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "shapes", "extents", "box", "expected"), BOXES)
def test_the_string_of_a_box(
    spec: str,
    shapes: list[tuple[int, ...]],
    extents: dict[str, int],
    box: list[slice],
    expected: Expected,
) -> None:
    part = result_block(resolve(parse(spec), shapes, extents), box)
    found = [[(at.start, at.stop) for at in place] for place in part.places]
    assert (str(part.problem), found) == expected


def test_a_box_on_which_nothing_lands_reads_nothing() -> None:
    problem = resolve(parse("i -> (3*i)"), [(3,)])
    part = result_block(problem, [slice(1, 3)])
    assert part.places == ((slice(0, 0),), (slice(1, 3),))
    assert part.problem.output_sizes == (2,)
    assert not part.contributes


def test_a_whole_is_its_only_block() -> None:
    problem = resolve(parse("b (2*i+k-1) c, k c o -> b i o"), [(2, 9, 3), (3, 3, 4)])
    part = part_of(problem)
    assert part is not None
    assert part.problem == problem
    boxed = result_block(problem, [slice(0, size) for size in problem.output_sizes])
    assert boxed.problem == problem
    assert boxed.places == part.places


# --- the string of a block --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "name", "expected"),
    [
        ("b (2*i+k-1) c, k c o -> b i o", "i", "b (2*i+k+2*i0-lo-1) c, k c o -> b i o"),
        ("b (2*i+k-1) c, k c o -> b i o", "k", "b (2*i+k+k0-lo-1) c, k c o -> b i o"),
        ("b (2*i+k-1) c, k c o -> b i o", "c", "b (2*i+k-1) c, k c o -> b i o"),
        ("b i, k -> b (2*i+k)", "i", "b i, k -> b (2*i+k+2*i0-lo)"),
        ("b ((h-k+1)/2), k -> b h", "h", "b ((h-k+h0-2*lo+1)/2), k -> b h"),
        ("b (i+k), (i-k) -> b i", "i", "b (i+k+i0-lo0), (i-k+i0-lo1) -> b i"),
        ("b (i0+lo) -> b i0", "i0", "b (i0+lo+i00-lo_) -> b i0"),
        ("i i -> i", "i", "i i -> i"),
    ],
)
def test_a_block_has_a_string(spec: str, name: str, expected: str) -> None:
    assert str(block_spec(parse(spec), name)) == expected


@given(case=windows(), at=st.data())
def test_the_string_of_a_block_is_the_block(case: Case, at: st.DataObject) -> None:
    """Bound to where the rule says that it reads and writes, it is the rule's own problem."""
    problem = problem_of(case)
    name = at.draw(st.sampled_from([*case.extents]))
    start, stop = sorted(at.draw(st.integers(0, case.extents[name])) for _ in range(2))
    part = block(problem, {name: range(start, stop)})
    if part is None:
        return
    spec, whole = block_spec(parse(case.spec), name), parse(case.spec)
    moved = [
        place.start
        for term, places in zip(whole.terms, part.places, strict=True)
        for axis, place in zip(term, places, strict=True)
        if name in axis.names and not axis.plain
    ]
    names = [n for n in spec.parameters if n.startswith("lo")]
    bound = spec.bind({f"{name}0": start, **dict(zip(names, moved, strict=True))})
    terms = (*part.problem.operands, part.problem.output)
    accesses = [access for term in terms for access in term]
    for axis, now, access in zip(whole.axes, bound.axes, accesses, strict=True):
        if name in axis.names and not axis.plain:
            assert isinstance(now, Affine)
            found = Access.by(now, access.size)
            assert (found.offset, found.divisor) == (access.offset, access.divisor)
            assert sorted(found.terms) == sorted(access.terms)


@pytest.mark.parametrize(("spec", "name"), [("i -> i", "j"), ("(h w) -> h w", "w")])
def test_what_has_no_block(spec: str, name: str) -> None:
    with pytest.raises(ParameterError, match="there is no block of it"):
        block_spec(parse(spec), name)
