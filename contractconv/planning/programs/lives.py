"""When arrays of a program are there: from the step that makes them to the last that reads them.

A step may come more than once: then what it makes is made again, and is not there in between.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from contractconv.planning.programs.steps import Step
from contractconv.planning.workspace import Workspace
from contractconv.programs.nodes import Node


class Made(NamedTuple):
    """An array that a step makes.

    Attributes:
        size: bytes.
        asked: bytes that are asked for to lay it out; none if a library makes it.
        viewed: the node whose array it is a view of.
    """

    size: int
    asked: int = 0
    viewed: Node | None = None


class Taken(NamedTuple):
    """A step, and the memory that it takes.

    Attributes:
        step: the step.
        made: the arrays that it makes, in order.
        workspace: what it takes beside them.
    """

    step: Step
    made: tuple[Made, ...]
    workspace: Workspace = Workspace()


@dataclass
class Life:
    """An array that is made, and when it is there.

    Attributes:
        made: the array.
        first: the number of the step that makes it.
        last: the last one that needs it.
        touched: the numbers of the steps that make or read it, or a view of it.
        nodes: what it is, or was a view of it.
        returned: whether it is a result, or a result is a view of it.
    """

    made: Made
    first: int
    last: int
    touched: list[int]
    nodes: list[Node]
    returned: bool = False


def last_reads(order: Sequence[Step], wanted: Collection[Node]) -> list[list[Node]]:
    """For each step the nodes that nobody reads behind it before they are made again."""
    found: list[list[Node]] = []
    needed = set(wanted)
    for step in reversed(order):
        touched = dict.fromkeys((*step.reads, *step.makes))
        found.append([node for node in touched if node not in needed])
        needed.difference_update(step.makes)
        needed.update(step.reads)
    return found[::-1]


def lives(order: Sequence[Taken], gone: Sequence[Collection[Node]]) -> list[Life]:
    """All arrays of a program, in the order in which they are made.

    Args:
        order: the steps as they come.
        gone: for each of them the nodes that are not there any more behind it.
    """
    found: list[Life] = []
    held: dict[Node, Life] = {}
    for n, (taken, over) in enumerate(zip(order, gone, strict=True)):
        for node in taken.step.reads:
            if node in held:
                held[node].touched.append(n)
        for node, made in zip(taken.step.makes, taken.made, strict=True):
            if made.viewed is None:
                held[node] = Life(made, n, n, [n], [node])
                found.append(held[node])
            elif made.viewed in held:  # otherwise it is a view of an input
                held[node] = held[made.viewed]
                held[node].nodes.append(node)
        for node in over:
            if node in held:
                held.pop(node).last = n
    for life in held.values():
        life.last, life.returned = len(order) - 1, True
    return found


def alive(order: Sequence[Taken], found: Sequence[Life]) -> list[int]:
    """Bytes of all arrays that are there during each step, and of what it takes beside them."""
    change = [0] * (len(order) + 1)
    for life in found:
        change[life.first] += life.made.size
        change[life.last + 1] -= life.made.size
    sizes, total = [], 0
    for n, taken in enumerate(order):
        total += change[n]
        sizes.append(total + taken.workspace.most)
    return sizes
