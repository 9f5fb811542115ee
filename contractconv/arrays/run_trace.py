"""What has run: whoever wants to know is told which way each piece took, and how long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local
from typing import NamedTuple, TypeVar

from contractconv.notation.problem import Problem

Made = TypeVar("Made")


class Ran(NamedTuple):
    """A piece that was carried out.

    Attributes:
        way: by what, as :class:`contractconv.planning.lowerings.Lowering` is named.
    """

    way: str
    problems: tuple[Problem, ...]
    seconds: float


class Trace:
    """Who wants to know what runs; most of the time nobody does."""

    def __init__(self) -> None:
        self.listening: list[list[Ran]] = []
        self._here = local()

    def run(self, way: str, problem: Problem, work: Callable[[], Made]) -> Made:
        """Do some work, and tell about it if anybody listens."""
        if not self.listening:
            return work()
        with self.of(way, problem):
            return work()

    @contextmanager
    def of(self, way: str, *problems: Problem) -> Iterator[None]:
        """Tell that something runs, unless it is a part of what is told already."""
        inside, start = getattr(self._here, "inside", False), time.perf_counter()
        self._here.inside = True
        try:
            yield
        finally:
            self._here.inside = inside
        ran = Ran(way, problems, time.perf_counter() - start)
        for heard in () if inside else self.listening:
            heard.append(ran)

    def aside(self, work: Callable[[], Made]) -> Made:
        """Do some work that is a part of something else, and tell nobody."""
        inside = getattr(self._here, "inside", False)
        self._here.inside = True
        try:
            return work()
        finally:
            self._here.inside = inside


trace = Trace()


@contextmanager
def traced() -> Iterator[list[Ran]]:
    """Collect what runs in the meantime, in this process.

    Example:
        >>> with traced() as ran:
        ...     with trace.of("nothing at all"):
        ...         pass
        >>> ran[0].way
        'nothing at all'
    """
    heard: list[Ran] = []
    trace.listening.append(heard)
    try:
        yield heard
    finally:
        # Another list of the same entries is equal, but not the same.
        trace.listening[:] = [other for other in trace.listening if other is not heard]
