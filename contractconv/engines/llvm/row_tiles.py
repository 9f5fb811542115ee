"""Rows that are copied tile by tile: where the numbers of a tile would lie lines apart.

A tile multiplies one number of each of its rows at every step. If rows are neighbours in memory and
what is summed is not, as in the gradient of a weight, each step is in another line of the cache, of
which a tile uses a few bytes, and often in another page. A copy has them one after the other; it is
made of as much as stays in cache while all panels of vectors go through it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from contractconv.engines.llvm.kernels.native import number
from contractconv.engines.llvm.loop_nest import Nest, along
from contractconv.engines.llvm.partition import Span, spans
from contractconv.machine.placement import LINE
from contractconv.notation.problem import Problem
from contractconv.planning.cost import volume

# Panels that go through a copy, and numbers that are summed, from which on it pays.
_PANELS, _STEPS = 2, 64
# Steps of a copy, fewer if their panel of vectors had more bytes than the first level of cache; and
# the bytes of a copy, which stays in the second level.
_MOST_STEPS, _PANEL_BYTES, _COPY_BYTES = 256, 1 << 15, 1 << 18


def considered(
    nest: Nest, problem: Problem, steps: Sequence[Mapping[str, int]], dtype: str
) -> Nest:
    """The same nest, with rows copied tile by tile if that pays."""
    which, extents = 1 - nest.vectors, problem.extents
    there, kind = steps[which], number(dtype)
    if nest.tile.varies or not nest.rows or not nest.summed:
        return nest
    if any(access.plain is None for access in problem.operands[which]):
        return nest
    others = volume([n for n in problem.kept if n not in there], extents)
    panels = others // (nest.tile.vectors * kind.lanes)
    enough = panels >= _PANELS and volume(nest.summed, extents) >= _STEPS
    whole = extents[nest.rows[-1]] >= nest.tile.rows
    apart = abs(there[nest.summed[-1]]) >= LINE
    if not (enough and whole and apart) or along(nest, extents, there, kind.lanes) is not None:
        return nest
    return replace(nest, packed=True)


def chunks(part: Problem, nest: Nest, dtype: str) -> Iterator[dict[str, Span]]:
    """The values of what a block sums for which rows are copied at a time."""
    if not nest.packed:
        yield {}
        return
    kind, extents = number(dtype), part.extents
    copied = {name for access in part.operands[1 - nest.vectors] for name in access.names}
    rows = volume([n for n in part.kept if n in copied], extents)
    panel = nest.tile.vectors * kind.bytes
    most = min(_MOST_STEPS, _PANEL_BYTES // panel, max(_STEPS, _COPY_BYTES // (rows * kind.size)))
    summed = [name for name in nest.summed if name in copied]
    yield from spans(extents, summed, -(-volume(summed, extents) // most))
