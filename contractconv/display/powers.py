"""Products in which a factor comes several times: squares are written as squares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from contractconv.display.formula_writers import Hand

_RAISED = {"text": "%s%s", "latex": "%s^{%s}", "mathml": "<msup>%s<mn>%s</mn></msup>"}
_SMALL = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def multiplied(hand: Hand, factors: Sequence[str]) -> str:
    """A product, as :meth:`Hand.multiplied` writes it.

    Example:
        >>> from contractconv.display.formula_writers import HANDS
        >>> multiplied(HANDS["text"], ["x[i]", "A[i, j]", "x[i]"])
        'x[i]² · A[i, j]'
    """
    return hand.multiplied(collapsed(hand, factors))


def collapsed(hand: Hand, factors: Sequence[str]) -> list[str]:
    """The factors, each once, raised to a power where it comes several times."""
    return [_raised(hand, factor, times) for factor, times in Counter(factors).items()]


def _raised(hand: Hand, factor: str, times: int) -> str:
    if times == 1:
        return factor
    written = str(times).translate(_SMALL) if hand.script == "text" else times
    return _RAISED[hand.script] % (factor, written)
