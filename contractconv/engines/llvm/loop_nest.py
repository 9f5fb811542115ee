"""Which index runs along the lanes of a vector, and along which window results share loads.

Of two operands one gives *vectors*: neighbouring numbers along one index of the result, the lane.
The other gives *scalars*, one for each row of a tile of sums; or vectors as well, if it has the
lane too (then the product is elementwise along it, as in a depthwise convolution).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import gcd, prod
from typing import NamedTuple

from contractconv.engines.llvm.kernels.native import number, registers
from contractconv.engines.llvm.kernels.number_kinds import Number
from contractconv.engines.llvm.kernels.product_loops import (
    Spread,
    Tile,
    fitting_tile,
    widest_tile,
)
from contractconv.engines.llvm.kernels.window_loops import Reads, Window, fitting
from contractconv.engines.llvm.packing import FEW, are_neighbours
from contractconv.engines.llvm.tile_reads import Read, cycles_of_reads
from contractconv.machine.placement import LINE
from contractconv.notation.problem import Access, Problem
from contractconv.planning.cost import labels_of, volume
from contractconv.planning.roles import Labels, roles

Steps = Sequence[Mapping[str, int]]
# Cycles, roughly: moving a number into a tidy copy, in squares that are filled; setting out for
# another tap.
_COPY, _TAP = 1.0, 6.0
# ... and where there are too few lines for squares.
_POINT = 3.0
# Cycles of a store of some lanes, on processors whose vectors are so short that they have no masks.
_SOME_LANES = 12.0
# A group whose lanes fill so many vectors has a panel of its own; a tile has so many rows, whose
# addresses take registers, too; and a vector is read so many times at most for the groups in it.
_LARGE_GROUP, _MOST_ROWS, _MANY_LOADS = 4, 8, 8
# Cycles in which a line of the cache comes from the second level.
_FETCHED = 3.0
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
        group: an index of both operands along which lanes go on where those of ``lane`` end: so
            several small groups share a vector. ``None`` if lanes are of one group.
        rows: indices of the scalars and the result.
        batch: other indices of the result.
        summed: indices that are summed, the innermost one last.
        order: those of the result that are cut, those whose values lie farthest apart first, and
            taps of a window last.
        unit: values of ``group`` that are never cut: as many as fill a panel.
        packed: whether rows are copied so that the numbers of a tile follow each other.
    """

    vectors: int
    lane: str
    rows: Labels
    batch: Labels
    summed: Labels
    tile: Tile
    order: Labels
    group: str | None = None
    unit: int = 1
    packed: bool = False

    @property
    def lanes(self) -> Labels:
        """All indices along the lanes, the last one fastest."""
        return (self.lane,) if self.group is None else (self.group, self.lane)

    def has_lanes(self, which: int) -> bool:
        """Whether an operand has numbers along the lanes."""
        first = self.tile.elementwise
        second = not self.tile.uniform
        return second if which == self.vectors else first

    def width(self, extents: Mapping[str, int]) -> int:
        """How many lanes there are."""
        return volume(self.lanes, extents)


def exists(problem: Problem, steps: Steps, dtype: str) -> bool:
    """Whether any index of the result can run along the lanes; which is best takes long to say."""
    return any(True for _ in _candidates(problem, steps, dtype))


def choose(problem: Problem, steps: Steps, dtype: str) -> Nest | None:
    """Choose the cheapest nest for a leaf of two operands.

    Args:
        steps: for both operands and the result, bytes from one value of an index to the next.

    Returns:
        The nest; ``None`` if no index of the result can run along the lanes.
    """

    def rank(nest: Nest) -> tuple[float, int, str, bool]:
        # Of two that cost the same, the one whose lanes lie closer in the result; then the one
        # whose vectors are shared by groups, as these lie in one line of the cache.
        cycles = _cycles(nest, problem, steps, dtype)
        return cycles, abs(steps[2][nest.lane]), nest.lane, nest.group is None

    return min(_candidates(problem, steps, dtype), key=rank, default=None)


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
                nest = _nest(problem, steps, dtype, vectors, lane, alone, elementwise)
                yield nest
                if not elementwise:
                    yield from _grouped(nest, found.batch, problem, steps, dtype)
                    yield _streamed(nest, names[vectors], problem, steps, dtype)


