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
from contractconv.notation.spec import Composition, Spec, Term


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
    return Formulas(
        forward, operand, derivative, scatter, _gather(factors, deltas, forward, target)
    )


def _differentiate(factors: list[Term], target: Term) -> tuple[sympy.Expr, list[Delta]]:
    """Differentiate the loss by the element of the target at fresh positions."""
    names = dict.fromkeys(n for t in [*factors, target] for a in split(t) for n in a.names)
    product = sympy.Mul(*(_element(f"T{n}", term) for n, term in enumerate(factors)))
    axes = split(target)
    positions = [sympy.Dummy(f"m{n}", integer=True) for n in range(len(axes))]
    at_positions = sympy.IndexedBase("X")[tuple(positions)] if axes else sympy.Symbol("X")
    # The ranges do not depend on X, so the derivative goes under the sum; sympy would carry it
    # there one range at a time, which takes ten times as long.
    summand = sympy.diff(product * _element("X", target), at_positions)
    ranges = [(index(name), 0, sympy.Symbol(f"N_{name}") - 1) for name in names]
    derivative = sympy.Sum(summand, *ranges) if ranges and summand != 0 else summand
    if summand == 0:
        # sympy saw that an axis like (1/2) is never a whole number; the string says it as well.
        return derivative, [Delta(p, expression(a)) for p, a in zip(positions, axes, strict=True)]
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
    equation = sympy.expand(delta.args[0] - delta.args[1])
    coefficient = equation.coeff(position)
    return Delta(position, sympy.expand((coefficient * position - equation) / coefficient))


def _gather(factors: list[Term], deltas: list[Delta], forward: Spec, target: Term) -> Spec:
    operands = [tuple(expression(a) for a in split(term)) for term in factors]
    names = [*dict.fromkeys(n for t in [*factors, target] for a in split(t) for n in a.names)]
    taken = {*names, *forward.parameters}
    composed = {n for t in factors for a in t if isinstance(a, Composition) for n in a.names}
    free = [index(name) for name in names if name not in composed]
    solved = eliminate(deltas, operands, free, taken)
    known = {*solved.indices, *composed}
    inputs = tuple(
        joined([axis(e, known) for e in axes], term)
        for axes, term in zip(solved.operands, factors, strict=True)
    )
    output = joined([axis(e, known) for e in solved.output], target)
    return Spec(inputs, output, "sum", forward.parameters)


def _spec(factors: list[Term], axes: list[sympy.Expr], forward: Spec, target: Term) -> Spec:
    names = {*forward.indices, DOTS}
    output = joined([axis(e, names) for e in axes], target)
    return Spec(tuple(factors), output, "sum", forward.parameters)
