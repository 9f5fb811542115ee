"""Toom-Cook decompositions at hand: derived once in exact rationals, kept for the next process.

Deriving them needs sympy, and importing sympy takes longer than many a contraction. So their
factors and what they cost in digits are kept on disk; the exact identity is checked when they are
read again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import inf, prod, sqrt
from typing import TYPE_CHECKING, Any

from contractconv import cache as disk
from contractconv.calculus.tableau import as_text

if TYPE_CHECKING:
    from contractconv.calculus.conditioning import Role

Matrix = tuple[tuple[Fraction, ...], ...]
ROLES: tuple[Role, ...] = ("result", "data", "kernel")
EPSILON = {"float32": 2.0**-24, "float64": 2.0**-53}


@dataclass(frozen=True, slots=True)
class Growth:
    """How rounding errors grow along one axis.

    Attributes:
        roundings: how many roundings a term passes in the transforms.
        worst: by how much the sum of the terms' magnitudes grows.
        typical: by how much the root of the sum of their squares grows.
    """

    roundings: int
    worst: float
    typical: float


@dataclass(frozen=True, slots=True, repr=False)
class Decomposition:
    """``δ[y = i + k] = Σ_p A[y,p] B[i,p] C[k,p]`` in rational numbers.

    ``print`` it to read its factors.

    Attributes:
        outputs: values of ``i``: the results of a tile.
        taps: values of ``k``.
        a: ``A``; row ``y``, column ``p``.
        b: ``B``.
        c: ``C``.
        growth: for each role, and for each of :data:`EPSILON`, how rounding errors grow.
    """

    outputs: int
    taps: int
    a: Matrix
    b: Matrix
    c: Matrix
    growth: tuple[tuple[Growth, Growth], ...]

    @property
    def products(self) -> int:
        """Values of ``p``."""
        return len(self.a[0])

    @property
    def name(self) -> str:
        """Its name, with its sizes; an axis that is left alone has one result a tile."""
        if self.outputs > 1:
            return f"F({self.outputs}, {self.taps})"
        return f"{self.taps} tap{'s' * (self.taps > 1)}"

    @property
    def points(self) -> tuple[Fraction | float, ...]:
        """Where the products are evaluated; infinite where leading coefficients are multiplied.

        Example:
            >>> list(map(str, decomposition(3, 2).points))
            ['0', '1', '-1', 'inf']
        """
        if self.outputs == 1:
            return ()
        # A column of B or of C holds powers of its point, from the zeroth on, on some scale.
        constant, linear = (self.b if self.taps == 1 else self.c)[:2]
        return tuple(v / u if u else inf for u, v in zip(constant, linear, strict=True))

    def exact(self, which: str) -> Matrix:
        """The rows of ``"A"``, ``"B"`` or ``"C"``."""
        matrix: Matrix = getattr(self, which.lower())
        return matrix

    def floats(self, which: str) -> tuple[tuple[float, ...], ...]:
        """The rows of ``"A"``, ``"B"`` or ``"C"`` as floats."""
        return tuple(tuple(map(float, row)) for row in self.exact(which))

    def of_role(self, role: str, dtype: str) -> Growth:
        """How errors grow in numbers of one kind when one role is computed."""
        return self.growth[ROLES.index(role)][list(EPSILON).index(dtype)]

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        return str(self)


@cache
def decomposition(outputs: int, taps: int) -> Decomposition:
    """The decomposition for tiles of so many results; one result is left as it is.

    Example:
        >>> decomposition(2, 3).name
        'F(2, 3)'
    """
    name = f"toom-cook-{outputs}-{taps}-{_fingerprint()}.json"
    known = _read(disk.kept(name), outputs, taps)
    if known is None:
        known = _derived(outputs, taps)
        disk.keep(name, _written(known))
    return known


def typical_error(parts: Sequence[Decomposition], terms: int, role: str, dtype: str) -> float:
    """Estimate the error as :func:`contractconv.calculus.conditioning.typical_error` does."""
    axes = [part.of_role(role, dtype) for part in parts]
    roundings = sum(axis.roundings for axis in axes) + terms
    return EPSILON[dtype] / 3 * sqrt(roundings / terms) * prod(axis.typical for axis in axes)


def error_bound(parts: Sequence[Decomposition], terms: int, role: str, dtype: str) -> float:
    """Bound the error as :func:`contractconv.calculus.conditioning.error_bound` does."""
    axes = [part.of_role(role, dtype) for part in parts]
    roundings = EPSILON[dtype] * (sum(axis.roundings for axis in axes) + terms)
    return inf if roundings >= 1 else roundings / (1 - roundings) * prod(a.worst for a in axes)


def _derived(outputs: int, taps: int) -> Decomposition:
    from contractconv.calculus.bilinear import direct, toom_cook
    from contractconv.calculus.conditioning import growth_of_axis

    exact = toom_cook(outputs, taps) if outputs > 1 else direct(taps)
    exact.verify()
    a, b, c = (_fractions(matrix) for matrix in (exact.A, exact.B, exact.C))
    growth = tuple(
        (Growth(*growth_of_axis(exact, role, EPSILON["float32"])),
         Growth(*growth_of_axis(exact, role, EPSILON["float64"])))
        for role in ROLES
    )  # fmt: skip
    return Decomposition(outputs, taps, a, b, c, growth)


@cache
def _fingerprint() -> str:
    """What factors depend on: the code that chooses points and interpolates."""
    room = __name__.rpartition(".")[0]
    return disk.code_of(f"{room}.{name}" for name in ("bilinear", "conditioning"))[:16]


def _fractions(matrix: Any) -> Matrix:
    return tuple(tuple(Fraction(int(v.p), int(v.q)) for v in row) for row in matrix.tolist())


def _written(d: Decomposition) -> bytes:
    factors = [[[str(v) for v in row] for row in matrix] for matrix in (d.a, d.b, d.c)]
    growth = [[[g.roundings, g.worst, g.typical] for g in pair] for pair in d.growth]
    return json.dumps({"factors": factors, "growth": growth}).encode()


def _read(content: bytes | None, outputs: int, taps: int) -> Decomposition | None:
    if content is None:
        return None
    try:
        known = json.loads(content)
        a, b, c = (
            tuple(tuple(Fraction(v) for v in row) for row in matrix) for matrix in known["factors"]
        )
        growth = tuple((Growth(*x), Growth(*y)) for x, y in known["growth"])
        found = Decomposition(outputs, taps, a, b, c, growth)
        return found if _holds(found) else None
    except (ValueError, KeyError, TypeError, IndexError, ArithmeticError):
        return None


def _holds(d: Decomposition) -> bool:
    if (len(d.a), len(d.b), len(d.c)) != (d.outputs + d.taps - 1, d.outputs, d.taps):
        return False
    return all(
        sum(x * y * z for x, y, z in zip(d.a[n], d.b[i], d.c[k], strict=True)) == (n == i + k)
        for n in range(len(d.a))
        for i in range(len(d.b))
        for k in range(len(d.c))
    )
