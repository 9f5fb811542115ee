"""Eliminating Kronecker deltas from a backward sum.

``δ(m, s*i + d*k + o)`` under a sum over ``i`` leaves the points where ``i = (m - d*k - o)/s`` is
a whole number in its range. sympy's own summation forgets the first condition for ``|s| > 1``.
Here both conditions stay: some operand has ``i`` alone on an axis, that axis becomes the
fraction, and by the notation's one boundary rule it contributes only where it is a whole number
inside the axis.

With symbols, ``s`` may only be divided by where it is zero for no stride and no dilation: a delta
with ``s-1`` in front of every index stays as it is, which is right for ``s = 1`` as well.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import sympy

from contractconv.calculus.equation import Delta, Divides, Equation, Guard, Inside, size
from contractconv.calculus.symbols import index as symbol_of
from contractconv.calculus.symbols import parameter, scaling
from contractconv.notation.spec import composed_names


@dataclass(frozen=True, slots=True)
class Elimination:
    """One delta, eliminated.

    Attributes:
        delta: the delta.
        index: the summed index that it was solved for.
        solution: what the index became.
        guards: the conditions that this adds.
        equation: the sum afterwards.
        sayable: whether the axes of the sum, as a string, say what this adds.
    """

    delta: Delta
    index: sympy.Symbol
    solution: sympy.Expr
    guards: tuple[Guard, ...]
    equation: Equation
    sayable: bool = True

    @property
    def renames(self) -> bool:
        """Whether nothing happened but that the position got the index's name."""
        return bool(self.solution == self.index)


def eliminate(
    equation: Equation, fixed: Collection[sympy.Symbol], wanted: Collection[str] = ()
) -> list[Elimination]:
    """Solve each delta for one summed index and substitute it.

    Args:
        equation: a sum with deltas; the first factor is the cotangent.
        fixed: indices that may become a position but no other expression.
        wanted: indices to solve for whether or not a string can say what comes of it.

    Returns:
        The deltas that could be eliminated, in order.
    """
    done = _renamed(equation)
    start = done[-1].equation if done else equation
    solver = _Solver.of(start, fixed, scaling(equation.spec))
    for delta in start.deltas:
        here = done[-1].equation if done else start
        position = delta.position
        found = solver.as_wanted(here, position, wanted) or solver.solved(here, position)
        if found:
            done.append(found)
    return done


def solvable(equation: Equation, delta: Delta) -> list[sympy.Symbol]:
    """The summed indices that a delta may be solved for, best first: those without a division."""
    positive = scaling(equation.spec)
    composed = set(map(symbol_of, composed_names(element.like for element in equation.elements)))
    axes = [axis for factor in equation.factors for axis in factor.axes]
    found = [
        symbol
        for symbol in equation.summed
        if symbol in delta.expression.free_symbols.difference(composed)
        and never_zero(delta.expression.coeff(symbol), positive)
    ]
    return sorted(
        found,
        key=lambda symbol: (
            abs(delta.expression.coeff(symbol)) != 1,
            axes.index(symbol) if symbol in axes else len(axes),
        ),
    )


def solve_for(equation: Equation, delta: Delta, index: sympy.Symbol) -> Elimination:
    """Solve a delta for a summed index, whose coefficient is never zero."""
    coefficient = delta.expression.coeff(index)
    rest = delta.expression - coefficient * index
    solution = sympy.expand((delta.position - rest) / coefficient)
    guards = _conditions(solution, index)
    after = _without(equation, delta, index).substituted({index: solution})
    after = replace(after, guards=(*after.guards, *guards))
    return Elimination(delta, index, solution, guards, after)


def _renamed(equation: Equation) -> list[Elimination]:
    """``δ(m, i)``: the position is the index, so ``m`` may be called ``i``."""
    done: list[Elimination] = []
    for position in [delta.position for delta in equation.deltas]:
        delta = next((d for d in equation.deltas if d.position == position), None)
        if delta is not None and delta.expression in equation.summed:
            name = delta.expression
            left = equation.left.substituted({delta.position: name})
            equation = _moved_up(replace(_without(equation, delta, name), left=left), name)
            done.append(Elimination(delta, name, name, (), equation))
    return done


def _moved_up(equation: Equation, taken: sympy.Symbol) -> Equation:
    """Further positions of an index that is on the left now have a prime less."""
    primed = {
        delta.position: symbol_of(delta.position.name.removesuffix("'"))
        for delta in equation.deltas
        if delta.position.name.rstrip("'") == taken.name
    }
    return replace(
        equation,
        left=equation.left.substituted(primed),
        deltas=tuple(
            replace(d, position=primed.get(d.position, d.position)) for d in equation.deltas
        ),
    )


