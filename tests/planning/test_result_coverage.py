"""What the pieces of a sum write: compared with sets of elements."""

from __future__ import annotations

from itertools import product

import pytest

from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Problem
from contractconv.planning.result_coverage import complete, disjoint
from contractconv.planning.scatter_phases import Window, by_phases, unit_windows


def written(problem: Problem) -> set[tuple[int, ...]]:
    """The elements of the result that some point reaches."""
    names, extents = sorted(problem.kept), problem.extents
    found = set()
    for values in product(*(range(extents[n]) for n in names)):
        point = dict(zip(names, values, strict=True))
        found.add(tuple(a.offset + sum(s * point[n] for n, s in a.terms) for a in problem.output))
    return found


def parts_of(spec: str, *shapes: tuple[int, ...], **extents: int) -> tuple[Problem, ...]:
    parts = by_phases(resolve(parse(spec), list(shapes), extents))
    assert parts is not None
    return parts


WINDOW = Window(0, 0, "i", "k", "forward")
PIECES = {
    "phases": parts_of("i c, k c -> (2*i+k) c", (7, 2), (3, 2)),
    "phases with gaps": parts_of("i c, k c -> (3*i+k) c", (7, 2), (2, 2)),
    "two axes": parts_of("i j, k l -> (2*i+k) (3*j+l)", (4, 3), (3, 4)),
    "one": parts_of("i k, k j -> i j", (3, 4), (4, 5)),
    "residues": unit_windows(resolve(parse("(i+2*k), k -> i"), [(20,), (3,)]), [WINDOW]),
    "sums": unit_windows(resolve(parse("(2*i+k), k -> i"), [(9,), (3,)]), [WINDOW]),
}


@pytest.mark.parametrize("name", PIECES)
def test_what_is_said_is_so(name: str) -> None:
    pieces = PIECES[name]
    sets = [written(piece) for piece in pieces]
    apart = sum(map(len, sets)) == len(set().union(*sets))
    assert disjoint(pieces) == apart == (name != "sums")
    everything = 1
    for size in pieces[0].output_sizes:
        everything *= size
    if apart:
        assert complete(pieces) == (len(set().union(*sets)) == everything)
        assert complete(pieces) == (name != "phases with gaps")


def test_a_diagonal_is_not_all_of_its_result() -> None:
    diagonal = resolve(parse("i -> i i"), [(3,)])
    assert disjoint([diagonal])
    assert not complete([diagonal])
    assert not disjoint([diagonal, diagonal])


def test_no_pieces_write_nothing() -> None:
    assert not complete([])


def test_many_pieces_are_not_compared() -> None:
    pieces = [resolve(parse(f"c -> ({n}) c"), [(2,)], output_shape=(70, 2)) for n in range(65)]
    assert disjoint(pieces[:60])
    assert not disjoint(pieces)
