"""Small numbers to try a formula with: extents, sizes, strides, dilations and paddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import prod
from random import Random

from contractconv.calculus.symbols import DOTS, scaling
from contractconv.errors import ParameterError, ShapeError
from contractconv.notation.affine import Affine
from contractconv.notation.extents import bind, resolve, split_values
from contractconv.notation.problem import Access, Problem, Shape
from contractconv.notation.spec import Axis, Dots, Spec, Term
from contractconv.notation.ties import tied_extents, tied_shapes

# Brute force goes point by point: small problems show a fault as well as large ones. All cases
# together have so many points, but none so few that its indices could not differ.
_TOGETHER, _FEWEST = 9_000, 1_000
_MOST, _LARGEST = 300_000, 1_000_000
# How many choices of strides, dilations and paddings a formula with symbols is tried with, and how
# many are looked at for those with which coefficients vanish or agree.
_BINDINGS, _LOOKED_AT = 12, 96


@dataclass(frozen=True, slots=True)
class Case:
    """One choice of numbers.

    Attributes:
        forward: the contraction with its parameters bound.
        problem: the contraction with its shapes.
        shapes: the shape of each operand.
        values: every extent and parameter.
        parameters: the values of those that were symbols.
        number: which case it is; it seeds the arrays.
    """

    forward: Spec
    problem: Problem
    shapes: tuple[Shape, ...]
    values: dict[str, int]
    parameters: dict[str, int]
    number: int

    def bound(self, spec: Spec) -> Spec:
        """Put the case's numbers in the place of parameters."""
        return bind(spec, {name: self.parameters[name] for name in spec.parameters})


