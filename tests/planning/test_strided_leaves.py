"""Leaves: the pieces of a problem that views can express make up exactly its points."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contractconv as cc
from contractconv.notation.problem import Access, Problem
from contractconv.planning.strided_leaves import is_tight, leaves, progression, tap_indices


def problem_of(
    spec: str, *shapes: tuple[int, ...], output_shape: tuple[int, ...] | None = None, **extents: Any
) -> Problem:
    return cc.Contraction(spec).plan(*shapes, output_shape=output_shape, **extents).problem


@given(
    coefficient=st.integers(-4, 4).filter(bool),
    offset=st.integers(-9, 9),
    divisor=st.integers(1, 5),
    size=st.integers(1, 9),
    extent=st.integers(1, 12),
)
def test_progressions_are_the_points_inside(
    coefficient: int, offset: int, divisor: int, size: int, extent: int
) -> None:
    access = Access.of([("i", coefficient)], offset, divisor, size)
    start, count, step = progression(access, extent)
    inside = [
        i
        for i in range(extent)
        if (coefficient * i + offset) % divisor == 0
        and 0 <= (coefficient * i + offset) // divisor < size
    ]
    assert [start + step * n for n in range(count)] == inside


def test_a_large_divisor_is_not_searched() -> None:
    access = Access.of([("i", 7)], 10**17, 10**18 - 9, 10)
    start, count, step = progression(access, 10**18)
    assert step == 10**18 - 9
    assert (7 * start + 10**17) % (10**18 - 9) == 0
    assert count == 1
    assert cc.contract("(h/1000000000000) -> h", [5, 6], h=3).tolist() == [5, 0, 0]


def writes(problem: Problem) -> list[tuple[int, ...]]:
    """The output elements that a leaf writes, one for each of its kept points."""
    names = sorted(problem.kept)
    ranges = (range(problem.extents[name]) for name in names)
    return [
        tuple(
            sum(c * point[n] for n, c in access.terms) + access.offset for access in problem.output
        )
        for values in product(*ranges)
        for point in [dict(zip(names, values, strict=True))]
    ]


@pytest.mark.parametrize(
    ("spec", "shapes", "taps"),
    [
        ("i k -> (2*i+k-1)", [(5, 3)], ("k",)),
        ("i k -> (2*k+i)", [(5, 3)], ("k",)),
        ("i k j l -> (i+k) (j+l)", [(4, 2, 4, 2)], ("k", "l")),
        ("i k -> i (i+k)", [(4, 3)], ("k",)),
        ("i -> (3*i-2)", [(5,)], ()),
        ("i -> i i", [(3,)], ()),
        ("i k -> (i-k)", [(3, 3)], ("i",)),
    ],
)
def test_leaves_write_each_landing_point_once(
    spec: str, shapes: list[tuple[int, ...]], taps: tuple[str, ...]
) -> None:
    problem = problem_of(spec, *shapes)
    assert tap_indices(problem) == taps
    landed = [
        place
        for place in writes(problem)
        if all(0 <= n < access.size for n, access in zip(place, problem.output, strict=True))
    ]
    pieces = [writes(leaf) for leaf in leaves(problem)]
    assert sorted(place for piece in pieces for place in piece) == sorted(landed)
    # Within one leaf no element is written twice, so that adding a view to a view is right.
    assert all(len(set(piece)) == len(piece) for piece in pieces)


def test_fractional_reads_need_no_zeros_in_between() -> None:
    problem = problem_of("((h-k)/3), k -> h", (4,), (2,), h=11)
    for leaf in leaves(problem):
        assert all(access.divisor == 1 for term in leaf.operands for access in term)
        assert all(access.terms for access in leaf.operands[0])


def test_a_lowering_is_named() -> None:
    def lowering(spec: str, *shapes: tuple[int, ...], **extents: Any) -> str:
        return cc.Contraction(spec).plan(*shapes, **extents).steps[-1].lowering

    assert lowering("i j, j k -> i k", (2, 3), (3, 4)) == "matmul (BLAS)"
    assert lowering("i, j -> i j", (2,), (3,)) == "multiply (ufunc)"
    assert lowering("(i+k), k -> i", (9,), (3,)) == "matmul on windows (BLAS)"
    assert lowering("i, k -> (i+k)", (9,), (3,)) == "matmul on windows (BLAS), as a gather"
    assert lowering("i, k -> (2*i+k)", (9,), (3,)) == (
        "matmul on windows (BLAS) and multiply (ufunc), in 2 phases"
    )
    assert lowering("(i+k) -> i", (9,), k=3) == "sum of slices (numpy)"
    assert lowering("i j -> j", (9, 3)) == "sum (numpy)"
    assert lowering("i j -> j i", (9, 3)) == "copy (numpy)"


def test_whether_a_problem_is_tight_is_no_matter_of_who_asked_first() -> None:
    problem = problem_of("b (2*i+k) c -> b i c", (2, 8, 3), k=2)
    assert is_tight(problem)
    assert is_tight(replace(problem))
