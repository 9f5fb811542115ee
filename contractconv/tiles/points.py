"""At which points the product of two polynomials is found with the least growth of errors.

How much rounding errors grow on the way back from values to coefficients depends on the points
alone. Points are pairs of coprime integers ``(u, v)`` that stand for ``u/v``: in these homogeneous
coordinates infinity is ``(1, 0)``, a point like any other, and all is integer arithmetic. Points
come as pairs ``±u/v``, whose transforms share their even and odd parts.

Which points are good is known from experiments: Barabasz et al., "Error analysis and improving the
accuracy of Winograd convolution for deep neural networks" (2018), and Alam et al., "Winograd
convolution for deep neural networks: efficient point selection" (2022), recommend small fractions,
and Lohia, "NOVA" (2025), finds others by random search. Here they are searched for at each size,
for the least growth factor of the decomposition.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd, prod

from contractconv.cache_register import kept

Point = tuple[int, int]

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
    pool = _magnitudes((products - 1) // 2)

    def cost(places: tuple[int, ...]) -> float:
        return growth([pool[place] for place in places], outputs, taps)

    chosen = tuple(range((products - 1) // 2))
    while chosen and products < _SEARCHED:
        better = min(_exchanges(chosen, len(pool)), key=cost)
        if cost(better) >= cost(chosen) * (1 - _ROUNDING):
            break
        chosen = better
    center = (ZERO,) * (products % 2 == 0)
    pairs = [(sign * u, v) for u, v in map(pool.__getitem__, chosen) for sign in (1, -1)]
    return (*center, *pairs, INFINITY)


def growth(magnitudes: Sequence[Point], outputs: int, taps: int) -> float:
    r"""How much squares of rounding errors grow, on average over all results and whatever is asked.

    It is ``Σ_p ‖A_p‖²·‖B_p‖²·‖C_p‖²`` over the columns of the decomposition's three factors: the
    same for the product and for either gradient, however the columns are scaled. The growth factor
    of Dai and Lim, "Numerical stability and tensor nuclear norm" (2022), is the sum of the same
    products of norms; squares are added here, since errors seldom have one sign.

    A column of ``A`` is the polynomial that is 1 at one point and 0 at the others. With ``s`` for
    the squares of the points, what vanishes at all pairs but one is the even polynomial
    ``P(t) = Π (t - s)``, ``t = x²``: so ``‖P‖²`` is all there is to compute.

    Args:
        magnitudes: distinct positive points, each for a pair ``±u/v``.
        outputs: the number of coefficients of one polynomial.
        taps: the number of coefficients of the other.

    Returns:
        The sum of squares; 1 if both polynomials are numbers.

    Example:
        >>> growth([], 1, 2), growth([(1, 1)], 2, 2)
        (2.0, 6.0)
    """
    squares = tuple((u / v) ** 2 for u, v in magnitudes)
    center = (outputs + taps) % 2
    # Zero, if it is one of the points, and infinity.
    total = _size(squares) * (1 + center / prod(squares) ** 2)
    for n, square in enumerate(squares):
        others = squares[:n] + squares[n + 1 :]
        value = square ** (1 + center) * prod(square - other for other in others) ** 2
        weight = (1 + square) * _series(square, outputs) * _series(square, taps)
        total += weight * _size(others) / (2 * value)
    return total


@kept(most=1 << 12)
def _size(roots: tuple[float, ...]) -> float:
    """The sum of the squares of the coefficients of ``Π (t - root)``."""
    coefficients = [1.0]
    for root in roots:
        shifted = zip([0.0, *coefficients], [*coefficients, 0.0], strict=True)
        coefficients = [lower - root * same for lower, same in shifted]
    return sum(value * value for value in coefficients)


@kept(most=1 << 8)
def _series(base: float, count: int) -> float:
    return sum(base**exponent for exponent in range(count))


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
        others = chosen[:n] + chosen[n + 1 :]
        yield from (tuple(sorted((*others, place))) for place in spare)
