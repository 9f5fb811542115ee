"""Steps without windows: which of numpy's own operations, or which kernel, carries one out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from math import prod
from typing import NamedTuple

from contractconv.notation.problem import Access, Problem
from contractconv.planning.roles import Labels, Roles, roles
from contractconv.reductions.table import REDUCTIONS

# Points at which a kernel is worth its call, and of a matrix product of a batch: numpy begins each
# anew, and in a larger one a BLAS is faster than any kernel of ours.
_WORTH_A_KERNEL, _LARGE_PRODUCT = 1 << 16, 1 << 18
# Up to so many a single one is left to kernels: BLAS wakes threads of its own, and they and ours
# wait for each other to let the processors go.
_MOST_ALONE = 1 << 24
# Of fewer points a sum is done before a kernel is called, of more all wait for memory.
_SUMS_OF_KERNELS = range(1 << 14, 1 << 18)
# Points of a matrix product that is no faster than products of numbers in long rows.
_TINY_PRODUCT = 1 << 9


class Einsum(NamedTuple):
    """A step without windows: what any einsum can say.

    Attributes:
        terms: the indices of each operand, axis by axis; one that stands twice is a diagonal.
        output: the indices of the result, each once.
    """

    terms: tuple[Labels, ...]
    output: Labels


def as_einsum(problem: Problem) -> Einsum | None:
    """The problem without windows, offsets and paddings; ``None`` if it has some.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> as_einsum(resolve(parse("i i, i j -> j"), [(2, 2), (2, 3)], {}))
        Einsum(terms=(('i', 'i'), ('i', 'j')), output=('j',))
        >>> as_einsum(resolve(parse("(i+k), k -> i"), [(4,), (2,)], {}))
    """
    terms = tuple(_plain(term, problem) for term in problem.operands)
    output = _plain(problem.output, problem)
    if output is None or None in terms or len(set(output)) < len(output):
        return None
    return Einsum(tuple(term for term in terms if term is not None), output)


def _plain(term: Sequence[Access], problem: Problem) -> Labels | None:
    names = tuple(access.plain for access in term)
    known = tuple(name for name in names if name is not None)
    sizes = [problem.extents[name] for name in known]
    return known if sizes == [access.size for access in term] else None


class Way(Enum):
    """What kind of operation carries out a step without windows."""

    COPY = auto()
    SUM = auto()
    MULTIPLY = auto()
    MATRIX = auto()
    # Sums of products in long rows along the batch.
    ELEMENTWISE = auto()
    KERNEL = auto()


def way(problem: Problem, compiled: bool) -> Way | None:
    """How a step is carried out; ``None`` if it is empty, or no einsum of one or two operands.

    Args:
        problem: the step.
        compiled: whether there are kernels for its numbers.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> way(resolve(parse("i k, k j -> i j"), [(9, 9), (9, 9)], {}), compiled=True).name
        'MATRIX'
    """
    step = as_einsum(problem)
    if (
        not problem.points
        or step is None
        or not REDUCTIONS[problem.reduce].linear
        or len(step.terms) > 2
    ):
        return None
    if len(step.terms) == 1:
        if problem.kept.issuperset(step.terms[0]):
            return Way.COPY
        return Way.KERNEL if compiled and problem.points in _SUMS_OF_KERNELS else Way.SUM
    first, second = map(frozenset, step.terms)
    if not (first ^ second) <= problem.kept:
        return None
    found = roles(first, second, problem.kept, problem.indices)
    if not found.summed:
        return Way.MULTIPLY
    return _of_products(step, found, problem, compiled)


def _of_products(step: Einsum, found: Roles, problem: Problem, compiled: bool) -> Way:
    batch, rows, columns, summed = (prod(problem.extents[n] for n in names) for names in found)
    matrix, tiny = min(rows, columns) > 1, rows * columns * summed <= _TINY_PRODUCT
    together = batch > 1 and _innermost(step, problem) in found.batch and (tiny or not matrix)
    # Where each number is read once, no kernel is faster than memory is.
    again = together and rows * columns > 1
    most = _LARGE_PRODUCT if batch > 1 else _MOST_ALONE
    small = matrix and rows * columns * summed <= most
    if compiled and problem.points >= _WORTH_A_KERNEL and (again or small):
        return Way.KERNEL
    return Way.ELEMENTWISE if together else Way.MATRIX


def _innermost(step: Einsum, problem: Problem) -> str:
    """The last index of the larger operand; its elements are neighbours in memory."""
    extents = problem.extents
    larger = max(step.terms, key=lambda term: prod(extents[n] for n in term))
    return next((n for n in reversed(larger) if extents[n] > 1), "")
