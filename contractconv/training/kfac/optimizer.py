"""KFAC: steps along the natural gradient, with a Kronecker-factored Fisher matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contractconv.training.checks import OF_OPTIMIZERS, Rule, check_fields, is_number
from contractconv.training.kfac.damping import METHODS, Method
from contractconv.training.kfac.fisher import FISHERS, Fisher
from contractconv.training.kfac.objective import Objective
from contractconv.training.kfac.training import Training, number_at
from contractconv.training.optimizer import Optimizer, Rate
from contractconv.training.optimizers import Adam

KINDS = ("expand", "reduce")
_ADAM = Adam(1e-3)


@dataclass(frozen=True)
class KFAC:
    """Natural gradient descent with Kronecker-factored curvature.

    Each weight's block of the Fisher matrix is taken for ``A ⊗ B``, an average over windows times
    one over cotangents; a step goes along ``A⁻¹ G B⁻¹``. ``A`` and ``B`` are running averages.

    It is a value and keeps nothing itself; :meth:`on` makes what steps are taken with.

    Args:
        rate: how far a step goes, a number or a schedule.
        damping: what is added to the Fisher matrix.
        clip: the greatest length ``√(gᵀ F⁻¹ g)`` of a direction; ``None`` for no limit. A step
            changes what the network says by no more than ``(rate · clip)² / 2`` nats, so far as
            the curvature is right and momentum aside.
        momentum: how much of the velocity is kept from step to step.
        decay: how much of a parameter is added to its direction.
        fisher: ``"sampled"``, from targets that are drawn from the network's own distribution;
            ``"empirical"``, from the given ones; ``"exact"``, from a root of the loss's Hessian,
            which takes a backward pass for each of its columns.
        places: ``"expand"`` or ``"reduce"``: how places are counted where a weight is used.
        average: how much of the factors' running averages is kept.
        factors_every: after how many steps factors are made again.
        inverses_every: after how many steps they are inverted again.
        inverse: ``"cholesky"`` or ``"eigenvectors"``.
        largest: a weight with more rows, or columns, than that has no factors.
        fallback: what moves parameters without factors.
        seed: of the targets that are drawn; together with the number of the step.

    Raises:
        ParameterError: something is not what it can be.

    Example:
        >>> KFAC(0.01, damping=1e-2).fisher
        'sampled'

    Source: Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate
    curvature", ICML (2015); Grosse and Martens, "A Kronecker-factored approximate Fisher matrix
    for convolution layers", ICML (2016); Ba, Grosse and Martens, "Distributed second-order
    optimization using Kronecker-factored approximations", ICLR (2017), for the limit of a step.
    """

    rate: Rate = 0.01
    damping: float = 1e-2
    clip: float | None = 0.3
    momentum: float = 0.9
    decay: float = 0.0
    fisher: Fisher = "sampled"
    places: str = "expand"
    average: float = 0.95
    factors_every: int = 10
    inverses_every: int = 20
    inverse: Method = "cholesky"
    largest: int = 4096
    fallback: Optimizer = _ADAM
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, RULES)

    def rate_at(self, step: int, steps: int) -> float:
        """The rate of a step, counted from 1, of so many."""
        return number_at(self.rate, step - 1, steps)

    def on(self, objective: Objective, shapes: Mapping[str, Sequence[int]]) -> Training:
        """Make the programs of steps that make a loss smaller.

        Args:
            objective: the loss, and where weights stand in it.
            shapes: of the parameters, by name.
        """
        return Training(self, objective, {name: tuple(shape) for name, shape in shapes.items()})


def _one_of(choices: Sequence[str]) -> Rule:
    return lambda value: value in choices, f"one of {', '.join(choices)}"


def _at_least_one(value: object) -> bool:
    return type(value) is int and value >= 1


def _is_positive(value: Any) -> bool:
    return is_number(value) and value > 0


_COUNT: Rule = _at_least_one, "an integer, 1 or greater"
RULES: dict[str, Rule] = {
    **{name: OF_OPTIMIZERS[name] for name in ("rate", "momentum", "decay")},
    "average": OF_OPTIMIZERS["momentum"],
    "damping": (_is_positive, "a number above zero"),
    "clip": (lambda value: value is None or _is_positive(value), "a number above zero, or None"),
    "fisher": _one_of(FISHERS),
    "places": _one_of(KINDS),
    "inverse": _one_of(METHODS),
    "factors_every": _COUNT,
    "inverses_every": _COUNT,
    "largest": _COUNT,
    "fallback": (lambda value: isinstance(value, Optimizer), "an optimiser of single parameters"),
    "seed": (lambda value: type(value) is int and value >= 0, "an integer, zero or above"),
}
