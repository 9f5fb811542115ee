"""One run of a program's steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from contractconv.machine import memory

Work = Callable[[Sequence[Any]], Sequence[Any]]
Numbers = tuple[int, ...]


class Line(NamedTuple):
    """A step as it is carried out; arrays have numbers.

    Attributes:
        place: which step of all it is.
        reads: the arrays that it reads.
        work: what carries it out.
        makes: the arrays that it makes.
    """

    place: int
    reads: Numbers
    work: Work
    makes: Numbers

    def carry_out(self, run: Run) -> None:
        """Carry it out."""
        run.lender.begin(self.place)
        run.hold(self.makes, self.work(run.given(self.reads)))
        run.let_go(self.place)


class Run:
    """A run of the steps.

    Args:
        held: the arrays that are there, by number; those that are made join them.
        gone: for each step the arrays that are not there any more behind it.
        pool: where memory comes from.
        lender: what lends it to this run.

    Attributes:
        held: the same.
        lender: the same.
    """

    def __init__(
        self,
        held: dict[int, Any],
        gone: Sequence[Numbers],
        pool: memory.Pool,
        lender: memory.Lender,
    ) -> None:
        self.held, self.lender = held, lender
        self._gone, self._pool = gone, pool

    def given(self, numbers: Sequence[int]) -> list[Any]:
        """Some of the arrays that are there."""
        held = self.held
        return [held[number] for number in numbers]

    def hold(self, numbers: Sequence[int], made: Sequence[Any]) -> None:
        """Arrays are there from now on."""
        self.held.update(zip(numbers, made, strict=True))

    def let_go(self, place: int) -> None:
        """See to it that nothing here leads any more to what is gone behind a step."""
        for gone in self._gone[place]:
            if self.lender.takes_back:
                self._pool.give(self.held.pop(gone))
            else:
                del self.held[gone]
        self.lender.end(place)
