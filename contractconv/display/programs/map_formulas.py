"""Maps in formulas: their records say how they are written, and operators how tightly they bind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from contractconv.display.formula_writers import HANDS
from contractconv.maps.record import MapRecord
from contractconv.maps.table import MAPS
from contractconv.programs.text.operators import ATOM, POWER, UNARY_SIGN, bounds

LOOSEST = 0
GROUPS = {"text": "(%s)", "latex": r"\left(%s\right)", "mathml": HANDS["mathml"].group}

_PLACE = re.compile(r"(?<!%)%s")
# What stands around an argument that needs no parentheses, whatever it is.
_OPENING = re.compile(r"(?:[({,|]|lfloor|lceil|<mrow>|<msqrt>|<mo>[(,|⌊⌈]</mo>)\s*$")
_CLOSING = re.compile(r"\s*(?:[)},|]|\\right|</mrow>|</msqrt>|<mo>[),|⌋⌉]</mo>)")
# What is written on two lines, or raised, is bound as tightly as a power.
_TALL = re.compile(r"\\frac|\^|<mfrac>|<msup>")
_RAISED = re.compile(r"\s*[})]*\s*\^")


class Formula(NamedTuple):
    """A written expression, and how tightly it is bound."""

    text: str
    level: int = ATOM

    def within(self, level: int, script: str) -> str:
        """The expression where one is expected that is bound as tightly as ``level``."""
        return self.text if self.level >= level else GROUPS[script] % self.text


def applied(function: str, arguments: Sequence[Formula], script: str) -> Formula:
    r"""A map of arguments, in parentheses where they are needed.

    Example:
        >>> from contractconv.programs.text.operators import SUM
        >>> applied("multiply", [Formula("x"), Formula("y + 1", SUM)], "latex").text
        'x \\cdot \\left(y + 1\\right)'
        >>> applied("multiply", [Formula("x"), Formula("y + 1", SUM)], "text").text
        'x · (y + 1)'
    """
    record = MAPS[function]
    text = record.text.replace("-", HANDS["text"].minus).replace(" * ", HANDS["text"].dot)
    template = {"text": text, "latex": record.latex, "mathml": record.mathml}[script]
    levels = _levels(record, template)
    given = (a.within(level, script) for a, level in zip(arguments, levels, strict=True))
    return Formula(template % tuple(given), _level(record, template))


def _level(record: MapRecord, template: str) -> int:
    """How tightly the whole is bound."""
    if _TALL.search(template):
        return POWER
    return _bounds(record)[0] if _is_open(record, template) else ATOM


def _levels(record: MapRecord, template: str) -> list[int]:
    """How tightly each argument has to be bound."""
    asked = _bounds(record)[1:]
    places = list(_PLACE.finditer(template))
    return [
        LOOSEST if _is_enclosed(template, place) else level
        for place, level in zip(places, asked, strict=True)
    ]


def _bounds(record: MapRecord) -> tuple[int, ...]:
    if record.arity == 1:
        return UNARY_SIGN, UNARY_SIGN
    return bounds(record.operator) if record.operator else (ATOM,) * (record.arity + 1)


def _is_open(record: MapRecord, template: str) -> bool:
    return bool(record.operator) and not all(
        _is_enclosed(template, place) for place in _PLACE.finditer(template)
    )


def _is_enclosed(template: str, place: re.Match[str]) -> bool:
    before, behind = template[: place.start()], template[place.end() :]
    if _RAISED.match(behind) or (before.endswith("<msup><mrow>")):
        return False
    return bool(_OPENING.search(before) and _CLOSING.match(behind))
