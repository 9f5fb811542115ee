"""The program of an update: gradients and inverses go in, the next parameters come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contractconv import functions as F
from contractconv.api.program import Program, program
from contractconv.api.tensor import Tensor, applied, tensor
from contractconv.functions.axes import product
from contractconv.training.kfac.directions import Direction, Inverses
from contractconv.training.kfac.objective import Objective, name_of
from contractconv.training.optimizer import Optimizer

Value = float | Tensor
VELOCITY = "velocity"


@dataclass(frozen=True)
class Update:
    """How parameters move.

    Attributes:
        objective: what is trained.
        momentum: how much of the velocity is kept.
        decay: how much of a parameter is added to its direction.
        clip: the greatest length ``√(gᵀ F⁻¹ g)`` of a direction; ``None`` for no limit.
        fallback: what moves the parameters that have no factors.
    """

    objective: Objective
    momentum: float
    decay: float
    clip: float | None
    fallback: Optimizer

    def program(self) -> Program:
        """Make the program of one update.

        Returns:
            A program of ``rate``, ``rate_beside`` and ``step``, parameters, their gradients
            ``d_NAME``, ``NAME_SLOT`` of each, and inverses of factors. It makes ``next_NAME`` and
            ``next_NAME_SLOT``.
        """
        natural, rate = self._natural(), tensor("rate", dtype="float64")
        scale = self._scale(natural)
        outputs: dict[str, Tensor] = {}
        for parameter in self.objective.parameters:
            name = name_of(parameter)
            if name in natural:
                outputs |= self._moved(parameter, scale * natural[name], rate)
            else:
                outputs |= self._moved_by_fallback(parameter)
        return program(outputs, name="update")

    def slots_of(self, name: str) -> tuple[str, ...]:
        """What is kept for a parameter from step to step."""
        return (VELOCITY,) if name in self._with_factors else self.fallback.slots

    @property
    def _with_factors(self) -> set[str]:
        return {name_of(p) for site in self.objective.sites for p in site.parameters}

    def _natural(self) -> dict[str, Tensor]:
        """The natural gradient of each parameter that has factors."""
        found: dict[str, Tensor] = {}
        for name, (site, *_) in self.objective.blocks.items():
            slopes = [gradient_of(p) for p in site.parameters]
            made = Direction(site)(slopes, Inverses.of(site, name))
            found |= {name_of(p): d for p, d in zip(site.parameters, made, strict=True)}
        return found

    def _scale(self, natural: Mapping[str, Tensor]) -> Value:
        """What keeps a direction from being longer than the limit."""
        if self.clip is None or not natural:
            return 1
        parameters = [p for p in self.objective.parameters if name_of(p) in natural]
        inner = [product([gradient_of(p), natural[name_of(p)]], ()) for p in parameters]
        length = applied("sqrt", applied("max", sum(inner[1:], start=inner[0]), 0))
        return 1 / applied("max", 1, (length / self.clip).called("excess"))

    def _moved(self, w: Tensor, direction: Tensor, rate: Tensor) -> dict[str, Tensor]:
        name = name_of(w)
        velocity = tensor(f"{name}_{VELOCITY}", w.axes)
        after, later = F.momentum(
            w, direction, velocity, rate.cast(like=w), self.momentum, self.decay
        )
        return {f"next_{name}": after, f"next_{name}_{VELOCITY}": later}

    def _moved_by_fallback(self, w: Tensor) -> dict[str, Tensor]:
        name = name_of(w)
        slots = {slot: tensor(f"{name}_{slot}", w.axes) for slot in self.fallback.slots}
        step, rate = tensor("step", dtype="int64"), tensor("rate_beside", dtype="float64")
        after, later = self.fallback.update(w, gradient_of(w), slots, step, rate.cast(like=w))
        return {f"next_{name}": after} | {f"next_{name}_{s}": t for s, t in later.items()}


def gradient_of(parameter: Tensor) -> Tensor:
    """The gradient by a parameter, as an input of the update."""
    return tensor(f"d_{name_of(parameter)}", parameter.axes)
