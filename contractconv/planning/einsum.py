"""Steps without windows: which of numpy's own operations, or which kernel, carries one out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum, auto
from math import prod
from typing import NamedTuple

from contractconv.notation.problem import Access, Problem
from contractconv.planning.cost import volume
from contractconv.planning.roles import Labels, Roles, fused, roles
from contractconv.reductions.table import REDUCTIONS

# Points at which a kernel is worth its call. More in matrices one by one are for kernels, too: they
# share them among threads, which numpy does not.
_WORTH_A_KERNEL, _MOST_ONE_BY_ONE = 1 << 16, 1 << 20
# Points from which on wider vectors are worth a kernel, up to what BLAS alone cuts for every cache.
_WORTH_WIDE, _HUGE_WIDE = 1 << 19, 1 << 32
# Up to so many points of a matrix product BLAS works in one thread; beyond, it wakes threads of its
# own, and they and ours wait for each other to let the processors go.
_ALONE = 1 << 18
# Numbers of a vector, and of a row of the result that is long beside what its last vector lacks;
# points from which on nobody waits long for BLAS's threads to wake, and from which on BLAS, which
# cuts what is large for every cache, is as fast in float32 and faster in float64.
_VECTOR, _WIDE, _LONG, _HUGE = 16, 128, 1 << 24, 1 << 29
# Points of a product that are worth a call of BLAS, if there are many; rows, columns or terms
# of one that takes so long that nobody minds copies; values of a last index that fill vectors.
_WORTH_A_CALL, _THICK, _LONG_ROW = 1 << 10, 16, 4
# Elements that are copied in the time of one of many calls of BLAS, and before a copy begins.
CALL, BEGUN = 150, 1 << 10
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


def way(problem: Problem, compiled: bool, wide: bool = False) -> Way | None:
    """How a step is carried out; ``None`` if it is empty, or no einsum of one or two operands.

    Args:
        problem: the step.
        compiled: whether there are kernels for its numbers.
        wide: whether these have wider vectors than BLAS.

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
    return _of_products(step, found, problem, compiled, wide)


def _of_products(step: Einsum, found: Roles, problem: Problem, compiled: bool, wide: bool) -> Way:
    batch, rows, columns, summed = (volume(names, problem.extents) for names in found)
    matrix, tiny = min(rows, columns) > 1, rows * columns * summed <= _TINY_PRODUCT
    together = batch > 1 and _innermost(step, problem) in found.batch and (tiny or not matrix)
    if compiled and problem.points >= _WORTH_A_KERNEL:
        # Where each number is read once, no kernel is faster than memory is.
        again = together and rows * columns > 1
        each = rows * columns * summed
        few = each <= (_HUGE_WIDE if wide else _ALONE if batch > 1 else _LONG)
        fits = matrix and (few or (each < _HUGE and _fills_vectors(step, problem)))
        alone = _for_blas(step, found, problem) and not (wide and problem.points >= _WORTH_WIDE)
        if again or (fits and not alone):
            return Way.KERNEL
    return Way.ELEMENTWISE if together else Way.MATRIX


def _for_blas(step: Einsum, found: Roles, problem: Problem) -> bool:
    """Whether no kernel is faster than BLAS in one thread."""
    batch, *sides = (volume(names, problem.extents) for names in found)
    if batch == 1 and prod(sides) <= _ALONE and min(sides) >= _THICK:
        return True
    blocks = in_blocks(step, problem.extents)
    if blocks is None:
        return batch == 1 and prod(sides) <= _ALONE and not _has_long_rows(step, problem)
    count, *sides = (volume(names, problem.extents) for names in blocks)
    few = problem.points <= _MOST_ONE_BY_ONE and (count == 1 or prod(sides) >= _WORTH_A_CALL)
    return few and min(sides) > 1 and prod(sides) <= _ALONE


def _fills_vectors(step: Einsum, problem: Problem) -> bool:
    """Whether rows of the result are vectors with little left over."""
    rows = [problem.extents[n] for n in step.output if problem.extents[n] > 1]
    return bool(rows) and (rows[-1] % _VECTOR == 0 or rows[-1] >= _WIDE)


