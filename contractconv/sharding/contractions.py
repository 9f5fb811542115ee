"""A contraction over devices: what each reads, computes, and adds to what others computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd, lcm, prod

from contractconv.lazy import Value, remembered
from contractconv.notation.problem import Access, Accesses, Problem, shape_of
from contractconv.notation.spec import SUM
from contractconv.reductions.record import Record
from contractconv.reductions.table import REDUCTIONS
from contractconv.sharding.layouts import Layout, Split
from contractconv.sharding.moves import Move, combination, returns
from contractconv.sharding.windows import Passage, Window

Splits = Mapping[str, Split]


@dataclass(frozen=True)
class ShardedContraction(Value):
    """A contraction over devices, compositions split.

    Attributes:
        problem: the contraction.
        splits: the indices of which each device has a block, with those.
        layouts: how the operands lie.
        reads: for each operand and axis what devices read.
        writes: for each axis of the result what they make.
    """

    problem: Problem
    splits: tuple[tuple[str, Split], ...]
    layouts: tuple[Layout, ...]
    reads: tuple[tuple[Passage, ...], ...]
    writes: tuple[Passage, ...]

    @staticmethod
    def of(
        problem: Problem, splits: Splits, layouts: Sequence[Layout], output: Layout
    ) -> ShardedContraction:
        """Plan a contraction.

        Args:
            problem: the contraction.
            splits: its indices that are split, along different axes of the mesh.
            layouts: how its operands lie.
            output: how its result shall lie.
        """
        extents = problem.extents | {name: split.block for name, split in splits.items()}

        def passages(term: Accesses, layout: Layout) -> tuple[Passage, ...]:
            pairs = zip(term, layout, strict=True)
            return tuple(Passage.between(Window.of(a, extents, splits), s) for a, s in pairs)

        reads = tuple(map(passages, problem.operands, layouts))
        return ShardedContraction(
            problem, tuple(splits.items()), tuple(layouts), reads, passages(problem.output, output)
        )

    @property
    def record(self) -> Record:
        """The reduction."""
        return REDUCTIONS[self.problem.reduce]

    @remembered
    def combined(self) -> tuple[str, ...]:
        """The axes of the mesh along which every device has a part of each element."""
        told = {p.moved.along for p in self.writes if p.split and not p.gathered}
        return tuple(split.along for _, split in self.splits if split.along not in told)

    @property
    def scattered(self) -> tuple[tuple[int, Split], ...]:
        """The axes of the result of which a device keeps a block of what it has whole."""
        return tuple((n, p.moved) for n, p in enumerate(self.writes) if p.gathered)

    @remembered
    def extents(self) -> dict[str, int]:
        """The extents of the indices on one device."""
        return self.problem.extents | {name: split.block for name, split in self.splits}

    @remembered
    def checked(self) -> tuple[str, ...]:
        """The indices that have values behind their ends on some device, which must not count."""
        extents = self.problem.extents
        return tuple(n for n, s in self.splits if s.pads(extents[n]) and not self._is_told(n))

    def _is_told(self, name: str) -> bool:
        """Whether points behind the end of an index meet padding, and nothing else."""
        met = [a for term in self.problem.operands for a in term]
        if any(a.plain == name and a.size <= self.problem.extents[name] for a in met):
            return True
        lands = [(a, p) for a, p in zip(self.problem.output, self.writes, strict=True)
                 if name in a.names]  # fmt: skip
        return len(lands) == 1 and lands[0][0].plain == name and lands[0][1].way == "as it is"

    @remembered
    def by_points(self) -> bool:
        """Whether points are told apart one by one before they are reduced."""
        if self.record.linear:
            return False
        if len(self.problem.operands) == 1:
            return bool(self.checked)
        told = (p for passages in self.reads for p in passages)
        return bool(self.checked) or any(p.masks(zero=False) or (p.leaves and p.window.steps)
                                         for p in told)  # fmt: skip

    @remembered
    def local(self) -> Problem:
        """What one device computes, of what it has read."""
        operands = tuple(map(self._locally, self.problem.operands, self.reads))
        if self.record.linear:
            operands += tuple((Access.along(n, self.extents[n]),) for n in self.checked)
        output = self._locally(self.problem.output, self.writes)
        reduce = SUM if self.record.linear else self.problem.reduce
        return Problem(operands, output, tuple(self.extents.items()), reduce, shape_of(output))

    def _locally(self, term: Accesses, passages: tuple[Passage, ...]) -> Accesses:
        return tuple(_inside(a, p.window) for a, p in zip(term, passages, strict=True))

    @remembered
    def points(self) -> Problem:
        """The products of all points of a device, which :attr:`landing` reduces."""
        whole = tuple(Access.along(name, size) for name, size in self.extents.items())
        return replace(self.local, output=whole, reduce=SUM, result_shape=shape_of(whole))

    @remembered
    def landing(self) -> Problem:
        """The reduction of all points of a device."""
        return replace(self.local, operands=(self.points.output,))

    def returned(self) -> Iterator[Move]:
        """What is moved of the result, to whom it belongs."""
        yield from returns(self.writes, self.local.result_shape)
        yield from self._combinations()

    def _combinations(self) -> Iterator[Move]:
        sizes = [_whole(passage) for passage in self.writes]
        scattered = {split.along: n for n, split in self.scattered}
        counts = {split.along: split.count for _, split in self.splits}
        for along in self.combined:
            move = combination(self.record, along, counts[along], prod(sizes))
            if along in scattered and self.record.combine == "add":
                move = Move("psum_scatter", along, -(-move.elements // 2))
                sizes[scattered[along]] //= counts[along]
            yield move


def _whole(passage: Passage) -> int:
    """The size of an axis of the result when it is combined."""
    if passage.split is None:
        return passage.window.size
    return passage.split.padded if passage.gathered else passage.split.block


def _inside(access: Access, window: Window) -> Access:
    """An axis, as it is met in a window of it."""
    if not window.steps:
        return access
    offset = access.offset - window.base * access.divisor
    return Access(access.terms, offset, access.divisor, window.width)


def granule_of(problem: Problem, name: str) -> int:
    """Of how many values a block has to be a multiple, so that fractions are the same in all."""
    met = (a for term in (*problem.operands, problem.output) for a in term if name in a.names)
    return lcm(*(a.divisor // gcd(a.divisor, dict(a.terms)[name]) for a in met))


def landing_layout(problem: Problem, splits: Splits, wanted: Mapping[int, str],
                   counts: Mapping[str, int]) -> Layout:  # fmt: skip
    """How a result lies: axes of one split index as that does, others as is wanted.

    Args:
        problem: the contraction.
        splits: its indices that are split.
        wanted: for axes of the result the axis of the mesh.
        counts: how many devices each of these has.
    """
    uses = Counter(name for access in problem.output for name in access.names)

    def split(n: int, access: Access) -> Split | None:
        along = wanted.get(n)
        if along is None:
            return None
        own = splits.get(access.plain or "")
        if own is not None and own.along == along and uses[access.plain or ""]:
            return own
        return Split.of(access.size, along, counts[along])

    return tuple(split(n, access) for n, access in enumerate(problem.output))
