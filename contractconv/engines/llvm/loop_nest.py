"""Which index runs along the lanes of a vector, and along which window results share loads.

Of two operands one gives *vectors*: neighbouring numbers along one index of the result, the lane.
The other gives *scalars*, one for each row of a tile of sums; or vectors as well, if it has the
lane too (then the product is elementwise along it, as in a depthwise convolution).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import gcd, prod
from typing import NamedTuple

from contractconv.engines.llvm.kernels.native import number
from contractconv.engines.llvm.kernels.number_kinds import Number
from contractconv.engines.llvm.kernels.product_loops import Tile, fitting_tile
from contractconv.engines.llvm.kernels.window_loops import Window, fitting
from contractconv.notation.problem import Access, Problem
from contractconv.planning.cost import labels_of, volume
from contractconv.planning.roles import Labels, roles

Steps = Sequence[Mapping[str, int]]
# Cycles, roughly: moving a number into a tidy copy, in squares that are filled; setting out for
# another tap.
_COPY, _TAP = 1.0, 6.0
# Cycles of a store of some lanes, on processors whose vectors are so short that they have no masks.
_SOME_LANES, _MASKED = 12.0, 64
# Bytes from one place to another that is kept in the same few lines of the cache.
_ALIKE = 4096
# Neighbours are at most so many places apart, and so many taps are written out.
_MOST_APART, _MOST_TAPS = 4, 16
# Cycles, roughly, that a product of vectors takes in a tile without windows: one factor of each is
# loaded, in half a cycle if it is broadcast, in a whole one if it may lie across two lines.
_BROADCAST, _LOADED = 0.8, 1.2


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


def choose(problem: Problem, steps: Steps, dtype: str) -> Nest | None:
    """Choose the cheapest nest for a leaf of two operands.

    Args:
        steps: for both operands and the result, bytes from one value of an index to the next.

    Returns:
        The nest; ``None`` if no index of the result can run along the lanes.
    """
    # Of two that cost the same, the one whose lanes lie closer in the result.
    return min(
        _candidates(problem, steps, dtype),
        key=lambda n: (_cycles(n, problem, steps, dtype), abs(steps[2][n.lane]), n.lane),
        default=None,
    )


def _candidates(problem: Problem, steps: Steps, dtype: str) -> Iterator[Nest]:
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
    problem: Problem, steps: Steps, dtype: str, vectors: int, lane: str, rows: Labels, both: bool
) -> Nest:
    def in_memory(labels: Labels, where: Mapping[str, int]) -> Labels:
        return tuple(sorted(labels, key=lambda n: -abs(where.get(n, 0))))

    extents = problem.extents
    batch = tuple(n for n in problem.indices if n in problem.kept and n not in (lane, *rows))
    wide = -(-extents[lane] // number(dtype).lanes)
    tile = fitting_tile(wide, both)
    return Nest(
        vectors,
        lane,
        in_memory(rows, steps[2]),
        in_memory(batch, steps[2]),
        in_memory(problem.reduced, steps[1 - vectors]),
        tile,
    )


def _cycles(nest: Nest, problem: Problem, steps: Steps, dtype: str) -> float:
    """What a nest costs, roughly: multiplying, going from tap to tap, and copying."""
    kind, kept = number(dtype), volume(problem.kept, problem.extents)
    copies = [
        (_cycles_of_copy(problem.operands[n], steps[n], nest.lane, kind), prod(sizes))
        for n, sizes in enumerate([a.size for a in term] for term in problem.operands)
        if nest.tile.elementwise or n == nest.vectors
    ]
    copies.append((_cycles_of_copy(problem.output, steps[2], nest.lane, kind), kept))
    products = _cycles_of_products(nest, problem.extents, steps, kind)
    return products + sum(each * count for each, count in copies)


def _cycles_of_products(
    nest: Nest, extents: Mapping[str, int], steps: Steps, kind: Number
) -> float:
    tile, wide = nest.tile, -(-extents[nest.lane] // kind.lanes)
    rows, batch = volume(nest.rows, extents), volume(nest.batch, extents)
    high = min(rows, tile.rows)
    tiles = -(-wide // tile.vectors) * (rows / high) * batch
    sums = high * tile.vectors
    loads = tile.vectors + (sums if tile.elementwise else high)
    step = max(sums / 2, loads / 2, 4.0) + _TAP / _run(nest.summed, extents, steps[:2])
    masked = extents[nest.lane] % kind.lanes and kind.bytes < _MASKED
    return tiles * volume(nest.summed, extents) * step + _SOME_LANES * rows * batch * bool(masked)


def _run(summed: Labels, extents: Mapping[str, int], steps: Steps) -> int:
    """How many products are summed in one run: along the innermost index, and all that go on."""
    run, onward = 1, [one.get(name, 0) for name in summed[-1:] for one in steps]
    for name in reversed(summed):
        if [one.get(name, 0) for one in steps] != onward:
            break
        run, onward = run * extents[name], [step * extents[name] for step in onward]
    return run


def _cycles_of_copy(
    term: tuple[Access, ...], steps: Mapping[str, int], lane: str, kind: Number
) -> float:
    """What it costs for each number of an array that they are no neighbours along the lanes."""
    if steps.get(lane) == kind.size:
        return 0.0
    # Squares are turned, one side of which are neighbours along other axes: as many as there are.
    axes = ((abs(steps[n]), a.size) for a in term if lane not in a.names for n in a.names)
    together = 1
    for stride, size in sorted(axes):
        together *= size if stride == together * kind.size else 1
    crowded = 1 if steps.get(lane, 1) % _ALIKE else 2
    return _COPY * crowded * kind.lanes / min(kind.lanes, together)


class Along(NamedTuple):
    """A window along which a tile runs.

    Attributes:
        rows: the indices of a tile's rows: those of lines, then the one that moves the window.
        length: how many results lie along it.
        tap: the index inside it.
        bytes_a_place: from one place of the window to the next.
    """

    rows: tuple[str, ...]
    length: int
    tap: str
    tile: Tile
    window: Window
    bytes_a_place: int


def along(
    nest: Nest, extents: Mapping[str, int], scalars: Mapping[str, int], lanes: int
) -> Along | None:
    """Find the window that saves most.

    Args:
        nest: the loop nest; only where a tile needs a load for every product there is much to save.
        scalars: bytes from one value of each index to the next in the operand of the rows.

    Returns:
        ``None`` if results share nothing, or too little.
    """
    both = nest.tile.elementwise
    if not (both or nest.tile.vectors == 1):
        return None
    wide = -(-extents[nest.lane] // lanes)
    found = [
        one
        for row, tap in product(nest.rows, nest.summed)
        for line in (None, *(n for n in nest.rows if n != row))
        for one in _along(nest, extents, scalars, wide, (line, row, tap))
    ]
    enough = [f for f in found if f[0] < wide * (_LOADED if both else _BROADCAST)]
    if not enough:
        return None
    if both:
        # Vectors come from memory: places that are close together come together.
        return min(enough, key=lambda f: (abs(f[1].bytes_a_place), f[0]))[1]
    # Of two that cost the same, the one that leaves the longest run.
    return min(enough, key=lambda f: (f[0], -abs(f[1].bytes_a_place)))[1]


def _along(
    nest: Nest,
    extents: Mapping[str, int],
    scalars: Mapping[str, int],
    wide: int,
    names: tuple[str | None, str, str],
) -> Iterator[tuple[float, Along]]:
    """Tiles for one window, each with its cycles for one row and one tap."""
    line, row, tap = names
    apart, between = scalars.get(row, 0), scalars.get(tap, 0)
    if min(extents[row], extents[tap]) < 2 or not apart or not between:
        return
    bytes_a_place = gcd(apart, between) * (1 if apart > 0 else -1)
    places = apart // bytes_a_place, between // bytes_a_place
    if max(map(abs, places)) > _MOST_APART:
        return
    lines = 1 if line is None else extents[line]
    rows = (row,) if line is None else (line, row)
    for taps in (n for n in range(2, _MOST_TAPS + 1) if extents[tap] % n == 0):
        fit = fitting(extents[row], lines, taps, places, wide, nest.tile.elementwise)
        if fit is not None and (line is None or fit.window.lines > 1):
            cost = fit.cycles / (taps * extents[row] * lines)
            yield cost, Along(rows, extents[row], tap, fit.tile, fit.window, bytes_a_place)
