"""What stands where, from left to right, in the diagram of a contraction.

There are three rows: the operands with what hangs on their axes, all indices, the result. The axes
of a tensor keep their order. The indices are ordered for few crossings, as in the layered drawing
of Sugiyama, Tagawa and Toda (1981), here with one layer to order, and then placed such that most
lines are straight.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import NamedTuple

from contractconv.notation.spec import Axis, Composition, Dots, Spec, Term

ELLIPSIS = "..."
RESULT = -1  # the number of the result among the terms, as in the spec

# Sizes in units of the picture; a letter of a monospaced font advances by this part of its size.
NAME_SIZE, LABEL_SIZE, MARK_SIZE = 16.0, 13.0, 10.5
CUP = 8.0  # the radius of a line that turns round
SLANT = 8.0  # of the sides of a composition
LABEL_OFFSET = 8.0  # between a line and the label beside it
PADDING = 10.0
MARGIN = 14.0
_ADVANCE = 0.61
_LONGEST_TEXT = 36
_TENSOR_WIDTH, _NODE_WIDTH, _AXIS_PADDING = 56.0, 30.0, 6.0
_TENSOR_GAP, _INDEX_GAP, _OVERHANG = 34.0, 12.0, 16.0
_PORT_GAP = 36.0  # between the lines of one axis
_LARGEST_MOVE = 10.0  # of an operand's axis, to make a line straight that nearly is
_SWEEPS = 6


@dataclass(frozen=True, slots=True)
class Slot:
    """An axis at its tensor.

    Attributes:
        kind: ``"index"``, ``"window"``, ``"fraction"``, ``"composition"`` or ``"constant"``.
        expression: the axis in the notation; ``text`` is what the picture shows.
        names: the indices; the ellipsis counts as one.
        width: the width of what hangs on it.
        room: what is kept free for it and its labels, to the left and to the right.
        offset: how far right of the middle of its tensor it stands.
    """

    kind: str
    expression: str
    text: str
    names: tuple[str, ...]
    width: float
    room: tuple[float, float]
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Tensor:
    """An operand or the result; ``mark`` is the reduction that happens at it, if it is to show."""

    name: str
    mark: str
    slots: tuple[Slot, ...]
    x: float = 0.0
    width: float = 0.0

    @property
    def has_nodes(self) -> bool:
        """Whether something hangs on an axis."""
        return any(slot.kind != "index" for slot in self.slots)


class End(NamedTuple):
    """Where a line meets an axis; ``on_node`` says whether something hangs there."""

    term: int
    axis: int
    x: float
    on_node: bool


@dataclass(frozen=True, slots=True)
class Thread:
    """An index: its label, the reduction to show, where its lines come together, their ends."""

    name: str
    text: str
    mark: str
    x: float
    ends: tuple[End, ...]

    @property
    def reduced(self) -> bool:
        """Whether no line reaches the result."""
        return all(end.term != RESULT for end in self.ends)

    @property
    def turns(self) -> bool:
        """Whether it is one line that comes back to the side from which it came."""
        return len(self.ends) == 2 and len({end.term == RESULT for end in self.ends}) == 1


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything with its place; the tensors by the numbers of their terms."""

    width: float
    tensors: Mapping[int, Tensor]
    threads: tuple[Thread, ...]


def arrange(
    spec: Spec, names: Sequence[str], result: str, extents: Mapping[str, int] | None = None
) -> Layout:
    """Give every tensor, axis and index of a contraction its place.

    Args:
        spec: the contraction.
        names: the operands' names.
        result: the result's name.
        extents: extents to write behind the indices' names; others are ignored.

    Returns:
        The layout; the left edge of the picture is at 0.
    """
    mark = "" if spec.reduce == "sum" else spec.reduce
    reduced = _reduced(spec)
    labels = {name: _Label(text, "") for name, text in _texts(spec, extents or {}).items()}
    labels |= {name: _Label(labels[name].text, mark, True) for name in reduced}
    rooms = {name: label.reach() for name, label in labels.items()}
    tensors = {n: _tensor(term, names[n], "", rooms) for n, term in enumerate(spec.inputs)}
    # Where products land on the same element, it is the result at which they are reduced.
    here = not reduced or any(_kind(axis) in ("window", "fraction") for axis in spec.output)
    tensors[RESULT] = _tensor(spec.output, result, mark if here else "", {})
    return _Arrangement(tensors, labels).layout()


