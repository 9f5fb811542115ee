"""Programs carried out once with random numbers, and how their results change.

Nothing of the rules by which gradients are derived takes part: there is only the program, carried
out from its definition, with values that move along some directions at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import product
from math import prod
from random import Random
from typing import Any

import numpy as np

from contractconv.programs.kinds import kind
from contractconv.programs.nodes import Input, Map, Node, Number, in_order
from contractconv.programs.sizing import Sized
from contractconv.verification.programs.algebras import (
    PRIME,
    Algebra,
    Digits,
    Jet,
    Modular,
    NotPolynomialError,
)
from contractconv.verification.programs.evaluation import (
    Array,
    Values,
    aligned,
    as_array,
    evaluated,
    filled,
)
from contractconv.verification.programs.many_digits import (
    DECIMAL_DIGITS,
    DIGITS,
    MP,
    certain_digits,
    difference_step,
)

_LABELS = 3
_LONG = 12

Ends = Sequence[tuple[Node, Node | None]]
"""What is differentiated: outputs, each with what comes back to it if that is no one."""
Move = Mapping[Node, Array]
"""Values that move together, each along a direction."""


def trial_of(program: Sized) -> Trial:
    """A program of polynomials and quotients modulo a prime, another one in many digits."""
    try:
        return _Exact(program, Modular())
    except NotPolynomialError:
        return _numeric(program)


class Trial(ABC):
    """A program, carried out once with random numbers.

    Attributes:
        said: what disagreed last.
        wanted: what the program returns.
        values: of all nodes.
    """

    def __init__(self, program: Sized, algebra: Algebra) -> None:
        self.program, self._algebra, self._random = program, algebra, Random(0)
        self.wanted = frozenset(program.graph.wanted)
        self._given: Values = {node: self._input(node) for node in program.graph.inputs}
        self.values = evaluated(program, program.graph.wanted, self._given, algebra)
        self.said = ""

    @abstractmethod
    def how(self, order: int) -> str:
        """In which numbers derivatives of an order are compared."""

    @abstractmethod
    def direction(self, node: Node) -> Array:
        """Numbers for a direction in which a value moves."""

    def change(self, ends: Ends, moves: Sequence[Move]) -> Any:
        """How the results change along all of some moves: the derivative by each of them."""
        return self._mixed(lambda known: self._total(known, ends), moves)

    def tangent(self, node: Node, move: Move) -> Array:
        """How a value changes along a move."""
        array: Array = self._mixed(lambda known: self._evaluated([node], known)[node], [move])
        return array

    def agrees(
        self, claimed: Node, at: Node, direction: Array, wanted: Any, order: int = 1
    ) -> bool:
        """Whether what is said to come back to a value, along a direction, is as wanted.

        Args:
            claimed: what is said to come back.
            at: the value.
            direction: in which that moves.
            wanted: how the results change.
            order: how many derivatives that was.
        """
        found = np.sum(aligned(self.values[claimed], claimed, at) * direction)
        self.said = (
            f"it makes {self._shown(found)}, and the result changes by {self._shown(wanted)}"
        )
        return self._equal(found, wanted, order)

    def vanishes(self, node: Node, where: Sequence[Node]) -> bool:
        """Whether a value is zero where some inputs are."""
        zero = {n: as_array(self.values[n].shape, [0] * self.values[n].size) for n in where}
        made = self._evaluated([node], zero)[node]
        return all(self._equal(number, 0, 1) for number in made.ravel())

    def _input(self, node: Input) -> Array:
        numbers = 2 if node.dtype is None else kind(node.dtype)
        draw = {0: lambda: self._random.random() < 0.5, 1: lambda: self._random.randrange(_LABELS)}
        drawn = draw.get(numbers, lambda: self._algebra.drawn(self._random))
        return filled(self.program.shapes[node], drawn)

    def _evaluated(self, nodes: Sequence[Node], known: Mapping[Node, Array]) -> Values:
        return evaluated(self.program, nodes, {**self._given, **known}, self._algebra)

    def _total(self, known: Mapping[Node, Array], ends: Ends) -> Any:
        """The results, each with what comes back to it, if something changes on the way."""
        values = self._evaluated([node for node, _ in ends], known)
        total: Any = 0
        for node, cotangent in ends:
            back = 1 if cotangent is None else aligned(self._given[cotangent], cotangent, node)
            total = total + np.sum(values[node] * back)
        return total

    @abstractmethod
    def _mixed(self, made: Callable[[Values], Any], moves: Sequence[Move]) -> Any:
        """The derivative, by each of some moves, of what is made of the values that move."""

    @abstractmethod
    def _equal(self, found: Any, wanted: Any, order: int) -> bool:
        """Whether two numbers are the same, of which one was made by derivatives of an order."""

    @abstractmethod
    def _shown(self, number: Any) -> str:
        """A number, for a message."""


class _Exact(Trial):
    """Modulo a prime, with jets."""

    def how(self, order: int) -> str:
        return "exactly, modulo the prime 2^61 - 1"

    def direction(self, node: Node) -> Array:
        return filled(self.values[node].shape, lambda: self._random.randrange(1, PRIME))

    def _mixed(self, made: Callable[[Values], Any], moves: Sequence[Move]) -> Any:
        moving = dict.fromkeys(node for move in moves for node in move)
        found = made({node: self._moved(node, moves) for node in moving})
        last = (1 << len(moves)) - 1
        return np.frompyfunc(lambda number: Jet((Jet.of(number).part(last),)), 1, 1)(found)

    def _moved(self, node: Node, moves: Sequence[Move]) -> Array:
        """A value that moves along each of its directions at once."""
        value = self.values[node]
        parts = [value, *[as_array(value.shape, [0] * value.size)] * ((1 << len(moves)) - 1)]
        for n, move in enumerate(moves):
            parts[1 << n] = move.get(node, parts[1 << n])
        rows = zip(*(part.ravel() for part in parts), strict=True)
        return as_array(value.shape, [Jet(tuple(Jet.of(n).value for n in row)) for row in rows])

    def _equal(self, found: Any, wanted: Any, order: int) -> bool:
        return Jet.of(found).value == Jet.of(wanted).value

    def _shown(self, number: Any) -> str:
        return str(Jet.of(number).value)


class _Numeric(Trial):
    """In many digits, by central differences."""

    def __init__(self, program: Sized, algebra: Algebra) -> None:
        super().__init__(program, algebra)
        self._decimals = _has_decimals(program)
        # What stops gradients does not change.
        self._held = {node: value for node, value in self.values.items() if _stops(node)}
        made = (number for node in program.graph.wanted for number in self.values[node].ravel())
        if not all(map(_is_real, made)):
            raise ArithmeticError("not all numbers are real")

    def how(self, order: int) -> str:
        return f"to {self._digits(order)} digits, by central differences"

    def direction(self, node: Node) -> Array:
        return filled(self.values[node].shape, lambda: MP.mpf(self._random.uniform(-1, 1)))

    def _mixed(self, made: Callable[[Values], Any], moves: Sequence[Move]) -> Any:
        step = difference_step(len(moves))
        terms = (
            prod(signs) * made({**self._held, **self._moved(moves, [step * s for s in signs])})
            for signs in product((1, -1), repeat=len(moves))
        )
        return reduce(np.add, terms) / (2 * step) ** len(moves)

    def _moved(self, moves: Sequence[Move], steps: Sequence[Any]) -> Values:
        found: Values = {}
        for move, step in zip(moves, steps, strict=True):
            for node, direction in move.items():
                found[node] = found.get(node, self.values[node]) + step * direction
        return found

    def _equal(self, found: Any, wanted: Any, order: int) -> bool:
        scale = max(1, abs(found), abs(wanted))
        return bool(abs(found - wanted) <= MP.mpf(10) ** -self._digits(order) * scale)

    def _digits(self, order: int) -> int:
        return min(certain_digits(order), DECIMAL_DIGITS if self._decimals else DIGITS)

    def _shown(self, number: Any) -> str:
        return str(MP.nstr(number, 12))


def _numeric(program: Sized) -> Trial:
    """A trial with numbers of both signs; with positive ones, if roots or logarithms need them."""
    try:
        return _Numeric(program, Digits())
    except (ArithmeticError, TypeError, ValueError):
        return _Numeric(program, Digits(positive=True))


def _stops(node: Node) -> bool:
    return isinstance(node, Map) and node.function == "stop_gradient"


def _is_real(number: Any) -> bool:
    return not isinstance(number, MP.mpc) and bool(MP.isfinite(number))


def _has_decimals(program: Sized) -> bool:
    """Whether constants of derivatives stand in a program, which have Python's digits."""
    numbers = (n.value for n in in_order(program.graph.wanted) if isinstance(n, Number))
    return any(isinstance(value, float) and len(repr(value)) > _LONG for value in numbers)
