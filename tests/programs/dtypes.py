"""Which numbers a value has, by the rules that programs promise, written down again."""

from __future__ import annotations

from typing import Any

import numpy as np

from contractconv.programs.nodes import Cast, Contract, Input, Length, Map, Node, Number, Position

ORDER = ("bool", "int", "float", "complex")
FLOATING = {"divide", "reciprocal", "logaddexp", "exp", "expm1", "log", "log1p", "sqrt", "rsqrt",
    "sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh", "erf", "erfc", "sigmoid", "softplus",
    "log_sigmoid", "elu", "silu", "gelu", "gelu_tanh"}  # fmt: skip
TRUTHS = {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and",
    "logical_or", "logical_not"}  # fmt: skip


def kind_of(node: Node) -> str:
    """Truth values, integers, floating-point numbers, or complex ones."""
    return _kind(dtype_of(node, "float64"))


def dtype_of(node: Node, floating: str) -> str:
    """The dtype of a value in a program that is compiled for a floating dtype."""
    found, _ = _numbers(node, floating)
    return found


def _numbers(node: Node, floating: str) -> tuple[str, bool]:
    """The dtype, and whether it is weak: that of a number that stands in the program."""
    if isinstance(node, Input):
        return node.dtype or floating, False
    if isinstance(node, (Number, Length)):
        kind = type(node.value).__name__ if isinstance(node, Number) else "int"
        return {"float": floating, "int": "int64", "complex": _complex(floating)}.get(
            kind, kind
        ), True
    if isinstance(node, Position):
        return "int64", False
    if isinstance(node, Cast):
        return (
            (node.dtype or floating, False) if node.like is None else _numbers(node.like, floating)
        )
    return _made(node, floating)


def _made(node: Node, floating: str) -> tuple[str, bool]:
    function = node.function if isinstance(node, Map) else ""
    if function in TRUTHS:
        return "bool", False
    met = _met(
        [_numbers(source, floating) for source in node.sources[function == "where" :]], floating
    )
    averaging = isinstance(node, Contract) and node.spec.reduce in ("mean", "logsumexp")
    if (averaging or function in FLOATING) and _kind(met[0]) in ("bool", "int"):
        return floating, met[1]
    if function in ("abs", "real") and _kind(met[0]) == "complex":
        return str(np.dtype(met[0]).type(0).real.dtype), met[1]
    return met


def _met(given: list[tuple[str, bool]], floating: str) -> tuple[str, bool]:
    strong = [name for name, weak in given if not weak]
    widest = max((_kind(name) for name, _ in given), key=ORDER.index, default="int")
    kept: list[Any] = [name for name in strong if _kind(name) == widest]
    if kept:
        return str(np.result_type(*kept)), False
    default = {"bool": "bool", "int": "int64", "float": floating}
    if widest != "complex":
        return default[widest], not strong
    floats = [name for name in strong if _kind(name) == "float"]
    return _complex(str(np.result_type(*floats)) if floats else floating), not strong


def _complex(floating: str) -> str:
    return "complex128" if floating == "float64" else "complex64"


def _kind(dtype: str) -> str:
    return {"b": "bool", "i": "int", "u": "int", "f": "float", "c": "complex"}[np.dtype(dtype).kind]