def _reduced(spec: Spec) -> tuple[str, ...]:
    dots = spec.has_dots and not any(isinstance(axis, Dots) for axis in spec.output)
    return (*spec.reduced, *([ELLIPSIS] if dots else []))


# --- texts -----------------------------------------------------------------------------------


class _Label(NamedTuple):
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


def shortened(text: str) -> str:
    """Cut a text that no node could hold, and replace the signs that have no shape."""
    clean = "".join("\ufffd" if unicodedata.category(ch)[0] == "C" else ch for ch in text)
    return clean if len(clean) <= _LONGEST_TEXT else clean[: _LONGEST_TEXT - 1] + "…"


def text_width(text: str, size: float) -> float:
    """Estimate how wide a text is in a monospaced font."""
    wide = sum(unicodedata.east_asian_width(ch) in "WF" for ch in text)
    return (len(text) * _ADVANCE + wide * (1 - _ADVANCE)) * size


def _texts(spec: Spec, extents: Mapping[str, int]) -> dict[str, str]:
    texts = {name: shortened(name) for name in spec.indices}
    for name in texts:
        texts[name] += f": {extents[name]}" if name in extents else ""
    return texts | ({ELLIPSIS: ELLIPSIS} if spec.has_dots else {})


def _typeset(expression: str) -> str:
    tight = re.sub(r"(?<!\w)([0-9]+)\*(?=[^\W\d])", r"\1", expression)
    return tight.replace("*", "·").replace("-", "−")


# --- a term and its axes ---------------------------------------------------------------------


def _names(axis: Axis) -> tuple[str, ...]:
    return (ELLIPSIS,) if isinstance(axis, Dots) else axis.names


def _tensor(term: Term, name: str, mark: str, rooms: Mapping[str, tuple[float, float]]) -> Tensor:
    """A tensor with its axes side by side; its own place is not known as yet."""
    slots = tuple(_slot(axis, rooms) for axis in term)
    return _fitted(Tensor(name, mark, slots), spread([0.0] * len(slots), _distances(slots)))


def _distances(slots: Sequence[Slot]) -> list[float]:
    return [a.room[1] + b.room[0] + _INDEX_GAP for a, b in pairwise(slots)]


def _fitted(tensor: Tensor, places: Sequence[float]) -> Tensor:
    """Move the axes to their places; make the tensor as wide as they are, or as its name."""
    slots = tensor.slots
    left = places[0] - slots[0].room[0] - _AXIS_PADDING if slots else 0.0
    right = places[-1] + _last_room(slots[-1]) + _AXIS_PADDING if slots else 0.0
    aside = 2 * (text_width(tensor.mark, MARK_SIZE) + PADDING) if tensor.mark else 0
    text = text_width(shortened(tensor.name), NAME_SIZE) + 2 * PADDING + aside
    x, width = (left + right) / 2, max(right - left, text, _TENSOR_WIDTH)
    placed = tuple(replace(s, offset=place - x) for s, place in zip(slots, places, strict=True))
    return replace(tensor, slots=placed, x=x, width=width)


def _last_room(slot: Slot) -> float:
    # A label may stand out a little, so that a single line is in the middle of its tensor.
    return max(slot.room[0], slot.room[1] - _OVERHANG)


def _slot(axis: Axis, rooms: Mapping[str, tuple[float, float]]) -> Slot:
    kind, names, expression = _kind(axis), _names(axis), str(axis)
    reaches = [rooms.get(name, (CUP, CUP)) for name in names]
    if kind == "index":
        return Slot(kind, expression, "", names, 0.0, reaches[0])
    text = shortened(_typeset(expression[1:-1]))
    inner = max(text_width(text, LABEL_SIZE), _PORT_GAP * (len(names) - 1))
    padding = PADDING + (SLANT if kind == "composition" else 0)
    width = max(inner + 2 * padding, _NODE_WIDTH)
    # As much as the labels of its indices take, so that most lines need not bend.
    labels = sum(left + right + _INDEX_GAP for left, right in reaches) - _INDEX_GAP
    half = max(width, labels) / 2
    return Slot(kind, expression, text, names, width, (half, half))


