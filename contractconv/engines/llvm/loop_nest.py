"""Which index runs along the lanes of a vector: how a sum of products becomes a loop nest.

Of two operands one gives *vectors*: neighbouring numbers along one index of the result, the lane.
The other gives *scalars*, one for each row of a tile of sums; or vectors as well, if it has the
lane too (then the product is elementwise along it, as in a depthwise convolution).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from contractconv.engines.llvm.kernels.native import number
from contractconv.engines.llvm.kernels.product_loops import Tile, fitting_tile
from contractconv.notation.problem import Access, Problem
from contractconv.planning.cost import labels_of, volume
from contractconv.planning.roles import Labels, roles

# Cycles, roughly: moving a number into a tidy copy; setting out for another tap.
_COPY, _TAP = 1.0, 6.0


@dataclass(frozen=True, slots=True)
class Nest:
    """Every index of a leaf in its place in the loop nest.

    Attributes:
        vectors: which operand gives the vectors (0 or 1); the other one gives the scalars.
        lane: the index along the lanes.
        rows: indices of the scalars and the result.
        batch: other indices of the result.
        summed: indices that are summed, the innermost one last.
    """

    vectors: int
    lane: str
    rows: Labels
    batch: Labels
    summed: Labels
    tile: Tile


def choose(
    problem: Problem, steps: tuple[Mapping[str, int], ...], dtype: str, itemsize: int
) -> Nest | None:
    """Choose the cheapest nest for a leaf of two operands.

    Args:
        steps: for both operands and the result, bytes from one value of an index to the next.

    Returns:
        The nest; ``None`` if no index of the result can run along the lanes.
    """
    candidates = list(_candidates(problem, steps, dtype))
    if not candidates:
        return None
    # Of two that cost the same, the one whose lanes lie closer in the result.
    return min(
        candidates,
        key=lambda n: (_cycles(n, problem, steps, dtype, itemsize), abs(steps[2][n.lane]), n.lane),
    )


def _candidates(
    problem: Problem, steps: tuple[Mapping[str, int], ...], dtype: str
) -> Iterator[Nest]:
    names = [set(labels_of([term])) for term in problem.operands]
    if not problem.kept <= names[0] | names[1]:
        return
    found = roles(names[0], names[1], problem.kept, problem.indices)
    for lane in (n for n in problem.indices if n in problem.kept):
        for vectors, rows in ((0, found.columns), (1, found.rows)):
            elementwise = lane in found.batch
            needed = (0, 1) if elementwise else (vectors,)
            if all(_can_be_lane(lane, problem.operands[n]) for n in needed):
                alone = tuple(n for n in rows if n != lane)
                yield _nest(problem, steps, dtype, vectors, lane, alone, elementwise)


def _can_be_lane(lane: str, term: tuple[Access, ...]) -> bool:
    """Whether a copy can make numbers neighbours along an index."""
    return [dict(a.terms)[lane] for a in term if lane in a.names] == [1]


def _nest(
    problem: Problem,
    steps: tuple[Mapping[str, int], ...],
    dtype: str,
    vectors: int,
    lane: str,
    rows: Labels,
    elementwise: bool,
) -> Nest:
    def in_memory(labels: Labels, where: Mapping[str, int]) -> Labels:
        return tuple(sorted(labels, key=lambda n: -abs(where.get(n, 0))))

    extents = problem.extents
    kept = (n for n in problem.indices if n in problem.kept)
    batch = tuple(n for n in kept if n != lane and n not in rows)
    wide = -(-extents[lane] // number(dtype).lanes)
    tile = fitting_tile(wide, elementwise)
    return Nest(
        vectors,
        lane,
        in_memory(rows, steps[2]),
        in_memory(batch, steps[2]),
        in_memory(problem.reduced, steps[1 - vectors]),
        tile,
    )


def _cycles(
    nest: Nest,
    problem: Problem,
    steps: tuple[Mapping[str, int], ...],
    dtype: str,
    itemsize: int,
) -> float:
    """What a nest costs, roughly: multiplying, going from tap to tap, and copying."""
    extents, tile = problem.extents, nest.tile
    wide = -(-extents[nest.lane] // number(dtype).lanes)
    rows = volume(nest.rows, extents)
    high = min(rows, tile.rows)
    tiles = -(-wide // tile.vectors) * (rows / high) * volume(nest.batch, extents)
    summed = volume(nest.summed, extents)
    sums = high * tile.vectors
    loads = tile.vectors + (sums if tile.elementwise else high)
    step = max(sums / 2, loads / 2, 4.0)
    run = extents[nest.summed[-1]] if nest.summed else 1
    total = tiles * summed * (step + _TAP / run)
    places = (0, 1) if tile.elementwise else (nest.vectors,)
    for place in places:
        if steps[place].get(nest.lane) != itemsize:
            total += _COPY * prod(a.size for a in problem.operands[place])
    if steps[2].get(nest.lane) != itemsize:
        total += 2 * _COPY * volume(problem.kept, extents)
    return total
