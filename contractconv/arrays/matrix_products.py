"""Products of matrices, by numpy unless somebody says who else shall make the large ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local

import numpy as np

from contractconv.arrays.views import Array
from contractconv.machine import memory

# Writes a product to its last argument, or says that it does not.
Multiply = Callable[[Array, Array, Array], bool]
# Multiplications for which a BLAS takes one thread anyway.
_ALONE = 1 << 18


class _Here(local):
    """Who is asked before numpy in this thread."""

    multiply: Multiply | None = None


_here = _Here()


@contextmanager
def multiplied_by(multiply: Multiply) -> Iterator[None]:
    """Let somebody else multiply large matrices in this thread.

    Example:
        >>> with multiplied_by(lambda left, right, out: not out.fill(7)):
        ...     matrix_product(np.ones((1, 1 << 19)), np.ones((1 << 19, 1)))
        array([[7.]])
    """
    before, _here.multiply = _here.multiply, multiply
    try:
        yield
    finally:
        _here.multiply = before


def matrix_product(left: Array, right: Array, out: Array | None = None) -> Array:
    """What ``np.matmul`` makes of matrices or stacks of them, without gaps.

    Args:
        left: of shape ``(..., rows, depth)``.
        right: of shape ``(..., depth, columns)``, of the same dtype; what lies before is broadcast.
        out: where the result is written, of shape ``(..., rows, columns)``.

    Example:
        >>> matrix_product(np.ones((2, 3)), np.ones((3, 1)))
        array([[3.],
               [3.]])
    """
    multiply = _here.multiply
    if multiply is None:
        # Left to itself, numpy lays a stack out as its operands lie.
        return np.matmul(left, right, out=out, order="C")
    target = memory.empty(_shape(left, right), left.dtype) if out is None else out
    if target.size * left.shape[-1] > _ALONE and multiply(left, right, target):
        return target
    return np.matmul(left, right, out=target)


def _shape(left: Array, right: Array) -> tuple[int, ...]:
    lead = left.shape[:-2]
    if lead != right.shape[:-2]:
        lead = np.broadcast_shapes(lead, right.shape[:-2])
    return (*lead, left.shape[-2], right.shape[-1])
