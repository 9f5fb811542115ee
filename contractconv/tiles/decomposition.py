"""Exact decompositions of the window tensor: the fast algorithms of convolution.

A tile of ``m`` results of a window with ``r`` taps reads ``m + r - 1`` elements of the data, and
which element meets which tap for which result is a tensor of zeros and ones. Its decompositions

    δ[y = i + k] = Σ_p A[y,p] · B[i,p] · C[k,p]

are the fast algorithms of convolution: with as many products as the tile has data, not ``m·r``.
Put in place of the window, one decomposition gives the result ``B (Aᵀx ⊙ Cᵀw)``, its gradient by
the data ``A (Bᵀg ⊙ Cᵀw)`` and its gradient by the kernel ``C (Aᵀx ⊙ Bᵀg)``.

:func:`toom_cook` evaluates at rational points and interpolates; :func:`direct` is for axes that are
better left alone. What they cost in digits is told by :mod:`contractconv.tiles.rounding`.

Sources: Winograd, "Arithmetic complexity of computations" (1980), chapter IV, for the bilinear form
and its transposes; Toom (1963) and Cook (1966) for interpolation; Lavin and Gray, "Fast algorithms
for convolutional neural networks" (2015), for tiles of layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from operator import mul

from contractconv.cache_register import kept
from contractconv.errors import AlgorithmError, CertificateError, ShapeError
from contractconv.markup.parts import article
from contractconv.markup.shown import Listed, Printed
from contractconv.tiles import tableau
from contractconv.tiles.points import Point, best_points

Matrix = tuple[tuple[Fraction, ...], ...]

# A tile of so many products has lost all digits of double precision.
MOST_PRODUCTS = 48


@dataclass(frozen=True, repr=False)
class Decomposition(Printed):
    """A decomposition of the window tensor of one tile and one axis, in exact fractions.

    ``print`` it to read its factors; a notebook shows them as matrices.

    Attributes:
        outputs: the number of results of a tile, ``m``.
        taps: the number of taps of the window, ``r``.
        a: the factor of the data: ``m + r - 1`` rows, a column for each product.
        b: the factor of the results, of ``m`` rows.
        c: the factor of the kernel, of ``r`` rows.
        nodes: for each product the point ``u/v`` where it is evaluated, as ``(u, v)``; none if the
            window is summed as it is defined.

    Example:
        >>> tile = toom_cook(2, 3)
        >>> tile.name, tile.products, tile.savings
        ('F(2, 3)', 4, 1.5)
        >>> [list(map(str, row)) for row in tile.b]
        [['1', '1', '1', '0'], ['0', '1', '-1', '1']]
        >>> tile.verify()
    """

    outputs: int
    taps: int
    # Sizes and points tell tiles apart: hashes of fractions take long.
    a: Matrix = field(hash=False)
    b: Matrix = field(hash=False)
    c: Matrix = field(hash=False)
    nodes: tuple[Point, ...]

    @property
    def products(self) -> int:
        """The number of products of a tile, ``n``."""
        return len(self.a[0])

    @property
    def span(self) -> int:
        """The number of data elements that a tile reads, ``m + r - 1``."""
        return self.outputs + self.taps - 1

    @property
    def name(self) -> str:
        """What the algorithm is called, with its sizes."""
        if self.nodes:
            return f"F({self.outputs}, {self.taps})"
        return f"{self.taps} tap{'s' * (self.taps > 1)}"

    @property
    def savings(self) -> float:
        """How many products of the definition one product of the algorithm stands for."""
        return self.outputs * self.taps / self.products

    @property
    def points(self) -> tuple[Fraction | float, ...]:
        """Where the products are evaluated; infinite where leading coefficients are multiplied.

        Example:
            >>> list(map(str, toom_cook(3, 2).points))
            ['0', '1', '-1', 'inf']
        """
        return tuple(Fraction(u, v) if v else math.inf for u, v in self.nodes)

    def exact(self, which: str) -> Matrix:
        """Return the rows of a factor, ``"A"``, ``"B"`` or ``"C"``, as fractions."""
        return {"A": self.a, "B": self.b, "C": self.c}[which]

    def floats(self, which: str) -> tuple[tuple[float, ...], ...]:
        """Return the rows of a factor, each entry the nearest floating-point number.

        Args:
            which: ``"A"``, ``"B"`` or ``"C"``.

        Example:
            >>> toom_cook(2, 3).floats("C")
            ((1.0, 0.5, 0.5, 0.0), (0.0, 0.5, -0.5, 0.0), (0.0, 0.5, 0.5, 1.0))
        """
        return tuple(tuple(map(float, row)) for row in self.exact(which))

    def residue(self) -> Fraction:
        """Return the largest deviation of the identity, exactly.

        Returns:
            The greatest ``|Σ_p A[y,p] B[i,p] C[k,p] - δ[y=i+k]|``; zero if the identity holds.

        Example:
            >>> toom_cook(2, 3).residue()
            Fraction(0, 1)
        """
        return max((abs(deviation) for _, deviation in self._deviations()), default=Fraction(0))

    def verify(self) -> None:
        """Check the identity, exactly.

        Raises:
            CertificateError: it does not hold; the first wrong entry is named.
        """
        for (y, i, k), deviation in self._deviations():
            right = int(y == i + k)
            raise CertificateError(
                f"{self.name} does not decompose the window: "
                f"at y={y}, i={i}, k={k} it has {right + deviation} where {right} belongs"
            )

    def latex(self) -> str:
        """The identity and its factors in LaTeX, without dollar signs."""
        return tableau.as_latex(self)

    def mathml(self) -> str:
        """The factors in presentation MathML, a ``<math>`` element for each."""
        return tableau.as_mathml(self)

    def __str__(self) -> str:
        return tableau.as_text(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        return article([tableau.identity_as_html(), tableau.factors_as_html(self)])

    def _deviations(self) -> Iterator[tuple[tuple[int, int, int], Fraction]]:
        """The places where the identity does not hold, and by how much; in integers, to be fast."""
        whole, scales = zip(*map(_as_integers, (self.a, self.b, self.c)), strict=True)
        common = [math.prod(scale) for scale in zip(*scales, strict=True)]
        every = math.lcm(*common)
        weights = [every // scale for scale in common]
        data, results, kernel = whole
        for (i, b), (k, c) in product(enumerate(results), enumerate(kernel)):
            terms = [w * x * z for w, x, z in zip(weights, b, c, strict=True)]
            for y, a in enumerate(data):
                excess = sum(map(mul, a, terms)) - every * (y == i + k)
                if excess:
                    yield (y, i, k), Fraction(excess, every)


class Tiles(Listed[Decomposition]):
    """Decompositions, with the identity that they all fulfil: printed, one below the other."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join([tableau.IDENTITY["text"], *map(str, self)]) if self else "no tiles"

    def _page_parts(self) -> Iterator[str]:
        yield tableau.identity_as_html()
        yield from map(tableau.factors_as_html, self)


