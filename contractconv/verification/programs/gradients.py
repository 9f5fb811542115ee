"""The gradients that a program returns, compared with how its result changes.

For each value ``a`` and what is said to come back to it, ``d_a``, a random direction ``V`` is
drawn: the result of ``a + V·ε`` has to change by ``⟨d_a, V⟩``. Nothing of the rules by which the
gradients were derived takes part: there is only the program, carried out from its definition.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from contractconv.errors import CertificateError
from contractconv.programs.kinds import Kinds, is_differentiable, kind
from contractconv.programs.nodes import Input, Map, Node, Number, in_order
from contractconv.programs.pairing import paired
from contractconv.programs.sizing import Sized
from contractconv.programs.text.lines import NamedLines
from contractconv.programs.text.writer import write
from contractconv.verification.programs.algebras import (
    PRIME,
    Algebra,
    Digits,
    Dual,
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
    EXACT_DIGITS,
    MP,
    STEP,
)

_LABELS = 3
_LONG = 12


Ends = Sequence[tuple[Node, Node | None]]
"""What is differentiated: outputs, each with what comes back to it if that is no one."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A value that is said to come back to another one.

    Attributes:
        name: what it is called.
        node, at: the value, and the one to which it comes back, with their sizes.
    """

    name: str
    node: Node
    at: Node


@dataclass(frozen=True, slots=True)
class Compared:
    """Gradients that hold.

    Attributes:
        names: what they are called.
        results: of what they are the gradients.
        how: in which numbers they were compared.
    """

    names: tuple[str, ...]
    results: tuple[str, ...]
    how: str


def compared(told: NamedLines, program: Sized) -> Compared:
    """Compare all gradients of a program with how its results change.

    Args:
        told: the program, and what comes back to what.
        program: the same with sizes.

    Raises:
        CertificateError: one does not hold; the message says on which line it stands.
    """
    claims = _claims(told, program)
    choices = _choices(told, program)
    if not claims or not choices:
        return Compared((), (), "")
    try:
        return _compared(told, claims, choices, _Exact(program, Modular()))
    except NotPolynomialError:
        return _compared(told, claims, choices, _numeric(program))


def _claims(told: NamedLines, program: Sized) -> list[Claim]:
    """What comes back to values; of several the first, as others are of higher order."""
    pairs = paired(told.graph, program.graph)
    found: dict[Node, Claim] = {}
    for name, node, target in _said(told):
        if target not in told.targets and node in pairs and target in pairs:
            found.setdefault(target, Claim(name, pairs[node], pairs[target]))
    return list(found.values())


def _said(told: NamedLines) -> Iterator[tuple[str, Node, Node]]:
    """The name of everything that comes back, it, and the value to which it does."""
    for node, name in told.names.items():
        if node in told.targets and not isinstance(node, Input):
            yield name, node, told.targets[node]
    for name, node in told.graph.outputs:  # one value may come back to several
        target = told.target_of(name, node)
        if target is not None and told.names.get(node) != name:
            yield name, node, target


def _choices(told: NamedLines, program: Sized) -> dict[tuple[str, ...], Ends]:
    """What may have been differentiated: each output alone, or all of them."""
    pairs, numbers = paired(told.graph, program.graph), Kinds()
    inputs = {node.name: node for node in program.graph.inputs}
    found: dict[str, tuple[Node, Node | None]] = {}
    for name, node in told.graph.outputs:
        if node in told.targets or not is_differentiable(numbers[node]):
            continue
        if not node.axes or f"d_{name}" in inputs:
            found[name] = (pairs[node], inputs.get(f"d_{name}"))
    every = {(name,): [end] for name, end in found.items()}
    return every | {tuple(found): list(found.values())} if found else {}


def _compared(
    told: NamedLines,
    claims: Sequence[Claim],
    choices: Mapping[tuple[str, ...], Ends],
    trial: _Trial,
) -> Compared:
    faults: list[CertificateError] = []
    for results, ends in choices.items():
        # What comes back to a value on which nothing depends is of another order.
        whole = set(in_order([node for node, _ in ends], references=False))
        known = [c for c in claims if c.at in whole or isinstance(c.at, Input)]
        returned = [c for c in known if c.node in trial.wanted] or known
        if all(trial.holds(claim, ends) for claim in returned):
            return Compared(tuple(claim.name for claim in returned), results, trial.how)
        if len(known) < len(claims):
            continue  # there are gradients of gradients, of which nobody says which these are
        wrong = next(claim for claim in known if not trial.holds(claim, ends))
        faults.append(_wrong(told, wrong, results, trial))
    if faults:
        raise faults[-1]
    return Compared((), (), "")


def _wrong(
    told: NamedLines, claim: Claim, results: Sequence[str], trial: _Trial
) -> CertificateError:
    """The error for the first line that does not hold; all before it do."""
    start = f"    {claim.name} = "
    line = next((text for text in write(told.graph).splitlines() if text.startswith(start)), start)
    return CertificateError(
        f"{told.graph.name}: {claim.name} is not the gradient of {' + '.join(results)}: along a "
        f"random direction V {trial.said}, on the line\n{line}"
    )


# -- trials --------------------------------------------------------------------------------------


class _Trial(ABC):
    """A program, carried out once with random numbers.

    Attributes:
        how: in which numbers.
        said: what disagreed last.
        wanted: what the program returns.
        values: of all nodes.
    """

    how = ""

    def __init__(self, program: Sized, algebra: Algebra) -> None:
        self._program, self._algebra, self._random = program, algebra, Random(0)
        self.wanted = frozenset(program.graph.wanted)
        self._given: Values = {node: self._input(node) for node in program.graph.inputs}
        self.values = evaluated(program, program.graph.wanted, self._given, algebra)
        self.said = ""

    def holds(self, claim: Claim, ends: Ends) -> bool:
        """Whether what comes back to a value says how the results change with it."""
        direction = self._direction(self.values[claim.at].shape)
        back = aligned(self.values[claim.node], claim.node, claim.at)
        found, wanted = _inner(back, direction), self._change(claim.at, direction, ends)
        self.said = (
            f"it makes {self._shown(found)}, and the result changes by {self._shown(wanted)}"
        )
        return self._equal(found, wanted)

    def _input(self, node: Input) -> Array:
        numbers = 2 if node.dtype is None else kind(node.dtype)
        draw = {0: lambda: self._random.random() < 0.5, 1: lambda: self._random.randrange(_LABELS)}
        drawn = draw.get(numbers, lambda: self._algebra.drawn(self._random))
        return filled(self._program.shapes[node], drawn)

    def _total(self, known: Values, ends: Ends) -> Any:
        """The results, each with what comes back to it, if something changes on the way."""
        values = evaluated(self._program, [node for node, _ in ends], known, self._algebra)
        total: Any = 0
        for node, cotangent in ends:
            back = 1 if cotangent is None else aligned(self._given[cotangent], cotangent, node)
            total = total + np.sum(values[node] * back)
        return total

    @abstractmethod
    def _direction(self, shape: tuple[int, ...]) -> Array:
        """Numbers for a direction."""

    @abstractmethod
    def _change(self, at: Node, direction: Array, ends: Ends) -> Any:
        """How the results change, if a value moves along a direction."""

    @abstractmethod
    def _equal(self, found: Any, wanted: Any) -> bool:
        """Whether two numbers are the same."""

    @abstractmethod
    def _shown(self, number: Any) -> str:
        """A number, for a message."""


class _Exact(_Trial):
    """Modulo a prime, with dual numbers."""

    how = "exactly, modulo the prime 2^61 - 1"

    def _direction(self, shape: tuple[int, ...]) -> Array:
        return filled(shape, lambda: self._random.randrange(1, PRIME))

    def _change(self, at: Node, direction: Array, ends: Ends) -> Any:
        pairs = zip(self.values[at].ravel(), direction.ravel(), strict=True)
        moved = [Dual(Dual.of(value).value, slope) for value, slope in pairs]
        known = {**self._given, at: as_array(direction.shape, moved)}
        return Dual(Dual.of(self._total(known, ends)).slope)

    def _equal(self, found: Any, wanted: Any) -> bool:
        return Dual.of(found).value == Dual.of(wanted).value

    def _shown(self, number: Any) -> str:
        return str(Dual.of(number).value)


class _Numeric(_Trial):
    """In many digits, by central differences."""

    def __init__(self, program: Sized, algebra: Algebra) -> None:
        super().__init__(program, algebra)
        self._digits = DECIMAL_DIGITS if _has_decimals(program) else EXACT_DIGITS
        self.how = f"to {self._digits} digits, by central differences"
        if not all(
            map(
                _is_real,
                (number for node in program.graph.wanted for number in self.values[node].ravel()),
            )
        ):
            raise ArithmeticError("not all numbers are real")

    def _direction(self, shape: tuple[int, ...]) -> Array:
        return filled(shape, lambda: MP.mpf(self._random.uniform(-1, 1)))

    def _change(self, at: Node, direction: Array, ends: Ends) -> Any:
        # What stops gradients does not change.
        held = {node: self.values[node] for node in self.values if _stops(node)}
        known = {**self._given, **held}
        first, second = (
            self._total(known | {at: moved}, ends) for moved in self._moved(at, direction)
        )
        return (first - second) / (2 * STEP)

    def _moved(self, at: Node, direction: Array) -> Iterator[Array]:
        """A value, a step along a direction and a step back."""
        pairs = list(zip(self.values[at].ravel(), direction.ravel(), strict=True))
        for step in (STEP, -STEP):
            yield as_array(direction.shape, [value + step * slope for value, slope in pairs])

    def _equal(self, found: Any, wanted: Any) -> bool:
        scale = max(1, abs(found), abs(wanted))
        return bool(abs(found - wanted) <= MP.mpf(10) ** -self._digits * scale)

    def _shown(self, number: Any) -> str:
        return str(MP.nstr(number, 12))


def _numeric(program: Sized) -> _Trial:
    """A trial with numbers of both signs; with positive ones, if roots or logarithms need them."""
    try:
        return _Numeric(program, Digits())
    except (ArithmeticError, TypeError, ValueError):
        return _Numeric(program, Digits(positive=True))


def _inner(first: Array, second: Array) -> Any:
    return np.sum(first * second)


def _stops(node: Node) -> bool:
    return isinstance(node, Map) and node.function == "stop_gradient"


def _is_real(number: Any) -> bool:
    return not isinstance(number, MP.mpc) and bool(MP.isfinite(number))


def _has_decimals(program: Sized) -> bool:
    """Whether constants of derivatives stand in a program, which have Python's digits."""
    numbers = (n.value for n in in_order(program.graph.wanted) if isinstance(n, Number))
    return any(isinstance(value, float) and len(repr(value)) > _LONG for value in numbers)
