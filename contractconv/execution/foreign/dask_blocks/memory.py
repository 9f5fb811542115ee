"""What the tasks of a contraction take, known before any of them runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nlargest
from math import prod
from typing import Any, NamedTuple

from dask import config
from dask.array import Array
from dask.system import CPU_COUNT

from contractconv.errors import MemoryLimitError
from contractconv.execution.foreign.dask_blocks.layer import BlockLayer, Work
from contractconv.planning.programs.report import in_bytes

# What is far less than there is needs no plan: so many times the arrays are not taken beside them.
_BESIDE = 32
# Bytes of which no worker has too few.
_FEW = 1 << 20
# Blocks of uneven sizes are of many kinds: what kernels need is asked of so many of the largest.
_COMPARED = 8


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """How a contraction of dask arrays is carried out, and what that takes.

    Attributes:
        contraction: the contraction, or the step of one.
        tasks: how many tasks there are, those that copy edges of blocks among them.
        shape: of the largest block that a task makes.
        least: bytes that a task takes at once, at most: the blocks and pieces that it is given,
            operands put together of them, what kernels need beside them, and what it makes.
        peak: the same with the blocks next to those, of which it is given the edges: they are kept
            until their own tasks have run.
    """

    contraction: str
    tasks: int
    shape: tuple[int, ...]
    least: int
    peak: int

    def __str__(self) -> str:
        return f"{self.contraction}: {self.tasks} tasks, each of {in_bytes(self.peak)} at most"


def plans_of(*arrays: Array) -> tuple[BlockPlan, ...]:
    """The plans of all contractions on which some arrays depend, those that come first in front."""
    layers: dict[str, Any] = {}
    for array in arrays:
        graph = array.__dask_graph__()
        layers |= {name: graph.layers[name] for name in graph._toposort_layers()}
    return tuple(plan_of(layer) for layer in layers.values() if isinstance(layer, BlockLayer))


def plan_of(layer: BlockLayer) -> BlockPlan:
    """The plan of one contraction."""
    works = nlargest(_COMPARED, layer.works, key=lambda work: work.load.all + work.task.made)
    own = [_least(work) for work in works]
    kept = [least + work.load.near for least, work in zip(own, works, strict=True)]
    least, peak = max([layer.combined, *own]), max([layer.combined, *kept])
    return BlockPlan(layer.contraction, len(layer), _largest(layer), least, peak)


def _least(work: Work) -> int:
    """Bytes that a task takes at once, whatever else is kept."""
    return work.load.own + work.task.made + work.task.beside(work.dtypes)


# --- what there is ---------------------------------------------------------------------------


class Room(NamedTuple):
    """What runs tasks.

    Attributes:
        name: what messages call it.
        memory: bytes that it has.
        threads: how many tasks it runs at once.
    """

    name: str
    memory: int
    threads: int

    def tasks_of(self, layer: BlockLayer) -> int:
        """How many of a contraction's tasks it runs at once."""
        return min(self.threads, max(1, len(layer)))


def refuse(layer: BlockLayer) -> None:
    """Refuse a contraction whose tasks need more memory than there is.

    Raises:
        MemoryLimitError: they do.
    """
    least = max([layer.combined, *(work.load.own + work.task.made for work in layer.works)])
    if least < _FEW:
        return
    room = min(rooms(), key=lambda room: room.memory / room.tasks_of(layer), default=None)
    if room is None or least * room.tasks_of(layer) * _BESIDE <= room.memory:
        return
    # What is too much by itself needs no plan, either, which could not even be made of it.
    taken = least if least * room.tasks_of(layer) > room.memory else plan_of(layer).least
    if taken * room.tasks_of(layer) > room.memory:
        raise MemoryLimitError(_refusal(layer, taken, room))


def _refusal(layer: BlockLayer, taken: int, room: Room) -> str:
    at_once = room.tasks_of(layer)
    tasks = "a task of" if at_once == 1 else f"{at_once} tasks at once of"
    return (
        f"{tasks} '{layer.contraction}' would take {taken * at_once:,} bytes, and {room.name} has "
        f"{room.memory:,}: the largest block has the shape {_largest(layer)}; rechunk the operands "
        f"to smaller blocks, or give memory_limit="
    )


def _largest(layer: BlockLayer) -> tuple[int, ...]:
    """The shape of the largest block that a task makes."""
    return max((work.task.shape for work in layer.works), key=prod, default=())


def rooms() -> Iterator[Room]:
    """What would run tasks now: the workers of a cluster, or else the threads of this process."""
    workers = _workers()
    if workers is None:
        threads = config.get("num_workers", None) or CPU_COUNT
        yield Room("this machine", _memory(), threads)
        return
    for name, worker in workers.items():
        if worker["memory_limit"]:
            yield Room(f"worker {name}", worker["memory_limit"], worker["nthreads"])


def _workers() -> dict[str, Any] | None:
    """The workers of the current client of a cluster, if there is one."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        client = distributed.Client.current()
    except ValueError:
        return None
    found: dict[str, Any] = client.scheduler_info()["workers"]
    return found


def _memory() -> int:
    """Bytes of memory that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