def _streamed(nest: Nest, names: set[str], problem: Problem, steps: Steps, dtype: str) -> Nest:
    """The same lanes, with rows of the operand that has them: each is multiplied by one number.

    Args:
        names: the indices of that operand.
    """
    other = problem.operands[1 - nest.vectors]
    rows = names & problem.kept - {nest.lane, *labels_of([other])}
    found = _nest(
        problem, steps, dtype, 1 - nest.vectors, nest.lane,
        tuple(n for n in problem.indices if n in rows), True,
    )  # fmt: skip
    return replace(found, tile=replace(found.tile, uniform=True))


def _grouped(
    nest: Nest, batch: Labels, problem: Problem, steps: Steps, dtype: str
) -> Iterator[Nest]:
    """The same nest, with lanes of several groups in each vector, if that fills them better."""
    kind, each = number(dtype), problem.extents[nest.lane]
    written = (problem.operands[nest.vectors], problem.output)
    if each > _LARGE_GROUP * kind.lanes:
        return
    for group in batch:
        width, step = each * problem.extents[group], steps[1 - nest.vectors].get(group, 0)
        whole = width % kind.lanes == 0 or 2 * width == kind.lanes
        if not whole or step <= 0 or step % kind.size:
            continue
        if not all(_are_axes((nest.lane, group), term, problem.extents) for term in written):
            continue
        spread = Spread(each, step // kind.size)
        wide, period = -(-width // kind.lanes), spread.period(kind.lanes)
        if spread.loads(period, kind.lanes) > _MANY_LOADS * period:
            continue
        others = tuple(n for n in nest.batch if n != group)
        for panel in (n for n in range(period, widest_tile() + 1, period) if wide % n == 0):
            rows = (registers()[0] - panel - 1) // panel
            tile = Tile(min(rows, _MOST_ROWS), panel, spread=spread)
            unit = max(1, panel * kind.lanes // each)
            yield replace(nest, group=group, batch=others, tile=tile, unit=unit)


def _are_axes(names: Labels, term: tuple[Access, ...], extents: Mapping[str, int]) -> bool:
    """Whether each of some indices runs along a whole axis."""
    axes = {(access.plain, access.size) for access in term}
    return all((name, extents[name]) in axes for name in names)


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
        _taps_last(in_memory((*batch, *rows), steps[2]), problem),
    )


def _taps_last(labels: Labels, problem: Problem) -> Labels:
    """Indices of the result, the shorter ones of windows last: cut there, all is read again."""
    extents = problem.extents
    windows = [a.names for term in problem.operands for a in term if len(a.names) > 1]

    def is_tap(name: str) -> bool:
        return any(name in w and extents[name] < max(extents[n] for n in w) for w in windows)

    return tuple(sorted(labels, key=is_tap))


def _cycles(nest: Nest, problem: Problem, steps: Steps, dtype: str) -> float:
    """What a nest costs, roughly: multiplying, going from tap to tap, and copying."""
    kind, kept = number(dtype), volume(problem.kept, problem.extents)
    copies = [
        (_cycles_of_copy(nest, problem.operands[n], steps[n], problem, kind), count)
        for n, count in enumerate(_reached(term, problem.extents) for term in problem.operands)
        if nest.has_lanes(n)
    ]
    copies.append((_cycles_of_copy(nest, problem.output, steps[2], problem, kind), kept))
    window = along(nest, problem.extents, steps[1 - nest.vectors], kind.lanes)
    products = _cycles_of_products(nest, window, problem.extents, steps, kind)
    reads = _cycles_of_tile_reads(nest, window, problem.extents, steps, kind)
    return products + reads + sum(each * count for each, count in copies)


def _reached(term: tuple[Access, ...], extents: Mapping[str, int]) -> int:
    """How many elements of an operand are read, gaps included."""
    reaches = (access.reach(extents) for access in term)
    return prod(high - low + 1 for low, high in reaches)


def _cycles_of_products(
    nest: Nest, window: Along | None, extents: Mapping[str, int], steps: Steps, kind: Number
) -> float:
    tile, wide = nest.tile, -(-nest.width(extents) // kind.lanes)
    rows, batch = volume(nest.rows, extents), volume(nest.batch, extents)
    again = _TAP / _run(nest.summed, extents, steps[:2])
    vectors = tile.vectors if window is None else window.tile.vectors
    # Behind a whole vector of its panel one that has less begins early instead, without a mask.
    alone = wide % vectors == 1 or vectors == 1
    masked = alone and nest.width(extents) % kind.lanes and not kind.has_masks
    if window is None:
        full, rest = divmod(rows, tile.rows)
        high = full * _cycles_of_step(tile.rows, tile, kind, again)
        high += _cycles_of_step(rest, tile, kind, again) if rest else 0
        cycles = (-(-wide // tile.vectors) if tile.varies else wide / tile.vectors) * high
    else:
        tiles = -(-rows // window.tile.rows) * -(-wide // window.tile.vectors)
        cycles = rows * window.cycles + tiles * again / window.window.taps
    return batch * (cycles * volume(nest.summed, extents) + _SOME_LANES * rows * bool(masked))


def _cycles_of_tile_reads(
    nest: Nest, window: Along | None, extents: Mapping[str, int], steps: Steps, kind: Number
) -> float:
    """What reading costs because of where numbers lie, for all tiles."""
    scalars = _as_read(nest, extents, steps, 1 - nest.vectors, kind)
    tile = nest.tile if window is None else window.tile
    wide, rows = -(-nest.width(extents) // kind.lanes), volume(nest.rows, extents)
    tiles = volume(nest.batch, extents) * -(-wide // tile.vectors) * -(-rows // tile.rows)
    summed = {name: extents[name] for name in nest.summed}
    lanes = tile.vectors * kind.bytes
    products = tile.rows * tile.vectors * volume(nest.summed, extents)
    taps = 1 if window is None else window.window.taps
    return tiles * cycles_of_reads(
        Read.of(
            {**summed, **_rows_of(tile, nest.rows, extents)},
            scalars,
            lanes if tile.elementwise else kind.size,
        ),
        Read.of(
            summed,
            _as_read(nest, extents, steps, nest.vectors, kind),
            kind.size if tile.uniform else lanes,
        ),
        products // taps if tile.elementwise else 0,
        kind.bytes,
    )


def _rows_of(tile: Tile, rows: Labels, extents: Mapping[str, int]) -> dict[str, int]:
    """How many values of each index the rows of one tile have."""
    found, left = {}, tile.rows
    for name in reversed(rows):
        found[name] = min(extents[name], left)
        left = max(1, left // found[name])
    return found


def _as_read(
    nest: Nest, extents: Mapping[str, int], steps: Steps, which: int, kind: Number
) -> Mapping[str, int]:
    """The steps of an operand where kernels read it: a copy is packed."""
    there = steps[which]
    if not nest.has_lanes(which) or are_neighbours(nest.lanes, there, extents, kind.size):
        return there
    found, onward = {}, kind.size
    others = sorted((n for n in there if n not in nest.lanes), key=lambda n: abs(there[n]))
    for name in (*reversed(nest.lanes), *others):
        found[name] = onward if there.get(name) else 0
        onward *= extents[name] if there.get(name) else 1
    return found


def _cycles_of_step(rows: int, tile: Tile, kind: Number, again: float) -> float:
    """What a product costs for each of so many rows of a tile."""
    each = tile.vectors if tile.elementwise else 1
    if tile.spread is not None:
        each = tile.spread.loads(tile.vectors, kind.lanes)
    second = 1 if tile.uniform else tile.vectors
    return max(rows * tile.vectors / 2, (second + rows * each) / 2, 4.0) + again


def _run(summed: Labels, extents: Mapping[str, int], steps: Steps) -> int:
    """How many products are summed in one run: along the innermost index, and all that go on."""
    run, onward = 1, [one.get(name, 0) for name in summed[-1:] for one in steps]
    for name in reversed(summed):
        if [one.get(name, 0) for one in steps] != onward:
            break
        run, onward = run * extents[name], [step * extents[name] for step in onward]
    return run


def _cycles_of_copy(
    nest: Nest, term: tuple[Access, ...], steps: Mapping[str, int], problem: Problem, kind: Number
) -> float:
    """What it costs for each number of an array that they are no neighbours along the lanes."""
    if are_neighbours(nest.lanes, steps, problem.extents, kind.size):
        return 0.0
    if steps.get(nest.lane) == kind.size:  # those of each group are neighbours already
        return _COPY * kind.lanes / min(kind.lanes, problem.extents[nest.lane])
    # Squares are turned, one side of which are neighbours along other axes: as many as there are.
    lane = nest.lane
    axes = ((abs(steps[n]), a.size) for a in term if lane not in a.names for n in a.names)
    together = 1
    for stride, size in sorted(axes):
        together *= size if stride == together * kind.size else 1
    if together < FEW:
        return _POINT
    crowded = 1 if steps.get(lane, 1) % _ALIKE else 2
    return _COPY * crowded * kind.lanes / min(kind.lanes, together)


class Along(NamedTuple):
    """A window along which a tile runs.

    Attributes:
        rows: the indices of a tile's rows: those of lines, then the one that moves the window.
        length: how many results lie along it.
        tap: the index inside it.
        bytes_a_place: from one place of the window to the next.
        cycles: roughly, of a row at a tap, over all lanes.
    """

    rows: tuple[str, ...]
    length: int
    tap: str
    tile: Tile
    window: Window
    bytes_a_place: int
    cycles: float


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
    varies = nest.tile.varies
    if not (varies or nest.tile.vectors == 1):
        return None
    wide = -(-nest.width(extents) // lanes)
    found = [
        one
        for row, tap in product(nest.rows, nest.summed)
        for line in (None, *(n for n in nest.rows if n != row))
        for one in _along(nest, extents, scalars, lanes, (line, row, tap))
    ]
    enough = [f for f in found if f.cycles < wide * (_LOADED if varies else _BROADCAST)]
    if not enough:
        return None
    if nest.tile.elementwise:
        # Vectors come from memory: places that are close together come together.
        return min(enough, key=lambda f: (abs(f.bytes_a_place), f.cycles))
    # Of two that cost the same, the one that leaves the longest run.
    return min(enough, key=lambda f: (f.cycles, -abs(f.bytes_a_place)))


def _cycles_of_reads(run: int, beside: int) -> tuple[float, float]:
    """Cycles in which a place comes from the second level of cache, in which it surely is.

    Args:
        run: bytes from a place to the one that is read there next.
        beside: bytes from a line of a tile to the next one.

    Returns:
        For the first line of a tile, and for each other one.
    """
    first = _FETCHED * min(1.0, run / LINE)
    return first, first * min(1.0, beside / LINE)


def _along(
    nest: Nest,
    extents: Mapping[str, int],
    scalars: Mapping[str, int],
    lanes: int,
    names: tuple[str | None, str, str],
) -> Iterator[Along]:
    """Tiles for one window."""
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
    spread, wide = nest.tile.spread, -(-nest.width(extents) // lanes)
    like = nest.tile if spread is None else replace(nest.tile, vectors=spread.period(lanes))
    size = registers()[1] // lanes
    beside = 0 if line is None else scalars.get(line, 0)
    near = beside // size if spread is not None and beside > 0 and beside % size == 0 else 0
    for taps in (n for n in range(2, _MOST_TAPS + 1) if extents[tap] % n == 0):
        onward = [(n, extents[n]) for n in nest.summed if n != tap]
        onward.append((tap, extents[tap] // taps))
        run = min((abs(scalars.get(n, 0)) for n, size in onward if size > 1), default=LINE)
        # Vectors are no wider than they have to be.
        reads = Reads(min(lanes, nest.width(extents)), near, *_cycles_of_reads(run, abs(beside)))
        fit = fitting(extents[row], lines, taps, places, wide, like, reads)
        if fit is not None and (line is None or fit.window.lines > 1):
            cost = fit.cycles / (taps * extents[row] * lines)
            yield Along(rows, extents[row], tap, fit.tile, fit.window, bytes_a_place, cost)
