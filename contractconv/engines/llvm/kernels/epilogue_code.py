"""What is done to sums before they leave the registers: a bias is added, negatives become zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter
    from contractconv.engines.llvm.kernels.kernel_values import Int, Vector


@dataclass(frozen=True, slots=True)
class Finish:
    """What is done to finished sums.

    Attributes:
        bias: whether a number is added that depends on the lane alone.
        relu: whether what is negative becomes zero afterwards.
    """

    bias: bool = False
    relu: bool = False

    @property
    def name(self) -> str:
        """A part of a kernel's name."""
        return "b" * self.bias + "r" * self.relu


RAW = Finish()


def finished(e: Emitter, finish: Finish, total: Vector, bias: Int, mask: Any) -> Vector:
    """One vector of sums, finished; NaN stays NaN."""
    if finish.bias:
        total = total + e.load(bias, mask)
    if finish.relu:
        zero = e.zero()
        total = e.select(e.greater(zero, total), zero, total)
    return total
