"""Random contractions for property tests, each with everything needed to run it.

What one can draw:

- ``problems()``: any form of the notation, mixed without mercy;
- ``windows()``: the shapes of real layers, which pure chance would hardly ever hit;
- ``empties()``: either of them with nothing along some indices and axes;
- ``seeds()``: what fills the operands (zero with 1, 2, 3, ...).

A ``Problem`` and a seed print as code, and the arrays follow from them alone: a failure is
reproduced by pasting its printout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracle import Axis as ReadAxis
from oracle import (
    evaluate,
    fixed_size,
    min_max,
    natural_output_shape,
    plain_index,
    read_axis,
    read_spec,
)

Array = NDArray[Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Shape = tuple[int, ...]

POOL = "ijklm"
LARGEST_AXIS = 7
MOST_ELEMENTS = 2000  # of one array
LAYERS = ("conv", "depthwise", "pool", "kernel", "transposed")

# Shrinking moves to the left: the plain cases come first.
_COEFFICIENTS = st.sampled_from([1, 1, 2, -1, -1, 3, -2, -3])
_OFFSETS = st.sampled_from([0, 1, -1, 2, -2, 3, -3, 4, -4])
_STARTS = st.sampled_from([0, 0, 1, -1, -2])
_CONSTANTS = st.sampled_from([0, 0, 1, 2, 3])
_SIZES = st.integers(1, LARGEST_AXIS)


# --- a problem and its arrays ----------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A contraction with the shapes of its operands, all its extents and its output shape."""

    spec: str
    shapes: tuple[Shape, ...]
    extents: dict[str, Any] = field(hash=False)
    output_shape: Shape

    def operands(self, seed: int, bound: int = 4, dtype: str = "int64") -> tuple[Array, ...]:
        """One array for every operand, with values from ``-bound`` to ``bound``."""
        return tuple(
            filled(shape, 4 * seed + place if seed else 0, bound, dtype)
            for place, shape in enumerate(self.shapes, start=1)
        )

    def cotangent(self, seed: int, bound: int = 4, dtype: str = "int64") -> Array:
        """An array of the shape of the output, independent of the operands of the same seed."""
        return filled(self.output_shape, 4 * seed, bound, dtype)

    def bound(self, reduce: str) -> int:
        """The greatest magnitude of values for which no result leaves 64 bits of an integer."""
        if reduce != "prod":
            return 4
        ones = [np.ones(shape, np.int64) for shape in self.shapes]
        landed = evaluate(self.spec, ones, self.extents, self.output_shape)
        factors = max(1, int(landed.max(initial=0)) * len(ones))  # of one element
        return next(v for v in (4, 3, 2, 1) if v == 1 or v**factors * 4 * self.points < 2**62)

    @property
    def points(self) -> int:
        """How many points the index space has."""
        return math.prod(self.extents.values())


def filled(shape: Shape, seed: int, bound: int, dtype: str) -> Array:
    """An array that the seed determines: a ramp for 0, else as good as random.

    The numbers come from a mixing function of our own, so that they stay the same for ever.
    """
    if seed == 0:
        return (np.arange(math.prod(shape)) % bound + 1).reshape(shape).astype(dtype)
    real = _mixed(shape, 2 * seed, bound, dtype)
    if np.dtype(dtype).kind == "c":
        return (real + 1j * _mixed(shape, 2 * seed + 1, bound, dtype)).astype(dtype)
    return real.astype(dtype)


def _mixed(shape: Shape, seed: int, bound: int, dtype: str) -> Array:
    """Integers between the bounds; for an inexact dtype, steps of a 16th between them.

    Sixteenths are coarse enough for a product of three to be exact even in float32, so that no
    rounding decides which of two products is the greater.
    """
    step = 1 if np.dtype(dtype).kind in "iu" else 16
    state = np.arange(math.prod(shape), dtype=np.uint64) + np.uint64(seed << 32)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    levels = (state >> np.uint64(33)).astype(np.int64) % (2 * bound * step + 1) - bound * step
    return (levels if step == 1 else levels / step).reshape(shape)


def seeds() -> st.SearchStrategy[int]:
    """What fills the arrays of a problem."""
    return st.sampled_from(range(100))


