"""Carrying out the pieces of a step, each in the first way that can."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from contractconv.arrays.workspace import Ready, Work
from contractconv.engines.llvm.llvm_lowerings import COMPILED
from contractconv.engines.numpy.numpy_lowerings import BY_NUMPY, EINSUM
from contractconv.planning.lowerings import prepared, register
from contractconv.planning.piece import Piece

# What is compiled comes before what is not, but plain products and sums are for numpy's own.
register([*EINSUM, *COMPILED, *BY_NUMPY])


def run_pieces(pieces: Iterable[Piece], work: Work, disjoint: bool = False) -> bool:
    """Carry out the pieces of a sum.

    Args:
        pieces: the pieces; a single one if there is an ending.
        work: their arrays.
        disjoint: whether no two pieces write the same element.

    Returns:
        Whether the ending is done.
    """
    plain = replace(work, ending=None)
    together: list[Ready] = []
    for piece in pieces:
        ready = None if work.ending is None else prepared(piece, work, ends=True)
        if ready is not None:
            ready.run([ready], work)
            return True
        ready = prepared(piece, plain)
        assert ready is not None, "numpy can carry out any piece"
        if together and not (disjoint and together[-1].goes_with(ready)):
            together[0].run(together, plain)
            together = []
        together.append(ready)
    if together:
        together[0].run(together, plain)
    return False
