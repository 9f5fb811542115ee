"""Into which blocks a contraction is cut whose arrays lie in files.

Blocks are boxes of the result; where one needs more than fits even so, the indices that are summed
are cut as well. Those are looked for of which files are read least, in long runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from contractconv.arrays.mapped import touched
from contractconv.notation.problem import Problem
from contractconv.notation.shift import Part, Ranges, block, result_block

Name = int | str
"""What is cut: an axis of the result, or an index that is summed."""
Chunks = dict[Name, int]

# What a position on the disk costs, in bytes that are read in that time.
_SEEK = 1 << 14
# What a piece costs beside its arithmetic, in such bytes.
_A_PIECE = 1 << 19
# How often blocks become longer one way and shorter another, while that is better.
_MOST_TRADES = 40


@dataclass(frozen=True)
class Kept:
    """How an array lies: in a file, or in memory, where its parts take no room.

    Attributes:
        itemsize: bytes of an element.
        strides: bytes from one element to the next along each axis.
        filed: whether it is read from a file.
    """

    itemsize: int
    strides: tuple[int, ...]
    filed: bool

    def bytes(self, place: Ranges) -> int:
        """What a part takes in memory."""
        return self.itemsize * prod(int(at.stop - at.start) for at in place) * self.filed

    def cost(self, place: Ranges) -> int:
        """What it costs to read or write a part, in bytes."""
        shape = [at.stop - at.start for at in place]
        if not self.filed or 0 in shape:
            return 0
        return max(self.bytes(place), touched(shape, self.strides, self.itemsize, _SEEK))


@dataclass(frozen=True)
class Cut:
    """A contraction in blocks.

    Attributes:
        problem: the contraction.
        chunks: how long blocks are along each axis of the result, and of which summed indices
            they take only so many values at a time.
        order: the axes of the result as they lie in memory, the longest stride first.
    """

    problem: Problem
    chunks: tuple[tuple[Name, int], ...]
    order: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many blocks the result has."""
        return prod(len(starts) for starts in self._starts)

    @property
    def _starts(self) -> list[range]:
        sizes, chunks = self.problem.output_sizes, dict(self.chunks)
        return [range(0, sizes[n], max(1, chunks.get(n, sizes[n]))) for n in self.order]

    def boxes(self) -> Iterator[Ranges]:
        """The blocks of the result, in the order in which they lie in memory."""
        sizes = self.problem.output_sizes
        for starts in product(*self._starts):
            ends = {
                n: min(sizes[n], start + s.step)
                for n, start, s in zip(self.order, starts, self._starts, strict=True)
            }
            begin = dict(zip(self.order, starts, strict=True))
            yield tuple(slice(begin[n], ends[n]) for n in range(len(sizes)))

    def pieces(self, part: Part) -> Iterator[Part]:
        """A block of the result, in pieces that are to be combined."""
        cuts = [(n, chunk) for n, chunk in self.chunks if isinstance(n, str)]
        if not cuts:
            yield part
            return
        extents = part.problem.extents
        for starts in product(*(range(0, extents[n], chunk) for n, chunk in cuts)):
            ranges = {
                n: range(start, min(start + chunk, extents[n]))
                for (n, chunk), start in zip(cuts, starts, strict=True)
            }
            piece = block(part.problem, ranges)
            if piece is not None:
                yield _within(piece, part)


def _within(piece: Part, part: Part) -> Part:
    """What a piece of a part reads of the operands themselves."""
    *reads, lands = piece.places
    moved = [
        tuple(slice(o.start + at.start, o.start + at.stop) for o, at in zip(*pair, strict=True))
        for pair in zip(part.places, reads, strict=False)
    ]
    return Part(piece.problem, (*moved, lands))


