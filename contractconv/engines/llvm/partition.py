"""Cutting a sum of products into blocks: for the threads, and so that copies stay small."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise, product
from math import log2, prod
from types import MappingProxyType

from contractconv.engines.llvm.kernels.native import registers
from contractconv.engines.llvm.kernels.product_loops import even_panels
from contractconv.engines.llvm.loop_nest import Nest
from contractconv.machine.work_sharing import evenly
from contractconv.notation.contributing import inside
from contractconv.notation.problem import Access, Problem, windowed
from contractconv.planning.cost import volume
from contractconv.planning.trimming import reaches_outside

# The first of some values of an index, and how many there are.
Span = tuple[int, int]
# Copies of a block stay in the second level of cache, unless there would be too many blocks.
_COPY_BYTES, _MOST_BLOCKS = 1 << 19, 256
# A piece of work should be worth handing over: multiplications, and fewer of those that take
# longer, as each has two numbers of its own. A part of a sum should be worth so many times as
# much, as it takes memory of its own.
_WORTH, _WORTH_ELEMENTWISE, _A_SHARE = 1 << 20, 1 << 18, 4
# Products that are summed in one block, how many blocks there are at most, and values of an index
# that are summed in one run, or in one chain without a cut.
_TERMS, _BLOCKS, _RUN, _CHAIN = 1 << 15, 32, 240, 1024
# Tiles of rows that a part should have which is cut along its lanes as well.
_TILES = 4
# Indices of up to so many values are taken for the taps of a window.
_MOST_TAPS = 8
# Parts without padding: each of them is prepared by itself.
_MOST_PARTS = 128
# Pieces of work that there are at most, the first of small work, whose pieces would read the same
# numbers again and again, and multiplications of one beyond that. How work is cut never depends on
# the number of threads, so that neither does the order in which anything is added.
_PIECES, _MOST_PIECES, _LARGE_PIECE = 16, 64, 1 << 27
# Parts of a sum that are made each for itself, and the products of one that are worth it.
_SHARES, _SHARED = 16, 2048
# Results up to this size are made from such parts, which are added up at the end; and the bytes
# that all parts may take.
_PRIVATE_BYTES, _ALL_BYTES = 1 << 20, 1 << 22
# ... if at least one in so many of its numbers is summed for each of them.
_SUMMED = 8


@dataclass(frozen=True, slots=True)
class Cut:
    """How a leaf is cut.

    Attributes:
        groups: blocks that one thread works on, one after the other.
        private: whether groups write the same result: then each has one of its own.
        sums: whether the blocks of a group add up; otherwise each writes a part of its own.
    """

    groups: tuple[tuple[Problem, ...], ...]
    private: bool
    sums: bool = False


def cut(problem: Problem, nest: Nest, copied: Sequence[bool], itemsize: int) -> Cut:
    """Cut a leaf.

    Args:
        copied: which operands are read from a copy.
    """
    volumes = [prod(a.size for a in term) for term in problem.operands]
    bytes_copied = itemsize * sum(v for v, c in zip(volumes, copied, strict=True) if c)
    result = volume(problem.kept, problem.extents)
    summed = problem.points // max(1, result)
    written = prod(access.size for access in problem.output)
    small = written * itemsize <= _PRIVATE_BYTES and result <= _SUMMED * summed
    pieces = _pieces(problem, nest)
    if small and problem.reduced and (pieces > 1 or bytes_copied > _COPY_BYTES):
        worth = min(problem.points // (_A_SHARE * _worth(nest)), summed // _SHARED, _SHARES,
                    _ALL_BYTES // max(1, written * itemsize))  # fmt: skip
        copies = min(pieces, 1 << max(1, worth.bit_length() - 1))
        parts = shares(problem, nest, copies)
        limit = -(-min(bytes_copied, _MOST_BLOCKS * _COPY_BYTES) // (_COPY_BYTES * len(parts)))
        groups = tuple(tuple(shares(part, nest, limit)) for part in parts)
        return Cut(groups, len(groups) > 1, sums=True)
    return Cut(apart(problem, nest, bytes_copied, itemsize), False)


def apart(
    problem: Problem, nest: Nest, bytes_copied: int, itemsize: int
) -> tuple[tuple[Problem, ...], ...]:
    """Cut a leaf into groups of one block each, which write different parts of the result."""
    labels, pieces, unit = nest.order, _pieces(problem, nest), _units(problem, nest)
    across, rest = _across(problem, nest, bytes_copied > 0)
    if across > 1:
        parts = _parts_of_panels(problem, nest, across, registers()[1] // itemsize)
        return tuple((part,) for lanes in parts for part in _slices(lanes, labels, rest, unit))
    if labels:
        # As much for one as for the other: whole values of the first index, if they are enough.
        first = max(1, problem.extents[labels[0]] // unit.get(labels[0], 1))
        pieces = first if pieces < first <= 2 * pieces else pieces - pieces % min(pieces, first)
    kept_near = bytes_copied + _bytes_between(problem, itemsize)
    pieces = max(pieces, min(_MOST_BLOCKS, -(-kept_near // _COPY_BYTES)))
    return tuple((part,) for part in _slices(problem, labels, pieces, unit))


def _across(problem: Problem, nest: Nest, copied: bool) -> tuple[int, int]:
    """Into how many parts a leaf is cut along its lanes, and each of them along its rows.

    Each part of the rows reads all of the vectors, and each part of the lanes all of the other
    operand: of so many pieces those are best that read least together. No copy is made again.
    """
    volumes = [prod(a.size for a in term) for term in problem.operands]
    vectors, others = volumes[nest.vectors], volumes[1 - nest.vectors]
    most, pieces = _panels(problem, nest), _pieces(problem, nest)
    alone = nest.tile.elementwise or nest.packed
    if alone or most < 2 or (copied and vectors <= others):
        return 1, pieces
    high = max(1, volume(nest.order, problem.extents) // (_TILES * nest.tile.rows))
    balanced = 1 << round(log2(max(1.0, pieces * vectors / max(1, others))) / 2)
    across = min(most, max(balanced, pieces // high))
    return across, max(1, min(high, pieces // across))


def _parts_of_panels(problem: Problem, nest: Nest, count: int, vector: int) -> Iterator[Problem]:
    """Cut along the lanes into so many parts, where panels begin.

    Args:
        vector: how many lanes one has.
    """
    size = problem.extents[nest.lane]
    panels = even_panels(-(-size // vector), nest.tile.vectors)
    ends = [min(size, vector * before) for before in accumulate(panels, initial=0)]
    for some in evenly(len(panels), count):
        yield problem.restricted(nest.lane, ends[some.start], ends[some.stop] - ends[some.start])


def _bytes_between(problem: Problem, itemsize: int) -> int:
    """Those of a result of which other phases write what lies in between, piece by piece."""
    steps = {abs(step) for access in problem.output for _, step in access.terms}
    return itemsize * prod(access.size for access in problem.output) if steps - {1} else 0


def _units(problem: Problem, nest: Nest) -> dict[str, int]:
    """Values of an index that stay together, as they fill a panel or the rows of a tile."""
    units, inside = {} if nest.group is None else {nest.group: nest.unit}, 1
    for name in reversed(nest.rows):
        units[name] = min(problem.extents[name], -(-nest.tile.rows // inside))
        inside *= problem.extents[name]
    return units


def shares(problem: Problem, nest: Nest, pieces: int) -> list[Problem]:
    """Cut what is summed: each part has a share of every number of the result."""
    return _slices(problem, _summed_order(problem, nest), pieces)


def shorter(problem: Problem, nest: Nest) -> list[Problem]:
    """Cut what is summed into blocks, whose sums are then added: long sums round too much.

    Each block is as long as a kernel can sum in short runs, up to what is left over.
    """
    parts = list(_blocks_of(problem, nest))
    for name in nest.summed:
        parts = [part for block in parts for part in _in_short_runs(block, name)]
    return parts


def _blocks_of(problem: Problem, nest: Nest) -> Iterator[Problem]:
    terms = volume(problem.reduced, problem.extents)
    if terms <= _TERMS:
        yield problem
        return
    name = max(nest.summed, key=lambda n: problem.extents[n])
    size = problem.extents[name]
    chunk = max(1, size * _TERMS // terms, -(-size // _BLOCKS))
    # Whole runs, or else as many values as there are.
    chunk = chunk // _RUN * _RUN or chunk
    yield from _chunks(problem, name, chunk)


def _chunks(problem: Problem, name: str, chunk: int) -> Iterator[Problem]:
    """So many values of an index at a time."""
    size = problem.extents[name]
    for start in range(0, size, chunk):
        yield problem.restricted(name, start, min(chunk, size - start))


def _in_short_runs(problem: Problem, name: str) -> Iterator[Problem]:
    extent = problem.extents[name]
    if extent <= _CHAIN or any(extent % run == 0 for run in range(_RUN // 4, _RUN + 1)):
        yield problem
        return
    whole = extent // _RUN * _RUN
    yield problem.restricted(name, 0, whole)
    yield problem.restricted(name, whole, extent - whole)


def _worth(nest: Nest) -> int:
    """Multiplications that are worth handing over."""
    return _WORTH_ELEMENTWISE if nest.tile.elementwise else _WORTH


def _pieces(problem: Problem, nest: Nest) -> int:
    most = min(_MOST_PIECES, max(_PIECES, problem.points // _LARGE_PIECE))
    # Powers of two are shared out evenly among most numbers of threads.
    return min(most, 1 << (max(1, problem.points // _worth(nest)) - 1).bit_length())


def _summed_order(problem: Problem, nest: Nest) -> tuple[str, ...]:
    # The longer ones first: cutting a window's few taps would copy what it reads again and again.
    # Before these what stands alone: so each part has the whole of a window's axis.
    moving = windowed(problem.operands)

    def place(name: str) -> tuple[bool, int]:
        return name in moving, -problem.extents[name]

    return tuple(sorted(nest.summed[:-1] or nest.summed, key=place))[:2]


def _panels(problem: Problem, nest: Nest) -> int:
    """Into how many parts a leaf is cut along its lanes, a part being some panels wide."""
    return min(
        _SHARES, problem.extents[nest.lane] // (nest.tile.vectors * 16), _pieces(problem, nest)
    )


def _slices(
    problem: Problem,
    labels: Sequence[str],
    pieces: int,
    units: Mapping[str, int] = MappingProxyType({}),
) -> list[Problem]:
    """Cut along the first of some indices, and along further ones if it is too short.

    Args:
        units: values of an index that stay together, if it is not each by itself.
    """
    return [restricted(problem, part) for part in spans(problem.extents, labels, pieces, units)]


def restricted(problem: Problem, part: Mapping[str, Span]) -> Problem:
    """A part of a leaf."""
    for label, span in part.items():
        problem = problem.restricted(label, *span)
    return problem


def spans(
    extents: Mapping[str, int],
    labels: Sequence[str],
    pieces: int,
    units: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[dict[str, Span]]:
    """The values that each of some parts has of the indices that are cut."""
    cuts: list[list[tuple[str, Span]]] = []
    for label in labels:
        unit, size = units.get(label, 1), extents[label]
        count = min(size // unit, pieces)
        if count > 1:
            starts = [unit * some.start for some in evenly(size // unit, count)]
            cuts.append([(label, (a, b - a)) for a, b in pairwise((*starts, size))])
            pieces = -(-pieces // count)
    yield from map(dict, product(*cuts))


def unpadded(
    problem: Problem, adding: bool = False, left_out: tuple[int, int] | None = None
) -> tuple[Problem, ...]:
    """Cut a leaf where windows begin and cease to reach outside of an operand.

    In each part the taps that would read outside, and add nothing, are left out: so it reads no
    padding at all.

    Args:
        adding: whether parts may add up, the first one being the only one that writes all of the
            result; otherwise each writes a part of its own.
        left_out: an operand and one of its axes, outside of which nothing will be read anyway.

    Returns:
        The parts; the leaf itself if they would not make up all of its result, or be too many.
    """
    parts = [problem]
    for number, term in enumerate(problem.operands):
        for axis in (n for n in range(len(term)) if (number, n) != left_out):
            most = _MOST_PARTS // len(parts)
            found = [_without_padding(part, number, axis, adding, most) for part in parts]
            if any(not some for some in found):
                return (problem,)
            parts = [part for some in found for part in some]
    parts.sort(key=lambda part: -part.points)
    if adding and any(parts[0].extents[n] != problem.extents[n] for n in problem.kept):
        return (problem,)
    return tuple(parts)


def _without_padding(
    problem: Problem, number: int, axis: int, adding: bool, most: int
) -> list[Problem]:
    """Cut a leaf where one axis is read outside; nothing if that is impossible."""
    access = problem.operands[number][axis]
    if not reaches_outside(access, problem.extents):
        return [problem]
    pair = _window(access, problem, adding)
    if pair is None:
        return []
    result, tap = pair
    ranges = _inside(access, problem.extents, result, tap, most, adding)
    return [problem.restricted(result, *some).restricted(tap, *taps) for some, taps in ranges]


def _window(access: Access, problem: Problem, adding: bool) -> tuple[str, str] | None:
    """The index that is cut and its tap, of which there are few."""
    kept = [n for n in access.names if n in problem.kept]
    summed = [n for n in access.names if n not in problem.kept]
    if len(kept) != 1 or len(summed) != 1:
        return None
    results, taps = problem.extents[kept[0]], problem.extents[summed[0]]
    if adding and taps > results:
        return summed[0], kept[0]
    return (kept[0], summed[0]) if taps <= max(results, _MOST_TAPS) else None


def _inside(
    access: Access, extents: Mapping[str, int], result: str, tap: str, most: int, adding: bool
) -> list[tuple[Span, Span]]:
    """Spans of an index, each with that of the taps that stay inside.

    Windows move one way, so the same taps are inside for neighbours: a span ends where a tap comes
    inside, or leaves.

    Returns:
        Nothing if that happens at more than ``most`` taps, or if a span has no tap: it is zero,
        unless parts add up, where it is left out.
    """
    steps, results, last = dict(access.terms), extents[result], access.size - 1

    def within(name: str, place: int, further: int = 0) -> range:
        """Where an index keeps an axis inside that is ``place``, and maybe ``further``, besides."""
        low, high = sorted((place, place + further))
        first, final = inside(steps[name], low, high - last)
        return range(max(0, first), max(0, first, min(extents[name] - 1, final) + 1))

    always = within(tap, access.offset, steps[result] * (results - 1))
    if extents[tap] - len(always) > most:
        return []
    edges = chain(range(min(always.start, extents[tap])), range(always.stop, extents[tap]))
    here = [within(result, access.offset + steps[tap] * n) for n in edges]
    ends = chain.from_iterable((some.start, some.stop) for some in here)
    bounds = sorted({0, results, *(end for end in ends if end < results)})
    found = []
    for start, stop in pairwise(bounds):
        taps = within(tap, access.offset + steps[result] * start)
        if not taps and not adding:
            return []
        if taps:
            found.append(((start, stop - start), (taps.start, len(taps))))
    return found
