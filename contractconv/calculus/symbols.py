"""Between the notation's axes and sympy's expressions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, count
from math import lcm

import sympy

from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.spec import Axis, Composition, Dots, Spec, Term

# The ellipsis takes part in a derivation like an index; no user can type this name.
DOTS = "..."
# Behind the name of another position of the same range; no user can type it either.
PRIME = "'"

# Names for the positions of an array, as one would choose them by hand.
POSITION_NAMES = ("h", "w", "d", "y", "x", "z", "u", "v", "t", "p", "q", "r", "m", "n")


_PRINTED = tuple(
    (re.compile(typed), printed)
    for typed, printed in (
        (r"(?<!\w)([0-9]+)\*(?!_)", r"\1"),
        (r"\*", "·"),
        ("-", "−"),
        ("'", "′"),
        (re.escape(DOTS), "…"),
    )
)
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_NUMBERED = re.compile(r"(?<!\w)([^\W_]*[^\W\d_])([0-9]+)(?!\w)")
_LETTERS = re.compile(r"_*([^\W\d_]+)")
_SIGN = re.compile(r"(?<=[\w)′])([+−])")


def distinct(name: str, taken: Collection[str]) -> str:
    """The name, with as few primes as tell it from those that are taken.

    Example:
        >>> distinct("k", ["i", "k", "k'"])
        "k''"
    """
    while name in taken:
        name += PRIME
    return name


def fresh_names(taken: Iterable[str]) -> Iterator[str]:
    """Names for positions, without those that are taken, or whose size would have such a name.

    Example:
        >>> next(fresh_names(["h", "N_w"]))
        'd'
    """
    used = set(taken)
    names = chain(POSITION_NAMES, (f"m{number}" for number in count(1)))
    return (name for name in names if used.isdisjoint((name, f"N_{name}")))


def positions(
    axes: Sequence[Affine], fresh: Iterator[str], primed: bool
) -> tuple[sympy.Symbol, ...]:
    """One symbol for each axis: a fresh name for an expression, the index itself for an index.

    An index that stands alone more than once gets a prime each further time; with ``primed``
    already the first time.
    """
    seen: Counter[str] = Counter()
    names: list[str] = []
    for axis in axes:
        if axis.plain is None:
            names.append(next(fresh))
        else:
            names.append(axis.plain + "'" * (seen[axis.plain] + primed))
            seen[axis.plain] += 1
    return tuple(map(index, names))


def index(name: str) -> sympy.Symbol:
    """The symbol of an index; the ellipsis counts as one."""
    return sympy.Symbol(name, integer=True)


def parameter(name: str) -> sympy.Symbol:
    """The symbol of a stride, a dilation or a padding."""
    return sympy.Symbol(name, integer=True, nonnegative=True)


def scaling(spec: Spec) -> frozenset[str]:
    """The parameters that multiply or divide, which are positive; the others only shift."""
    axes = [axis for axis in spec.axes if isinstance(axis, Affine)]
    numbers = [n for a in axes for n in (a.divisor, *(c for _, c in a.terms))]
    return frozenset(name for number in numbers for name in number.names)


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


def is_plain(term: Term) -> bool:
    """Whether every index of a term stands alone on its axis, and only once."""
    names = [axis.plain for axis in split(term)]
    return None not in names and len(set(names)) == len(names)


def in_words(axis: Affine) -> str:
    """An expression as sentences and formulas in plain text write it.

    Example:
        >>> i, k = Affine.index("i"), Affine.index("k'")
        >>> in_words(i + i - k)
        '2i−k′'
    """
    text = str(axis)
    text = text[1:-1] if text.startswith("(") else text
    text = _NUMBERED.sub(lambda found: found[1] + found[2].translate(SUBSCRIPTS), text)
    for typed, printed in _PRINTED:
        text = typed.sub(printed, text)
    spaced = any(map(is_word, (*axis.names, *axis.parameters)))
    return _SIGN.sub(r" \1 ", text) if spaced else text


def is_word(name: str) -> bool:
    """Whether a name has several letters, not counting a subscript; then it needs space around it.

    Example:
        >>> [is_word(name) for name in ("tap", "in_1", "k'", "p0", "x_max", "_a")]
        [True, True, False, False, False, False]
    """
    letters = _LETTERS.match(name)
    return letters is not None and len(letters[1]) > 1


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


def axis(formula: sympy.Expr, names: Collection[str]) -> Affine:
    """Read a sympy expression, affine in the indices ``names``, as an axis."""
    if formula.is_Symbol and formula.name in names:
        return Affine.index(formula.name)
    summands, denominator = _over_one(formula)
    terms: list[tuple[str, Polynomial]] = []
    offset = Polynomial()
    for summand in summands:
        factors = sympy.Mul.make_args(summand)
        found = [factor.name for factor in factors if factor.is_Symbol and factor.name in names]
        number = _polynomial(sympy.Mul(*(f for f in factors if str(f) not in found)))
        if found:
            terms.append((found[0], number))
        else:
            offset += number
    return Affine.of(terms, offset, _polynomial(denominator))


def _over_one(formula: sympy.Expr) -> tuple[tuple[sympy.Expr, ...], sympy.Expr]:
    """What is added up over one denominator, and that; both expanded."""
    summands = sympy.Add.make_args(sympy.expand(formula))
    numbers = [summand.as_coeff_Mul() for summand in summands]
    if all(factor.is_Pow is False for _, rest in numbers for factor in sympy.Mul.make_args(rest)):
        # sympy.together, which looks for common factors as well, takes many times as long.
        common = lcm(*(number.q for number, _ in numbers))
        return tuple(common * number * rest for number, rest in numbers), sympy.Integer(common)
    numerator, denominator = map(sympy.expand, sympy.fraction(sympy.together(formula)))
    return sympy.Add.make_args(numerator), denominator


def _polynomial(formula: sympy.Expr) -> Polynomial:
    total = []
    for summand in sympy.Add.make_args(formula):
        coefficient, monomial = summand.as_coeff_Mul()
        powers = monomial.as_powers_dict().items()
        names = [base.name for base, power in powers if base.is_Symbol for _ in range(int(power))]
        total.append((tuple(sorted(names)), int(coefficient)))
    return Polynomial.collect(total)
