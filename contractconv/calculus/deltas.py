"""Eliminating Kronecker deltas from a backward sum.

``δ(m, s*i + d*k + o)`` under a sum over ``i`` leaves the points where ``i = (m - d*k - o)/s`` is
a whole number in its range. sympy's own summation forgets the first condition for ``|s| > 1``.
Here both conditions stay: some operand has ``i`` alone on an axis, that axis becomes the
fraction, and by the notation's one boundary rule it contributes only where it is a whole number
inside the axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sympy

# Names for the positions of the differentiated operand, as one would choose them by hand.
POSITION_NAMES = ("h", "w", "d", "y", "x", "z", "u", "v", "t", "p", "q", "r", "m", "n")


@dataclass(frozen=True, slots=True)
class Delta:
    """``KroneckerDelta(position, expression)``: one axis of the differentiated operand."""

    position: sympy.Symbol
    expression: sympy.Expr


@dataclass(frozen=True, slots=True)
class Elimination:
    """A sum without deltas.

    Attributes:
        operands: the axes of each operand after substitution.
        output: the axes of the result; where no index could be eliminated, the expression itself.
        indices: every index name that may occur in them.
    """

    operands: tuple[tuple[sympy.Expr, ...], ...]
    output: tuple[sympy.Expr, ...]
    indices: frozenset[str]


def eliminate(
    deltas: Sequence[Delta],
    operands: Sequence[tuple[sympy.Expr, ...]],
    indices: Sequence[sympy.Symbol],
    taken: Iterable[str],
) -> Elimination:
    """Solve each delta for one summed index and substitute it.

    Args:
        deltas: one for each axis of the differentiated operand, in order.
        operands: the axes of the other factors; the cotangent comes first.
        indices: the summation indices that may be eliminated.
        taken: names that a new index must not have.

    Returns:
        The sum with as few scatters left as possible.
    """
    work = _Work(list(operands), [delta.expression for delta in deltas], set(indices))
    for place, delta in enumerate(deltas):
        if delta.expression in work.summed:
            work.keep(place, delta.expression)
    names = iter(_fresh(taken))
    name = next(names)
    for place in range(len(deltas)):
        if place in work.solved:
            continue
        if any(work.substitute(place, symbol, name) for symbol in _choices(work, place)):
            name = next(names)
    used = {str(symbol) for symbol in (*work.summed, *work.new)}
    return Elimination(tuple(work.operands), tuple(work.output), frozenset(used))


class _Work:
    """The sum while its deltas are eliminated one after another."""

    def __init__(
        self,
        operands: list[tuple[sympy.Expr, ...]],
        output: list[sympy.Expr],
        summed: set[sympy.Symbol],
    ) -> None:
        self.operands = operands
        self.output = output
        self.summed = summed
        self.solved: set[int] = set()
        self.new: set[sympy.Symbol] = set()
        self.bound: set[sympy.Symbol] = set()

    def keep(self, place: int, symbol: sympy.Symbol) -> None:
        """``δ(m, i)``: the position is the index, so ``m`` may be called ``i``."""
        self.solved.add(place)
        self.bound.add(symbol)

    def substitute(self, place: int, symbol: sympy.Symbol, name: str) -> bool:
        """Solve the delta of one axis for ``symbol`` and put the solution everywhere.

        Returns:
            Whether it was done. It is not where another axis would become the new position
            alone: standing alone says that both axes are of one size, which nobody knows.
        """
        position = sympy.Symbol(name, integer=True)
        expression = self.output[place]
        coefficient = expression.coeff(symbol)
        solution = (position - (expression - coefficient * symbol)) / coefficient
        operands = [
            tuple(sympy.expand(axis.subs(symbol, solution)) for axis in axes)
            for axes in self.operands
        ]
        output = [sympy.expand(axis.subs(symbol, solution)) for axis in self.output]
        output[place] = position
        if any(position in axes for axes in operands) or output.count(position) > 1:
            return False
        self.operands, self.output = operands, output
        self.solved.add(place)
        self.summed.discard(symbol)
        self.new.add(position)
        return True


def _choices(work: _Work, place: int) -> list[sympy.Symbol]:
    """The indices to eliminate, best first.

    Each stands alone on an axis of some operand; that axis will keep its two conditions. Those of
    the cotangent come first, and among equals those that need no division.
    """
    expression = sympy.expand(work.output[place])
    work.output[place] = expression
    free = (expression.free_symbols & work.summed) - work.bound
    alone = dict.fromkeys(axis for axes in work.operands for axis in axes if axis in free)
    cotangent = set(work.operands[0])

    def preference(symbol: sympy.Symbol) -> tuple[bool, bool]:
        return symbol not in cotangent, abs(expression.coeff(symbol)) != 1

    return sorted(alone, key=preference)


def _fresh(taken: Iterable[str]) -> Iterable[str]:
    used = set(taken)
    yield from (name for name in POSITION_NAMES if name not in used)
    number = 0
    while True:
        number += 1
        if f"m{number}" not in used:
            yield f"m{number}"
