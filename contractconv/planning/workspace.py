"""Memory that is taken beside what is read and what is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Loan(NamedTuple):
    """Memory that is lent while something is carried out.

    Attributes:
        size: bytes that are asked for.
        first: the first of the stages, which come one after the other, that needs it.
        last: the last one.
        scratch: whether it is no array.
    """

    size: int
    first: int = 0
    last: int = 0
    scratch: bool = False


class Workspace(NamedTuple):
    """All memory that is taken beside operands and result.

    Attributes:
        loans: what is lent, in the order in which it is asked for.
        beside: bytes that libraries take by themselves, at most at once.
    """

    loans: tuple[Loan, ...] = ()
    beside: int = 0

    @property
    def stages(self) -> int:
        """How many stages there are."""
        return 1 + max((loan.last for loan in self.loans), default=0)

    @property
    def most(self) -> int:
        """Bytes that are taken at once, at most.

        Example:
            >>> Workspace((Loan(8, 0, 1), Loan(4, 0), Loan(5, 1, 1)), beside=1).most
            14
        """
        stages = range(self.stages)
        return self.beside + max(
            sum(loan.size for loan in self.loans if loan.first <= n <= loan.last) for n in stages
        )

    def with_beside(self, size: int) -> Workspace:
        """The same, and so many bytes more that libraries take."""
        return self._replace(beside=self.beside + size) if size else self


NONE = Workspace()


def in_turn(stages: Sequence[Workspace], between: Sequence[Loan] = ()) -> Workspace:
    """What stages take of which one comes after the other.

    Args:
        stages: what each of them takes alone.
        between: arrays that one makes for another.

    Example:
        >>> alone = Workspace((Loan(8, scratch=True),))
        >>> [loan.first for loan in in_turn([alone, alone], [Loan(4, 0, 1)]).loans]
        [0, 0, 1]
    """
    loans = list(between)
    for n, stage in enumerate(stages):
        loans += [loan._replace(first=n, last=n) for loan in stage.loans]
    loans.sort(key=lambda loan: loan.first)
    return Workspace(tuple(loans), max((stage.beside for stage in stages), default=0))
