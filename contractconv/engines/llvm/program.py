"""Programs of kernel calls that run in one go, without Python between them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.views import Array
from contractconv.engines.llvm.kernels import dispatch as kernel
from contractconv.engines.llvm.kernels.native import Native
from contractconv.engines.llvm.parallel_program import carry_out
from contractconv.machine.memory import Table, address, give, lent, lines, spare, take
from contractconv.machine.placement import LINE
from contractconv.machine.threads import get_num_threads
from contractconv.planning.workspace import Loan, Workspace

# Regions of every program: of each thread, and of all.
_OWN, _COMMON = ("scratch", "trash"), ("shared", "zeros")
_NOT_OURS = (*_OWN, *_COMMON)
# The number of the first region that is the caller's; that of an argument that is none is 0.
_OURS = 1 + len(_OWN) + len(_COMMON)


class Place(NamedTuple):
    """So many bytes into a region of memory whose address is known later."""

    region: str
    offset: int = 0


class Call(NamedTuple):
    """A kernel call; or one of several calls that are made again and again, in turns.

    Attributes:
        arguments: each is an integer, an array of offsets (which is kept alive), or a place.
        steps: what numbers and places gain from one time to the next.
        times: how often it is made.
        turn: which of the calls it is that take turns.
        turns: how many take turns.
    """

    function: Native
    arguments: dict[int, Any]
    steps: Mapping[int, int] = MappingProxyType({})
    times: int = 1
    turn: int = 0
    turns: int = 1


class Calls:
    """Kernel calls in order."""

    def __init__(self) -> None:
        self.listed: list[Call] = []

    def __len__(self) -> int:
        return sum(call.times for call in self.listed)

    def call(self, function: Native, arguments: Mapping[int, Any]) -> None:
        """Append one call."""
        self.listed.append(Call(function, dict(arguments)))

    def each(self, make: Callable[[Calls, int], None], numbers: range) -> None:
        """Append the calls for each of some numbers: the same, but for places that move evenly.

        They are made for two numbers only, as there may be as many numbers as an array is long.
        """
        if len(numbers) < 3:
            for number in numbers:
                make(self, number)
            return
        first, second = Calls(), Calls()
        make(first, numbers[0])
        make(second, numbers[1])
        self.listed += [
            Call(one.function, one.arguments, _steps(one, two), len(numbers), turn, len(first))
            for turn, (one, two) in enumerate(zip(first.listed, second.listed, strict=True))
        ]

    def then(self, others: Calls) -> Calls:
        """These calls, and then others."""
        both = Calls()
        both.listed = self.listed + others.listed
        return both

    def shifted(self, region: str, offset: int) -> Calls:
        """The same calls, with what is in one region so many bytes further on."""
        return self.placed(region, {region: offset})

    def placed(self, region: str, places: Mapping[str, int]) -> Calls:
        """The same calls, with some regions in one, each so many bytes from its beginning."""

        def move(place: Place) -> Place:
            moved = places.get(place.region)
            return place if moved is None else Place(region, moved + place.offset)

        return self._moved(move)

    def renamed(self, behind: str) -> Calls:
        """The same calls, with something behind the names of the caller's regions."""

        def move(place: Place) -> Place:
            ours = place.region in _NOT_OURS
            return place if ours else Place(place.region + behind, place.offset)

        return self._moved(move)

    def _moved(self, move: Callable[[Place], Place]) -> Calls:
        made = Calls()
        for call in self.listed:
            given = {n: move(v) if isinstance(v, Place) else v for n, v in call.arguments.items()}
            made.listed.append(call._replace(arguments=given))
        return made


def _steps(one: Call, two: Call) -> dict[int, int]:
    """By how much the numbers and places of a call change from one time to the next."""
    pairs = ((n, _number(value), _number(two.arguments[n])) for n, value in one.arguments.items())
    return {n: after - before for n, before, after in pairs if after != before}


def _number(value: Any) -> int:
    """A number, or so many bytes; tables are the same every time."""
    if isinstance(value, Place):
        return value.offset
    return 0 if isinstance(value, np.ndarray) else int(value)


def _rows(pieces: Iterable[Calls]) -> Iterator[tuple[slice, Call]]:
    """Where in a table of calls, one a row, each of them stands."""
    first = 0
    for call in chain(*(piece.listed for piece in pieces)):
        end = first + call.turns * call.times
        yield slice(first + call.turn, end, call.turns), call
        if call.turn == call.turns - 1:
            first = end


