"""Records of what layers end with: each one is defined in simpler maps."""

from __future__ import annotations

from functools import partial
from typing import Any

from contractconv.lazy import late
from contractconv.maps.record import MapRecord
from contractconv.maps.writing import function

_FORMULAS = "contractconv.maps.formulas:"
_EXP, _LOG = late("sympy:exp"), late("sympy:log")
_CARRIED_OUT = late("contractconv.maps.numbers:carried_out")

_PROBABILITY = "(0.5 * erfc(a * -0.7071067811865476))"
"""That a normal variable is less than an argument; exact also where that is almost zero."""
_SHARE = "sigmoid(a * (1.5957691216057308 + 0.07135481627260025 * (a * a)))"
"""What gelu_tanh multiplies its argument by: (1 + tanh u) / 2 is the sigmoid of 2 u."""
# Of a greater square the share is zero or one in any precision, and not to be multiplied by inf.
_CHANGE = "(1.5957691216057308 + 0.21406444881780075 * min(a * a, 10000))"


def _activation(
    name: str, formula: Any, unfolded: str, derivatives: tuple[str, ...], **given: Any
) -> MapRecord:
    arity = len(derivatives)
    names = {"kind": "float", "torch": f"nn.functional.{name}", "jax": f"nn.{name}"}
    fields: dict[str, Any] = names | function(name, arity) | given
    return MapRecord(
        name, arity, formula, partial(_CARRIED_OUT, unfolded), derivatives=derivatives,
        is_ufunc=False, unfolded=unfolded, **fields,
    )  # fmt: skip


ACTIVATIONS = (
    _activation(
        "sigmoid", lambda a: 1 / (1 + _EXP(-a)), "1 / (1 + exp(-a))", ("g * y * (1 - y)",),
        torch="sigmoid", **function("sigmoid", 1, r"\sigma", "<mi>σ</mi>"),
    ),
    _activation(
        "softplus", lambda a: _LOG(1 + _EXP(a)), "max(a, 0) + log1p(exp(-abs(a)))",
        ("g * sigmoid(a)",), ordered=True,
        # Torch's is the argument itself above 20, which is wrong by 2e-9.
        torch="",
    ),
    _activation(
        "log_sigmoid", lambda a: -_LOG(1 + _EXP(-a)), "min(a, 0) - log1p(exp(-abs(a)))",
        ("g * sigmoid(-a)",), torch="nn.functional.logsigmoid", ordered=True,
        **function("log_sigmoid", 1, r"\log\sigma", "<mi>log</mi><mi>σ</mi>"),
    ),
    _activation(
        "relu", late(f"{_FORMULAS}relu"), "max(a, 0)", ("where(y <= 0, 0, g)",), kind="same",
        torch="relu", note="zero at zero", ordered=True,
    ),
    _activation(
        "relu6", late(f"{_FORMULAS}relu6"), "min(max(a, 0), 6)",
        ("where((y <= 0) | (y >= 6), 0, g)",), kind="same",
        note="zero at zero and at six", ordered=True,
    ),
    _activation(
        "leaky_relu", late(f"{_FORMULAS}leaky_relu"), "where(a > 0, a, a * b)",
        ("where(a > 0, g, g * b)", "where(a > 0, 0, g * a)"), kind="same",
        # Torch takes no array of slopes.
        torch="", note="the slope at zero", ordered=True,
        **function("leaky_relu", 2, r"\operatorname{leaky\ relu}", "<mi>leaky relu</mi>"),
    ),
    _activation(
        "elu", late(f"{_FORMULAS}elu"), "where(a > 0, a, expm1(min(a, 0)))",
        ("where(a > 0, g, g * (y + 1))",), ordered=True,
    ),
    _activation(
        "silu", lambda a: a / (1 + _EXP(-a)), "a / (1 + exp(-a))",
        ("g * (sigmoid(a) + y * (1 - sigmoid(a)))",),
    ),
    _activation(
        "gelu", late(f"{_FORMULAS}gelu"), f"a * {_PROBABILITY}",
        (f"g * ({_PROBABILITY} + a * (0.3989422804014327 * exp(-0.5 * a * a)))",),
        # Jax's is the one with the hyperbolic tangent, if nothing else is said.
        jax="", ordered=True,
    ),
    _activation(
        "gelu_tanh", late(f"{_FORMULAS}gelu_tanh"), f"a * {_SHARE}",
        (f"g * ({_SHARE} + y * (1 - {_SHARE}) * {_CHANGE})",),
        torch="", jax="nn.gelu", ordered=True,
        **function("gelu_tanh", 1, r"\operatorname{gelu}_{\tanh}", "<mi>gelu_tanh</mi>"),
    ),
    MapRecord(
        "stop_gradient", 1, lambda a: a, late("numpy:positive"), torch="Tensor.detach",
        jax="lax.stop_gradient", **function("stop_gradient", 1, r"\operatorname{stop}"),
        derivatives=("0",), unfolded="a", note="zero, whatever it is applied to",
    ),
)  # fmt: skip
