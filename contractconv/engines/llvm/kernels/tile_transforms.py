"""Bilinear transforms of tiles: straight-line code made from exact matrices.

``spread`` evaluates tiles: it reads the elements of each tile wherever they lie and writes one
number for each product. ``collect`` interpolates: from products to the elements of a tile. Both
apply one matrix along each axis of a tile, to vectors of neighbouring channels. Zeros of a matrix
cost nothing, ones no multiplication, and rows that differ in signs alone share their halves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import count, product
from math import prod
from typing import TYPE_CHECKING

from contractconv.engines.llvm.kernels.epilogue_code import RAW, Finish, finished
from contractconv.engines.llvm.kernels.native import Native, build
from contractconv.tiles.decomposition import Matrix

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter
    from contractconv.engines.llvm.kernels.kernel_values import Int, Vector

_next = count().__next__
# Places in the table of arguments.
PLACES, PRODUCTS = _next(), _next()  # addresses: where tiles lie, and the scratch of products
LINES, TILES, TILES_A_LINE = _next(), _next(), _next()  # offsets of lines of tiles, of elements
FIRST, COUNT = _next(), _next()
LANES, LANE_STEP = _next(), _next()
PRODUCT_STEP, TILE_STEP = _next(), _next()
BIAS = _next()  # the address of one number for each channel, if results are finished
NOWHERE = _next()  # what elements outside are read from, or written to
ARGUMENTS = _next()
# Offsets below this one are of elements outside of the array.
_OUTSIDE = -(1 << 59)
# How many tiles before it is needed a tile is asked for.
_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Transform:
    """One matrix for each axis of a tile.

    Attributes:
        matrices: for each axis a row for every output of the transform.
        collecting: whether it goes from products to elements.
        contiguous: whether channels are neighbours where tiles lie.
        turned: whether tiles are neighbours instead: then squares of tiles and channels are
            turned in registers.
        finish: what is done to elements before they are stored.
    """

    matrices: tuple[Matrix, ...]
    collecting: bool = False
    contiguous: bool = True
    adding: bool = False
    turned: bool = False
    finish: Finish = RAW

    @property
    def inputs(self) -> tuple[int, ...]:
        """For each axis how many numbers go in."""
        return tuple(len(matrix[0]) for matrix in self.matrices)

    @property
    def outputs(self) -> tuple[int, ...]:
        """For each axis how many numbers come out."""
        return tuple(len(matrix) for matrix in self.matrices)

    @property
    def elements(self) -> int:
        """How many elements a tile has."""
        return prod(self.outputs if self.collecting else self.inputs)

    @property
    def operations(self) -> int:
        """Vector instructions for one tile and one vector of channels."""
        moved = prod(self.inputs) + prod(self.outputs)
        sizes = list(self.inputs)
        for axis, matrix in enumerate(self.matrices):
            sizes[axis] = 1
            moved += prod(sizes) * sum(sum(1 for v in row if v) for row in matrix)
            sizes[axis] = len(matrix)
        return moved


@cache
def kernel(dtype: str, transform: Transform) -> Native:
    """The kernel of a transform."""
    shape = "x".join(f"{a}to{b}" for a, b in zip(transform.inputs, transform.outputs, strict=True))
    name = f"{'collect' if transform.collecting else 'spread'}_{shape}_{dtype}"
    return build(name, dtype, lambda emitter: _Transform(emitter, transform).write(), transform)


class _Transform:
    """Writes the loops of one transform: over tiles, and over vectors of channels."""

    def __init__(self, emitter: Emitter, transform: Transform) -> None:
        self.e = emitter
        self.transform = transform
        self.arguments = [emitter.argument(place) for place in range(ARGUMENTS)]

    def write(self) -> None:
        """The loop over tiles, of which whole squares come first if they are turned."""
        a = self.arguments
        pointers = self.e.scratch(self.transform.elements)

        def tile(which: Int) -> None:
            number = a[FIRST] + which
            if self.transform.contiguous and not self.transform.collecting:
                self._ask_for(number + _AHEAD)
            self._find(number, pointers)
            self._channels(pointers, a[PRODUCTS] + which * a[TILE_STEP])

        done = self._squares(pointers) if self.transform.turned else 0
        self.e.repeat(done, a[COUNT], tile)

    def _squares(self, pointers: Int) -> Int:
        """Whole squares of neighbouring tiles; returns how many tiles are done."""
        e, a, lanes = self.e, self.arguments, self.e.number.lanes
        room = e.vector_scratch(self.transform.elements * lanes)
        whole = a[COUNT] // lanes * lanes
        channels = a[LANES] // lanes * lanes

        def square(first: Int) -> None:
            self._find(a[FIRST] + first, pointers)
            e.repeat(0, channels, lambda lane: self._square(pointers, first, lane, room), lanes)
            # Channels that fill no square.
            with e.builder.if_then(channels < a[LANES]):
                e.repeat(0, lanes, lambda n: self._rest(pointers, first + n, channels))

        e.repeat(0, whole, square, lanes)
        return whole

    def _square(self, pointers: Int, first: Int, lane: Int, room: Int) -> None:
        e, a, number = self.e, self.arguments, self.e.number

        def turn(element: Int) -> None:
            start = e.entry_of(pointers, element) + lane * a[LANE_STEP]
            rows = [e.load(start + a[LANE_STEP] * n) for n in range(number.lanes)]
            for n, vector in enumerate(e.turned(rows)):
                e.store(vector, room + (element * number.lanes + n) * number.bytes)

        def transform(n: Int) -> None:
            column = room + n * number.bytes
            wide = number.lanes * number.bytes
            values = _apply(e, self.transform, lambda place: e.load(column + wide * place))
            products = a[PRODUCTS] + (first + n) * a[TILE_STEP] + lane * number.size
            for place, value in enumerate(values):
                e.store(value, products + a[PRODUCT_STEP] * place)

        e.repeat(0, self.transform.elements, turn)
        e.repeat(0, number.lanes, transform)

    def _rest(self, pointers: Int, tile: Int, lane: Int) -> None:
        a = self.arguments
        self._find(a[FIRST] + tile, pointers)
        products = a[PRODUCTS] + tile * a[TILE_STEP] + lane * self.e.number.size
        self._vector(pointers, products, lane * a[LANE_STEP], a[LANES] - lane)

    def _find(self, number: Int, pointers: Int) -> None:
        """Look up where the elements of a tile lie; those outside of the array lie nowhere."""
        e, a, elements = self.e, self.arguments, self.transform.elements
        start = a[PLACES] + e.entry_of(a[LINES], number // a[TILES_A_LINE])
        first = (number % a[TILES_A_LINE]) * elements

        def element(n: Int) -> None:
            offset = e.entry_of(a[TILES], first + n)
            e.set_entry(pointers, n, e.chosen(offset < _OUTSIDE, a[NOWHERE], start + offset))

        e.repeat(0, elements, element)

    def _ask_for(self, number: Int) -> None:
        """Let a later tile come into cache, if each is a line of its own.

        Of the taps of a wide layer, one panel of columns is read: a line of the cache in each page.
        """
        e, a = self.e, self.arguments

        def element(n: Int) -> None:
            e.prefetch(start + e.entry_of(a[TILES], n))

        there = e.builder.and_(number < a[FIRST] + a[COUNT], a[TILES_A_LINE] < 2)
        with e.builder.if_then(there):
            start = a[PLACES] + e.entry_of(a[LINES], number)
            e.repeat(0, self.transform.elements, element)

    def _channels(self, pointers: Int, products: Int) -> None:
        step, size = self.arguments[LANE_STEP], self.e.number.size

        def vector(lane: Int, left: Int | None) -> None:
            self._vector(pointers, products + lane * size, lane * step, left)

        self.e.lines(self.arguments[LANES], vector)

    def _vector(self, pointers: Int, products: Int, moved: Int, left: Int | None) -> None:
        """Some channels of a tile, those from so many bytes on."""
        e, step = self.e, self.arguments[PRODUCT_STEP]

        def element(place: int) -> Int:
            return e.entry_of(pointers, place) + moved

        if self.transform.collecting:
            made = _apply(e, self.transform, lambda place: e.load(products + step * place))
            for place, value in enumerate(made):
                self._collect(value, element(place), moved, left)
        else:
            made = _apply(e, self.transform, lambda place: self._read(element(place), left))
            for place, value in enumerate(made):
                e.store(value, products + step * place)

    def _read(self, address: Int, left: Int | None) -> Vector:
        if self.transform.contiguous:
            return self.e.load(address, self.e.mask(left))
        return self.e.gather(address, self.arguments[LANE_STEP], left)

    def _collect(self, total: Vector, address: Int, moved: Int, left: Int | None) -> None:
        e, a, mask = self.e, self.arguments, self.e.mask(left)
        if not self.transform.contiguous:
            e.scatter(total, address, a[LANE_STEP], left)
            return
        if self.transform.adding:
            total = total + e.load(address, mask)
        e.store(finished(e, self.transform.finish, total, a[BIAS] + moved, mask), address, mask)


def _apply(e: Emitter, transform: Transform, read: Callable[[int], Vector]) -> list[Vector]:
    """Apply the matrix of each axis in turn; the result in row-major order."""
    shape = list(transform.inputs)
    values: dict[tuple[int, ...], Vector] = {}
    places = {index: n for n, index in enumerate(product(*map(range, shape)))}
    for axis, matrix in enumerate(transform.matrices):
        others = [range(size) for n, size in enumerate(shape) if n != axis]
        following: dict[tuple[int, ...], Vector] = {}
        for rest in product(*others):
            line = [(*rest[:axis], n, *rest[axis:]) for n in range(shape[axis])]
            # Elements are read when they are first needed: registers are few.
            vectors = [read(places[i]) if axis == 0 else values[i] for i in line]
            for n, value in enumerate(_multiplied(e, matrix, vectors)):
                following[(*rest[:axis], n, *rest[axis:])] = value
        values = following
        shape[axis] = len(matrix)
    return [values[index] for index in product(*map(range, shape))]


def _multiplied(e: Emitter, matrix: Matrix, vectors: Sequence[Vector]) -> list[Vector]:
    """A matrix of constants times a column of vectors."""
    results: dict[int, Vector] = {}
    for first, second, same, other in _twins(matrix):
        even = _combination(e, [(matrix[first][n], vectors[n]) for n in same])
        odd = _combination(e, [(matrix[first][n], vectors[n]) for n in other])
        results[first], results[second] = even + odd, even - odd
    for n, row in enumerate(matrix):
        if n not in results:
            results[n] = _combination(e, list(zip(row, vectors, strict=True)))
    return [results[n] for n in range(len(matrix))]


def _twins(matrix: Matrix) -> Iterator[tuple[int, int, list[int], list[int]]]:
    """Pairs of rows that differ in signs alone: their sums over equal and opposite entries."""
    taken: set[int] = set()
    for first, row in enumerate(matrix):
        for second in range(first + 1, len(matrix)):
            if first in taken or second in taken:
                continue
            pairs = list(zip(row, matrix[second], strict=True))
            same = [n for n, (a, b) in enumerate(pairs) if a and a == b]
            other = [n for n, (a, b) in enumerate(pairs) if a and a == -b]
            if same and other and len(same) + len(other) == sum(1 for a, b in pairs if a or b):
                taken |= {first, second}
                yield first, second, same, other


def _combination(e: Emitter, terms: Sequence[tuple[Fraction, Vector]]) -> Vector:
    """A sum of multiples, those without multiplication first."""
    present = sorted((t for t in terms if t[0]), key=lambda t: (t[0] != 1, abs(t[0]) != 1))
    if not present:
        return e.zero()
    (factor, vector), *rest = present
    total = vector if factor == 1 else vector * e.constant(float(factor))
    for factor, vector in rest:
        if factor == 1:
            total = total + vector
        elif factor == -1:
            total = total - vector
        else:
            total = e.multiply_add(vector, e.constant(float(factor)), total)
    return total
