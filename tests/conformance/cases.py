"""What the library is compared on, whichever peer it is compared with.

Nothing here knows a peer. It brings one function, ``vjp``: operands in, result and pullback out.

- ``Case``: a string with everything a call needs;
- ``called``, ``bound``, ``compiled``, ``scattered``, ``gathered``: ways to ask the library;
- ``check``: a case against a peer, forward and every gradient;
- ``Window``, ``Conv``, ``Pool``: from the numbers a framework takes to a ``Case``;
- ``CONVS``, ``TRANSPOSED``, ``UNEVEN``, ``ALIKE``, ``POOLS``: well-spread grids of them;
- ``LARGE_CONVS``, ``LARGE_POOLS``: what is worked on in blocks;
- ``LAYERS``: everything else, by name.
"""

from __future__ import annotations

import itertools
import math
import random
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import contractconv as cc
from contractconv import Reduction

Array = NDArray[Any]
Shape = tuple[int, ...]
Pullback = Callable[[Array], Sequence[Array]]
VJP = Callable[[Sequence[Array]], tuple[Array, Pullback]]
Way = Callable[["Case", Sequence[Array]], tuple[Array, Pullback]]

# Integers are compared exactly, floats relative to the greatest magnitude of the result.
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
DTYPES = ("int64", *TOLERANCE)


# --- a case and its comparison ---------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A contraction, the shapes of its operands, and what a call must be given."""

    spec: str
    shapes: tuple[Shape, ...]
    extents: Mapping[str, Any] = field(default_factory=dict)
    reduce: Reduction = "sum"
    values: Mapping[str, Any] = field(default_factory=dict)
    output_shape: Shape | None = None

    @property
    def contraction(self) -> cc.Contraction:
        """The contraction, its parameters unbound."""
        return cc.Contraction(self.spec, self.reduce, tuple(self.values))

    @property
    def dtypes(self) -> tuple[str, ...]:
        """What it is tried on: integers only where no result is rounded, or too large."""
        rounded = self.reduce in ("mean", "logsumexp")
        large = self.reduce == "prod" and math.prod(self.extents.values()) > 25
        return DTYPES[1:] if rounded or large else DTYPES

    def arrays(self, dtype: str) -> list[Array]:
        """Operands to try it on: the same ones every time, with ties among the integers."""
        rng = np.random.default_rng(zlib.crc32(str(self).encode()))
        return [numbers(rng, shape, dtype) for shape in self.shapes]

    def __str__(self) -> str:
        reduce = f" {self.reduce}" * (self.reduce != "sum")
        return f"{self.spec}{reduce} {'x'.join(map(str, self.shapes[0]))}"


