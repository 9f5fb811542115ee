"""Equations between indexed arrays: what a derivation passes through, and what it arrives at.

An :class:`Equation` is ``left = reduction over indices of a product, under conditions``. Its axes
are sympy expressions, its conditions are the two that a position must fulfil by the notation's
one boundary rule: to be a whole number, and to lie inside its axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy

from contractconv.calculus.symbols import DOTS, axis, joined
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Reduction, Spec, Term
from contractconv.remembering import Value, remembered

Substitution = Mapping[Any, Any]


class Size(sympy.Symbol):  # type: ignore[misc]
    """A symbol for a size; an index or a parameter of the same name is another symbol."""


def size(name: str) -> Size:
    """The number of values of an index, or of elements of an axis: ``N_i``."""
    return Size(f"N_{name}", integer=True, nonnegative=True)


@dataclass(frozen=True, slots=True)
class Element:
    """An element of an array, ``X[b, 2*i+k-1, c]``.

    Attributes:
        name: the array's name.
        axes: where it is read or written, compositions split.
        like: the term of the string, which knows what is composed.
    """

    name: str
    axes: tuple[sympy.Expr, ...]
    like: Term

    @property
    def sympy(self) -> sympy.Expr:
        """The element as sympy knows it; a scalar is a symbol."""
        if not self.axes:
            return sympy.Symbol(self.name)
        return sympy.Indexed(sympy.IndexedBase(self.name), *self.axes)

    def substituted(self, values: Substitution) -> Element:
        """Return the element at other positions."""
        return replace(self, axes=tuple(_put(axis, values) for axis in self.axes))


@dataclass(frozen=True, slots=True)
class Delta:
    """``δ(position, expression)``: one axis of the differentiated operand."""

    position: sympy.Symbol
    expression: sympy.Expr

    @property
    def sympy(self) -> sympy.Expr:
        """One where both are equal, zero elsewhere."""
        return sympy.KroneckerDelta(self.position, self.expression)

    def substituted(self, values: Substitution) -> Delta:
        """Return the delta with its expression changed."""
        return replace(self, expression=_put(self.expression, values))


@dataclass(frozen=True, slots=True)
class Divides:
    """``divisor | number``: a fraction is a whole number."""

    divisor: sympy.Expr
    number: sympy.Expr

    @property
    def sympy(self) -> sympy.Basic:
        """The condition for sympy."""
        return sympy.Eq(sympy.Mod(self.number, self.divisor, evaluate=False), 0, evaluate=False)

    def substituted(self, values: Substitution) -> Divides:
        """Return the condition about a changed number."""
        return replace(self, number=_put(self.number, values))


@dataclass(frozen=True, slots=True)
class Inside:
    """``0 <= position < size``: a position lies inside its axis."""

    position: sympy.Expr
    size: sympy.Symbol

    @property
    def sympy(self) -> sympy.Basic:
        """The condition for sympy."""
        return sympy.And(sympy.Ge(self.position, 0), sympy.Lt(self.position, self.size))

    def substituted(self, values: Substitution) -> Inside:
        """Return the condition about a changed position."""
        return replace(self, position=_put(self.position, values))


Guard = Divides | Inside


def _put(formula: Any, values: Substitution) -> Any:
    return sympy.expand(formula.xreplace(values))


@dataclass(frozen=True)
class Equation(Value):
    """``left = reduction over summed of Π factors Π deltas, where guards``.

    Attributes:
        left: what is defined; its positions run over the whole array.
        factors: the elements that are multiplied.
        summed: the indices that are reduced.
        deltas: positions of the left side that are tied to expressions.
        guards: conditions under which a point contributes.
        reduce: how contributions combine.
        parameters: symbols that stand for numbers, not for indices.
        scale: the indices by whose extents the sum is divided, with repetition.
    """

    left: Element
    factors: tuple[Element, ...]
    summed: tuple[sympy.Symbol, ...]
    deltas: tuple[Delta, ...] = ()
    guards: tuple[Guard, ...] = ()
    reduce: Reduction = "sum"
    parameters: tuple[str, ...] = ()
    scale: tuple[str, ...] = ()

    @remembered
    def sympy(self) -> sympy.Expr:
        """The right-hand side: a ``Sum`` of a ``Piecewise`` over products of ``Indexed``."""
        product = sympy.Mul(*(f.sympy for f in self.factors), *(d.sympy for d in self.deltas))
        if self.guards:
            condition = sympy.And(*(guard.sympy for guard in self.guards))
            product = sympy.Piecewise((product, condition), (0, True), evaluate=False)
        ranges = [(index, 0, size(index.name) - 1) for index in self.summed]
        total = sympy.Sum(product, *ranges) if ranges else product
        return total / sympy.Mul(*map(size, self.scale)) if self.scale else total

    @remembered
    def names(self) -> frozenset[str]:
        """Every index of the left side, of the sum, and of the deltas."""
        positions = {p.name for p in self.left.axes if p.is_Symbol}
        tied = {d.position.name for d in self.deltas}
        return frozenset(positions | tied | {index.name for index in self.summed} | {DOTS})

    @remembered
    def spec(self) -> Spec:
        """The axes as the notation writes them: factors as inputs, the left side as output."""
        names = self.names
        tied = {delta.position: delta.expression for delta in self.deltas}
        inputs = tuple(
            joined([axis(e, names) for e in factor.axes], factor.like) for factor in self.factors
        )
        output = joined([axis(tied.get(e, e), names) for e in self.left.axes], self.left.like)
        return Spec(inputs, output, self.reduce, self.parameters)

    @remembered
    def _rank(self) -> dict[str, int]:
        # What is solved for comes first, then as in the strings.
        tied = [delta.position.name for delta in self.deltas]
        return {name: n for n, name in enumerate(dict.fromkeys([*tied, *self.spec.prominence]))}

    def written(self, formula: Any) -> Affine:
        """Return an expression of this equation as an axis, its indices in the order of writing."""
        names = {symbol.name for symbol in formula.free_symbols}.difference(self.parameters)
        found = axis(formula, names)
        return found.ordered({name: self._rank.get(name, -1) for name in found.names})

    def substituted(self, values: Substitution) -> Equation:
        """Return the equation with indices on its right side replaced."""
        return replace(
            self,
            factors=tuple(factor.substituted(values) for factor in self.factors),
            deltas=tuple(delta.substituted(values) for delta in self.deltas),
            guards=tuple(guard.substituted(values) for guard in self.guards),
        )
