"""Patches that lie side by side: an axis of the result that they cover is two axes in fact.

Where a stride is as long as a window and nothing is padded, as where an image is cut into patches,
no two of them meet: ``(4*i+k)`` with four values of ``k`` is row-major order, and what is written
there a product of matrices without any window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

from contractconv.notation.problem import Access, Problem
from contractconv.reductions.table import REDUCTIONS


def apart(problem: Problem) -> Problem:
    """The same problem, with such axes of the result as two axes each.

    What is made is reshaped to ``result_shape``, as compositions are.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("i c, k c -> (4*i+k)"), [(5, 8), (4, 8)])
        >>> print(apart(problem), apart(problem).output_sizes, apart(problem).result_shape)
        i c, k c -> i k (5, 4) (20,)
    """
    summed = REDUCTIONS[problem.reduce].linear and bool(problem.reduced)
    if not summed or prod(problem.output_sizes) == 0:
        return problem
    output = tuple(part for access in problem.output for part in _parts(access, problem))
    return replace(problem, output=output) if len(output) > len(problem.output) else problem


def _parts(access: Access, problem: Problem) -> Iterator[Access]:
    """An axis, or both axes that it consists of."""
    if len(access.terms) == 2 and access.divisor == 1 and access.offset == 0:
        (long, step), (short, one) = sorted(access.terms, key=lambda term: -term[1])
        extents = problem.extents
        elsewhere = [n for a in problem.output if a is not access for n in a.names]
        filled = 1 < step == extents[short] and access.size == step * extents[long]
        if one == 1 and filled and not {long, short} & {*elsewhere}:
            yield Access.along(long, extents[long])
            yield Access.along(short, extents[short])
            return
    yield access