class Search:
    """Looks for few large blocks.

    Args:
        problem: the contraction, of at least one point.
        operands: how each of them lies.
        result: how the result lies.
        made: bytes that an element of the result takes while it is made.
    """

    def __init__(self, problem: Problem, operands: Sequence[Kept], result: Kept, made: int) -> None:
        self.problem, self.operands, self.result, self.made = problem, operands, result, made
        sizes = problem.output_sizes
        self.order = tuple(sorted(range(len(sizes)), key=lambda n: -abs(result.strides[n])))
        self.whole: Chunks = {n: sizes[n] for n in self.order} | {
            name: problem.extents[name] for name in problem.reduced
        }
        self.known: dict[tuple[int, ...], tuple[int, int]] = {}

    def found(self, budget: int) -> Cut | None:
        """Blocks that take no more memory than that, with what they read; ``None`` if none do."""
        # Of what costs least now, and of all alike: neither way is the better one always.
        ways = (lambda cut: self._badness(cut, budget), lambda cut: (max(cut.values()), 0, 0))
        begun = [cut for way in ways if (cut := self._fitting(budget, way)) is not None]
        better = [self._traded(cut, budget) for cut in begun]
        best = min(better, key=self._cost, default=None)
        return None if best is None else self.of(self._short(best))

    def _fitting(self, budget: int, badness: Callable[[Chunks], Any]) -> Chunks | None:
        """Halve one length after the other until it fits."""
        chunks = dict(self.whole)
        while (taken := self._taken(chunks)[0]) > budget:
            halved = [chunks | {n: -(-size // 2)} for n, size in chunks.items() if size > 1]
            better = [cut for cut in halved if self._taken(cut)[0] < taken]
            if not better:
                return None
            chunks = min(better, key=badness)
        return chunks

    def _traded(self, chunks: Chunks, budget: int) -> Chunks:
        """The same with more of one length and less of another, as long as that is better."""
        for _ in range(_MOST_TRADES):
            fits = [cut for cut in self._trades(chunks) if self._taken(cut)[0] <= budget]
            best = min(fits, key=self._cost, default=chunks)
            if self._cost(best) >= self._cost(chunks):
                break
            chunks = best
        return chunks

    def _badness(self, chunks: Chunks, budget: int) -> tuple[int, bool, int]:
        taken, cost = self._taken(chunks)
        # Blocks of the result can be kept when somebody stops: those first.
        summed = any(chunks[n] < self.whole[n] for n in chunks if isinstance(n, str))
        return max(taken, budget) * (cost + 1), summed, taken

    def _trades(self, chunks: Chunks) -> Iterator[Chunks]:
        """Blocks that are longer along something, and shorter along something else, or nothing."""
        for n, size in chunks.items():
            if size < self.whole[n]:
                longer = chunks | {n: min(2 * size, self.whole[n])}
                yield longer
                yield from (longer | {m: -(-s // 2)} for m, s in chunks.items() if m != n and s > 1)

    def _cost(self, chunks: Chunks) -> int:
        return self._taken(chunks)[1]

    def _short(self, chunks: Chunks) -> list[tuple[Name, int]]:
        return [(n, size) for n, size in chunks.items() if size < self.whole[n]]

    def of(self, chunks: Iterable[tuple[Name, int]]) -> Cut:
        """Blocks of certain lengths."""
        return Cut(self.problem, tuple(chunks), self.order)

    def typical(self, cut: Cut) -> tuple[Part, int]:
        """A piece that is as large as any, and the bytes that it takes with its block."""
        chunks = self.whole | dict(cut.chunks)
        part = result_block(self.problem, self._middle(chunks))
        pieces = [piece for piece, _ in zip(cut.pieces(part), range(2), strict=False)]
        read = pieces[-1] if pieces else part
        made = self.made * prod(part.problem.output_sizes) * (1 + (len(pieces) > 1))
        pairs = zip(self.operands, read.places, strict=False)
        return read, made + sum(kept.bytes(place) for kept, place in pairs)

    def _taken(self, chunks: Chunks) -> tuple[int, int]:
        """Bytes that a block takes, and what all of them together cost."""
        key = tuple(chunks.values())
        if key not in self.known:
            self.known[key] = self._estimated(chunks)
        return self.known[key]

    def _estimated(self, chunks: Chunks) -> tuple[int, int]:
        counts = {n: -(-size // chunks[n]) for n, size in self.whole.items()}
        piece, taken = self.typical(self.of(self._short(chunks)))
        pairs = list(zip(self.operands, piece.places, strict=False))
        cost = self.result.cost(piece.places[-1]) * self._times(counts, self.order)
        cost += _A_PIECE * prod(counts.values())
        for n, (kept, place) in enumerate(pairs):
            cost += kept.cost(place) * self._times(counts, self._moving(n))
        return taken, cost

    def _middle(self, chunks: Chunks) -> Ranges:
        sizes = self.problem.output_sizes
        starts = [(size // chunks[n] - 1) // 2 * chunks[n] for n, size in enumerate(sizes)]
        return tuple(slice(start, start + chunks[n]) for n, start in enumerate(starts))

    def _times(self, counts: Chunks, moving: Sequence[Name]) -> int:
        """How often a part changes that moves with some of what is cut, the others around it."""
        names = list(self.whole)
        last = max((k for k, n in enumerate(names) if n in moving and counts[n] > 1), default=-1)
        return prod(counts[n] for n in names[: last + 1])

    def _moving(self, operand: int) -> list[Name]:
        """What an operand moves with: axes of the result, and summed indices, that it shares."""
        read = {name for access in self.problem.operands[operand] for name in access.names}
        axes = [n for n in self.order if read & {*self.problem.output[n].names}]
        return [*axes, *(name for name in self.problem.reduced if name in read)]
