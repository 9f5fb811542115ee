"""Eliminating Kronecker deltas from a backward sum.

``δ(m, s*i + d*k + o)`` under a sum over ``i`` leaves the points where ``i = (m - d*k - o)/s`` is
a whole number in its range. sympy's own summation forgets the first condition for ``|s| > 1``.
Here both conditions stay: some operand has ``i`` alone on an axis, that axis becomes the
fraction, and by the notation's one boundary rule it contributes only where it is a whole number
inside the axis.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import sympy

from contractconv.calculus.equation import Delta, Divides, Equation, Guard, Inside, size


@dataclass(frozen=True, slots=True)
class Elimination:
    """One delta, eliminated.

    Attributes:
        delta: the delta.
        index: the summed index that it was solved for.
        solution: what the index became.
        guards: the conditions that this adds.
        equation: the sum afterwards.
    """

    delta: Delta
    index: sympy.Symbol
    solution: sympy.Expr
    guards: tuple[Guard, ...]
    equation: Equation

    @property
    def renames(self) -> bool:
        """Whether nothing happened but that the position got the index's name."""
        return bool(self.solution == self.index)


def eliminate(equation: Equation, fixed: Collection[sympy.Symbol]) -> list[Elimination]:
    """Solve each delta for one summed index and substitute it.

    Args:
        equation: a sum with deltas; the first factor is the cotangent.
        fixed: indices that may become a position but no other expression.

    Returns:
        The deltas that could be eliminated, in order.
    """
    done = _renamed(equation)
    equation = done[-1].equation if done else equation
    for delta in equation.deltas:
        if found := _solved(equation, delta.position, fixed):
            done.append(found)
            equation = found.equation
    return done


def _renamed(equation: Equation) -> list[Elimination]:
    """``δ(m, i)``: the position is the index, so ``m`` may be called ``i``."""
    done: list[Elimination] = []
    for delta in equation.deltas:
        name = delta.expression
        if name in equation.summed:
            left = equation.left.substituted({delta.position: name})
            equation = replace(_without(equation, delta, name), left=left)
            done.append(Elimination(delta, name, name, (), equation))
    return done


def _solved(
    equation: Equation, position: sympy.Symbol, fixed: Collection[sympy.Symbol]
) -> Elimination | None:
    delta = next(d for d in equation.deltas if d.position == position)
    for index in _choices(equation, delta, fixed):
        coefficient = delta.expression.coeff(index)
        rest = delta.expression - coefficient * index
        solution = sympy.expand((position - rest) / coefficient)
        after = _without(equation, delta, index).substituted({index: solution})
        # Standing alone says that both axes are of one size, which nobody knows.
        alone = (delta.expression for delta in after.deltas)
        if position not in alone and not any(position in f.axes for f in after.factors):
            guards = _conditions(solution, index)
            after = replace(after, guards=(*after.guards, *guards))
            return Elimination(delta, index, solution, guards, after)
    return None


def _without(equation: Equation, delta: Delta, index: sympy.Symbol) -> Equation:
    return replace(
        equation,
        deltas=tuple(d for d in equation.deltas if d != delta),
        summed=tuple(symbol for symbol in equation.summed if symbol != index),
    )


def _conditions(solution: sympy.Expr, index: sympy.Symbol) -> tuple[Guard, ...]:
    """When a solution is a whole number, and in the range of the index."""
    number, divisor = sympy.fraction(sympy.together(solution))
    whole = () if divisor == 1 else (Divides(divisor, sympy.expand(number)),)
    return (*whole, Inside(solution, size(index.name)))


def _choices(
    equation: Equation, delta: Delta, fixed: Collection[sympy.Symbol]
) -> list[sympy.Symbol]:
    """The indices to eliminate, best first.

    Each stands alone on an axis of some factor; that axis will keep its two conditions. Those of
    the cotangent come first, and among equals those that need no division.
    """
    free = delta.expression.free_symbols & set(equation.summed)
    axes = [axis for factor in equation.factors for axis in factor.axes]
    alone = dict.fromkeys(axis for axis in axes if axis in free and axis not in fixed)
    cotangent = {axis for factor in equation.factors[:1] for axis in factor.axes}

    def preference(symbol: sympy.Symbol) -> tuple[bool, bool]:
        return symbol not in cotangent, abs(delta.expression.coeff(symbol)) != 1

    return sorted(alone, key=preference)
