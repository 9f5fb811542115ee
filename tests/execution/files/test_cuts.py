"""Blocks fit, cover all, and read as little as they can."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Problem as Case
from strategies import problems, windows

from contractconv.arrays.views import gapless
from contractconv.execution.files.cuts import Cut, Kept, Search
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Problem, shape_of

MIB = 1 << 20


def search(problem: Problem, itemsize: int = 8) -> Search:
    def kept(shape: tuple[int, ...]) -> Kept:
        return Kept(itemsize, gapless(shape, itemsize), True)

    operands = [kept(shape_of(term)) for term in problem.operands]
    return Search(problem, operands, kept(problem.output_sizes), itemsize)


@settings(max_examples=settings().max_examples // 10)
@given(case=st.one_of(problems(), windows()), budget=st.integers(8, 4000))
def test_blocks_fit_and_cover_the_result(case: Case, budget: int) -> None:
    problem = resolve(parse(case.spec), case.shapes, case.extents, case.output_shape)
    looking = search(problem)
    cut = looking.found(budget) if 0 not in problem.output_sizes else None
    if cut is None:
        return
    assert looking.typical(cut)[1] <= budget
    covered = np.zeros(problem.output_sizes, int)
    boxes = list(cut.boxes())
    for box in boxes:
        key: tuple[Any, ...] = (*box, ...)
        covered[key] += 1
    assert (covered == 1).all()
    assert len(boxes) == cut.count


def of(spec: str, *shapes: tuple[int, ...]) -> Problem:
    return resolve(parse(spec), shapes)


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        # Examples of a batch first, then rows: nothing is read twice but a halo.
        (of("b (i+k-1) (j+l-1) c, k l c o -> b i j o", (64, 32, 32, 32), (3, 3, 32, 32)), {0}),
        (of("b (i+k-1) (j+l-1) c, k l c o -> b i j o", (2, 512, 512, 32), (3, 3, 32, 32)), {0, 1}),
        # Of a weight gradient the examples are summed in parts.
        (of("b (i+k) c, b i o -> k c o", (4096, 66, 32), (4096, 64, 32)), {"b"}),
        (of("b c -> c", (1 << 20, 8)), {"b"}),
        (of("i j -> j i", (2048, 2048)), {0, 1}),
    ],
)
def test_what_is_cut(problem: Problem, expected: set[int | str]) -> None:
    cut = search(problem).found(2 * MIB)
    assert cut is not None
    assert {name for name, _ in cut.chunks} == expected


def test_a_product_is_cut_in_squares() -> None:
    problem = of("i k, k j -> i j", (4096, 4096), (4096, 4096))
    looking = search(problem)
    cut = looking.found(4 * MIB)
    assert cut is not None
    chunks = dict(cut.chunks)
    # Of squares of n numbers an operand is read 4096 / n times.
    assert 128 <= chunks[0] <= 1024
    assert 128 <= chunks[1] <= 1024


def test_a_wide_search_ends() -> None:
    names = "abcdefghij"
    problem = of(f"{' '.join(names)} -> {' '.join(reversed(names))}", (4,) * 10)
    cut = search(problem).found(MIB // 8)
    assert isinstance(cut, Cut)
    assert prod(len(range(0, 4, chunk)) for _, chunk in cut.chunks) == cut.count
