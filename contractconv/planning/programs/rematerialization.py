"""Orders of steps that take less memory: what is read again much later is made again then.

The arrays that a gradient reads are there from the forward pass on. Of those that are there where
most is, but not needed, one after the other is let go of and made again before it is read: the one
that takes most for longest and costs least (Chen, Xu, Zhang, Guestrin: Training Deep Nets with
Sublinear Memory Cost, 2016, do so for blocks of layers). Steps come again as they are, so that
every number stays the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from contractconv.planning.programs.early_sinks import early_sinks
from contractconv.planning.programs.lives import Life, Taken, alive, last_reads, lives
from contractconv.programs.nodes import Node

# How many times as many steps there may be as at first.
_MOST = 8


def orders(
    taken: Sequence[Taken], costs: Sequence[float], wanted: Collection[Node]
) -> Iterator[tuple[list[int], int]]:
    """Orders of steps: each but the first two takes less memory where the last one took most.

    Args:
        taken: the steps, in an order in which they can be carried out.
        costs: how long each of them takes, in any measure.
        wanted: the nodes that are results.

    Yields:
        The numbers of the steps, and the bytes that are taken at once, at most. The first two
        orders have every step once.
    """
    search = _Search(taken, costs, wanted)
    plain = list(range(len(taken))), early_sinks(taken, wanted)
    for order in plain:
        yield order, search.peak(order)
    order = min(plain, key=search.peak)
    while len(order) < _MOST * len(taken):
        improved = search.improved(order)
        if improved is None:
            return
        order = improved
        yield order, search.peak(order)


class _Drop(NamedTuple):
    """An array that is let go of.

    Attributes:
        worth: bytes, times the steps for which they are free, by what that costs.
        place: the place of the step before which it is made again.
        again: the numbers of the steps that do that.
    """

    worth: float
    place: int
    again: tuple[int, ...]


class _Search:
    """Looks for the next order."""

    def __init__(
        self, taken: Sequence[Taken], costs: Sequence[float], wanted: Collection[Node]
    ) -> None:
        self._taken, self._costs, self._wanted = taken, costs, wanted
        self._makers = {node: n for n, one in enumerate(taken) for node in one.step.makes}

    def peak(self, order: Sequence[int]) -> int:
        """Bytes of all arrays that are there at once, at most."""
        return max(self._alive(order), default=0)

    def improved(self, order: list[int]) -> list[int] | None:
        """The same order, with one array less where most is there; ``None`` if all are needed."""
        steps = [self._taken[n] for n in order]
        gone = last_reads([one.step for one in steps], self._wanted)
        found = lives(steps, gone)
        sizes = alive(steps, found)
        most = max(sizes)
        moment = _Moment(sizes.index(most), _Held(steps, gone))
        drops = sorted(self._drops(found, moment), key=lambda drop: -drop.worth)
        for place, again in ((drop.place, drop.again) for drop in drops):
            changed = [*order[:place], *again, *order[place:]]
            if max(self._alive(changed)[place : place + len(again) + 1]) < most:
                return changed
        return None

    def _alive(self, order: Sequence[int]) -> list[int]:
        steps = [self._taken[n] for n in order]
        return alive(steps, lives(steps, last_reads([one.step for one in steps], self._wanted)))

    def _drops(self, found: Sequence[Life], moment: _Moment) -> Iterator[_Drop]:
        """What could be let go of at a moment."""
        for life in found:
            if not life.first < moment.place < life.last or moment.place in life.touched:
                continue
            later = next((n for n in life.touched if n > moment.place), None)
            if later is not None and life.made.size:
                before = max(n for n in life.touched if n < moment.place)
                again = self._again(life, moment, later)
                cost = sum(self._costs[n] for n in again)
                yield _Drop(life.made.size * (later - before) / cost, later, again)

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

    def __init__(self, steps: Sequence[Taken], gone: Sequence[Collection[Node]]) -> None:
        self._spans: dict[Node, list[tuple[int, int]]] = {}
        begun: dict[Node, int] = {}
        for n, (taken, over) in enumerate(zip(steps, gone, strict=True)):
            begun.update(dict.fromkeys(taken.step.makes, n))
            for node in over:
                if node in begun:
                    self._spans.setdefault(node, []).append((begun.pop(node), n))
        for node, start in begun.items():
            self._spans.setdefault(node, []).append((start, len(steps)))

    def at(self, node: Node, place: int) -> bool:
        """Whether a node is there when the step at a place begins."""
        return any(start < place <= end for start, end in self._spans.get(node, ()))


class _Moment(NamedTuple):
    """A step of an order, and which nodes are there when."""

    place: int
    held: _Held
