"""What a picture of a network shows: boxes in rows and columns, and lines between them.

A box stands below what it is made of. Boxes that follow each other are a column: the longest one is
the network's spine; branches, and lines that skip boxes, run at its right, short ones next to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from contractconv.layers.records import Path
from contractconv.networks.display.table import sizes
from contractconv.networks.regions import Region, Regions, paths_of, signs_of, string_of
from contractconv.programs.nodes import Input, Node


@dataclass(eq=False)
class Box:
    """A part, what comes in, or what is made between parts.

    Attributes:
        kind: ``"input"``, ``"part"`` or ``"joint"``.
        path: what it is called.
        lines: what is written in it.
        shape: of what it makes.
        sources: the boxes that it reads, in order.
        row: below those of its sources.
        column: 0 for the spine.
    """

    kind: str
    path: Path
    lines: tuple[str, ...]
    shape: str
    sources: list[Box] = field(default_factory=list)
    row: int = 0
    column: int = 0


@dataclass(frozen=True, eq=False)
class Strand:
    """Boxes below each other in one column; or none, where a line passes by.

    Attributes:
        boxes: from the top.
        start: the box that the line comes from; ``None`` at the very top.
        end: the box that it goes to; ``None`` at the very bottom.
    """

    boxes: tuple[Box, ...]
    start: Box | None
    end: Box | None

    @property
    def span(self) -> tuple[int, int]:
        """Where it begins and ends, in halves of rows: behind the box it comes from, say."""
        first = 2 * self.boxes[0].row if self.start is None else 2 * self.start.row + 1
        last = 2 * self.boxes[-1].row if self.end is None else 2 * self.end.row - 1
        return first, last


@dataclass(frozen=True)
class Picture:
    """Boxes with their places, and strands with their columns.

    Attributes:
        boxes: in the order in which they are made.
        strands: each with its column.
        result: the box that makes the network's output.
    """

    boxes: tuple[Box, ...]
    strands: tuple[tuple[Strand, int], ...]
    result: Box


def picture(regions: Regions) -> Picture:
    """Find what stands where."""
    boxes, result = _boxes(regions)
    for box in boxes:
        box.row = 1 + max((source.row for source in box.sources), default=-1)
    strands = _strands(boxes)
    columns = _columns(strands)
    for strand, column in columns:
        for box in strand.boxes:
            box.column = column
    return Picture(tuple(boxes), tuple(columns), result)


# -- boxes -------------------------------------------------------------------------------------


def _boxes(regions: Regions) -> tuple[list[Box], Box]:
    """The boxes that the output depends on, each behind those that it reads."""
    owners: dict[Node, Box] = {}
    boxes: list[Box] = []
    for tensor in regions.network.inputs:
        node = regions.made(tensor)
        box = Box("input", (str(tensor.label),), (), sizes(regions.network.trace.shape(tensor)))
        owners[node] = box
        boxes.append(box)
    for region, path in zip(regions.all, paths_of(regions), strict=True):
        if region.nodes:
            box = _box(region, path, regions)
            box.sources = list(dict.fromkeys(_owners(region.read, owners)))
            owners |= dict.fromkeys(regions.given.intersection(region.nodes), box)
            boxes.append(box)
    result, *_ = _owners([regions.made(regions.network.output)], owners)
    return boxes, result


def _owners(nodes: Iterable[Node], owners: Mapping[Node, Box]) -> Iterable[Box]:
    """The boxes that make values, whatever else these are called on the way."""
    for node in nodes:
        if node in owners:
            yield owners[node]
        elif not isinstance(node, Input):
            yield from _owners(node.sources, owners)


def _box(region: Region, path: Path, regions: Regions) -> Box:
    shape = sizes(regions.shape(region.output))
    if region.call is None and not any(map(regions.does_something, region.nodes)):
        return Box("joint", path, (" ".join(signs_of(region, regions)),), shape)
    lines = string_of(region, regions).splitlines()
    count = sum(prod(p.shape) for p in region.call.parameters) if region.call else 0
    return Box("part", path, (*lines, *([f"{count:,} parameters"] if count else [])), shape)


# -- strands -----------------------------------------------------------------------------------


def _strands(boxes: Sequence[Box]) -> list[Strand]:
    """Cut the graph into strands: a box goes on with the reader below which most is to come."""
    readers: dict[Box, list[Box]] = {box: [] for box in boxes}
    for box in boxes:
        for source in box.sources:
            readers[source].append(box)
    depth: dict[Box, int] = {}
    for box in reversed(boxes):
        depth[box] = 1 + max((depth[reader] for reader in readers[box]), default=0)
    above = {box: max(box.sources, key=lambda s: s.row) for box in boxes if box.sources}
    below = {box: max(read, key=depth.__getitem__) for box, read in readers.items() if read}
    follows = {box: b for box, b in below.items() if above.get(b) is box}
    heads = [box for box in boxes if box not in follows.values()]
    found = [_strand(head, follows, above, below) for head in heads]
    used = {(s.start, s.boxes[0]) for s in found} | {(s.boxes[-1], s.end) for s in found}
    used |= set(follows.items())
    edges = ((source, box) for box in boxes for source in box.sources)
    return found + [Strand((), *edge) for edge in edges if edge not in used]


def _strand(
    head: Box, follows: Mapping[Box, Box], above: Mapping[Box, Box], below: Mapping[Box, Box]
) -> Strand:
    boxes = [head]
    while boxes[-1] in follows:
        boxes.append(follows[boxes[-1]])
    return Strand(tuple(boxes), above.get(head), below.get(boxes[-1]))


def _columns(strands: Sequence[Strand]) -> list[tuple[Strand, int]]:
    """The spine is the strand with most boxes; of the others short ones stand next to it."""
    spine = max(strands, key=lambda strand: len(strand.boxes))
    taken: list[list[Strand]] = []
    found = [(spine, 0)]
    others = (strand for strand in strands if strand is not spine)
    for strand in sorted(others, key=_length):
        column = next((n for n, held in enumerate(taken) if _is_free(strand, held)), len(taken))
        taken += [[]] * (column == len(taken))
        taken[column] = [*taken[column], strand]
        found.append((strand, column + 1))
    return found


def _length(strand: Strand) -> tuple[int, int]:
    first, last = strand.span
    return last - first, first


def _is_free(wanted: Strand, taken: Iterable[Strand]) -> bool:
    first, last = wanted.span
    return all(last < one.span[0] or one.span[1] < first for one in taken)
