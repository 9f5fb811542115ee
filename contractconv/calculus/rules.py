"""What each reduction says in a formula, and how it is differentiated: one entry each in one table.

A reduction's equation is written from its entry in every script: a big sign over the reduced
indices, with a function in front of it, one inside it, or a division by the number of points.

The gradient of any reduction is a plain sum of products. A sum needs nothing but the
cotangent and the other operands; the other reductions meet one more operand, the *local
derivative* of the result by each contribution. An entry names it and says which indices it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy
from sympy.concrete.expr_with_limits import ExprWithLimits

from contractconv.calculus.symbols import DOTS, split
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Dots, Spec, Term, unique_names


class _Extreme(ExprWithLimits):  # type: ignore[misc]
    """The extreme value of an expression over ranges of indices."""

    choose: Any = None

    def doit(self, **hints: Any) -> sympy.Expr:
        """Compare all values, if the ranges are numbers."""
        values = [self.function]
        for symbol, low, high in self.limits:
            if not (low.is_Integer and high.is_Integer):
                return self
            places = range(int(low), int(high) + 1)
            values = [value.subs(symbol, place) for value in values for place in places]
        return self.choose(*values)

    def _latex(self, printer: Any) -> str:
        under = ", ".join(printer.doprint(symbol) for symbol, _, _ in self.limits)
        name = self.choose.__name__.lower()
        return rf"\{name}_{{{under}}} {printer.doprint(self.function)}"


class Maximum(_Extreme):
    """The greatest value of an expression over ranges of indices."""

    choose = sympy.Max


class Minimum(_Extreme):
    """The least value of an expression over ranges of indices."""

    choose = sympy.Min


@dataclass(frozen=True, slots=True)
class LocalDerivative:
    """The extra operand of a backward contraction.

    Attributes:
        symbol: its letter in formulas.
        meaning: what it holds, as a phrase.
        per_point: whether it has a value for each point (otherwise for each output element).
        along: the symbol and the meaning of how it changes along a tangent ``V``; ``None`` where it
            is constant almost everywhere.
    """

    symbol: str
    meaning: str
    per_point: bool
    along: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One reduction.

    Attributes:
        sign: what stands in front of a product, over the reduced indices.
        big: the same for sympy.
        empty: what is left of no points.
        local: its local derivative; ``None`` for a sum.
        averages: whether the sum is divided by the number of points.
        outside, inside: names of functions of the whole, and of each product.
    """

    sign: str
    big: Any
    empty: Any
    local: LocalDerivative | None
    averages: bool = False
    outside: str = ""
    inside: str = ""

    def sympy(self, product: Any, condition: Any, ranges: Sequence[Any]) -> sympy.Expr:
        """The reduction of a product over ranges, where a condition holds, as sympy writes it."""
        if not ranges:
            return _where(product, condition, self.empty)
        value = getattr(sympy, self.inside)(product) if self.inside else product
        empty = sympy.S.Zero if self.outside else self.empty
        total = self.big(_where(value, condition, empty), *ranges)
        return getattr(sympy, self.outside)(total) if self.outside else total


def _where(value: Any, condition: Any, otherwise: Any) -> sympy.Expr:
    if condition == sympy.true:
        return value
    return sympy.Piecewise((value, condition), (otherwise, True), evaluate=False)


RULES: dict[str, Rule] = {
    "sum": Rule("Σ", sympy.Sum, sympy.S.Zero, None),
    "mean": Rule(
        "Σ", sympy.Sum, sympy.S.Zero,
        LocalDerivative("M", "one over the number of points averaged", per_point=False),
        averages=True,
    ),
    "max": Rule(
        "max", Maximum, -sympy.oo,
        LocalDerivative("S", "one at the first maximum, else zero", per_point=True),
    ),
    "min": Rule(
        "min", Minimum, sympy.oo,
        LocalDerivative("S", "one at the first minimum, else zero", per_point=True),
    ),
    "prod": Rule(
        "Π", sympy.Product, sympy.S.One,
        LocalDerivative(
            "P", "the product of all other points", per_point=True,
            along=("Q", "the change along V of the product of all other points"),
        ),
    ),
    "logsumexp": Rule(
        "Σ", sympy.Sum, -sympy.oo,
        LocalDerivative(
            "P", "the softmax over the reduced points", per_point=True,
            along=("Q", "P·(v - Σ P·v), with v a point's product with V in it"),
        ),
        outside="log", inside="exp",
    ),
}  # fmt: skip


def local_term(spec: Spec) -> Term | None:
    """The axes of the local derivative of a contraction's reduction; ``None`` if it has none."""
    local = RULES[spec.reduce].local
    if local is None:
        return None
    if local.per_point:
        terms = tuple(split(term) for term in (spec.output, *spec.inputs))
        dots = DOTS if spec.has_dots else None
        return tuple(Dots() if n == dots else Affine.index(n) for n in unique_names(terms))
    return () if counted(spec) is not None else spec.output


def local_name(spec: Spec) -> str:
    """What the local derivative is called: a letter, or one over the number of points."""
    local, over = RULES[spec.reduce].local, counted(spec)
    assert local is not None, "a sum has none"
    if over is None:
        return local.symbol
    sizes = [f"N_{name}" for name in over] or ["1"]
    return f"1/{sizes[0]}" if len(sizes) == 1 else f"1/({'*'.join(sizes)})"


def counted(spec: Spec) -> tuple[str, ...] | None:
    """The indices whose extents are the number of points of a mean, the same for each element.

    Returns:
        ``None`` if it differs from element to element, or if the reduction is no mean.
    """
    if not RULES[spec.reduce].averages or not _every_element_alike(spec):
        return None
    kept = {axis.plain for axis in split(spec.output)}
    dots = any(isinstance(axis, Dots) for term in spec.inputs for axis in term)
    lost = (DOTS,) * (dots and DOTS not in kept)
    return (*lost, *(name for name in spec.reduced if name not in kept))


def _every_element_alike(spec: Spec) -> bool:
    names = [name for axis in spec.output for name in axis.names]
    plain = all(not isinstance(axis, Affine) or axis.plain for axis in spec.output)
    return plain and len(set(names)) == len(names)