def cases(spec: Spec, values: Mapping[str, int], points: int | None = None) -> list[Case]:
    """Choose numbers for everything that has none.

    Args:
        spec: a contraction without an ellipsis, maybe with symbols.
        values: the numbers that are given.
        points: about how many points a case may have; by default as many as brute force takes.

    Raises:
        ShapeError: the given extents make too many points, or too large arrays.
        ParameterError: no numbers make sense, or the given ones do not.
    """
    # As many as bits number the indices, from 1 on, so that each has its own sequence of extents.
    count = max(3, len(spec.indices).bit_length())
    bindings = _bindings(spec, values)
    rounds = range(count) if len(bindings) == 1 else range(2)
    few = points or max(_FEWEST, _TOGETHER // (len(bindings) * len(rounds)))
    return [
        _case(spec, {**values, **binding}, number, number % count, few)
        for number, (binding, _) in enumerate(product(bindings, rounds))
    ]


def _case(spec: Spec, values: Mapping[str, int], number: int, pattern: int, few: int) -> Case:
    forward, given = split_values(spec, values)
    extents = _extents(forward, given, pattern, few)
    if forward.is_tied:
        extents = tied_extents(forward, extents, given)
    shapes = tuple(tuple(_size(a, extents, pattern) for a in term) for term in forward.inputs)
    if forward.is_tied:
        shapes = tied_shapes(forward, shapes)
    problem = resolve(forward, shapes, extents)
    largest = max(prod(shape) for shape in (*shapes, problem.result_shape))
    if largest > _LARGEST:
        raise ShapeError(
            f"an array of {largest:,} elements is too large to be checked element by element: "
            f"give smaller numbers"
        )
    known = {name: values[name] for name in spec.parameters}
    return Case(forward, problem, shapes, {**extents, **known}, known, number)


# -- numbers for symbols -------------------------------------------------------------------------


def _bindings(spec: Spec, values: Mapping[str, int]) -> list[dict[str, int]]:
    """Numbers for the symbols that have none: a spread of those that make sense.

    Half of them are such that coefficients vanish or agree, where they do so for few numbers: a
    formula that divides by a difference of strides would be wrong just there.
    """
    free = [name for name in spec.parameters if name not in values]
    given = {name: values[name] for name in spec.parameters if name in values}
    found: list[dict[str, int]] = []
    for numbers in _choices(free, scaling(spec)):
        binding = dict(zip(free, numbers, strict=True))
        try:
            bind(spec, given | binding)
        except ParameterError:
            if not free:
                raise
            continue
        found.append(binding)
    if not found:
        raise ParameterError(f"no small numbers for {', '.join(free)} make sense in '{spec}'")
    if len(found) <= _BINDINGS:
        return found
    forms = [_form(spec.bind(given | binding)) for binding in found]
    usual = max(forms)
    special = [b for b, form in zip(found, forms, strict=True) if form != usual][: _BINDINGS // 2]
    others = (binding for binding in found if binding not in special)
    return [*special, *(b for b, _ in zip(others, range(_BINDINGS - len(special)), strict=False))]


def _choices(free: Sequence[str], positive: frozenset[str]) -> Iterator[tuple[int, ...]]:
    """Small numbers in no order: all choices if they are few, or else some of them."""
    ranges = [(1, 2, 3) if name in positive else (0, 1, 2, 3) for name in free]
    count = prod(map(len, ranges))
    chosen = Random(0).sample(range(count), min(count, _LOOKED_AT))
    for number in chosen:
        numbers, rest = [], number
        for values in ranges:
            rest, place = divmod(rest, len(values))
            numbers.append(values[place])
        yield tuple(numbers)


def _form(spec: Spec) -> tuple[int, ...]:
    """How many coefficients, and determinants of two rows, of each array are not zero."""
    return tuple(count for term in spec.terms for count in _nonzero(term, spec.indices))


def _nonzero(term: Term, names: Sequence[str]) -> tuple[int, int]:
    axes = [axis for axis in term if isinstance(axis, Affine)]
    rows = [{name: c.constant or 0 for name, c in axis.terms} for axis in axes]
    entries = sum(bool(row.get(name)) for row in rows for name in names)
    minors = sum(
        one.get(a, 0) * other.get(b, 0) != one.get(b, 0) * other.get(a, 0)
        for one, other in combinations(rows, 2)
        for a, b in combinations(names, 2)
    )
    return entries, minors


# -- extents -------------------------------------------------------------------------------------


def _extents(spec: Spec, given: Mapping[str, int], pattern: int, few: int) -> dict[str, int]:
    """Small extents; those of any two indices differ in some case."""
    least = 3 if len(spec.indices) <= 5 else 2
    extents = {
        name: given.get(name, least + (place >> pattern & 1))
        for place, name in enumerate(spec.indices, 1)
    }
    most = max(few, min(_MOST, 64 * prod(extents[name] for name in spec.indices if name in given)))
    free = [name for name in spec.indices if name not in given]
    for smaller in (2, 1):
        for name in reversed(free):
            if prod(extents.values()) > most:
                extents[name] = smaller
    if prod(extents.values()) > _MOST:
        raise ShapeError(
            f"{prod(extents.values()):,} points are too many to go through one by one: "
            f"give smaller extents"
        )
    return extents


def _size(axis: Axis, extents: Mapping[str, int], pattern: int) -> int:
    """A size of an axis for these extents, different in each case.

    First the one that the notation's extent rule expects, as much being cut off at either end; then
    sizes with all of the reach, and with elements behind it that nothing may reach.
    """
    if not isinstance(axis, Affine):
        return prod(extents[name] for name in axis.names)
    if axis.plain is not None:
        return extents[axis.plain]
    access = Access.by(axis, 0)
    low, high = access.reach(extents)
    past = high // access.divisor + 1 + pattern
    # A fraction determines no extent, so it may well be read past its end.
    if axis.fractional:
        return max(1, past - (pattern == 0))
    return max(2, past - max(0, -low) * (pattern == 0))


def spelled(spec: Spec) -> Spec:
    """The ellipsis stands for any axes; one axis shows what there is to see."""
    return spec.mapped(lambda axis: Affine.index(DOTS) if isinstance(axis, Dots) else axis)
