"""How rounding errors grow in a tile: what they never exceed, and what they are as a rule.

Each transform is a sum of products, nested over the axes of a tile. By the usual model of
arithmetic, a term that passes ``k`` roundings is off by a factor of at most ``1 + γ_k`` with
``γ_k = kε/(1 - kε)`` (Higham, "Accuracy and stability of numerical algorithms", 2002, lemma 3.1).
So the error of a result is at most ``γ_k`` times the sum of all terms' magnitudes, and typically
about as large as the root of the sum of their squares (Ballard et al., "Improving the numerical
stability of fast matrix multiplication", 2016, section 3, have the bound for matrix products).

Errors are told by the greatest magnitudes in either operand and by the number of points summed:
``terms`` times, for each axis, the taps of a result, the results of a tap, or the most points of
the tile that share an element of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import inf, prod, sqrt
from operator import mul
from typing import Literal, NamedTuple

from contractconv.cache_register import kept
from contractconv.errors import AlgorithmError
from contractconv.tiles.decomposition import Decomposition

Role = Literal["result", "data", "kernel"]

# The unit roundoff: half the distance from 1 to the next number.
EPSILON = {"float32": 2.0**-24, "float64": 2.0**-53}

# The factors of what is computed: the one that is applied last, and those of the operands.
_FACTORS = {"result": "BAC", "data": "ABC", "kernel": "CAB"}


class Growth(NamedTuple):
    """How rounding errors grow along one axis.

    Attributes:
        roundings: how many roundings a term passes in the transforms.
        worst: by how much the sum of the terms' magnitudes grows.
        typical: by how much the root of the sum of their squares grows.
        points: how many points of the axis are summed in a tile.
    """

    roundings: int
    worst: float
    typical: float
    points: int


@kept(most=1024)
def growth(tile: Decomposition, role: Role, epsilon: float) -> Growth:
    """How errors grow along an axis that is cut into tiles.

    Args:
        tile: the decomposition of the axis.
        role: what is computed: the result, or the gradient by the data or by the kernel.
        epsilon: the unit roundoff.

    Raises:
        AlgorithmError: the role is unknown.

    Example:
        >>> from contractconv.tiles.decomposition import toom_cook
        >>> growth(toom_cook(2, 3), "kernel", 2**-24)
        Growth(roundings=4, worst=3.0, typical=1.0, points=2)
    """
    if role not in _FACTORS:
        raise AlgorithmError(f"unknown role {role!r}: it is one of {', '.join(_FACTORS)}")
    last, *operands = (tile.exact(which) for which in _FACTORS[role])
    transforms = [last, *(zip(*operand, strict=True) for operand in operands)]
    roundings = sum(max(_roundings(row, epsilon) for row in rows) for rows in transforms)
    points = {"result": tile.taps, "kernel": tile.outputs, "data": min(tile.outputs, tile.taps)}
    worst, typical = (_amplification(tile, role, norm) / points[role] for norm in (1, 2))
    return Growth(roundings, worst, typical, points[role])


def fourier_growth(outputs: int, taps: int, role: Role) -> Growth:
    """How errors grow along an axis of which the whole is transformed over roots of unity.

    The transforms are fast ones, without a detour by longer transforms: five roundings a level,
    a root of unity, three in a complex product, one in a sum (Higham, section 24.1). All they
    multiply by is of magnitude one; one factor is divided by the length.

    Args:
        outputs: the results along the axis.
        taps: the taps of the window.
        role: what is computed: the result, or the gradient by the kernel.

    Example:
        >>> fourier_growth(4, 5, "result").roundings
        49
    """
    span = outputs + taps - 1
    levels = (span - 1).bit_length()
    # The product of what is transformed is complex, too.
    roundings = 3 * 5 * levels + 4 if levels else 0
    points = taps if role == "result" else outputs
    return Growth(roundings, span, 1 / sqrt(points), points)


def error_bound(axes: Sequence[Growth], terms: int, epsilon: float) -> float:
    """Bound the rounding error of a tile, whatever the numbers and the order of summation.

    The operands are transformed axis by axis, multiplied, summed over ``terms`` and transformed
    back, all in one arithmetic.

    Args:
        axes: how errors grow along each axis of the tile.
        terms: how many products are summed before they are transformed back, such as channels;
            at least 1.
        epsilon: the unit roundoff.

    Returns:
        The greatest ``|computed - exact|`` of any element, by the greatest magnitudes and the
        points summed. Infinite if there are too many roundings to tell.

    Example:
        >>> from contractconv.tiles.decomposition import direct, toom_cook
        >>> tiles, taps = (growth(tile, "result", 2**-24) for tile in (toom_cook(4, 3), direct(3)))
        >>> round(error_bound([tiles] * 2, 64, 2**-24) / error_bound([taps] * 2, 64, 2**-24))
        79
    """
    roundings = epsilon * _passed(axes, terms)
    if roundings >= 1:
        return inf
    return roundings / (1 - roundings) * prod(axis.worst for axis in axes)


def typical_error(axes: Sequence[Growth], terms: int, epsilon: float) -> float:
    """Estimate the rounding error of a tile of random numbers.

    Numbers are taken as evenly distributed around zero, with rounding errors independent of them
    and of each other. Then squares add up, where :func:`error_bound` adds magnitudes. Algorithms
    are to be compared by this estimate; numbers of one sign may cost some times as much.

    Args:
        axes: how errors grow along each axis of the tile.
        terms: how many products are summed before they are transformed back, such as channels;
            at least 1.
        epsilon: the unit roundoff.

    Returns:
        About the greatest ``|computed - exact|`` in a tile, in the unit of :func:`error_bound`.

    Example:
        >>> from contractconv.tiles.decomposition import direct, toom_cook
        >>> tiles, taps = (growth(tile, "result", 2**-24) for tile in (toom_cook(4, 3), direct(3)))
        >>> round(typical_error([tiles] * 2, 64, 2**-24) / typical_error([taps] * 2, 64, 2**-24))
        8
    """
    # The mean square of either operand is a third of the greatest.
    spread = sqrt(_passed(axes, terms) / terms) / 3
    return epsilon * spread * prod(axis.typical for axis in axes)


def _passed(axes: Sequence[Growth], terms: int) -> int:
    """How many roundings a term passes at most: in transforms, in its product, in the sum."""
    return sum(axis.roundings for axis in axes) + terms


def _amplification(tile: Decomposition, role: Role, norm: int) -> float:
    """The norm of the terms of an element, at the worst element."""
    last, *operands = (
        [[abs(entry) ** norm for entry in row] for row in tile.floats(which)]
        for which in _FACTORS[role]
    )
    first, second = (map(sum, zip(*rows, strict=True)) for rows in operands)
    sizes = list(map(mul, first, second))
    worst = max(sum(map(mul, row, sizes)) for row in last)
    return float(worst ** (1 / norm))


def _roundings(coefficients: Sequence[Fraction], epsilon: float) -> int:
    """Additions, a product unless by powers of two, a coefficient unless exact in binary."""
    significands = [_significand(coefficient) for coefficient in coefficients if coefficient]
    digits = max(significands)
    return len(significands) - 1 + (digits > 1) + (digits * epsilon > 1)


def _significand(number: Fraction) -> float:
    """The least integer whose multiple by a power of two this is."""
    numerator, denominator = abs(number.numerator), number.denominator
    if denominator & (denominator - 1):
        return inf
    return numerator // (numerator & -numerator)
