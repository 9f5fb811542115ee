"""Dropout, whose chance is drawn outside of the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from contractconv import functions as F
from contractconv.errors import ParameterError
from contractconv.functions.axes import axes_of
from contractconv.functions.shares import rest_of
from contractconv.layers.options import check_number
from contractconv.layers.part import Part
from contractconv.programs.build import as_axes

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.layers.trace import Trace


@dataclass(frozen=True, eq=False, repr=False)
class Dropout(Part):
    """Lose numbers by chance in training; what is kept is made greater by as much as is lost.

    Args:
        rate: the share that is lost, at least 0 and less than 1.
        over: the axes of what comes in along which everything is kept or lost together: ``"h w"``
            loses whole channels of an image.
        name: what it is called in its network.

    Raises:
        ParameterError: the rate is no such share.

    Example:
        >>> print(Dropout(0.1))
        where(kept, x / 0.9, 0)
        >>> print(Dropout(0.5, over="h w"))
        where(kept, x / 0.5, 0), alike over h w

    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 10; Tompson et al., "Efficient
    object localization using convolutional networks", CVPR (2015), for whole channels.
    """

    kind: ClassVar[str] = "dropout"
    rate: float = 0.5
    over: str | Sequence[str] = ()
    name: str | None = None

    def __post_init__(self) -> None:
        as_axes(self.over)
        check_number(self.rate, "rate", 0, 1)
        if self.rate == 1:
            raise ParameterError("rate=1: nothing would be kept")

    @property
    def string(self) -> str:
        """What is done in training."""
        axes = " ".join(as_axes(self.over))
        alike = f", alike over {axes}" if axes else ""
        return f"where(kept, x / {rest_of(self.rate)}, 0){alike}"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = self._only(tensors)
        alike = axes_of(x, as_axes(self.over), "what comes in")
        if not trace.training or not self.rate:
            return x
        sizes = {
            axis: size
            for axis, size in zip(x.axes, trace.shape(x), strict=True)
            if axis not in alike
        }
        kept = trace.mask(tuple(sizes), tuple(sizes.values()), rest_of(self.rate))
        return F.dropout(x, kept, self.rate)
