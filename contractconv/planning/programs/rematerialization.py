"""Orders of steps that take less memory: what is read again much later is made again then.

The arrays that a gradient reads are there from the forward pass on. Of those that are there where
most is, but not needed, some are let go of and made again before they are read: those that take
most for longest and cost least (Chen, Xu, Zhang, Guestrin: Training Deep Nets with Sublinear
Memory Cost, 2016, do so for blocks of layers). Steps come again as they are, so that every number
stays the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from contractconv.planning.programs.early_sinks import early_sinks
from contractconv.planning.programs.lives import Life, Taken, alive, last_reads, lives
from contractconv.programs.nodes import Node

# How many times as many steps there may be as at first, and steps for each array that is let go of
# at once: of many steps it would take long to choose one at a time.
_MOST, _AT_ONCE = 8, 250


def plain_orders(taken: Sequence[Taken], wanted: Collection[Node]) -> list[tuple[list[int], int]]:
    """The order of some steps, and one in which they take less memory, or as much.

    Args:
        taken: the steps, in an order in which they can be carried out.
        wanted: the nodes that are results.

    Returns:
        The numbers of the steps, and the bytes that are taken at once, at most.
    """
    both = (list(range(len(taken))), early_sinks(taken, wanted))
    return [(order, _State(taken, wanted, order).most) for order in both]


def orders(
    taken: Sequence[Taken], costs: Sequence[float], wanted: Collection[Node], first: list[int]
) -> Iterator[tuple[list[int], int]]:
    """Orders of steps, of which each takes less memory where the one before took most.

    Args:
        taken: the steps.
        costs: how long each of them takes, in any measure.
        wanted: the nodes that are results.
        first: an order in which they can be carried out.

    Yields:
        The numbers of the steps, some of them more than once; and the bytes that are taken at
        once, at most.
    """
    search = _Search(taken, costs, wanted)
    state: _State | None = _State(taken, wanted, first)
    while state is not None and len(state.order) < _MOST * len(taken):
        state = search.improved(state)
        if state is not None:
            yield state.order, state.most


class _Drop(NamedTuple):
    """An array that is let go of.

    Attributes:
        worth: bytes, times the steps for which they are free, by what that costs.
        life: the array.
        place: the place of the step before which it is made again.
        again: the numbers of the steps that do that.
    """

    worth: float
    life: Life
    place: int
    again: tuple[int, ...]


class _State:
    """An order of steps, and what is there when."""

    def __init__(self, taken: Sequence[Taken], wanted: Collection[Node], order: list[int]) -> None:
        self.order, steps = order, [taken[n] for n in order]
        self.steps, self.gone = steps, last_reads([one.step for one in steps], wanted)
        self.lives = lives(steps, self.gone)
        self.sizes = alive(steps, self.lives)
        self.there = self._there()
        self.most = max(self.sizes, default=0)

    def _there(self) -> list[int]:
        """Bytes of the arrays that are there when each step begins."""
        change = [0] * (len(self.order) + 1)
        for life in self.lives:
            change[min(life.first + 1, len(self.order))] += life.made.size
            change[life.last + 1] -= life.made.size
        return list(accumulate(change))


class _Search:
    """Looks for the next order."""

    def __init__(
        self, taken: Sequence[Taken], costs: Sequence[float], wanted: Collection[Node]
    ) -> None:
        self._taken, self._costs, self._wanted = taken, costs, wanted
        self._makers = {node: n for n, one in enumerate(taken) for node in one.step.makes}
        self._at_once = max(1, len(taken) // _AT_ONCE)

    def improved(self, state: _State) -> _State | None:
        """The same with some arrays less where most is there; ``None`` if all are needed."""
        if not state.sizes:
            return None
        moment = _Moment(state.sizes.index(state.most), _Held(state))
        drops = sorted(self._drops(state, moment), key=lambda drop: -drop.worth)
        chosen = self._apart(drop for drop in drops if self._fits(state, drop))
        return self._without(state, chosen) if chosen else None

    def _apart(self, drops: Iterable[_Drop]) -> list[_Drop]:
        """The first of some drops, and others of which none needs what another one lets go of."""
        found: list[_Drop] = []
        gone: set[Node] = set()
        read: set[Node] = set()
        for drop in drops:
            nodes = set(drop.life.nodes)
            reads = {node for n in drop.again for node in self._taken[n].step.reads}
            if not (gone & reads or nodes & read):
                found.append(drop)
                gone |= nodes
                read |= reads
            if len(found) == self._at_once:
                break
        return found

    def _fits(self, state: _State, drop: _Drop) -> bool:
        """Whether less is taken while an array is made again than where most is taken."""
        steps = [self._taken[n] for n in drop.again]
        kept = [node for node in drop.life.nodes if node in self._makers]
        found = lives(steps, last_reads([one.step for one in steps], kept))
        others = state.there[drop.place] - drop.life.made.size
        return others + max(alive(steps, found)) < state.most

    def _without(self, state: _State, drops: Sequence[_Drop]) -> _State:
        """What becomes of an order."""
        order = list(state.order)
        for drop in sorted(drops, key=lambda drop: -drop.place):
            order[drop.place : drop.place] = drop.again
        return _State(self._taken, self._wanted, order)

    def _drops(self, state: _State, moment: _Moment) -> Iterator[_Drop]:
        """What could be let go of at a moment."""
        for life in state.lives:
            if not life.first < moment.place < life.last or moment.place in life.touched:
                continue
            later = next((n for n in life.touched if n > moment.place), None)
            if later is not None and life.made.size:
                before = max(n for n in life.touched if n < moment.place)
                again = self._again(life, moment, later)
                cost = sum(self._costs[n] for n in again)
                yield _Drop(life.made.size * (later - before) / cost, life, later, again)

    def _again(self, life: Life, moment: _Moment, later: int) -> tuple[int, ...]:
        """The steps that make an array again, with all views of it that are there."""
        held, gone = moment.held, set(life.nodes)
        waiting = [(node, False) for node in life.nodes if held.at(node, moment.place)]
        found: dict[int, None] = {}
        while waiting:
            node, ready = waiting.pop()
            maker = self._makers.get(node)
            if maker is None or maker in found:
                continue
            if ready:
                found[maker] = None
            elif node in gone or not held.at(node, later):
                waiting.append((node, True))
                waiting += [(source, False) for source in self._taken[maker].step.reads]
        return tuple(found)


class _Held:
    """At which places of an order nodes are there: behind the step that makes them."""

    def __init__(self, state: _State) -> None:
        self._spans: dict[Node, list[tuple[int, int]]] = {}
        begun: dict[Node, int] = {}
        for n, (taken, over) in enumerate(zip(state.steps, state.gone, strict=True)):
            begun.update(dict.fromkeys(taken.step.makes, n))
            for node in over:
                if node in begun:
                    self._spans.setdefault(node, []).append((begun.pop(node), n))
        for node, start in begun.items():
            self._spans.setdefault(node, []).append((start, len(state.steps)))

    def at(self, node: Node, place: int) -> bool:
        """Whether a node is there when the step at a place begins."""
        return any(start < place <= end for start, end in self._spans.get(node, ()))


class _Moment(NamedTuple):
    """A step of an order, and which nodes are there when."""

    place: int
    held: _Held
