"""What tasks do: values that any worker can unpack and call, and what that takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Any, Protocol, TypeVar

import numpy as np

from contractconv.arrays.precision import common_dtype, rounded
from contractconv.arrays.views import Array, unread
from contractconv.engines.llvm.kernels.native import UnfitError
from contractconv.execution import entry
from contractconv.execution.local_weights import (
    as_divisor,
    change_bytes,
    derivative_weights,
    divide,
    landing_points,
    weights_bytes,
)
from contractconv.execution.run import made_ready, planned
from contractconv.machine import blas
from contractconv.notation.problem import Problem, Shape, shape_of
from contractconv.planning.options import Options
from contractconv.planning.setting import Algorithm
from contractconv.reductions.numbers import ufunc
from contractconv.reductions.table import REDUCTIONS
from contractconv.uninterrupted import undisturbed

Made = TypeVar("Made")


class Task(Protocol):
    """Makes a block of pieces of operands."""

    def __call__(self, *pieces: Any) -> Array:
        """Put the pieces of each operand together, and make the block."""

    @property
    def shape(self) -> Shape:
        """The shape of the block."""

    @property
    def made(self) -> int:
        """Bytes of the block, once more if it is rounded in the end."""

    def beside(self, dtypes: Sequence[str]) -> int:
        """Bytes that it takes beside operands of these dtypes and what it makes."""


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
    """Makes a block of a contraction, or a part of one.

    Attributes:
        problem: the contraction of the pieces.
        numbers: the dtype of its sums.
        algorithm: by which algorithm.
        memory_limit: within which limit.
        finish: what is done then.
    """

    problem: Problem
    numbers: str
    algorithm: Algorithm
    memory_limit: int | None
    finish: Finish | None

    def __call__(self, *pieces: Any) -> Array:
        """Put the pieces of each operand together, and contract them."""
        return alone(lambda: self._made([assembled(piece) for piece in pieces]))

    def _made(self, operands: Sequence[Array]) -> Array:
        options = Options(
            algorithm=self.algorithm, memory_limit=self.memory_limit, dtype=self.numbers
        )
        made = entry.called(self.problem, operands, options, ())
        return made if self.finish is None else self.finish(made)

    @property
    def shape(self) -> Shape:
        """The shape of the block."""
        return self.problem.output_sizes

    @property
    def made(self) -> int:
        """Bytes of the block, once more if it is rounded in the end."""
        rounds = self.finish is not None and self.finish.dtype != self.numbers
        last = np.dtype(self.finish.dtype).itemsize if self.finish and rounds else 0
        return prod(self.shape) * (np.dtype(self.numbers).itemsize + last)

    def beside(self, dtypes: Sequence[str]) -> int:
        """Bytes that it takes beside operands of these dtypes and what it makes."""
        if self.memory_limit is not None:
            return self.memory_limit
        numbers = np.dtype(self.numbers)
        shapes = [shape_of(term) for term in self.problem.operands]
        copies = (prod(s) for s, kind in zip(shapes, dtypes, strict=True) if kind != self.numbers)
        return sum(copies) * numbers.itemsize + self._workspace(shapes, numbers)

    def _workspace(self, shapes: Sequence[Shape], numbers: np.dtype[Any]) -> int:
        if not self.problem.points or any(0 in shape for shape in shapes):
            return 0
        arrays = [unread(shape, None, numbers) for shape in shapes]
        dtype = common_dtype(arrays, self.problem.reduce)
        plan = planned(self.problem, dtype.name, Options(algorithm=self.algorithm))
        try:
            return made_ready(plan, arrays).workspace.most
        except UnfitError:  # by now no kernel is available
            return made_ready(plan, arrays).workspace.most
        except MemoryError:  # arrays that this machine cannot even lay out are far larger
            return 0


@dataclass(frozen=True, slots=True)
class Derived:
    """Makes a block of the local derivative of a reduction, a value for each point.

    Attributes:
        problem: the reduction of the pieces.
        numbers: the dtype of the derivative.
        moves: whether pieces of operands are followed by those of a direction, along which it is
            wanted how the derivative changes.
    """

    problem: Problem
    numbers: str
    moves: bool

    def __call__(self, *pieces: Any) -> Array:
        """Put the pieces of each operand together, and derive."""
        return alone(lambda: self._made([assembled(piece) for piece in pieces]))

    def _made(self, arrays: Sequence[Array]) -> Array:
        count = len(self.problem.operands)
        moved = arrays[count:] if self.moves else None
        made = derivative_weights(self.problem, arrays[:count], moved)
        return made.astype(self.numbers, copy=False)

    @property
    def shape(self) -> Shape:
        """The shape of the block."""
        return tuple(size for _, size in self.problem.sizes)

    @property
    def made(self) -> int:
        """Bytes of the block."""
        return prod(self.shape) * np.dtype(self.numbers).itemsize

    def beside(self, dtypes: Sequence[str]) -> int:
        """Bytes that it takes beside operands and what it makes."""
        return change_bytes(self.problem) if self.moves else weights_bytes(self.problem)


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


@dataclass(frozen=True, slots=True)
class Edges:
    """Copies what other blocks need of one, all at once, so that it need not be kept for that.

    Attributes:
        places: from where to where along each axis.
    """

    places: tuple[tuple[tuple[int, int], ...], ...]

    def __call__(self, block: Array) -> list[Array]:
        """Copy the pieces."""
        return [block[tuple(slice(*at) for at in place)].copy() for place in self.places]


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
