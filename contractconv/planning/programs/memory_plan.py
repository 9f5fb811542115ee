"""The memory of a program: which arrays are there when, where they lie, and what that comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from contractconv.errors import MemoryLimitError
from contractconv.machine.placement import LINE, Place, Placement
from contractconv.planning.programs.costs import costs_of
from contractconv.planning.programs.lives import Life, Taken, alive, last_reads, lives
from contractconv.planning.programs.placement import Block, placed
from contractconv.planning.programs.rematerialization import orders, plain_orders
from contractconv.planning.workspace import Workspace
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Node

# Bytes of what leads to a place.
_BYTES_A_PLACE = 512
# What is left of a limit to the interpreter, whose lists and tables are not counted: so many bytes
# and one part in so many, but at most a larger part.
_SPARE, _PART, _LARGEST_PART = 1 << 15, 64, 16
# Moments of a step: more stages than one has are not told apart.
_STAGES = 64


class Span(NamedTuple):
    """Memory that several steps in a row take together.

    Attributes:
        first: the number of the first one, in their order.
        last: that of the last one.
        size: bytes.
    """

    first: int
    last: int
    size: int


@dataclass(frozen=True)
class MemoryPlan:
    """The memory of a program.

    Attributes:
        order: the numbers of the steps as they are carried out, some perhaps more than once.
        gone: for each of them the nodes that are not there any more behind it.
        placement: where arrays lie that are not returned; ``None`` if each of them has memory of
            its own, which is given back with it.
        alive: for each step the bytes of all arrays that are there, and of what it takes.
        peak: bytes that are taken at once, at most.
        spans: what several steps in a row take together, as they are carried out by one call.
    """

    order: tuple[int, ...]
    gone: tuple[tuple[Node, ...], ...]
    placement: Placement | None
    alive: tuple[int, ...]
    peak: int
    spans: tuple[Span, ...] = ()


def memory_plan(
    program: Typed,
    taken: Sequence[Taken],
    lent: Sequence[bool],
    limit: int | None = None,
    spans: Callable[[Sequence[int]], Sequence[Span]] = lambda order: (),
) -> MemoryPlan:
    """Plan the memory of a program.

    Args:
        program: the program.
        taken: its steps with what each of them takes.
        lent: for each result whether it would be an array of the caller's, and is copied.
        limit: bytes that may be taken at once.
        spans: what several steps in a row take together, given the order of all; without a limit.

    Raises:
        MemoryLimitError: more are needed, even if steps come again.
    """
    wanted, steps = program.graph.wanted, [one.step for one in taken]
    sizes = (program.nbytes(node) for node, copied in zip(wanted, lent, strict=True) if copied)
    copies = sum(sizes)
    plain = plain_orders(taken, wanted)
    best, _ = min(plain, key=lambda one: one[1])
    if limit is None:
        return _planned(taken, best, wanted, copies, spans=spans(best))
    room = limit - min(limit // _LARGEST_PART, limit // _PART + _SPARE)
    least = min(plain, key=lambda one: one[1])
    for order, most in chain(plain, orders(taken, costs_of(steps, program), wanted, best)):
        for together in (True, False) if most <= room else ():
            made = _planned(taken, order, wanted, copies, together)
            if made.peak <= room:
                return made
        least = min(least, (order, most), key=lambda one: one[1])
    needed = _planned(taken, least[0], wanted, copies, together=False).peak
    raise MemoryLimitError(
        f"a memory limit of {limit} bytes is too small for {program.graph.name}: "
        f"the least is {_least_limit(needed)}, beside its inputs"
    )


def _least_limit(needed: int) -> int:
    """The least limit of which so many bytes are left."""
    parts = (needed, _LARGEST_PART), (needed + _SPARE, _PART)
    return min(-(-size * part // (part - 1)) for size, part in parts)


def _planned(
    taken: Sequence[Taken],
    order: Sequence[int],
    wanted: Sequence[Node],
    copies: int,
    together: bool = True,
    spans: Sequence[Span] = (),
) -> MemoryPlan:
    steps = [taken[n] for n in order]
    gone = last_reads([one.step for one in steps], wanted)
    found = lives(steps, gone)
    sizes, last = alive(steps, found), sum(life.made.size for life in found if life.returned)
    for span in spans:
        for n in range(span.first, span.last + 1):
            sizes[n] += span.size
    placement = _placement(steps, found, spans) if together else None
    peak = max([*sizes, last + copies])
    if placement is not None:
        whole = placement.size + LINE + _BYTES_A_PLACE * len(placement.places)
        peak = whole + max([*_beside(steps, found), last + copies])
    reads_last = tuple(map(tuple, gone))
    return MemoryPlan(tuple(order), reads_last, placement, tuple(sizes), peak, tuple(spans))


def _placement(steps: Sequence[Taken], found: Sequence[Life], spans: Sequence[Span]) -> Placement:
    """Places of all arrays that are not returned, and of what is lent within steps."""
    asked = [*_within(steps), *_across(spans), *_between(steps, found)]
    asked.sort(key=lambda pair: pair[1].first)
    offsets, size = placed([block for block, _ in asked])
    places = (place._replace(offset=at) for (_, place), at in zip(asked, offsets, strict=True))
    return Placement(size, len(steps), tuple(places))


def _within(steps: Sequence[Taken]) -> Iterator[tuple[Block, Place]]:
    """What is lent within steps."""
    for n, taken in enumerate(steps):
        for loan in taken.workspace.loans:
            block = _block(loan.size, (n, loan.first), (n, loan.last))
            yield block, Place(loan.size, 0, n, n, loan.scratch)


def _across(spans: Sequence[Span]) -> Iterator[tuple[Block, Place]]:
    """What is lent to several steps in a row."""
    for first, last, size in spans:
        yield _block(size, (first, 0), (last, _STAGES)), Place(size, 0, first, last, True)


def _between(steps: Sequence[Taken], found: Sequence[Life]) -> Iterator[tuple[Block, Place]]:
    """The arrays that are made, which a step asks for in the last of its stages."""
    for life in filter(_has_place, found):
        size, first, last = life.made.asked, life.first, life.last
        stage = steps[first].workspace.stages - 1
        yield _block(size, (first, stage), (last, _STAGES)), Place(size, 0, first, last)


def _has_place(life: Life) -> bool:
    return bool(life.made.asked) and not life.returned


def _beside(steps: Sequence[Taken], found: Sequence[Life]) -> list[int]:
    """Bytes of what has no place, for each step."""
    own = [life for life in found if not _has_place(life)]
    bare = [one._replace(workspace=Workspace(beside=one.workspace.beside)) for one in steps]
    return alive(bare, own)


def _block(size: int, first: tuple[int, int], last: tuple[int, int]) -> Block:
    """A block from one stage of a step to another one."""
    moments = (step * _STAGES + min(stage, _STAGES - 1) for step, stage in (first, last))
    return Block(-(-size // LINE) * LINE, *moments)
