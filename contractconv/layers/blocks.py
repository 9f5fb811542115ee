"""Blocks: parts beside each other, whose results meet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import TYPE_CHECKING, Any, ClassVar

from contractconv import functions as F
from contractconv.api.contraction import Contraction
from contractconv.errors import ShapeError
from contractconv.layers.chain import Chain, Link
from contractconv.layers.initialisers import check_init
from contractconv.layers.joining import concatenated
from contractconv.layers.layer import map_name
from contractconv.layers.options import check_count
from contractconv.layers.part import Part
from contractconv.layers.products import Ending, check_ending, ended, weighted

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.layers.trace import Trace

Links = Link | Iterable[Link | Sequence[Link]]
"""A part, or a list of them."""


class Residual(Part):
    """What comes in is added to what parts make of it.

    Args:
        parts: one behind the other, as in a :class:`Chain`.
        shortcut: what is done to what comes in before it is added: a convolution of one point,
            where the number of channels changes; by default nothing.
        map: what is applied to the sum.
        name: what it is called in its network.

    Raises:
        ParameterError: something is no part.

    Example:
        >>> from contractconv.layers import Conv
        >>> print(Residual([Conv(64, 3, padding=1), "relu", Conv(64, 3, padding=1)], map="relu"))
        x + (
            b (i+k-1) (j+l-1) c, k l c o -> b i j o + bias
            relu
            b (i+k-1) (j+l-1) c, k l c o -> b i j o + bias
        ), relu

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR (2016).
    """

    kind: ClassVar[str] = "residual"
    is_block: ClassVar[bool] = True

    def __init__(
        self,
        parts: Links,
        shortcut: Links | None = None,
        map: Ending = None,
        name: str | None = None,
    ) -> None:
        check_ending(map)
        self.inside = Chain(_listed(parts))
        self.shortcut = None if shortcut is None else Chain(_listed(shortcut), name="shortcut")
        self.map, self.name = map, name

    @property
    def string(self) -> str:
        """The strings of its parts, and what they are added to."""
        beside = "x" if self.shortcut is None else _block(self.shortcut)
        end = f", {map_name(self.map)}" if self.map is not None else ""
        return f"{beside} + {_block(self.inside)}{end}"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = self._only(tensors)
        made = self.inside.through(x)
        beside = x if self.shortcut is None else self.shortcut(x)
        _check_alike(trace, beside, made)
        return ended(beside + made.named(beside.axes), self.map)

    def __repr__(self) -> str:
        beside = "" if self.shortcut is None else f", shortcut={list(self.shortcut.parts)!r}"
        return f"Residual({list(self.inside.parts)!r}{beside})"


class Concat(Part):
    """What several parts make of what comes in, one behind the other along the last axis.

    Args:
        *branches: parts, or lists of them; an empty list is what comes in itself. Without any,
            as many tensors as are given are put together: the skips of a U-Net.
        name: what it is called in its network.

    Raises:
        ParameterError: something is no part.

    Example:
        >>> from contractconv.layers import Conv
        >>> print(Concat([], Conv(8, 3, padding=1)))
        concat along c: (
            x
        ), (
            b (i+k-1) (j+l-1) c, k l c o -> b i j o + bias
        )

    Source: Szegedy et al., "Going deeper with convolutions", CVPR (2015); Huang et al., "Densely
    connected convolutional networks", CVPR (2017), where one branch is what comes in.
    """

    kind: ClassVar[str] = "concat"
    is_block: ClassVar[bool] = True

    def __init__(self, *branches: Links, name: str | None = None) -> None:
        listed = [_listed(branch) for branch in branches]
        self.branches = tuple(
            Chain(parts, name=f"branch_{n}") if parts else None
            for n, parts in enumerate(listed, start=1)
        )
        self.name = name

    @property
    def string(self) -> str:
        """The strings of its branches."""
        blocks = ["(\n    x\n)" if b is None else _block(b) for b in self.branches]
        return f"concat along c: {', '.join(blocks) or 'what is given'}"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        made = list(tensors)
        if self.branches:
            x = self._only(tensors)
            made = [x if branch is None else branch(x) for branch in self.branches]
        return concatenated(trace, made)

    def __repr__(self) -> str:
        shown = ", ".join(repr(list(b.parts)) if b else "[]" for b in self.branches)
        return f"Concat({shown})"


@dataclass(frozen=True, eq=False, repr=False)
class SqueezeExcite(Part):
    """Each channel is multiplied by a gate that has seen the means of all channels.

    Args:
        reduction: how many times fewer numbers than channels there are between the two weights.
        map: what is applied between them.
        gate: what makes gates of numbers.
        init: what draws the weights ``W_1`` and ``W_2``; see :class:`contractconv.Layer`.
        name: what it is called in its network.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> print(SqueezeExcite(16))
        x * (
            b ... c -> b c, reduce mean
            b c, c o -> b o + bias, relu
            b c, c o -> b o + bias, sigmoid
        )

    Source: Hu, Shen and Sun, "Squeeze-and-excitation networks", CVPR (2018).
    """

    kind: ClassVar[str] = "squeeze_excite"
    reduction: int = 16
    map: Ending = "relu"
    gate: Ending = "sigmoid"
    init: Any = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_count(self.reduction, "reduction")
        check_init(self.init, ("W_1", "W_2"))
        check_ending(self.map)
        check_ending(self.gate)

    @property
    def string(self) -> str:
        """The strings of what makes the gates."""
        ends = ["" if e is None else f", {map_name(e)}" for e in (self.map, self.gate)]
        lines = ["b ... c -> b c, reduce mean", *(f"{_SQUEEZED} + bias{end}" for end in ends)]
        return "x * (\n" + indent("\n".join(lines), "    ") + "\n)"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = self._only(tensors)
        if x.ndim < 3:
            shown = " ".join(x.axes)
            raise ShapeError(f"there is nothing between batch and channels of '{shown}'")
        channels = trace.shape(x)[-1]
        inner = max(1, channels // self.reduction)
        squeezed = F.mean(x, x.axes[1:-1])
        for n, (size, end) in enumerate([(inner, self.map), (channels, self.gate)], start=1):
            squeezed = weighted(
                trace, Contraction(_SQUEEZED), [squeezed], {"o": size}, roles=[f"W_{n}"],
                init=self.init, bias=True, bias_role=f"bias_{n}", map=end, name=squeezed.axes,
            )  # fmt: skip
        return x * squeezed


_SQUEEZED = "b c, c o -> b o"


def _listed(given: Links) -> list[Any]:
    return [given] if isinstance(given, str) or callable(given) else list(given)


def _block(chain: Chain) -> str:
    return f"(\n{indent(chain.string, '    ')}\n)"


def _check_alike(trace: Trace, beside: Tensor, made: Tensor) -> None:
    """Refuse what cannot be added up."""
    shapes = trace.shape(beside), trace.shape(made)
    if shapes[0] != shapes[1]:
        sides = (f"'{' '.join(t.axes)}' {s}" for t, s in zip((beside, made), shapes, strict=True))
        raise ShapeError(
            f"{' and '.join(sides)} cannot be added up: let shortcut= be a part that makes the "
            "one like the other, as Conv(channels, 1, stride=...)"
        )
