"""Random problems on arrays between pages that nobody may touch: a process of its own.

    python bounds.py TARGET MENU FIRST COUNT FILE [FAULT]

runs problems number ``FIRST`` to ``FIRST + COUNT`` on kernels for one kind of processors, and ends
by a signal if one of them reads or writes outside of its arrays. What is being done stands in
``FILE``, what is drawn from in the menu. Operands, results and scratch memory begin where their
pages begin, or end where they end, and are given back as soon as nobody needs them: what uses an
address for longer is found out too.

Right is what plain numpy says, for every point of the index space.
"""

from __future__ import annotations

import ctypes
import mmap
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.fft
import numpy.ma  # which numpy imports late, and then reads np.empty's documentation
from numpy.typing import NDArray
from processor_targets import aim

import contractconv as cc
from contractconv.engines.llvm import program as programs
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.kernels.emitter import Emitter
from contractconv.machine import memory

Array = NDArray[Any]
PAGE = mmap.PAGESIZE
MOST_POINTS = 40_000

# --- memory --------------------------------------------------------------------------------------

_protect = ctypes.CDLL(None, use_errno=True).mprotect
_ordinary = np.empty


@dataclass
class Edge:
    """Where arrays lie: at the end of what may be touched, or at its beginning."""

    at_end: bool = True

    def empty(self, shape: Any, dtype: Any = float, **others: Any) -> Array:
        """An array between two pages that may not be touched."""
        sizes = tuple(shape) if np.iterable(shape) else (int(shape),)
        size = prod(sizes) * np.dtype(dtype).itemsize
        if not size:
            return _ordinary(shape, dtype, **others)
        pages = -(-size // PAGE) * PAGE
        raw = mmap.mmap(-1, pages + 2 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        start = ctypes.addressof(ctypes.c_char.from_buffer(raw))
        for page in (start, start + PAGE + pages):
            if _protect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0):
                raise OSError(ctypes.get_errno(), "pages cannot be protected")
        return np.ndarray(sizes, dtype, raw, PAGE + (pages - size) * self.at_end)


EDGE = Edge()


@contextmanager
def edges(at_end: bool) -> Iterator[None]:
    """Let all arrays that are made lie at an edge, and be no larger than they were asked to be."""
    EDGE.at_end = at_end
    others: list[tuple[Any, str, Any]] = [
        (np, "empty", EDGE.empty),
        (memory, "_laid_out", lambda make, *given: cleared(EDGE.empty(*given), make)),
        (programs, "take", lambda size: EDGE.empty(size, np.uint8)),
        (programs, "give", lambda raw: None),
        (programs, "lent", lambda size: size),
    ]
    with ExitStack() as stack:
        for where, name, other in others:
            stack.enter_context(mock.patch.object(where, name, other))
        yield


def cleared(array: Array, make: Any) -> Array:
    """The array, with zeros in it if those were asked for."""
    if make is np.zeros:
        array[...] = 0
    return array


def placed(array: Array, layout: str) -> Array:
    """The same numbers at the edge of their memory, laid out in some way."""
    steps = 2 if layout == "every other" and array.ndim else 1
    order = tuple(reversed(range(array.ndim))) if layout == "reversed axes" else range(array.ndim)
    shape = [array.shape[n] for n in order]
    if steps > 1:
        shape[-1] = 2 * shape[-1] - 1
    made = EDGE.empty(tuple(shape), array.dtype)
    seen = made[..., ::steps] if made.ndim else made
    seen = seen.transpose(np.argsort(order)) if made.ndim else seen
    if layout == "backwards":
        seen = np.flip(seen)
    made[...] = 0
    seen[...] = array
    return seen


# --- problems ------------------------------------------------------------------------------------

LAYOUTS = ["in order", "in order", "reversed axes", "backwards", "every other"]


@dataclass(frozen=True)
class Menu:
    """What problems are drawn from: compiling takes longer than running them."""

    strides: tuple[int, ...] = (1, 1, 1, 2, 3)
    dilations: tuple[int, ...] = (1, 1, 1, 2, 3, -1, -2)
    taps: tuple[int, ...] = (1, 2, 3, 3, 3, 4, 5)
    offsets: tuple[int, ...] = (0, 0, 0, -1, -2, 1)
    beyond: tuple[int, ...] = (0, 0, 1, 2, -1, -2, -5, 4)  # what an axis has more than is reached
    places: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 30)
    channels: tuple[int, ...] = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 47, 64, 65)
    dtypes: tuple[str, ...] = ("float32", "float32", "float64")
    ends: tuple[bool, ...] = (True, True, False)  # more bytes are read too many than too early
    tiles: float = 0.1  # how many of the problems are solved by tiles


