"""Formulas on a page: aligned where they are defined, broken where they are too long.

Conditions stand below the formula, since beside it there is room on no phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from contractconv.display.mathml_lines import ROOMY, TIGHT, pieces, whole, widest, width

# Between a left side and its sign, and what a first line beside it must have room for at least.
_SIGN, _LEAST = "<mo>=</mo>", 8.0


class Sides(NamedTuple):
    """An equation in MathML, in its parts.

    Attributes:
        left: what is defined.
        right: what it is; empty for what is given.
        conditions: under which a point contributes.
    """

    left: str
    right: str
    conditions: Sequence[str] = ()


def formula(sides: Sides, before: Sides | None = None) -> str:
    """Write an equation; where a phone has too little room for it, once more for a phone.

    Args:
        sides: the equation.
        before: the equation before it, if only what is new is of interest: that is marked, and
            conditions are not repeated.
    """
    roomy, tight = (_written(sides, before, room) for room in (ROOMY, TIGHT))
    if not roomy:
        return ""
    if roomy == tight:
        return f'<div class="cc-formula">{roomy}</div>'
    kinds = {"cc-roomy": roomy, "cc-tight": tight}
    return "".join(f'<div class="cc-formula {kind}">{one}</div>' for kind, one in kinds.items())


def _written(sides: Sides, before: Sides | None, room: float) -> str:
    if before is None:
        return _equation(sides, None, room) + _where(sides.conditions, room)
    new = [condition for condition in sides.conditions if condition not in before.conditions]
    if sides[:2] == before[:2]:
        return _where(new, room)
    kept = len(new) < len(sides.conditions)
    return _equation(sides, before.right, room) + _where(new, room, kept)


def _equation(sides: Sides, before: str | None, room: float) -> str:
    left = f'<div class="cc-left">{whole(sides.left + _SIGN * bool(sides.right), room)}</div>'
    right = pieces(sides.right, room, before) if sides.right else ""
    return f'<div class="cc-equation">{left}{_beside(right, sides.right, room)}</div>'


def _beside(right: str, formula: str, room: float) -> str:
    """The right side: below the left one, if there is no room for a piece beside that."""
    if not right:
        return ""
    least = min(max(_LEAST, widest(formula, room)), width(formula)) + 0.5
    return f'<div class="cc-right" style="--cc-least: {1.12 * least:.1f}em">{right}</div>'


def _where(conditions: Sequence[str], room: float, kept: bool = False) -> str:
    said = "".join(f"<span>{whole(one, room)}</span>" for one in conditions)
    said += '<span class="cc-quiet">the conditions so far hold</span>' * kept
    if not said:
        return ""
    return f'<div class="cc-where"><span>where</span><div class="cc-conditions">{said}</div></div>'
