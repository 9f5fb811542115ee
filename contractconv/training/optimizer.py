"""What every optimiser can do, once it says what there is next of one parameter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from contractconv.api.program import Program, program
from contractconv.api.tensor import Tensor, tensor
from contractconv.errors import OperandError, ParameterError
from contractconv.programs.kinds import Kinds, kind
from contractconv.programs.nodes import Input
from contractconv.training.checks import OF_OPTIMIZERS, check_fields
from contractconv.training.schedules import Schedule

Rate = float | Schedule
"""How far a step goes: a number, or what is a number for each step."""

Decayed = Literal["weights", "all"] | tuple[str, ...]
"""Which parameters decay: those with more than one axis, all, or those of some names."""

Value = float | Tensor
Slots = dict[str, Tensor]


@dataclass(frozen=True)
class Moment:
    """What a step of one parameter is made of."""

    w: Tensor
    gradient: Tensor
    slots: tuple[Tensor, ...]
    step: int | Tensor
    rate: Value
    decay: float


class Optimizer(ABC):
    """How a parameter follows from what it was and its gradient.

    An optimiser is a value and keeps nothing itself: averages of gradients are arrays in ``slots``,
    one of each name for every parameter, of its shape and its numbers, and zeros at the beginning.

    ``decayed`` says on which parameters ``decay`` works. By default these are the ``"weights"``,
    which have more than one axis. Biases and scales of normalisations have one: these are few, they
    say where features lie and not how steep a function is, and pulling scales to zero takes away
    what they are there for.
    """

    rate: Rate
    decay: float
    decayed: Decayed
    of_complex_numbers = False

    def __post_init__(self) -> None:
        check_fields(self, OF_OPTIMIZERS)

    @property
    @abstractmethod
    def slots(self) -> tuple[str, ...]:
        """The names of the averages that are kept for each parameter."""

    def update(
        self,
        w: Tensor,
        gradient: Tensor,
        slots: Mapping[str, Tensor],
        step: int | Tensor,
        rate: Value,
    ) -> tuple[Tensor, Slots]:
        """Say what there is next.

        Args:
            w: a parameter, any axes. Where some decay by name, it has to be called so.
            gradient: its gradient, the same axes.
            slots: the averages so far, the same axes, under the names of :attr:`slots`.
            step: the number of this step, counted from 1.
            rate: how far it goes.

        Returns:
            The next parameter, and the next averages under their names.

        Raises:
            ParameterError: an average is missing.
            OperandError: the parameter is complex, and the optimiser compares sizes of numbers.
        """
        missing = [name for name in self.slots if name not in slots]
        if missing:
            kept = ", ".join(self.slots)
            raise ParameterError(f"{type(self).__name__} keeps {kept}: {missing[0]!r} is missing")
        if not self.of_complex_numbers and any(kind(name) == 3 for name in Kinds()[w._node]):
            raise OperandError(
                f"{type(self).__name__} weighs real numbers, and {w!r} is complex: take SGD, or "
                "a parameter with an axis for real and imaginary parts"
            )
        decay = self.decay if self._decays(w) else 0.0
        averages = tuple(slots[name] for name in self.slots)
        after, *later = self._next(Moment(w, gradient, averages, step, rate, decay))
        return after, dict(zip(self.slots, later, strict=True))

    @abstractmethod
    def _next(self, now: Moment) -> tuple[Tensor, ...]:
        """The next parameter, and the next averages in their order."""

    def _decays(self, w: Tensor) -> bool:
        if self.decayed == "weights":
            return w.ndim > 1
        return self.decayed == "all" or w.label in self.decayed

    def rate_at(self, step: int, steps: int) -> float:
        """The rate of a step, counted from 1 as in :meth:`update`, of so many.

        Example:
            >>> from contractconv.training import SGD, Linear
            >>> SGD(Linear(1.0)).rate_at(2, steps=4)
            0.75
        """
        return self.rate(step - 1, steps) if callable(self.rate) else float(self.rate)

    def program(self, parameters: Mapping[str, Tensor]) -> Program:
        """Make the program of one step of several parameters.

        Args:
            parameters: tensors by name, whose axes and numbers count.

        Returns:
            A program of the parameters, their gradients ``d_NAME``, their averages ``NAME_SLOT``,
            the ``step`` where it is needed, and the ``rate``. It makes ``next_NAME`` and
            ``next_NAME_SLOT``, in the numbers of the parameters.

        Raises:
            ProgramError: two of these names are one.

        Example:
            >>> import contractconv as cc
            >>> from contractconv.training import SGD
            >>> print(SGD(0.1, momentum=0.9).program({"W": cc.tensor("W", "i o")}))
            def sgd(W: "i o", d_W: "i o", W_velocity: "i o", rate: float64[""]):
                next_W_velocity = 0.9 * W_velocity + d_W
                next_W = W - cast(rate, like=W) * next_W_velocity
                return next_W, next_W_velocity
            <BLANKLINE>
        """
        given: list[Tensor] = []
        outputs: dict[str, Tensor] = {}
        step, rate = tensor("step", dtype="int64"), tensor("rate", dtype="float64")
        for name, like in parameters.items():
            w, gradient = (_input(called, like) for called in (name, f"d_{name}"))
            slots = {slot: _input(f"{name}_{slot}", like) for slot in self.slots}
            # A rate in wider numbers would widen what it is multiplied with.
            after, later = self.update(w, gradient, slots, step, rate.cast(like=w))
            outputs[f"next_{name}"] = after
            outputs |= {f"next_{name}_{slot}": average for slot, average in later.items()}
            given += [w, gradient, *slots.values()]
        called = type(self).__name__.lower()
        needed = program(outputs, name=called).inputs
        counted = [one for one in (step, rate) if one.label in needed]
        return program(outputs, inputs=[*given, *counted], name=called)


def _input(name: str, like: Tensor) -> Tensor:
    node = like._node
    dtype = node.dtype if isinstance(node, Input) else None
    return tensor(name, like.axes, dtype)
