"""Parts of arrays: those that are read where they lie, and those that are put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.views import Array
from contractconv.engines.numpy.einsum.step_arithmetic import copied
from contractconv.machine import memory
from contractconv.notation.problem import Problem, Shape, shape_of
from contractconv.planning.programs.boxes import Box, volume

Work = Callable[[Sequence[Any]], Sequence[Any]]


def taken(problem: Problem, part: Box) -> Work:
    """What takes a part of an array.

    Args:
        problem: the contraction that it is.
        part: what :func:`contractconv.planning.programs.boxes.slice_of` says of that.
    """
    whole, key, shape = shape_of(problem.operands[0]), _key(part), problem.result_shape
    return lambda given: [given[0].reshape(whole)[key].reshape(shape)]


def placed(parts: Sequence[tuple[int, Box]], shape: Shape, dtype: str) -> Work:
    """What puts arrays beside each other.

    Args:
        parts: which array stands where, none where another one does.
        shape: that of the whole, in which zeros are where nothing stands.
        dtype: of all of them.
    """
    full = sum(volume(box) for _, box in parts) == prod(shape)
    make, kind = (memory.empty if full else memory.zeros), np.dtype(dtype)
    places = [(number, _key(box), tuple(map(len, box))) for number, box in parts]

    def work(given: Sequence[Any]) -> Sequence[Any]:
        out: Array = make(shape, kind)
        for number, key, size in places:
            copied(out[key], given[number].reshape(size))
        return [out]

    return work


def _key(box: Box) -> tuple[slice, ...]:
    return tuple(slice(one.start, one.stop, one.step) for one in box)
