"""Rates that change from step to step: functions of which step it is, and how many there will be.

Each is a value, which can be compared, pickled, and written as JSON by
:func:`contractconv.training.to_facts`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from contractconv.errors import ParameterError
from contractconv.training.checks import OF_SCHEDULES, check_fields

Steps = int | float
"""A number of steps; as a float, up to 1.0, the share of all steps that it is."""


class Schedule(ABC):
    """A rate for every step."""

    def __post_init__(self) -> None:
        check_fields(self, OF_SCHEDULES)

    def __call__(self, step: int, steps: int) -> float:
        """The rate of a step.

        Args:
            step: which one, counted from 0; behind the last one the rate stays what it came to.
            steps: how many there will be, at least one.

        Raises:
            ParameterError: there is no such step.
        """
        if step < 0 or steps < 1:
            raise ParameterError(f"there is no step {step} of {steps}: the first of them is 0")
        return float(self._at(min(int(step), int(steps)), int(steps)))

    @abstractmethod
    def _at(self, step: int, steps: int) -> float: ...


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate for all steps.

    Example:
        >>> Constant(0.1)(5, 10)
        0.1
    """

    rate: float

    def _at(self, step: int, steps: int) -> float:
        return self.rate


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a wave down: slowly, fast, slowly.

    Args:
        rate: of the first step.
        last: what it comes to behind the last step.

    Example:
        >>> [round(Cosine(1.0)(step, 4), 3) for step in range(5)]
        [1.0, 0.854, 0.5, 0.146, 0.0]

    Source: Loshchilov and Hutter, "SGDR", ICLR (2017), equation 5 without restarts.
    """

    rate: float
    last: float = 0.0

    def _at(self, step: int, steps: int) -> float:
        return _wave(self.rate, self.last, step / steps)


@dataclass(frozen=True)
class Linear(Schedule):
    """A straight line.

    Args:
        rate: of the first step.
        last: what it comes to behind the last step.

    Example:
        >>> [Linear(1.0)(step, 4) for step in range(5)]
        [1.0, 0.75, 0.5, 0.25, 0.0]
    """

    rate: float
    last: float = 0.0

    def _at(self, step: int, steps: int) -> float:
        return _line(self.rate, self.last, step / steps)


@dataclass(frozen=True)
class Polynomial(Schedule):
    """A power of the steps that are left.

    Args:
        rate: of the first step.
        power: which one; 1 is a line.
        last: what it comes to behind the last step.

    Example:
        >>> [Polynomial(1.0, power=2)(step, 4) for step in range(5)]
        [1.0, 0.5625, 0.25, 0.0625, 0.0]
    """

    rate: float
    power: float = 2.0
    last: float = 0.0

    def _at(self, step: int, steps: int) -> float:
        return _line(self.last, self.rate, (1 - step / steps) ** self.power)


@dataclass(frozen=True)
class Exponential(Schedule):
    """A constant factor from step to step.

    Example:
        >>> [Exponential(1.0, factor=0.5)(step, 4) for step in range(4)]
        [1.0, 0.5, 0.25, 0.125]
    """

    rate: float
    factor: float

    def _at(self, step: int, steps: int) -> float:
        return self.rate * self.factor**step


@dataclass(frozen=True)
class StepDecay(Schedule):
    """A factor after every so many steps.

    Args:
        rate: of the first step.
        every: how many steps there are between two changes; a float is a share of all steps.
        factor: of each change.

    Example:
        >>> [StepDecay(1.0, every=2, factor=0.5)(step, 6) for step in range(6)]
        [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    rate: float
    every: Steps
    factor: float = 0.1

    def _at(self, step: int, steps: int) -> float:
        return self.rate * self.factor ** (step // max(1, _counted(self.every, steps)))


@dataclass(frozen=True)
class Milestones(Schedule):
    """A factor at each of some steps.

    Args:
        rate: of the first step.
        at: the steps from which on a change holds; floats are shares of all steps.
        factor: of each change.

    Example:
        >>> [Milestones(1.0, at=(1, 0.5), factor=0.5)(step, 6) for step in range(6)]
        [1.0, 0.5, 0.5, 0.25, 0.25, 0.25]
    """

    rate: float
    at: tuple[Steps, ...]
    factor: float = 0.1

    def _at(self, step: int, steps: int) -> float:
        passed = sum(step >= _counted(milestone, steps) for milestone in self.at)
        return self.rate * self.factor**passed


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Half a wave up, and a longer one down.

    Args:
        rate: the greatest.
        rise: the share of steps that go up.
        start: what share of the greatest it begins with.
        last: what share of the greatest it ends with, at the last step.

    Example:
        >>> [round(OneCycle(1.0, rise=0.4)(step, 5), 3) for step in range(5)]
        [0.04, 1.0, 0.75, 0.25, 0.0]

    Source: Smith and Topin, "Super-convergence" (2017), with waves instead of lines.
    """

    rate: float
    rise: float = 0.3
    start: float = 0.04
    last: float = 4e-6

    def _at(self, step: int, steps: int) -> float:
        peak, end = self.rise * steps - 1, steps - 1
        if step < peak:
            return _wave(self.start * self.rate, self.rate, step / peak)
        return _wave(self.rate, self.last * self.rate, (min(step, end) - peak) / (end - peak))


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A line up to where another schedule begins, which takes the steps that are left.

    Args:
        then: the schedule behind it.
        over: how many steps go up; a float is a share of all steps.
        start: what share of the rate it begins with; by default it goes up in ``over + 1`` equal
            steps, of which the first one is not zero.

    Example:
        >>> [round(WarmUp(Cosine(1.0), over=3)(step, 7), 3) for step in range(7)]
        [0.25, 0.5, 0.75, 1.0, 0.854, 0.5, 0.146]

    Source: Goyal et al., "Accurate, large minibatch SGD" (2017), section 2.2.
    """

    then: Schedule
    over: Steps
    start: float | None = None

    def _at(self, step: int, steps: int) -> float:
        over = _counted(self.over, steps)
        left = max(1, steps - over)
        if step >= over:
            return self.then(step - over, left)
        start = 1 / (over + 1) if self.start is None else self.start
        return self.then(0, left) * _line(start, 1.0, step / over)


def _line(first: float, last: float, share: float) -> float:
    return first + (last - first) * share


def _wave(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def _counted(amount: Steps, steps: int) -> int:
    return amount if isinstance(amount, int) else round(amount * steps)
