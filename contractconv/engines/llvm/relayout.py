"""Copies of whole arrays whose axes lie in memory in another order, by kernels in all threads."""

from __future__ import annotations

from math import prod

import numpy as np

from contractconv.arrays.views import Array, put
from contractconv.cache_register import weighed
from contractconv.engines.llvm.packing import End, Strides, Views, add_copy
from contractconv.engines.llvm.program import Calls, Place, Prepared, Program
from contractconv.machine.kept_bytes import weight
from contractconv.machine.placement import LINE
from contractconv.machine.threads import get_num_threads
from contractconv.machine.work_sharing import evenly

# Numbers of the smallest part of a copy, and parts at most: who comes late finds something to do.
_PART, _PARTS = 1 << 13, 16


def relay(source: Array, target: Array, adding: bool = False) -> None:
    """Write the numbers of an array, or add them, to another one of the same shape and dtype."""
    if source.size < _PART:
        put(source, target, adding)
        return
    strides, dtype = (source.strides, target.strides), target.dtype.name
    known = _prepared(source.shape, strides, dtype, adding, get_num_threads())
    known.run({"source": source}, target)


@weighed(weight)
def _prepared(
    shape: tuple[int, ...],
    strides: tuple[Strides, Strides],
    dtype: str,
    adding: bool,
    threads: int,
) -> Prepared:
    source, target = (
        End(Place(region), lie) for region, lie in zip(("source", "out"), strides, strict=True)
    )
    return Prepared(Program([pieces(dtype, shape, source, target, adding, threads)]))


def pieces(
    dtype: str, shape: tuple[int, ...], source: End, target: End, adding: bool, threads: int
) -> list[Calls]:
    """Copying a view, in pieces that threads share; adding it to what is there, if that is asked.

    They are whole squares, along what lies farthest apart where it goes if that is long enough.
    """
    views = Views(shape, source.strides, target.strides).joined()
    units = [_unit(lie, dtype) for lie in zip(*views[1:], strict=True)]
    lengths = [-(-size // unit) for size, unit in zip(views.shape, units, strict=True)]
    count = max(1, min(_PARTS, prod(shape) // _PART))
    enough = min(count, 2 * threads)
    axis = max(
        range(len(lengths)), key=lambda n: (min(lengths[n], enough), abs(views.target[n])),
        default=None,
    )  # fmt: skip
    found = []
    for some in evenly(1 if axis is None else lengths[axis], count):
        part, starts = list(views.shape), [source.place, target.place]
        if axis is not None:
            first, last = (min(n * units[axis], part[axis]) for n in (some.start, some.stop))
            part[axis] = last - first
            starts = [
                Place(place.region, place.offset + first * lie[axis])
                for place, lie in zip(starts, views[1:], strict=True)
            ]
        calls = Calls()
        begin, end = (End(place, lie) for place, lie in zip(starts, views[1:], strict=True))
        add_copy(calls, dtype, tuple(part), begin, end, adding)
        found.append(calls)
    return found


def _unit(steps: Strides, dtype: str) -> int:
    """Values of an axis that are copied together: a line, if they are neighbours on either side."""
    size = np.dtype(dtype).itemsize
    return LINE // size if size in map(abs, steps) else 1