def _has_long_rows(step: Einsum, problem: Problem) -> bool:
    """Whether the last index of the larger operand is that of the result, of many values."""
    inner = _innermost(step, problem)
    output = [n for n in step.output if problem.extents[n] > 1]
    return output[-1:] == [inner] and problem.extents[inner] >= _LONG_ROW


def in_blocks(step: Einsum, extents: Mapping[str, int]) -> Roles | None:
    """A product as a batch of products that need no copies, arrays lying without gaps.

    Outer rows and columns are a batch along which the other operand is the same.

    Returns:
        The roles of runs of indices, by the first of each; ``None`` if there is no such batch.

    Example:
        >>> step = Einsum((("n", "s"), ("a", "s", "p")), ("a", "n", "p"))
        >>> in_blocks(step, dict.fromkeys("nsap", 2))
        Roles(batch=('a',), rows=('n',), columns=('p',), summed=('s',))
    """
    terms = [tuple(n for n in t if extents[n] > 1) for t in (*step.terms, step.output)]
    if any(len(set(term)) < len(term) for term in terms):
        return None
    first = {n: run[0] for run in fused(terms) for n in run}
    one, two, made = (tuple(dict.fromkeys(first[n] for n in term)) for term in terms)
    batch, rows, columns, summed = roles(one, two, made, dict.fromkeys((*made, *one)))
    outer = (*batch, *rows[:-1], *columns[:-1])
    if len(summed) != 1 or any(term[-1] in outer for term in (one, two, made) if term):
        return None
    return Roles(outer, rows[-1:], columns[-1:], summed)


def arranged(
    terms: Sequence[Labels], kept: Labels, summed: Collection[str], extents: Mapping[str, int]
) -> Labels:
    """The indices of a product in the order for which least has to be moved, here and afterwards.

    One operand's come before the other's, or new ones stand where the larger operand has what is
    summed.

    Args:
        terms: the indices of one or two operands.
        kept: those that are not summed.
        summed: those that are summed where the product is an operand.
        extents: the extent of each.

    Example:
        >>> sizes = {"n": 2, "s": 2, "a": 2, "p": 640}
        >>> arranged([("n", "s"), ("a", "s", "p")], ("n", "a", "p"), "a", sizes)
        ('a', 'n', 'p')
        >>> sizes = {"n": 2, "s": 2, "a": 640, "p": 2}
        >>> arranged([("n", "s"), ("a", "s", "p")], ("n", "a", "p"), "a", sizes)
        ('a', 'p', 'n')
    """
    names = [tuple(n for n in term if n in kept) for term in terms]
    if len(terms) == 1 or len(names[0]) + len(names[1]) > len(kept):
        return kept
    gone = {n for term in terms for n in term if n not in kept}
    apart = sum(_moved(term, gone, extents, blocks=False) for term in terms)
    found = {names[0] + names[1]: apart, names[1] + names[0]: apart}
    large = int(volume(terms[1], extents) > volume(terms[0], extents))
    places = [n for n, name in enumerate(terms[large]) if name in gone]
    if places and names[1 - large]:
        before = tuple(n for n in terms[large][: places[0]])
        inside = (*before, *names[1 - large], *names[large][len(before) :])
        moved = sum(_moved(term, gone, extents) for term in terms)
        found.setdefault(inside, moved)
    return min(found, key=lambda order: found[order] + _moved(order, summed, extents))


def _moved(
    term: Labels, names: Collection[str], extents: Mapping[str, int], blocks: bool = True
) -> int:
    """Elements that are copied before an operand can be read as a matrix with some columns.

    Args:
        term: its indices.
        names: those of the columns.
        extents: the extent of each.
        blocks: whether it may be read as a batch of matrices, as many as could be read instead.
    """
    places = [n for n, name in enumerate(term) if name in names]
    if not places:
        return 0
    outer, inner = (volume(t, extents) for t in (term[: places[0]], term[places[-1] + 1 :]))
    copy = volume(term, extents) + BEGUN
    if places[-1] - places[0] >= len(places):
        return copy
    if 1 in (outer, inner):
        return 0
    return min(copy, CALL * outer) if blocks else copy


def _innermost(step: Einsum, problem: Problem) -> str:
    """The last index of the larger operand; its elements are neighbours in memory."""
    extents = problem.extents
    larger = max(step.terms, key=lambda term: volume(term, extents))
    return next((n for n in reversed(larger) if extents[n] > 1), "")
