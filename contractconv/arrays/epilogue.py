"""What is done to the result of a contraction before it is given back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contractconv.arrays.views import Array
from contractconv.errors import OperandError, ShapeError

ACTIVATIONS = ("relu",)


class Ending(NamedTuple):
    """A bias that is added to the last axis of a result, and a function of each element.

    Attributes:
        bias: one number for each element of the last axis, or ``None``.
        activation: one of :data:`ACTIVATIONS`, or ``None``.
    """

    bias: Array | None
    activation: str | None

    def apply(self, result: Array) -> None:
        """Do it in place, element by element."""
        if self.bias is not None:
            np.add(result, self.bias, out=result)
        if self.activation == "relu":
            np.maximum(result, 0, out=result)


def ending(bias: Array | None, activation: str | None, shape: tuple[int, ...]) -> Ending | None:
    """Check what a caller wants to be done to a result of some shape.

    Returns:
        What is to be done; ``None`` if there is nothing.

    Raises:
        OperandError: the activation is unknown.
        ShapeError: the bias does not fit the last axis.
    """
    if activation is not None and activation not in ACTIVATIONS:
        known = ", ".join(map(repr, ACTIVATIONS))
        raise OperandError(f"unknown activation {activation!r}: it is {known}, or None")
    if bias is not None and bias.shape != shape[-1:]:
        raise ShapeError(
            f"the bias has shape {bias.shape}, "
            f"the last axis of the result {shape} needs {shape[-1:]}"
        )
    return None if bias is None and activation is None else Ending(bias, activation)
