"""Between the notation's axes and sympy's expressions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sympy

from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.spec import Axis, Composition, Dots, Term

# The ellipsis takes part in a derivation like an index; no user can type this name.
DOTS = "..."


def index(name: str) -> sympy.Symbol:
    """The symbol of an index; the ellipsis counts as one."""
    return sympy.Symbol(name, integer=True)


def parameter(name: str) -> sympy.Symbol:
    """The symbol of a stride, a dilation or a padding."""
    return sympy.Symbol(name, integer=True, nonnegative=True)


def split(term: Term) -> tuple[Affine, ...]:
    """A term's axes, each index of a composition on an axis of its own."""
    axes: list[Affine] = []
    for axis in term:
        if isinstance(axis, Composition):
            axes += [Affine.index(name) for name in axis.names]
        elif isinstance(axis, Dots):
            axes.append(Affine.index(DOTS))
        else:
            axes.append(axis)
    return tuple(axes)


def joined(axes: Iterable[Affine], like: Term) -> Term:
    """Undo :func:`split`: group axes as the term ``like`` groups them."""
    remaining = iter(axes)
    term: list[Axis] = []
    for axis in like:
        if isinstance(axis, Composition):
            term.append(Composition(tuple(_name(next(remaining)) for _ in axis.names)))
        elif isinstance(axis, Dots):
            term.append(axis if next(remaining).plain == DOTS else Dots())
        else:
            term.append(next(remaining))
    return tuple(term)


def _name(axis: Affine) -> str:
    assert axis.plain is not None, "the indices of a composition stay plain"
    return axis.plain


def expression(axis: Affine) -> sympy.Expr:
    """Write an axis as a sympy expression."""
    terms = [_number(coefficient) * index(name) for name, coefficient in axis.terms]
    return (sympy.Add(*terms) + _number(axis.offset)) / _number(axis.divisor)


def _number(polynomial: Polynomial) -> sympy.Expr:
    return sympy.Add(
        *(sympy.Mul(value, *map(parameter, names)) for names, value in polynomial.terms)
    )


def axis(formula: sympy.Expr, names: Sequence[str]) -> Affine:
    """Read a sympy expression, affine in the indices ``names``, as an axis."""
    numerator, denominator = sympy.fraction(sympy.together(formula))
    symbols = [index(name) for name in names]
    expanded = sympy.Poly(numerator, *symbols) if symbols else None
    if expanded is None:
        return Affine.of((), _polynomial(numerator), _polynomial(denominator))
    terms = [
        (name, _polynomial(coefficient))
        for name, symbol in zip(names, symbols, strict=True)
        if (coefficient := expanded.coeff_monomial(symbol)) != 0
    ]
    return Affine.of(terms, _polynomial(expanded.coeff_monomial(1)), _polynomial(denominator))


def _polynomial(formula: sympy.Expr) -> Polynomial:
    if formula.is_Integer:
        return Polynomial.of(int(formula))
    symbols = sorted(formula.free_symbols, key=str)
    terms = sympy.Poly(formula, *symbols).terms()
    return Polynomial.collect(
        (tuple(s.name for s, power in zip(symbols, powers, strict=True) for _ in range(power)),
         int(coefficient))
        for powers, coefficient in terms
    )  # fmt: skip
