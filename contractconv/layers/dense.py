"""Dense layers: some of the last axes are contracted with a weight, with no flattening before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from contractconv.api.contraction import Contraction
from contractconv.errors import ParameterError, ShapeError
from contractconv.layers.initialisers import check_init
from contractconv.layers.layer import Said, StringPart
from contractconv.layers.options import check_count
from contractconv.layers.products import Ending, check_ending
from contractconv.programs.build import as_axes, unused

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.layers.trace import Trace


@dataclass(frozen=True, eq=False, repr=False)
class Dense(StringPart):
    """A dense layer: all of the last axes, or the last one, are joined with each output.

    Behind an image ``over="h w c"`` contracts the image itself with a weight of as many axes: that
    is what flattening is done for elsewhere. ``order`` says in which order the weight's rows are
    flattened, if they are: a composed axis ``(c h w)`` is how frameworks that put channels first
    keep it.

    Args:
        features: how many outputs there are.
        over: names for the last axes that are contracted, as many as are; ``"c"`` for the last.
        order: the same names in the order in which the weight has them, as one axis; by default
            the weight has an axis for each.
        bias: whether something is added to each output.
        map: what is applied at the end.
        init: what draws the weight; see :class:`contractconv.Layer`.
        name: what it is called in its network.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> str(Dense(10))
        '... c, c o -> ... o + bias'
        >>> str(Dense(120, over="h w c", map="relu"))
        '... h w c, h w c o -> ... o + bias, relu'
        >>> str(Dense(120, over="h w c", order="c h w", bias=False))
        '... h w c, (c h w) o -> ... o'
    """

    kind: ClassVar[str] = "dense"
    features: int
    over: str | Sequence[str] = "c"
    order: str | Sequence[str] | None = None
    bias: bool = True
    map: Ending = None
    init: Any = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_ending(self.map)
        check_init(self.init)
        check_count(self.features, "features")
        names, order = as_axes(self.over), as_axes(self.order or self.over)
        if not names or "o" in names:
            raise ParameterError(f"over={self.over!r}: names of axes are wanted, none of them 'o'")
        if sorted(names) != sorted(order):
            raise ParameterError(f"order={self.order!r} has other names than over={self.over!r}")

    @property
    def contraction(self) -> Contraction:
        """The string."""
        return Contraction(self._text("..."))

    def _text(self, lead: str) -> str:
        names = " ".join(as_axes(self.over))
        rows = names if self.order is None else f"({' '.join(as_axes(self.order))})"
        return f"{lead} {names}, {rows} o -> {lead} o"

    def _said(self, trace: Trace, *tensors: Tensor) -> Said:
        (x,) = tensors
        names = as_axes(self.over)
        if len(names) > x.ndim:
            raise ShapeError(
                f"over='{' '.join(names)}' contracts {len(names)} axes, but only "
                f"'{' '.join(x.axes)}' come in"
            )
        kept = x.axes[: x.ndim - len(names)]
        lead: list[str] = []
        for name in kept:
            lead.append(unused(name, (*names, "o", *lead)))
        sizes = {"o": self.features}
        if self.order is not None:
            sizes |= dict(zip(names, trace.shape(x)[len(kept) :], strict=True))
        return Said(
            Contraction(self._text(" ".join(lead)).strip()), sizes, names=(*kept, x.axes[-1])
        )