@kept(most=128)
def decomposition(outputs: int, taps: int) -> Decomposition:
    """Return what tiles of so many results are computed by, its identity checked.

    Example:
        >>> decomposition(2, 3).name, decomposition(1, 3).name
        ('F(2, 3)', '3 taps')
    """
    tile = toom_cook(outputs, taps) if outputs > 1 else direct(taps)
    tile.verify()
    return tile


def direct(taps: int) -> Decomposition:
    """Return the decomposition that computes one result by its definition.

    Args:
        taps: the number of taps of the window, at least 1.

    Returns:
        The decomposition of a tile of one result, with one product a tap.

    Raises:
        ShapeError: the window has no taps.

    Example:
        >>> direct(3).name, direct(3).savings
        ('3 taps', 1.0)
    """
    _check_tile(1, taps)
    unit = tuple(tuple(Fraction(y == k) for k in range(taps)) for y in range(taps))
    return Decomposition(1, taps, unit, ((Fraction(1),) * taps,), unit, ())


@kept(most=128)
def toom_cook(outputs: int, taps: int) -> Decomposition:
    """Derive the decomposition by interpolation, at points of little error growth.

    Args:
        outputs: the number of results of a tile, at least 1.
        taps: the number of taps of the window, at least 1.

    Returns:
        The decomposition with ``outputs + taps - 1`` products, which are the fewest possible.

    Raises:
        ShapeError: there are no results or no taps.
        AlgorithmError: there would be more than 48 products.

    Example:
        >>> toom_cook(4, 3).nodes
        ((0, 1), (2, 3), (-2, 3), (3, 2), (-3, 2), (1, 0))
    """
    _check_tile(outputs, taps)
    products = outputs + taps - 1
    if products > MOST_PRODUCTS:
        raise AlgorithmError(
            f"F({outputs}, {taps}) would have {products} products, and the most is "
            f"{MOST_PRODUCTS}: by then rounding has left no digit; choose a smaller tile, or 'fft'"
        )
    return at_points(best_points(outputs, taps), outputs)


