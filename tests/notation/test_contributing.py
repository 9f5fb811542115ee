"""Where points can contribute, against all points."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contractconv.notation.contributing import contributing, inside, span
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Access

HUGE = 10**9 + 7
STEPS = st.sampled_from([-HUGE, -7, -3, -2, -1, 1, 2, 3, 5, HUGE, HUGE + 1])


@given(STEPS, st.integers(-50, 50), st.integers(-50, 50))
def test_where_an_expression_is_inside(step: int, above: int, length: int) -> None:
    first, last = inside(step, above, above - length)
    for n in range(-60, 61):
        assert (first <= n <= last) == (0 <= step * n + above <= length)


@given(
    steps=st.lists(st.tuples(STEPS, st.integers(-3, 3), st.integers(0, 4)), max_size=3),
    offset=st.integers(-5, 5),
)
def test_a_sum_spans_what_it_reaches(steps: list[tuple[int, int, int]], offset: int) -> None:
    names = "ijk"[: len(steps)]
    axis = Access(tuple((n, s[0]) for n, s in zip(names, steps, strict=True)), offset, 1, 9)
    bounds = {n: (first, first + more) for n, (_, first, more) in zip(names, steps, strict=True)}
    values = [offset]
    for step, first, more in steps:
        values = [v + step * n for v in values for n in range(first, first + more + 1)]
    assert span(axis, bounds) == (min(values), max(values))


def test_terms_are_asked_alone() -> None:
    problem = resolve(parse("(i-2), k -> (2*i+k)"), [(4,), (3,)], {"i": 9})
    assert contributing(problem) == {"i": (2, 5), "k": (0, 2)}
    assert contributing(problem, [problem.output]) == {"i": (0, 8), "k": (0, 2)}
    assert contributing(problem, [()]) == {"i": (0, 8), "k": (0, 2)}


def test_nothing_contributes_outside() -> None:
    assert contributing(resolve(parse("(i+9) -> i"), [(4,)], {"i": 3})) is None
    assert contributing(resolve(parse("(7), i -> i"), [(4,), (3,)])) is None
    assert contributing(resolve(parse("i -> i"), [(0,)])) is None
