"""Small numbers to try a formula with: extents, sizes, strides, dilations and paddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from random import Random

from contractconv.calculus.derivation import Formulas
from contractconv.calculus.symbols import DOTS
from contractconv.errors import ParameterError, ShapeError
from contractconv.notation.affine import Affine
from contractconv.notation.extents import bind, resolve, split_values
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Axis, Dots, Spec, Term

# Brute force goes point by point: small problems show a fault as well as large ones.
_FEW, _MOST, _LARGEST = 3_000, 300_000, 1_000_000
# How many choices of strides, dilations and paddings a formula with symbols is tried with.
_BINDINGS = 12


@dataclass(frozen=True, slots=True)
class Case:
    """One choice of numbers.

    Attributes:
        formulas: the derivation, maybe with symbols.
        forward: the contraction with its parameters bound.
        problem: the contraction with its shapes.
        shapes: the shape of each operand.
        values: every extent and parameter.
        number: which case it is; it seeds the arrays.
    """

    formulas: Formulas
    forward: Spec
    problem: Problem
    shapes: tuple[Shape, ...]
    values: dict[str, int]
    number: int

    def bound(self, spec: Spec) -> Spec:
        """Put the case's numbers in the place of parameters."""
        return spec.bind({name: self.values[name] for name in spec.parameters})


def cases(formulas: Formulas, values: Mapping[str, int]) -> Iterator[Case]:
    """Choose numbers for everything that has none.

    Raises:
        ShapeError: the given extents make too many points, or too large arrays.
        ParameterError: no numbers make sense, or the given ones do not.
    """
    spelled = _spelled(formulas)
    # As many as bits number the indices, from 1 on, so that each has its own sequence of extents.
    count = max(3, len(spelled.forward.indices).bit_length())
    bindings = _bindings(spelled, values)
    rounds = range(count) if len(bindings) == 1 else range(2)
    for number, (binding, _) in enumerate(product(bindings, rounds)):
        yield _case(spelled, {**values, **binding}, number, number % count)


def _case(formulas: Formulas, values: Mapping[str, int], number: int, pattern: int) -> Case:
    forward, given = split_values(formulas.forward, values)
    extents = _extents(forward, given, pattern)
    shapes = tuple(tuple(_size(a, extents, pattern) for a in term) for term in forward.inputs)
    largest = max((prod(shape) for shape in shapes), default=0)
    if largest > _LARGEST:
        raise ShapeError(
            f"an array of {largest:,} elements is too large to be checked element by element: "
            f"give smaller numbers"
        )
    problem = resolve(forward, shapes, extents)
    known = {name: values[name] for name in formulas.forward.parameters}
    return Case(formulas, forward, problem, shapes, {**extents, **known}, number)


def _bindings(formulas: Formulas, values: Mapping[str, int]) -> list[dict[str, int]]:
    """Numbers for the symbols that have none: a spread of those that make sense."""
    spec = formulas.forward
    free = [name for name in spec.parameters if name not in values]
    given = {name: values[name] for name in spec.parameters if name in values}
    scaling = _scaling(spec)
    ranges = [(1, 2, 3) if name in scaling else (0, 1, 2, 3) for name in free]
    every = list(product(*ranges))
    order = Random(0).sample(every, len(every))
    found: list[dict[str, int]] = []
    for numbers in order:
        binding = dict(zip(free, numbers, strict=True))
        try:
            bind(spec, given | binding)
            bind(formulas.gather, given | binding)
        except ParameterError:
            if len(order) == 1:
                raise
            continue
        found.append(binding)
        if len(found) == _BINDINGS:
            break
    if not found:
        raise ParameterError(f"no small numbers for {', '.join(free)} make sense in '{spec}'")
    return found


def _scaling(spec: Spec) -> frozenset[str]:
    """The parameters that multiply or divide; the others only shift."""
    axes = [a for term in spec.terms for a in term if isinstance(a, Affine)]
    numbers = [n for a in axes for n in (a.divisor, *(c for _, c in a.terms))]
    return frozenset(name for number in numbers for name in number.names)


def _extents(spec: Spec, given: Mapping[str, int], pattern: int) -> dict[str, int]:
    """Small extents; those of any two indices differ in some case."""
    least = 3 if len(spec.indices) <= 5 else 2
    extents = {
        name: given.get(name, least + (place >> pattern & 1))
        for place, name in enumerate(spec.indices, 1)
    }
    most = max(_FEW, min(_MOST, 64 * prod(extents[name] for name in spec.indices if name in given)))
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
    low = high = axis.offset.constant or 0
    for name, coefficient in axis.terms:
        step = (coefficient.constant or 0) * (extents[name] - 1)
        low, high = low + min(0, step), high + max(0, step)
    divisor = axis.divisor.constant or 1
    # A fraction determines no extent, so it may well be read past its end.
    cut = 1 if axis.fractional else max(0, -low)
    return max(1 if axis.fractional else 2, high // divisor + 1 - cut * (pattern == 0) + pattern)


def _spelled(formulas: Formulas) -> Formulas:
    """The ellipsis stands for any axes; one axis shows what there is to see."""
    specs = (formulas.forward, formulas.scatter, formulas.gather)
    forward, scatter, gather = (_without_dots(spec) for spec in specs)
    return replace(formulas, forward=forward, scatter=scatter, gather=gather)


def _without_dots(spec: Spec) -> Spec:
    def spelled(term: Term) -> Term:
        return tuple(Affine.index(DOTS) if isinstance(a, Dots) else a for a in term)

    return replace(spec, inputs=tuple(map(spelled, spec.inputs)), output=spelled(spec.output))
