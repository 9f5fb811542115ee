"""Convolutions whose kernel is a product of small ones: each of them one string."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from contractconv.layers.convolutions import WindowPart
from contractconv.layers.initialisers import check_init
from contractconv.layers.options import check_count
from contractconv.layers.products import Ending, check_ending
from contractconv.layers.windows import POSITIONS, TAPS, Padding, each

# What the indices of ranks are called: those of windows have other names.
_RANKS = ("u", "v", "w", "x")


class _Factorised(WindowPart):
    """A convolution with several weights."""

    filters: int

    def __post_init__(self) -> None:
        check_ending(self.map)
        check_init(self.init)
        check_count(self.filters, "filters")
        _ = self.windows, self._ranks()

    @abstractmethod
    def _weights(self, taps: Sequence[str]) -> Sequence[str]:
        """The terms of the weights."""

    @abstractmethod
    def _ranks(self) -> Mapping[str, int]:
        """The extents of the indices that only weights have."""

    def _text(self, windows: Sequence[str]) -> str:
        weights = ", ".join(self._weights(TAPS[: len(windows)]))
        return f"b {' '.join(windows)} c, {weights} -> b {' '.join(POSITIONS[: len(windows)])} o"

    def _sizes(self) -> dict[str, int]:
        return {"o": self.filters, **self._ranks()}


@dataclass(frozen=True, eq=False, repr=False)
class Separable(_Factorised):
    """A convolution of each map by itself, of which each output map adds up all.

    Args:
        filters: how many maps it makes.
        kernel: the size of the window; see :class:`contractconv.layers.Conv` for this and the
            other options.
        multiplier: how many maps are made of each before they are added up.
        stride: how far windows are apart.
        dilation: how far elements of a window are apart.
        padding: how far windows reach outside.
        bias: whether something is added to each map.
        map: what is applied at the end.
        init: what draws the weights ``W_1`` and ``W_2``.
        name: what it is called in its network.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> print(Separable(64, 3, padding=1))
        b (i+k-1) (j+l-1) c, k l c, c o -> b i j o + bias

    Source: Chollet, "Xception", CVPR (2017).
    """

    kind: ClassVar[str] = "separable"
    filters: int
    kernel: int | Sequence[int]
    multiplier: int = 1
    stride: int | Sequence[int] = 1
    dilation: int | Sequence[int] = 1
    padding: Padding = 0
    bias: bool = True
    map: Ending = None
    init: Any = None
    name: str | None = None

    def _weights(self, taps: Sequence[str]) -> Sequence[str]:
        between = "c" if self.multiplier == 1 else f"c {_RANKS[0]}"
        return f"{' '.join(taps)} {between}", f"{between} o"

    def _ranks(self) -> Mapping[str, int]:
        check_count(self.multiplier, "multiplier")
        return {} if self.multiplier == 1 else {_RANKS[0]: self.multiplier}


@dataclass(frozen=True, eq=False, repr=False)
class ConvCP(_Factorised):
    """A convolution whose kernel is a sum of products of vectors, one for each axis.

    Args:
        filters: how many maps it makes.
        kernel: the size of the window; see :class:`contractconv.layers.Conv` for this and the
            other options.
        rank: how many products there are.
        stride: how far windows are apart.
        dilation: how far elements of a window are apart.
        padding: how far windows reach outside.
        bias: whether something is added to each map.
        map: what is applied at the end.
        init: what draws the weights: one for each axis of the window, then those of what comes in
            and of what is made.
        name: what it is called in its network.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> print(ConvCP(64, 5, rank=12))
        b (i+k) (j+l) c, k u, l u, c u, u o -> b i j o + bias

    Source: Lebedev et al., "Speeding-up convolutional neural networks using fine-tuned
    CP-decomposition", ICLR (2015).
    """

    kind: ClassVar[str] = "conv_cp"
    filters: int
    kernel: int | Sequence[int]
    rank: int
    stride: int | Sequence[int] = 1
    dilation: int | Sequence[int] = 1
    padding: Padding = 0
    bias: bool = True
    map: Ending = None
    init: Any = None
    name: str | None = None

    def _weights(self, taps: Sequence[str]) -> Sequence[str]:
        u = _RANKS[0]
        return *(f"{tap} {u}" for tap in taps), f"c {u}", f"{u} o"

    def _ranks(self) -> Mapping[str, int]:
        check_count(self.rank, "rank")
        return {_RANKS[0]: self.rank}


@dataclass(frozen=True, eq=False, repr=False)
class ConvTucker(_Factorised):
    """A convolution between few maps, to which all are brought, and from which all are made.

    Args:
        filters: how many maps it makes.
        kernel: the size of the window; see :class:`contractconv.layers.Conv` for this and the
            other options.
        ranks: how many maps there are before the window and behind it: one number, or two.
        stride: how far windows are apart.
        dilation: how far elements of a window are apart.
        padding: how far windows reach outside.
        bias: whether something is added to each map.
        map: what is applied at the end.
        init: what draws the weights ``W_1`` to ``W_3``.
        name: what it is called in its network.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> print(ConvTucker(64, 3, ranks=(8, 16)))
        b (i+k) (j+l) c, c u, k l u v, v o -> b i j o + bias

    Source: Kim et al., "Compression of deep convolutional neural networks for fast and low power
    mobile applications", ICLR (2016).
    """

    kind: ClassVar[str] = "conv_tucker"
    filters: int
    kernel: int | Sequence[int]
    ranks: int | Sequence[int]
    stride: int | Sequence[int] = 1
    dilation: int | Sequence[int] = 1
    padding: Padding = 0
    bias: bool = True
    map: Ending = None
    init: Any = None
    name: str | None = None

    def _weights(self, taps: Sequence[str]) -> Sequence[str]:
        u, v = _RANKS[:2]
        return f"c {u}", f"{' '.join(taps)} {u} {v}", f"{v} o"

    def _ranks(self) -> Mapping[str, int]:
        return dict(zip(_RANKS, each(self.ranks, 2, "ranks", 1), strict=False))


@dataclass(frozen=True, eq=False, repr=False)
class ConvTrain(_Factorised):
    """A convolution whose kernel is a tensor train: each factor meets its neighbours.

    Args:
        filters: how many maps it makes.
        kernel: the size of the window; see :class:`contractconv.layers.Conv` for this and the
            other options.
        ranks: how much passes between neighbours: one number, or one more than there are axes of
            the window.
        stride: how far windows are apart.
        dilation: how far elements of a window are apart.
        padding: how far windows reach outside.
        bias: whether something is added to each map.
        map: what is applied at the end.
        init: what draws the weights: that of what comes in, one for each axis of the window, and
            that of what is made.
        name: what it is called in its network.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> print(ConvTrain(64, 3, ranks=8))
        b (i+k) (j+l) c, c u, k u v, l v w, w o -> b i j o + bias

    Source: Garipov et al., "Ultimate tensorization", arXiv:1611.03214 (2016).
    """

    kind: ClassVar[str] = "conv_train"
    filters: int
    kernel: int | Sequence[int]
    ranks: int | Sequence[int]
    stride: int | Sequence[int] = 1
    dilation: int | Sequence[int] = 1
    padding: Padding = 0
    bias: bool = True
    map: Ending = None
    init: Any = None
    name: str | None = None

    def _weights(self, taps: Sequence[str]) -> Sequence[str]:
        links = zip(taps, _RANKS, _RANKS[1:], strict=False)
        inner = (f"{tap} {before} {after}" for tap, before, after in links)
        return f"c {_RANKS[0]}", *inner, f"{_RANKS[len(taps)]} o"

    def _ranks(self) -> Mapping[str, int]:
        ranks = each(self.ranks, len(self.windows) + 1, "ranks", 1)
        return dict(zip(_RANKS, ranks, strict=False))
