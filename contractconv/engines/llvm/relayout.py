"""Copies of whole arrays whose axes lie in memory in another order, by kernels in all threads."""

from __future__ import annotations

from math import prod

from contractconv.arrays.views import Array, put
from contractconv.cache_register import weighed
from contractconv.engines.llvm.packing import End, Strides, add_copy
from contractconv.engines.llvm.program import Calls, Place, Prepared, Program
from contractconv.machine.kept_bytes import weight
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
    # Cut along what lies farthest apart where it goes, if that is long enough.
    count = min(_PARTS, prod(shape) // _PART)
    axis = max(range(len(shape)), key=lambda n: (shape[n] >= count, abs(strides[1][n])))
    pieces = []
    for some in evenly(shape[axis], min(count, shape[axis])):
        calls, part = Calls(), tuple(len(some) if n == axis else s for n, s in enumerate(shape))
        start, target = (
            End(Place(region, some.start * lie[axis]), lie)
            for region, lie in zip(("source", "out"), strides, strict=True)
        )
        add_copy(calls, dtype, part, start, target, adding)
        pieces.append(calls)
    return Prepared(Program([pieces]))
