"""Maps and reductions along their last axis, which run together row by row.

A row of a softmax is read once, and is in the cache until all is done with it: its greatest number,
the powers, their sum, and what is divided by it. Steps of a program join if no step apart from them
would have to run between them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

from contractconv.planning.programs.outer_sums import OuterSum, kept_axes
from contractconv.planning.programs.steps import ContractStep, MapStep, Step, in_turn
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Axes, Node, Number, Position

# The numbers in a row, of which some copies stay in cache, and rows that are worth a kernel.
_LEAST, _MOST, _ROWS = 16, 1 << 12, 8
# Numbers in all rows for which it takes longer to begin a step than lanes are worth that shorter
# rows leave empty.
_FEW = 1 << 15
# Steps beyond which it would take long to find out what joins.
_MOST_STEPS = 1000
# Nodes of a loop: what longer ones keep of a row does not stay in cache, and they compile long.
_MOST_NODES = 48
# How many operands each reduction may have.
REDUCED = {"sum": (1, 2), "mean": (1, 2), "max": (1,), "min": (1,)}


@dataclass(frozen=True)
class RowLoop(Step):
    """Steps that run together, row by row.

    Attributes:
        parts: the steps, in order.
        axes: the axes over the rows, and behind them the one along a row.
    """

    parts: tuple[Step, ...]
    axes: Axes

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All maps and reductions of rows, in order."""
        return tuple(
            node
            for step in self.parts
            for node in (step.group.nodes if isinstance(step, MapStep) else step.makes)
        )

    @property
    def sums(self) -> tuple[OuterSum, ...]:
        """The sums over rows that are added up on the way."""
        groups = (step.group for step in self.parts if isinstance(step, MapStep))
        return tuple(one for group in groups for one in group.sums)


def row_loops(program: Typed, steps: Sequence[Step]) -> list[Step]:
    """Join steps, where that is possible."""
    if len(steps) > _MOST_STEPS:
        return list(steps)
    joining = _Joining(program, steps)
    loops = list(joining.loops())
    if not loops:
        return list(steps)
    within = {part for loop in loops for part in loop.parts}
    found = [*loops, *(step for step in steps if step not in within)]
    return in_turn(found, {node: n for n, node in enumerate(program.graph.nodes)})


def reduced_row(step: Step, program: Typed) -> Axes | None:
    """The axes of what a step reduces along the last of them, if it does that."""
    if not isinstance(step, ContractStep) or step.ended is not None or step.node.local:
        return None
    node, problem, factors = step.node, step.problem, step.node.operands
    if len(factors) not in REDUCED.get(problem.reduce, ()):
        return None
    if any(isinstance(factor, Number | Position) for factor in factors):
        return None
    kinds = {program.dtypes[one] for one in (node, *factors)}
    kept = kept_axes(problem, factors)
    if len(kinds) != 1 or not kinds <= {"float32", "float64"} or kept != node.axes:
        return None
    along = [name for name in factors[0].axes if name not in kept]
    return (*kept, *along) if len(along) == 1 and _pays(step, program) else None


def _pays(step: ContractStep, program: Typed) -> bool:
    rows = prod(program.shapes[step.node])
    elements = prod(program.shapes[step.node.operands[0]])
    length = elements // max(rows, 1)
    least = 2 if elements <= _FEW else _LEAST
    return rows >= _ROWS and least <= length <= _MOST


@dataclass
class _Joining:
    """Steps, and which of them are joined."""

    program: Typed
    steps: Sequence[Step]
    home: dict[int, int] = field(default_factory=dict)
    members: dict[int, list[int]] = field(default_factory=dict)
    behind: dict[int, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        makers = {node: n for n, step in enumerate(self.steps) for node in step.makes}
        self.before = [
            sorted({makers[node] for node in step.reads if node in makers}) for step in self.steps
        ]
        for n, before in enumerate(self.before):
            self.home[n], self.members[n], self.behind[n] = n, [n], set()
            for m in before:
                self.behind[m].add(n)

    def loops(self) -> Iterator[RowLoop]:
        """What runs row by row."""
        rows = [reduced_row(step, self.program) for step in self.steps]
        left = set(range(len(self.steps)))
        for axes in dict.fromkeys(one for one in rows if one is not None):
            fits = {n for n in left if rows[n] == axes or self._is_along(self.steps[n], axes)}
            self._join(fits)
            for n in sorted(fits):
                own = self.members[n] if self.home[n] == n else []
                if len(own) > 1 and any(rows[m] == axes for m in own) and self._whole(own, axes):
                    left -= set(own)
                    yield self._loop(sorted(own), axes)

    def _is_along(self, step: Step, axes: Axes) -> bool:
        """Whether a step is maps of whole rows, or of one number for each of them."""
        if not isinstance(step, MapStep):
            return False
        return step.group.axes == axes or (step.group.axes == axes[:-1] and not step.group.sums)

    def _whole(self, own: Sequence[int], axes: Axes) -> bool:
        return any(isinstance(s, MapStep) and s.group.axes == axes for s in self._steps(own))

    def _steps(self, own: Sequence[int]) -> list[Step]:
        return [self.steps[n] for n in own]

    def _join(self, fits: Collection[int]) -> None:
        """Join steps of which one reads another, as long as there are any."""
        edges = [(m, n) for n in sorted(fits) for m in self.before[n] if m in fits]
        changed = True
        while changed:
            changed = False
            for m, n in edges:
                first, second = self.home[m], self.home[n]
                if first != second and self._may_join(first, second):
                    self._merge(first, second)
                    changed = True

    def _may_join(self, first: int, second: int) -> bool:
        own = self._steps([*self.members[first], *self.members[second]])
        return sum(map(_size, own)) <= _MOST_NODES and not self._between(first, second)

    def _between(self, first: int, second: int) -> bool:
        """Whether something apart from two joined ones has to run between them."""
        waiting = [n for n in self.behind[first] if n != second]
        seen = set(waiting)
        while waiting:
            n = waiting.pop()
            if n == second:
                return True
            new = self.behind[n] - seen
            seen |= new
            waiting += new
        return False

    def _merge(self, first: int, second: int) -> None:
        self.members[first] += self.members[second]
        for n in self.members[second]:
            self.home[n] = first
        self.behind[first] = (self.behind[first] | self.behind.pop(second)) - {first, second}
        self.members[second] = []
        for n, after in self.behind.items():
            if second in after:
                after.discard(second)
                if n != first:
                    after.add(first)

    def _loop(self, own: Sequence[int], axes: Axes) -> RowLoop:
        parts = self._steps(own)
        made = [node for step in parts for node in step.makes]
        inside = set(own)
        others = (step for n, step in enumerate(self.steps) if n not in inside)
        wanted = {*self.program.graph.wanted, *(node for s in others for node in s.reads)}
        known = set(made)
        reads = dict.fromkeys(node for s in parts for node in s.reads if node not in known)
        makes = tuple(node for node in made if node in wanted)
        return RowLoop(makes, tuple(reads), tuple(parts), axes)


def _size(step: Step) -> int:
    return len(step.group.nodes) if isinstance(step, MapStep) else 1