def numbers(rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
    """Small integers, or normal numbers with a few exact zeros among them."""
    if dtype == "int64":
        return rng.integers(-2, 3, shape)
    zeros = rng.random(shape) < 0.05
    return np.where(zeros, 0, rng.normal(size=shape)).astype(dtype)


def called(case: Case, operands: Sequence[Array]) -> tuple[Array, Pullback]:
    """Ask the library: the contraction is called, and so are its gradients."""
    return _asked(case, case.contraction, {**case.extents, **case.values}, operands)


def bound(case: Case, operands: Sequence[Array]) -> tuple[Array, Pullback]:
    """Ask the library, parameters bound beforehand."""
    return _asked(case, case.contraction.bind(**case.values), case.extents, operands)


def _asked(
    case: Case, contraction: cc.Contraction, given: Mapping[str, Any], operands: Sequence[Array]
) -> tuple[Array, Pullback]:
    def pullback(cotangent: Array) -> list[Array]:
        derivations = map(contraction.grad, range(len(operands)))
        return [derivation(cotangent, *operands, **given) for derivation in derivations]

    return contraction(*operands, output_shape=case.output_shape, **given), pullback


def compiled(case: Case, operands: Sequence[Array]) -> tuple[Array, Pullback]:
    """Ask the library, compiled for the shapes."""
    run = case.contraction.compile(
        *case.shapes, dtype=operands[0].dtype, output_shape=case.output_shape,
        **case.extents, **case.values,
    )  # fmt: skip

    def pullback(cotangent: Array) -> list[Array]:
        return [run.vjp(n, cotangent, *operands) for n in range(len(operands))]

    return run(*operands), pullback


def scattered(case: Case, operands: Sequence[Array]) -> tuple[Array, Pullback]:
    """Ask the library for gradients as strings in scatter form, run like any other string."""
    return _printed(case, operands, lambda derivation: derivation.scatter)


def gathered(case: Case, operands: Sequence[Array]) -> tuple[Array, Pullback]:
    """Ask the library for gradients as strings in gather form, run like any other string."""
    return _printed(case, operands, lambda derivation: derivation.gather)


def _printed(
    case: Case, operands: Sequence[Array], form: Callable[[cc.Derivation], cc.Contraction]
) -> tuple[Array, Pullback]:
    assert case.reduce == "sum"  # any other gradient meets a local derivative, too

    extents = case.contraction.extents(*case.shapes, **case.extents)

    def gradient(cotangent: Array, n: int) -> Array:
        string = str(form(case.contraction.grad(n)))
        indices = cc.Contraction(string).indices
        known: dict[str, Any] = {name: extents[name] for name in extents if name in indices}
        others = (*operands[:n], *operands[n + 1 :])
        return cc.contract(string, cotangent, *others, output_shape=case.shapes[n], **known)

    def pullback(cotangent: Array) -> list[Array]:
        return [gradient(cotangent, n) for n in range(len(operands))]

    return called(case, operands)[0], pullback


def assert_agrees(result: Array, expected: Array, dtype: str) -> None:
    """Integers exactly; floats to their tolerance; the shape and the dtype always."""
    assert result.shape == expected.shape
    assert result.dtype == dtype
    if dtype == "int64":
        np.testing.assert_array_equal(result, expected)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    allowed = TOLERANCE[dtype] * float(finite.max(initial=0))
    np.testing.assert_allclose(result, expected, rtol=0, atol=allowed)


def check(case: Case, dtype: str, peer: VJP, way: Way = called) -> None:
    """Compare the result and the gradient by every operand with a peer's.

    Args:
        case: what to compute.
        dtype: of the operands; a peer computes with integers as float64, which is exact.
        peer: takes operands, returns the result and its pullback.
        way: how to ask the library.
    """
    operands = case.arrays(dtype)
    expected, expected_pullback = peer([_floating(operand) for operand in operands])
    result, pullback = way(case, operands)
    assert_agrees(result, expected, dtype)
    cotangent = numbers(np.random.default_rng(result.size), result.shape, dtype)
    gradients = zip(pullback(cotangent), expected_pullback(_floating(cotangent)), strict=True)
    for gradient, expected_gradient in gradients:
        assert_agrees(gradient, expected_gradient, dtype)


def _floating(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "i" else array


# --- windows ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Window:
    """One axis of a convolution: ``count`` positions of a kernel, ``spare`` elements unread."""

    count: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    spare: int = 0

    @property
    def span(self) -> int:
        """How many elements the kernel covers, holes included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def size(self) -> int:
        """The axis that is read (written, by a transposed convolution) without its padding."""
        covered = self.span + self.stride * (self.count - 1) + self.spare
        return covered - self.before - self.after

    @property
    def even(self) -> bool:
        """Whether the notation's own rule leads to the count, so that nothing need be given."""
        return self.before == self.after >= 0

    def touches(self) -> bool:
        """Whether every position of the kernel meets at least one element."""
        taps = range(-self.before, self.span - self.before, self.dilation)
        return all(
            any(0 <= self.stride * position + tap < self.size for tap in taps)
            for position in range(self.count)
        )

    def axis(self, position: str, tap: str) -> str:
        """The axis as an index expression: ``(2*i+3*k-1)``."""
        moved = _times(self.stride, position), _times(self.dilation, tap)
        return f"({'+'.join(moved)}{f'{-self.before:+d}' if self.before else ''})"


def _times(factor: int, name: str) -> str:
    return name if factor == 1 else f"{factor}*{name}"


def _grown(window: Window) -> Window:
    """The same window with as many positions as it takes to leave an axis behind."""
    while window.size < 1:
        window = replace(window, count=window.count + 1)
    return window


@dataclass(frozen=True)
class Windowed:
    """Several axes with a window on each, and the names that they get in a string."""

    windows: tuple[Window, ...]

    @property
    def positions(self) -> str:
        """The names of the positions, a letter each."""
        return "ijh"[: len(self.windows)]

    @property
    def taps(self) -> str:
        """The names of the taps, a letter each."""
        return "klt"[: len(self.windows)]

    @property
    def kernel(self) -> Shape:
        """The extents of the taps."""
        return tuple(window.kernel for window in self.windows)

    @property
    def counts(self) -> Shape:
        """The extents of the positions."""
        return tuple(window.count for window in self.windows)

    @property
    def sizes(self) -> Shape:
        """The sizes of the axes that the windows slide over."""
        return tuple(window.size for window in self.windows)

    @property
    def padding(self) -> list[tuple[int, int]]:
        """What is missing before and after each axis; negative: what is not read."""
        return [(window.before, window.after) for window in self.windows]

    @property
    def strides(self) -> Shape:
        """The stride along each axis."""
        return tuple(window.stride for window in self.windows)

    @property
    def dilations(self) -> Shape:
        """The dilation along each axis."""
        return tuple(window.dilation for window in self.windows)

    @property
    def axes(self) -> list[str]:
        """The index expressions."""
        names = zip(self.windows, self.positions, self.taps, strict=True)
        return [window.axis(position, tap) for window, position, tap in names]

    @property
    def _suffixes(self) -> list[str]:
        """What tells the parameters of one axis from another's: nothing where they are equal."""
        numbers = {(window.stride, window.dilation, window.before) for window in self.windows}
        return ["" if len(numbers) == 1 else str(n) for n in range(len(self.windows))]

    @property
    def symbolic_axes(self) -> list[str]:
        """The index expressions with parameters in the place of numbers."""
        names = zip(self._suffixes, self.positions, self.taps, strict=True)
        return [f"(s{n}*{i}+d{n}*{k}-p{n})" for n, i, k in names]

    @property
    def values(self) -> dict[str, int]:
        """The numbers for those parameters."""
        named = list(zip(self._suffixes, self.windows, strict=True))
        return (
            {f"s{n}": window.stride for n, window in named}
            | {f"d{n}": window.dilation for n, window in named}
            | {f"p{n}": window.before for n, window in named}
        )

    @property
    def uneven_counts(self) -> dict[str, int]:
        """The extents that a call must be given."""
        named = zip(self.positions, self.windows, strict=True)
        return {position: window.count for position, window in named if not window.even}


# --- convolutions ----------------------------------------------------------------------------

# What names the axes of groups, of channels within one, and of filters within one.
FORMS = {
    "plain": ("", "c", "o"),
    "grouped": ("g", "c", "o"),
    "composed": ("g", "c", "o"),
    "depthwise": ("c", "", ""),
    "multiplied": ("c", "", "m"),
    "multiplied, composed": ("c", "", "m"),
}


@dataclass(frozen=True)
class Conv(Windowed):
    """A convolution, or with ``transposed`` its transpose."""

    form: str = "plain"
    channels_first: bool = False
    transposed: bool = False
    batch: int = 2

    @property
    def composed(self) -> bool:
        """Whether several indices of channels share an axis."""
        return "composed" in self.form

    @property
    def channels(self) -> Shape:
        """How many groups, channels within one and filters within one."""
        return tuple(n if name else 1 for name, n in zip(FORMS[self.form], (2, 3, 2), strict=True))

    def _channel_axes(self, *roles: int) -> list[tuple[str, int]]:
        """Axes made of groups (0), channels (1) and filters (2): their texts and sizes."""
        named = [(FORMS[self.form][role], self.channels[role]) for role in roles]
        present = [(name, size) for name, size in named if name]
        if not self.composed or len(present) < 2:
            return present
        return [(f"({' '.join(name for name, _ in present)})", math.prod(s for _, s in present))]

    def _tensor(
        self, channels: list[tuple[str, int]], spatial: Sequence[str], sizes: Shape
    ) -> tuple[str, Shape]:
        space = list(zip(spatial, sizes, strict=True))
        axes = [("b", self.batch), *(channels + space if self.channels_first else space + channels)]
        return " ".join(text for text, _ in axes), tuple(size for _, size in axes)

    @property
    def _kernel_roles(self) -> tuple[int, ...]:
        """The order of a kernel's channels: a framework's own one if channels come first."""
        return (0, 2, 1) if self.channels_first and not self.transposed else (0, 1, 2)

    def _kernel(self) -> tuple[str, Shape]:
        taps = list(zip(self.taps, self.kernel, strict=True))
        if not self.channels_first:
            axes = taps + [axis for role in (0, 1, 2) for axis in self._channel_axes(role)]
        else:
            *outer, inner = self._kernel_roles
            axes = self._channel_axes(*outer) + self._channel_axes(inner) + taps
        return " ".join(text for text, _ in axes), tuple(size for _, size in axes)

    def case(self, symbolic: bool = False) -> Case:
        """The case, with numbers in its string or with parameters."""
        large = self.symbolic_axes if symbolic else self.axes
        sides = [(large, self.sizes), (self.positions, self.counts)]
        (read, read_sizes), (written, written_sizes) = sides[:: -1 if self.transposed else 1]
        x, x_shape = self._tensor(self._channel_axes(0, 1), read, read_sizes)
        y, y_shape = self._tensor(self._channel_axes(0, 2), written, written_sizes)
        w, w_shape = self._kernel()
        natural = all(window.even and not window.spare for window in self.windows)
        return Case(
            f"{x}, {w} -> {y}",
            (x_shape, w_shape),
            self._given(),
            values=self.values if symbolic else {},
            output_shape=y_shape if self.transposed and not natural else None,
        )

    def _given(self) -> dict[str, int]:
        counts = {} if self.transposed else self.uneven_counts
        # A framework's own kernel does not tell the groups: its axis is composed, too.
        groups = self.composed and self.channels_first
        return counts | ({FORMS[self.form][0]: self.channels[0]} if groups else {})

    # How a peer that knows one layout reads the arrays; `permute` is the peer's own function.

    def channels_to_front(self, x: Any, permute: Callable[[Any, Shape], Any]) -> Any:
        """The operand as (batch, all channels, space...)."""
        dims, channels = len(self.windows), self.channels[0] * self.channels[1]
        if self.channels_first:
            return x.reshape((self.batch, channels, *x.shape[-dims:]))
        flat = x.reshape((*x.shape[: dims + 1], channels))
        return permute(flat, (0, dims + 1, *range(1, dims + 1)))

    def canonical_kernel(self, w: Any, permute: Callable[[Any, Shape], Any]) -> Any:
        """The kernel as (groups, channels, filters, taps...)."""
        dims = len(self.windows)
        if not self.channels_first:
            return permute(
                w.reshape((*self.kernel, *self.channels)), (*range(dims, dims + 3), *range(dims))
            )
        roles = self._kernel_roles
        split = w.reshape((*(self.channels[role] for role in roles), *self.kernel))
        return permute(split, (*map(roles.index, range(3)), *range(3, dims + 3)))

    def as_written(self, y: Any, permute: Callable[[Any, Shape], Any]) -> Any:
        """A result (batch, all channels, space...) in the shape and layout of the string."""
        dims = len(self.windows)
        if not self.channels_first:
            y = permute(y, (0, *range(2, dims + 2), 1))
        space = self.sizes if self.transposed else self.counts
        channels = self._channel_axes(0, 2)
        return y.reshape(self._tensor(channels, self.positions, space)[1])


# --- grids -----------------------------------------------------------------------------------

KERNELS, STRIDES, PADDINGS, DILATIONS = (1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2, 3)
UNEVEN_PADDINGS = [
    (0, 1), (1, 0), (2, 1), (0, 3), (3, 1), (-1, -1), (-1, 0), (0, -2), (1, -1), (-2, 1),
]  # fmt: skip


def _deck(rng: random.Random, paddings: Sequence[tuple[int, int]]) -> Iterator[Window]:
    """Every combination of the numbers above once, in random order, and then again."""
    while True:
        cards = list(itertools.product(KERNELS, STRIDES, DILATIONS, paddings))
        rng.shuffle(cards)
        for kernel, stride, dilation, (before, after) in cards:
            spare = rng.randrange(stride)
            count = rng.randint(1, 4)
            yield _grown(Window(count, kernel, stride, dilation, before, after, spare))


def _hands(deck: Iterator[Window], counts: Sequence[int]) -> Iterator[tuple[Window, ...]]:
    """As many tuples of one, two and three windows as ``counts`` says."""
    for dims, count in enumerate(counts, start=1):
        for _ in range(count):
            yield tuple(itertools.islice(deck, dims))


def _convs(seed: int, transposed: bool, uneven: bool, counts: Sequence[int]) -> list[Conv]:
    paddings = UNEVEN_PADDINGS if uneven else [(p, p) for p in PADDINGS]
    deck = _deck(random.Random(seed), paddings)
    kinds = itertools.cycle(itertools.product(FORMS, (False, True)))
    return [
        Conv(hand, form, first, transposed)
        for hand, (form, first) in zip(_hands(deck, counts), kinds, strict=False)
    ]


def _alike(convs: Sequence[Conv], dims: int) -> list[Conv]:
    """The same window on several axes, each of another length."""
    return [
        replace(conv, windows=tuple(_longer(conv.windows[0], n) for n in range(dims)))
        for conv in convs
    ]


def _longer(window: Window, positions: int) -> Window:
    return replace(window, count=window.count + positions)


# One and two dimensions use up a deck of all combinations; twelve kinds go evenly into each.
CONVS = _convs(1, False, False, (36, 36, 12))
TRANSPOSED = _convs(2, True, False, (36, 36, 12))
UNEVEN = _convs(3, False, True, (24, 12, 6)) + _convs(4, True, True, (24, 12, 6))
ALIKE = [
    conv
    for table in (CONVS, TRANSPOSED)
    for conv in (*_alike(table[5:36:5], 2), *_alike(table[7:36:12], 3))
]


@dataclass(frozen=True)
class Pool(Windowed):
    """A reduction over windows."""

    reduce: Reduction = "max"
    channels_first: bool = False

    def case(self) -> Case:
        """The case: ``b (2*i+k) c -> b i c``, the extents of the taps given."""
        space = list(zip(self.axes, self.sizes, strict=True))
        axes = [("b", 2), *([("c", 3), *space] if self.channels_first else [*space, ("c", 3)])]
        written = " ".join(self.positions)
        taps = dict(zip(self.taps, self.kernel, strict=True))
        return Case(
            f"{' '.join(text for text, _ in axes)} -> "
            f"b {f'c {written}' if self.channels_first else f'{written} c'}",
            (tuple(size for _, size in axes),),
            taps | self.uneven_counts,
            self.reduce,
        )


REDUCTIONS: tuple[Reduction, ...] = ("max", "min", "mean", "logsumexp", "prod")


def _pools(seed: int) -> list[Pool]:
    paddings = [(p, p) for p in PADDINGS] + UNEVEN_PADDINGS
    # A reduction of nothing is each framework's own affair.
    deck = filter(Window.touches, _deck(random.Random(seed), paddings))
    kinds = itertools.cycle(itertools.product(REDUCTIONS, (False, True)))
    hands = _hands(deck, (40, 30, 10))
    return [Pool(hand, *kind) for hand, kind in zip(hands, kinds, strict=False)]


POOLS = _pools(5)


# Larger than what is worked on at once, and windows of more taps than are added one by one.
LARGE_CONVS = [
    Conv((Window(120, 3, 1, 1, 1, 1), Window(110, 3, 1, 1, 1, 1)), "plain"),
    Conv((Window(60, 5, 2, 1, 2, 2), Window(70, 5, 2, 1, 2, 2)), "grouped", channels_first=True),
    Conv((Window(150, 5, 1, 1, 2, 2), Window(130, 5, 1, 1, 2, 2)), "depthwise"),
    Conv((Window(100, 100, 1, 1, 50, 49),), "plain"),
    Conv((Window(30, 9, 2, 1, 4, 4, 1), Window(40, 11, 1, 2)), "composed", channels_first=True),
    Conv((Window(9, 12, 3), Window(8, 13, 1, 1, 0, 2)), "multiplied"),
    Conv((Window(60, 5, 2, 1, 2, 2, 1), Window(70, 4, 1)), "plain", transposed=True),
    Conv((Window(30, 70, 3, 1, 7, 7),), "grouped", transposed=True),
    Conv((Window(12, 9, 2, 2), Window(10, 8, 3)), "depthwise", True, transposed=True),
    Conv((Window(20, 5), Window(20, 4, 2), Window(20, 4)), "plain"),
]  # fmt: skip
LARGE_POOLS = [
    Pool((Window(50, 11, 1, 1, 5, 5), Window(40, 9, 2)), reduce, first)
    for reduce, first in zip(REDUCTIONS, (False, True, False, True, False), strict=True)
]


# --- other layers ----------------------------------------------------------------------------

GRID = (2, 5, 6, 3)

LAYERS = {
    "dense": Case("b i, i o -> b o", ((3, 4), (4, 5))),
    "dense on a grid": Case("b h w c, h w c o -> b o", (GRID, (5, 6, 3, 4))),
    "batched matmul": Case("b i k, b k j -> b i j", ((3, 2, 4), (3, 4, 5))),
    "broadcast matmul": Case("... i k, ... k j -> ... i j", ((3, 1, 2, 4), (2, 4, 5))),
    "attention scores": Case("b q h d, b k h d -> b h q k", ((2, 4, 3, 5), (2, 6, 3, 5))),
    "weighted values": Case("b h q k, b k h d -> b q h d", ((2, 3, 4, 6), (2, 6, 3, 5))),
    "linear attention": Case(
        "b q h d, b k h d, b k h e -> b q h e", ((2, 4, 3, 5), (2, 6, 3, 5), (2, 6, 3, 2))
    ),
    "local scores": Case("b q d, b (q+k-2) d -> b q k", ((2, 7, 3), (2, 7, 3))),
    "local values": Case("b q k, b (q+k-2) d -> b q d", ((2, 7, 5), (2, 7, 3))),
    "dilated scores": Case(
        "b q d, b (q+3*k-6) d -> b q k", ((2, 9, 3), (2, 9, 3)), {"k": 5}
    ),
    "cost volume": Case("b h w c, b (h+k-1) (w+l-2) c -> b h w k l", (GRID, GRID)),
    "outer": Case("i, j -> i j", ((4,), (5,))),
    "batched outer": Case("b i, b j -> b i j", ((3, 4), (3, 5))),
    "bilinear": Case("b i, o i j, b j -> b o", ((3, 4), (5, 4, 2), (3, 2))),
    "gram matrix": Case("b h w c, b h w d -> b c d", (GRID, GRID)),
    "channel gate": Case("b h w c, b c -> b h w c", (GRID, (2, 3))),
    "mixture of experts": Case("t e, e d f, t d -> t f", ((4, 3), (3, 5, 2), (4, 5))),
    "polynomial product": Case("i, j -> (i+j)", ((4,), (6,))),
    "causal filter": Case("b (t-k) c, k c -> b t c", ((2, 7, 3), (4, 3)), {"t": 7}),
    "moving sum": Case("b (t-k) c -> b t c", ((2, 7, 3),), {"t": 7, "k": 7}),
    "dynamic filter": Case("b (t+k-1) c, b t k -> b t c", ((2, 7, 3), (2, 7, 3))),
    "locally connected": Case(
        "b (i+k) (j+l) c, i j k l c o -> b i j o", (GRID, (4, 4, 2, 3, 3, 2))
    ),
    "kernel of rank r": Case(
        "b (i+k) (j+l) c, k r, l r, c r, o r -> b i j o", (GRID, (3, 4), (2, 4), (3, 4), (5, 4))
    ),
    "strided kernel of rank r": Case(
        "b (2*i+k-1) (2*j+l-1) c, k r, l r, c r, o r -> b i j o",
        (GRID, (3, 2), (3, 2), (3, 2), (4, 2)),
    ),
    "kernel with a core": Case(
        "b (i+k) (j+l) c, c p, k l p q, o q -> b i j o", (GRID, (3, 2), (3, 2, 2, 4), (5, 4))
    ),
    "separable": Case(
        "b (i+k-1) (j+l-1) c, k c, l c, c o -> b i j o", (GRID, (3, 3), (3, 3), (3, 4))
    ),
    "quadratic filter": Case(
        "b (i+k), b (i+l), k l -> b i", ((2, 8), (2, 8), (3, 4)), {"i": 5}
    ),
    "torch's depthwise kernel": Case(
        "b c (2*i+k) (j+l-1), (c m) (0) k l -> b (c m) i j", ((2, 3, 7, 6), (6, 1, 3, 3)), {"c": 3}
    ),
    "patches": Case("b (h p) (w q) c, p q c o -> b h w o", ((2, 6, 4, 3), (3, 2, 3, 4))),
    "pixel shuffle": Case(
        "b h w (c r s) -> b (h r) (w s) c", ((2, 3, 4, 12),), {"r": 2, "s": 2}
    ),
    "pixel shuffle, channels first": Case(
        "b (c r s) h w -> b c (h r) (w s)", ((2, 18, 3, 2),), {"r": 3, "s": 3}
    ),
    "pixel unshuffle": Case(
        "b c (h r) (w s) -> b (c r s) h w", ((2, 3, 4, 6),), {"r": 2, "s": 2}
    ),
    "channel shuffle": Case("b (g c) h w -> b (c g) h w", ((2, 6, 3, 2),), {"g": 2}),
    "transposition": Case("b h w c -> b c h w", (GRID,)),
    "merged heads": Case("b t h d -> b t (h d)", ((2, 4, 3, 5),)),
    "split heads": Case("b t (h d) -> b h t d", ((2, 4, 15),), {"h": 3}),
    "repeat": Case("b c -> b r c", ((2, 3),), {"r": 4}),
    "nearest upsampling": Case(
        "b c h w -> b c (2*h+k) (3*w+l)", ((2, 3, 4, 5),), {"k": 2, "l": 3}
    ),
    "zero stuffing": Case("b t c -> b (3*t) c", ((2, 4, 3),)),
    "subsampling": Case("b (2*t+1) c -> b t c", ((2, 8, 3),)),
    "crop and pad": Case("b (h-2) (w+1) c -> b h w c", (GRID,), {"h": 8, "w": 4}),
    "flip": Case("b (5-t) c -> b t c", ((2, 6, 3),)),
    "first token": Case("b (0) c, c o -> b o", ((2, 5, 3), (3, 4))),
    "diagonal": Case("b i i -> b i", ((2, 4, 4),)),
    "diagonal embedding": Case("b i -> b i i", ((2, 4),)),
    "trace": Case("i i ->", ((4, 4),)),
    "unfold": Case(
        "b c (2*i+k-1) (j+2*l) -> b (c k l) (i j)", ((2, 3, 7, 6),), {"k": 3, "l": 2}
    ),
    "fold": Case(
        "b (c k l) (i j) -> b c (2*i+k-1) (j+2*l)", ((2, 18, 16),), {"k": 3, "l": 2, "i": 4, "j": 4}
    ),
    "cropped start": Case("b (2*t+k+2) c, k c o -> b t o", ((2, 9, 3), (3, 3, 2))),
    "kernel of a result": Case("b (2*i+k-1) c, b i o -> k c o", ((2, 9, 3), (2, 5, 2))),
    "resampling": Case("b ((3*i+2*k-4)/2) c, k c o -> b i o", ((2, 7, 3), (4, 3, 2)), {"i": 5}),
    "global maximum": Case("b h w c -> b c", (GRID,), reduce="max"),
    "global mean": Case("b c h w -> b c", ((2, 3, 4, 5),), reduce="mean"),
    "global logsumexp": Case("b h w c -> b c", (GRID,), reduce="logsumexp"),
    "block maximum": Case(
        "b (h r) (w s) c -> b h w c", ((2, 4, 6, 3),), {"r": 2, "s": 3}, reduce="max"
    ),
    "block mean": Case(
        "b (h r) (w s) c -> b h w c", ((2, 4, 6, 3),), {"r": 2, "s": 3}, reduce="mean"
    ),
    "logsumexp of scores": Case("b q d, b k d -> b q d", ((2, 3, 4), (2, 5, 4)), {}, "logsumexp"),
    "weighted maximum": Case("b (i+k) c, k c -> b i c", ((2, 9, 3), (4, 3)), reduce="max"),
    "wide weighted maximum": Case("b (i+k) c, k c -> b i c", ((2, 340, 9), (70, 9)), reduce="max"),
    "padded weighted minimum": Case(
        "b (2*i+k-1) c, k c -> b i c", ((2, 9, 3), (4, 3)), reduce="min"
    ),
}  # fmt: skip
