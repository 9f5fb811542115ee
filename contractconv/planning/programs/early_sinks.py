"""An order in which a step that frees more memory than it takes comes as soon as it can."""

from __future__ import annotations

from collections.abc import Collection, Sequence

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
    def __init__(self, taken: Sequence[Taken], wanted: Collection[Node]) -> None:
        self._taken, self._wanted = taken, set(wanted)
        self._readers: dict[Node, set[int]] = {}
        self._sizes: dict[Node, int] = {}
        self._viewed: dict[Node, Node] = {}
        for n, one in enumerate(taken):
            for node in one.step.reads:
                self._readers.setdefault(node, set()).add(n)
            for node, made in zip(one.step.makes, one.made, strict=True):
                self._sizes[node] = made.size
                if made.viewed is not None:
                    self._viewed[node] = made.viewed

    def order(self) -> list[int]:
        """The numbers of the steps."""
        waits = [{n for n in one.step.reads if n in self._sizes} for one in self._taken]
        ready = {n for n, before in enumerate(waits) if not before}
        found: list[int] = []
        while ready:
            n = min(ready, key=lambda n: (min(self._growth(n), 1), n))
            ready.remove(n)
            found.append(n)
            step = self._taken[n].step
            for node in step.reads:
                self._readers[node].discard(n)
            for node in step.makes:
                for m in self._readers.get(node, ()):
                    waits[m].discard(node)
                    if not waits[m]:
                        ready.add(m)
        return found

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
