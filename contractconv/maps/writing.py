"""How maps are written: each part of a record that is the same for all maps of a form."""

from __future__ import annotations

from typing import TypedDict


class Written(TypedDict):
    """The scripts of one map, as fields of its record."""

    text: str
    latex: str
    mathml: str


def function(name: str, arity: int = 1, latex: str = "", mathml: str = "") -> Written:
    r"""A name before its arguments in parentheses.

    Args:
        name: in texts.
        arity: how many arguments there are.
        latex, mathml: the name in these scripts.

    Example:
        >>> function("exp")["latex"]
        '\\operatorname{exp}\\left(%s\\right)'
    """
    given = ", ".join(["%s"] * arity)
    sign = latex or rf"\operatorname{{{name}}}".replace("_", r"\_")
    spelled = mathml or f"<mi>{name}</mi>"
    listed = "<mo>,</mo>".join(["%s"] * arity)
    return {
        "text": f"{name}({given})",
        "latex": rf"{sign}\left({given}\right)",
        "mathml": f"<mrow>{spelled}<mo>(</mo>{listed}<mo>)</mo></mrow>",
    }


def between(sign: str, latex: str = "", mathml: str = "") -> Written:
    """A sign between two arguments.

    Args:
        sign: in texts.
        latex, mathml: the sign in these scripts.
    """
    shown = mathml or sign
    return {
        "text": f"%s {sign.replace('%', '%%')} %s",
        "latex": f"%s {latex or sign} %s",
        "mathml": f"<mrow>%s<mo>{shown}</mo>%s</mrow>",
    }


def before(sign: str, latex: str = "", mathml: str = "") -> Written:
    """A sign before an argument."""
    return {
        "text": f"{sign}%s",
        "latex": f"{latex or sign} %s",
        "mathml": f"<mrow><mo>{mathml or sign}</mo>%s</mrow>",
    }


def enclosed(name: str, left: str, right: str, signs: tuple[str, str]) -> Written:
    """An argument between two signs, which in texts is a call.

    Args:
        name: in texts.
        left, right: the signs in LaTeX.
        signs: the same in MathML.
    """
    return {
        "text": f"{name}(%s)",
        "latex": rf"\left{left} %s \right{right}",
        "mathml": f"<mrow><mo>{signs[0]}</mo>%s<mo>{signs[1]}</mo></mrow>",
    }
