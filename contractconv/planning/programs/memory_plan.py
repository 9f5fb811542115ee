"""The memory of a program: which arrays are there when, where they lie, and what that comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from contractconv.errors import MemoryLimitError
from contractconv.machine.placement import Place, Placement
from contractconv.planning.programs.costs import costs_of
from contractconv.planning.programs.lives import Life, Taken, alive, last_reads, lives
from contractconv.planning.programs.placement import Block, placed
from contractconv.planning.programs.rematerialization import orders
from contractconv.planning.workspace import Workspace
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Node

# Places begin at multiples of so many bytes, a line of the cache; and bytes of what leads to one.
_LINE, _BYTES_A_PLACE = 64, 512


@dataclass(frozen=True)
class MemoryPlan:
    """The memory of a program.

    Attributes:
        order: the numbers of the steps as they are carried out, some perhaps more than once.
        gone: for each of them the nodes that are not there any more behind it.
        placement: where arrays lie that are not returned.
        alive: for each step the bytes of all arrays that are there, and of what it takes.
        peak: bytes that are taken at once, at most.
    """

    order: tuple[int, ...]
    gone: tuple[tuple[Node, ...], ...]
    placement: Placement
    alive: tuple[int, ...]
    peak: int


def memory_plan(
    program: Typed,
    taken: Sequence[Taken],
    lent: Sequence[bool],
    limit: int | None = None,
) -> MemoryPlan:
    """Plan the memory of a program.

    Args:
        program: the program.
        taken: its steps with what each of them takes.
        lent: for each result whether it would be an array of the caller's, and is copied.
        limit: bytes that may be taken at once.

    Raises:
        MemoryLimitError: more are needed, even if steps come again.
    """
    wanted, steps = program.graph.wanted, [one.step for one in taken]
    sizes = (program.nbytes(node) for node, copied in zip(wanted, lent, strict=True) if copied)
    copies = sum(sizes)
    if limit is None:
        return _planned(taken, range(len(taken)), wanted, copies)
    least: tuple[int, Sequence[int]] | None = None
    for order, most in orders(taken, costs_of(steps, program), wanted):
        if most <= limit:
            made = _planned(taken, order, wanted, copies)
            if made.peak <= limit:
                return made
        least = (most, order) if least is None or most < least[0] else least
    assert least is not None
    needed = _planned(taken, least[1], wanted, copies).peak
    raise MemoryLimitError(
        f"a memory limit of {limit} bytes is too small for {program.graph.name}: "
        f"the least is {needed}, beside its inputs"
    )


def _planned(
    taken: Sequence[Taken], order: Sequence[int], wanted: Sequence[Node], copies: int
) -> MemoryPlan:
    steps = [taken[n] for n in order]
    gone = last_reads([one.step for one in steps], wanted)
    found = lives(steps, gone)
    placement = _placement(steps, found)
    beside = [*_beside(steps, found), copies + sum(o.made.size for o in found if o.returned)]
    return MemoryPlan(
        tuple(order), tuple(map(tuple, gone)), placement,
        tuple(alive(steps, found)), _whole(placement) + max(beside),
    )  # fmt: skip


def _whole(placement: Placement) -> int:
    """Bytes of the memory of a placement, and of what its places are told apart by."""
    return placement.size + _LINE + _BYTES_A_PLACE * len(placement.places)


def _placement(steps: Sequence[Taken], found: Sequence[Life]) -> Placement:
    """Places of all arrays that are not returned, and of what is lent within steps."""
    asked = [*_within(steps), *_of_arrays(steps, found)]
    asked.sort(key=lambda pair: pair[1].first)
    offsets, size = placed([block for block, _ in asked])
    places = (
        place._replace(offset=offset) for (_, place), offset in zip(asked, offsets, strict=True)
    )
    return Placement(size, len(steps), tuple(places))


# Moments of a step: more stages than one has are not told apart.
_STAGES = 64


def _within(steps: Sequence[Taken]) -> Iterator[tuple[Block, Place]]:
    """What is lent within steps."""
    for n, taken in enumerate(steps):
        for loan in taken.workspace.loans:
            first, last = (n * _STAGES + min(m, _STAGES - 1) for m in (loan.first, loan.last))
            yield _block(loan.size, first, last), Place(loan.size, 0, n, n, loan.scratch)


def _of_arrays(steps: Sequence[Taken], found: Sequence[Life]) -> Iterator[tuple[Block, Place]]:
    """The arrays that are made, which a step asks for in the last of its stages."""
    for life in found:
        if _is_placed(life):
            stage = min(steps[life.first].workspace.stages, _STAGES) - 1
            first, last = life.first * _STAGES + stage, (life.last + 1) * _STAGES - 1
            asked = life.made.asked
            yield _block(asked, first, last), Place(asked, 0, life.first, life.last)


def _block(size: int, first: int, last: int) -> Block:
    return Block(-(-size // _LINE) * _LINE, first, last)


def _is_placed(life: Life) -> bool:
    return bool(life.made.asked) and not life.returned


def _beside(steps: Sequence[Taken], found: Sequence[Life]) -> list[int]:
    """Bytes of what has no place, for each step."""
    own = [life for life in found if not _is_placed(life)]
    bare = [one._replace(workspace=Workspace(beside=one.workspace.beside)) for one in steps]
    return alive(bare, own)
