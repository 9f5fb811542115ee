"""Pooling: a window, or everything, is reduced; strings without weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from contractconv.api.contraction import Contraction
from contractconv.api.tensor import Tensor, applied, index
from contractconv.errors import ParameterError, ShapeError
from contractconv.functions.axes import contracted
from contractconv.layers.convolutions import WindowPart
from contractconv.layers.layer import Said, StringPart
from contractconv.layers.windows import POSITIONS, Padding, Window, windows
from contractconv.notation.parser import as_reduction
from contractconv.notation.spec import Reduction

if TYPE_CHECKING:
    from contractconv.layers.trace import Trace


class _Pool(WindowPart):
    """A window of each channel is reduced."""

    bias: bool = False

    @property
    def windows(self) -> tuple[Window, ...]:
        """The window along each axis; by default they are as far apart as they are long."""
        stride = self.kernel if self.stride is None else self.stride
        return windows(self.kernel, stride, self.dilation, self.padding)

    def _text(self, windows: Sequence[str]) -> str:
        return f"b {' '.join(windows)} c -> b {' '.join(POSITIONS[: len(windows)])} c"


@dataclass(frozen=True, eq=False, repr=False)
class MaxPool(_Pool):
    """The greatest number of each window, channel by channel.

    Args:
        kernel: the size of the window: an integer for two axes, a tuple for as many as it has.
        stride: how far windows are apart; by default as far as they are long.
        dilation: how far elements of a window are apart.
        padding: how far windows reach outside, where nothing is; see
            :class:`contractconv.layers.Conv`.
        name: what it is called in its network.

    Example:
        >>> print(MaxPool(2))
        b (2*i+k) (2*j+l) c -> b i j c, reduce max
    """

    kind: ClassVar[str] = "max_pool"
    kernel: int | Sequence[int]
    stride: int | Sequence[int] | None = None
    dilation: int | Sequence[int] = 1
    padding: Padding = 0
    name: str | None = None

    def __post_init__(self) -> None:
        _ = self.windows

    def _reduce(self) -> Any:
        return "max"


@dataclass(frozen=True, eq=False, repr=False)
class AveragePool(_Pool):
    """The mean of each window, channel by channel.

    Args:
        kernel: the size of the window; see :class:`MaxPool` for this and the other options.
        stride: how far windows are apart.
        dilation: how far elements of a window are apart.
        padding: how far windows reach outside.
        count_padding: whether what is outside counts, as zeros.
        name: what it is called in its network.

    Example:
        >>> print(AveragePool(2))
        b (2*i+k) (2*j+l) c -> b i j c, reduce mean
    """

    kind: ClassVar[str] = "average_pool"
    kernel: int | Sequence[int]
    stride: int | Sequence[int] | None = None
    dilation: int | Sequence[int] = 1
    padding: Padding = 0
    count_padding: bool = True
    name: str | None = None

    def __post_init__(self) -> None:
        _ = self.windows

    def _reduce(self) -> Any:
        return "mean" if self.count_padding else "sum"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        made = super()._build(trace, *tensors)
        return made if self.count_padding else made / self._inside(trace, tensors[0])

    def _inside(self, trace: Trace, x: Tensor) -> Tensor:
        """How many elements of each window there are: a product of one number an axis."""
        counts = [
            _counted(window, axis, length)
            for window, axis, length in zip(
                self.windows, x.axes[1:-1], trace.shape(x)[1:-1], strict=True
            )
        ]
        whole, *others = counts
        for other in others:
            whole = whole * other
        return whole


@dataclass(frozen=True, eq=False, repr=False)
class GlobalPool(StringPart):
    """Everything between batch and channels is reduced to one number for each channel.

    Args:
        reduce: ``"mean"``, ``"max"`` or another reduction.
        axes: how many axes there are between batch and channels.
        name: what it is called in its network.

    Example:
        >>> print(GlobalPool())
        b i j c -> b c, reduce mean
    """

    kind: ClassVar[str] = "global_pool"
    reduce: Reduction = "mean"
    axes: int = 2
    name: str | None = None

    def __post_init__(self) -> None:
        if self.axes not in range(1, len(POSITIONS) + 1):
            raise ParameterError(f"axes={self.axes!r}: one, two or three axes are reduced")
        as_reduction(self.reduce)

    @property
    def contraction(self) -> Contraction:
        """The string."""
        places = " ".join(POSITIONS[: self.axes])
        return Contraction(f"b {places} c -> b c", self.reduce)

    def _said(self, trace: Trace, *tensors: Tensor) -> Said:
        (x,) = tensors
        if x.ndim != self.axes + 2:
            raise ShapeError(
                f"{self.axes} axes between batch and channels are reduced, but "
                f"'{' '.join(x.axes)}' comes in: say axes={x.ndim - 2}"
            )
        return Said(self.contraction, names=(x.axes[0], x.axes[-1]))


def _counted(window: Window, axis: str, length: int) -> Tensor:
    """How many elements of each window along an axis lie inside."""
    ones = applied("where", index(axis, length) >= 0, 1, 0)
    text = f"{window.text(0, length)} -> i"
    extents = {"k": window.size}
    if not window.is_symmetric(length):
        extents["i"] = window.count(length)
    return contracted(text, [ones], extents).named(axis)
