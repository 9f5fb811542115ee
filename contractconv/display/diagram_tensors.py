"""A tensor of a diagram: its axes side by side, and what hangs on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from contractconv.display.diagram_lettering import (
    CUP,
    ELLIPSIS,
    LABEL_SIZE,
    MARK_SIZE,
    NAME_SIZE,
    shortened,
    text_width,
    typeset,
)
from contractconv.display.diagram_spacing import spread
from contractconv.notation.spec import Axis, Composition, Dots, Term

# Sizes in units of the picture.
SLANT = 8.0  # of the sides of a composition
PADDING = 10.0
INDEX_GAP = 12.0
PORT_GAP = 36.0  # between the lines of one axis
_TENSOR_WIDTH, _NODE_WIDTH, _AXIS_PADDING, _OVERHANG = 56.0, 30.0, 6.0, 16.0


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

    @property
    def distances(self) -> list[float]:
        """The least distance of each axis to its right neighbour."""
        return [a.room[1] + b.room[0] + INDEX_GAP for a, b in pairwise(self.slots)]

    def fitted(self, places: Sequence[float]) -> Tensor:
        """Move the axes to their places; make the tensor as wide as they are, or as its name."""
        left, right = self._span(places)
        aside = 2 * (text_width(self.mark, MARK_SIZE) + PADDING) if self.mark else 0
        text = text_width(shortened(self.name), NAME_SIZE) + 2 * PADDING + aside
        x, width = (left + right) / 2, max(right - left, text, _TENSOR_WIDTH)
        moved = zip(self.slots, places, strict=True)
        slots = tuple(replace(slot, offset=place - x) for slot, place in moved)
        return replace(self, slots=slots, x=x, width=width)

    def _span(self, places: Sequence[float]) -> tuple[float, float]:
        """From where to where the axes reach."""
        if not self.slots:
            return 0.0, 0.0
        first, last = self.slots[0].room, self.slots[-1].room
        # A label may stand out a little, so that a single line is in the middle of its tensor.
        room = max(last[0], last[1] - _OVERHANG)
        return places[0] - first[0] - _AXIS_PADDING, places[-1] + room + _AXIS_PADDING


def tensor_of(term: Term, name: str, mark: str, rooms: Mapping[str, tuple[float, float]]) -> Tensor:
    """Put the axes of a tensor side by side; its own place is not known as yet.

    Args:
        term: the axes.
        name: of the operand or the result.
        mark: the reduction to show at it, or nothing.
        rooms: for each index what is kept free at its line, to the left and to the right.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> made = tensor_of(parse("b (2*i+k) -> b i").inputs[0], "x", "", {})
        >>> [slot.kind for slot in made.slots], made.slots[1].text
        (['index', 'window'], '2i+k')
    """
    loose = Tensor(name, mark, tuple(_slot(axis, rooms) for axis in term))
    return loose.fitted(spread([0.0] * len(term), loose.distances))


def _slot(axis: Axis, rooms: Mapping[str, tuple[float, float]]) -> Slot:
    kind, names, expression = kind_of(axis), _names(axis), str(axis)
    reaches = [rooms.get(name, (CUP, CUP)) for name in names]
    if kind == "index":
        return Slot(kind, expression, "", names, 0.0, reaches[0])
    text = shortened(typeset(expression[1:-1]))
    inner = max(text_width(text, LABEL_SIZE), PORT_GAP * (len(names) - 1))
    padding = PADDING + (SLANT if kind == "composition" else 0)
    width = max(inner + 2 * padding, _NODE_WIDTH)
    # As much as the labels of its indices take, so that most lines need not bend.
    labels = sum(left + right + INDEX_GAP for left, right in reaches) - INDEX_GAP
    half = max(width, labels) / 2
    return Slot(kind, expression, text, names, width, (half, half))


def _names(axis: Axis) -> tuple[str, ...]:
    return (ELLIPSIS,) if isinstance(axis, Dots) else axis.names


def kind_of(axis: Axis) -> str:
    """What hangs on an axis, as in :class:`Slot`.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> [kind_of(axis) for axis in parse("b (i+k) (h w) (0) -> b").inputs[0]]
        ['index', 'window', 'composition', 'constant']
    """
    if isinstance(axis, Composition):
        return "composition"
    if isinstance(axis, Dots) or axis.plain is not None:
        return "index"
    if not axis.terms:
        return "constant"
    return "fraction" if axis.fractional else "window"
