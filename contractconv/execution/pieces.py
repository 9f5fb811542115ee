"""Carrying out the pieces of a step, each in the first way that can."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from contractconv.arrays.workspace import Ready, Work
from contractconv.engines.llvm.llvm_lowerings import COMPILED
from contractconv.engines.numpy.numpy_lowerings import BY_NUMPY, EINSUM
from contractconv.planning.lowerings import prepared, register
from contractconv.planning.piece import Piece
from contractconv.planning.workspace import Workspace, in_turn

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
    if work.ending is not None:
        (piece,) = pieces
        ready = prepared(piece, work, ends=True)
        if ready is not None:
            ready.run([ready], work)
            return True
        pieces = [piece]
    for together in _together(pieces, plain, disjoint):
        together[0].run(together, plain)
    return False


def workspace_of(pieces: Iterable[Piece], work: Work, disjoint: bool) -> Workspace:
    """What :func:`run_pieces` takes beside operands and result, where nothing is ended."""
    groups = _together(pieces, work, disjoint)
    return in_turn([group[0].workspace(group, work) for group in groups])


def _together(pieces: Iterable[Piece], work: Work, disjoint: bool) -> Iterator[list[Ready]]:
    """Pieces made ready, those together that can run as one."""
    group: list[Ready] = []
    for piece in pieces:
        ready = prepared(piece, work)
        assert ready is not None, "numpy can carry out any piece"
        if group and not (disjoint and group[-1].goes_with(ready)):
            yield group
            group = []
        group.append(ready)
    if group:
        yield group
