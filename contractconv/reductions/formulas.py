"""Reductions as sympy writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
from sympy.concrete.expr_with_limits import ExprWithLimits

from contractconv.reductions.record import Record


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


def reduced(record: Record, product: Any, condition: Any, ranges: Sequence[Any]) -> sympy.Expr:
    """The reduction of a product over ranges, where a condition holds."""
    if not ranges and record.keeps_one:
        return _where(product, condition, record.identity)
    inner = record.inside.sympy(product) if record.inside else product
    total = _where(inner, condition, record.sign.neutral)
    total = record.sign.sympy(total, *ranges) if ranges else total
    return record.outside.sympy(total) if record.outside else total


def _where(value: Any, condition: Any, otherwise: float) -> sympy.Expr:
    if condition == sympy.true:
        return value
    empty = sympy.sympify(otherwise)
    return sympy.Piecewise((value, condition), (empty, True), evaluate=False)
