"""Affine index expressions: exact arithmetic, lowest terms, one spelling for each.

Numbers are the witness: an expression is built together with the function that it stands for, and
whatever the library makes of its text must have the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contractconv as cc
from contractconv.notation.affine import ONE, ZERO, Affine, Polynomial, join_signed
from contractconv.notation.parser import parse

INDICES = ("i", "j", "k")
PARAMETERS = ("d", "s")
NAMES = " ".join(PARAMETERS)
POINTS = [
    {"i": 0, "j": 0, "k": 0, "s": 1, "d": 1},
    {"i": 1, "j": 2, "k": -3, "s": 2, "d": -5},
    {"i": 7, "j": -11, "k": 13, "s": -3, "d": 4},
    {"i": -17, "j": 5, "k": 2, "s": 100, "d": 0},
]

Values = Mapping[str, int]


def _axis(text: str, parameters: str = NAMES) -> Affine:
    """The axis of a one-operand contraction; a second axis makes longer names possible."""
    axis = parse(f"{text} other -> other", "sum", parameters).inputs[0][0]
    assert isinstance(axis, Affine)
    return axis


def _surviving(text: str) -> Affine:
    """The same where every index also stands elsewhere, so that any of them may cancel out."""
    axis = parse(f"{text} other, {' '.join(INDICES)} -> other", "sum", NAMES).inputs[0][0]
    assert isinstance(axis, Affine)
    return axis


def _number(polynomial: Polynomial, values: Values) -> int:
    constant = polynomial.bind(values).constant
    assert constant is not None
    return constant


def _at(axis: Affine, values: Values) -> Fraction:
    total = _number(axis.offset, values)
    total += sum(_number(coefficient, values) * values[name] for name, coefficient in axis.terms)
    return Fraction(total, _number(axis.divisor, values))


# --- polynomials in parameters ---------------------------------------------------------------

monomials = st.lists(st.sampled_from("psd"), max_size=3).map(lambda names: tuple(sorted(names)))
polynomials = st.lists(st.tuples(monomials, st.integers(-3, 3)), max_size=4).map(Polynomial.collect)
bindings = st.fixed_dictionaries({name: st.integers(-4, 4) for name in "psd"})


@given(a=polynomials, b=polynomials, values=bindings)
def test_polynomials_compute_like_their_values(
    a: Polynomial, b: Polynomial, values: dict[str, int]
) -> None:
    x, y = _number(a, values), _number(b, values)
    assert _number(a + b, values) == x + y
    assert _number(a - b, values) == x - y
    assert _number(a * b, values) == x * y
    assert _number(-a, values) == -x


@given(a=polynomials, b=polynomials, c=polynomials)
def test_equal_polynomials_compare_equal(a: Polynomial, b: Polynomial, c: Polynomial) -> None:
    assert a + b == b + a
    assert a * b == b * a
    assert a * (b + c) == a * b + a * c
    assert hash(a * (b + c)) == hash(a * c + a * b)
    assert a - a == ZERO
    assert a * ONE == a
    assert not a * ZERO


@given(a=polynomials, values=bindings)
def test_parameters_are_bound_in_any_order(a: Polynomial, values: dict[str, int]) -> None:
    one_by_one = a
    for name, value in values.items():
        one_by_one = one_by_one.bind({name: value})
        assert name not in one_by_one.names
    assert one_by_one == a.bind(values)


@pytest.mark.parametrize(("terms", "text"), [
    ([], "0"),
    ([((), 7)], "7"),
    ([((), -7)], "-7"),
    ([(("s",), 1)], "s"),
    ([(("s",), -1), ((), 1)], "-s+1"),
    ([((), 1), (("d", "s"), 2), (("s", "s", "s"), -1)], "-s*s*s+2*d*s+1"),
    ([(("s",), 2), (("d",), 1), (("s",), -1)], "d+s"),
    ([(("s",), 2), (("s",), -2)], "0"),
])  # fmt: skip
def test_polynomials_are_written_by_falling_degree(terms: Any, text: str) -> None:
    assert str(Polynomial.collect(terms)) == text


def test_a_polynomial_is_a_constant_or_has_none() -> None:
    assert ZERO.constant == 0
    assert Polynomial.of(-3).constant == -3
    assert Polynomial.symbol("s").constant is None
    assert (Polynomial.symbol("s") + ONE).constant is None


@pytest.mark.parametrize(("parts", "text"), [
    ([], "0"),
    ([(2, "i"), (-1, "k"), (3, "")], "2*i-k+3"),
    ([(-1, "i")], "-i"),
    ([(1, ""), (1, "")], "1+1"),
])  # fmt: skip
def test_signed_sums(parts: list[tuple[int, str]], text: str) -> None:
    assert join_signed(parts) == text


# --- what an expression means ----------------------------------------------------------------


class Expression(NamedTuple):
    """A text of the notation, and the function of its names that it stands for."""

    text: str
    value: Callable[[Values], int]
    has_index: bool


def _atom(name: str) -> Expression:
    if name in (*INDICES, *PARAMETERS):
        return Expression(name, lambda values: values[name], name in INDICES)
    return Expression(name, lambda _: int(name), False)


def _sum(left: Expression, right: Expression) -> Expression:
    return Expression(
        f"{left.text}+{right.text}",
        lambda values: left.value(values) + right.value(values),
        left.has_index or right.has_index,
    )


def _difference(left: Expression, right: Expression) -> Expression:
    return Expression(
        f"{left.text} - ({right.text})",
        lambda values: left.value(values) - right.value(values),
        left.has_index or right.has_index,
    )


def _product(left: Expression, right: Expression) -> Expression:
    return Expression(
        f"({left.text})*({right.text})",
        lambda values: left.value(values) * right.value(values),
        left.has_index or right.has_index,
    )


def _negative(inner: Expression) -> Expression:
    return Expression(f"-({inner.text})", lambda values: -inner.value(values), inner.has_index)


def _twice(inner: Expression) -> Expression:
    return Expression(f"2({inner.text})", lambda values: 2 * inner.value(values), inner.has_index)


def _larger(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    pairs = st.tuples(inner, inner)
    products = pairs.filter(lambda pair: not (pair[0].has_index and pair[1].has_index))
    return st.one_of(
        pairs.map(lambda pair: _sum(*pair)),
        pairs.map(lambda pair: _difference(*pair)),
        products.map(lambda pair: _product(*pair)),
        inner.map(_negative),
        inner.map(_twice),
    )


_atoms = st.sampled_from([*INDICES, *PARAMETERS, "0", "1", "2", "3", "10"]).map(_atom)
expressions = st.recursive(_atoms, _larger, max_leaves=8)


@given(expression=expressions)
def test_an_expression_has_the_values_that_it_says(expression: Expression) -> None:
    axis = _surviving(f"(0+{expression.text})")
    for values in POINTS:
        assert _at(axis, values) == expression.value(values)


DIVISORS: dict[str, Callable[[int], int]] = {
    "2": lambda s: 2,
    "-3": lambda s: -3,
    "s": lambda s: s,
    "(2*s)": lambda s: 2 * s,
    "(s*s)": lambda s: s * s,
}


@given(expression=expressions, divisor=st.sampled_from([*DIVISORS]))
def test_a_division_has_the_values_that_it_says(expression: Expression, divisor: str) -> None:
    axis = _surviving(f"((0+{expression.text})/{divisor})")
    for values in POINTS:
        by = DIVISORS[divisor](values["s"])
        assert _at(axis, values) == Fraction(expression.value(values), by)


@given(expression=expressions)
def test_the_text_of_an_axis_is_read_as_the_same_axis(expression: Expression) -> None:
    axis = _surviving(f"(0+{expression.text})")
    assert _surviving(str(axis)) == axis


@given(expression=expressions, s=st.integers(-3, 3), d=st.integers(-3, 3))
def test_binding_before_or_after_is_the_same(expression: Expression, s: int, d: int) -> None:
    contraction = cc.Contraction(f"(0+{expression.text}) o -> i j k o", parameters=NAMES)
    bound = contraction.bind(s=s, d=d)
    assert bound == contraction.bind(s=s).bind(d=d) == contraction.bind(d=d).bind(s=s)
    assert bound.parameters == ()
    (axis, _), *_ = bound._spec.inputs
    assert isinstance(axis, Affine)
    for values in POINTS:
        assert _at(axis, values) == expression.value({**values, "s": s, "d": d})


@given(expression=expressions)
def test_an_index_is_refused_if_and_only_if_it_cancels_out(expression: Expression) -> None:
    text = f"(0+{expression.text})"
    lost = {name for name in INDICES if name in expression.text} - {*_surviving(text).names}
    if not lost:
        assert _axis(text) == _surviving(text)
        return
    with pytest.raises(cc.SpecError) as caught:
        _axis(text)
    assert str(caught.value).partition("\n")[0] in {
        f"the index {name!r} cancels out" for name in lost
    }


# --- the notation, row by row ----------------------------------------------------------------


@pytest.mark.parametrize(("written", "text"), [
    # Coefficients and offsets.
    ("(2*i+k-1)", "(2*i+k-1)"),
    ("(2i+k-1)", "(2*i+k-1)"),
    ("(i*2 + k - 1)", "(2*i+k-1)"),
    ("(-1+k+2i)", "(k+2*i-1)"),
    ("(i+i+k-1)", "(2*i+k-1)"),
    ("(i+1+k-2+i)", "(2*i+k-1)"),
    ("(2*3*i)", "(6*i)"),
    ("(10i+007)", "(10*i+7)"),
    ("(+i)", "i"),
    ("(i)", "i"),
    ("((i))", "i"),
    ("(1*i+0)", "i"),
    # Signs.
    ("(-i)", "(-i)"),
    ("(-2i)", "(-2*i)"),
    ("(5-i)", "(5-i)"),
    ("(-i+5)", "(5-i)"),
    ("(- -i+ +k)", "(i+k)"),
    ("(i--k)", "(i+k)"),
    ("(2*-i+k)", "(k-2*i)"),
    ("(-2*i+k)", "(k-2*i)"),
    ("(-i-k-1)", "(-i-k-1)"),
    # Nested parentheses, and what binds stronger.
    ("(2*(i+k)-1)", "(2*i+2*k-1)"),
    ("(2(i+k)-1)", "(2*i+2*k-1)"),
    ("((i+k)*2-1)", "(2*i+2*k-1)"),
    ("(-(i-(k-(1+i))))", "(k-2*i-1)"),
    ("(i-k-1)", "(i-k-1)"),
    ("(i-(k-1))", "(i-k+1)"),
    ("(3(2(i+1)+k)-k)", "(6*i+2*k+6)"),
    ("(1+2*3*i)", "(6*i+1)"),
    # Constants.
    ("(0)", "(0)"),
    ("(3)", "(3)"),
    ("(2*3-1)", "(5)"),
    ("(-1)", "(-1)"),
])  # fmt: skip
def test_sums_and_products(written: str, text: str) -> None:
    assert str(_axis(written)) == text


@pytest.mark.parametrize(("written", "text"), [
    ("((h-k+1)/2)", "((h-k+1)/2)"),
    ("(h/2)", "(h/2)"),
    ("((h/2))", "(h/2)"),
    ("((2*h-2*k+2)/4)", "((h-k+1)/2)"),
    ("((6h+4)/(2*5))", "((3*h+2)/5)"),
    ("((h-k)/1)", "(h-k)"),
    ("((4*h-2*k)/2)", "(2*h-k)"),
    ("(2*h/2)", "h"),
    ("(6/3*h)", "(2*h)"),
    # The divisor is positive.
    ("((h-k)/-2)", "((k-h)/2)"),
    ("((h-k)/(-2))", "((k-h)/2)"),
    ("(-(h-k))", "(k-h)"),
    ("(4/6)", "(2/3)"),
    # Parameters cancel too.
    ("((s*h-s*k)/(2*s))", "((h-k)/2)"),
    ("((2*h-2*k)/(2*s))", "((h-k)/s)"),
    ("(s*h/s)", "h"),
])  # fmt: skip
def test_fractions_are_in_lowest_terms(written: str, text: str) -> None:
    axis = _axis(written)
    assert str(axis) == text
    assert axis.fractional == ("/" in text)


@pytest.mark.parametrize(("written", "text"), [
    # What is written side by side belongs together, more than what a sign joins.
    ("(4*h/2s)", "(2*h/s)"),
    ("(4*h/2*s)", "(2*s*h)"),
    ("(h/2(s+1))", "(h/(2*s+2))"),
    ("(d*h/2(s+1))", "(d*h/(2*s+2))"),
    ("((h-k)/2(3))", "((h-k)/6)"),
    ("(2*3h)", "(6*h)"),
    ("(6/3(2)*h)", "h"),
    ("(-2h+k)", "(k-2*h)"),
    ("(k-2h)", "(k-2*h)"),
    ("(h/-2s)", "((-h)/(2*s))"),
])  # fmt: skip
def test_side_by_side_binds_closest(written: str, text: str) -> None:
    assert str(_axis(written)) == text


@pytest.mark.parametrize(("written", "text"), [
    ("(s*i+d*k-s)", "(s*i+d*k-s)"),
    ("(i*s + k*d - s)", "(s*i+d*k-s)"),
    ("(2*s*i)", "(2*s*i)"),
    ("(s*2*i*s)", "(2*s*s*i)"),
    ("(-s*i+k)", "(k-s*i)"),
    ("((s+1)*i)", "((s+1)*i)"),
    ("((s-1)*(s+1)*i)", "((s*s-1)*i)"),
    ("(s*i-i)", "((s-1)*i)"),
    ("((s+d)*(i+k))", "((d+s)*i+(d+s)*k)"),
    ("(s)", "(s)"),
    ("(s*d-1)", "(d*s-1)"),
    ("((h-k)/s)", "((h-k)/s)"),
    ("((h-k)/(s*d))", "((h-k)/(d*s))"),
    ("((h-k)/(s+1))", "((h-k)/(s+1))"),
])  # fmt: skip
def test_symbolic_coefficients(written: str, text: str) -> None:
    assert str(_axis(written)) == text


@pytest.mark.parametrize(("written", "values", "text"), [
    ("(s*i+k-d)", {"s": 2, "d": 1}, "(2*i+k-1)"),
    ("(s*i+k-d)", {"s": 2}, "(2*i+k-d)"),
    ("(s*i+k-d)", {"s": 1, "d": 0}, "(i+k)"),
    ("(s*i+k-d)", {"s": -1, "d": 0}, "(k-i)"),
    ("((s-1)*(d+1)*i+k)", {"s": 3, "d": 2}, "(6*i+k)"),
    # After binding, lowest terms again.
    ("((2*i+k*d)/s)", {"s": 2, "d": 4}, "(i+2*k)"),
    ("((2*i+k*d)/s)", {"s": 4, "d": 2}, "((i+k)/2)"),
    ("((i-k)/s)", {"s": -2}, "((k-i)/2)"),
    ("((i-k)/(s-d))", {"s": 3, "d": 2}, "(i-k)"),
])  # fmt: skip
def test_parameters_become_numbers(written: str, values: dict[str, int], text: str) -> None:
    assert str(_axis(written).bind(values)) == text


def test_what_an_axis_tells_about_itself() -> None:
    axis = _axis("((s*i+k-d)/2)")
    assert axis.names == ("i", "k")
    assert axis.parameters == {"s", "d"}
    assert axis.fractional
    assert axis.plain is None
    assert Affine.index("i").plain == "i"
    assert _axis("(2*i)").plain is None
    assert _axis("(i+1)").plain is None
    assert _axis("(3)").names == ()


def test_indices_are_renamed_and_merged() -> None:
    axis = _axis("(2*i+k-1)")
    assert str(axis.renamed({"i": "y"})) == "(2*y+k-1)"
    assert str(axis.renamed({"k": "i"})) == "(3*i-1)"


def test_axes_add_over_a_common_denominator() -> None:
    assert str(_axis("(i/2)") + _axis("(k/3)")) == "((3*i+2*k)/6)"
    assert str(_axis("(i/2)") + _axis("(i/2)")) == "i"
    assert str(_axis("((i-1)/2)").scaled(Polynomial.of(4))) == "(2*i-2)"
    assert str(_axis("(i+1)").over(Polynomial.of(-3))) == "((-i-1)/3)"
