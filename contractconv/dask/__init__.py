"""What the contractions behind dask arrays take, known before any of them runs.

>>> import dask.array as da
>>> import contractconv as cc
>>> image = da.zeros((8, 512, 512, 16), chunks=(1, 256, 512, 16), dtype="float32")
>>> kernel = da.zeros((3, 3, 16, 16), dtype="float32")
>>> made = cc.contract("b (i+k-1) (j+l-1) c, k l c o -> b i j o", image, kernel)
>>> (plan,) = cc.dask.plan(made)
>>> plan.shape, plan.tasks
((1, 256, 512, 16), 32)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contractconv.errors import OperandError

try:
    import dask.array as _array
except ImportError as error:
    raise OperandError(f"dask is missing: pip install 'contractconv[dask]' ({error})") from error

from contractconv.execution.foreign.dask_blocks.memory import BlockPlan, plans_of

if TYPE_CHECKING:
    from dask.array import Array

__all__ = ["BlockPlan", "plan"]


def plan(*arrays: Array) -> tuple[BlockPlan, ...]:
    """How the contractions behind some dask arrays are carried out, and what that takes.

    Nothing is computed.

    Args:
        *arrays: dask arrays: results of contractions, of programs, or of whatever was done to them
            since, but not optimized or persisted.

    Returns:
        A plan for each contraction, those that come first in front; ``print`` one. Of a contraction
        of many operands each step is one. A plan says how many tasks there are, and how many bytes
        one of them takes: a worker with two threads takes twice as many.

    Raises:
        OperandError: something is not a dask array.
    """
    for array in arrays:
        if not isinstance(array, _array.Array):
            raise OperandError(f"a plan is that of dask arrays, not of {type(array).__name__}")
    return plans_of(*arrays)
