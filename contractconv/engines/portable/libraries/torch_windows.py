"""Windows of PyTorch's tensors: convolutions and poolings by the operations that torch has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from contractconv.engines.portable.convolutions import (
    FIRST,
    RESULT,
    SECOND,
    TERMS,
    Convolution,
    Layout,
    Window,
    layout,
)
from contractconv.planning.roles import Labels

Carry = Callable[[Any, Any], Any]

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_CONVOLVE = (functional.conv1d, functional.conv2d, functional.conv3d)
_TRANSPOSE = (
    functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d,
)  # fmt: skip


class Parts(NamedTuple):
    """Which term is the image, which has the places of windows, and which their taps."""

    image: int
    places: int
    taps: int


class Along(NamedTuple):
    """One window: ``image = stride*place + dilation*tap - padding``.

    Attributes:
        image, places, taps: how many there are of each.
    """

    image: int
    places: int
    taps: int
    stride: int
    dilation: int
    padding: int

    @property
    def read(self) -> int:
        """How many elements of the image the places read."""
        return self.stride * (self.places - 1) + self.dilation * (self.taps - 1) + 1

    @property
    def margins(self) -> tuple[int, int]:
        """What is added to the image, or taken from it, where torch cannot do that."""
        reached = self.image + 2 * self.padding - self.dilation * (self.taps - 1) - 1
        if self.padding >= 0 and reached >= 0 and reached // self.stride + 1 == self.places:
            return 0, 0
        return self.padding, self.read - self.image - self.padding


def convolve(form: Convolution, numbers: str) -> Carry | None:
    """What convolves two tensors, in whatever order their axes lie.

    Every form is one of three: the places of the windows are made, or the image, or the taps.
    """
    parts = _parts(form)
    if parts is None or numbers not in _FLOATS:
        return None
    turned = form.turned(parts.image)
    along = [_along(window, parts) for window in turned.windows]
    work = _WAYS[parts.index(RESULT)](along, form.groups)
    layouts = _layouts(form, parts)
    flips = [[2 + n for n, w in enumerate(form.windows) if w.name in names] for names in turned.flips]
    given = [term for term in parts if term != RESULT]

    def carry(first: Any, second: Any) -> Any:
        both = (first, second)
        read = [_turned(_joined(both[term], layouts[term]), flips[term]) for term in given]
        return _apart(_turned(work(*read), flips[RESULT]), layouts[RESULT])

    return carry


def _parts(form: Convolution) -> Parts | None:
    """The image is where a window takes steps of one, and what needs least to be reversed."""
    images = [n for n in TERMS if all(abs(w.steps[n]) == 1 for w in form.windows)]
    if not images:
        return None
    image = min(images, key=lambda n: form.turned(n).moved)
    taps, places = sorted((n for n in TERMS if n != image), key=lambda n: (form.span(n), n))
    return Parts(image, places, taps)


def _along(window: Window, parts: Parts) -> Along:
    image, places, taps = (window.sizes[n] for n in parts)
    stride, dilation = (-window.steps[n] for n in parts[1:])
    return Along(image, places, taps, stride, dilation, -window.offset)


def _layouts(form: Convolution, parts: Parts) -> list[Layout]:
    """The axes as torch orders them: what image and places share, channels, then windows."""
    image, places, taps = parts
    groups, windows = form.roles.batch, [(window.name,) for window in form.windows]
    batch, channels, outputs = (
        form.shared(*pair) for pair in ((image, places), (image, taps), (places, taps))
    )
    units: dict[int, list[Labels]] = {
        image: [batch, groups + channels],
        places: [batch, groups + outputs],
        taps: [groups + outputs, channels],
    }
    return [layout(form.terms[n], form.sizes[n], [*units[n], *windows]) for n in TERMS]


# --- the three forms ---------------------------------------------------------------------------


def _places_made(along: Sequence[Along], groups: int) -> Carry:
    """A convolution as a layer has it."""
    run, margins = _CONVOLVE[len(along) - 1], _margins(along)
    stride, dilation = [a.stride for a in along], [a.dilation for a in along]
    padding = _paddings(along)

    def carry(image: Any, taps: Any) -> Any:
        return run(_padded(image, margins), taps, None, stride, padding, dilation, groups)

    return carry


def _paddings(along: Sequence[Along]) -> list[int]:
    """What torch pads on both sides itself."""
    return [0 if any(a.margins) else max(a.padding, 0) for a in along]


def _margins(along: Sequence[Along]) -> list[int]:
    """What is padded before, in torch's order: the last axis first."""
    return [n for a in reversed(along) for n in a.margins]


def _image_made(along: Sequence[Along], groups: int) -> Carry:
    """A transposed convolution: of what it makes the image is cut, or it is padded."""
    run = _TRANSPOSE[len(along) - 1]
    stride, dilation = [a.stride for a in along], [a.dilation for a in along]
    cuts = [_cut(a) for a in along]
    padding, more = [c.padding for c in cuts], [c.more for c in cuts]
    margins = [n for cut in reversed(cuts) for n in cut.margins]

    def carry(places: Any, taps: Any) -> Any:
        made = run(places, taps, None, stride, padding, more, groups, dilation)
        return _padded(made, margins)

    return carry


class Cut(NamedTuple):
    """What a transposed convolution leaves out on both sides, adds at the end, and lacks then."""

    padding: int
    more: int
    margins: tuple[int, int]


def _cut(along: Along) -> Cut:
    """The cut of one axis.

    Of the elements that are read, those from ``padding`` on are wanted. As many are left out at
    the end, unless the end is wanted, too.
    """
    behind = along.read - along.padding - along.image
    padding = max(0, min(along.padding, behind + along.stride - 1))
    more = min(max(0, padding - behind), along.stride - 1)
    front = padding - along.padding
    return Cut(padding, more, (front, along.image - (along.read - 2 * padding + more) - front))


def _taps_made(along: Sequence[Along], groups: int) -> Carry:
    """The gradient of a convolution by its weight."""
    margins, padding = _margins(along), _paddings(along)
    stride, dilation = [a.stride for a in along], [a.dilation for a in along]
    window = (stride, padding, dilation, False, [0] * len(along), groups)
    sizes = [a.taps for a in along]

    def carry(image: Any, places: Any) -> Any:
        like = image.new_empty((places.shape[1], image.shape[1] // groups, *sizes))
        wanted = [False, True, False]
        backward = torch.ops.aten.convolution_backward
        return backward(places, _padded(image, margins), like, None, *window, wanted)[1]

    return carry


# By what is made: image, places or taps.
_WAYS = (_image_made, _places_made, _taps_made)


def _padded(array: Any, margins: Sequence[int]) -> Any:
    return functional.pad(array, margins) if any(margins) else array


def _joined(array: Any, to: Layout) -> Any:
    return array.permute(to.order).reshape(to.joined)


def _apart(array: Any, to: Layout) -> Any:
    return array.reshape(to.apart).permute(to.back)


def _turned(array: Any, axes: Sequence[int]) -> Any:
    return array.flip(axes) if axes else array
