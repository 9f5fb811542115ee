"""What tasks do: values that any worker can unpack and call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

import numpy as np

from contractconv.arrays.precision import rounded
from contractconv.arrays.views import Array
from contractconv.execution import entry
from contractconv.execution.local_weights import as_divisor, divide, landing_points
from contractconv.machine import blas
from contractconv.notation.problem import Problem
from contractconv.planning.options import Options
from contractconv.reductions.numbers import ufunc
from contractconv.reductions.table import REDUCTIONS
from contractconv.uninterrupted import undisturbed

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Finish:
    """What is done to a block of a result, once all its parts are together.

    Attributes:
        dtype: the name of its numbers.
        counted: for a mean the contraction whose points are counted.
    """

    dtype: str
    counted: Problem | None = None

    def __call__(self, total: Array) -> Array:
        """Divide what is a mean, and round."""
        if self.counted is not None:
            divide(total, as_divisor(landing_points(self.counted), total.dtype))
        return rounded(total, np.dtype(self.dtype))


@dataclass(frozen=True, slots=True)
class Contracted:
    """Makes a block, or a part of one, of pieces of the operands.

    Attributes:
        problem: the contraction of the pieces.
        finish: what is done then.
        options: by which algorithm, in which numbers, and within which limit.
    """

    problem: Problem
    finish: Finish | None
    options: Options

    def __call__(self, *pieces: Any) -> Array:
        """Put the pieces of each operand together, and contract them."""
        return alone(lambda: self._made([assembled(piece) for piece in pieces]))

    def _made(self, operands: Sequence[Array]) -> Array:
        made = entry.called(self.problem, operands, self.options, ())
        return made if self.finish is None else self.finish(made)


@dataclass(frozen=True, slots=True)
class Combined:
    """Makes one part of several, of the name of a reduction.

    Attributes:
        reduce: how they combine.
        finish: what is done then, if these are all of them.
    """

    reduce: str
    finish: Finish | None = None

    def __call__(self, parts: Sequence[Array]) -> Array:
        """Combine the parts in order."""
        merge = ufunc(REDUCTIONS[self.reduce])
        first, second, *others = parts
        with np.errstate(over="ignore", invalid="ignore"):
            made = np.asarray(merge(first, second))
            made = reduce(lambda total, part: merge(total, part, out=total), others, made)
        return made if self.finish is None else self.finish(made)


def assembled(pieces: Any) -> Array:
    """An array of its pieces, nested lists as :func:`numpy.block` takes them."""
    only = pieces
    while isinstance(only, list) and len(only) == 1:
        (only,) = only
    return np.block(pieces) if isinstance(only, list) else np.asarray(only)


def alone(work: Callable[[], Made]) -> Made:
    """Do some work on one processor, where others work beside this thread.

    A pool of threads has one for each processor, and so have kernels: they would be in each
    other's way.
    """
    if threading.current_thread() is threading.main_thread():
        return work()
    return undisturbed(lambda: _single(work))


def _single(work: Callable[[], Made]) -> Made:
    with blas.single():
        return work()
