"""Losses by name, and what is wanted of a network for each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from contractconv.api.tensor import Tensor
from contractconv.errors import OperandError, ParameterError, ShapeError
from contractconv.functions import binary_cross_entropy, cross_entropy, huber, mse
from contractconv.networks.traced import InputKind

if TYPE_CHECKING:
    from contractconv.networks.traced import Shape

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


def target_kind(made: Tensor, sizes: Shape, shape: Shape, kind: str) -> InputKind:
    """What is wanted of a network, as an input: along all axes of its result, or all but the last.

    Args:
        made: what the network makes.
        sizes: the sizes of its axes.
        shape: the shape of what is wanted.
        kind: ``"i"`` for integers, ``"f"`` for floating-point numbers, ``"b"`` for truth values.

    Raises:
        ShapeError: it has another shape.
        OperandError: it is no array of real numbers.
    """
    if kind not in _DTYPES:
        raise OperandError("what is wanted is an array of real numbers")
    for axes, expected in ((made.axes, sizes), (made.axes[:-1], sizes[:-1])):
        if tuple(shape) == tuple(expected):
            return InputKind("target", axes, tuple(shape), _DTYPES[kind])
    raise ShapeError(
        f"what is wanted has shape {tuple(shape)}; the network makes '{' '.join(made.axes)}' "
        f"{tuple(sizes)}: give such an array, or one integer for each of its rows, "
        f"{tuple(sizes[:-1])}"
    )


_DTYPES: dict[str, str | None] = {"i": "int64", "u": "int64", "f": None, "b": "bool"}
