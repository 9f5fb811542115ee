"""Where everything in the picture of a network stands: rows as high, columns as wide as needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from contractconv.display.diagram_lettering import LABEL_SIZE, MARK_SIZE, shortened, text_width
from contractconv.layers.records import Path
from contractconv.lazy import remembered
from contractconv.networks.display.groups import runs
from contractconv.networks.display.picture import Box, Picture

MARGIN, PADDING = 14.0, 12.0
LINE = 18.0  # the height of a line of text
_ROW_GAP, _COLUMN_GAP = 26.0, 26.0
_LANE = 12.0  # the width of a column through which lines pass only
_BRACKET = 20.0  # of the name of a block, turned
_LONGEST = 64  # letters


@dataclass(frozen=True)
class Place:
    """Where a box stands.

    Attributes:
        x, y: its left upper corner.
        width, height: how large it is.
    """

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Of its width."""
        return self.x + self.width / 2


class Layout:
    """The places of the boxes of a picture.

    Args:
        picture: the boxes, with their rows and columns.
    """

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self._runs = list(runs([box.path for box in picture.boxes]))

    @remembered
    def width(self) -> float:
        """Of the picture."""
        return self._lefts[-1] + self._widths[-1] + MARGIN

    @remembered
    def height(self) -> float:
        """Of the picture."""
        return self._tops[-1] + self._heights[-1] + MARGIN

    def place(self, box: Box) -> Place:
        """Where a box stands: joints and inputs in the middle of their column, parts across it."""
        whole, wanted = self._widths[box.column], width_of(box)
        wide = whole if box.kind == "part" else wanted
        x = self._lefts[box.column] + (whole - wide) / 2
        height = height_of(box)
        y = self._tops[box.row] + (self._heights[box.row] - height) / 2
        return Place(x, y, wide, height)

    def middle(self, column: int) -> float:
        """The middle of a column."""
        return self._lefts[column] + self._widths[column] / 2

    def is_hidden(self, box: Box, column: int) -> bool:
        """Whether there are boxes in its row between it and a column."""
        others = (b.column for b in self.picture.boxes if b.row == box.row and b is not box)
        low, high = sorted((box.column, column))
        return any(low < other <= high for other in others if other != box.column)

    def below(self, box: Box) -> float:
        """The height of lines that leave a row between it and the next one."""
        return self._tops[box.row] + self._heights[box.row] + 0.4 * _ROW_GAP

    def above(self, box: Box) -> float:
        """The height of lines that enter a row between it and the one before."""
        return self._tops[box.row] - 0.4 * _ROW_GAP

    def blocks(self) -> Iterator[tuple[Path, Place]]:
        """Where the names of blocks stand, at the left of what the spine has of them."""
        for path, run in self._runs:
            boxes = [self.picture.boxes[n] for n in run]
            inside = [self.place(box) for box in boxes if not box.column]
            if not inside:
                continue
            top = min(place.y for place in inside)
            bottom = max(place.y + place.height for place in inside)
            x = MARGIN + _BRACKET * (len(path) - 1)
            yield path, Place(x, top, _BRACKET, bottom - top)

    @remembered
    def _widths(self) -> list[float]:
        count = 1 + max(column for _, column in self.picture.strands)
        widths = [_LANE] * count
        for box in self.picture.boxes:
            widths[box.column] = max(widths[box.column], width_of(box))
        return widths

    @remembered
    def _heights(self) -> list[float]:
        heights = [0.0] * (1 + max(box.row for box in self.picture.boxes))
        for box in self.picture.boxes:
            heights[box.row] = max(heights[box.row], height_of(box))
        return heights

    @remembered
    def _lefts(self) -> list[float]:
        start = MARGIN + _BRACKET * max((len(path) for path, _ in self._runs), default=0)
        steps = (width + (_COLUMN_GAP if width > _LANE else 0.0) for width in self._widths[:-1])
        return list(accumulate(steps, initial=start))

    @remembered
    def _tops(self) -> list[float]:
        steps = (height + _ROW_GAP for height in self._heights[:-1])
        return list(accumulate(steps, initial=MARGIN))


def texts(box: Box) -> list[str]:
    """What is written in a box below its name; the sign of a joint is all there is."""
    return [shortened(line, _LONGEST) for line in box.lines]


def name_of(box: Box) -> str:
    """What is written at the top of a box; beside the spine, with the block that it is in."""
    return shortened(".".join(box.path[-2:] if box.column else box.path[-1:]))


def width_of(box: Box) -> float:
    """How wide a box has to be."""
    if box.kind == "joint":
        return max(text_width(text, LABEL_SIZE) for text in texts(box)) + 2 * PADDING
    head = text_width(name_of(box), LABEL_SIZE) + 2 * PADDING + text_width(box.shape, MARK_SIZE)
    return max(head, *(text_width(text, MARK_SIZE) for text in [*texts(box), ""])) + 2 * PADDING


def height_of(box: Box) -> float:
    """How high a box has to be."""
    lines = len(box.lines) if box.kind == "joint" else 1 + len(box.lines)
    return LINE * lines + 8.0