@dataclass(frozen=True, slots=True)
class _Solver:
    """What is known of a sum before the first delta is solved.

    Attributes:
        fixed: indices that may become a position but no other expression.
        positive: the parameters that are at least one.
        positions: the positions that deltas tie to more than an index.
        computed: the axes on which more than an index stands, by factor and axis.
    """

    fixed: Collection[sympy.Symbol]
    positive: Collection[str]
    positions: frozenset[sympy.Symbol]
    computed: tuple[tuple[int, int], ...]

    @staticmethod
    def of(
        equation: Equation, fixed: Collection[sympy.Symbol], positive: Collection[str]
    ) -> _Solver:
        """Look at a sum in which every delta that only renames is gone."""
        axes = (
            (f, a) for f, factor in enumerate(equation.factors) for a in range(len(factor.axes))
        )
        computed = tuple((f, a) for f, a in axes if not equation.factors[f].axes[a].is_Symbol)
        positions = frozenset(delta.position for delta in equation.deltas)
        return _Solver(fixed, positive, positions, computed)

    def solved(self, equation: Equation, position: sympy.Symbol) -> Elimination | None:
        """Solve the delta of a position for the best index that there is."""
        delta = next(d for d in equation.deltas if d.position == position)
        for index in _choices(equation, delta, self.fixed):
            if never_zero(delta.expression.coeff(index), self.positive):
                found = solve_for(equation, delta, index)
                if not self._ties_sizes(found.equation):
                    return found
        return None

    def as_wanted(
        self, equation: Equation, position: sympy.Symbol, wanted: Collection[str]
    ) -> Elimination | None:
        """Solve the delta of a position for an index that is wanted, if it has one."""
        delta = next(d for d in equation.deltas if d.position == position)
        chosen = [symbol for symbol in solvable(equation, delta) if symbol.name in wanted]
        if not chosen:
            return None
        found = solve_for(equation, delta, chosen[0])
        alone = chosen[0] in _choices(equation, delta, self.fixed)
        return replace(found, sayable=alone and not self._ties_sizes(found.equation))

    def _ties_sizes(self, equation: Equation) -> bool:
        """Whether a position stands alone on an axis that has a size of its own.

        Standing alone says that both axes are of one size, which nobody knows. It does so as well
        if it only comes to stand alone when numbers are put in the place of parameters.
        """
        axes = [equation.factors[f].axes[a] for f, a in self.computed]
        axes += [delta.expression for delta in equation.deltas]
        return any(self._may_stand_alone(axis) for axis in axes)

    def _may_stand_alone(self, axis: sympy.Expr) -> bool:
        return any(
            not any(never_zero(part, self.positive) for part in _parts(axis - position))
            for position in self.positions & axis.free_symbols
        )


def _parts(formula: sympy.Expr) -> list[sympy.Expr]:
    """The coefficients of the indices in an affine expression, and what else there is."""
    indices = [s for s in formula.free_symbols if s != parameter(s.name)]
    rest = sympy.expand(formula)
    coefficients = [rest.coeff(symbol) for symbol in indices]
    return [*coefficients, rest.xreplace(dict.fromkeys(indices, sympy.S.Zero))]


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


def never_zero(coefficient: sympy.Expr, positive: Collection[str]) -> bool:
    """Whether it is known that no admissible parameters make a coefficient zero.

    With ``1 + s`` for each parameter ``s`` that is at least one, all symbols are at least zero. A
    polynomial whose numbers have one sign, the constant among them, is not zero there.

    Args:
        coefficient: a quotient of polynomials in parameters.
        positive: the parameters that are at least one; the others are at least zero.

    Example:
        >>> s, p = parameter("s"), parameter("p")
        >>> [never_zero(c, "s") for c in (s, 2 * s - 1, s + p, s - 1, s - p, p)]
        [True, True, True, False, False, False]
    """
    if coefficient.is_number:
        return bool(coefficient != 0)
    numerator, _ = sympy.fraction(sympy.together(coefficient))
    least = {symbol: 1 + symbol for symbol in map(parameter, positive)}
    terms = sympy.expand(numerator.xreplace(least)).as_coefficients_dict()
    constant = terms.get(sympy.S.One, 0)
    return bool(constant) and all(number * constant > 0 for number in terms.values())


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
