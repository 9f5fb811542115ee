"""A contraction as a picture: its tensor network, drawn in SVG.

Operands stand at the top, the result at the bottom, and every index is a line between them. A line
that joins more or fewer than two places meets in a dot. What is reduced ends in the middle.

Pictures follow the page: most lines have its text colour, and the variables ``--cc-reduced`` and
``--cc-window`` of the class ``cc-diagram`` hold the other two colours. Parts can be found by their
classes (``cc-operand``, ``cc-result``, ``cc-axis``, ``cc-index``, ``cc-line``) and by their
``data-`` attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from contractconv.display.diagram_layout import MARGIN, RESULT, End, Layout, Thread, arrange
from contractconv.display.diagram_lettering import (
    CUP,
    ELLIPSIS,
    LABEL_OFFSET,
    LABEL_SIZE,
    MARK_SIZE,
    NAME_SIZE,
    shortened,
)
from contractconv.display.diagram_tensors import PADDING, SLANT, Slot, Tensor
from contractconv.display.svg import element, escaped, number, points
from contractconv.markup.style import themed
from contractconv.notation.spec import Spec

_TENSOR_HEIGHT, _NODE_HEIGHT = 36.0, 24.0
_STUB = 9.0  # between a tensor and what hangs on it
_DOT = 4.0  # a radius
_LEAST_BEND, _LARGEST_BEND = 40.0, 130.0  # the height of bends
_SIZES = {"name": NAME_SIZE, "text": LABEL_SIZE, "label": LABEL_SIZE, "mark": MARK_SIZE}
_RADII = {"window": 12.0, "fraction": 12.0, "constant": 4.0}
_COLOURS = themed(
    ".cc-diagram",
    "--cc-reduced: #c2410c; --cc-window: #0f766e;",
    "--cc-reduced: #fb923c; --cc-window: #5eead4;",
)
STYLE = f"""{_COLOURS}
.cc-diagram {{
  max-width: 100%; height: auto;
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}}
.cc-diagram:root {{ color: #1f2328; }}
@media screen and (prefers-color-scheme: dark) {{ .cc-diagram:root {{ color: #e6e8eb; }} }}
.cc-diagram text {{ fill: currentColor; text-anchor: middle; white-space: pre; }}
.cc-diagram .cc-name {{ font-size: {NAME_SIZE:g}px; font-weight: 600; }}
.cc-diagram .cc-text, .cc-diagram .cc-label {{ font-size: {LABEL_SIZE:g}px; }}
.cc-diagram .cc-mark {{ font-size: {MARK_SIZE:g}px; }}
.cc-diagram .cc-kept .cc-label {{ text-anchor: start; }}
.cc-diagram .cc-result .cc-mark {{ text-anchor: end; fill: var(--cc-reduced); }}
.cc-diagram .cc-shape {{
  fill: currentColor; fill-opacity: 0.06; stroke: currentColor; stroke-width: 1.5;
}}
.cc-diagram .cc-result .cc-shape {{ fill-opacity: 0.14; stroke-width: 2.5; }}
.cc-diagram .cc-line, .cc-diagram .cc-stub {{
  fill: none; stroke: currentColor; stroke-width: 1.5; stroke-linejoin: round;
}}
.cc-diagram .cc-dot {{ fill: currentColor; }}
.cc-diagram .cc-reduced {{ color: var(--cc-reduced); }}
.cc-diagram .cc-reduced .cc-line {{ stroke-width: 2.25; }}
.cc-diagram .cc-ellipsis .cc-line {{
  stroke-width: 2.75; stroke-dasharray: 0.1 5.5; stroke-linecap: round;
}}
.cc-diagram .cc-window, .cc-diagram .cc-fraction {{ color: var(--cc-window); }}
.cc-diagram .cc-fraction .cc-shape {{ stroke-dasharray: 4 3; }}
"""


def diagram(spec: Spec, names: Sequence[str], result: str) -> str:
    """Draw a contraction as a tensor network.

    Args:
        spec: the contraction.
        names: the operands' names, as many as there are operands.
        result: the result's name.

    Returns:
        An ``svg`` element, complete by itself: for a file of its own or inside a page.

    Raises:
        ValueError: there are more or fewer names than operands.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> diagram(parse("i j, j k -> i k"), ["A", "B"], "C").startswith("<svg ")
        True
    """
    if len(names) != len(spec.inputs):
        raise ValueError(f"{len(spec.inputs)} operands need as many names, not {len(names)}")
    layout = arrange(spec, names, result)
    levels = _levels(layout)
    width, height = number(layout.width), number(levels.height)
    parts = [
        element("title", {}, escaped(str(spec))),
        element("desc", {}, escaped(_description(spec, names, result))),
        element("style", {}, STYLE),
        *(_index(thread, levels) for thread in layout.threads),
        *(_axes(term, tensor, levels) for term, tensor in layout.tensors.items()),
        *(_tensor(term, tensor, levels) for term, tensor in layout.tensors.items()),
    ]
    attributes = {"class": "cc-diagram", "xmlns": "http://www.w3.org/2000/svg", "role": "img"}
    size = {"viewBox": f"0 0 {width} {height}", "width": width, "height": height}
    return element("svg", attributes | size, "\n".join(["", *filter(None, parts), ""]))


def _description(spec: Spec, names: Sequence[str], result: str) -> str:
    kept = [name for name in spec.indices if name not in spec.reduced]
    reduced = f"{spec.reduce} over {_listed(spec.reduced)}" if spec.reduced else "none is reduced"
    return (
        f"Tensor network of {_listed(names)} with the result {result}; "
        f"indices of the result: {_listed(kept)}; {reduced}."
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


# --- from top to bottom ----------------------------------------------------------------------


class _Levels(NamedTuple):
    """Heights, from the top; between ``upper`` and ``lower`` all lines are vertical."""

    upper_bend: float
    upper: float
    meeting: float
    label: float
    mark: float
    lower: float
    lower_bend: float
    result: float
    height: float

    def bend(self, end: End) -> tuple[float, float]:
        """Between which heights the line from an axis bends: that of the axis, of the index."""
        if end.term == RESULT:
            return self.lower_bend, self.lower
        return self.upper_bend, self.upper

    def end(self, end: End) -> float:
        """Where a line meets an axis."""
        if end.term == RESULT:
            return self.lower_bend if end.on_node else self.result
        return self.upper_bend if end.on_node else MARGIN + _TENSOR_HEIGHT

    def tensor(self, term: int) -> float:
        """The top of a tensor."""
        return self.result if term == RESULT else MARGIN

    def node(self, term: int) -> float:
        """The top of what hangs on a tensor."""
        return self.lower_bend if term == RESULT else self.upper_bend - _NODE_HEIGHT


def _levels(layout: Layout) -> _Levels:
    hanging = {term == RESULT for term, tensor in layout.tensors.items() if tensor.has_nodes}
    node = _STUB + _NODE_HEIGHT
    upper_bend = MARGIN + _TENSOR_HEIGHT + node * (False in hanging)
    upper = upper_bend + _bend_height(layout.threads, at_result=False)
    label = upper + 23
    mark = label + MARK_SIZE + 2
    lower = (mark if any(thread.mark for thread in layout.threads) else label) + 8
    lower_bend = lower + _bend_height(layout.threads, at_result=True)
    result = lower_bend + node * (True in hanging)
    height = result + _TENSOR_HEIGHT + MARGIN
    return _Levels(upper_bend, upper, upper + 5, label, mark, lower, lower_bend, result, height)


def _bend_height(threads: Sequence[Thread], at_result: bool) -> float:
    """The wider the bends, the higher."""
    ends = [(thread, end) for thread in threads for end in thread.ends]
    widths = [abs(end.x - thread.x) for thread, end in ends if (end.term == RESULT) == at_result]
    return min(_LEAST_BEND + 0.2 * max(widths), _LARGEST_BEND) if widths else 12.0


# --- tensors and their axes ------------------------------------------------------------------


def _tensor(term: int, tensor: Tensor, levels: _Levels) -> str:
    is_result, top = term == RESULT, levels.tensor(term)
    parts = [
        _rectangle(tensor.x, top, tensor.width, _TENSOR_HEIGHT, radius=10),
        _words("name", shortened(tensor.name), tensor.x, top + _TENSOR_HEIGHT / 2),
    ]
    if tensor.mark:
        right = tensor.x + tensor.width / 2 - PADDING
        parts.append(_words("mark", tensor.mark, right, top + _TENSOR_HEIGHT / 2))
    number = {} if is_result else {"data-operand": term}
    kind = "cc-result" if is_result else "cc-operand"
    return _group(kind, {**number, "data-name": tensor.name}, parts)


def _axes(term: int, tensor: Tensor, levels: _Levels) -> str:
    """What hangs on the axes of a tensor."""
    slots = [(axis, slot) for axis, slot in enumerate(tensor.slots) if slot.kind != "index"]
    return "\n".join(
        _group(
            f"cc-axis cc-{slot.kind}",
            {"data-term": _term(term), "data-axis": axis, "data-expression": slot.expression},
            _axis(slot, tensor.x + slot.offset, levels.node(term), is_below=term != RESULT),
        )
        for axis, slot in slots
    )


def _axis(slot: Slot, x: float, top: float, is_below: bool) -> list[str]:
    """The stub that ties it to its tensor, its shape, its expression."""
    bottom = top + _NODE_HEIGHT
    near, far = (top, top - _STUB) if is_below else (bottom, bottom + _STUB)
    if slot.kind == "composition":
        shape = _fan(x, near, top + bottom - near, slot.width)
    else:
        shape = _rectangle(x, top, slot.width, _NODE_HEIGHT, _RADII[slot.kind])
    stub = _path("stub", points("M", x, far) + points("V", near))
    return [stub, shape, _words("text", slot.text, x, (top + bottom) / 2)]


def _rectangle(x: float, top: float, width: float, height: float, radius: float) -> str:
    place = {"x": x - width / 2, "y": top, "width": width, "height": height}
    return element("rect", {"class": "cc-shape"} | place | {"rx": radius})


def _fan(x: float, narrow: float, wide: float, width: float) -> str:
    """A trapezoid, wide where the indices of a composition part."""
    start = points("M", x - width / 2 + SLANT, narrow) + points("H", x + width / 2 - SLANT)
    return _path("shape", start + points("L", x + width / 2, wide, x - width / 2, wide) + "Z")


# --- indices ---------------------------------------------------------------------------------


def _index(thread: Thread, levels: _Levels) -> str:
    """The lines of an index, the dot in which they meet, its label."""
    state = "cc-reduced" if thread.reduced else "cc-kept"
    kind = f"cc-index {state}" + (" cc-ellipsis" if thread.name == ELLIPSIS else "")
    lines = [_edge(thread, levels)] if len(thread.ends) == 2 else _star(thread, levels)
    return _group(kind, {"data-index": thread.name}, [*lines, *_labels(thread, levels)])


def _labels(thread: Thread, levels: _Levels) -> list[str]:
    if not thread.reduced:
        x = thread.x + LABEL_OFFSET + CUP * thread.turns
        return [_words("label", thread.text, x, levels.label)]
    label = _words("label", thread.text, thread.x, levels.label)
    return [label, *([_words("mark", thread.mark, thread.x, levels.mark)] if thread.mark else [])]


def _edge(thread: Thread, levels: _Levels) -> str:
    """One line between two places."""
    one, other = sorted(thread.ends, key=lambda end: (end.term == RESULT, end.x))
    turn = CUP if thread.turns else 0.0
    route = _leave(one, thread.x - turn, levels)
    if turn:
        route += _turn(thread, levels)
    return _path("line", route + _arrive(thread.x + turn, other, levels), one, other)


def _turn(thread: Thread, levels: _Levels) -> str:
    """Half a circle: below the operands, or above the result."""
    y, sweep = (levels.upper, 0) if thread.reduced else (levels.label + CUP / 2, 1)
    return points("V", y) + points("A", CUP, CUP, 0, 0, sweep, thread.x + CUP, y)


def _star(thread: Thread, levels: _Levels) -> list[str]:
    """A line to the dot from every place; an index that stands in one place has one line."""
    y = levels.meeting
    routes = [_leave(end, thread.x, levels) + points("V", y) for end in thread.ends]
    lines = [_path("line", route, end) for route, end in zip(routes, thread.ends, strict=True)]
    dot = {"class": "cc-dot", "cx": thread.x, "cy": y, "r": _DOT}
    return [*lines, element("circle", dot)]


def _leave(end: End, x: float, levels: _Levels) -> str:
    """From an axis to the row of indices: straight past the nodes, then in a bend."""
    bend, edge = levels.bend(end)
    middle = (bend + edge) / 2
    start = points("M", end.x, levels.end(end)) + points("V", bend)
    return start + points("C", end.x, middle, x, middle, x, edge)


def _arrive(x: float, end: End, levels: _Levels) -> str:
    """The same way back."""
    bend, edge = levels.bend(end)
    middle = (bend + edge) / 2
    bent = points("C", x, middle, end.x, middle, end.x, bend)
    return points("V", edge) + bent + points("V", levels.end(end))


# --- writing SVG -----------------------------------------------------------------------------


def _group(kind: str, data: Mapping[str, object], parts: Iterable[str]) -> str:
    return element("g", {"class": kind, **data}, "".join(parts))


def _path(kind: str, route: str, *ends: End) -> str:
    joined = " ".join(f"{_term(end.term)}.{end.axis}" for end in ends)
    attributes = {"class": f"cc-{kind}", "d": route}
    return element("path", attributes | ({"data-joins": joined} if ends else {}))


def _words(kind: str, text: str, x: float, middle: float) -> str:
    """A text of one line; its small letters stand around a middle line."""
    place = {"class": f"cc-{kind}", "x": x, "y": middle + 0.34 * _SIZES[kind]}
    return element("text", place, escaped(text))


def _term(number: int) -> str:
    return "result" if number == RESULT else str(number)
