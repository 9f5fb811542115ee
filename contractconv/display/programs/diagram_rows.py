"""What stands where in the picture of a program: rows of values, and what runs between them.

A value stands below what it is made of; what comes back to it stands in its row, at the right. So
the left half is read down, the right half up. Between two rows, and in the middle, there is room
for lines: each value has one, which leaves its box, branches, and enters the boxes that read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from contractconv.display.diagram_lettering import LABEL_SIZE, MARK_SIZE, shortened, text_width
from contractconv.display.diagram_spacing import mean, spread
from contractconv.display.programs.lines import Line, Lines
from contractconv.programs.nodes import Node

BOX_HEIGHT = 26.0
MARGIN = 14.0
_PADDING, _GAP = 12.0, 18.0
_EXIT = 12.0  # from the left edge of a box to the line that leaves it
_ENTRY = 13.0  # between lines that enter
_LABEL_ROOM, _TRACK, _LANE = 18.0, 8.0, 9.0
_SWEEPS = 3


@dataclass
class Box:
    """A value.

    Attributes:
        line: the value.
        row: in which row it stands.
        is_back: whether it stands at the right.
        label: its shape, beside the line that leaves it.
        x, y: its left upper corner.
        entries: the values whose lines enter it, from the left.
        is_shared: whether they enter it at the side at which its own line leaves it.
    """

    line: Line
    row: int
    is_back: bool
    label: str
    x: float = 0.0
    y: float = 0.0
    entries: list[Node] = field(default_factory=list)
    is_shared: bool = False

    @property
    def name(self) -> str:
        """What is written in it."""
        return shortened(self.line.name)

    @property
    def width(self) -> float:
        """How wide it is; its label stands beside the line that leaves it."""
        named = text_width(self.name, LABEL_SIZE) + 2 * _PADDING
        return max(named, self._taken, self._start + _ENTRY * (len(self.entries) + 1))

    @property
    def _taken(self) -> float:
        """What the line that leaves it, and its label, take of a side."""
        return _EXIT + 6 + text_width(self.label, MARK_SIZE)

    @property
    def _start(self) -> float:
        """Where other lines may enter."""
        return self._taken if self.is_shared else 0.0

    @property
    def exit(self) -> float:
        """Where the line leaves it."""
        return self.x + _EXIT

    def entry(self, node: Node) -> float:
        """Where the line of another value enters it."""
        place = (self.entries.index(node) + 1) / (len(self.entries) + 1)
        return self.x + self._start + (self.width - self._start) * place


@dataclass(frozen=True)
class Net:
    """The line of a value.

    Attributes:
        box: the value.
        channel: the room between rows through which it leaves; that of row 0 is below it.
        ends: the boxes that it enters, with the room from which it does.
    """

    box: Box
    channel: int
    ends: tuple[tuple[Box, int], ...]

    @property
    def channels(self) -> list[int]:
        """Every room between rows in which it runs."""
        return sorted({self.channel, *(channel for _, channel in self.ends)})

    def at(self, channel: int) -> list[float]:
        """Where it is met in a room between rows."""
        ends = [box.entry(self.box.line.node) for box, c in self.ends if c == channel]
        return [*([self.box.exit] if channel == self.channel else []), *ends]


@dataclass(frozen=True)
class Rows:
    """Everything with its place.

    Attributes:
        width, height: of the picture.
        boxes: the values.
        nets: their lines.
        tracks: the height of a line in a room between rows.
        lanes: where a line that runs in several of them passes the rows between.
    """

    width: float
    height: float
    boxes: tuple[Box, ...]
    nets: tuple[Net, ...]
    tracks: Mapping[tuple[Node, int], float]
    lanes: Mapping[Node, float]


def arrange(lines: Lines, labels: Mapping[Node, str]) -> Rows:
    """Give every value its place.

    Args:
        lines: the values.
        labels: what is written at their lines.
    """
    return _Arrangement(lines, labels).rows()


class _Arrangement:
    """Places the boxes of each row, then the lines between them."""

    def __init__(self, lines: Lines, labels: Mapping[Node, str]) -> None:
        self._reads = lines.reads
        levels = _levels(lines)
        self._boxes = {
            line.node: Box(line, levels[top.node], line is not top, labels.get(line.node, ""))
            for top in lines.top
            for line in top.all()
            if not line.is_other
        }
        for node, box in self._boxes.items():
            box.entries = list(self._reads[node])
        self._last = max(levels.values(), default=0)
        self._nets = [net for box in self._boxes.values() if (net := self._net(box)).ends]

    def rows(self) -> Rows:
        """Place everything."""
        for _ in range(_SWEEPS):
            self._place(is_back=False, left=MARGIN)
        lanes = [net for net in self._nets if len(net.channels) > 1]
        middle = self._right(is_back=False, least=MARGIN)
        start = middle + _GAP + _LANE * len(lanes)
        for _ in range(_SWEEPS):
            self._place(is_back=True, left=start)
        for box in self._boxes.values():
            box.entries.sort(key=lambda node: self._boxes[node].exit)
        tracks, height = self._tracks()
        places = {net.box.line.node: middle + _GAP / 2 + _LANE * n for n, net in enumerate(lanes)}
        width = self._right(is_back=True, least=max([middle, *places.values()])) + MARGIN
        return Rows(width, height, tuple(self._boxes.values()), tuple(self._nets), tracks, places)

    def _net(self, box: Box) -> Net:
        readers = [b for node, b in self._boxes.items() if box.line.node in self._reads[node]]
        ends = tuple((b, b.row if b.is_back else b.row - 1) for b in readers)
        below = not box.is_back or any(channel >= box.row for _, channel in ends)
        box.is_shared = box.is_back and below
        return Net(box, box.row if below else box.row - 1, ends)

    # -- from left to right --------------------------------------------------------------------

    def _row(self, row: int, is_back: bool) -> list[Box]:
        return [b for b in self._boxes.values() if b.row == row and b.is_back == is_back]

    def _place(self, is_back: bool, left: float) -> None:
        """Put each box below, or above, those that it reads, and keep them apart."""
        rows = range(self._last + 1)
        for row in reversed(rows) if is_back else rows:
            boxes = sorted(self._row(row, is_back), key=self._wanted)
            apart = [a.width + _GAP for a, _ in pairwise(boxes)]
            places = spread([self._wanted(box) - box.width / 2 for box in boxes], apart)
            for box, x in zip(boxes, places, strict=True):
                box.x = x
        self._shift(is_back, left)

    def _wanted(self, box: Box) -> float:
        """Where a box would stand: amid those of its half that it reads, or is read by."""
        node = box.line.node
        others = [self._boxes[other] for other in self._reads[node]]
        others += [b for n, b in self._boxes.items() if node in self._reads[n]]
        near = [other for other in others if other.is_back == box.is_back and other.row != box.row]
        return mean([b.x + b.width / 2 for b in near]) if near else box.x + box.width / 2

    def _shift(self, is_back: bool, left: float) -> None:
        half = [box for box in self._boxes.values() if box.is_back == is_back]
        shift = left - min((box.x for box in half), default=left)
        for box in half:
            box.x += shift

    def _right(self, is_back: bool, least: float) -> float:
        half = (box.x + box.width for box in self._boxes.values() if box.is_back == is_back)
        return max(half, default=least)

    # -- from top to bottom --------------------------------------------------------------------

    def _tracks(self) -> tuple[dict[tuple[Node, int], float], float]:
        """The heights of lines between rows; and of the picture."""
        found: dict[tuple[Node, int], float] = {}
        y = MARGIN
        for channel in range(-1, self._last + 1):
            nets = [net for net in self._nets if channel in net.channels]
            for box in self._row(channel, False) + self._row(channel, True):
                box.y = y
            y += BOX_HEIGHT if channel >= 0 else 0.0
            labelled = self._labels(channel)
            y += (
                _LABEL_ROOM if any(net.box.row == channel for net in labelled) else 6.0 * bool(nets)
            )
            for n, net in enumerate(nets):
                found[net.box.line.node, channel] = y + _TRACK * n
            y += _TRACK * len(nets)
            y += _LABEL_ROOM if any(net.box.row > channel for net in labelled) else 6.0 * bool(nets)
        return found, y + MARGIN

    def _labels(self, channel: int) -> list[Net]:
        return [net for net in self._nets if net.channel == channel]


def _levels(lines: Lines) -> dict[Node, int]:
    """The row of every line that stands by itself; what reads nothing stands above who reads it."""
    top = [line for line in lines.top if not line.is_other]
    levels: dict[Node, int] = {}
    for line in top:
        read = [levels[node] for node in lines.reads[line.node] if node in levels]
        levels[line.node] = 1 + max(read) if read else 0
    for line in top:
        readers = [other.node for other in top if line.node in lines.reads[other.node]]
        if not lines.reads[line.node] and readers:
            levels[line.node] = min(levels[n] for n in readers) - 1
    return levels
