"""A program over devices: how every value lies, and what is moved for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from contractconv.notation.problem import Accesses, Problem, Shape
from contractconv.notation.spec import Composition, Term
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Contract, Input, Named, Node, in_order
from contractconv.sharding.contractions import (
    ShardedContraction,
    Splits,
    granule_of,
    landing_layout,
)
from contractconv.sharding.gather_forms import gather_form, split_indices
from contractconv.sharding.granules import fitting, granules
from contractconv.sharding.layouts import Layout, Sizes, Split, local_shape
from contractconv.sharding.moves import Move, exchanges
from contractconv.sharding.rows import added
from contractconv.sharding.spreading import Spread, output_of, spread
from contractconv.sharding.windows import Passage, Step, Window

Passages = tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """An operand whose compositions are split.

    Attributes:
        joins: for each of its axes how it has to be before that.
        shape: of one device's blocks, afterwards.
        layout: how they lie.
    """

    joins: Passages
    shape: Shape
    layout: Layout


@dataclass(frozen=True)
class ShardedProgram:
    """A program over devices.

    Attributes:
        program: the program.
        nodes: what is carried out, in order.
        layouts: how each value lies.
        contractions: what is done for each contraction.
        opened: for each contraction its operands.
        aligned: for each map how its arguments lie differently from its result.
    """

    program: Typed
    nodes: tuple[Node, ...]
    layouts: Mapping[Node, Layout]
    contractions: Mapping[Node, ShardedContraction]
    opened: Mapping[Node, tuple[Opened, ...]]
    aligned: Mapping[Node, tuple[Passages, ...]]

    @property
    def inputs(self) -> tuple[tuple[str, Shape, Layout], ...]:
        """The inputs in order: name, shape, and how it lies; nothing of those that are not read."""
        found = {
            node.name: (node.name, self.program.shapes[node], self.layouts[node])
            for node in self.nodes
            if isinstance(node, Input)
        }
        names = [node.name for node in self.program.graph.inputs]
        return tuple(found.get(name, (name, (), ())) for name in names)

    @property
    def outputs(self) -> tuple[tuple[str, Shape, Layout], ...]:
        """The outputs likewise."""
        shapes = self.program.shapes
        return tuple((name, shapes[n], self.layouts[n]) for name, n in self.program.graph.outputs)

    def shape(self, node: Node) -> Shape:
        """The shape of the blocks of one device."""
        return local_shape(self.program.shapes[node], self.layouts[node])

    def moves(self) -> Iterator[tuple[Node, Move]]:
        """What is moved, and for which value; what is read twice is moved once."""
        seen: set[object] = set()
        for node in self.nodes:
            for source, passages, shape in self._read(node):
                if (source, passages) not in seen:
                    seen.add((source, passages))
                    yield from ((node, move) for move in exchanges(passages, shape))
            if isinstance(node, Contract):
                yield from ((node, move) for move in self.contractions[node].returned())
            yield from ((node, move) for move in added(node, self.split(node), self.shape(node)))

    def split(self, node: Node) -> dict[str, Split]:
        """The blocks of the axes of what a node reads, and of its own."""
        found: dict[str, Split] = {}
        for source, passages in zip(node.sources, self.aligned.get(node, ()), strict=False):
            named = zip(source.axes, passages, strict=True)
            found |= {name: p.lies for name, p in named if p.lies is not None}
        own = zip(node.axes, self.layouts[node], strict=True)
        return found | {name: split for name, split in own if split is not None}

    def _read(self, node: Node) -> Iterator[tuple[Node, Passages, Shape]]:
        if isinstance(node, Contract):
            plan = self.contractions[node]
            for source, opened, passages in zip(
                node.operands, self.opened[node], plan.reads, strict=True
            ):
                yield source, opened.joins, self.shape(source)
                yield source, passages, opened.shape
        for source, passages in zip(node.sources, self.aligned.get(node, ()), strict=False):
            yield source, passages, self.shape(source)


def sharded(program: Typed, names: Mapping[str, str], counts: Sizes) -> ShardedProgram:
    """Plan a program over devices.

    Args:
        program: the program.
        names: for names of axes and of indices the axis of the mesh.
        counts: how many devices each axis of the mesh has.
    """
    return _Planning(program, spread(program, names), counts).done()


class _Planning:
    """A program that is planned value by value."""

    def __init__(self, program: Typed, found: Spread, counts: Sizes) -> None:
        self._program, self._found, self._counts = program, found, counts
        self._nodes = in_order(program.graph.wanted, references=False)
        self._granules = granules(program, self._nodes, found)
        self._layouts: dict[Node, Layout] = {}
        self._contractions: dict[Node, ShardedContraction] = {}
        self._opened: dict[Node, tuple[Opened, ...]] = {}
        self._aligned: dict[Node, tuple[Passages, ...]] = {}

    def done(self) -> ShardedProgram:
        """The plan."""
        for node in self._nodes:
            if isinstance(node, Contract):
                self._contract(node)
            elif isinstance(node, Named):
                self._layouts[node] = self._layouts[node.source]
            else:
                self._map(node)
        return ShardedProgram(
            self._program, tuple(self._nodes), self._layouts, self._contractions, self._opened,
            self._aligned,
        )  # fmt: skip

    def _map(self, node: Node) -> None:
        """Axes lie as those of the first argument that has them in blocks."""
        shape = self._program.shapes[node]
        self._layouts[node] = layout = tuple(
            self._split(node, name, size, along)
            for name, size, along in zip(node.axes, shape, self._found.of(node), strict=True)
        )
        known = dict(zip(node.axes, layout, strict=True))
        for source in node.sources:  # what rows are taken from, or added over
            for name, split in zip(source.axes, self._layouts[source], strict=True):
                known.setdefault(name, split)
        if node.sources:
            self._aligned[node] = tuple(self._aligning(s, known) for s in node.sources)

    def _split(self, node: Node, name: str, size: int, along: str | None) -> Split | None:
        if along is None:
            return None
        told = (self._lies(source, name) for source in node.sources if name in source.axes)
        near = (split for split in told if split is not None and split.along == along)
        wish = self._granules.axes[node].get(name, 1)
        return next(near, fitting(size, along, self._counts[along], wish))

    def _lies(self, node: Node, name: str) -> Split | None:
        return self._layouts[node][node.axes.index(name)]

    def _aligning(self, source: Node, known: Mapping[str, Split | None]) -> Passages:
        shape, layout = self._program.shapes[source], self._layouts[source]
        wanted = (known[name] for name in source.axes)
        return tuple(map(_relaid, shape, layout, wanted))

    def _contract(self, node: Contract) -> None:
        problem = self._program.problems[node]
        opened = tuple(
            self._open(operand, term, accesses)
            for operand, term, accesses in zip(
                node.operands, node.spec.inputs, problem.operands, strict=True
            )
        )
        plan, joined = self._planned(node, problem, self._found.indices[node], opened)
        returned = any(passage.way == "halo" for passage in plan.writes)
        gather = self._gathered(node, problem, opened) if returned else None
        if gather is not None and _sent(gather, opened) < _sent(plan, opened):
            plan = gather
        self._opened[node], self._layouts[node], self._contractions[node] = opened, joined, plan

    def _planned(
        self, node: Contract, problem: Problem, along: Mapping[str, str], opened: Sequence[Opened]
    ) -> tuple[ShardedContraction, Layout]:
        splits = self._splits(node, problem, along, opened)
        output, joined = self._landing(node, problem, splits)
        layouts = [operand.layout for operand in opened]
        return ShardedContraction.of(problem, splits, layouts, output), joined

    def _gathered(
        self, node: Contract, problem: Problem, opened: Sequence[Opened]
    ) -> ShardedContraction | None:
        """The same without halos of the result, which has to lie as it does anyway."""
        shapes = [self._program.shapes[operand] for operand in node.operands]
        gather = gather_form(node, problem, shapes)
        if gather is None or any(isinstance(a, Composition) for a in node.spec.output):
            return None
        axes = self._found.of(node)
        along = split_indices(problem, gather, self._found.indices[node], axes)
        _, wanted = self._planned(node, problem, self._found.indices[node], opened)
        splits = self._splits(node, gather, along, opened)
        layouts = [operand.layout for operand in opened]
        return ShardedContraction.of(gather, splits, layouts, wanted)

    def _splits(
        self, node: Node, problem: Problem, along: Mapping[str, str], opened: Sequence[Opened]
    ) -> Splits:
        """The blocks of indices: those in which operands lie, where they do."""
        made = {
            name: fitting(
                problem.extents[name], axis, self._counts[axis],
                self._granules.indices[node].get(name, 1), granule_of(problem, name),
            )
            for name, axis in along.items()
        }  # fmt: skip
        for term, operand in zip(problem.operands, opened, strict=True):
            for access, split in zip(term, operand.layout, strict=True):
                name = access.plain or ""
                if split is not None and name in made and split.along == made[name].along:
                    larger = split.block > made[name].block
                    if larger and split.block % granule_of(problem, name) == 0:
                        made[name] = split
        return made

    def _open(self, operand: Node, term: Term, accesses: Accesses) -> Opened:
        joins: list[Passage] = []
        layout: list[Split | None] = []
        sizes = [a.size for a in accesses]
        for size, split, axis in zip(
            self._program.shapes[operand], self._layouts[operand], term, strict=True
        ):
            count = len(axis.names) if isinstance(axis, Composition) else 1
            here = sizes[len(layout) : len(layout) + count]
            parts, kept = _opened(split, here, isinstance(axis, Composition))
            joins.append(_relaid(size, split, split if kept else None))
            layout += parts
        shape = tuple(s.block if s else n for n, s in zip(sizes, layout, strict=True))
        return Opened(tuple(joins), shape, tuple(layout))

    def _landing(self, node: Contract, problem: Problem, splits: Splits) -> tuple[Layout, Layout]:
        """How a result lies: with compositions split, and joined."""
        wanted: dict[int, str] = {}
        spans: list[slice] = []
        place = 0
        for along, axis in zip(self._found.of(node), output_of(node), strict=True):
            count = len(axis.names) if isinstance(axis, Composition) else 1
            spans.append(slice(place, place + count))
            if along is not None and _can_lie(axis, along, splits):
                wanted[place] = along
            place += count
        whole = landing_layout(problem, splits, wanted, self._counts)
        joined = tuple(_joined(whole[span], problem.output_sizes[span]) for span in spans)
        return whole, joined


def _sent(plan: ShardedContraction, opened: Sequence[Opened]) -> int:
    """How many elements each device sends, at most."""
    read = (m for o, p in zip(opened, plan.reads, strict=True) for m in exchanges(p, o.shape))
    return sum(move.elements for move in (*read, *plan.returned()))


def _can_lie(axis: object, along: str, splits: Splits) -> bool:
    if not isinstance(axis, Composition):
        return True
    first = splits.get(axis.names[0]) if axis.names else None
    return first is not None and first.along == along


def _joined(layout: Layout, sizes: Shape) -> Split | None:
    """How a composition lies of whose indices the first one is split."""
    first = layout[0] if layout else None
    return first and Split(first.along, first.count, first.block * prod(sizes[1:]))


def _opened(
    split: Split | None, sizes: Sequence[int], composed: bool
) -> tuple[list[Split | None], bool]:
    """How the axes lie into which one is split, and whether they can without being moved."""
    inner = prod(sizes[1:])
    if split is None or not composed:
        return [split, *[None] * (len(sizes) - 1)][: len(sizes)], True
    if not sizes or not inner or split.block % inner:
        return [None] * len(sizes), False
    return [Split(split.along, split.count, split.block // inner), *[None] * (len(sizes) - 1)], True


def _relaid(size: int, split: Split | None, wanted: Split | None) -> Passage:
    """From how an axis lies to how it shall lie."""
    if wanted is None:
        return Passage.between(Window(size, 0, size), split)
    step = Step(wanted.along, wanted.count, wanted.block)
    return Passage.between(Window(size, 0, wanted.block, (step,)), split)
