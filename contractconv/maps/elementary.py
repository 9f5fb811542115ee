"""Records of elementary functions: exponentials, logarithms, roots, angles, the error function."""

from __future__ import annotations

from typing import Any

from contractconv.lazy import late
from contractconv.maps.record import MapRecord
from contractconv.maps.writing import Written, function

_EXP, _LOG, _SQRT = late("sympy:exp"), late("sympy:log"), late("sympy:sqrt")

_ROOT: Written = {
    "text": "sqrt(%s)",
    "latex": r"\sqrt{%s}",
    "mathml": "<msqrt><mrow>%s</mrow></msqrt>",
}
_RECIPROCAL_ROOT: Written = {
    "text": "rsqrt(%s)",
    "latex": r"\frac{1}{\sqrt{%s}}",
    "mathml": "<mfrac><mn>1</mn><msqrt><mrow>%s</mrow></msqrt></mfrac>",
}


def _function(name: str, formula: Any, back: str | None = None, **given: Any) -> MapRecord:
    names = {"numpy": late(f"numpy:{name}"), "torch": name, "jax": f"numpy.{name}"}
    scripts = given.pop("written", function(name))
    fields = names | scripts | given
    return MapRecord(name, 1, formula, kind="float", derivatives=(back,), **fields)


def _known(name: str) -> Written:
    return function(name, 1, rf"\{name}")


ELEMENTARY = (
    _function("exp", _EXP, "g * y", written=_known("exp")),
    _function("expm1", lambda a: _EXP(a) - 1, "g * (y + 1)"),
    _function("log", _LOG, written=_known("log"), note="infinite at zero"),
    _function("log1p", lambda a: _LOG(1 + a)),
    _function("sqrt", _SQRT, "g / (2 * y)", written=_ROOT, note="infinite at zero"),
    _function(
        "rsqrt", lambda a: 1 / _SQRT(a), "-0.5 * g * y * y * y", written=_RECIPROCAL_ROOT,
        numpy=late("contractconv.maps.numbers:rsqrt"), jax="lax.rsqrt", is_ufunc=False,
        unfolded="1 / sqrt(a)",
    ),
    _function("sin", late("sympy:sin"), written=_known("sin")),
    _function("cos", late("sympy:cos"), written=_known("cos")),
    _function("tan", late("sympy:tan"), "g * (1 + y * y)", written=_known("tan")),
    _function("arctan", late("sympy:atan"), written=_known("arctan")),
    _function("sinh", late("sympy:sinh"), written=_known("sinh")),
    _function("cosh", late("sympy:cosh"), written=_known("cosh")),
    _function("tanh", late("sympy:tanh"), "g * (1 - y * y)", written=_known("tanh")),
    _function(
        "erf", late("sympy:erf"), "g * 1.1283791670955126 * exp(-a * a)",
        numpy=late("contractconv.maps.numbers:erf"), jax="lax.erf", is_ufunc=False, ordered=True,
    ),
    _function(
        "erfc", late("sympy:erfc"), "g * -1.1283791670955126 * exp(-a * a)",
        numpy=late("contractconv.maps.numbers:erfc"), jax="lax.erfc", is_ufunc=False, ordered=True,
    ),
    MapRecord(
        "logaddexp", 2, lambda a, b: _LOG(_EXP(a) + _EXP(b)), late("numpy:logaddexp"), "float",
        "logaddexp", "numpy.logaddexp", **function("logaddexp", 2),
        derivatives=("g * sigmoid(a - b)", "g * sigmoid(b - a)"), ordered=True,
        # Of equal numbers no difference is taken: both may be the same infinity.
        unfolded="where(a == b, a + 0.6931471805599453, max(a, b) + log1p(exp(-abs(a - b))))",
    ),
)  # fmt: skip
