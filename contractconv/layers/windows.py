"""Windows of ready-made layers: kernel, stride, dilation and padding as strings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from contractconv.errors import ParameterError, ShapeError

POSITIONS, TAPS, PADS = "ijm", "kln", "pqr"
"""What indices are called: of places, of places within a window, and what is added in front."""

Padding = int | Literal["same", "valid"] | Sequence[int | tuple[int, int]]
"""How far windows reach outside: the same everywhere, or for each axis one or two numbers."""


@dataclass(frozen=True)
class Window:
    """What a window is along one axis.

    Attributes:
        size: how many elements it has.
        stride: how far windows are apart.
        dilation: how far its elements are apart.
        padding: how far the first one reaches outside, and the last one; ``None`` for as much as
            is needed to have a window for every ``stride`` elements.
    """

    size: int
    stride: int = 1
    dilation: int = 1
    padding: tuple[int, int] | None = (0, 0)

    @property
    def reach(self) -> int:
        """How many elements there are from its first one to its last one."""
        return self.dilation * (self.size - 1) + 1

    def padded(self, length: int) -> tuple[int, int]:
        """How far windows reach outside of an axis, in front of it and behind it."""
        if self.padding is not None:
            return self.padding
        whole = max((-(-length // self.stride) - 1) * self.stride + self.reach - length, 0)
        return whole // 2, whole - whole // 2

    def count(self, length: int) -> int:
        """How many windows there are."""
        return (length + sum(self.padded(length)) - self.reach) // self.stride + 1

    def text(self, n: int, length: int | None = None) -> str:
        """The axis on which it stands, ``(2*i+k-1)``.

        Args:
            n: the number of the axis, for names.
            length: of the axis; without one, a padding that depends on it is a symbol.
        """
        return f"({_times(self.stride, POSITIONS[n])}{self._tap(n)}{self._offset(n, length)})"

    def _tap(self, n: int) -> str:
        return f"+{_times(self.dilation, TAPS[n])}"

    def _offset(self, n: int, length: int | None) -> str:
        if length is None and self.depends:
            return f"-{PADS[n]}"
        before, _ = self.padded(length or self.size)
        return f"-{before}" if before else ""

    @property
    def depends(self) -> bool:
        """Whether the padding depends on the length of the axis."""
        return self.padding is None and self.stride > 1

    def is_symmetric(self, length: int) -> bool:
        """Whether the rules of the notation count as many windows as are wanted."""
        before, after = self.padded(length)
        return before == after


def windows(
    kernel: Any, stride: Any = 1, dilation: Any = 1, padding: Any = 0, rank: int = 2
) -> tuple[Window, ...]:
    """Read the options of a window for each of its axes.

    Args:
        kernel: an integer for as many axes as ``rank`` says, or one for each axis.
        stride: likewise.
        dilation: likewise.
        padding: an integer, ``"same"``, ``"valid"``, or an integer or a pair for each axis.
        rank: how many axes an integer stands for.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> [window.text(n) for n, window in enumerate(windows(3, stride=(2, 1), padding=1))]
        ['(2*i+k-1)', '(j+l-1)']
    """
    sizes = each(kernel, rank, "kernel", 1)
    if not 1 <= len(sizes) <= len(POSITIONS):
        raise ParameterError(f"kernel={kernel!r}: windows have one, two or three axes")
    count = len(sizes)
    strides, dilations = each(stride, count, "stride", 1), each(dilation, count, "dilation", 1)
    paddings = _paddings(padding, count)
    return tuple(map(Window, sizes, strides, dilations, paddings))


def each(given: Any, count: int, what: str, least: int) -> tuple[int, ...]:
    """An integer for each axis.

    Raises:
        ParameterError: one is no integer, or too small, or there are too few.
    """
    found = listed(given, count)
    if len(found) != count and what != "kernel":
        raise ParameterError(f"{what}={given!r}: one for each of {count} axes is wanted")
    if any(isinstance(n, bool) or not isinstance(n, int) or n < least for n in found):
        raise ParameterError(f"{what}={given!r}: integers from {least} on are wanted")
    return found


def listed(given: Any, count: int) -> tuple[Any, ...]:
    """What is given for each of some axes, or for all of them."""
    return tuple(given) if isinstance(given, Iterable) else (given,) * count


def check_rank(axes: Sequence[str], count: int, what: str) -> None:
    """Refuse what has not a batch, the axes of the windows, and channels.

    Raises:
        ShapeError: it has others.
    """
    if len(axes) != count + 2:
        shown = " ".join(axes)
        raise ShapeError(
            f"{what} runs along {count} ax{'i' if count == 1 else 'e'}s between batch and "
            f"channels: {count + 2} axes come in, not '{shown}'; a tuple says along how many, as "
            f"in kernel={(3,) * max(1, len(axes) - 2)}"
        )


def _paddings(given: Any, count: int) -> tuple[tuple[int, int] | None, ...]:
    if given == "same":
        return (None,) * count
    if given == "valid":
        return ((0, 0),) * count
    if isinstance(given, str):
        raise ParameterError(f"padding={given!r}: 'same', 'valid' or numbers are wanted")
    found = listed(given, count)
    if len(found) != count:
        raise ParameterError(f"padding={given!r}: one for each of {count} axes is wanted")
    return tuple(map(_pair, found))


def _pair(given: Any) -> tuple[int, int]:
    both = listed(given, 2)
    if len(both) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in both):
        raise ParameterError(f"padding={given!r}: a number from 0 on, or two of them, are wanted")
    return both[0], both[1]


def _times(factor: int, name: str) -> str:
    return name if factor == 1 else f"{factor}*{name}"
