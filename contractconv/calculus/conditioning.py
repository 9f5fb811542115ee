"""How rounding errors grow in bilinear algorithms, and at which points they grow least.

**Points.** A product of polynomials is found by its values at points, and how much errors grow on
the way back depends on the points alone. Points are pairs of coprime integers ``(u, v)`` that stand
for ``u/v``: in these homogeneous coordinates infinity is ``(1, 0)``, a point like any other, and
all is integer arithmetic. Points come as pairs ``±u/v``, whose transforms share their even and odd
parts.

Which points are good is known from experiments: Barabasz et al., "Error analysis and improving the
accuracy of Winograd convolution for deep neural networks" (2018), and Alam et al., "Winograd
convolution for deep neural networks: efficient point selection" (2022), recommend small fractions,
and Lohia, "NOVA" (2025), finds others by random search. Here they are searched for at each size,
for the least growth factor of the decomposition.

**Errors.** Each transform is a sum of products, nested over the axes of a tile. By the usual model
of arithmetic, a term that passes ``k`` roundings is off by a factor of at most ``1 + γ_k`` with
``γ_k = kε/(1 - kε)`` (Higham, "Accuracy and stability of numerical algorithms", 2002, lemma 3.1).
So the error of a result is at most ``γ_k`` times the sum of all terms' magnitudes, and typically
about as large as the root of the sum of their squares (Ballard et al., "Improving the numerical
stability of fast matrix multiplication", 2016, section 3, have the bound for matrix products).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd, inf, prod, sqrt
from operator import mul
from typing import TYPE_CHECKING, Literal

import sympy

from contractconv.caches import kept
from contractconv.errors import AlgorithmError

if TYPE_CHECKING:
    from contractconv.calculus.bilinear import Bilinear

Role = Literal["result", "data", "kernel"]
Point = tuple[int, int]

# The factors of what is computed: the one that is applied last, and those of the operands.
_FACTORS = {"result": "BAC", "data": "ABC", "kernel": "CAB"}

ZERO: Point = (0, 1)
INFINITY: Point = (1, 0)

# Up to this height fractions are tried at any size; taller ones gain little and cost digits.
_HEIGHT = 5
# From so many products on nothing is exchanged: it takes long, and no such tile is worth computing.
_SEARCHED = 18
# Two sets that differ by less are equally good: a point set and its reciprocals, for instance.
_ROUNDING = 1e-9


def best_points(outputs: int, taps: int) -> tuple[Point, ...]:
    """Find points that multiply polynomials with the least growth of rounding errors.

    From the simplest fractions on, one pair of points is exchanged at a time, always for the
    best, until no exchange helps; for 18 products and more they stay.

    Args:
        outputs: the number of coefficients of one polynomial.
        taps: the number of coefficients of the other.

    Returns:
        As many points as the product has coefficients: zero if they are even in number, pairs of
        opposite points, and infinity.

    Example:
        >>> best_points(4, 3)
        ((0, 1), (2, 3), (-2, 3), (3, 2), (-3, 2), (1, 0))
    """
    products = outputs + taps - 1
    center = (ZERO,) * (products % 2 == 0)
    pool = _magnitudes((products - 1) // 2)

    def found(places: tuple[int, ...]) -> tuple[Point, ...]:
        pairs = [(sign * u, v) for u, v in map(pool.__getitem__, places) for sign in (1, -1)]
        return (*center, *pairs, INFINITY)

    def cost(places: tuple[int, ...]) -> float:
        return growth(found(places), outputs, taps)

    chosen = tuple(range((products - 1) // 2))
    while chosen and products < _SEARCHED:
        better = min(_exchanges(chosen, len(pool)), key=cost)
        if cost(better) >= cost(chosen) * (1 - _ROUNDING):
            break
        chosen = better
    return found(chosen)


def growth(points: Sequence[Point], outputs: int, taps: int) -> float:
    """How much rounding errors grow, on average over all results and whatever is computed.

    It is ``√Σ_p ‖A_p‖²·‖B_p‖²·‖C_p‖²`` over the columns of the decomposition's three factors:
    the same for the product and for either gradient, however the columns are scaled. The growth
    factor of Dai and Lim, "Numerical stability and tensor nuclear norm" (2022), is the sum of the
    same products of norms; squares are added here, since errors seldom have one sign.

    Args:
        points: distinct points, as many as the product has coefficients.
        outputs: the number of coefficients of one polynomial.
        taps: the number of coefficients of the other.

    Returns:
        The root of the sum of squares; 1 if both polynomials are numbers.

    Example:
        >>> growth([(0, 1), (1, 0)], 1, 2)
        1.4142135623730951
    """
    squares = (
        _square(point, lagrange, outputs, taps)
        for point, lagrange in zip(points, interpolation(points), strict=True)
    )
    return sqrt(sum(squares))


def interpolation(points: Sequence[Point]) -> list[tuple[list[int], int]]:
    """The polynomials that are one at a point and zero at all others, with their denominators.

    Args:
        points: distinct points.

    Returns:
        For each point coprime coefficients, lowest first, and what they are to be divided by.

    Example:
        >>> interpolation([ZERO, (1, 1), INFINITY])
        [([1, -1, 0], 1), ([0, -1, 0], -1), ([0, -1, 1], 1)]
    """
    every = _vanishing(points)
    found = []
    for u, v in points:
        coefficients = _divided(every, (u, v))
        value = sum(map(mul, coefficients, powers((u, v), len(points))))
        found.append((coefficients, value))
    return found


def powers(point: Point, count: int) -> tuple[int, ...]:
    """The values at a point of the ``count`` monomials of degree ``count - 1``.

    Args:
        point: where, as a pair ``(u, v)``.
        count: how many.

    Returns:
        Coprime integers ``u^j * v^(count-1-j)``.

    Example:
        >>> powers((2, 3), 3), powers(INFINITY, 3)
        ((9, 6, 4), (0, 0, 1))
    """
    u, v = point
    return tuple(u**j * v ** (count - 1 - j) for j in range(count))


def _square(point: Point, lagrange: tuple[list[int], int], outputs: int, taps: int) -> float:
    """The square of what one product contributes to the growth factor."""
    coefficients, denominator = lagrange
    vectors = coefficients, powers(point, outputs), powers(point, taps)
    squares = prod(sum(value * value for value in vector) for vector in vectors)
    return squares / denominator**2


def _vanishing(points: Sequence[Point]) -> list[int]:
    """The coefficients, lowest first, of the polynomial that is zero at these points alone."""
    coefficients = [1]
    for u, v in points:
        shifted = zip([0, *coefficients], [*coefficients, 0], strict=True)
        coefficients = [v * lower - u * same for lower, same in shifted]
    return coefficients


def _divided(coefficients: Sequence[int], point: Point) -> list[int]:
    """A polynomial that is zero at a point, without the factor that makes it so."""
    u, v = point
    if not u:
        return list(coefficients[1:])
    quotient: list[int] = []
    for value in coefficients[:-1]:
        quotient.append((v * (quotient[-1] if quotient else 0) - value) // u)
    return quotient


def _magnitudes(pairs: int) -> list[Point]:
    """Positive fractions, the simplest first, with a choice for each pair of points."""
    height = _HEIGHT
    while len(pool := [point for h in range(1, height + 1) for point in _of_height(h)]) < 2 * pairs:
        height += 1
    return pool


def _of_height(height: int) -> list[Point]:
    low = [(u, height) for u in range(1, height + 1) if gcd(u, height) == 1]
    return [point for u, v in low for point in dict.fromkeys([(u, v), (v, u)])]


def _exchanges(chosen: tuple[int, ...], size: int) -> Iterator[tuple[int, ...]]:
    """The sets of places that differ in one place."""
    spare = [place for place in range(size) if place not in chosen]
    for n in range(len(chosen)):
        kept = chosen[:n] + chosen[n + 1 :]
        yield from (tuple(sorted((*kept, place))) for place in spare)


def error_bound(
    decompositions: Sequence[Bilinear], terms: int, epsilon: float, role: Role = "result"
) -> float:
    """Bound the rounding error of a tile, whatever the numbers and the order of summation.

    The operands are transformed axis by axis, multiplied, summed over ``terms`` and transformed
    back, all in one arithmetic; transforms of kind ``"fourier"`` are fast ones, without a detour
    by longer transforms.

    Args:
        decompositions: one for each axis of the tile.
        terms: how many products are summed before they are transformed back, such as channels;
            at least 1.
        epsilon: the unit roundoff: half the distance from 1 to the next number.
        role: what is computed: the result, or the gradient by the data or by the kernel.

    Returns:
        The greatest ``|computed - exact|`` of any element, divided by the greatest magnitudes in
        either operand and by the number of points summed: ``terms`` times, for each axis, the
        taps of a result, the results of a tap, or the most points of the tile that share an
        element of the data. Infinite if there are too many roundings to tell.

    Raises:
        AlgorithmError: the role is unknown.

    Example:
        >>> from contractconv.calculus.bilinear import direct, toom_cook
        >>> bound = error_bound([toom_cook(4, 3)] * 2, 64, 2**-24)
        >>> round(bound / error_bound([direct(3)] * 2, 64, 2**-24))
        79
    """
    roundings = epsilon * _roundings(decompositions, terms, epsilon, role)
    if roundings >= 1:
        return inf
    return roundings / (1 - roundings) * _amplification(decompositions, role, 1)


def typical_error(
    decompositions: Sequence[Bilinear], terms: int, epsilon: float, role: Role = "result"
) -> float:
    """Estimate the rounding error of a tile of random numbers.

    Numbers are taken as evenly distributed around zero, with rounding errors independent of them
    and of each other. Then squares add up, where :func:`error_bound` adds magnitudes. Algorithms
    are to be compared by this estimate; numbers of one sign may cost some times as much.

    Args:
        decompositions: one for each axis of the tile.
        terms: how many products are summed before they are transformed back, such as channels;
            at least 1.
        epsilon: the unit roundoff: half the distance from 1 to the next number.
        role: what is computed: the result, or the gradient by the data or by the kernel.

    Returns:
        About the greatest ``|computed - exact|`` in a tile, in the unit of :func:`error_bound`.

    Raises:
        AlgorithmError: the role is unknown.

    Example:
        >>> from contractconv.calculus.bilinear import direct, toom_cook
        >>> typical = typical_error([toom_cook(4, 3)] * 2, 64, 2**-24)
        >>> round(typical / typical_error([direct(3)] * 2, 64, 2**-24))
        8
    """
    roundings = _roundings(decompositions, terms, epsilon, role)
    # The mean square of either operand is a third of the greatest.
    return epsilon / 3 * sqrt(roundings / terms) * _amplification(decompositions, role, 2)


def growth_of_axis(tile: Bilinear, role: Role, epsilon: float) -> tuple[int, float, float]:
    """What one axis contributes to :func:`error_bound` and :func:`typical_error`.

    Args:
        tile: the decomposition of the axis.
        role: what is computed: the result, or the gradient by the data or by the kernel.
        epsilon: the unit roundoff.

    Returns:
        The roundings that a term passes, and how much the sum of the terms' magnitudes and the
        root of the sum of their squares grow.

    Raises:
        AlgorithmError: the role is unknown.

    Example:
        >>> from contractconv.calculus.bilinear import toom_cook
        >>> growth_of_axis(toom_cook(2, 3), "kernel", 2**-24)
        (4, 3.0, 1.0)
    """
    factors = _factors(role)
    worst, typical = (_amplification_of_axis(tile, factors, norm) for norm in (1, 2))
    return _roundings_of_axis(tile, factors, epsilon), worst, typical


def _factors(role: Role) -> str:
    if role not in _FACTORS:
        raise AlgorithmError(f"unknown role {role!r}: it is one of {', '.join(_FACTORS)}")
    return _FACTORS[role]


def _amplification(decompositions: Sequence[Bilinear], role: Role, norm: int) -> float:
    return prod(_amplification_of_axis(tile, _factors(role), norm) for tile in decompositions)


@kept(most=128)
def _amplification_of_axis(tile: Bilinear, factors: str, norm: int) -> float:
    """The norm of the terms of an element, at the worst element, for each point summed."""
    last, *operands = (
        [[abs(entry) ** norm for entry in row] for row in tile.floats(which)] for which in factors
    )
    first, second = (map(sum, zip(*rows, strict=True)) for rows in operands)
    sizes = list(map(mul, first, second))
    worst = max(sum(map(mul, row, sizes)) for row in last)
    return float(worst ** (1 / norm)) / _points_summed(tile, factors)


def _points_summed(tile: Bilinear, factors: str) -> int:
    summed = {"A": min(tile.outputs, tile.taps), "B": tile.taps, "C": tile.outputs}
    return summed[factors[0]]


def _roundings(decompositions: Sequence[Bilinear], terms: int, epsilon: float, role: Role) -> int:
    """How many roundings a term passes at most: in transforms, in its product, in the sum."""
    transforms = (_roundings_of_axis(tile, _factors(role), epsilon) for tile in decompositions)
    return sum(transforms) + terms


@kept(most=128)
def _roundings_of_axis(tile: Bilinear, factors: str, epsilon: float) -> int:
    if tile.kind == "fourier":
        return _roundings_of_fourier(tile.span)
    last, *operands = (getattr(tile, which) for which in factors)
    transforms = [last, *(operand.T for operand in operands)]
    return sum(
        max(_roundings_of_sum(row, epsilon) for row in transform.tolist())
        for transform in transforms
    )


def _roundings_of_fourier(length: int) -> int:
    """Five a level: a root of unity, three in a complex product, one in a sum (Higham, 24.1).

    The product of what is transformed is complex too, and one factor is divided by the length.
    """
    levels = (length - 1).bit_length()
    return 3 * 5 * levels + 4 if levels else 0


def _roundings_of_sum(coefficients: Sequence[sympy.Rational], epsilon: float) -> int:
    """Additions, a product unless by powers of two, a coefficient unless exact in binary."""
    significands = [_significand(coefficient) for coefficient in coefficients if coefficient]
    digits = max(significands)
    return len(significands) - 1 + (digits > 1) + (digits * epsilon > 1)


def _significand(number: sympy.Rational) -> float:
    """The least integer whose multiple by a power of two this is."""
    numerator, denominator = abs(int(number.p)), int(number.q)
    if denominator & (denominator - 1):
        return inf
    return numerator // (numerator & -numerator)