def at_points(nodes: tuple[Point, ...], outputs: int) -> Decomposition:
    """Derive the decomposition by evaluation and interpolation at given points.

    Two polynomials with ``m`` and ``r`` coefficients are multiplied by their values at
    ``m + r - 1`` points, infinity among them, where the value is the leading coefficient. ``B`` and
    ``C`` evaluate, ``A`` interpolates: it is the inverse of evaluation. Columns are scaled so that
    all three are about equally large, and so that ``A`` and ``B`` are exact in binary.

    Args:
        nodes: distinct points, as many as there are products.
        outputs: the number of results of a tile, at least 1 and at most as many.

    Example:
        >>> at_points(((0, 1), (1, 1), (1, 0)), 2).residue()
        Fraction(0, 1)
    """
    taps = len(nodes) + 1 - outputs
    columns = (
        _balanced(lagrange, _powers(node, outputs), _powers(node, taps))
        for node, lagrange in zip(nodes, _interpolation(nodes), strict=True)
    )
    a, b, c = (tuple(zip(*factor, strict=True)) for factor in zip(*columns, strict=True))
    return Decomposition(outputs, taps, a, b, c, nodes)


def _check_tile(outputs: int, taps: int) -> None:
    if outputs < 1 or taps < 1:
        raise ShapeError(
            f"no tile has {outputs} results of a window with {taps} taps: at least 1 of each"
        )


def _powers(node: Point, count: int) -> tuple[int, ...]:
    """The values at ``u/v`` of the ``count`` monomials of degree ``count - 1``: no fractions."""
    u, v = node
    return tuple(u**j * v ** (count - 1 - j) for j in range(count))


def _interpolation(nodes: Sequence[Point]) -> Iterator[tuple[list[int], int]]:
    """The polynomials that are one at a point and zero at all others, with their denominators."""
    every = _vanishing(nodes)
    for node in nodes:
        coefficients = _divided(every, node)
        yield coefficients, sum(map(mul, coefficients, _powers(node, len(nodes))))


def _vanishing(nodes: Iterable[Point]) -> list[int]:
    """The coefficients, lowest first, of the polynomial that is zero at these points alone."""
    coefficients = [1]
    for u, v in nodes:
        shifted = zip([0, *coefficients], [*coefficients, 0], strict=True)
        coefficients = [v * lower - u * same for lower, same in shifted]
    return coefficients


def _divided(coefficients: Sequence[int], node: Point) -> list[int]:
    """A polynomial that is zero at a point, without the factor that makes it so."""
    u, v = node
    if not u:
        return list(coefficients[1:])
    quotient: list[int] = []
    for value in coefficients[:-1]:
        quotient.append((v * (quotient[-1] if quotient else 0) - value) // u)
    return quotient


def _balanced(
    lagrange: tuple[Sequence[int], int], results: Sequence[int], kernel: Sequence[int]
) -> tuple[list[Fraction], ...]:
    """The columns of one product, scaled to about equal length; those of A and B are dyadic.

    Coprime integers times powers of two are exact in binary. What is left of a column of A goes to
    the kernel, which is transformed once for many tiles of data.
    """
    coefficients, denominator = lagrange
    common = math.gcd(*coefficients)
    data = [x // common for x in coefficients]
    content = Fraction(common, denominator)
    if content < 0:
        data, content = [-x for x in data], -content
    whole: tuple[Sequence[int | Fraction], ...] = (data, results, [content * x for x in kernel])
    sizes = [math.log2(math.hypot(*map(float, column))) for column in whole]
    shifts = [round(sum(sizes) / 3 - size) for size in sizes[:2]]
    scales = [Fraction(2) ** shift for shift in (*shifts, -sum(shifts))]
    return tuple([scale * x for x in column] for scale, column in zip(scales, whole, strict=True))


def _as_integers(rows: Matrix) -> tuple[list[list[int]], list[int]]:
    """Columns as integers, and what each column is to be divided by."""
    scales = [math.lcm(*(x.denominator for x in column)) for column in zip(*rows, strict=True)]
    whole = [
        [x.numerator * (scale // x.denominator) for x, scale in zip(row, scales, strict=True)]
        for row in rows
    ]
    return whole, scales