def _kind(axis: Axis) -> str:
    if isinstance(axis, Composition):
        return "composition"
    if isinstance(axis, Dots) or axis.plain is not None:
        return "index"
    if not axis.terms:
        return "constant"
    return "fraction" if axis.fractional else "window"


# --- all together ----------------------------------------------------------------------------


class _Arrangement:
    """Places the operands, the indices below them, the axes of the result below these."""

    def __init__(self, tensors: dict[int, Tensor], labels: dict[str, _Label]) -> None:
        self.tensors = tensors
        self.labels = labels
        self.ends = self._ends()
        self.lines = dict.fromkeys(labels, 0.0)  # in their order, once it is known
        self.is_ordered = False

    def layout(self) -> Layout:
        """Place everything."""
        self._separate_operands()
        self.lines = dict.fromkeys(fewest_crossings({n: self._sides(n) for n in self.labels}), 0.0)
        self.is_ordered = True
        for _ in range(_SWEEPS):
            self._place_lines()
            for term in self.tensors:
                self._follow(term)
            self._separate_operands()
        self._place_lines()
        self._follow(RESULT)
        width = self._normalise()
        threads = tuple(self._thread(name) for name in self.labels)
        return Layout(width, self.tensors, threads)

    def _ends(self) -> dict[str, list[tuple[int, int, int]]]:
        """For each index the term, the axis and the position within it, wherever it occurs."""
        ends: dict[str, list[tuple[int, int, int]]] = {name: [] for name in self.labels}
        for term, tensor in self.tensors.items():
            for axis, slot in enumerate(tensor.slots):
                for position, name in enumerate(slot.names):
                    ends[name].append((term, axis, position))
        return ends

    def _port(self, term: int, axis: int, position: int) -> float:
        """Where a line ends."""
        slot = self.tensors[term].slots[axis]
        return self.tensors[term].x + slot.offset + self._within(slot, position)

    def _within(self, slot: Slot, position: int) -> float:
        """Where a line ends, right of the middle of the axis."""
        gaps = len(slot.names) - 1
        if not gaps or not (self.is_ordered or slot.kind == "composition"):
            return 0.0
        if slot.kind != "composition":
            # The order of summands means nothing, so their lines may leave without crossing.
            ordered = [name for name in self.lines if name in slot.names]
            position = ordered.index(slot.names[position])
        return (position - gaps / 2) * _PORT_GAP

    def _sides(self, name: str) -> tuple[list[float], list[float]]:
        """Where the lines of an index end, at the operands and at the result."""
        sides: tuple[list[float], list[float]] = ([], [])
        for end in self.ends[name]:
            sides[end[0] == RESULT].append(self._port(*end))
        return sides

    def _separate_operands(self) -> None:
        operands = [tensor for term, tensor in self.tensors.items() if term != RESULT]
        apart = [(a.width + b.width) / 2 + _TENSOR_GAP for a, b in pairwise(operands)]
        for term, x in enumerate(spread([tensor.x for tensor in operands], apart)):
            self.tensors[term] = replace(self.tensors[term], x=x)

    def _place_lines(self) -> None:
        """Put the indices below their axes; those that only the result has, above its axes."""
        wanted = [_mean(above or below) for above, below in map(self._sides, self.lines)]
        reaches = [self.labels[name].reach() for name in self.lines]
        apart = [a[1] + b[0] + _INDEX_GAP for a, b in pairwise(reaches)]
        self.lines = dict(zip(self.lines, spread(wanted, apart), strict=True))

    def _follow(self, term: int) -> None:
        """Move the axes of a tensor to where their lines are straight."""
        tensor = self.tensors[term]
        distances = _distances(tensor.slots)
        places = _filled([self._straight(slot) for slot in tensor.slots], distances)
        if term != RESULT:
            stays = [tensor.x + slot.offset for slot in tensor.slots]
            moves = zip(places, stays, strict=True)
            places = [x if abs(x - stay) <= _LARGEST_MOVE else stay for x, stay in moves]
        if places:
            self.tensors[term] = _fitted(tensor, spread(places, distances))

    def _straight(self, slot: Slot) -> float | None:
        """Where an axis would have to stand for its lines to be straight, if it has any."""
        places = [self.lines[name] - self._within(slot, n) for n, name in enumerate(slot.names)]
        return _mean(places) if places else None

    def _normalise(self) -> float:
        """Move everything to the margin; return the width of the picture."""
        sides = [(t.x - t.width / 2, t.x + t.width / 2) for t in self.tensors.values()]
        reaches = [(x, self.labels[name].reach()) for name, x in self.lines.items()]
        sides += [(x - left, x + right) for x, (left, right) in reaches]
        shift = MARGIN - min(left for left, _ in sides)
        for term, tensor in self.tensors.items():
            self.tensors[term] = replace(tensor, x=tensor.x + shift)
        self.lines = {name: x + shift for name, x in self.lines.items()}
        return max(right for _, right in sides) + shift + MARGIN

    def _thread(self, name: str) -> Thread:
        label = self.labels[name]
        ends = tuple(
            End(end[0], end[1], self._port(*end), self._is_node(*end)) for end in self.ends[name]
        )
        return Thread(name, label.text, label.mark, self.lines[name], ends)

    def _is_node(self, term: int, axis: int, _: int) -> bool:
        return self.tensors[term].slots[axis].kind != "index"


