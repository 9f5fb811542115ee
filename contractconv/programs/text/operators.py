"""How maps are written: by operators, as tightly as Python binds them, or as calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from contractconv.maps.reading import BINARY, COMPARED, UNARY
from contractconv.maps.table import MAPS

COMPARISON, OR, AND, SUM, PRODUCT, UNARY_SIGN, POWER, ATOM = range(8)
"""How tightly an expression is bound, the loosest first."""

_SIGNED = frozenset({*BINARY.values(), *COMPARED.values(), *UNARY.values()})
_LEVELS = {"|": OR, "&": AND, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "%": PRODUCT}


class Piece(NamedTuple):
    """A written expression.

    Attributes:
        text: how it is written.
        level: how tightly it is bound.
        literal: whether it is a number that stands there.
    """

    text: str
    level: int = ATOM
    literal: bool = False

    def within(self, level: int) -> str:
        """The expression where one is expected that is bound as tightly as ``level``."""
        return self.text if self.level >= level else f"({self.text})"


def call(name: str, arguments: Sequence[str]) -> Piece:
    """A function of arguments."""
    return Piece(f"{name}({', '.join(arguments)})")


def applied(function: str, arguments: Sequence[Piece]) -> Piece:
    """A map of arguments.

    Example:
        >>> applied("power", [Piece("-2", UNARY_SIGN, True), Piece("x")]).text
        '(-2) ** x'
    """
    sign = MAPS[function].operator if function in _SIGNED else ""
    # A minus before a number belongs to the number.
    if not sign or (len(arguments) == 1 and arguments[0].literal):
        return call(function, [argument.text for argument in arguments])
    if len(arguments) == 1:
        # Two signs in a row read like one of another language.
        bound = ATOM if arguments[0].text.startswith(sign) else UNARY_SIGN
        return Piece(sign + arguments[0].within(bound), UNARY_SIGN)
    level, left, right = bounds(sign)
    first, second = arguments
    return Piece(f"{first.within(left)} {sign} {second.within(right)}", level)


def bounds(sign: str) -> tuple[int, int, int]:
    """The level of an operator's result, and which ones it takes at its left and its right."""
    if sign == "**":
        return POWER, ATOM, UNARY_SIGN
    level = _LEVELS.get(sign, COMPARISON)
    return level, level + (level == COMPARISON), level + 1


def number(value: complex) -> Piece:
    """A number, such that it is read back as the same one.

    Example:
        >>> number(-0.5).text, number(float("inf")).text, number(1j).text, number(1 - 1j).text
        ('-0.5', 'inf', '1j', 'complex(1.0, -1.0)')
    """
    if isinstance(value, complex):
        return _complex(value)
    text = repr(value)
    return Piece(text, UNARY_SIGN if text.startswith("-") else ATOM, True)


def _complex(value: complex) -> Piece:
    imaginary = repr(value)
    if imaginary[0].isdigit():
        return Piece(imaginary, literal=True)
    return Piece(f"complex({value.real!r}, {value.imag!r})", literal=True)
