"""The shift rule: a block of an index is the same contraction with other offsets.

Of ``(2*i+k-1)`` the block ``i0 <= i < i1`` is ``(2*i+k-1+2*i0-lo)`` on the rows ``lo <= row < hi``
that it reads. So a contraction that is cut, along whatever indices and however unevenly, is
contractions of the same language on parts of the arrays. The rows follow from the one boundary
rule: halos of strides, dilations, transposed windows and fractions need no rule of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from contractconv.errors import ParameterError
from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.contributing import Bounds, contributing, span
from contractconv.notation.problem import Access, Accesses, Problem, shape_of
from contractconv.notation.spec import Axis, Spec, composed_names

Ranges = tuple[slice, ...]


class Part(NamedTuple):
    """A part of a contraction, as a contraction of parts of the arrays.

    Parts of equal size that lie at different places are equal problems: they share a plan.

    Attributes:
        problem: what it computes.
        places: for each operand what it reads, and at last what it writes of the result,
            compositions split.
    """

    problem: Problem
    places: tuple[Ranges, ...]

    @property
    def contributes(self) -> bool:
        """Whether there is anything to compute; otherwise its result is as if nothing landed."""
        every = (at for place in self.places for at in place)
        return bool(self.problem.points) and all(at.start < at.stop for at in every)


def block(problem: Problem, ranges: Mapping[str, range]) -> Part | None:
    """The part of a contraction in which some indices take only some of their values.

    A block of a kept index is a part of the result; of a reduced one, or where blocks land on each
    other, it is to be combined with the others. A mean is that of the points of the block.

    Args:
        problem: the contraction.
        ranges: for each index that is cut the values that it takes.

    Returns:
        The block; ``None`` if it contributes nothing, wherever it lands.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(2*i+k-1), k -> i"), [(9,), (3,)], {})
        >>> part = block(problem, {"i": range(2, 4)})
        >>> print(part.problem, part.places)
        (2*i+k), k -> i ((slice(3, 8, None),), (slice(0, 3, None),), (slice(2, 4, None),))
    """
    for name, values in ranges.items():
        problem = problem.restricted(name, values.start, len(values), values.step)
    return part_of(problem)


def part_of(problem: Problem) -> Part | None:
    """See a contraction as one of what it reaches alone; ``None`` if it reaches nothing.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(i+k-1), k -> i"), [(9,), (3,)], {}).restricted("i", 4, 2)
        >>> part = part_of(problem)
        >>> print(part.problem, part.places)
        (i+k), k -> i ((slice(3, 7, None),), (slice(0, 3, None),), (slice(4, 6, None),))
    """
    lands, found = contributing(problem, [problem.output]), contributing(problem)
    if lands is None or found is None:
        return None
    reads = tuple(_met(term, found) for term in problem.operands)
    places = (*reads, _met(problem.output, lands))
    *operands, output = map(_cropped, (*problem.operands, problem.output), places)
    part = Part(_of(problem, operands, output), places)
    return part if part.contributes else None


def result_block(problem: Problem, box: Sequence[slice]) -> Part:
    """The part of a contraction that makes a box of its result.

    Every index takes only the values whose points can land in the box. What no point lands on is
    part of the box, too: it holds what such elements always hold.

    Args:
        problem: the contraction.
        box: from where to where along each axis of the result, compositions split.

    Returns:
        A contraction whose whole result is the box. It reads nothing of the operands if nothing
        in it depends on them.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("i, k -> (2*i+k)"), [(4,), (3,)], {})
        >>> part = result_block(problem, [slice(5, 9)])
        >>> print(part.problem, part.places)
        i, k -> (2*i+k-1) ((slice(2, 4, None),), (slice(0, 3, None),), (slice(5, 9, None),))
    """
    place = tuple(slice(at.start, at.stop) for at in box)
    wanted = replace(problem, output=_cropped(problem.output, place))
    lands = contributing(wanted, [wanted.output])
    bounds = dict.fromkeys(problem.kept, (0, -1)) if lands is None else lands
    for name, (low, high) in bounds.items():
        if high - low + 1 < problem.extents[name]:
            wanted = wanted.restricted(name, low, high - low + 1)
    found = contributing(wanted)
    reads = [_nothing(t) if found is None else _met(t, found) for t in wanted.operands]
    operands = list(map(_cropped, wanted.operands, reads))
    return Part(_of(wanted, operands, wanted.output), (*reads, place))


def block_spec(spec: Spec, name: str) -> Spec:
    """The string of a block of an index, with symbols for where it lies.

    Args:
        spec: the contraction.
        name: the index, ``i``. The block begins at the parameter ``i0``. Along each axis on which
            the index does not stand alone, what is read or written begins at ``lo``, or at
            ``lo0``, ``lo1``, ... if there are several.

    Raises:
        ParameterError: there is no such index, or it is a part of a composition.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> print(block_spec(parse("b (2*i+k-1), k -> b i"), "i"))
        b (2*i+k+2*i0-lo-1), k -> b i
    """
    if name not in spec.indices or name in composed_names(spec.terms):
        reason = "is a part of a composition" if name in spec.indices else "is no index"
        raise ParameterError(f"{name!r} {reason} of '{spec}': there is no block of it")
    moved = [axis for axis in spec.axes if name in axis.names and not axis.plain]
    names = [f"lo{n}" if len(moved) > 1 else "lo" for n in range(len(moved))]
    taken = {*spec.indices, *spec.parameters}
    begin, *starts = (_unused(symbol, taken) for symbol in (f"{name}0", *names))
    rest = iter(starts)

    def shifted(axis: Axis) -> Axis:
        if not isinstance(axis, Affine) or name not in axis.names or axis.plain:
            return axis
        along = dict(axis.terms)[name] * Polynomial.symbol(begin)
        offset = axis.offset + along - axis.divisor * Polynomial.symbol(next(rest))
        return Affine.of(axis.terms, offset, axis.divisor)

    named = (*spec.parameters, begin, *starts)
    return replace(spec.mapped(shifted), parameters=named, inside=None)


def _unused(name: str, taken: Collection[str]) -> str:
    return name if name not in taken else _unused(f"{name}_", taken)


def _met(term: Accesses, bounds: Bounds) -> Ranges:
    """The part of an array that is met."""
    return tuple(_met_of(access, *span(access, bounds)) for access in term)


def _met_of(access: Access, low: int, high: int) -> slice:
    return slice(max(0, -(-low // access.divisor)), min(access.size, high // access.divisor + 1))


def _nothing(term: Accesses) -> Ranges:
    return tuple(slice(0, 0) for _ in term)


def _cropped(term: Accesses, place: Ranges) -> Accesses:
    """How a part of an array is met."""
    return tuple(
        Access(a.terms, a.offset - at.start * a.divisor, a.divisor, at.stop - at.start)
        for a, at in zip(term, place, strict=True)
    )


def _of(problem: Problem, operands: Sequence[Accesses], output: Accesses) -> Problem:
    return Problem(tuple(operands), output, problem.sizes, problem.reduce, shape_of(output))