def _seldom(usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> Any:
    """One case in six of the other kind."""
    return st.integers(0, 5).flatmap(lambda roll: other if roll == 5 else usual)


# --- axes ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis:
    """One axis of a term: its text and its size."""

    text: str
    size: int


def _linear_text(pairs: Sequence[tuple[str, int]], offset: int, times: str) -> str:
    """``2*i-k+1``: a sum of multiples of indices, written as a person would."""
    texts = []
    for name, coefficient in pairs:
        factor = "" if abs(coefficient) == 1 else f"{abs(coefficient)}{times}"
        texts.append(f"{'-' if coefficient < 0 else '+'}{factor}{name}")
    if offset:
        texts.append(f"{offset:+d}")
    return "".join(texts).removeprefix("+")


@st.composite
def _offset(draw: Draw, body: str, extents: Mapping[str, int]) -> int:
    """What to add to an axis: mostly such that it begins near zero, where elements are."""
    if draw(st.integers(0, 4)) == 4:
        return int(draw(_OFFSETS))
    least, _ = min_max(f"({body})", extents)
    return int(draw(_STARTS)) - least


@st.composite
def _linear(draw: Draw, extents: Mapping[str, int]) -> str:
    """A sum of multiples of one to three indices, with an offset."""
    names = draw(st.lists(st.sampled_from([*extents]), min_size=1, max_size=3, unique=True))
    pairs = [(name, draw(_COEFFICIENTS)) for name in names]
    offset = draw(_offset(_linear_text(pairs, 0, "*"), extents))
    return _linear_text(pairs, offset, draw(st.sampled_from(["*", ""])))


@st.composite
def _nested(draw: Draw, extents: Mapping[str, int]) -> str:
    """A multiple of a sum in parentheses."""
    factor = draw(st.sampled_from([2, 3, -1, -2]))
    body = f"{'-' if factor == -1 else f'{factor}*'}({draw(_linear(extents))})"
    offset = draw(_offset(body, extents))
    return f"({body}{offset:+d})" if offset else f"({body})"


@st.composite
def _fraction(draw: Draw, extents: Mapping[str, int]) -> str:
    """A sum divided by a small number."""
    body, divisor = draw(_linear(extents)), draw(st.integers(2, 3))
    return f"({body if body in extents else f'({body})'}/{divisor})"


@st.composite
def _composition(draw: Draw, extents: Mapping[str, int]) -> str:
    """Two or three indices on one axis (one index is all that there may be)."""
    fewest = min(2, len(extents))
    names = st.lists(st.sampled_from([*extents]), min_size=fewest, max_size=3, unique=True)
    return f"({' '.join(draw(names))})"


@st.composite
def _axis_text(draw: Draw, extents: Mapping[str, int]) -> str:
    """An axis of any kind over some indices; plain ones first and most often."""
    plain = st.sampled_from([*extents])
    kind = draw(st.integers(0, 9))
    if kind < 5:
        return str(draw(plain))
    text = {
        5: _linear(extents).map("({})".format),
        6: _linear(extents).map("({})".format),
        7: st.one_of(_composition(extents), _CONSTANTS.map("({})".format)),
        8: _nested(extents),
        9: _fraction(extents),
    }[kind]
    axis = str(draw(text))
    return plain_index(axis) or axis


def _names(text: str) -> tuple[str, ...]:
    """The indices of an axis."""
    return read_axis(text).names


def _is_fixed(text: str) -> bool:
    """Whether the extents alone say how long an axis is: an index, or a composition."""
    return plain_index(text) is not None or " " in text


@st.composite
def _input_axis(draw: Draw, extents: Mapping[str, int]) -> Axis:
    """An axis of an operand; an affine one ends anywhere before, at or after its reach."""
    text = draw(_axis_text(extents))
    (size,) = natural_output_shape(f"-> {text}", [()], extents)
    if _is_fixed(text):
        return Axis(text, size)
    around = st.sampled_from([0, 1, -1, 2, -2]).map(lambda more: size + more)
    return Axis(text, min(max(1, draw(_seldom(around, _SIZES))), LARGEST_AXIS))


@st.composite
def _output_axis(draw: Draw, extents: Mapping[str, int], natural: bool) -> Axis:
    """An axis of the output: as long as it reaches, or (an affine one) as long as it likes."""
    text = draw(_axis_text(extents))
    (size,) = natural_output_shape(f"-> {text}", [()], extents)
    return Axis(text, size if natural or _is_fixed(text) else draw(_SIZES))


def _affordable(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """As many of the axes, from the left, as keep the array small."""
    kept: list[Axis] = []
    for axis in axes:
        if math.prod(other.size for other in (*kept, axis)) <= MOST_ELEMENTS:
            kept.append(axis)
    return tuple(kept)


def _term_text(axes: Sequence[Axis]) -> str:
    return " ".join(axis.text for axis in axes)


def _problem(
    inputs: Sequence[Sequence[Axis]], output: Sequence[Axis], extents: Mapping[str, int]
) -> Problem:
    """Put the terms together; only the extents of indices that occur are kept."""
    spec = f"{', '.join(_term_text(axes) for axes in inputs)} -> {_term_text(output)}".strip()
    return Problem(
        spec=spec,
        shapes=tuple(tuple(axis.size for axis in axes) for axes in inputs),
        extents={name: extents[name] for name in _used([*inputs, output])},
        output_shape=tuple(axis.size for axis in output),
    )


# --- problems of any kind --------------------------------------------------------------------


@st.composite
def _extents(draw: Draw, empty: bool) -> dict[str, int]:
    """One to five indices with small extents; with ``empty``, one of them has extent 0."""
    names = POOL[: draw(st.integers(1, len(POOL)))]
    extents = {name: draw(st.integers(1, 4)) for name in names}
    if empty:
        extents[draw(st.sampled_from(names))] = 0
    return extents


@st.composite
def problems(draw: Draw, *, empty: bool = False) -> Problem:
    """Any contraction of one to three operands, over at most 1024 points.

    Args:
        empty: give one of the indices the extent 0.
    """
    extents = draw(_extents(empty))
    axes = st.lists(_input_axis(extents), min_size=1, max_size=4).map(_affordable)
    scalar: tuple[Axis, ...] = ()
    inputs = draw(st.lists(_seldom(axes, st.just(scalar)), min_size=1, max_size=3))
    known = {name: extents[name] for name in _used(inputs)} or extents
    available = draw(_seldom(st.just(known), st.just(extents)))
    output = draw(st.lists(_output_axis(available, draw(st.booleans())), max_size=4))
    return _problem(inputs, _affordable(output), extents)


def _used(terms: Sequence[Sequence[Axis]]) -> list[str]:
    """The indices that occur in some terms, each once."""
    every = (name for axes in terms for axis in axes for name in _names(axis.text))
    return list(dict.fromkeys(every))


# --- problems that look like layers ----------------------------------------------------------


@dataclass(frozen=True)
class Window:
    """One spatial axis of a layer: ``(stride*position + dilation*tap + offset)``."""

    axis: Axis
    position: Axis
    tap: Axis


@st.composite
def _window(draw: Draw, position: str, tap: str) -> Window:
    """A window whose extent is the one that its axis determines."""
    taps = draw(st.integers(1, 3))
    stride = draw(st.integers(1, 3))
    dilation = draw(st.sampled_from([1, 2, -1]))  # -1: the flipped kernel of a convolution
    offset = draw(st.sampled_from([0, -1, -2, 1]))
    ends = sorted((offset, offset + dilation * (taps - 1)))
    low = max(0, -ends[0])  # points below zero: as many are allowed past the end
    size = max(1, ends[1] + 1 - low) + draw(st.integers(0, 4))
    extent = (size - 1 + low - ends[1]) // stride + 1
    text = f"({_linear_text([(position, stride), (tap, dilation)], offset, '*')})"
    return Window(Axis(text, size), Axis(position, extent), Axis(tap, taps))


@st.composite
def windows(draw: Draw, *, layers: Sequence[str] = LAYERS) -> Problem:
    """A layer in one or two dimensions: windows of taps that slide over an operand.

    The axes of every term come in any order: channels first, channels last, or in between.

    Args:
        layers: the kinds to choose from; the extents of ``conv`` and ``depthwise`` follow from
            the shapes of their operands alone.
    """
    layer = draw(st.sampled_from(list(layers)))
    names = [("i", "k"), ("j", "l")][: draw(st.integers(1, 2))]
    spatial = [draw(_window(*pair)) for pair in names]
    small = st.integers(1, 2)
    batch, inner, outer = (Axis(name, draw(small)) for name in "bco")
    terms = _layer(layer, spatial, batch, inner, outer)
    *inputs, output = (draw(st.permutations(term)) for term in terms)
    sizes = (batch, inner, outer, *(a for window in spatial for a in (window.position, window.tap)))
    return _problem(inputs, output, {axis.text: axis.size for axis in sizes})


def _layer(
    layer: str, spatial: Sequence[Window], batch: Axis, inner: Axis, outer: Axis
) -> list[list[Axis]]:
    """The terms of one kind of layer over the given windows, batch and channels, output last."""
    image = [window.axis for window in spatial]
    positions = [window.position for window in spatial]
    taps = [window.tap for window in spatial]
    seen, kernel = [batch, *image, inner], [*taps, inner, outer]
    layers = {
        "conv": [seen, kernel, [batch, *positions, outer]],
        "depthwise": [seen, [*taps, inner], [batch, *positions, inner]],
        "pool": [seen, [batch, *positions, inner]],
        "kernel": [seen, [batch, *positions, outer], kernel],
        "transposed": [[batch, *positions, inner], kernel, [batch, *image, outer]],
    }
    return layers[layer]


# --- problems with nothing in them -----------------------------------------------------------


@st.composite
def empties(draw: Draw) -> Problem:
    """A problem of any kind with an extent of 0, or several, or axes without elements."""
    problem = draw(st.one_of(problems(), windows()))
    names = st.lists(st.sampled_from([*problem.extents] or [""]), max_size=3, unique=True)
    extents = problem.extents | {name: 0 for name in draw(names) if name}
    spec = read_spec(problem.spec)

    def shape(axes: Sequence[ReadAxis], sizes: Shape) -> Shape:
        fixed = [fixed_size(axis, extents) for axis in axes]
        free = [draw(st.sampled_from([size, size, 0])) for size in sizes]
        return tuple(f if n is None else n for n, f in zip(fixed, free, strict=True))

    shapes = [shape(axes, sizes) for axes, sizes in zip(spec.inputs, problem.shapes, strict=True)]
    output = shape(spec.output, problem.output_shape)
    return Problem(problem.spec, tuple(shapes), extents, output)
