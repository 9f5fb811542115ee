"""Records of comparisons, of truth values, and of the choice between two numbers."""

from __future__ import annotations

from contractconv.lazy import late
from contractconv.maps.record import MapRecord
from contractconv.maps.writing import Written, before, between, function


def _comparison(
    name: str, operator: str, formula: str, torch: str, latex: str, mathml: str
) -> MapRecord:
    return MapRecord(
        name, 2, late(f"sympy:{formula}"), late(f"numpy:{name}"), "bool", torch,
        f"numpy.{name}", operator=operator, derivatives=("0", "0"),
        ordered=operator not in {"==", "!="}, **between(operator, latex, mathml),
    )  # fmt: skip


def _logical(word: str, arity: int, operator: str, written: Written) -> MapRecord:
    name = f"logical_{word.lower()}"
    return MapRecord(
        name, arity, late(f"sympy:{word}"), late(f"numpy:{name}"), "bool", name,
        f"numpy.{name}", operator=operator, derivatives=("0",) * arity, conditions=arity, **written,
    )  # fmt: skip


COMPARISONS = (
    _comparison("less", "<", "Lt", "lt", "<", "&lt;"),
    _comparison("less_equal", "<=", "Le", "le", r"\leq", "≤"),
    _comparison("greater", ">", "Gt", "gt", ">", "&gt;"),
    _comparison("greater_equal", ">=", "Ge", "ge", r"\geq", "≥"),
    _comparison("equal", "==", "Eq", "eq", "=", "="),
    _comparison("not_equal", "!=", "Ne", "ne", r"\neq", "≠"),
    _logical("And", 2, "&", between("&", r"\wedge", "∧")),
    _logical("Or", 2, "|", between("|", r"\vee", "∨")),
    _logical("Not", 1, "~", before("~", r"\neg", "¬")),
    MapRecord(
        "where", 3, late("contractconv.maps.formulas:where"), late("numpy:where"),
        torch="where", jax="numpy.where", derivatives=("0", "where(a, g, 0)", "where(a, 0, g)"),
        is_ufunc=False, conditions=1, **function("where", 3),
    ),
)  # fmt: skip
