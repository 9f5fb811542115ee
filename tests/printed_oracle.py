"""What printed formulas should be worth: sums over points, and derivatives by dual numbers.

The definition of the notation once more, point by point, on numbers of any kind: an integer, a
fraction, or a dual number, whose parts are derivatives. Nothing is known of any gradient.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from oracle import Spec, read_spec

Place = tuple[int, ...]
Elements = dict[Place, Any]


@dataclass(frozen=True)
class Dual:
    """``real + a α + b β + ab αβ``, with ``α² = β² = 0``."""

    real: Any
    a: Any = 0
    b: Any = 0
    ab: Any = 0

    def __add__(self, other: Any) -> Dual:
        o = _dual(other)
        return Dual(self.real + o.real, self.a + o.a, self.b + o.b, self.ab + o.ab)

    def __mul__(self, other: Any) -> Dual:
        o = _dual(other)
        return Dual(
            self.real * o.real,
            self.a * o.real + self.real * o.a,
            self.b * o.real + self.real * o.b,
            self.ab * o.real + self.a * o.b + self.b * o.a + self.real * o.ab,
        )

    __radd__, __rmul__ = __add__, __mul__

    def __lt__(self, other: Any) -> bool:
        return bool(self.real < _dual(other).real)

    def __gt__(self, other: Any) -> bool:
        return bool(self.real > _dual(other).real)

    def mapped(self, value: Any, first: Any, second: Any) -> Dual:
        """A function of it, of which value, first and second derivative are given."""
        bent = first * self.ab + second * self.a * self.b
        return Dual(value, first * self.a, first * self.b, bent)


def _dual(value: Any) -> Dual:
    return value if isinstance(value, Dual) else Dual(value)


def _exp(value: Any) -> Dual:
    dual = _dual(value)
    e = math.exp(dual.real)
    return dual.mapped(e, e, e)


def _log(value: Dual) -> Dual:
    return value.mapped(math.log(value.real), 1 / value.real, -1 / value.real**2)


# What several contributions make, and how many points landed; the first extreme is chosen.
_COMBINE: dict[str, Callable[[list[Any], int], Any]] = {
    "sum": lambda values, points: sum(values),
    "prod": lambda values, points: math.prod(values),
    "max": lambda values, points: max(values),
    "min": lambda values, points: min(values),
    "mean": lambda values, points: sum(values) * Fraction(1, points),
    "logsumexp": lambda values, points: _log(sum(map(_exp, values), Dual(0))),
}
EMPTY = {"sum": 0, "mean": 0, "prod": 1, "max": -math.inf, "logsumexp": -math.inf, "min": math.inf}


@dataclass(frozen=True)
class Landed:
    """A point that lands in the result: its positions, and what it reads if it contributes."""

    point: Place
    reads: tuple[Place, ...] | None


@dataclass(frozen=True)
class Witness:
    """A contraction of arrays, and its derivatives.

    Attributes:
        spec: without ellipsis and parameters.
        shapes: of the operands.
        extents: of all indices.
        output_shape: of the result.
        reduce: how contributions combine.
        operands: their elements.
    """

    spec: str
    shapes: tuple[Place, ...]
    extents: dict[str, int]
    output_shape: Place
    reduce: str
    operands: tuple[Elements, ...]

    @cached_property
    def read(self) -> Spec:
        """The spec, read."""
        return read_spec(self.spec)

    @cached_property
    def landed(self) -> dict[Place, list[Landed]]:
        """The points that land on each element, in row-major order."""
        found: dict[Place, list[Landed]] = {place: [] for place in places(self.output_shape)}
        names = self.read.indices
        for positions in places([self.extents[name] for name in names]):
            point = dict(zip(names, positions, strict=True))
            target = self._place(self.read.output, self.output_shape, point)
            if target is not None:
                terms = zip(self.read.inputs, self.shapes, strict=True)
                reads = [self._place(axes, shape, point) for axes, shape in terms]
                inside = tuple(read for read in reads if read is not None)
                whole = inside if len(inside) == len(reads) else None
                found[target].append(Landed(positions, whole))
        return found

    def _place(self, axes: Sequence[Any], shape: Place, point: dict[str, int]) -> Place | None:
        """Where a term lies at a point, if that is inside."""
        found = []
        for axis, size in zip(axes, shape, strict=True):
            affine = axis.resolve(self.extents)
            position = affine.offset + sum(c * point[name] for name, c in affine.coefficients)
            if position.denominator > 1 or not 0 <= position < size:
                return None
            found.append(int(position))
        return tuple(found)

    def contributing(self, target: Place) -> list[Landed]:
        """The points that contribute to an element."""
        return [landed for landed in self.landed[target] if landed.reads is not None]

    def element(self, target: Place, operands: Sequence[Elements]) -> Any:
        """One element of the result, of these operands."""
        values = [product(operands, landed.reads or ()) for landed in self.contributing(target)]
        if not values:
            return EMPTY[self.reduce]
        return _COMBINE[self.reduce](values, len(self.landed[target]))

    @cached_property
    def result(self) -> Elements:
        """The result."""
        values = {y: self.element(y, self.operands) for y in places(self.output_shape)}
        return {y: v.real if isinstance(v, Dual) else v for y, v in values.items()}

    def replaced(self, n: int, elements: Elements) -> tuple[Elements, ...]:
        """The operands, with another one at position ``n``."""
        return (*self.operands[:n], elements, *self.operands[n + 1 :])

    def jacobian(self, n: int) -> dict[tuple[Place, Place], Any]:
        """The derivative of each element of the result by those of an operand that it reads."""
        found = {}
        for y in places(self.output_shape):
            for x in {landed.reads[n] for landed in self.contributing(y) if landed.reads}:
                bumped = self.operands[n] | {x: Dual(self.operands[n][x], 1)}
                found[y, x] = _dual(self.element(y, self.replaced(n, bumped))).a
        return found

    def slopes(self) -> dict[Place, Any]:
        """The derivative of the result by each contributing point, all others held fixed."""
        return {point: value.a for point, value in self._bumped(lambda landed: 0)}

    def bends(self, n: int, tangent: Elements) -> dict[Place, Any]:
        """How these change along a tangent of an operand."""
        ways = self.replaced(n, tangent)
        bumped = self._bumped(lambda landed: product(ways, landed.reads or ()))
        return {point: value.ab for point, value in bumped}

    def _bumped(self, way: Callable[[Landed], Any]) -> Iterator[tuple[Place, Dual]]:
        """For each contributing point the result, with its own product bumped."""
        for y in places(self.output_shape):
            points = self.contributing(y)
            values = [Dual(product(self.operands, p.reads or ()), 0, way(p)) for p in points]
            for n, landed in enumerate(points):
                changed = [*values[:n], values[n] + Dual(0, 1), *values[n + 1 :]]
                combined = _COMBINE[self.reduce](changed, len(self.landed[y]))
                yield landed.point, _dual(combined)

    def second(self, n: int, tangent: Elements, cotangent: Elements, by: int) -> Elements:
        """The derivative by operand ``by`` of ``Σ G·∂Y``, ``∂`` being along a tangent of ``n``."""
        moving = self.replaced(n, {x: Dual(v, tangent[x]) for x, v in self.operands[n].items()})
        found = dict.fromkeys(places(self.shapes[by]), 0)
        for y in places(self.output_shape):
            for x in {landed.reads[by] for landed in self.contributing(y) if landed.reads}:
                bumped = moving[by] | {x: moving[by][x] + Dual(0, 0, 1)}
                operands = (*moving[:by], bumped, *moving[by + 1 :])
                found[x] += cotangent[y] * _dual(self.element(y, operands)).ab
        return found


def places(shape: Sequence[int]) -> Iterator[Place]:
    """Every position in an array, row-major."""
    return itertools.product(*map(range, shape))


def product(operands: Sequence[Elements], reads: Sequence[Place]) -> Any:
    """The product of what a point reads."""
    return math.prod(elements[read] for elements, read in zip(operands, reads, strict=True))
