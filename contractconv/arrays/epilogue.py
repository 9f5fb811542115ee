"""What is done to the result of a contraction before it is given back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.conversion import fitted
from contractconv.arrays.views import Array
from contractconv.notation.problem import Shape
from contractconv.planning.options import Options


class Ending(NamedTuple):
    """A bias that is added to the last axis of a result, and a function of each element.

    Attributes:
        bias: one number for each element of the last axis, or ``None``.
        activation: as in :class:`Options`, or ``None``.
    """

    bias: Array | None
    activation: str | None

    def apply(self, result: Array) -> None:
        """Do it in place, element by element."""
        if self.bias is not None:
            np.add(result, self.bias, out=result)
        if self.activation == "relu":
            np.maximum(result, 0, out=result)


def ending(options: Options, shape: Shape, dtype: np.dtype[Any], wanted: str) -> Ending | None:
    """Take what a caller wants to be done to a result.

    Args:
        options: those of the call.
        shape: the shape of the result.
        dtype: in what it is summed.
        wanted: what messages say before the shape and the dtype that a bias must have.

    Returns:
        What is to be done; ``None`` if there is nothing.

    Raises:
        OperandError: the bias is not of numbers that fit.
        ShapeError: it does not fit the last axis.
    """
    if options.bias is options.activation is None:
        return None
    bias = options.bias
    if bias is not None:
        bias = fitted(bias, "the bias", shape[-1:], dtype, wanted)
    return Ending(bias, options.activation)
