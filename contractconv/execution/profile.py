"""What a run takes, way by way: what ran, how long, and how fast that was."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from contractconv.arrays.run_trace import Ran, traced
from contractconv.markup.shown import Printed
from contractconv.planning.cost import flops
from contractconv.planning.report import quantity
from contractconv.planning.report import time as written

_ROUNDS = 5


@dataclass(frozen=True, repr=False)
class Profile(Printed):
    """What ran, in the order in which it did; ``print(profile)`` is a table of it.

    Attributes:
        ran: each piece that was carried out, or several that ran together.
        seconds: how long the whole call took.
    """

    ran: tuple[Ran, ...]
    seconds: float

    def __str__(self) -> str:
        lines = [_line("everything", self.seconds, self.seconds)]
        for (way, _), group in groupby(self.ran, lambda one: (one.way, one.problems[0].indices)):
            lines.append(self._told(way, list(group)))
        beside = self.seconds - sum(one.seconds for one in self.ran)
        return "\n".join([*lines, _line("in between", beside, self.seconds)])

    __repr__ = __str__

    def _told(self, way: str, together: list[Ran]) -> str:
        seconds = sum(one.seconds for one in together)
        problems = [problem for one in together for problem in one.problems]
        operations = sum(map(flops, problems))
        rate = f"{operations / max(seconds, 1e-9) / 1e9:.3g} GFLOP/s"
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        line = _line(way, seconds, self.seconds)
        return f"{line}  {quantity(operations):>8}  {rate:>12}  {problems[0]}{more}"


def _line(what: str, seconds: float, whole: float) -> str:
    return f"{what:25}  {written(seconds):>8}  {100 * seconds / whole:5.1f} %"


def profiled(work: Callable[[], object]) -> Profile:
    """Do some work once for warming up, then a few times, and keep the median of these."""
    work()
    found = sorted((_once(work) for _ in range(_ROUNDS)), key=lambda one: one.seconds)
    return found[_ROUNDS // 2]


def _once(work: Callable[[], object]) -> Profile:
    with traced() as ran:
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
    return Profile(tuple(ran), seconds)
