"""Cutting a contraction into parts, such that the temporary arrays of each fit a memory limit."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from itertools import product
from math import prod
from typing import NamedTuple

from contractconv.arrays.index_boxes import boxes
from contractconv.engines.numpy.memory_estimate import peak
from contractconv.notation.problem import Access, Accesses, Problem, shape_of
from contractconv.notation.shift import Part, result_block
from contractconv.planning.cost import flops, is_direct, labels_of
from contractconv.planning.path import Order
from contractconv.planning.plan import steps_of

Chunks = dict[str, int]

# Indices that are cut at most, of so many that are compared.
_MOST_CUTS, _MOST_CANDIDATES = 6, 8
# Operands of a contraction whose parts are quickly found.
_FEW_OPERANDS = 8
# Parts that are never too many, and operations that are worth a part: it takes about
# 200 us beside its arithmetic.
_MOST_PARTS, _FEW = 1 << 10, 1 << 12


def blocks(problem: Problem, most: int) -> Iterator[Part]:
    """Cut the result into blocks of at most so many elements, each of them a contraction.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("i, k -> (2*i+k)"), [(4,), (3,)], {})
        >>> for block in blocks(problem, 5):
        ...     print(block.problem, block.problem.output_sizes, block.places[-1])
        i, k -> (2*i+k) (5,) (slice(0, 5, None),)
        i, k -> (2*i+k-1) (4,) (slice(5, 9, None),)
    """
    sizes = problem.output_sizes
    names = tuple(str(n) for n in range(len(sizes)))
    for box in boxes(sizes, names, max(1, most)):
        cut = {int(label): (start, stop) for label, start, stop in box}
        yield result_block(problem, [slice(*cut.get(n, (0, size))) for n, size in enumerate(sizes)])


class Slicing(NamedTuple):
    """How a contraction is cut.

    Attributes:
        chunks: for each index that is cut how many values a part has of it.
        once: whether each element of the result is made by one part.
    """

    chunks: tuple[tuple[str, int], ...]
    once: bool

    def parts(self, problem: Problem) -> Iterator[Problem]:
        """Contractions of the same operands that together have all points, each of them once."""
        cuts = ([(n, s) for s in range(0, problem.extents[n], c)] for n, c in self.chunks)
        for starts in product(*cuts):
            yield self._from(problem, dict(starts))

    def typical(self, problem: Problem) -> Problem:
        """A part from the middle, which is as large as any."""
        middle = {n: (problem.extents[n] // c - 1) // 2 * c for n, c in self.chunks}
        return self._from(problem, middle)

    def _from(self, problem: Problem, starts: Mapping[str, int]) -> Problem:
        for name, chunk in self.chunks:
            start = starts[name]
            problem = problem.restricted(name, start, min(chunk, problem.extents[name] - start))
        return problem


class Search:
    """Looks for indices to cut, and for the largest parts that fit a memory limit.

    Args:
        problem: the contraction, of at least one point.
        itemsize: bytes of one number.
        converted: the operands that have another dtype.
        order: in which the operands meet.
        compiled: whether what products take is left out.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> from contractconv.planning.plan import order_of
        >>> problem = resolve(parse("i k, k j -> i j"), [(50, 40), (40, 20)], {})
        >>> found = Search(problem, 8, (), order_of(problem)).found(10_000)
        >>> len(list(found.parts(problem))) < 10
        True
    """

    def __init__(
        self,
        problem: Problem,
        itemsize: int,
        converted: Collection[int],
        order: Order,
        compiled: bool = False,
    ) -> None:
        self.problem = problem
        self.itemsize, self.converted, self.compiled = itemsize, converted, compiled
        self.direct = is_direct(problem)
        self.known: dict[frozenset[tuple[str, int]], tuple[int, int]] = {}
        self.order = order
        self.whole = {name: size for name, size in problem.sizes if size > 1}

    def found(self, limit: int) -> Slicing | None:
        """Few parts that fit a limit.

        Returns:
            ``None`` if not even one point at a time fits it, or there would be so many parts that
            more time were spent between them than in them.
        """
        chunks = self._chunks(limit)
        if chunks is None or self._too_many(chunks):
            return None
        return Slicing(tuple(chunks.items()), self._once(chunks))

    def least(self, limit: int) -> int:
        """A limit that is large enough, and hardly larger than it must be."""
        high = self._bytes({})
        while high // 2 > limit and self.found(high // 2) is not None:
            high //= 2
        low = max(limit, high // 2)
        # Of many operands each try takes long.
        while high - low > max(1, high // 8) and len(self.problem.operands) <= _FEW_OPERANDS:
            middle = (low + high) // 2
            low, high = (middle, high) if self.found(middle) is None else (low, middle)
        return high

    def _too_many(self, chunks: Chunks) -> bool:
        """Whether more time would be spent between parts than in them."""
        count = prod(-(-self.whole[name] // chunk) for name, chunk in chunks.items())
        return count > _MOST_PARTS and self._taken({})[1] < count * _FEW

    def _chunks(self, limit: int) -> Chunks | None:
        """How many values of each index that is cut a part has; ``None`` if none is enough."""
        chunks: Chunks = {}
        while self._bytes(chunks) > limit:
            spare = self._candidates(chunks)
            if not spare or len(chunks) == _MOST_CUTS:
                return None
            more = ({**chunks, name: 1} for name in spare)
            chunks = min(more, key=lambda cut: self._badness(cut, limit))
        for name in sorted(chunks, key=self.whole.__getitem__):
            chunks = self._grown(chunks, name, limit)
        return chunks

    def _candidates(self, chunks: Chunks) -> list[str]:
        """The indices that most of what lives in memory has."""
        names = [name for name in self.whole if name not in chunks]
        if len(names) <= _MOST_CANDIDATES:
            return names
        weights = dict.fromkeys(names, 0)
        for _, step in steps_of(_inner(self.problem, chunks), self.order):
            # An axis that is carried along whole is called like its expression.
            for name in re.findall(r"\w+", " ".join(labels_of([step.output]))):
                if name in weights:
                    weights[name] += prod(step.output_sizes)
        return sorted(names, key=weights.__getitem__)[-_MOST_CANDIDATES:]

    def _badness(self, chunks: Chunks, limit: int) -> tuple[bool, float]:
        """Work that is done again in every part, or memory that is still missing."""
        taken, work = self._taken(chunks)
        parts = prod(self.whole[name] for name in chunks)
        return taken > limit, parts * work * float(max(taken, limit))

    def _grown(self, chunks: Chunks, name: str, limit: int) -> Chunks:
        """As many values of an index in a part as fit, in parts of equal size."""
        size = self.whole[name]
        tried = range(2, size + 1)
        most = 1 + bisect_right(tried, limit, key=lambda n: self._bytes({**chunks, name: n}))
        if most == size:
            return {n: chunk for n, chunk in chunks.items() if n != name}
        return {**chunks, name: -(-size // -(-size // most))}

    def _bytes(self, chunks: Chunks) -> int:
        return self._taken(chunks)[0]

    def _taken(self, chunks: Chunks) -> tuple[int, int]:
        """Bytes that a part takes, and its operations."""
        key = frozenset(chunks.items())
        if key not in self.known:
            steps = steps_of(_inner(self.problem, chunks), self.order)
            adding = not self._once(chunks)
            size = peak(steps, self.converted, self.itemsize, adding, self.compiled)
            self.known[key] = size, sum(flops(step) for _, step in steps)
        return self.known[key]

    def _once(self, chunks: Chunks) -> bool:
        return self.direct and self.problem.kept.issuperset(chunks)


def _inner(problem: Problem, chunks: Chunks) -> Problem:
    """A part of such extents, wherever it lies, that reads as much as any."""
    sizes = tuple((name, chunks.get(name, size)) for name, size in problem.sizes)
    extents = dict(sizes)

    def moved(access: Access) -> Access:
        low, high = access.reach(problem.extents)
        outside = low < 0 or high >= access.size * access.divisor
        here, there = access.reach(extents)
        size = min(access.size, (there - here) // access.divisor + 1)
        return Access(access.terms, access.offset - here - outside, access.divisor, size)

    def cut(accesses: Accesses) -> Accesses:
        return tuple(moved(a) if any(name in chunks for name in a.names) else a for a in accesses)

    operands, output = tuple(map(cut, problem.operands)), cut(problem.output)
    return Problem(operands, output, sizes, problem.reduce, shape_of(output))