# --- order and distance ----------------------------------------------------------------------


def fewest_crossings(ports: Mapping[str, Sequence[Sequence[float]]]) -> list[str]:
    """Order the indices between the ends of their lines.

    Args:
        ports: for each index where its lines end, above and below.

    Returns:
        The indices by the mean of their ends above, each then moved to where it crosses least.
    """
    centres = {name: _mean(sides[0] or sides[1]) for name, sides in ports.items()}
    order = sorted(ports, key=centres.__getitem__)
    excess = {(a, b): _excess(ports[a], ports[b]) for a in order for b in order if a != b}
    for _ in range(_SWEEPS):
        before = list(order)
        for name in before:
            order = _sifted(name, order, excess)
        if order == before:
            break
    return order


def _excess(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> int:
    """How many crossings more two indices have in this order than in the other."""
    pairs = [(a, b) for one, other in zip(left, right, strict=True) for a in one for b in other]
    return sum((a > b) - (a < b) for a, b in pairs)


def _sifted(name: str, order: Sequence[str], excess: Mapping[tuple[str, str], int]) -> list[str]:
    home = order.index(name)
    others = [other for other in order if other != name]
    costs = list(accumulate((excess[other, name] for other in others), initial=0))
    best = min(range(len(order)), key=lambda place: (costs[place], abs(place - home)))
    return [*others[:best], name, *others[best:]]


def spread(wanted: Sequence[float], apart: Sequence[float]) -> list[float]:
    """Keep an order and its distances, and stay as near as possible to the wanted places.

    Args:
        wanted: where each would be by itself.
        apart: the least distance of each to its right neighbour; one fewer.

    Returns:
        The places with the least sum of squared distances to the wanted ones.
    """
    shifts = list(accumulate(apart, initial=0.0))[: len(wanted)]
    pools: list[tuple[float, int]] = []
    for place, shift in zip(wanted, shifts, strict=True):
        mean, count = place - shift, 1
        # Whoever would come too close is placed together, as one.
        while pools and pools[-1][0] > mean:
            before, size = pools.pop()
            mean, count = (before * size + mean * count) / (size + count), size + count
        pools.append((mean, count))
    means = [mean for mean, count in pools for _ in range(count)]
    return [mean + shift for mean, shift in zip(means, shifts, strict=True)]


def _filled(places: Sequence[float | None], apart: Sequence[float]) -> list[float]:
    """Put whoever has no place beside its neighbour at the left, or else at the right."""
    known = {n: place for n, place in enumerate(places) if place is not None} or {0: 0.0}
    steps = list(accumulate(apart, initial=0.0))
    anchors = [max((k for k in known if k <= n), default=min(known)) for n in range(len(places))]
    return [known[anchor] + steps[n] - steps[anchor] for n, anchor in enumerate(anchors)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
