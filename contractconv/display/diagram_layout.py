"""What stands where, from left to right, in the diagram of a contraction.

There are three rows: the operands with what hangs on their axes, all indices, the result. The axes
of a tensor keep their order. The indices are ordered for few crossings, and then placed such that
most lines are straight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from contractconv.display.diagram_lettering import ELLIPSIS, Label, shortened
from contractconv.display.diagram_spacing import fewest_crossings, filled, mean, spread
from contractconv.display.diagram_tensors import (
    INDEX_GAP,
    PORT_GAP,
    Slot,
    Tensor,
    kind_of,
    tensor_of,
)
from contractconv.notation.spec import Spec, has_dots
from contractconv.reductions.table import REDUCTIONS

RESULT = -1  # the number of the result among the terms, as in the spec

# Sizes in units of the picture.
MARGIN = 14.0
_TENSOR_GAP = 34.0
_LARGEST_MOVE = 10.0  # of an operand's axis, to make a line straight that nearly is
_ROUNDS = 6


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


def arrange(spec: Spec, names: Sequence[str], result: str) -> Layout:
    """Give every tensor, axis and index of a contraction its place.

    Args:
        spec: the contraction.
        names: the operands' names.
        result: the result's name.

    Returns:
        The layout; the left edge of the picture is at 0.
    """
    mark = "" if REDUCTIONS[spec.reduce].is_sum else spec.reduce
    reduced = _reduced(spec)
    labels = {
        name: Label(shortened(name), mark * (name in reduced), name in reduced)
        for name in (*spec.indices, *[ELLIPSIS] * spec.has_dots)
    }
    rooms = {name: label.reach() for name, label in labels.items()}
    tensors = {n: tensor_of(term, names[n], "", rooms) for n, term in enumerate(spec.inputs)}
    # Where products land on the same element, it is the result at which they are reduced.
    here = not reduced or any(kind_of(axis) in ("window", "fraction") for axis in spec.output)
    tensors[RESULT] = tensor_of(spec.output, result, mark if here else "", {})
    return _Arrangement(tensors, labels).layout()


def _reduced(spec: Spec) -> tuple[str, ...]:
    dots = spec.has_dots and not has_dots(spec.output)
    return (*spec.reduced, *([ELLIPSIS] if dots else []))


class _Arrangement:
    """Places the operands, the indices below them, the axes of the result below these."""

    def __init__(self, tensors: dict[int, Tensor], labels: dict[str, Label]) -> None:
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
        for _ in range(_ROUNDS):
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
        return (position - gaps / 2) * PORT_GAP

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
        wanted = [mean(above or below) for above, below in map(self._sides, self.lines)]
        reaches = [self.labels[name].reach() for name in self.lines]
        apart = [a[1] + b[0] + INDEX_GAP for a, b in pairwise(reaches)]
        self.lines = dict(zip(self.lines, spread(wanted, apart), strict=True))

    def _follow(self, term: int) -> None:
        """Move the axes of a tensor to where their lines are straight."""
        tensor = self.tensors[term]
        places = filled([self._straight(slot) for slot in tensor.slots], tensor.distances)
        if term != RESULT:
            stays = [tensor.x + slot.offset for slot in tensor.slots]
            moves = zip(places, stays, strict=True)
            places = [x if abs(x - stay) <= _LARGEST_MOVE else stay for x, stay in moves]
        if places:
            self.tensors[term] = tensor.fitted(spread(places, tensor.distances))

    def _straight(self, slot: Slot) -> float | None:
        """Where an axis would have to stand for its lines to be straight, if it has any."""
        places = [self.lines[name] - self._within(slot, n) for n, name in enumerate(slot.names)]
        return mean(places) if places else None

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
