"""Products in which a factor comes several times: squares are written as squares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from contractconv.display.formula_writers import Hand


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
    return [hand.raised(factor, times) for factor, times in Counter(factors).items()]