@dataclass(frozen=True, eq=False)
class Program:
    """Calls on all threads, and the memory that they need.

    The regions of the operands are called as :meth:`Prepared.run` is told, that of the result is
    ``"out"``.
    Each thread has ``"scratch"`` and ``"trash"`` for itself; all share ``"shared"`` and
    ``"zeros"``.

    Attributes:
        stages: what has to be done, one list of pieces after the other.
        shared: bytes that all threads share.
        scratch: bytes that each thread needs for itself.
        blank: bytes of zeros that are read where there is no element, and of trash that is
            written there.
        copies: how many results are summed at the end; more than one if threads share out what
            is summed: then the others are called ``"out1"``, ``"out2"``, ...
        alone: whether matrix products, which are among its calls, shall take one thread each.
        common: what the first stage, and every other one after it, leaves in shared memory; where
            it is equal to that of another program on the same operands, one of both can do it for
            the other.
    """

    stages: Sequence[Sequence[Calls]]
    shared: int = 0
    scratch: int = 0
    blank: int = 0
    copies: int = 1
    alone: bool = False
    common: Hashable = None

    @staticmethod
    def joined(programs: Sequence[Program]) -> Program:
        """Programs that write different elements of one result, at the same time.

        Pieces take turns: what each program does first, then what each does next. So those of one
        part of the result follow each other, and it is in cache while all of its elements are
        written; likewise what they read.
        """
        count = max(len(p.stages) for p in programs)
        stages: list[list[Sequence[Calls]]] = [[] for _ in range(count)]
        places: dict[Hashable, int] = {}
        shared = 0
        for program in programs:
            place = shared if program.common is None else places.get(program.common, shared)
            for n, stage in enumerate(program.stages):
                if n % 2 or place == shared:
                    stages[n].append([calls.shifted("shared", place) for calls in stage])
            if place == shared:
                places[program.common] = place
                shared += lines(program.shared)
        return Program(
            [_in_turns(stage) for stage in stages],
            shared,
            max(p.scratch for p in programs),
            max(p.blank for p in programs),
            max(p.copies for p in programs),
        )

    @staticmethod
    def in_sequence(programs: Sequence[Program]) -> Program:
        """Programs that add to one result, one after the other, on the same arrays.

        None of them has further results.
        """
        assert all(p.copies == 1 for p in programs), "further results would be added once"
        return Program._behind_each_other(programs)

    @staticmethod
    def in_turn(programs: Sequence[Program]) -> Program:
        """One program after the other, each on arrays of its own.

        Behind the names of the regions of each of them stands its number: ``"out.0"``, ``"0.1"``.
        """
        return Program._behind_each_other(
            [
                replace(p, stages=[[calls.renamed(f".{n}") for calls in s] for s in p.stages])
                for n, p in enumerate(programs)
            ]
        )

    @staticmethod
    def _behind_each_other(programs: Sequence[Program]) -> Program:
        return Program(
            [stage for program in programs for stage in program.stages],
            max(p.shared for p in programs),
            max(p.scratch for p in programs),
            max(p.blank for p in programs),
            alone=any(p.alone for p in programs),
        )

    @property
    def further(self) -> list[str]:
        """The regions of further results that are added to it."""
        return [f"out{n}" for n in range(1, self.copies)]

    @property
    def size(self) -> int:
        """How many calls it makes."""
        return sum(map(len, chain(*self.stages)))


def _in_turns(lists: Sequence[Sequence[Calls]]) -> list[Calls]:
    """The pieces of some lists, those first that come early in theirs."""
    placed = [(n / len(pieces), one) for pieces in lists for n, one in enumerate(pieces)]
    return [one for _, one in sorted(placed, key=itemgetter(0))]


def add_copies(out: Array, others: Iterable[Array]) -> None:
    """Add to a result what other threads have made of it."""
    # Other pieces of the result may not have been written yet: anything lies there.
    with np.errstate(invalid="ignore"):
        for other in others:
            np.add(out, other, out=out)


class Prepared:
    """A program for so many threads as there are, with everything as the machine reads it.

    It is complete when it is made: threads share it, and each run takes a state of its own.

    Attributes:
        program: the program.
        reserved: bytes that one run asks for beside copies of the result.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        # How many threads can have something to do at the same time.
        threads = min(get_num_threads(), max(1, *map(len, program.stages)))
        own, self.reserved = _layout(program, threads)
        self._zeros = int(own[0, -1])
        self._tables = _tables(program, own)
        # What runs change, kept for the next ones.
        self._idle: list[_State] = []

    def run(self, operands: Mapping[str, Array], out: Array) -> None:
        """Write to ``out``, or add to it, as the calls do."""
        # Like the result in memory too: the same offsets lead into all of them.
        extra = {name: np.zeros_like(out) for name in self.program.further}
        given = {**operands, "out": out, **extra}
        self.run_on([given[name] for name in self.regions], take)
        if extra:
            add_copies(out, extra.values())

    @property
    def regions(self) -> tuple[str, ...]:
        """The names of the caller's regions."""
        return self._tables.regions

    def run_on(self, arrays: Sequence[Array], take: Callable[[int], Array] = spare) -> None:
        """Do what the calls do.

        Args:
            arrays: the caller's regions, in order; copies of the result among them.
            take: what lends memory for the rest.
        """
        heads, bases, counters = state = self._taken()
        counters.fill(0)
        bases.lend(_OURS, arrays)
        memory = take(self.reserved) if self.reserved else None
        try:
            if memory is not None:
                self._lay_out(bases, memory)
            carry_out(heads, self.program.alone)
        finally:
            if memory is not None:
                give(memory)
        bases.let_go()
        self._idle.append(state)

    def extra(self, result: int) -> int:
        """Bytes that one run takes beyond operands and result, given the bytes of the result."""
        reserved = lent(self.reserved) if self.reserved else 0
        return reserved + (self.program.copies - 1) * result

    def workspace(self, result: int) -> Workspace:
        """What one run takes beyond operands and result, given the bytes of the result."""
        loans = (Loan(self.reserved, scratch=True),) if self.reserved else ()
        return Workspace(loans, (self.program.copies - 1) * result)

    def _taken(self) -> _State:
        """What one run changes: that of an earlier one, unless another run is using it."""
        try:
            return self._idle.pop()
        except IndexError:
            pass
        heads, bases = self._tables.heads.copy(), Table((_OURS + len(self._tables.regions),))
        counters = np.empty(self._tables.counters, np.int64)
        heads.point((slice(None), kernel.COUNTERS), counters)
        heads.point((slice(None), kernel.BASES), bases)
        return _State(heads, bases, counters)

    def _lay_out(self, bases: Table, memory: Array) -> None:
        """Give every thread its scratch, and all of them what they share."""
        begin = -address(memory) % LINE
        bases.lend_alike(range(1, _OURS), memory, begin)
        blank = lines(self.program.blank)
        if blank:
            zeros = begin + self._zeros
            memory[zeros : zeros + blank] = 0


