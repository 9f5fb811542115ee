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
# One part in so many of a limit is left to the interpreter: its lists and tables are not counted.
_SPARE = 64
# Moments of a step: more stages than one has are not told apart.
_STAGES = 64


@dataclass(frozen=True)
class MemoryPlan:
    """The memory of a program.

    Attributes:
        order: the numbers of the steps as they are carried out, some perhaps more than once.
        gone: for each of them the nodes that are not there any more behind it.
        placement: where arrays lie that are not returned.
        keeps: whether memory is kept for what is made later; if not, it is given back to the system
            with each array.
        alive: for each step the bytes of all arrays that are there, and of what it takes.
        peak: bytes that are taken at once, at most.
    """

    order: tuple[int, ...]
    gone: tuple[tuple[Node, ...], ...]
    placement: Placement
    keeps: bool
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
    room = limit - limit // _SPARE
    least: tuple[int, Sequence[int]] | None = None
    for order, most in orders(taken, costs_of(steps, program), wanted):
        for keeps in (True, False) if most <= room else ():
            made = _planned(taken, order, wanted, copies, keeps)
            if made.peak <= room:
                return made
        least = (most, order) if least is None or most < least[0] else least
    assert least is not None
    needed = _planned(taken, least[1], wanted, copies, keeps=False).peak
    raise MemoryLimitError(
        f"a memory limit of {limit} bytes is too small for {program.graph.name}: "
        f"the least is {-(-needed * _SPARE // (_SPARE - 1))}, beside its inputs"
    )


def _planned(
    taken: Sequence[Taken],
    order: Sequence[int],
    wanted: Sequence[Node],
    copies: int,
    keeps: bool = True,
) -> MemoryPlan:
    steps = [taken[n] for n in order]
    gone = last_reads([one.step for one in steps], wanted)
    found = lives(steps, gone)
    places = _Places(steps, found, keeps)
    placement = places.placement()
    beside = [*places.beside(), copies + sum(o.made.size for o in found if o.returned)]
    return MemoryPlan(
        tuple(order), tuple(map(tuple, gone)), placement, keeps,
        tuple(alive(steps, found)), _whole(placement) + max(beside),
    )  # fmt: skip


def _whole(placement: Placement) -> int:
    """Bytes of the memory of a placement, and of what its places are told apart by."""
    return placement.size + _LINE + _BYTES_A_PLACE * len(placement.places)


class _Places:
    """What of some steps has a place.

    Args:
        steps: the steps.
        found: the arrays that they make.
        arrays: whether arrays have places, and not only what kernels need while they run.
    """

    def __init__(self, steps: Sequence[Taken], found: Sequence[Life], arrays: bool) -> None:
        self._steps, self._found, self._arrays = steps, found, arrays

    def placement(self) -> Placement:
        """The places."""
        asked = [*self._within(), *self._between()]
        asked.sort(key=lambda pair: pair[1].first)
        offsets, size = placed([block for block, _ in asked])
        places = (place._replace(offset=at) for (_, place), at in zip(asked, offsets, strict=True))
        return Placement(size, len(self._steps), tuple(places))

    def beside(self) -> list[int]:
        """Bytes of what has no place, for each step."""
        own = [life for life in self._found if not self._has_place(life)]
        bare = [one._replace(workspace=self._own(one.workspace)) for one in self._steps]
        return alive(bare, own)

    def _has_place(self, life: Life) -> bool:
        return self._arrays and bool(life.made.asked) and not life.returned

    def _own(self, workspace: Workspace) -> Workspace:
        loans = () if self._arrays else [one for one in workspace.loans if not one.scratch]
        return workspace._replace(loans=tuple(loans))

    def _within(self) -> Iterator[tuple[Block, Place]]:
        """What is lent within steps."""
        for n, taken in enumerate(self._steps):
            for loan in taken.workspace.loans:
                if self._arrays or loan.scratch:
                    block = _block(loan.size, (n, loan.first), (n, loan.last))
                    yield block, Place(loan.size, 0, n, n, loan.scratch)

    def _between(self) -> Iterator[tuple[Block, Place]]:
        """The arrays that are made, which a step asks for in the last of its stages."""
        for life in filter(self._has_place, self._found):
            size, first, last = life.made.asked, life.first, life.last
            stage = self._steps[first].workspace.stages - 1
            yield _block(size, (first, stage), (last, _STAGES)), Place(size, 0, first, last)


def _block(size: int, first: tuple[int, int], last: tuple[int, int]) -> Block:
    """A block from one stage of a step to another one."""
    moments = (step * _STAGES + min(stage, _STAGES - 1) for step, stage in (first, last))
    return Block(-(-size // _LINE) * _LINE, *moments)