SHORT = Menu((1, 2), (1,), (3,), (0, -1), (0,), (1, 4, 7, 30), (1, 3, 16, 17, 33), tiles=0.0)
MENUS = {
    "wide": Menu(),
    "float32": replace(SHORT, dtypes=("float32",)),
    "float64": replace(SHORT, dtypes=("float64",), channels=(1, 5, 8, 9, 19)),
}


@dataclass(frozen=True)
class Axis:
    """A sum of multiples of indices, and what is added."""

    terms: tuple[tuple[str, int], ...]
    offset: int = 0

    def __str__(self) -> str:
        if self.terms == ((self.terms[0][0], 1),) and not self.offset:
            return self.terms[0][0]
        text = "".join(f"{step:+d}*{name}" for name, step in self.terms)
        return f"({text.removeprefix('+')}{self.offset:+d})"

    def reach(self, extents: dict[str, int]) -> int:
        """The place after the last one that is reached."""
        ends = (max(0, step * (extents[name] - 1)) for name, step in self.terms)
        return self.offset + sum(ends) + 1


def plain(names: str) -> list[Axis]:
    """Axes with one index each."""
    return [Axis(((name, 1),)) for name in names]


@dataclass
class Problem:
    """A contraction of arrays of integers: terms with their shapes, the result's last."""

    terms: list[list[Axis]]
    extents: dict[str, int]
    reduce: Any = "sum"
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def spec(self) -> str:
        """The contraction string."""
        *inputs, output = (" ".join(map(str, term)) for term in self.terms)
        return f"{', '.join(inputs)} -> {output}"

    @property
    def points(self) -> int:
        """How many points the index space has."""
        return prod(self.extents.values())

    def size(self, draw: Draw) -> None:
        """Choose shapes: an axis ends at, before or after what is reached."""
        for number, term in enumerate(self.terms):
            within = number == len(self.terms) - 1
            self.shapes.append(tuple(self._size(axis, draw, within) for axis in term))

    def _size(self, axis: Axis, draw: Draw, within: bool) -> int:
        reach = axis.reach(self.extents)
        if len(axis.terms) == 1 and axis.terms[0][1] == 1 and not axis.offset:
            return reach
        return max(1, reach + (0 if within else draw.rng.choice(draw.menu.beyond)))

    # -- what is right, by numpy -------------------------------------------------------------------

    def places(self, number: int) -> tuple[Array, Array]:
        """For every point where it lies in one term (counted through), and whether it does."""
        names, shape = list(self.extents), self.shapes[number]
        along = dict(
            zip(
                names,
                np.ogrid[tuple(slice(extent) for extent in self.extents.values())],
                strict=True,
            )
        )
        flat, inside = np.zeros((), int), np.ones((), bool)
        for axis, size in zip(self.terms[number], shape, strict=True):
            at = sum((step * along[name] for name, step in axis.terms), np.full((), axis.offset))
            inside = inside & (at >= 0) & (at < size)
            flat = flat * size + at
        whole = tuple(self.extents.values())
        return np.broadcast_to(np.where(inside, flat, 0), whole), np.broadcast_to(inside, whole)

    def read(self, number: int, array: Array, outside: float = 0) -> Array:
        """The numbers that all points read."""
        flat, inside = self.places(number)
        return np.where(inside, array.ravel()[flat], outside)

    def landed(self, number: int, values: Array) -> Array:
        """What values at all points sum to in one term."""
        flat, inside = self.places(number)
        out = np.zeros(self.shapes[number], values.dtype)
        np.add.at(out.ravel(), flat[inside], values[inside])
        return out

    def right(self, operands: Sequence[Array]) -> Array:
        """The result."""
        if self.reduce in ("max", "min"):
            found = self._windows(operands[0])
            return np.asarray((found.max if self.reduce == "max" else found.min)(axis=-1))
        values = [self.read(number, array) for number, array in enumerate(operands)]
        total = self.landed(len(self.terms) - 1, np.asarray(prod(values[1:], start=values[0])))
        if self.reduce == "mean":
            return np.asarray(total / (self.points // prod(self.shapes[-1])))
        return total

    def _windows(self, operand: Array) -> Array:
        """What pools read: the axes of the result, and all taps of each."""
        outside = -np.inf if self.reduce == "max" else np.inf
        kept = [axis.terms[0][0] for axis in self.terms[-1]]
        names = list(self.extents)
        order = [*map(names.index, kept), *(n for n, x in enumerate(names) if x not in kept)]
        return self.read(0, operand, outside).transpose(order).reshape(*self.shapes[-1], -1)

    def slope(self, which: int, cotangent: Array, operands: Sequence[Array]) -> Array:
        """The gradient by one operand."""
        given = self.read(len(self.terms) - 1, cotangent)
        if self.reduce in ("max", "min"):
            given = given * self._chosen(operands[0])
        elif self.reduce == "mean":
            given = given / (self.points // prod(self.shapes[-1]))
        others = [self.read(n, array) for n, array in enumerate(operands) if n != which]
        return self.landed(which, np.asarray(prod(others, start=given)))

    def _chosen(self, operand: Array) -> Array:
        found = self._windows(operand)
        best = (found.argmax if self.reduce == "max" else found.argmin)(axis=-1)
        chosen = np.arange(found.shape[-1]) == best[..., None]
        names, kept = list(self.extents), [axis.terms[0][0] for axis in self.terms[-1]]
        order = [*kept, *(name for name in names if name not in kept)]
        back = [order.index(name) for name in names]
        return np.asarray(chosen.reshape([self.extents[n] for n in order]).transpose(back))


@dataclass(frozen=True)
class Draw:
    """Where problems come from."""

    rng: random.Random
    menu: Menu


def window(draw: Draw, pair: str, extents: dict[str, int]) -> Axis:
    """One axis of an image, with stride, dilation and padding."""
    position, tap, rng = pair[0], pair[1], draw.rng
    stride, dilation = rng.choice(draw.menu.strides), rng.choice(draw.menu.dilations)
    extents[position] = rng.choice(draw.menu.places)
    extents[tap] = rng.choice(draw.menu.taps)
    low = min(0, dilation * (extents[tap] - 1))
    terms = ((position, stride), (tap, dilation))
    return Axis(terms, rng.choice(draw.menu.offsets) - low)


def channels(draw: Draw, names: str, extents: dict[str, int]) -> None:
    """Extents of indices that are no windows."""
    menu = draw.menu.channels
    extents |= {name: draw.rng.choice(menu) for name in names if name not in "bg"}
    extents |= {name: draw.rng.choice([1, 1, 2, 3]) for name in names if name in "bg"}


def layer(draw: Draw, kind: str) -> Problem:
    """A layer of one kind, with its axes in any order."""
    extents: dict[str, int] = {}
    axes = [window(draw, pair, extents) for pair in ("ik", "jl")[: draw.rng.choice([1, 1, 2])]]
    image, taps, places = axes, plain("kl"[: len(axes)]), plain("ij"[: len(axes)])
    inner, outer = {
        "convolution": ("c", "o"), "groups": ("gc", "go"), "depthwise": ("c", "c"),
        "multiplied": ("c", "cm"), "scattered": ("o", "c"), "pooling": ("c", "c"),
    }[kind]  # fmt: skip
    kernel = dict.fromkeys(inner + outer)
    channels(draw, "b" + "".join(kernel), extents)
    seen = [*plain("b"), *image, *plain(inner)]
    weights = [*taps, *plain("".join(kernel))]
    result = [*plain("b"), *places, *plain(outer)]
    terms = [seen, weights, result]
    if kind == "pooling":
        terms = [seen, result]
    if kind == "scattered":
        terms = [
            [*plain("b"), *places, *plain(outer)],
            weights,
            [*plain("b"), *image, *plain(inner)],
        ]
    reduce = draw.rng.choice(["max", "min", "sum", "mean", "max"]) if kind == "pooling" else "sum"
    return Problem(shuffled(draw.rng, terms), extents, reduce)


def product(draw: Draw) -> Problem:
    """A product of matrices, or another sum without windows."""
    inputs = draw.rng.choice(
        ["ik kj ij", "ik jk ji", "bik bkj bij", "bik kj ijb", "bi bi b", "ij j i", "ij ij i",
         "i j ij", "bic cd bid"]
    )  # fmt: skip
    extents: dict[str, int] = {}
    channels(draw, "".join(dict.fromkeys(inputs.replace(" ", ""))), extents)
    return Problem([plain(names) for names in inputs.split()], extents)


def several(draw: Draw) -> Problem:
    """A convolution whose kernel is given in factors."""
    extents: dict[str, int] = {}
    axis = window(draw, "ik", extents)
    channels(draw, "bcor", extents)
    terms = [[*plain("b"), axis, *plain("c")], plain("kr"), plain("cr"), plain("ro"), plain("bio")]
    return Problem(shuffled(draw.rng, terms), extents)


def shuffled(rng: random.Random, terms: list[list[Axis]]) -> list[list[Axis]]:
    """The terms with their axes in any order, or as they are."""
    if rng.random() < 0.6:
        return terms
    return [rng.sample(term, len(term)) for term in terms]


KINDS: list[Callable[[Draw], Problem]] = [
    *(partial(layer, kind=kind) for kind in
      ("convolution", "groups", "depthwise", "multiplied", "scattered", "pooling", "pooling")),
    product, several,
]  # fmt: skip


def problem(draw: Draw) -> Problem:
    """Any problem of at most :data:`MOST_POINTS` points."""
    while True:
        found = draw.rng.choice(KINDS)(draw)
        if found.points <= MOST_POINTS:
            found.size(draw)
            return found


# --- running them --------------------------------------------------------------------------------


def check(found: Array, wanted: Array, exact: bool) -> None:
    """See that a result is right."""
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    # Numbers are small integers, so that sums are exact in any order; tiles round.
    most = 0.0 if exact else 1e-3 * max(1, np.abs(wanted[np.isfinite(wanted)]).max(initial=0))
    near = (found == wanted) | (np.abs(found - np.where(np.isfinite(wanted), wanted, 0)) <= most)
    assert near.all(), np.argwhere(~near)[:9]


def run(number: int, menu: Menu, tell: Callable[[str], None]) -> None:
    """One problem, forward and backward."""
    rng = random.Random(number)
    asked = problem(Draw(rng, menu))
    dtype, tiles = rng.choice(menu.dtypes), rng.random() < menu.tiles
    algorithm = rng.choice(["toom-cook", "toom-cook", "auto"]) if tiles else "direct"
    layouts = [rng.choice(LAYOUTS) for _ in asked.terms]
    at_end, threads, which = rng.choice(menu.ends), rng.choice([1, 1, 2]), rng.random()
    exact = algorithm == "direct" and asked.reduce != "mean"
    tell(f"{number}: {asked.spec} {asked.shapes} {asked.extents} {asked.reduce} {dtype} "
         f"{algorithm} {layouts} at_end={at_end} threads={threads}")  # fmt: skip
    draw = np.random.default_rng(number)
    *given, cotangent = (draw.integers(-3, 4, shape) for shape in asked.shapes)
    cc.set_num_threads(threads)
    if asked.reduce in ("max", "min"):  # which of two equal taps is chosen is another question
        given = [draw.permutation(array.size).reshape(array.shape) for array in given]
    contraction = cc.Contraction(asked.spec, asked.reduce)
    named: Any = {"algorithm": algorithm, "output_shape": asked.shapes[-1], **asked.extents}
    with edges(at_end), suppress(cc.AlgorithmError):  # some problems have no tiles
        arrays = [
            placed(array.astype(dtype), how) for array, how in zip(given, layouts, strict=False)
        ]
        ready = contraction.compile(*asked.shapes[:-1], dtype=dtype, **named)
        check(ready(*arrays), asked.right(given), exact)
        _finished(rng, ready, arrays, asked.right(given), exact)
        n = int(which * len(given))
        slope = ready.vjp(n, placed(cotangent.astype(dtype), layouts[-1]), *arrays)
        check(slope, asked.slope(n, cotangent, given), exact)


def _finished(
    rng: random.Random, ready: Any, arrays: Sequence[Array], wanted: Array, exact: bool
) -> None:
    """A result to which a bias is added, or of which what is negative becomes zero."""
    if not wanted.ndim or rng.random() < 0.8:
        return
    bias = np.arange(wanted.shape[-1]) % 5 - 2
    found = ready(*arrays, bias=placed(bias.astype(arrays[0].dtype), "in order"), activation="relu")
    check(found, np.maximum(wanted + bias, 0), exact)


# --- faults, to see that they are found ----------------------------------------------------------


def _unmasked_load(ordinary: Any) -> Any:
    return lambda e, address, mask=None: ordinary(e, address)


def _unmasked_store(ordinary: Any) -> Any:
    return lambda e, vector, address, mask=None: ordinary(e, vector, address)


FAULTS = {"load": _unmasked_load, "store": _unmasked_store}


def main(target: str, menu: str, first: str, count: str, where: str, fault: str = "") -> None:
    """Run problems."""
    aim(target)
    assert native.available()
    if fault:  # not before: a wrong kernel would be found out when it is tried
        setattr(Emitter, fault, FAULTS[fault](getattr(Emitter, fault)))
    with Path(where).open("w", encoding="utf-8") as file:

        def tell(text: str) -> None:
            file.seek(0)
            file.truncate()
            file.write(f"{text}\n")
            file.flush()

        for number in range(int(first), int(first) + int(count)):
            run(number, MENUS[menu], tell)
    print(f"registers of {native.registers()[1]} bytes, {count} problems")


if __name__ == "__main__":
    main(*sys.argv[1:])
