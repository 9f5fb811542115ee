"""What the tasks of a contraction take, known before any of them runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
from dask import config
from dask.array import Array
from dask.system import CPU_COUNT

from contractconv.arrays.precision import common_dtype
from contractconv.arrays.views import unread
from contractconv.errors import MemoryLimitError
from contractconv.execution.foreign.dask_blocks.layer import BlockLayer, Work
from contractconv.execution.run import made_ready, planned
from contractconv.notation.problem import Problem, shape_of
from contractconv.planning.options import Options
from contractconv.planning.programs.report import in_bytes

# What is far less than there is needs no plan: so many times the arrays are not taken beside them.
_BESIDE = 32


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """How a contraction of dask arrays is carried out, and what that takes.

    Attributes:
        contraction: the contraction, or the step of one.
        tasks: how many tasks there are, those that read pieces of blocks among them.
        shape: of the largest block that a task makes.
        peak: bytes that a task takes at once, at most: the blocks and pieces that it is given,
            operands put together of them, what kernels need beside them, and what it makes.
    """

    contraction: str
    tasks: int
    shape: tuple[int, ...]
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
    shape = max((w.contracted.problem.output_sizes for w in layer.works), key=prod, default=())
    peak = max([layer.combined, *map(_peak, layer.works)])
    return BlockPlan(layer.contraction, len(layer), shape, peak)


def _peak(work: Work) -> int:
    """Bytes that a task takes at once."""
    return sum(work.load) + _made(work) + _beside(work)


def _made(work: Work) -> int:
    """Bytes of what a task makes, once more if it is rounded in the end."""
    problem, finish = work.contracted.problem, work.contracted.finish
    numbers = _numbers(work)
    rounded = 0 if finish is None or finish.dtype == numbers else np.dtype(finish.dtype).itemsize
    return prod(problem.output_sizes) * (numbers.itemsize + rounded)


def _numbers(work: Work) -> np.dtype[Any]:
    numbers: np.dtype[Any] = np.dtype(work.contracted.options.dtype)
    return numbers


def _beside(work: Work) -> int:
    """Bytes that a contraction takes beside its operands and its result."""
    problem, options = work.contracted.problem, work.contracted.options
    numbers, shapes = _numbers(work), [shape_of(term) for term in problem.operands]
    copies = sum(
        prod(shape) * numbers.itemsize
        for shape, dtype in zip(shapes, work.dtypes, strict=True)
        if dtype != numbers
    )
    if options.memory_limit is not None:
        return int(options.memory_limit)
    return copies + _workspace(problem, numbers, options)


def _workspace(problem: Problem, numbers: np.dtype[Any], options: Options) -> int:
    if not problem.points or any(0 in shape_of(term) for term in problem.operands):
        return 0
    arrays = [unread(shape_of(term), None, numbers) for term in problem.operands]
    dtype = common_dtype(arrays, problem.reduce)
    plan = planned(problem, dtype.name, Options(algorithm=options.algorithm))
    return made_ready(plan, arrays).workspace.most


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


def refuse(layer: BlockLayer) -> None:
    """Refuse a contraction whose tasks need more memory than there is.

    Raises:
        MemoryLimitError: they do.
    """
    least = max([layer.combined, *(sum(w.load) + _made(w) for w in layer.works)])
    plan = None
    for room in rooms():
        at_once = min(room.threads, max(1, len(layer)))
        if least * at_once * _BESIDE <= room.memory:
            continue
        plan = plan or plan_of(layer)
        if plan.peak * at_once > room.memory:
            raise MemoryLimitError(_refusal(plan, room, at_once))


def _refusal(plan: BlockPlan, room: Room, at_once: int) -> str:
    tasks = "a task of" if at_once == 1 else f"{at_once} tasks at once of"
    return (
        f"{tasks} '{plan.contraction}' would take {plan.peak * at_once:,} bytes, and {room.name} "
        f"has {room.memory:,}: the largest makes a block of shape {plan.shape}; rechunk the "
        f"operands to smaller blocks, or give memory_limit="
    )


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
