"""Convolutions of one, two or three dimensions, each of them a string."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from contractconv.api.contraction import Contraction
from contractconv.errors import ParameterError, ShapeError
from contractconv.layers.initialisers import check_init
from contractconv.layers.layer import Said, StringPart
from contractconv.layers.options import check_count
from contractconv.layers.products import Ending, check_ending
from contractconv.layers.windows import (
    PADS,
    POSITIONS,
    TAPS,
    Padding,
    Window,
    check_rank,
    each,
    windows,
)

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.layers.trace import Trace


class Windowed(StringPart):
    """A string with windows, which four options say."""

    kernel: Any
    stride: Any
    dilation: Any
    padding: Any

    @property
    def windows(self) -> tuple[Window, ...]:
        """The window along each axis."""
        return windows(self.kernel, self.stride, self.dilation, self.padding)


class WindowPart(Windowed):
    """A string with a window along each axis between batch and channels.

    What comes in has the axes ``b``, one for each window, and channels; the result keeps their
    names.
    """

    @abstractmethod
    def _text(self, windows: Sequence[str]) -> str:
        """The string, with the axes of the windows."""

    def _sizes(self) -> dict[str, int]:
        """The extents that are no sizes of windows."""
        return {}

    @property
    def contraction(self) -> Contraction:
        """The string; a padding that depends on sizes is a symbol."""
        texts = [window.text(n) for n, window in enumerate(self.windows)]
        pads = [PADS[n] for n, window in enumerate(self.windows) if window.depends]
        return Contraction(self._text(texts), self._reduce(), pads)

    def _reduce(self) -> Any:
        return "sum"

    def _said(self, trace: Trace, *tensors: Tensor) -> Said:
        (x,) = tensors
        check_rank(x.axes, len(self.windows), self.kind)
        lengths = trace.shape(x)[1:-1]
        placed = [*zip(self.windows, lengths, strict=True)]
        texts = [window.text(n, length) for n, (window, length) in enumerate(placed)]
        extents = self._sizes() | {TAPS[n]: w.size for n, w in enumerate(self.windows)}
        for n, (window, length) in enumerate(placed):
            _check_fits(window, length, x.axes[n + 1])
            if not window.is_symmetric(length):
                extents[POSITIONS[n]] = window.count(length)
        return Said(Contraction(self._text(texts), self._reduce()), extents, names=x.axes)


@dataclass(frozen=True, eq=False, repr=False)
class Conv(WindowPart):
    """A convolution: each output map looks at a window of all input maps.

    Args:
        filters: how many maps it makes.
        kernel: the size of the window: an integer for two axes, a tuple for as many as it has.
        stride: how far windows are apart.
        dilation: how far elements of a window are apart.
        padding: how far windows reach outside, where nothing is: an integer, one for each axis, a
            pair ``(before, after)`` for each, ``"same"`` for as many windows as there are elements
            (divided by the stride), ``"valid"`` for none outside.
        groups: into how many parts channels are divided that do not see each other.
        bias: whether something is added to each map.
        map: what is applied at the end.
        init: what draws the weight; see :class:`contractconv.Layer`.
        name: what it is called in its network.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> print(Conv(64, 3, stride=2, padding=1, map="relu"))
        b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o + bias, relu
        >>> print(Conv(64, (5,), groups=4))
        b (i+k) (g c), k g c o -> b i (g o) + bias
    """

    kind: ClassVar[str] = "conv"
    filters: int
    kernel: int | Sequence[int]
    stride: int | Sequence[int] = 1
    dilation: int | Sequence[int] = 1
    padding: Padding = 0
    groups: int = 1
    bias: bool = True
    map: Ending = None
    init: Any = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_ending(self.map)
        check_init(self.init)
        check_channels(self.filters, self.groups)
        _ = self.windows

    def _text(self, windows: Sequence[str]) -> str:
        places, taps = POSITIONS[: len(windows)], " ".join(TAPS[: len(windows)])
        read, weight, made = _channels(taps, self.groups)
        return f"b {' '.join(windows)} {read}, {weight} -> b {' '.join(places)} {made}"

    def _sizes(self) -> dict[str, int]:
        return _channel_sizes(self.filters, self.groups)


@dataclass(frozen=True, eq=False, repr=False)
class Depthwise(WindowPart):
    """A convolution of each map by itself.

    Args:
        kernel: the size of the window; see :class:`Conv` for this and the other options.
        multiplier: how many maps are made of each.
        stride: how far windows are apart.
        dilation: how far elements of a window are apart.
        padding: how far windows reach outside.
        bias: whether something is added to each map.
        map: what is applied at the end.
        init: what draws the weight.
        name: what it is called in its network.

    Example:
        >>> print(Depthwise(3, padding="same"))
        b (i+k-1) (j+l-1) c, k l c -> b i j c + bias
    """

    kind: ClassVar[str] = "depthwise"
    kernel: int | Sequence[int]
    multiplier: int = 1
    stride: int | Sequence[int] = 1
    dilation: int | Sequence[int] = 1
    padding: Padding = 0
    bias: bool = True
    map: Ending = None
    init: Any = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_ending(self.map)
        check_init(self.init)
        check_count(self.multiplier, "multiplier")
        _ = self.windows

    def _text(self, windows: Sequence[str]) -> str:
        places, taps = POSITIONS[: len(windows)], " ".join(TAPS[: len(windows)])
        weight, made = ("c o", "(c o)") if self.multiplier > 1 else ("c", "c")
        return f"b {' '.join(windows)} c, {taps} {weight} -> b {' '.join(places)} {made}"

    def _sizes(self) -> dict[str, int]:
        return {"o": self.multiplier} if self.multiplier > 1 else {}


@dataclass(frozen=True, eq=False, repr=False)
class Local(WindowPart):
    """A locally connected layer: windows as those of a convolution, each with its own weights.

    Args:
        filters: how many maps it makes.
        kernel: the size of the window; see :class:`Conv` for this and the other options.
        stride: how far windows are apart.
        dilation: how far elements of a window are apart.
        padding: how far windows reach outside.
        bias: whether something is added to each element of each map.
        map: what is applied at the end.
        init: what draws the weight.
        name: what it is called in its network.

    Example:
        >>> print(Local(8, 3))
        b (i+k) (j+l) c, i j k l c o -> b i j o + bias
    """

    kind: ClassVar[str] = "local"
    filters: int
    kernel: int | Sequence[int]
    stride: int | Sequence[int] = 1
    dilation: int | Sequence[int] = 1
    padding: Padding = 0
    bias: bool = True
    map: Ending = None
    init: Any = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_ending(self.map)
        check_init(self.init)
        check_count(self.filters, "filters")
        _ = self.windows

    def _text(self, windows: Sequence[str]) -> str:
        places, taps = (" ".join(names[: len(windows)]) for names in (POSITIONS, TAPS))
        return f"b {' '.join(windows)} c, {places} {taps} c o -> b {places} o"

    def _sizes(self) -> dict[str, int]:
        return {"o": self.filters}

    def _along(self, names: tuple[str, ...] | None) -> str | bool | None:
        return " ".join((names or ())[1:]) if self.bias else None


@dataclass(frozen=True, eq=False, repr=False)
class ConvTransposed(Windowed):
    """A transposed convolution: each element is spread over a window of the result.

    Args:
        filters: how many maps it makes.
        kernel: the size of the window; see :class:`Conv`.
        stride: how far windows are apart.
        dilation: how far elements of a window are apart.
        padding: how much is cut off at both ends of the result, or before and after.
        output_padding: how much longer the result is made at its end.
        groups: into how many parts channels are divided that do not see each other.
        bias: whether something is added to each map.
        map: what is applied at the end.
        init: what draws the weight.
        name: what it is called in its network.

    Example:
        >>> print(ConvTransposed(16, 2, stride=2))
        b i j c, k l c o -> b (2*i+k) (2*j+l) o + bias
    """

    kind: ClassVar[str] = "transposed"
    filters: int
    kernel: int | Sequence[int]
    stride: int | Sequence[int] = 1
    dilation: int | Sequence[int] = 1
    padding: int | Sequence[int | tuple[int, int]] = 0
    output_padding: int | Sequence[int] = 0
    groups: int = 1
    bias: bool = True
    map: Ending = None
    init: Any = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_ending(self.map)
        check_init(self.init)
        check_channels(self.filters, self.groups)
        if isinstance(self.padding, str):
            raise ParameterError(f"padding={self.padding!r}: numbers are wanted")
        each(self.output_padding, len(self.windows), "output_padding", 0)

    @property
    def contraction(self) -> Contraction:
        """The string."""
        count = len(self.windows)
        placed = " ".join(window.text(n) for n, window in enumerate(self.windows))
        places, taps = (" ".join(names[:count]) for names in (POSITIONS, TAPS))
        read, weight, made = _channels(taps, self.groups)
        return Contraction(f"b {places} {read}, {weight} -> b {placed} {made}")

    def _said(self, trace: Trace, *tensors: Tensor) -> Said:
        (x,) = tensors
        check_rank(x.axes, len(self.windows), self.kind)
        batch, *lengths, _ = trace.shape(x)
        added = each(self.output_padding, len(self.windows), "output_padding", 0)
        sizes = tuple(
            max(0, (length - 1) * w.stride + w.reach - sum(w.padding or ()) + more) if length else 0
            for w, length, more in zip(self.windows, lengths, added, strict=True)
        )
        taps = {TAPS[n]: window.size for n, window in enumerate(self.windows)}
        shape = (batch, *sizes, self.filters)
        channels = _channel_sizes(self.filters, self.groups)
        return Said(self.contraction, taps | channels, shape, x.axes)


def _channels(taps: str, groups: int) -> tuple[str, str, str]:
    """The channels that are read, the weight between, and the channels that are made."""
    if groups == 1:
        return "c", f"{taps} c o", "o"
    return "(g c)", f"{taps} g c o", "(g o)"


def _channel_sizes(filters: int, groups: int) -> dict[str, int]:
    """The extents of indices of channels that nothing else says."""
    return {"o": filters} if groups == 1 else {"g": groups, "o": filters // groups}


def check_channels(count: int, groups: int) -> None:
    """Refuse numbers of maps that cannot be.

    Raises:
        ParameterError: it is no positive integer, or no multiple of the number of groups.
    """
    check_count(count, "filters")
    check_count(groups, "groups")
    if count % groups:
        raise ParameterError(f"filters={count} is no multiple of groups={groups}")


def _check_fits(window: Window, length: int, axis: str) -> None:
    before, after = window.padded(length)
    if window.count(length) < 1 and length + before + after > 0:
        raise ShapeError(
            f"a window of {window.reach} does not fit the axis {axis!r} of {length}"
            f"{f' with {before} and {after} around it' if before + after else ''}: take a smaller "
            "kernel, or a padding"
        )
