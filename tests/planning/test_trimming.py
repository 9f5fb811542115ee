"""What is left out contributes nothing, and what is left is as little as an axis allows."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from strategies import Problem as Case
from strategies import empties, problems, windows

from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Access, Problem
from contractconv.planning.strided_leaves import leaves, tap_indices
from contractconv.planning.trimming import out_of_proportion, trimmed

HUGE = 10**9 + 7
STEPS = st.sampled_from([-HUGE, -7, -3, -2, -1, 1, 2, 3, 5, HUGE, HUGE + 1])


def contributing(problem: Problem) -> list[tuple[tuple[int, ...], ...]]:
    """What every contributing point reads and writes, in no order."""
    found = []
    names = problem.indices
    for values in product(*(range(problem.extents[name]) for name in names)):
        point = dict(zip(names, values, strict=True))
        places = [place(term, point) for term in (*problem.operands, problem.output)]
        found += [tuple(p for p in places if p is not None)] if None not in places else []
    return sorted(found)


def place(term: tuple[Access, ...], point: dict[str, int]) -> tuple[int, ...] | None:
    """The element that a point meets in a term; ``None`` if it meets none."""
    met = []
    for access in term:
        number = access.offset + sum(c * point[name] for name, c in access.terms)
        if number % access.divisor or not 0 <= number // access.divisor < access.size:
            return None
        met.append(number // access.divisor)
    return tuple(met)


@given(case=st.one_of(problems(), windows(), empties()))
def test_no_point_is_lost(case: Case) -> None:
    problem = resolve(parse(case.spec), case.shapes, case.extents, case.output_shape)
    left = trimmed(problem)
    assert contributing(problem) == ([] if left is None else contributing(left))
    parts = [point for leaf in leaves(problem) for point in contributing(leaf)]
    assert sorted(parts) == contributing(problem)


@given(
    steps=st.tuples(STEPS, STEPS),
    extents=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    start=st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(-9, 9)),
    size=st.integers(1, 9),
)
def test_of_one_window_all_that_is_left_is_met(
    steps: tuple[int, int], extents: tuple[int, int], start: tuple[int, int, int], size: int
) -> None:
    """The first and the last value of each index that are left contribute."""
    i, k, moved = start
    window = Access(
        (("i", steps[0]), ("k", steps[1])), moved - steps[0] * i - steps[1] * k, 1, size
    )
    sizes = tuple(zip("ik", extents, strict=True))
    problem = Problem(((window,),), (Access.along("i", extents[0]),), sizes, "sum", extents[:1])
    points = contributing(problem)
    left = trimmed(problem)
    if left is None:
        assert not points
        return
    if not points:
        return  # between its ends an axis may be jumped over
    steps_apart = min(map(abs, steps))
    if steps_apart <= size:
        for name in "ik":
            for end in (0, left.extents[name] - 1):
                assert contributing(left.restricted(name, end, 1))
    for leaf in leaves(problem):
        assert not out_of_proportion(leaf)
        assert not tap_indices(leaf)
