"""What is ready for arrays that lie in memory in a certain way, and where it is kept."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from contractconv.arrays.epilogue import Ending
from contractconv.arrays.views import Array
from contractconv.cache_register import Shelf
from contractconv.engines.llvm.kernels import native
from contractconv.execution.launches import Kernels
from contractconv.machine.threads import get_num_threads
from contractconv.planning.workspace import Workspace

# What is ready for a string and arrays of some layout, where nothing else is given.
_calls = Shelf()


class Carry(Protocol):
    """Carries out a contraction, or one step of it, of arrays that lie like those it is for."""

    def __call__(self, given: Sequence[Any], ending: Ending | None = None, /) -> Array:
        """Make a new array and end it, if there is something to be done to it."""


class Ready(NamedTuple):
    """What carries out a contraction, or a step, with nothing left to be decided.

    Attributes:
        carry: it itself; an ending is of the kind that it was made for.
        size: bytes of the tables that it holds.
        compiled: whether kernels take part.
        workspace: the memory that it takes beside operands and result.
        lent: whether the memory of the result is lent, if it is large.
        kernels: the kernels that do all of it, if it is nothing else, and short.
    """

    carry: Carry
    size: int = 0
    compiled: bool = False
    workspace: Workspace = Workspace()
    lent: bool = True
    kernels: Kernels | None = None

    def instead(self, carry: Carry, kernels: Kernels | None = None, **others: Any) -> Ready:
        """The same, carried out in another way, with what else differs."""
        return self._replace(carry=carry, kernels=kernels, **others)


def key_of(operands: Sequence[Any], ending: Ending | None = None) -> tuple[Hashable, ...] | None:
    """What decides how operands are contracted, beside the plan; ``None`` if some are no arrays.

    Example:
        >>> key_of([np.ones((2, 3))])[1:]
        ((2, 3), (24, 8), dtype('float64'))
        >>> key_of([np.ones(2), 2.0])
    """
    found: list[Hashable] = [get_num_threads()]
    for operand in operands:
        if type(operand) is not np.ndarray:
            return None
        found += operand.shape, operand.strides, operand.dtype
    if ending is not None:
        found += ending.bias is None, ending.activation
    return tuple(found)


def known_call(spec: Hashable, operands: Sequence[Any]) -> Carry | None:
    """What carries out a call that came before, with arrays that lay like these."""
    found: Ready | None = _calls.get((spec, key_of(operands)))
    if found is None or (found.compiled and not native.available()):
        return None
    return found.carry


def remember_call(spec: Hashable, operands: Sequence[Any], ready: Ready) -> None:
    """Keep what carries out a call, for which :func:`known_call` is asked then."""
    key = key_of(operands)
    if key is not None:
        _calls.put((spec, key), ready, ready.size)
