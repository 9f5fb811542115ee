"""Equations as a textbook prints them: sums without deltas, conditions in as few words as possible.

A string keeps a delta where no axis could say the condition that is left when it is solved. A
formula has conditions of its own, so it can say them all.
"""

from __future__ import annotations

from dataclasses import replace

from contractconv.calculus.conditions import simplified
from contractconv.calculus.deltas import solvable, solve_for
from contractconv.calculus.equation import Equation, Inside, size
from contractconv.calculus.symbols import parameter


def textbook(equation: Equation) -> Equation:
    """An equal equation that is easier to read.

    Example:
        >>> from contractconv.calculus.backward import forward_equation
        >>> from contractconv.notation.parser import parse
        >>> textbook(forward_equation(parse("i -> (2*i)"))).sympy
        Piecewise((X[h/2], Eq(Mod(h, 2), 0) & (h/2 >= 0) & (h/2 < N_i)), (0, True))
    """
    return simplified(_without_ranges(_solved(equation)))


def _solved(equation: Equation) -> Equation:
    if equation.empty or equation.counts_points:  # by their deltas
        return equation
    for position in [delta.position for delta in equation.deltas]:
        delta = next(d for d in equation.deltas if d.position == position)
        chosen = solvable(equation, delta)
        if chosen:
            equation = solve_for(equation, delta, chosen[0]).equation
    return equation


def _without_ranges(equation: Equation) -> Equation:
    """Without conditions that a position of the result is inside the axis that it runs over."""
    ranges = {Inside(axis, size(axis.name)) for axis in equation.left.axes if axis.is_Symbol}
    return replace(equation, guards=tuple(g for g in equation.guards if g not in ranges))


def spread(equation: Equation) -> Equation:
    """Write an element at the expression that it is tied to, if that says which element it is.

    ``dX[w] = Σ_{h,k} ... δ(w, 2*h)`` is ``dX[2*h] = Σ_{k} ...``: no two ``h`` make one ``w``. It
    says nothing of the other elements, on which nothing lands.
    """
    for delta in equation.deltas:
        free = {symbol for axis in equation.left.axes for symbol in axis.free_symbols}
        summed = delta.expression.free_symbols & set(equation.summed)
        others = delta.expression.free_symbols - summed - set(map(parameter, equation.parameters))
        if len(summed) == 1 and others <= free - {delta.position}:
            (counted,) = summed
            return spread(
                replace(
                    equation,
                    left=equation.left.substituted({delta.position: delta.expression}),
                    deltas=tuple(d for d in equation.deltas if d != delta),
                    summed=tuple(symbol for symbol in equation.summed if symbol != counted),
                )
            )
    return equation
