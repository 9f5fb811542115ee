"""Equations between indexed arrays: what a derivation passes through, and what it arrives at.

An :class:`Equation` is ``left = reduction over indices of a product, under conditions``. Its axes
are sympy expressions, its conditions are the two that a position must fulfil by the notation's
one boundary rule: to be a whole number, and to lie inside its axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy
from sympy import Expr, Symbol

from contractconv.calculus.symbols import DOTS, PRIME, axis, index, joined
from contractconv.lazy import Value, remembered
from contractconv.notation.affine import Affine
from contractconv.notation.spec import SUM, Composition, Reduction, Spec, Term
from contractconv.reductions.formulas import reduced
from contractconv.reductions.table import REDUCTIONS

Substitution = Mapping[Any, Any]


class Size(sympy.Symbol):  # type: ignore[misc]
    """A symbol for a size; an index or a parameter of the same name is another symbol."""


def size(name: str) -> Size:
    """The number of values of an index, or of elements of an axis: ``N_i``, of ``i'`` as well."""
    return Size(f"N_{name.rstrip(PRIME)}", integer=True, nonnegative=True)


@dataclass(frozen=True, slots=True)
class Element:
    """An element of an array, ``X[b, 2*i+k-1, c]``.

    Attributes:
        name: the array's name.
        axes: where it is read or written, compositions split.
        like: the term of the string, which knows what is composed.
        over: the indices by whose extents one is divided, if that is all it is.
    """

    name: str
    axes: tuple[sympy.Expr, ...]
    like: Term
    over: tuple[str, ...] | None = None

    @property
    def sympy(self) -> sympy.Expr:
        """The element as sympy knows it, with an index for each axis; a scalar is a symbol."""
        if self.over is not None:
            return 1 / sympy.Mul(*map(size, self.over))
        if not self.axes:
            return sympy.Symbol(str(self.name))
        return sympy.Indexed(sympy.IndexedBase(str(self.name)), *self._composed())

    def _composed(self) -> Iterator[Expr]:
        """One position for each axis of the array."""
        remaining = iter(self.axes)
        for entry in self.like:
            if not isinstance(entry, Composition):
                yield next(remaining)
                continue
            place = sympy.S.Zero
            for name in entry.names:
                place = place * size(name) + next(remaining)
            yield sympy.expand(place)

    @property
    def split(self) -> Expr:
        """The element with each index of a composition on an axis of its own."""
        if not self.axes:
            return self.sympy
        return sympy.Indexed(sympy.IndexedBase(str(self.name)), *self.axes)

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
        typed: the axes from which it was derived, as they were written.
        empty: whether no point fulfils the conditions, so that there is nothing to be reduced.
    """

    left: Element
    factors: tuple[Element, ...]
    summed: tuple[sympy.Symbol, ...]
    deltas: tuple[Delta, ...] = ()
    guards: tuple[Guard, ...] = ()
    reduce: Reduction = SUM
    parameters: tuple[str, ...] = ()
    scale: tuple[str, ...] = ()
    typed: tuple[Affine, ...] = ()
    empty: bool = False

    @remembered
    def sympy(self) -> sympy.Expr:
        """The right-hand side: a ``Sum`` of a ``Piecewise`` over products of ``Indexed``.

        Other reductions have a ``Product``, a ``Maximum``, ... in the place of the ``Sum``.
        """
        if self.empty:
            return sympy.sympify(REDUCTIONS[self.reduce].identity)
        parts = [f.sympy for f in self.factors]
        conditions = [guard.sympy for guard in self.guards]
        if self.multiplies_deltas:
            parts += [delta.sympy for delta in self.deltas]
        else:
            conditions += [sympy.Eq(d.position, d.expression) for d in self.deltas]
        record, product = REDUCTIONS[self.reduce], sympy.Mul(*parts)
        total = reduced(record, product, sympy.And(*conditions), self._ranges)
        if record.averages:
            total *= self._share()
        return total / sympy.Mul(*map(size, self.scale)) if self.scale else total

    @property
    def symbols(self) -> dict[str, Symbol]:
        """Every symbol of both sides by name; where two share one, that of a size."""
        formula = self.sympy
        arrays = {base.label for base in formula.atoms(sympy.IndexedBase)}
        found = formula.atoms(sympy.Symbol).difference(arrays)
        found |= {symbol for axis in self.left.axes for symbol in axis.free_symbols}
        ordered = sorted(found, key=lambda symbol: (isinstance(symbol, Size), symbol.name))
        return {symbol.name: symbol for symbol in ordered}

    @property
    def elements(self) -> tuple[Element, ...]:
        """What is defined, and what it is made of."""
        return (self.left, *self.factors)

    @property
    def multiplies_deltas(self) -> bool:
        """Whether a delta is a factor: zeros among the candidates of a maximum would count."""
        return REDUCTIONS[self.reduce].linear

    @property
    def counts_points(self) -> bool:
        """Whether it is a mean of which every element may have a number of points of its own."""
        return REDUCTIONS[self.reduce].averages and bool(self.deltas and self.summed)

    @property
    def _ranges(self) -> list[tuple[Symbol, int, Expr]]:
        return [(index, 0, size(index.name) - 1) for index in self.summed]

    def _share(self) -> Expr:
        """One over the number of points that a mean is about, read inside or not."""
        if not self.counts_points:
            return 1 / sympy.Mul(*(size(index.name) for index in self.summed))
        count = sympy.Sum(sympy.Mul(*(delta.sympy for delta in self.deltas)), *self._ranges)
        return sympy.Piecewise((1 / count, count > 0), (0, True), evaluate=False)

    @remembered
    def names(self) -> frozenset[str]:
        """Every index of the left side, of the sum, and of the deltas."""
        positions = {s.name for p in self.left.axes for s in p.free_symbols}
        tied = {d.position.name for d in self.deltas}
        found = positions | tied | {index.name for index in self.summed} | {DOTS}
        return frozenset(found.difference(self.parameters))

    @property
    def letters(self) -> frozenset[str]:
        """All that stands for a number by itself: indices and parameters."""
        return self.names.union(self.parameters)

    @remembered
    def spec(self) -> Spec:
        """The axes as the notation writes them: factors as inputs, the left side as output."""
        return self._unordered.mapped(
            lambda found: self._ordered(found) if isinstance(found, Affine) else found
        )

    @remembered
    def _unordered(self) -> Spec:
        names = self.names
        tied = {delta.position: delta.expression for delta in self.deltas}
        inputs = tuple(
            joined([axis(e, names) for e in factor.axes], factor.like) for factor in self.factors
        )
        output = joined([axis(tied.get(e, e), names) for e in self.left.axes], self.left.like)
        return Spec(inputs, output, self.reduce, self.parameters)

    def written(self, formula: Any) -> Affine:
        """Return an expression of this equation as an axis, its indices in the order of writing."""
        names = {symbol.name for symbol in formula.free_symbols}.difference(self.parameters)
        return self._ordered(axis(formula, names))

    def _ordered(self, found: Affine) -> Affine:
        """An axis as whoever typed the contraction would write it.

        Positions, which nobody typed, come first. The others follow each other as in the axis
        that has most of them.
        """
        if len(found.terms) <= 1:
            return found
        if found in self.typed:
            return self.typed[self.typed.index(found)]
        names = {*found.names, *(name.rstrip(PRIME) for name in found.names)}
        alike = sorted(self.typed, key=lambda axis: -len(names.intersection(axis.names)))
        order = dict.fromkeys(name for axis in alike for name in axis.names)
        places = {name: n for n, name in enumerate(order)}

        def rank(name: str) -> tuple[int, int]:
            typed = places.get(name, places.get(name.rstrip(PRIME), -1))
            return typed, self._rank.get(name, -1)

        return found.ordered(rank)

    @remembered
    def _rank(self) -> dict[str, int]:
        # What is solved for comes first.
        tied = [delta.position.name for delta in self.deltas]
        names = dict.fromkeys([*tied, *self._unordered.prominence])
        return {name: n for n, name in enumerate(names)}

    @property
    def primed(self) -> Equation:
        """The same at another point: the reduced indices have a prime."""
        other = {symbol: index(f"{symbol.name}'") for symbol in self.summed}
        return replace(self.substituted(other), summed=tuple(other.values()))

    def substituted(self, values: Substitution) -> Equation:
        """Return the equation with indices on its right side replaced."""
        return replace(
            self,
            factors=tuple(factor.substituted(values) for factor in self.factors),
            deltas=tuple(delta.substituted(values) for delta in self.deltas),
            guards=tuple(guard.substituted(values) for guard in self.guards),
        )

    def renamed(self, names: Substitution) -> Equation:
        """Return the equation with indices and positions called otherwise, on both sides."""
        after = self.substituted(names)
        return replace(
            after,
            left=self.left.substituted(names),
            summed=tuple(names.get(index, index) for index in self.summed),
            deltas=tuple(
                replace(d, position=names.get(d.position, d.position)) for d in after.deltas
            ),
        )
