"""Bilinear algorithms: exact decompositions of the window tensor.

A tile of ``m`` results of a window with ``r`` taps reads ``m + r - 1`` elements of the data, and
which element meets which tap for which result is a tensor of zeros and ones. Its decompositions

    δ[y = i + k] = Σ_p A[y,p] · B[i,p] · C[k,p]

are the fast algorithms of convolution: with as many products as the tile has data, not ``m·r``.
Put in place of the window, one decomposition gives the result ``B (Aᵀx ⊙ Cᵀw)``, its gradient by
the data ``A (Bᵀg ⊙ Cᵀw)`` and its gradient by the kernel ``C (Aᵀx ⊙ Bᵀg)``.

:func:`toom_cook` evaluates at rational points and interpolates, in exact rationals; :func:`fourier`
does so at roots of unity; :func:`direct` is for axes that are better left alone. What they cost in
digits is told by :func:`error_bound`, at worst, and by :func:`typical_error`, as a rule.

Sources: Winograd, "Arithmetic complexity of computations" (1980), chapter IV, for the bilinear form
and its transposes; Toom (1963) and Cook (1966) for interpolation; Lavin and Gray, "Fast algorithms
for convolutional neural networks" (2015), for tiles of layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from operator import mul
from typing import Any

import sympy

from contractconv.caches import kept
from contractconv.calculus.conditioning import (
    best_points,
    error_bound,
    interpolation,
    powers,
    typical_error,
)
from contractconv.calculus.tableau import as_html, as_latex, as_mathml, as_text
from contractconv.errors import AlgorithmError, CertificateError, ShapeError

__all__ = ["Bilinear", "direct", "error_bound", "fourier", "toom_cook", "typical_error"]

Rows = tuple[tuple[Any, ...], ...]
# An exact number: coefficients of roots of unity, each by its part of a full turn.
Turns = dict[Fraction, Fraction]

# A tile of so many products has lost all digits of double precision.
MOST_PRODUCTS = 48

_X = sympy.Symbol("x")

_NAMES = {
    "toom-cook": "F({0.outputs}, {0.taps})",
    "fourier": "DFT({0.span})",
    "direct": "direct({0.taps})",
}


@dataclass(frozen=True, repr=False)
class Bilinear:
    """A decomposition of the window tensor of one tile and one axis.

    ``print`` it to read its factors; a notebook shows them as matrices.

    Attributes:
        outputs: the number of results of a tile, ``m``.
        taps: the number of taps of the window, ``r``.
        A: the factor of the data, of shape ``(m + r - 1, n)``.
        B: the factor of the results, of shape ``(m, n)``.
        C: the factor of the kernel, of shape ``(r, n)``.
        points: where the ``n`` products are evaluated; ``sympy.oo`` is infinity.
        kind: ``"toom-cook"``, ``"fourier"`` or ``"direct"``.

    Example:
        >>> tile = toom_cook(2, 3)
        >>> tile.name, tile.products, tile.savings
        ('F(2, 3)', 4, 1.5)
        >>> tile.B
        Matrix([
        [1, 1,  1, 0],
        [0, 1, -1, 1]])
        >>> tile.verify()
    """

    outputs: int
    taps: int
    A: sympy.ImmutableMatrix
    B: sympy.ImmutableMatrix
    C: sympy.ImmutableMatrix
    points: tuple[sympy.Expr, ...]
    kind: str

    @property
    def products(self) -> int:
        """The number of products of a tile, ``n``."""
        return int(self.A.cols)

    @property
    def span(self) -> int:
        """The number of data elements that a tile reads, ``m + r - 1``."""
        return self.outputs + self.taps - 1

    @property
    def name(self) -> str:
        """What the algorithm is called, with its sizes."""
        return _NAMES[self.kind].format(self)

    @property
    def savings(self) -> float:
        """How many products of the definition one product of the algorithm stands for."""
        return self.outputs * self.taps / self.products

    def floats(self, which: str) -> Rows:
        """Return the rows of a factor, each entry the nearest floating-point number.

        Args:
            which: ``"A"``, ``"B"`` or ``"C"``.

        Returns:
            Rows of floats, of complex numbers for roots of unity.

        Example:
            >>> toom_cook(2, 3).floats("C")
            ((1.0, 0.5, 0.5, 0.0), (0.0, 0.5, -0.5, 0.0), (0.0, 0.5, 0.5, 1.0))
        """
        rows = self.exact(which)
        if self.kind == "fourier":
            return tuple(tuple(map(_complex, row)) for row in rows)
        return tuple(tuple(float(_fraction(entry)) for entry in row) for row in rows)

    def exact(self, which: str) -> Sequence[Sequence[sympy.Expr]]:
        """Return the rows of a factor, ``"A"``, ``"B"`` or ``"C"``, as exact numbers."""
        rows: list[list[sympy.Expr]] = getattr(self, which).tolist()
        return rows

    def residue(self) -> sympy.Expr:
        """Return the largest deviation of the identity, exactly.

        Returns:
            The greatest ``|Σ_p A[y,p] B[i,p] C[k,p] - δ[y=i+k]|``; zero if the identity holds.

        Raises:
            TypeError: an entry is no sum of rational multiples of roots of unity.

        Example:
            >>> fourier(2, 3).residue()
            0
        """
        sizes = (sympy.Abs(deviation) for _, deviation in self._deviations())
        return max(sizes, key=lambda size: abs(complex(size)), default=sympy.S.Zero)

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
        return as_latex(self)

    def mathml(self) -> str:
        """The factors in presentation MathML, a ``<math>`` element for each."""
        return as_mathml(self)

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        return as_html(self)

    def _deviations(self) -> Iterator[tuple[tuple[int, int, int], sympy.Expr]]:
        """The places where the identity does not hold, and by how much."""
        factors = [self.exact(which) for which in "ABC"]
        if all(entry.is_Rational for rows in factors for row in rows for entry in row):
            yield from _rational_deviations(*factors)
            return
        A, B, C = ([list(map(_turns, row)) for row in self.exact(which)] for which in "ABC")
        for y, i, k in product(range(self.span), range(self.outputs), range(self.taps)):
            total = _sum_of_products(zip(A[y], B[i], C[k], strict=True))
            _add(total, Fraction(0), Fraction(-int(y == i + k)))
            if deviation := _value(frozenset(total.items())):
                yield (y, i, k), deviation


def direct(taps: int) -> Bilinear:
    """Return the decomposition that computes one result by its definition.

    Args:
        taps: the number of taps of the window, at least 1.

    Returns:
        The decomposition of a tile of one result, with one product a tap.

    Raises:
        ShapeError: the window has no taps.

    Example:
        >>> direct(3).name, direct(3).savings
        ('direct(3)', 1.0)
    """
    _check_tile(1, taps)
    unit = sympy.ImmutableMatrix.eye(taps)
    return Bilinear(1, taps, unit, sympy.ImmutableMatrix.ones(1, taps), unit, (), "direct")


@kept(most=128)
def toom_cook(outputs: int, taps: int) -> Bilinear:
    """Derive the decomposition by interpolation, at points of little error growth.

    Two polynomials with ``m`` and ``r`` coefficients are multiplied by their values at
    ``m + r - 1`` points, infinity among them, where the value is the leading coefficient. ``B`` and
    ``C`` evaluate, ``A`` interpolates: it is the inverse of evaluation. Columns are scaled so that
    all three are about equally large, and so that ``A`` and ``B`` are exact in binary.

    Args:
        outputs: the number of results of a tile, at least 1.
        taps: the number of taps of the window, at least 1.

    Returns:
        The decomposition with ``outputs + taps - 1`` products, which are the fewest possible.

    Raises:
        ShapeError: there are no results or no taps.
        AlgorithmError: there would be more than 48 products.

    Example:
        >>> toom_cook(4, 3).points
        (0, 2/3, -2/3, 3/2, -3/2, oo)
    """
    _check_tile(outputs, taps)
    products = outputs + taps - 1
    if products > MOST_PRODUCTS:
        raise AlgorithmError(
            f"F({outputs}, {taps}) would have {products} products, and the most is "
            f"{MOST_PRODUCTS}: by then rounding has left no digit; choose a smaller tile, or 'fft'"
        )
    points = best_points(outputs, taps)
    columns = (
        _balanced(lagrange, powers(point, outputs), powers(point, taps))
        for point, lagrange in zip(points, interpolation(points), strict=True)
    )
    A, B, C = (_matrix(factor) for factor in zip(*columns, strict=True))
    values = tuple(sympy.Rational(u, v) if v else sympy.oo for u, v in points)
    return Bilinear(outputs, taps, A, B, C, values, "toom-cook")


@kept(most=128)
def fourier(outputs: int, taps: int) -> Bilinear:
    """Return the discrete Fourier transform as a decomposition.

    It is interpolation at the ``n``-th roots of unity, ``n = m + r - 1``: the least length at which
    no window wraps around. The inverse of evaluation is evaluation at the conjugate points.

    Args:
        outputs: the number of results of a tile, at least 1.
        taps: the number of taps of the window, at least 1.

    Returns:
        The decomposition with ``outputs + taps - 1`` products, of complex numbers.

    Raises:
        ShapeError: there are no results or no taps.

    Example:
        >>> fourier(3, 2).points
        (1, I, -1, -I)
    """
    _check_tile(outputs, taps)
    span = outputs + taps - 1
    roots = [_root(Fraction(p, span)) for p in range(span)]

    def evaluation(count: int, direction: int) -> sympy.ImmutableMatrix:
        turned = [[roots[direction * j * p % span] for p in range(span)] for j in range(count)]
        return sympy.ImmutableMatrix(turned)

    A, B, C = evaluation(span, -1) / span, evaluation(outputs, 1), evaluation(taps, 1)
    return Bilinear(outputs, taps, A, B, C, tuple(roots), "fourier")


def _check_tile(outputs: int, taps: int) -> None:
    if outputs < 1 or taps < 1:
        raise ShapeError(
            f"no tile has {outputs} results of a window with {taps} taps: at least 1 of each"
        )


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


def _matrix(columns: Iterable[Sequence[Fraction]]) -> sympy.ImmutableMatrix:
    rows = zip(*columns, strict=True)
    return sympy.ImmutableMatrix(
        [[sympy.Rational(x.numerator, x.denominator) for x in row] for row in rows]
    )


def _root(turn: Fraction) -> sympy.Expr:
    """The root of unity at a part of a full turn."""
    return sympy.exp(2 * sympy.pi * sympy.I * sympy.Rational(turn))


def _rational_deviations(
    *factors: Sequence[Sequence[sympy.Rational]],
) -> Iterator[tuple[tuple[int, int, int], sympy.Rational]]:
    """The places where the identity does not hold, and by how much, for rational factors."""
    whole, scales = zip(*(_as_integers(rows) for rows in factors), strict=True)
    common = [math.prod(scale) for scale in zip(*scales, strict=True)]
    every = math.lcm(*common)
    weights = [every // scale for scale in common]
    A, B, C = whole
    for (i, b), (k, c) in product(enumerate(B), enumerate(C)):
        terms = [w * x * z for w, x, z in zip(weights, b, c, strict=True)]
        for y, a in enumerate(A):
            excess = sum(map(mul, a, terms)) - every * (y == i + k)
            if excess:
                yield (y, i, k), sympy.Rational(excess, every)


def _as_integers(rows: Sequence[Sequence[sympy.Rational]]) -> tuple[list[list[int]], list[int]]:
    """Rational columns as integers, and what each column is to be divided by."""
    scales = [math.lcm(*(int(x.q) for x in column)) for column in zip(*rows, strict=True)]
    whole = [[int(x.p) * (s // int(x.q)) for x, s in zip(row, scales, strict=True)] for row in rows]
    return whole, scales


def _turns(number: sympy.Expr) -> Turns:
    """Read a sum of rational multiples of roots of unity."""
    found: Turns = {}
    for term in sympy.Add.make_args(number):
        coefficient, root = term.as_coeff_Mul(rational=True)
        _add(found, _turn(root), _fraction(coefficient))
    return found


@kept(most=128)
def _turn(root: sympy.Expr) -> Fraction:
    turn = sympy.arg(root) / (2 * sympy.pi)
    if not turn.is_Rational or _root(_fraction(turn)) != root:
        raise TypeError(f"not a root of unity: {root}")
    return _fraction(turn)


@kept(most=1024)
def _complex(number: sympy.Expr) -> complex:
    # Of the entries of a transform, as many differ as it is long: few of many.
    return complex(number)


def _fraction(number: sympy.Rational) -> Fraction:
    return Fraction(int(number.p), int(number.q))


def _add(total: Turns, turn: Fraction, coefficient: Fraction) -> None:
    turn %= 1
    total[turn] = total.get(turn, 0) + coefficient


def _sum_of_products(products: Iterable[tuple[Turns, ...]]) -> Turns:
    total: Turns = {}
    for factors in products:
        for (s, a), (t, b), (u, c) in product(*(factor.items() for factor in factors)):
            _add(total, s + t + u, a * b * c)
    return total


@kept(most=128)
def _value(terms: frozenset[tuple[Fraction, Fraction]]) -> sympy.Expr:
    """The value of a sum, in lowest terms.

    All its terms are powers of one primitive root of unity. What the root's minimal polynomial, the
    cyclotomic one, leaves of them is zero if and only if the sum is.
    """
    order = math.lcm(*(turn.denominator for turn, _ in terms))
    coefficients = {(int(turn * order),): sympy.Rational(value) for turn, value in terms}
    minimal = sympy.cyclotomic_poly(order, _X, polys=True)
    remainder = sympy.Poly.from_dict(coefficients, _X).rem(minimal)
    return remainder.as_expr().subs(_X, _root(Fraction(1, order)))
