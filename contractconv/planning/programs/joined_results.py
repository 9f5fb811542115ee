"""Results of little work, which are made together.

To begin a step takes longer than to update a bias. Nothing waits for a result that nobody reads, so
all of these can be made at once, when everything that they are made of is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from contractconv.planning.programs.outer_sums import OuterSum
from contractconv.planning.programs.steps import MapStep, Step, in_turn
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Node

# Elements up to which it matters what it takes to begin, and what they are made of may wait.
_MOST = 1 << 15


@dataclass(frozen=True)
class JoinedResults(Step):
    """Groups of maps none of which reads another one.

    Attributes:
        parts: the groups.
    """

    parts: tuple[MapStep, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All maps."""
        return tuple(node for part in self.parts for node in part.group.nodes)

    @property
    def sums(self) -> tuple[OuterSum, ...]:
        """None, for sums are worth a step."""
        return ()


def joined_results(program: Typed, steps: Sequence[Step]) -> list[Step]:
    """Join the steps that make nothing but small results."""
    read = {node for step in steps for node in step.reads}
    small = [step for step in steps if _is_small(step, program) and read.isdisjoint(step.makes)]
    parts = [step for step in small if isinstance(step, MapStep)]
    if len(parts) < 2:
        return list(steps)
    makes = tuple(node for part in parts for node in part.makes)
    reads = tuple(dict.fromkeys(node for part in parts for node in part.reads))
    within = set(parts)
    found = [JoinedResults(makes, reads, tuple(parts)), *(s for s in steps if s not in within)]
    return in_turn(found, {node: n for n, node in enumerate(program.graph.nodes)})


def _is_small(step: Step, program: Typed) -> bool:
    if not isinstance(step, MapStep) or step.group.sums:
        return False
    return all(prod(program.shapes[node]) <= _MOST for node in (*step.makes, *step.reads))
