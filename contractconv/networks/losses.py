"""Losses by name, and what is wanted of a network for each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from contractconv.api.tensor import Tensor
from contractconv.errors import OperandError, ParameterError, ShapeError
from contractconv.functions import binary_cross_entropy, cross_entropy, huber, mse
from contractconv.networks.traced import InputKind

if TYPE_CHECKING:
    from contractconv.networks.traced import Shape, Traced

Loss = Callable[[Tensor, Tensor], Tensor]
"""A function of what a network makes and of what is wanted."""


def _cross_entropy(made: Tensor, wanted: Tensor) -> Tensor:
    """Classes are along the last axis."""
    return cross_entropy(made, wanted, made.axes[-1])


LOSSES: dict[str, Loss] = {
    "cross_entropy": _cross_entropy,
    "mse": mse,
    "huber": huber,
    "binary_cross_entropy": binary_cross_entropy,
}
"""By name; each is one entry."""


def as_loss(given: Any) -> Loss:
    """What a caller meant by a loss: a name, or a function of two symbolic tensors.

    Raises:
        ParameterError: there is none of this name.
    """
    if isinstance(given, str):
        if given not in LOSSES:
            raise ParameterError(
                f"there is no loss {given!r}: give one of {', '.join(LOSSES)}, or a function of "
                "what the network makes and of what is wanted"
            )
        return LOSSES[given]
    if not callable(given):
        raise ParameterError(f"loss={given!r} is neither a name nor a function")
    loss: Loss = given
    return loss


def target_kind(network: Traced, shape: Shape, kind: str) -> InputKind:
    """What is wanted of a network, as an input: along all axes of its result, or all but the last.

    Args:
        network: what makes the result.
        shape: the shape of what is wanted.
        kind: ``"i"`` for integers, ``"f"`` for floating-point numbers, ``"b"`` for truth values.

    Raises:
        ShapeError: it has another shape.
        OperandError: it is no array of real numbers.
    """
    if kind not in _DTYPES:
        raise OperandError("what is wanted is an array of real numbers")
    axes, sizes = network.output.axes, network.sizes
    for along, expected in ((axes, sizes), (axes[:-1], sizes[:-1])):
        if tuple(shape) == tuple(expected):
            return InputKind("target", along, tuple(shape), _DTYPES[kind])
    raise ShapeError(
        f"what is wanted has shape {tuple(shape)}; the network makes '{' '.join(axes)}' "
        f"{tuple(sizes)}: give such an array, or one integer for each of its rows, "
        f"{tuple(sizes[:-1])}"
    )


_DTYPES: dict[str, str | None] = {"i": "int64", "u": "int64", "f": None, "b": "bool"}


def classes_of(loss: Loss, network: Traced, target: InputKind) -> int | None:
    """How many classes there are, if what is wanted are labels."""
    are_labels = loss is _cross_entropy and target.axes != network.output.axes
    return network.sizes[-1] if are_labels else None


def check_labels(labels: Any, classes: int) -> None:
    """See that integers are classes: those that are none would be learnt, and nobody told.

    Raises:
        OperandError: one is not.
    """
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise OperandError(
            f"there are {classes} classes, from 0 to {classes - 1}, and labels from "
            f"{labels.min()} to {labels.max()}"
        )
