"""What is written in a diagram, and how much room it takes."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

ELLIPSIS = "..."

# Sizes in units of the picture; a letter of a monospaced font advances by this part of its size.
NAME_SIZE, LABEL_SIZE, MARK_SIZE = 16.0, 13.0, 10.5
CUP = 8.0  # the radius of a line that turns round
LABEL_OFFSET = 8.0  # between a line and the label beside it
_ADVANCE = 0.61
_LONGEST_TEXT = 36


class Label(NamedTuple):
    """What is written at an index: beside its line, or below the place where it is reduced."""

    text: str
    mark: str
    is_reduced: bool = False

    def reach(self) -> tuple[float, float]:
        """How far it is from the index's place to the left and to the right end."""
        width = text_width(self.text, LABEL_SIZE)
        if not self.is_reduced:
            return CUP, LABEL_OFFSET + width
        half = max(width, text_width(self.mark, MARK_SIZE), 2 * CUP) / 2
        return half, half


def shortened(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Cut a text that no node could hold, and replace the signs that have no shape.

    Args:
        text: one line.
        longest: how many letters a node holds.

    Example:
        >>> shortened("a" * 100)[-3:]
        'aa…'
    """
    clean = "".join("\ufffd" if unicodedata.category(ch)[0] == "C" else ch for ch in text)
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def text_width(text: str, size: float) -> float:
    """Estimate how wide a text is in a monospaced font.

    Args:
        text: one line.
        size: of the letters, in units of the picture.

    Example:
        >>> text_width("feature", 10.0) < text_width("feature maps", 10.0)
        True
    """
    wide = sum(unicodedata.east_asian_width(ch) in "WF" for ch in text)
    return (len(text) * _ADVANCE + wide * (1 - _ADVANCE)) * size


def typeset(expression: str) -> str:
    """Write an expression of the notation as formulas are set.

    Example:
        >>> typeset("2*i+k-1")
        '2i+k−1'
    """
    tight = re.sub(r"(?<!\w)([0-9]+)\*(?=[^\W\d])", r"\1", expression)
    return tight.replace("*", "·").replace("-", "−")
