"""Comparing what a form says with what is expected, element by element."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from random import Random
from typing import TYPE_CHECKING, Any

import sympy

from contractconv.calculus.collected import Collected
from contractconv.calculus.equation import Equation, size
from contractconv.calculus.evaluation import evaluator
from contractconv.calculus.symbols import parameter
from contractconv.errors import CertificateError
from contractconv.notation.problem import Shape
from contractconv.verification.brute_force import Place
from contractconv.verification.cases import Case

if TYPE_CHECKING:
    from contractconv.arrays.views import Array

# What float64 may leave where a local derivative is a fraction or an exponential.
TOLERANCE = 1e-12
# However large a sum is, so many elements of it are worked out.
_FEWEST = 4


@dataclass(frozen=True, slots=True)
class Check:
    """One statement that was checked.

    Attributes:
        statement: what was compared.
        numbers: how many numbers of each side were compared.
        exact: whether in integers; otherwise within 1e-12.
        of: how many numbers there are; of a large sum only some are worked out.
    """

    statement: str
    numbers: int
    exact: bool
    of: int

    def __str__(self) -> str:
        how = "exact" if self.exact else f"within {TOLERANCE:g}"
        some = f" of {self.of:,}" if self.of > self.numbers else ""
        return f"{self.statement:<42} {self.numbers:>7,} numbers{some}, {how}"


@dataclass(frozen=True, slots=True)
class Judge:
    """Knows what is expected of one derived thing in one case.

    Attributes:
        subject: what is judged, for messages.
        case: the numbers.
        expected: its elements; those that are missing are zero.
        shape: its shape, compositions split.
        exact: whether they must be equal; otherwise within :data:`TOLERANCE`.
    """

    subject: str
    case: Case
    expected: Mapping[Place, Any]
    shape: Shape
    exact: bool

    def formula(
        self,
        statement: str,
        equation: Equation | Collected,
        arrays: Mapping[str, Any],
        known: Mapping[sympy.Symbol, int],
        terms: int,
    ) -> Check:
        """Compare a formula, at so many elements that about ``terms`` terms are worked out."""
        value = evaluator(equation.sympy, arrays, known)

        def at(place: Place) -> Any:
            try:
                return value(dict(zip(equation.left.axes, place, strict=True)))
            except KeyError as error:
                return f"an element that does not exist, at {error.args[0]}"

        each = prod(known.get(size(summed.name), 1) for summed in equation.summed)
        return self._compare(statement, at, max(_FEWEST, terms // max(1, each)))

    def array(self, statement: str, result: Array) -> Check:
        """Compare an array."""
        import numpy as np

        split = np.asarray(result).reshape(self.shape)
        return self._compare(statement, dict(by_place(split)).__getitem__)

    def numbers(self, statement: str, result: Mapping[Place, Any]) -> Check:
        """Compare elements; those that are missing are zero."""
        return self._compare(statement, lambda place: result.get(place, 0))

    def near(self, statement: str, made: Array, bound: float, nothing: float = 0.0) -> int:
        """Compare a large array at once, within a bound of its own.

        Args:
            statement: what is compared.
            made: the array.
            bound: how far its elements may be from the expected ones.
            nothing: what is expected where nothing is.

        Returns:
            How many elements it has.
        """
        import numpy as np

        split, wanted = np.asarray(made).reshape(self.shape), np.full(self.shape, float(nothing))
        for place, value in self.expected.items():
            wanted[place] = float(value)
        with np.errstate(invalid="ignore"):  # of two infinities, which are equal
            wrong = ~(np.abs(split - wanted) <= bound) & (split != wanted)
        for place in map(tuple, np.argwhere(wrong).tolist()):
            raise self.wrong(
                f"{statement} at {place}: found {split[place]}, expected {wanted[place]}"
            )
        return split.size

    def _compare(
        self, statement: str, value: Callable[[Place], Any], most: int | None = None
    ) -> Check:
        scale = max((abs(float(number)) for number in self.expected.values()), default=0.0)
        looked_at = self._places(most)
        for place in looked_at:
            self.expect(statement, value(place), self.expected.get(place, 0), place, scale)
        return Check(statement, len(looked_at), self.exact, prod(self.shape))

    def _places(self, most: int | None) -> list[Place]:
        """Every position, or a sample that holds those with something in them first."""
        every, count = list(_places(self.shape)), prod(self.shape)
        if most is None or count <= most:
            return every
        random = Random(self.case.number)
        busy = sorted(place for place, number in self.expected.items() if number)
        chosen = random.sample(busy, min(len(busy), (most + 1) // 2))
        return [*chosen, *random.choices(every, k=most // 2)]

    def expect(self, statement: str, found: Any, expected: Any, place: Place, scale: float) -> None:
        """Raise an error if a number is not the expected one."""
        if found == expected or (not self.exact and _close(found, expected, scale)):
            return
        where = f" at {place}" if place else ""
        raise self.wrong(f"{statement}{where}: found {found}, expected {expected}")

    def wrong(self, reason: str) -> CertificateError:
        """The error for a fault."""
        numbers = ", ".join(f"{name}={number}" for name, number in self.case.values.items())
        return CertificateError(f"{self.subject} does not hold: {reason}, with {numbers}")


def numbers_of(array: Array, accesses: Sequence[Any]) -> dict[Place, Any]:
    """The elements of an array by position, compositions split."""
    import numpy as np

    split = np.asarray(array).reshape([access.size for access in accesses])
    return dict(by_place(split))


def by_place(array: Array) -> Iterator[tuple[Place, Any]]:
    """The elements of an array as Python's own numbers, each with its position."""
    return zip(_places(array.shape), array.ravel().tolist(), strict=True)


def _places(shape: Shape) -> Iterator[Place]:
    return product(*map(range, shape))


def sizes_of(case: Case, named: Mapping[int, Sequence[sympy.Symbol]]) -> dict[sympy.Symbol, int]:
    """Parameters, the extent of every index and the size of every computed axis."""
    known = {parameter(name): value for name, value in case.parameters.items()}
    known |= {size(name): value for name, value in case.values.items()}
    terms = [*case.problem.operands, case.problem.output]
    for term, positions in named.items():
        sizes = (access.size for access in terms[term])
        known |= {size(p.name): found for p, found in zip(positions, sizes, strict=True)}
    return known


def _close(found: Any, expected: Any, scale: float) -> bool:
    if isinstance(found, str):
        return False
    return abs(float(found) - float(expected)) <= TOLERANCE * max(1.0, scale)
