"""Optimisers: what there is next of a parameter is a program, whose text can be read."""

from __future__ import annotations

from dataclasses import dataclass

from contractconv import functions as F
from contractconv.api.tensor import Tensor
from contractconv.errors import ParameterError
from contractconv.training.optimizer import Decayed, Moment, Optimizer, Rate


@dataclass(frozen=True)
class SGD(Optimizer):
    """Down the slope, with or without momentum.

    Args:
        rate: how far, a number or a schedule.
        momentum: how much of the velocity is kept from step to step.
        nesterov: whether a step looks ahead along the velocity.
        decay: how much of a parameter is added to its gradient.
        decayed: which parameters that is done to.

    Example:
        >>> import contractconv as cc
        >>> W, d_W = cc.tensor("W", "i o"), cc.tensor("d_W", "i o")
        >>> SGD(0.1).update(W, d_W, {}, 1, 0.1)
        (<tensor i o>, {})
    """

    rate: Rate
    momentum: float = 0.0
    nesterov: bool = False
    decay: float = 0.0
    decayed: Decayed = "weights"
    of_complex_numbers = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise ParameterError("SGD(nesterov=True) looks ahead along a velocity: give a momentum")

    @property
    def slots(self) -> tuple[str, ...]:
        """``"velocity"``, if there is momentum."""
        return ("velocity",) if self.momentum else ()

    def _next(self, now: Moment) -> tuple[Tensor, ...]:
        if not now.slots:
            return (F.sgd(now.w, now.gradient, now.rate, now.decay),)
        (velocity,) = now.slots
        return F.momentum(
            now.w, now.gradient, velocity, now.rate, self.momentum, now.decay, self.nesterov
        )


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Along the gradient, over the root of its average square.

    Args:
        rate: how far, a number or a schedule.
        friction: how much of the average is kept.
        epsilon: keeps the quotient from dividing by zero.
        decay: how much of a parameter is added to its gradient.
        decayed: which parameters that is done to.
    """

    rate: Rate = 1e-2
    friction: float = 0.99
    epsilon: float = 1e-8
    decay: float = 0.0
    decayed: Decayed = "weights"
    slots = ("second",)

    def _next(self, now: Moment) -> tuple[Tensor, ...]:
        (second,) = now.slots
        return F.rmsprop(
            now.w, now.gradient, second, now.rate, self.friction, self.epsilon, now.decay
        )


@dataclass(frozen=True)
class Adam(Optimizer):
    """By as many deviations as the gradient is from zero.

    Args:
        rate: how far, a number or a schedule.
        frictions: how much is kept of the average gradient and of the average square.
        epsilon: keeps the quotient from dividing by zero.
        decay: how much of a parameter is added to its gradient.
        decayed: which parameters that is done to.
    """

    rate: Rate = 1e-3
    frictions: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    decay: float = 0.0
    decayed: Decayed = "weights"
    slots = ("first", "second")

    def _next(self, now: Moment) -> tuple[Tensor, ...]:
        slope = now.gradient + now.decay * now.w if now.decay else now.gradient
        first, second = now.slots
        return F.adam(now.w, slope, first, second, now.step, now.rate, self.frictions, self.epsilon)


@dataclass(frozen=True)
class AdamW(Optimizer):
    """As Adam, with a decay that stays out of its averages.

    Args:
        rate: how far, a number or a schedule.
        frictions: how much is kept of the average gradient and of the average square.
        epsilon: keeps the quotient from dividing by zero.
        decay: what share of a parameter is taken away beside, times the rate.
        decayed: which parameters that is done to.
    """

    rate: Rate = 1e-3
    frictions: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    decay: float = 1e-2
    decayed: Decayed = "weights"
    slots = ("first", "second")

    def _next(self, now: Moment) -> tuple[Tensor, ...]:
        first, second = now.slots
        return F.adam(
            now.w, now.gradient, first, second, now.step, now.rate, self.frictions, self.epsilon,
            now.decay,
        )  # fmt: skip


@dataclass(frozen=True)
class Lion(Optimizer):
    """Equally far for every element, up or down.

    Args:
        rate: how far, a number or a schedule; about a tenth of Adam's.
        frictions: how much is kept of the average gradient, in the step and in the average.
        decay: what share of a parameter is taken away beside, times the rate.
        decayed: which parameters that is done to.
    """

    rate: Rate = 1e-4
    frictions: tuple[float, float] = (0.9, 0.99)
    decay: float = 0.0
    decayed: Decayed = "weights"
    slots = ("first",)

    def _next(self, now: Moment) -> tuple[Tensor, ...]:
        (first,) = now.slots
        return F.lion(now.w, now.gradient, first, now.rate, self.frictions, now.decay)
