"""Where linear congruences hold: cosets of integer lattices.

The whole-number points at which some fractions are whole form a lattice, moved by an offset. A
:class:`Lattice` is held by its triangular (Hermite) basis: vector ``n`` is zero before coordinate
``n`` and positive there, and what later coordinates of it hold is not positive. Then every point
that is nowhere negative has non-negative multiples of the basis vectors, which is what index
ranges that start at 0 need. The Smith form, which solves congruences as well, changes all
coordinates at once: a box of points would be no box of multiples, and would not start at 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import gcd, prod

Vector = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Congruence:
    """``Σ coefficient*x + offset`` is a multiple of ``divisor``."""

    coefficients: Vector
    offset: int
    divisor: int

    def on(self, coordinates: Sequence[int]) -> Congruence:
        """The condition on the difference of two points that differ in these coordinates alone."""
        return Congruence(tuple(self.coefficients[n] for n in coordinates), 0, self.divisor)


@dataclass(frozen=True, slots=True)
class Lattice:
    """All sums of multiples of the vectors of a triangular basis."""

    basis: tuple[Vector, ...]

    @staticmethod
    def spanned(generators: Sequence[Vector]) -> Lattice:
        """Return the lattice of as many independent vectors as they have coordinates."""
        rest = list(generators)
        basis: list[Vector] = []
        for place in range(len(rest)):
            pivot, rest = _eliminated(rest, place)
            basis.append(pivot)
        for n in reversed(range(len(basis))):
            basis[n] = _with_signs(basis, n)
        return Lattice(tuple(basis))

    @staticmethod
    def direct_sum(parts: Sequence[Lattice]) -> Lattice:
        """Return the lattice whose points are made of one point of each part."""
        size = sum(len(part.basis) for part in parts)
        basis: list[Vector] = []
        for part in parts:
            before = len(basis)
            after = size - before - len(part.basis)
            basis += [(*[0] * before, *vector, *[0] * after) for vector in part.basis]
        return Lattice(tuple(basis))

    @property
    def diagonal(self) -> Vector:
        """The sides of the box that holds one point of each coset."""
        return tuple(vector[n] for n, vector in enumerate(self.basis))

    def remainder(self, point: Vector) -> Vector:
        """The point of the box that lies in the same coset as ``point``."""
        for n, vector in enumerate(self.basis):
            point = _minus(point, point[n] // vector[n], vector)
        return point


@dataclass(frozen=True, slots=True)
class Coset:
    """The points of a lattice, moved by ``origin``."""

    origin: Vector
    lattice: Lattice

    def count(self, part: Lattice) -> int:
        """How many cosets of ``part``, a lattice inside this one, it consists of."""
        return prod(self._counts(part))

    def split(self, part: Lattice) -> Iterator[Vector]:
        """One point, in the box of ``part``, of each coset of ``part`` that it consists of."""
        for multiples in product(*map(range, self._counts(part))):
            point = self.origin
            for multiple, vector in zip(multiples, self.lattice.basis, strict=True):
                point = _minus(point, -multiple, vector)
            yield part.remainder(point)

    def _counts(self, part: Lattice) -> list[int]:
        # Both bases are triangular: what is zero before coordinate n has multiples of the n-th
        # diagonal entry there, in either lattice, so the entries divide one another.
        pairs = zip(part.diagonal, self.lattice.diagonal, strict=True)
        return [coarse // fine for coarse, fine in pairs]


def solve(congruences: Sequence[Congruence], dimension: int) -> Coset | None:
    """Find the points at which all congruences hold.

    Args:
        congruences: each with as many coefficients as there are coordinates.
        dimension: the number of coordinates.

    Returns:
        Their points; ``None`` if there is none.

    Example:
        >>> solve([Congruence((1, -1), 1, 2)], 2)
        Coset(origin=(0, 1), lattice=Lattice(basis=((1, -1), (0, 2))))
    """
    conditions = len(congruences)
    # In front of each point stand the values of the congruences there, up to the divisors.
    generators = [
        (*(c.coefficients[n] % c.divisor for c in congruences), *_unit(dimension, n))
        for n in range(dimension)
    ]
    for place, congruence in enumerate(congruences):
        generators.append(_unit(conditions + dimension, place, congruence.divisor))
    graph = Lattice.spanned(generators)
    offsets = tuple(c.offset % c.divisor for c in congruences)
    solved = graph.remainder((*offsets, *[0] * dimension))
    if any(solved[:conditions]):
        return None
    basis = tuple(vector[conditions:] for vector in graph.basis[conditions:])
    return Coset(solved[conditions:], Lattice(basis))


def independent(vectors: Sequence[Vector]) -> list[int]:
    """The positions of the vectors that are no linear combination of those before them."""
    found: list[int] = []
    echelon: list[tuple[int, Vector]] = []
    for position, vector in enumerate(vectors):
        for lead, pivot in echelon:
            scaled = tuple(pivot[lead] * value for value in vector)
            vector = _primitive(_minus(scaled, vector[lead], pivot))  # noqa: PLW2901
        if any(vector):
            found.append(position)
            echelon.append((next(n for n, value in enumerate(vector) if value), vector))
    return found


def _primitive(vector: Vector) -> Vector:
    common = gcd(*vector) or 1
    return tuple(value // common for value in vector)


def _unit(dimension: int, place: int, length: int = 1) -> Vector:
    return tuple(length * (n == place) for n in range(dimension))


def _minus(vector: Vector, multiple: int, other: Vector) -> Vector:
    if not multiple:
        return vector
    return tuple(a - multiple * b for a, b in zip(vector, other, strict=True))


def _eliminated(vectors: list[Vector], place: int) -> tuple[Vector, list[Vector]]:
    """Euclid's algorithm at one coordinate: a vector positive there, and others that are zero."""
    while True:
        vectors.sort(key=lambda vector: (not vector[place], abs(vector[place])))
        pivot, *others = vectors
        vectors = [_minus(v, v[place] // pivot[place], pivot) for v in others]
        if not any(vector[place] for vector in vectors):
            return pivot if pivot[place] > 0 else tuple(-value for value in pivot), vectors
        vectors.append(pivot)


def _with_signs(basis: Sequence[Vector], number: int) -> Vector:
    """A vector of the basis, later coordinates made non-positive by the later vectors."""
    vector = basis[number]
    for n in range(number + 1, len(basis)):
        vector = _minus(vector, -(-vector[n] // basis[n][n]), basis[n])
    return vector
