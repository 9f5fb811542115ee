"""Gradients of contractions of many operands, which share one tree of pairs."""

from __future__ import annotations

import pytest
from programs.checks import assert_derivatives
from programs.programs_strategy import squared
from programs.writing import Program, Written, call

WINDOWS = [
    "(i+k) j, (i+k), (i+k) j -> i j",
    "(i+k) j, i, (i+k) j -> k j",
    "(i+k) j, (i+k), i j -> (i+k) j",
    "(2*i+k-1) j, (2*i+k-1), i j -> k",
    "(-k+2) j, (-k+2), (-k+2) j -> j k",
]


@pytest.mark.parametrize("spec", WINDOWS)
@pytest.mark.parametrize("sizes", [(5, 5, 5), (5, 4, 5), (4, 5, 5), (5, 5, 4)])
def test_windows_of_arrays_that_are_not_equally_large(spec: str, sizes: tuple[int, ...]) -> None:
    """What is written alike need not be one axis: a window reads as far as its own array goes."""

    def made(program: Program) -> Written:
        terms = spec.partition(" -> ")[0].split(", ")
        operands = [
            program.input(
                ["a", "b"][: len(term.split())],
                [size if "(" in term else 3, 2][: len(term.split())],
                7 + size,
            )
            for term, size in zip(terms, sizes, strict=True)
        ]
        extents = {name: 3 for name in "ik" if name in spec}
        return call("contract", spec, *operands, **extents)

    assert_derivatives(squared(made))