class _State(NamedTuple):
    """What a run changes.

    Attributes:
        heads: for each thread the program.
        bases: where regions begin.
        counters: what threads count on.
    """

    heads: Table
    bases: Table
    counters: Array


class _Tables(NamedTuple):
    """A program as the machine sees it.

    Attributes:
        heads: for each thread the program without what a run changes.
        regions: the caller's.
        counters: how many there are.
    """

    heads: Table
    regions: tuple[str, ...]
    counters: int


def _layout(program: Program, threads: int) -> tuple[Array, int]:
    """Where the memory of each thread and of all of them begins, and the bytes of it all.

    First comes what all threads share, then the zeros, then scratch and trash of each thread.
    """
    shared, scratch, blank = map(lines, (program.shared, program.scratch, program.blank))
    own = shared + blank + np.arange(threads, dtype=np.int64) * (scratch + blank)
    size = shared + blank + threads * (scratch + blank)
    places = np.stack([own, own + scratch, 0 * own, 0 * own + shared], axis=1)
    return places, size + LINE if size else 0


def _tables(program: Program, own: Array) -> _Tables:
    pieces = list(chain(*program.stages))
    count = sum(map(len, pieces))
    kernels, regions = Table((count,)), np.zeros((count, kernel.WIDTH), np.uint8)
    arguments = Table((count, kernel.WIDTH))
    names = [*_OWN, *_COMMON]
    for n, call in _rows(pieces):
        kernels.point(n, call.function)
        for place, value in call.arguments.items():
            if isinstance(value, Place):
                if value.region not in names:
                    names.append(value.region)
                regions[n, place] = 1 + names.index(value.region)
                arguments.numbers[n, place] = value.offset
            elif isinstance(value, np.ndarray):
                arguments.point((n, place), value)
            else:
                arguments.numbers[n, place] = value
        for place, step in call.steps.items():
            arguments.numbers[n, place] += step * np.arange(call.times)
    heads = Table((len(own), kernel.OWN + 1 + len(names)))
    heads.numbers[:, kernel.OWN + 1 : kernel.OWN + _OURS] = own
    heads.numbers[:, kernel.STAGES] = len(program.stages)
    heads.numbers[:, kernel.SHARES] = len(own)
    heads.numbers[:, kernel.SHARE] = np.arange(len(own))
    sizes = np.array(list(map(len, program.stages)), np.int64)
    # The first piece of each share of each stage, and the one after the last.
    shares = (np.cumsum(sizes) - sizes)[:, None] + sizes[:, None] * np.arange(len(own)) // len(own)
    for column, table in (
        (kernel.PIECES, np.append(shares, sizes.sum())),
        (kernel.CALLS, np.cumsum([0, *map(len, pieces)])),
        (kernel.KERNELS, kernels), (kernel.ARGUMENTS, arguments), (kernel.REGIONS, regions),
    ):  # fmt: skip
        heads.point((slice(None), column), table)
    counters = kernel.COUNTER * (len(own) + 1) * len(program.stages)
    return _Tables(heads, tuple(names[_OURS - 1 :]), counters)


def offsets(*loops: tuple[int, int]) -> Array:
    """The bytes to add for every combination of loops (size, step), the last one fastest."""
    total = np.zeros((), np.int64)
    for size, step in loops:
        # From a single value there is no step, however large it would be.
        total = np.add.outer(total, np.arange(size, dtype=np.int64) * (step if size > 1 else 0))
    return np.ascontiguousarray(total).reshape(-1)
