"""A contraction divided: operands are read, their windows meet, the result lands where it belongs.

Libraries have operations for windows of arrays whose other axes are plain. So what else an axis
says (offsets and strides of an index alone, fractions, diagonals, constants, windows that are no
convolution) is done before, operand by operand, or afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from contractconv.lazy import Value
from contractconv.notation.problem import Access, Accesses, Problem, shape_of, windowed
from contractconv.notation.spec import SUM
from contractconv.planning.cost import labels_of
from contractconv.planning.trimming import out_of_proportion, trimmed
from contractconv.reductions.table import REDUCTIONS

# An axis of one element, which no index meets.
_UNIT = Access((), 0, 1, 1)


class Meeting(NamedTuple):
    """A window: an axis on which two indices stand that other terms have, or nothing else has.

    Attributes:
        term: which term has it, the operands in order and then the result.
        access: the axis.
        places: for each index of the axis the term that has it; ``None`` if there is none.
    """

    term: int
    access: Access
    places: tuple[int | None, ...]

    @property
    def name(self) -> str:
        """What the axis is called; no index can be called so."""
        return str(self.access)


@dataclass(frozen=True)
class Division(Value):
    """A contraction of one or two operands in up to three parts.

    Attributes:
        reads: for each operand what is read of it; ``None`` if it is taken as it is.
        product: the contraction of what is read: every axis is whole, of an index alone, or one of
            the windows.
        meetings: the windows.
        landing: where the result of that lands; ``None`` if it is the result.
    """

    reads: tuple[Problem | None, ...]
    product: Problem
    meetings: tuple[Meeting, ...]
    landing: Problem | None


def divided(problem: Problem, most: int) -> Division | None:
    """Divide a contraction; of several operands the sum of their products.

    Args:
        problem: a contraction of one or two operands.
        most: how many windows there may be; the others become plain axes while they are read.

    Returns:
        ``None`` if nothing contributes, or there is no window.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> found = divided(resolve(parse("(k+i) (2*c), k c -> (3*i)"), [(5, 6), (3, 3)]), 3)
        >>> print(*found.reads, found.product, found.landing, sep=" | ")
        (k+i) (2*c) -> (k+i) c | None | (k+i) c, k c -> i | i -> (3*i)
    """
    whole = trimmed(problem)
    if whole is None:
        return None
    meetings = tuple(_meetings(whole, most))
    return _of(_without_units(_without_taps(whole, meetings)), meetings) if meetings else None


def _without_taps(problem: Problem, meetings: Sequence[Meeting]) -> Problem:
    """Other windows of one tap are none."""
    names = windowed((*problem.operands, problem.output))
    names -= {name for meeting in meetings for name in meeting.access.names}
    single = {name: 0 for name in names if problem.extents[name] == 1}
    return problem.fixed(single) if single else problem


def _without_units(problem: Problem) -> Problem:
    """Without the axes that say nothing: arrays are reshaped before and afterwards."""

    def kept(term: Accesses) -> Accesses:
        return tuple(access for access in term if access != _UNIT)

    operands, output = tuple(map(kept, problem.operands)), kept(problem.output)
    return replace(problem, operands=operands, output=output, result_shape=shape_of(output))


# --- windows ---------------------------------------------------------------------------------


def _meetings(problem: Problem, most: int) -> Iterator[Meeting]:
    """The windows that are left to the library, of which no two share an index."""
    terms = (*problem.operands, problem.output)
    padded, used, count = out_of_proportion(problem), set[str](), 0
    for number, term in enumerate(terms):
        for access in term:
            found = _meeting(terms, number, access)
            if found is None or access in padded or count == most or used & {*access.names}:
                continue
            used.update(access.names)
            count += 1
            yield found


def _meeting(terms: tuple[Accesses, ...], number: int, access: Access) -> Meeting | None:
    if len(access.terms) != 2:
        return None
    if sum(name in other.names for other in terms[number] for name in access.names) > 2:
        return None
    holders = [_holders(terms, number, name) for name in access.names]
    others = len(terms) - 1
    found = [n for held in holders for n in held]
    if any(len(held) > 1 for held in holders) or len(set(found)) < max(others, len(found)):
        return None
    places = tuple(held[0] if held else None for held in holders)
    return Meeting(number, access, places)


def _holders(terms: tuple[Accesses, ...], number: int, name: str) -> list[int]:
    """The other terms that have an index."""
    return [n for n, term in enumerate(terms) if n != number and name in labels_of([term])]


# --- parts -----------------------------------------------------------------------------------


def _of(problem: Problem, meetings: tuple[Meeting, ...]) -> Division:
    record = REDUCTIONS[problem.reduce]
    reduce = SUM if record.linear else problem.reduce
    *operands, output = (
        _plain(problem, term, [m.access for m in meetings if m.term == n])
        for n, term in enumerate((*problem.operands, problem.output))
    )
    taps = {name for m in meetings for name in m.access.names}
    held = [{*labels_of([term])} for term in operands]
    operands = [
        tuple(a for a in term if _is_needed(a, n, held, problem, taps))
        for n, term in enumerate(operands)
    ]
    output = tuple(a for a in output if {*a.names} & ({*labels_of(operands)} | taps))
    names = labels_of([output, *operands])
    sizes = tuple((name, problem.extents[name]) for name in names)
    product = Problem(tuple(operands), output, sizes, reduce, shape_of(output))
    accesses = [m.access for m in meetings]
    reads = tuple(
        _between(problem, accesses, before, after, reduce)
        for before, after in zip(problem.operands, operands, strict=True)
    )
    landing = _between(problem, accesses, output, problem.output, reduce)
    return Division(reads, product, meetings, landing)


def _plain(problem: Problem, term: Accesses, windows: Collection[Access]) -> Accesses:
    """A term with its windows, and else with an axis for each index."""
    axes: dict[Access, None] = {}
    for access in term:
        if access in windows:
            axes[access] = None
        else:
            axes.update({Access.along(n, problem.extents[n]): None for n in access.names})
    return tuple(axes)


def _is_needed(
    access: Access, number: int, held: list[set[str]], problem: Problem, taps: Collection[str]
) -> bool:
    """Whether another term has an index of an axis, or a window."""
    others = set().union(problem.kept, taps, *(h for n, h in enumerate(held) if n != number))
    return bool({*access.names} & others)


def _between(
    problem: Problem, windows: Collection[Access], before: Accesses, after: Accesses, reduce: str
) -> Problem | None:
    """From the axes of one term to those of another one, on which windows are axes of their own."""
    if before == after:
        return None

    def named(term: Accesses) -> Accesses:
        return tuple(Access.along(str(a), a.size) if a in windows else a for a in term)

    extents = problem.extents | {str(a): a.size for a in windows}
    operand, output = named(before), named(after)
    sizes = tuple((name, extents[name]) for name in labels_of([output, operand]))
    return Problem((operand,), output, sizes, reduce, shape_of(output))
