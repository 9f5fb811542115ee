"""How each map is carried out on vectors: one rule for each kind of numbers."""

from __future__ import annotations

from collections.abc import Callable

from contractconv.engines.llvm.kernels.kernel_values import Vector
from contractconv.engines.llvm.maps import (
    exponentials,
    gaussians,
    logarithms,
    powers,
    remainders,
    trigonometry,
)
from contractconv.engines.llvm.maps.vector_kinds import Floats, Lanes

Rule = Callable[..., Vector]

_SIGNS = {
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==",
    "not_equal": "!=",
}  # fmt: skip


def rule(function: str, dtype: str) -> Rule | None:
    """What carries a map out on vectors of a dtype: a function of the lanes and the arguments.

    Returns:
        ``None`` if there is none.

    Example:
        >>> rule("exp", "float32") is not None, rule("exp", "int64")
        (True, None)
    """
    return _rules(dtype).get(function)


def _rules(dtype: str) -> dict[str, Rule]:
    if dtype.startswith("float"):
        return _FLOAT
    return _TRUTH if dtype == "bool" else _INTEGER


def _compared(how: str) -> Rule:
    return lambda lanes, left, right: lanes.compared(how, left, right)


def _called(name: str) -> Rule:
    return lambda lanes, *given: lanes.call(name, *given)


def _built(name: str) -> Rule:
    def build(lanes: Lanes, *given: Vector) -> Vector:
        return Vector(lanes.e, getattr(lanes.e.builder, name)(*(v.value for v in given)))

    return build


def _same(lanes: Lanes, given: Vector) -> Vector:
    return given


def _extreme(how: str) -> Rule:
    def choose(f: Floats, left: Vector, right: Vector) -> Vector:
        further = f.where(f.compared(how, left, right), left, right)
        return f.where(f.unknown(left), left, further)

    return choose


def _further(how: str) -> Rule:
    return lambda i, left, right: i.where(i.compared(how, left, right), left, right)


def _sign(lanes: Lanes, x: Vector) -> Vector:
    zero, one, less = (lanes.constant(value) for value in (0, 1, -1))
    below = lanes.where(lanes.compared("<", x, zero), less, zero)
    return lanes.where(lanes.compared(">", x, zero), one, below)


def _sign_of_float(f: Floats, x: Vector) -> Vector:
    return f.where(f.unknown(x), x, _sign(f, x))


def _magnitude(i: Lanes, x: Vector) -> Vector:
    return i.where(i.compared("<", x, i.constant(0)), _less(i, i.constant(0), x), x)


def _less(i: Lanes, left: Vector, right: Vector) -> Vector:
    return Vector(i.e, i.e.builder.sub(left.value, right.value))


def _opposite(i: Lanes, x: Vector) -> Vector:
    return _less(i, i.constant(0), x)


_EVERY: dict[str, Rule] = {name: _compared(sign) for name, sign in _SIGNS.items()} | {
    "where": lambda lanes, mask, yes, no: lanes.where(mask, yes, no),
    "conj": _same,
    "real": _same,
}
_FLOAT: dict[str, Rule] = {
    **_EVERY,
    "add": _built("fadd"),
    "subtract": _built("fsub"),
    "multiply": _built("fmul"),
    "divide": _built("fdiv"),
    "power": powers.power,
    "mod": remainders.mod,
    "negative": _built("fneg"),
    "max": _extreme(">"),
    "min": _extreme("<"),
    "abs": _called("fabs"),
    "sign": _sign_of_float,
    "floor": _called("floor"),
    "ceil": _called("ceil"),
    "round": _called("nearbyint"),
    "sqrt": _called("sqrt"),
    "inverse_root": Floats.inverse_root,
    "exp": exponentials.exp,
    "expm1": exponentials.expm1,
    "tanh": exponentials.tanh,
    "erf": gaussians.erf,
    "erfc": gaussians.erfc,
    "normal_probability": gaussians.normal_probability,
    "normal_density": gaussians.normal_density,
    "sin": trigonometry.sin,
    "cos": trigonometry.cos,
    "tan": trigonometry.tan,
    "arctan": trigonometry.arctan,
    "sinh": exponentials.sinh,
    "cosh": exponentials.cosh,
    "log": logarithms.log,
    "log1p": logarithms.log1p,
    "softplus_excess": logarithms.softplus_excess,
}
_INTEGER: dict[str, Rule] = {
    **_EVERY,
    "add": _built("add"),
    "subtract": _less,
    "multiply": _built("mul"),
    "negative": _opposite,
    "max": _further(">"),
    "min": _further("<"),
    "abs": _magnitude,
    "sign": _sign,
    "floor": _same,
    "ceil": _same,
    "round": _same,
}
_TRUTH: dict[str, Rule] = {
    **_EVERY,
    "logical_and": lambda t, left, right: t.both(left, right),
    "logical_or": lambda t, left, right: t.one_of(left, right),
    "logical_not": lambda t, x: t.opposite(x),
    "max": lambda t, left, right: t.one_of(left, right),
    "min": lambda t, left, right: t.both(left, right),
}


def carried_out(lanes: Lanes, function: str, given: list[Vector]) -> Vector:
    """Apply a map to vectors of one dtype."""
    return _rules(lanes.dtype)[function](lanes, *given)
