"""An order in which a step that frees more memory than it takes comes as soon as it can."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from heapq import heappop, heappush

from contractconv.planning.programs.lives import Taken
from contractconv.programs.nodes import Node


def early_sinks(taken: Sequence[Taken], wanted: Collection[Node]) -> list[int]:
    """Put steps in order: those that leave less memory taken first, the others as they are.

    So a weight's gradient is made where its cotangent is, which nothing has to wait for then.

    Args:
        taken: the steps, in an order in which they can be carried out.
        wanted: the nodes that are results; they have to be there in the end anyway.
    """
    return _Ordering(taken, wanted).order()


class _Ordering:
    """The steps that are left, and what each of them would leave taken."""

    def __init__(self, taken: Sequence[Taken], wanted: Collection[Node]) -> None:
        self._taken, self._wanted = taken, set(wanted)
        self._readers: dict[Node, set[int]] = {}
        self._sizes: dict[Node, int] = {}
        self._viewed: dict[Node, Node] = {}
        self._views: dict[Node, list[Node]] = {}
        for n, one in enumerate(taken):
            for node in one.step.reads:
                self._readers.setdefault(node, set()).add(n)
            for node, made in zip(one.step.makes, one.made, strict=True):
                self._sizes[node] = made.size
                if made.viewed is not None:
                    self._viewed[node] = made.viewed
                    self._views.setdefault(made.viewed, []).append(node)
        self._waits = [{n for n in one.step.reads if n in self._sizes} for one in taken]
        # Of those that can be done all, and those that leave no more taken; some are done by now.
        self._ready = [n for n, before in enumerate(self._waits) if not before]
        self._sinks: list[tuple[int, int]] = []
        self._done: set[int] = set()

    def order(self) -> list[int]:
        """The numbers of the steps."""
        found: list[int] = []
        for n in self._ready:
            self._weigh(n)
        while len(found) < len(self._taken):
            n = heappop(self._sinks)[1] if self._sinks else heappop(self._ready)
            if n not in self._done:
                self._done.add(n)
                found.append(n)
                self._carry_out(n)
        return found

    def _carry_out(self, n: int) -> None:
        step = self._taken[n].step
        for node in step.makes:
            for m in self._readers.get(node, ()):
                self._waits[m].discard(node)
                if not self._waits[m]:
                    heappush(self._ready, m)
                    self._weigh(m)
        for node in dict.fromkeys(step.reads):
            self._readers[node].discard(n)
            if len(self._readers[node]) <= 1:
                for other in (node, *self._views.get(node, ())):
                    for m in self._readers.get(other, ()):
                        self._weigh(m)

    def _weigh(self, n: int) -> None:
        """Remember a step that can be done if it leaves no more taken, as it does from then on."""
        if not self._waits[n] and n not in self._done:
            growth = self._growth(n)
            if growth <= 0:
                heappush(self._sinks, (growth, n))

    def _growth(self, n: int) -> int:
        """Bytes that a step leaves taken beyond those that were."""
        step = self._taken[n].step
        made = sum(self._sizes[node] for node in step.makes if node not in self._wanted)
        return made - sum(self._freed(node, n) for node in dict.fromkeys(step.reads))

    def _freed(self, node: Node, n: int) -> int:
        """Bytes that are free when a step has read a node: those of what it is a view of, too."""
        total = 0
        while node in self._sizes and node not in self._wanted:
            if not self._readers.get(node, set()) <= {n}:
                break
            total += self._sizes[node]
            if node not in self._viewed:
                break
            node = self._viewed[node]
        return total
