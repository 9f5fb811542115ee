"""A program as a picture: its values in rows, what comes back beside what goes forward, in SVG.

Pictures follow the page, as those of contractions do. Parts can be found by their classes
(``cc-input``, ``cc-value``, ``cc-back``, ``cc-returned``) and by ``data-name``.
"""

from __future__ import annotations

from collections.abc import Iterator

from contractconv.display.diagram import STYLE
from contractconv.display.diagram_lettering import LABEL_SIZE, MARK_SIZE
from contractconv.display.programs.diagram_rows import BOX_HEIGHT, Box, Net, Rows, arrange
from contractconv.display.programs.explanation import ProgramExplanation
from contractconv.display.svg import element, escaped, number, points

_STYLE = """
.cc-program text { text-anchor: middle; }
.cc-program .cc-mark { text-anchor: start; }
.cc-program .cc-input .cc-shape { stroke-dasharray: 4 3; fill-opacity: 0; }
.cc-program .cc-returned .cc-shape { stroke-width: 2.75; }
.cc-program .cc-back { color: var(--cc-reduced); }
.cc-program .cc-back text { fill: currentColor; }
.cc-program .cc-line { stroke-width: 1.25; }
.cc-program .cc-head { fill: currentColor; stroke: none; }
"""
_HEAD = 4.0


def diagram(explanation: ProgramExplanation) -> str:
    """Draw a program: an ``svg`` element, complete by itself."""
    labels = {node: "×".join(map(str, shape)) for node, shape in explanation.sizes.shapes.items()}
    rows = arrange(explanation.lines, labels)
    returned = {name for name, _ in explanation.graph.outputs}
    parts = [
        element("title", {}, escaped(explanation.graph.name)),
        element("desc", {}, escaped(_description(explanation))),
        element("style", {}, STYLE + _STYLE),
        *(_net(net, rows) for net in rows.nets),
        *(_box(box, box.line.name in returned) for box in rows.boxes),
        *(_label(net) for net in rows.nets if net.box.label),
    ]
    width, height = number(rows.width), number(rows.height)
    kind = {"class": "cc-diagram cc-program", "xmlns": "http://www.w3.org/2000/svg", "role": "img"}
    size = {"viewBox": f"0 0 {width} {height}", "width": width, "height": height}
    return element("svg", kind | size, "\n".join(["", *parts, ""]))


def _description(explanation: ProgramExplanation) -> str:
    lines = explanation.lines
    said = (
        f"{line.name} is made of {', '.join(lines.names[node] for node in lines.reads[line.node])}"
        for line in lines.all()
        if lines.reads[line.node]
    )
    return "; ".join(said) + "."


def _box(box: Box, is_returned: bool) -> str:
    kind = "cc-back" if box.is_back else "cc-input" if box.line.is_input else "cc-value"
    place = {"x": box.x, "y": box.y, "width": box.width, "height": BOX_HEIGHT, "rx": 7.0}
    shape = element("rect", {"class": "cc-shape", **place})
    middle = box.y + BOX_HEIGHT / 2 + 0.34 * LABEL_SIZE
    at = {"class": "cc-text", "x": box.x + box.width / 2, "y": middle}
    name = element("text", at, escaped(box.name))
    classes = kind + " cc-returned" * is_returned
    return element("g", {"class": classes, "data-name": box.line.name}, shape + name)


def _label(net: Net) -> str:
    """The shape, beside the line that leaves a box."""
    box = net.box
    down = net.channel == box.row
    y = box.y + BOX_HEIGHT + MARK_SIZE + 2 if down else box.y - 5
    text = element("text", {"class": "cc-mark", "x": box.exit + 5, "y": y}, escaped(box.label))
    return element("g", {"class": "cc-back" if box.is_back else "cc-value"}, text)


def _net(net: Net, rows: Rows) -> str:
    """The line of a value: from its box, along the rooms between rows, into those that read it."""
    routes = "".join(_routes(net, rows))
    line = element("path", {"class": "cc-line", "d": routes})
    heads = "".join(_head(net, box, channel) for box, channel in net.ends)
    return element("g", {"class": "cc-back" if net.box.is_back else "cc-value"}, line + heads)


def _routes(net: Net, rows: Rows) -> Iterator[str]:
    node, box = net.box.line.node, net.box
    lane = rows.lanes.get(node)
    heights = {channel: rows.tracks[node, channel] for channel in net.channels}
    leaves = box.y + BOX_HEIGHT if net.channel == box.row else box.y
    yield points("M", box.exit, leaves) + points("V", heights[net.channel])
    for end, channel in net.ends:
        x = end.entry(node)
        yield points("M", x, _entered(end, channel)) + points("V", heights[channel])
    for channel, height in heights.items():
        places = [*net.at(channel), *([] if lane is None else [lane])]
        yield points("M", min(places), height) + points("H", max(places))
    if lane is not None:
        yield points("M", lane, min(heights.values())) + points("V", max(heights.values()))


def _entered(box: Box, channel: int) -> float:
    """The height at which a line enters a box: at its bottom, if it comes from below."""
    return box.y + BOX_HEIGHT if channel == box.row else box.y


def _head(net: Net, box: Box, channel: int) -> str:
    """The point of an arrow."""
    x, y = box.entry(net.box.line.node), _entered(box, channel)
    back = y + 1.7 * _HEAD if channel == box.row else y - 1.7 * _HEAD
    route = points("M", x, y) + points("L", x - _HEAD, back, x + _HEAD, back) + "Z"
    return element("path", {"class": "cc-head", "d": route})
