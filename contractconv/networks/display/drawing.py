"""The picture of a network as SVG.

Pictures follow the page, as those of contractions do. Parts can be found by their classes
(``cc-input``, ``cc-part``, ``cc-joint``, ``cc-output``, ``cc-branch``, ``cc-block``) and by
``data-name``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from contractconv.display.diagram import STYLE
from contractconv.display.diagram_lettering import LABEL_SIZE, MARK_SIZE, shortened
from contractconv.display.svg import element, escaped, number, points
from contractconv.layers.records import Path
from contractconv.networks.display.picture import Box, Picture, Strand
from contractconv.networks.display.picture_layout import (
    LINE,
    PADDING,
    Layout,
    Place,
    name_of,
    texts,
)

_STYLE = f"""
.cc-network text {{ text-anchor: start; }}
.cc-network .cc-title {{ font-size: {LABEL_SIZE:g}px; font-weight: 600; }}
.cc-network .cc-size {{ text-anchor: end; }}
.cc-network .cc-joint text, .cc-network .cc-block text {{ text-anchor: middle; }}
.cc-network .cc-input .cc-shape {{ stroke-dasharray: 4 3; fill-opacity: 0; }}
.cc-network .cc-output .cc-shape {{ fill-opacity: 0.14; stroke-width: 2.5; }}
.cc-network .cc-branch {{ color: var(--cc-window); }}
.cc-network .cc-head {{ fill: currentColor; stroke: none; }}
.cc-network .cc-block {{ color: var(--cc-reduced); }}
.cc-network .cc-block text {{ fill: currentColor; }}
"""
_HEAD = 4.0
# Where lines leave a box at its side, and where they enter it.
_LEAVE, _ENTER = 0.7, 0.3


def drawn(picture: Picture, name: str) -> str:
    """Draw a network: an ``svg`` element, complete by itself."""
    layout = Layout(picture)
    parts = [
        element("title", {}, escaped(name)),
        element("desc", {}, escaped(_description(picture))),
        element("style", {}, STYLE + _STYLE),
        *(_block(path, place) for path, place in layout.blocks()),
        *(_strand(strand, column, layout) for strand, column in picture.strands),
        *(_box(box, layout.place(box), box is picture.result) for box in picture.boxes),
    ]
    width, height = number(layout.width), number(layout.height)
    kind = {"class": "cc-diagram cc-network", "xmlns": "http://www.w3.org/2000/svg", "role": "img"}
    size = {"viewBox": f"0 0 {width} {height}", "width": width, "height": height}
    return element("svg", kind | size, "\n".join(["", *parts, ""]))


def _description(picture: Picture) -> str:
    said = (
        f"{_called(box)} is made of {', '.join(map(_called, box.sources))}"
        for box in picture.boxes
        if box.sources
    )
    return "; ".join(said) + "."


def _called(box: Box) -> str:
    return ".".join(box.path)


# -- boxes -------------------------------------------------------------------------------------


def _box(box: Box, place: Place, is_result: bool) -> str:
    corners = place.height / 2 if box.kind == "joint" else 7.0
    size = {"x": place.x, "y": place.y, "width": place.width, "height": place.height}
    shape = element("rect", {"class": "cc-shape", **size, "rx": corners})
    inner = _sign(box, place) if box.kind == "joint" else "".join(_texts(box, place))
    classes = f"cc-{box.kind}" + " cc-output" * is_result
    return element("g", {"class": classes, "data-name": _called(box)}, shape + inner)


def _sign(box: Box, place: Place) -> str:
    at = {"class": "cc-text", "x": place.middle, "y": place.y + place.height / 2 + 4.5}
    (text,) = texts(box)
    return element("text", at, escaped(text))


def _texts(box: Box, place: Place) -> Iterator[str]:
    left, right = place.x + PADDING, place.x + place.width - PADDING
    base = place.y + LINE
    yield element("text", {"class": "cc-title", "x": left, "y": base}, escaped(name_of(box)))
    yield element("text", {"class": "cc-mark cc-size", "x": right, "y": base}, escaped(box.shape))
    for n, text in enumerate(texts(box), 1):
        at = {"class": "cc-mark", "x": left, "y": base + LINE * n}
        yield element("text", at, escaped(text))


def _block(path: Path, place: Place) -> str:
    """A bracket at the left, and the name of the block, turned."""
    x, middle = place.x + place.width - 6, place.y + place.height / 2
    route = points("M", x + 4, place.y) + points("H", x) + points("V", place.y + place.height)
    line = element("path", {"class": "cc-line", "d": route + points("H", x + 4)})
    longest = max(1, int(place.height / (0.61 * MARK_SIZE)))
    turned = f"rotate(-90 {number(x - 5)} {number(middle)})"
    at = {"class": "cc-mark", "x": x - 5, "y": middle, "transform": turned}
    name = element("text", at, escaped(shortened(path[-1], longest)))
    return element("g", {"class": "cc-block", "data-name": ".".join(path)}, line + name)


# -- lines -------------------------------------------------------------------------------------


def _strand(strand: Strand, column: int, layout: Layout) -> str:
    """The lines of a strand: between its boxes, from where it begins, to where it ends."""
    x = layout.middle(column)
    routes = [_down(layout.place(a), layout.place(b)) for a, b in pairwise(strand.boxes)]
    begin = "" if strand.start is None else _left(strand.start, column, layout)
    if strand.start is not None and strand.boxes:
        top = layout.place(strand.boxes[0]).y
        routes.append(_line(begin + points("V", top)) + _head(x, top, 0, -1))
    if strand.end is not None:
        if strand.boxes:
            last = layout.place(strand.boxes[-1])
            begin = points("M", x, last.y + last.height)
        routes.append(_entered(strand.end, column, layout, begin))
    return element("g", {"class": "cc-branch" if column else "cc-spine"}, "".join(routes))


def _down(upper: Place, lower: Place) -> str:
    x, y = upper.middle, lower.y
    line = _line(points("M", x, upper.y + upper.height) + points("V", y))
    return line + _head(x, y, 0, -1)


def _left(box: Box, column: int, layout: Layout) -> str:
    """The way from a box to a column: out at its side, or below boxes that stand between."""
    place, x = layout.place(box), layout.middle(column)
    if layout.is_hidden(box, column):
        corner = _corner(place, x)
        start = points("M", corner, place.y + place.height) + points("V", layout.below(box))
    else:
        start = points("M", _side(place, x), place.y + _LEAVE * place.height)
    return start + points("H", x)


def _entered(box: Box, column: int, layout: Layout, route: str) -> str:
    """The way down a column, and into a box at its side, or above boxes that stand between."""
    place, x = layout.place(box), layout.middle(column)
    if layout.is_hidden(box, column):
        corner = _corner(place, x)
        down = points("V", layout.above(box)) + points("H", corner) + points("V", place.y)
        return _line(route + down) + _head(corner, place.y, 0, -1)
    side, y = _side(place, x), place.y + _ENTER * place.height
    line = _line(route + points("V", y) + points("H", side))
    return line + _head(side, y, 1 if x > side else -1, 0)


def _side(place: Place, x: float) -> float:
    """The side of a box that faces a column."""
    return place.x if x < place.middle else place.x + place.width


def _corner(place: Place, x: float) -> float:
    """A place at the top or at the bottom of a box, not far from that side."""
    inside = min(3 * PADDING, place.width / 4)
    return place.x + inside if x < place.middle else place.x + place.width - inside


def _line(route: str) -> str:
    return element("path", {"class": "cc-line", "d": route})


def _head(x: float, y: float, right: int, down: int) -> str:
    """The point of an arrow, which comes from a direction."""
    back, wide = 1.7 * _HEAD, _HEAD
    one = (x + right * back - down * wide, y + down * back - right * wide)
    other = (x + right * back + down * wide, y + down * back + right * wide)
    route = points("M", x, y) + points("L", *one, *other) + "Z"
    return element("path", {"class": "cc-head", "d": route})
