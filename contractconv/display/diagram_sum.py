"""Several diagrams in one picture, with a plus between them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from contractconv.display.svg import element, number

_SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"')
_BETWEEN = 44.0  # where the plus stands


def side_by_side(drawings: Sequence[str]) -> str:
    """Put ``<svg>`` elements beside each other."""
    sizes = [_size(drawing) for drawing in drawings]
    height = max(high for _, high in sizes)
    parts, x = [], 0.0
    for place, (drawing, (wide, high)) in enumerate(zip(drawings, sizes, strict=True)):
        if place:
            at: dict[str, object] = {"x": x + _BETWEEN / 2, "y": height / 2 + 8, "font-size": 26}
            parts.append(element("text", {"class": "cc-plus", **at}, "+"))
            x += _BETWEEN
        where = f'<svg x="{number(x)}" y="{number((height - high) / 2)}" '
        parts.append(drawing.replace("<svg ", where, 1))
        x += wide
    attributes = {"class": "cc-diagram", "xmlns": "http://www.w3.org/2000/svg", "role": "img"}
    size = {"viewBox": f"0 0 {number(x)} {number(height)}", "width": x, "height": height}
    return element("svg", attributes | size, "\n".join(["", *parts, ""]))


def _size(drawing: str) -> tuple[float, float]:
    found = _SIZE.search(drawing)
    assert found is not None, "every diagram says its size"
    return float(found.group(1)), float(found.group(2))
