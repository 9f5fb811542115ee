"""Attention: four products with weights whose heads are an axis, and a softmax between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from contractconv import functions as F
from contractconv.api.contraction import Contraction
from contractconv.api.tensor import Tensor
from contractconv.errors import OperandError, ParameterError, ShapeError
from contractconv.layers.initialisers import check_init
from contractconv.layers.options import check_count, check_number
from contractconv.layers.part import Part
from contractconv.layers.products import weighted
from contractconv.layers.windows import each
from contractconv.programs.build import unused

if TYPE_CHECKING:
    from contractconv.layers.trace import Trace

_IN, _OUT = "... d, d h k -> ... h k", "... h k, h k d -> ... d"


@dataclass(frozen=True, eq=False, repr=False)
class Attention(Part):
    """Attention with several heads, along the axis before the last one, ``"b t c"``.

    A part that is called with ``(x)`` looks at itself, one with ``(x, context)`` at others, one
    with ``(x, context, mask)`` at those of them for whom the mask is true: its last axis is along
    the context, the others are axes of ``x`` by name. Who looks at nobody gets zeros.

    Args:
        heads: how many heads there are.
        size: how many features a head has; by default those of what comes in, divided by ``heads``.
        causal: whether nobody sees what comes later.
        band: how far anybody sees, in both directions, or ``(behind, ahead)``.
        rotate: a base, ``10000.0``: queries and keys are turned by their positions.
        features: how many there are of the result; by default as many as come in.
        bias: whether something is added to each product with a weight.
        init: what draws the weights ``W_q``, ``W_k``, ``W_v`` and ``W_o``; see
            :class:`contractconv.Layer`.
        name: what it is called in its network.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> import contractconv as cc
        >>> net = cc.Network(Attention(8, causal=True, bias=False))
        >>> net.parameters((2, 10, 64))[0]
        <parameter W_q: d=64, h=8, k=8>

    Source: Vaswani et al., "Attention is all you need", NeurIPS (2017), section 3.2; for bands
    Beltagy, Peters and Cohan, "Longformer", arXiv:2004.05150 (2020); for turns Su et al.,
    "RoFormer", arXiv:2104.09864 (2021).
    """

    kind: ClassVar[str] = "attention"
    heads: int
    size: int | None = None
    causal: bool = False
    band: int | Sequence[int] | None = None
    rotate: float | None = None
    features: int | None = None
    bias: bool = True
    init: Any = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_init(self.init, ("W_q", "W_k", "W_v", "W_o"))
        check_count(self.heads, "heads")
        for what in ("size", "features"):
            if getattr(self, what) is not None:
                check_count(getattr(self, what), what)
        if self.rotate is not None:
            check_number(self.rotate, "rotate", 1)
        if self.size is not None and self.rotate is not None and self.size % 2:
            raise ParameterError(f"size={self.size}: pairs of features are turned")
        _ = self._reach

    @property
    def _reach(self) -> tuple[int, ...] | None:
        """How far is seen: behind, and ahead."""
        return None if self.band is None else each(self.band, 2, "band", 0)

    @property
    def string(self) -> str:
        """The strings of its products."""
        bias = " + bias" if self.bias else ""
        turned = "" if self.rotate is None else f", turned with base {self.rotate}"
        seen = "".join((", causal" * self.causal, f", within {self._reach}" * bool(self._reach)))
        return "\n".join(
            (
                f"q: {_IN}{bias}{turned}",
                f"k: {_IN}{bias}{turned}",
                f"v: {_IN}{bias}",
                f"... t h k, ... s h k -> ... t h s, / sqrt(k){seen}, softmax over s",
                "... t h s, ... s h k -> ... t h k",
                f"{_OUT}{bias}",
            )
        )

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        if not 1 <= len(tensors) <= 3:
            raise OperandError(f"attention takes x, context and mask, not {len(tensors)} tensors")
        x, whole = tensors[0], tensors[1] if len(tensors) > 1 else tensors[0]
        _check_ranks(x, whole)
        over = unused(whole.axes[-2] if whole is not x else f"{x.axes[-2]}_", x.axes)
        context = whole.named((*x.axes[:-2], over, x.axes[-1]))
        size = self._size(trace.shape(x)[-1])
        head, inner = unused("h", context.axes + x.axes), unused("k", context.axes + x.axes)
        q, k, v = (
            self._projected(trace, source, role, (head, inner), size)
            for source, role in ((x, "q"), (context, "k"), (context, "v"))
        )
        if self.rotate is not None:
            q, k = (F.rope(p, p.axes[-3], inner, self.rotate) for p in (q, k))
        seen = F.attention(q, k, v, over, inner, self._mask(x, over, tensors[2:]))
        features = self.features or trace.shape(x)[-1]
        return weighted(
            trace, Contraction(_OUT), [seen], {"d": features}, roles=["W_o"], init=self.init,
            bias=self.bias, bias_role="bias_o", name=x.axes,
        )  # fmt: skip

    def _size(self, features: int) -> int:
        if self.size is None and features % self.heads:
            raise ShapeError(
                f"{features} features are no multiple of heads={self.heads}: say size=, the number "
                "of features that a head has"
            )
        size = self.size or features // self.heads
        if self.rotate is not None and size % 2:
            raise ShapeError(f"pairs of features are turned, and a head has {size}")
        return size

    def _projected(
        self, trace: Trace, x: Tensor, role: str, axes: tuple[str, str], size: int
    ) -> Tensor:
        """What comes in, times a weight with an axis for the heads."""
        return weighted(
            trace, Contraction(_IN), [x], {"h": self.heads, "k": size}, roles=[f"W_{role}"],
            init=self.init, bias=axes if self.bias else None, bias_role=f"bias_{role}",
            name=(*x.axes[:-1], *axes),
        )  # fmt: skip

    def _mask(self, x: Tensor, over: str, given: Sequence[Tensor]) -> Tensor | None:
        """Who is looked at, if not everybody."""
        at = x.axes[-2]
        masks = [mask.named((*mask.axes[:-1], over)) for mask in given]
        if self.causal:
            masks.append(F.causal_mask(at, over))
        if self._reach is not None:
            masks.append(F.banded_mask(at, over, *self._reach))
        if not masks:
            return None
        whole, *others = masks
        for other in others:
            whole = whole & other
        return whole


def _check_ranks(x: Tensor, context: Tensor) -> None:
    if x.ndim < 2 or x.ndim != context.ndim:
        shown = f"'{' '.join(x.axes)}' and '{' '.join(context.axes)}'"
        raise ShapeError(
            f"attention is along the axis before the last one of two tensors with as many axes: "
            f"{shown} come in"
        )
