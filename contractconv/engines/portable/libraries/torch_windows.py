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
    Change,
    Convolution,
    Layout,
    Window,
    in_turn,
    layout,
)
from contractconv.planning.roles import Labels

Carry = Callable[..., Any]

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_PARTS = {"complex64": "float32", "complex128": "float64"}
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
    if numbers in _PARTS:
        real = convolve(form, _PARTS[numbers])
        return real and _of_complex(real)
    parts = _parts(form)
    if parts is None or numbers not in _FLOATS:
        return None
    turned = form.turned(parts.image)
    along = [_along(window, parts) for window in turned.windows]
    units = _units(form, parts)
    layouts = [layout(form.terms[n], form.sizes[n], units[n]) for n in TERMS]
    channels = Channels.of(form, parts.image, units[parts.image][1])
    work = _WAYS[parts.index(RESULT)](along, channels)
    flips = [_flip(form, names) for names in turned.flips]
    reads = [in_turn([_join(layouts[n]), flips[n]]) for n in (FIRST, SECOND)]
    ending = in_turn([flips[RESULT], _apart(layouts[RESULT])])
    order = [term for term in parts if term != RESULT]

    def carry(*given: Any) -> Any:
        read = [a if change is None else change(a) for a, change in zip(given, reads, strict=True)]
        made = work(*(read[n] for n in order))
        return made if ending is None else ending(made)

    return carry


def _of_complex(real: Carry) -> Carry:
    """The same of complex numbers, of whose convolutions torch has not all."""

    def carry(first: Any, second: Any) -> Any:
        (a, b), (c, d) = ((array.real, array.imag) for array in (first, second))
        return torch.complex(real(a, c) - real(b, d), real(a, d) + real(b, c))

    return carry


def _flip(form: Convolution, names: Labels) -> Change | None:
    axes = [2 + n for n, window in enumerate(form.windows) if window.name in names]
    return (lambda array: array.flip(axes)) if axes else None


def _join(to: Layout) -> Change | None:
    """Axes in torch's order, those of a role together; what says nothing would change strides."""
    order, joined = to.order, to.joined
    moved = None if to.in_order else lambda array: array.permute(order)
    return in_turn([moved, None if to.one_by_one else lambda array: array.reshape(joined)])


def _apart(to: Layout) -> Change | None:
    back, apart = to.back, to.apart
    taken = None if to.one_by_one else lambda array: array.reshape(apart)
    return in_turn([taken, None if to.in_order else lambda array: array.permute(back)])


class Channels(NamedTuple):
    """How the channels of an image lie.

    Attributes:
        groups: how many groups of them there are.
        single: whether there is one channel.
        last: whether they come last in memory, where torch's tensors have four axes.
    """

    groups: int
    single: bool
    last: bool

    @staticmethod
    def of(form: Convolution, image: int, names: Labels) -> Channels:
        """Those of some names."""
        sizes = form.sizes[image]
        inner = [name for name in form.terms[image] if sizes[name] > 1][-1:]
        single = all(sizes[name] == 1 for name in names)
        last = len(form.windows) == 2 and (single or {*inner} <= {*names})
        return Channels(form.groups, single, last)

    def unread(self, shape: Sequence[int], like: Any) -> Any:
        """A tensor of which nothing but its shape, and how it lies, is read."""
        lies = torch.channels_last if self.last else torch.contiguous_format
        return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=lies)


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


def _units(form: Convolution, parts: Parts) -> dict[int, list[Labels]]:
    """The axes as torch orders them: what image and places share, channels, then windows."""
    image, places, taps = parts
    groups, windows = form.roles.batch, [(window.name,) for window in form.windows]
    batch, channels, outputs = (
        form.shared(*pair) for pair in ((image, places), (image, taps), (places, taps))
    )
    return {
        image: [batch, groups + channels, *windows],
        places: [batch, groups + outputs, *windows],
        taps: [groups + outputs, channels, *windows],
    }


# --- the three forms ---------------------------------------------------------------------------


def _places_made(along: Sequence[Along], channels: Channels) -> Carry:
    """A convolution as a layer has it."""
    run, margins = _CONVOLVE[len(along) - 1], _margins(along)
    stride, dilation = [a.stride for a in along], [a.dilation for a in along]
    padding = _paddings(along)

    def carry(image: Any, taps: Any) -> Any:
        read = _padded(image, margins)
        return run(read, taps, None, stride, padding, dilation, channels.groups)

    return carry


def _paddings(along: Sequence[Along]) -> list[int]:
    """What torch pads on both sides itself."""
    return [0 if any(a.margins) else a.padding for a in along]


def _margins(along: Sequence[Along]) -> list[int]:
    """What is padded before, in torch's order: the last axis first."""
    margins = [n for a in reversed(along) for n in a.margins]
    return margins if any(margins) else []


def _padded(array: Any, margins: Sequence[int]) -> Any:
    return functional.pad(array, margins) if margins else array


def _image_made(along: Sequence[Along], channels: Channels) -> Carry:
    """The gradient of a convolution by its input, or more or less of a transposed convolution.

    Of one channel torch's gradient is faster. Of many what it reads the shape of takes memory.
    """
    if not channels.single or _margins(along):
        return _transposed(along, channels.groups)
    window, sizes = _window(along, channels.groups), [a.image for a in along]

    def carry(places: Any, taps: Any) -> Any:
        like = channels.unread((places.shape[0], taps.shape[1] * channels.groups, *sizes), places)
        return _backward(places, like, taps, None, *window, [True, False, False])[0]

    return carry


def _taps_made(along: Sequence[Along], channels: Channels) -> Carry:
    """The gradient of a convolution by its weight."""
    margins, window = _margins(along), _window(along, channels.groups)
    sizes = [a.taps for a in along]

    def carry(image: Any, places: Any) -> Any:
        each = image.shape[1] // channels.groups
        like = channels.unread((places.shape[1], each, *sizes), places)
        read = _padded(image, margins)
        return _backward(places, read, like, None, *window, [False, True, False])[1]

    return carry


_backward = torch.ops.aten.convolution_backward.default


def _window(along: Sequence[Along], groups: int) -> tuple[Any, ...]:
    """What torch is told of windows: steps, no transposition, nothing added to the result."""
    stride, dilation = [a.stride for a in along], [a.dilation for a in along]
    return stride, _paddings(along), dilation, False, [0] * len(along), groups


def _transposed(along: Sequence[Along], groups: int) -> Carry:
    """A transposed convolution, of which the image is cut, or that is padded."""
    run = _TRANSPOSE[len(along) - 1]
    stride, dilation = [a.stride for a in along], [a.dilation for a in along]
    cuts = [_cut(a) for a in along]
    padding, more = [c.padding for c in cuts], [c.more for c in cuts]
    margins = [n for cut in reversed(cuts) for n in cut.margins]
    added = margins if any(margins) else []

    def carry(places: Any, taps: Any) -> Any:
        made = run(places, taps, None, stride, padding, more, groups, dilation)
        return _padded(made, added)

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


# By what is made: image, places or taps.
_WAYS = (_image_made, _places_made, _taps_made)
