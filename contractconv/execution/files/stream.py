"""Carrying out a contraction block by block: files are read and written in between.

A block of the result is made in memory, of what it reads of the operands, and written once. What
has been written is noted beside the result's file, so that a call that was stopped goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.epilogue import Ending
from contractconv.arrays.mapped import Mapped, mapped
from contractconv.arrays.precision import rounded, working_dtype
from contractconv.arrays.views import Array
from contractconv.errors import MemoryLimitError, UnfinishedError
from contractconv.execution.files import mark as marks
from contractconv.execution.files.cuts import Cut, Kept, Search
from contractconv.execution.files.mark import Mark
from contractconv.execution.limited_plans import planned_within
from contractconv.execution.local_weights import as_divisor, divide, landing_points
from contractconv.execution.memory_limit import within
from contractconv.execution.run import carry_out
from contractconv.execution.stages import identities
from contractconv.notation.problem import Problem
from contractconv.notation.shift import Part, Ranges, result_block
from contractconv.notation.spec import SUM
from contractconv.planning.options import Options
from contractconv.progress import Progress
from contractconv.reductions.numbers import ufunc
from contractconv.reductions.table import REDUCTIONS
from contractconv.version import VERSION

# Bytes of a file that are in memory while they are copied, at most and at least.
_SLAB, _LEAST_SLAB = 1 << 23, 1 << 18
# The shares of the limit that blocks may take; the rest is for what happens to them.
_SHARES = (2, 3, 4, 6, 8, 12, 16, 32)
# Bytes that are written, or seconds that pass, until they are brought to the disk and noted.
_UNNOTED, _PATIENCE = 1 << 26, 1.0


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
        problem: the contraction, of at least one point.
        operands: its operands, compositions split.
        out: what is filled, compositions split.
        dtype: in what operands meet.
        result: to what the result is rounded before it is put into ``out``.
        options: by which algorithm, and how it is shown.
        ending: what is done to the result.
        limit: bytes that may be in memory, of files and of what is computed.
    """

    problem: Problem
    operands: tuple[Array, ...]
    out: Array
    dtype: np.dtype[Any]
    result: np.dtype[Any]
    options: Options
    ending: Ending | None
    limit: int

    @property
    def slab(self) -> int:
        """Bytes of a file that are in memory while they are copied."""
        return max(_LEAST_SLAB, min(_SLAB, self.limit // 8))

    def digest(self) -> str:
        """What makes the result what it is."""
        asked, order = self.options, self.options.optimize
        facts: Mapping[str, Any] = {
            "version": VERSION, "problem": self.problem,
            "dtypes": (self.dtype.name, self.result.name),
            "casting": asked.casting, "algorithm": asked.algorithm, "limit": asked.memory_limit,
            "order": None if callable(order) else order, "minimize": asked.minimize,
            "activation": None if self.ending is None else self.ending.activation,
            "out": (self.out.shape, self.out.strides, self.out.dtype.name),
        }  # fmt: skip
        bias = None if self.ending is None else self.ending.bias
        return marks.digest(facts, [bias, *self.operands])


def carry_out_by_blocks(job: Job) -> None:
    """Fill the result.

    Raises:
        MemoryLimitError: not even small blocks fit the limit.
        UnfinishedError: the result, or the mark beside it, cannot be written.
    """
    file = mapped(job.out)
    mark = _begun(job, file)
    search = _search(job)
    cut, inner = _cut(job, search, mark)
    if mark is not None and (mark.cut, mark.blocks) != (_listed(cut), cut.count):
        mark.cut, mark.blocks, mark.done = _listed(cut), cut.count, {}
    _Stream(job, cut, inner, _Journal(file, mark)).run()


def _begun(job: Job, file: Mapped | None) -> Mark | None:
    """The mark of this very result, a new one if there is none; ``None`` without a file."""
    if file is None or file.path is None:
        return None
    digest, found = job.digest(), marks.read(file.path)
    if found is not None and found.digest == digest:
        return found
    return Mark(file.path, digest, str(job.problem), [], 0)


def _listed(cut: Cut) -> list[list[Any]]:
    return [[name, size] for name, size in cut.chunks]


def _search(job: Job) -> Search:
    operands = [Kept(a.itemsize, a.strides, mapped(a) is not None) for a in job.operands]
    result = Kept(job.out.itemsize, job.out.strides, mapped(job.out) is not None)
    numbers = working_dtype(job.problem, job.dtype)
    made = numbers.itemsize + job.out.itemsize * (job.out.dtype != numbers)
    return Search(job.problem, operands, result, made)


def _cut(job: Job, search: Search, mark: Mark | None) -> tuple[Cut, int]:
    """Blocks, those of the mark if they fit, and the bytes that are left beside one of them."""
    room = job.limit - job.slab
    if mark is not None and mark.cut:
        cut = search.of((name, size) for name, size in mark.cut)
        _, taken = search.typical(cut)
        if taken < room:
            return cut, room - taken
    for share in _SHARES:
        found = search.found(room // share)
        if found is None:
            break
        piece, taken = search.typical(found)
        asked = _inner(job, room - taken)
        with suppress(MemoryLimitError):
            planned_within(piece.problem, job.dtype, asked)
            return found, room - taken
    raise MemoryLimitError(
        f"a memory limit of {job.limit} bytes is too small for blocks of '{job.problem}', whose "
        f"arrays lie in files"
    )


def _inner(job: Job, limit: int) -> Options:
    asked = job.options
    return Options(
        algorithm=asked.algorithm, optimize=asked.optimize, minimize=asked.minimize,
        memory_limit=limit,
    )  # fmt: skip


class _Step(NamedTuple):
    """A piece of a block of the result.

    Attributes:
        number: that of the block.
        part: the block.
        piece: what of it is made now: the block itself, if it is not cut; nothing, if nothing
            contributes.
        last: whether the block is complete then.
    """

    number: int
    part: Part
    piece: Part | None
    last: bool


class _Reader:
    """Reads parts of an operand, and keeps the last one."""

    def __init__(self, array: Array, slab: int) -> None:
        self.array, self.file, self.slab = array, mapped(array), slab
        self.place: Ranges | None = None
        self.buffer = np.empty(0, array.dtype)
        self.view = array

    def read(self, place: Ranges) -> Array:
        """A part, in memory."""
        if self.file is None:
            return within(self.array, place)
        if place != self.place:
            shape = tuple(at.stop - at.start for at in place)
            if self.buffer.size < prod(shape):
                self.view = self.buffer = np.empty(0, self.array.dtype)  # before there are two
                self.buffer = np.empty(prod(shape), self.array.dtype)
            self.view = self.buffer[: prod(shape)].reshape(shape)
            self.place = None
            if self.view.size:
                self.file.read(place, self.view, self.slab)
            self.place = place
        return self.view

    def expect(self, place: Ranges) -> None:
        """A part will be read next."""
        if self.file is not None and place != self.place:
            self.file.expect(place)


class _Journal:
    """Notes which blocks are on the disk."""

    def __init__(self, file: Mapped | None, mark: Mark | None) -> None:
        self.file, self.mark = file, mark
        self.written: dict[int, int] = {}
        self.bytes, self.noted = 0, time.monotonic()

    def begin(self) -> None:
        """Put the mark there before anything is written."""
        if self.mark is not None:
            with self._told():
                self.mark.write()

    def has(self, number: int, box: Ranges, slab: int) -> bool:
        """Whether a block is there as it was noted: somebody may have emptied the file since."""
        if self.mark is None or self.file is None or number not in self.mark.done:
            return False
        values = np.empty([at.stop - at.start for at in box], self.file.array.dtype)
        self.file.read(box, values, slab)
        return marks.checked(values) == self.mark.done[number]

    def write(self, number: int, box: Ranges, values: Array, slab: int) -> None:
        """Put a block into the file, and note it, later if it is small."""
        assert self.file is not None, "only files are noted"
        with self._told():
            self.file.write(box, values, slab)
            if self.mark is None:
                return
            self.written[number] = marks.checked(values)
            self.bytes += values.nbytes
            if self.bytes >= _UNNOTED or time.monotonic() > self.noted + _PATIENCE:
                self.note()

    def note(self) -> None:
        """Bring what was written to the disk, and then the mark."""
        if self.mark is None or self.file is None or not self.written:
            return
        self.file.flush()
        self.mark.done |= self.written
        self.mark.write()
        self.written, self.bytes, self.noted = {}, 0, time.monotonic()

    def finish(self) -> None:
        """All is there: bring it to the disk, and remove the mark."""
        if self.file is not None:
            with self._told():
                self.file.flush()
                if self.mark is not None:
                    self.mark.remove()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            path = None if self.file is None else self.file.path
            done = 0 if self.mark is None else len(self.mark.done | self.written)
            blocks = 0 if self.mark is None else self.mark.blocks
            raise UnfinishedError(
                f"{path} cannot be written ({error.strerror or error}): {done} of {blocks} blocks "
                f"are there; make room, or see that you may write, and call again to go on"
            ) from error


class _Stream:
    """The blocks of a contraction, one after the other."""

    def __init__(self, job: Job, cut: Cut, inner: int, journal: _Journal) -> None:
        self.job, self.cut, self.journal = job, cut, journal
        self.options = _inner(job, inner)
        self.readers = [_Reader(array, job.slab) for array in job.operands]
        self.record = REDUCTIONS[job.problem.reduce]
        self.numbers = working_dtype(job.problem, job.dtype)

    def run(self) -> None:
        """Fill the result; what is there when somebody stops it is noted."""
        self.journal.begin()
        with Progress(self.job.options.progress, "block", lines=True) as progress:
            progress.begin(self.cut.count)
            try:
                self._go_through(progress)
            except BaseException:
                with suppress(OSError):
                    self.journal.note()
                raise
        self.journal.finish()

    def _go_through(self, progress: Progress) -> None:
        total: Array | None = None
        for step, following in pairwise(chain(self._steps(progress), [None])):
            assert step is not None, "nothing follows the last one"
            views = self._read(step)
            if following is not None and following.piece is not None:
                for reader, place in zip(self.readers, following.piece.places, strict=False):
                    reader.expect(place)
            total = self._made(step, views, total)
            if step.last:
                self._put(step, total)
                total = None
                progress.step()

    def _steps(self, progress: Progress) -> Iterator[_Step]:
        """What is left to be done, in turn."""
        for number, box in enumerate(self.cut.boxes()):
            if self.journal.has(number, box, self.job.slab):
                progress.step()
                continue
            part = result_block(self.job.problem, box)
            pieces: list[Part | None] = [*self.cut.pieces(part)]
            for count, piece in enumerate(pieces or [None], start=1):
                yield _Step(number, part, piece, count >= len(pieces))

    def _read(self, step: _Step) -> list[Array]:
        if step.piece is None:
            return []
        pairs = zip(self.readers, step.piece.places, strict=False)
        return [reader.read(place) for reader, place in pairs]

    def _made(self, step: _Step, views: Sequence[Array], total: Array | None) -> Array:
        """A block so far, rounded when it is complete."""
        ending = self._ending(step.part.places[-1])
        if step.piece is step.part:
            return carry_out(step.part.problem, views, self.options, self.job.dtype, ending)
        made = identities(step.part.problem, self.numbers) if total is None else total
        if step.piece is not None:
            self._add(step.piece, views, made)
        if not step.last:
            return made
        if self.record.averages:
            divide(made, as_divisor(landing_points(step.part.problem), made.dtype))
        if ending is not None:
            ending.apply(made)
        return made

    def _add(self, piece: Part, views: Sequence[Array], total: Array) -> None:
        averages = self.record.averages
        problem = replace(piece.problem, reduce=SUM) if averages else piece.problem
        made = carry_out(problem, views, self.options, self.numbers)
        there = within(total, piece.places[-1])
        ufunc(self.record)(there, made, out=there)

    def _ending(self, box: Ranges) -> Ending | None:
        """What is done to a block in the end; the axis of a bias may be split."""
        ending = self.job.ending
        if ending is None or ending.bias is None:
            return ending
        sizes = self.job.problem.output_sizes
        last = next(n for n in range(1, len(sizes) + 1) if prod(sizes[-n:]) == ending.bias.size)
        return ending._replace(bias=within(ending.bias.reshape(sizes[-last:]), box[-last:]))

    def _put(self, step: _Step, made: Array) -> None:
        out, box = self.job.out, step.part.places[-1]
        values = rounded(made, self.job.result)
        values = values.astype(out.dtype, casting=self.job.options.casting, copy=False)
        if self.journal.file is None:
            within(out, box)[...] = values
        else:
            self.journal.write(step.number, box, values, self.job.slab)
