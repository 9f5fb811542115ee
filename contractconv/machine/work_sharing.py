"""Work of numpy that several threads share: each takes runs of the parts while there are any.

numpy lets go of Python's lock while it computes, so that threads of Python do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

from contractconv.machine import blas
from contractconv.machine.threads import Helpers, get_num_threads, team
from contractconv.uninterrupted import is_ours, undisturbed

Part = TypeVar("Part")
Made = TypeVar("Made")

# Multiplications that are worth waking another thread.
WORTH = 3 << 23
# Threads that share one contraction: each has a block of its own, all of them a bounded memory.
_MOST = 8


def sharers(points: int) -> int:
    """How many threads share so many multiplications."""
    if is_ours() or points < WORTH or not blas.available():
        return 1
    return min(get_num_threads(), _MOST)


def portions(points: int) -> int:
    """Into how many parts so many multiplications are cut, however many threads share them."""
    if points < WORTH or not blas.available():
        return 1
    return _MOST if points >= 4 * WORTH else _MOST // 2


def carried_out(
    work: Callable[[Sequence[Part]], Made], parts: Sequence[Part], points: int
) -> list[Made]:
    """Do some work on all parts of so many multiplications, shared if that is worth it.

    What is shared is multiplied in one thread for each part, even if there is one for all of them:
    so the same parts give the same results, to the last bit, whoever takes them.

    Example:
        >>> carried_out(sum, range(6), points=6)
        [15]
    """
    if portions(points) == 1:
        return [work(parts)]
    runs = [parts[some.start : some.stop] for some in evenly(len(parts), sharers(points))]
    return together(work, runs)


def evenly(count: int, pieces: int) -> list[range]:
    """Cut so many things into pieces of about one size; there are at most as many, at least one.

    Example:
        >>> evenly(7, 3), evenly(2, 3)
        ([range(0, 2), range(2, 4), range(4, 7)], [range(0, 1), range(1, 2)])
    """
    pieces = max(1, min(pieces, count))
    return [range(count * n // pieces, count * (n + 1) // pieces) for n in range(pieces)]


def together(work: Callable[[Sequence[Part]], Made], runs: Sequence[Sequence[Part]]) -> list[Made]:
    """Do some work on all runs, in threads of our own, in each of which numpy multiplies alone.

    The caller waits, for he may be interrupted while BLAS has another number of threads.

    Returns:
        What the work returned for each run, in their order.
    """
    job, lenders = _Job(work, runs), team()
    helpers = lenders.take() if len(runs) > 1 else None
    try:
        job.carry_out(helpers)
    finally:
        if helpers is not None:
            lenders.give(helpers)
    return job.results()


class _Job(Generic[Part, Made]):
    """Runs of parts that are left, and what was made of the others.

    Each step on them is one that no other thread can divide.
    """

    def __init__(
        self, work: Callable[[Sequence[Part]], Made], runs: Sequence[Sequence[Part]]
    ) -> None:
        self._total = len(runs)
        self._work = work
        self._left = deque(enumerate(runs))
        self._made: dict[int, Made] = {}
        self._errors: list[BaseException] = []
        # Who has begun to help, and who has stopped; a wakening for each of the latter.
        self._begun: list[None] = []
        self._stopped: list[None] = []
        self._wakening: SimpleQueue[None] = SimpleQueue()

    def carry_out(self, helpers: Helpers | None) -> None:
        """Let helpers do all runs; whoever comes late takes what is left."""
        try:
            if helpers is None:
                undisturbed(self._help)
            else:
                for inbox in (helpers.stand_in, *helpers.inboxes)[: self._total]:
                    inbox.put(self._help)
                self._wakening.get()  # when the first one stops, nothing is left to be taken
        finally:
            # Come what may: they write to memory that is used for other things afterwards.
            self._finish()

    def results(self) -> list[Made]:
        """What was made of each run."""
        if self._errors:
            raise self._errors[0]
        return [self._made.pop(n) for n in range(self._total)]

    def _help(self) -> None:
        self._begun.append(None)
        try:
            with blas.single():
                self._do_what_is_left()
        except BaseException as error:
            self._errors.append(error)
        self._stopped.append(None)
        self._wakening.put(None)

    def _do_what_is_left(self) -> None:
        while self._left:
            try:
                number, run = self._left.popleft()
            except IndexError:  # somebody else took it
                return
            self._made[number] = self._work(run)

    def _finish(self) -> None:
        """Leave nothing to those who have not begun, and wait for the others."""
        self._left.clear()
        interruption: BaseException | None = None
        while len(self._stopped) < len(self._begun):
            try:
                self._wakening.get()
            except BaseException as error:  # whatever a signal raises
                interruption = error
        # A helper keeps its last job until the next one, but nothing of what was done.
        del self._work
        if interruption is not None:
            raise interruption
