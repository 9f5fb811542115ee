"""Copying between strided views of one shape, by compiled kernels where that is faster."""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from contractconv.execution.sequence import offsets
from contractconv.execution.views import Array
from contractconv.kernels import copies, native
from contractconv.kernels.number import DTYPES

_KINDS = {np.dtype(name): name for name in DTYPES}
# Below this numpy is as fast.
_FEW = 1 << 10
# Tables of offsets are remembered; a larger one would be a burden.
_MOST_ENTRIES = 1 << 16

Strides = tuple[int, ...]


def copy(source: Array, target: Array) -> None:
    """Copy a view into another one of the same shape and dtype."""
    kind = _KINDS.get(target.dtype)
    if kind is None or source.size < _FEW or source.dtype != target.dtype:
        np.copyto(target, source)
        return
    ready = _prepared(source.shape, source.strides, target.strides, kind)
    if ready is None or not native.available():
        np.copyto(target, source)
        return
    turned, table, _ = ready
    function = copies.squares(kind) if turned else copies.runs(kind)
    table = table.copy()
    table[copies.SOURCE], table[copies.TARGET] = source.ctypes.data, target.ctypes.data
    function(table.ctypes.data)


@lru_cache(maxsize=1024)
def _prepared(
    shape: tuple[int, ...], source: Strides, target: Strides, kind: str
) -> tuple[bool, Array, list[Array]] | None:
    """Whether squares are turned, the arguments of the kernel, and the tables they refer to."""
    size = 4 if kind == "float32" else 8
    axes = [n for n, extent in enumerate(shape) if extent > 1]
    along_target = next((n for n in axes if target[n] == size), None)
    neighbours = [n for n in axes if source[n] == size]
    along_source = along_target if along_target in neighbours else next(iter(neighbours), None)
    if along_target is None or along_source is None:
        return None
    rest = [n for n in axes if n not in (along_target, along_source)]
    if prod(shape[n] for n in rest) > _MOST_ENTRIES:
        return None
    # As they lie in the source: what is far apart changes slowest.
    rest.sort(key=lambda n: -abs(source[n]))
    tables = [offsets(*((shape[n], steps[n]) for n in rest)) for steps in (source, target)]
    table = np.zeros(copies.ARGUMENTS, np.int64)
    table[copies.OUTER] = len(tables[0])
    table[copies.OUTER_SOURCE], table[copies.OUTER_TARGET] = (t.ctypes.data for t in tables)
    table[copies.ALONG_TARGET], table[copies.SOURCE_STEP] = (
        shape[along_target],
        source[along_target],
    )
    table[copies.ALONG_SOURCE], table[copies.TARGET_STEP] = (
        shape[along_source],
        target[along_source],
    )
    return along_target != along_source, table, tables
