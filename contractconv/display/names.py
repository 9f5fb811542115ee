r"""Names of arrays as mathematics writes them.

They are taken apart as all names are, see :mod:`contractconv.display.formula_symbols`; subscripts
of a name and positions stand beside each other. A gradient, a cotangent and a tangent are written
as :func:`contractconv.letters` says. Text keeps the names as they are, so that they can be found
again in programs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from contractconv.calculus.letters import DEFAULT, Letter, chosen, said
from contractconv.display.formula_symbols import COMMA, GREEK, Name, latex_word, mathml_word
from contractconv.display.formula_writers import Hand


class _Symbol(NamedTuple):
    """A name, written: what carries the subscripts, and those of the name."""

    stem: str
    subscripts: tuple[str, ...] = ()


def array(hand: Hand, name: str) -> str:
    r"""The name of an array.

    Example:
        >>> from contractconv.display.formula_writers import HANDS
        >>> for name in ("x", "W_q", "x_1", "alpha", "image"):
        ...     print(array(HANDS["latex"], name))
        x
        W_{q}
        x_{1}
        \alpha
        \mathrm{image}
    """
    return element(hand, name, ())


def element(hand: Hand, name: str, positions: Sequence[str]) -> str:
    r"""An element of an array; subscripts of its name stand before the positions.

    Example:
        >>> from contractconv.display.formula_writers import HANDS
        >>> print(element(HANDS["latex"], "W_q", ["i", "j"]), element(HANDS["text"], "W_q", ["i"]))
        W_{q;\, i, j} W_q[i]
    """
    if hand.script == "text":
        return hand.met(said(name, hand.symbol), positions)
    if not positions and not isinstance(name, Letter):
        return hand.symbol(name)
    if isinstance(name, Letter) and _is_fraction(name):
        above = [array(hand, part) for part in name.pair]
        whole = _PAIRS[hand.script] % tuple(above) if above else _LOSS[hand.script]
        return _FRACTIONS[hand.script] % (whole, element(hand, name.of, positions))
    symbol = _symbol(hand, name)
    if not symbol.subscripts:
        return hand.met(symbol.stem, positions)
    own = hand.comma.join(symbol.subscripts)
    return hand.met(symbol.stem, [own + _BETWEEN[hand.script] + hand.comma.join(positions)]
                    if positions else [own])  # fmt: skip


_BETWEEN = {"latex": r";\, ", "mathml": '<mo separator="true">;</mo>'}


def _symbol(hand: Hand, name: str) -> _Symbol:
    if isinstance(name, Letter):
        return _LETTERED[name.meaning](hand, name)
    parts = Name.of(name)
    write = latex_word if hand.script == "latex" else mathml_word
    if parts.before or not parts.below:
        return _Symbol(hand.symbol(name))
    return _Symbol(write(parts.stem), tuple(map(write, parts.below)))


def _is_fraction(name: Letter) -> bool:
    if name.meaning == "gradient":
        return chosen().gradient != DEFAULT.gradient
    return name.meaning == "second"


# -- letters with a meaning ------------------------------------------------------------------------

_FRACTIONS = {
    "latex": r"\frac{\partial %s}{\partial %s}",
    "mathml": "<mfrac><mrow><mo>∂</mo>%s</mrow><mrow><mo>∂</mo>%s</mrow></mfrac>",
}
_LOSS = {"latex": "L", "mathml": "<mi>L</mi>"}
_PAIRS = {
    "latex": r"\langle %s, %s \rangle",
    "mathml": f"<mrow><mo>⟨</mo>%s{COMMA}%s<mo>⟩</mo></mrow>",
}
_BEFORE = {
    "d": {"latex": r"\mathrm{d}%s",
          "mathml": '<mrow><mi mathvariant="normal">d</mi>%s</mrow>'},
    "d ": {"latex": r"\mathrm{d}\,%s",
           "mathml": '<mrow><mi mathvariant="normal">d</mi><mspace width="0.1em"/>%s</mrow>'},
    "δ": {"latex": r"\delta %s", "mathml": "<mrow><mi>δ</mi>%s</mrow>"},
}  # fmt: skip
_OVER = {
    "dot": {"latex": r"\dot{%s}", "mathml": '<mover accent="true">%s<mo>˙</mo></mover>'},
    "bar": {"latex": r"\bar{%s}", "mathml": '<mover accent="true">%s<mo>¯</mo></mover>'},
}


def _before(hand: Hand, sign: str, name: str) -> _Symbol:
    found = _symbol(hand, name)
    return found._replace(stem=_BEFORE[sign][hand.script] % found.stem)


def _over(hand: Hand, sign: str, name: str) -> _Symbol:
    found = _symbol(hand, name)
    return found._replace(stem=_OVER[sign][hand.script] % found.stem)


def _gradient(hand: Hand, name: Letter) -> _Symbol:
    return _before(hand, "d " if _is_word(name.of) else "d", name.of)


def _is_word(name: str) -> bool:
    """Whether a sign in front of a name needs a space."""
    stem = Name.of(name).stem
    return not isinstance(name, Letter) and len(stem) > 1 and stem not in GREEK


def _cotangent(hand: Hand, name: Letter) -> _Symbol:
    plain = chosen().cotangent == DEFAULT.cotangent
    return _symbol(hand, str(name)) if plain else _over(hand, "bar", name.of)


def _tangent(hand: Hand, name: Letter) -> _Symbol:
    if chosen().tangent == DEFAULT.tangent:
        return _symbol(hand, str(name))
    if chosen().tangent == "δW":
        return _before(hand, "δ", name.of)
    return _over(hand, "dot", name.of)


_LETTERED: dict[str, Callable[[Hand, Letter], _Symbol]] = {
    "gradient": _gradient, "cotangent": _cotangent, "tangent": _tangent, "change": _tangent,
}  # fmt: skip
