"""Backward contractions: sympy differentiates the sum, and the result is read off as strings.

For ``Y[out] = Σ Π T_n[axes_n]`` and a cotangent ``G[out]``, the loss ``L = Σ G*Y`` is written as a
sympy ``Sum``; ``diff(L, T_n[m, ...])`` gives a Kronecker delta for each axis of ``T_n``; what the
deltas say is read off twice. Left in place they are a *scatter*; eliminated, a *gather*.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sympy

from contractconv.calculus.deltas import Delta, eliminate
from contractconv.calculus.rules import local_term
from contractconv.calculus.symbols import DOTS, axis, expression, index, joined, split
from contractconv.notation.spec import Spec, Term


@dataclass(frozen=True, slots=True)
class Formulas:
    """The gradient of a contraction with respect to one operand.

    Both specs take the cotangent, then the local derivative if the reduction has one, then the
    other operands in order.

    Attributes:
        forward: the contraction.
        operand: the position of the operand.
        derivative: sympy's derivative of the loss, deltas included.
        scatter: contributions are placed where the operand was read.
        gather: each element collects its contributions.
    """

    forward: Spec
    operand: int
    derivative: sympy.Expr
    scatter: Spec
    gather: Spec


@lru_cache(maxsize=1024)
def derive(forward: Spec, operand: int) -> Formulas:
    """Derive the backward contraction of one operand.

    Args:
        forward: the contraction; parameters may be symbolic.
        operand: its position, which must exist.

    Returns:
        The gradient in scatter and in gather form.
    """
    local = local_term(forward)
    target = forward.inputs[operand]
    factors = [forward.output, *([] if local is None else [local])]
    factors += [term for n, term in enumerate(forward.inputs) if n != operand]
    derivative, deltas = _differentiate(factors, target)
    scatter = _spec(factors, [delta.expression for delta in deltas], forward, target)
    return Formulas(forward, operand, derivative, scatter, _gather(factors, deltas, forward, target))


def _differentiate(factors: list[Term], target: Term) -> tuple[sympy.Expr, list[Delta]]:
    """Differentiate the loss by the element of the target at fresh positions."""
    names = dict.fromkeys(n for t in [*factors, target] for a in split(t) for n in a.names)
    product = sympy.Mul(*(_element(f"T{n}", term) for n, term in enumerate(factors)))
    wanted = _element("X", target)
    ranges = [(index(name), 0, sympy.Symbol(f"N_{name}") - 1) for name in names]
    loss = sympy.Sum(product * wanted, *ranges) if ranges else product * wanted
    positions = [sympy.Dummy(f"m{n}", integer=True) for n in range(len(split(target)))]
    if not positions:
        return sympy.diff(loss, wanted), []
    derivative = sympy.diff(loss, sympy.IndexedBase("X")[tuple(positions)])
    summand = derivative.function if isinstance(derivative, sympy.Sum) else derivative
    return derivative, [_delta(summand, position) for position in positions]


def _element(name: str, term: Term) -> sympy.Expr:
    axes = [expression(a) for a in split(term)]
    return sympy.IndexedBase(name)[tuple(axes)] if axes else sympy.Symbol(name)


def _delta(summand: sympy.Expr, position: sympy.Symbol) -> Delta:
    """The factor of the summand that ties ``position`` to an axis."""
    factors = sympy.Mul.make_args(summand)
    (delta,) = (
        f for f in factors if isinstance(f, sympy.KroneckerDelta) and position in f.free_symbols
    )
    (solution,) = sympy.solve(delta.args[0] - delta.args[1], position)
    return Delta(position, solution)


def _gather(factors: list[Term], deltas: list[Delta], forward: Spec, target: Term) -> Spec:
    operands = [tuple(expression(a) for a in split(term)) for term in factors]
    names = [*dict.fromkeys(n for t in [*factors, target] for a in split(t) for n in a.names)]
    taken = {*names, *forward.parameters}
    solved = eliminate(deltas, operands, [index(name) for name in names], taken)
    known = solved.indices
    inputs = tuple(
        joined([axis(e, _in(e, known)) for e in axes], term)
        for axes, term in zip(solved.operands, factors, strict=True)
    )
    output = joined([axis(e, _in(e, known)) for e in solved.output], target)
    return Spec(inputs, output, "sum", forward.parameters)


def _spec(factors: list[Term], axes: list[sympy.Expr], forward: Spec, target: Term) -> Spec:
    names = forward.indices + (DOTS,) * forward.has_dots
    output = joined([axis(e, _in(e, names)) for e in axes], target)
    return Spec(tuple(factors), output, "sum", forward.parameters)


def _in(formula: sympy.Expr, names: tuple[str, ...]) -> list[str]:
    """The index names that occur in a formula, in a fixed order."""
    present = {symbol.name for symbol in formula.free_symbols}
    return [name for name in names if name in present]
