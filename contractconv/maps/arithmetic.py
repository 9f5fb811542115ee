"""Records of arithmetic: sums, products, powers, rounding, the parts of complex numbers."""

from __future__ import annotations

from typing import Any

from contractconv.lazy import late
from contractconv.maps.record import MapRecord
from contractconv.maps.writing import Written, before, between, enclosed, function

_FRACTION: Written = {
    "text": "%s / %s",
    "latex": r"\frac{%s}{%s}",
    "mathml": "<mfrac><mrow>%s</mrow><mrow>%s</mrow></mfrac>",
}
_POWER: Written = {
    "text": "%s ** %s",
    "latex": "{%s}^{%s}",
    "mathml": "<msup><mrow>%s</mrow><mrow>%s</mrow></msup>",
}
_RECIPROCAL: Written = {
    "text": "reciprocal(%s)",
    "latex": r"\frac{1}{%s}",
    "mathml": "<mfrac><mn>1</mn><mrow>%s</mrow></mfrac>",
}
_SQUARE: Written = {
    "text": "square(%s)",
    "latex": r"\left(%s\right)^{2}",
    "mathml": "<msup><mrow><mo>(</mo>%s<mo>)</mo></mrow><mn>2</mn></msup>",
}


def _binary(name: str, formula: Any, written: Written, operator: str, **given: Any) -> MapRecord:
    return _record(name, 2, formula, written, operator=operator, **given)


def _unary(name: str, formula: Any, written: Written, **given: Any) -> MapRecord:
    return _record(name, 1, formula, written, **given)


def _record(name: str, arity: int, formula: Any, written: Written, **given: Any) -> MapRecord:
    names = {"numpy": late(f"numpy:{name}"), "torch": name, "jax": f"numpy.{name}"}
    fields: dict[str, Any] = names | given
    return MapRecord(name, arity, formula, **written, **fields)


def _extreme(name: str, formula: str, farther: str) -> MapRecord:
    half = "where(a == b, g / 2, where(%s, 0, g))"
    return MapRecord(
        name, 2, late(f"sympy:{formula}"), late(f"numpy:{name}imum"),
        torch=f"{name}imum", jax=f"numpy.{name}imum", ordered=True,
        derivatives=(half % f"a {farther} b", half % f"b {farther} a"),
        note="where both are equal, each gets half", **function(name, 2, rf"\{name}"),
    )  # fmt: skip


def _rounded(name: str, formula: Any, written: Written, **given: Any) -> MapRecord:
    return _unary(
        name, formula, written, derivatives=("0",), note="zero, at the steps too",
        ordered=True, **given,
    )  # fmt: skip


ARITHMETIC = (
    _binary("add", lambda a, b: a + b, between("+"), "+", derivatives=("g", "g")),
    _binary("subtract", lambda a, b: a - b, between("-", mathml="−"), "-", derivatives=("g", "-g")),
    _binary(
        "multiply", lambda a, b: a * b, between("*", r"\cdot", "·"), "*",
        derivatives=("g * b", "g * a"),
    ),
    _binary(
        "divide", lambda a, b: a / b, _FRACTION, "/", kind="float",
        derivatives=("g / b", "-g * y / b"),
    ),
    _binary(
        "power", lambda a, b: a**b, _POWER, "**", torch="pow",
        derivatives=(
            "where((b == 0) & ~(abs(a) > 0), 0, g * b * a ** (b - 1))",
            "where((a == 0) & (b >= 0), 0, g * y * log(a))",
        ),
        note="zero for the base where the exponent is zero, and for the exponent where the base is",
    ),
    _binary(
        "mod", late("sympy:Mod"), between("%", r"\bmod", "mod"), "%",
        torch="remainder", jax="numpy.remainder", ordered=True,
        # The quotient itself may round up to an integer that the remainder knows nothing of.
        derivatives=("g", "g * round((y - a) / b)"),
        note="as if it did not jump",
    ),
    _unary(
        "negative", lambda a: -a, before("-", mathml="−"), operator="-", derivatives=("-g",),
    ),
    _extreme("max", "Max", "<"),
    _extreme("min", "Min", ">"),
    _unary(
        "abs", late("sympy:Abs"), enclosed("abs", "|", "|", ("|", "|")), ordered=True,
        derivatives=("g * sign(a)",), note="zero at zero",
    ),
    _rounded("sign", late("sympy:sign"), function("sign")),
    _rounded("floor", late("sympy:floor"), enclosed("floor", r"\lfloor", r"\rfloor", ("⌊", "⌋"))),
    _rounded("ceil", late("sympy:ceiling"), enclosed("ceil", r"\lceil", r"\rceil", ("⌈", "⌉"))),
    _rounded("round", late("contractconv.maps.formulas:Round"), function("round"), is_ufunc=False),
    _unary(
        "square", lambda a: a**2, _SQUARE, derivatives=("2 * a * g",), unfolded="a * a",
    ),
    _unary(
        "reciprocal", lambda a: 1 / a, _RECIPROCAL, kind="float", derivatives=("-g * y * y",),
        unfolded="1 / a",
    ),
    _unary(
        "conj", late("sympy:conjugate"), function("conj"), torch="conj_physical",
        derivatives=("conj(g)",),
    ),
    _unary(
        "real", late("sympy:re"), function("real", 1, r"\operatorname{Re}", "<mi>Re</mi>"),
        kind="real", is_ufunc=False, derivatives=("g",),
    ),
)  # fmt: skip
