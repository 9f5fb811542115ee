"""Compiled kernels do what they say for every remainder, and touch nothing but what is theirs.

Kernels are called with tables of addresses, as the library calls them; what they should give is
worked out by numpy. Numbers are small integers, so that sums are exact in any order.
"""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edged import Edged
from strategies import Array, Shape, filled

import contractconv as cc
from contractconv import Algorithm
from contractconv.engines.llvm.kernels import copy_loops, native, product_loops, tile_transforms
from contractconv.engines.llvm.kernels.emitter import Emitter
from contractconv.engines.llvm.kernels.epilogue_code import RAW, Finish
from contractconv.engines.llvm.kernels.kernel_values import Vector
from contractconv.engines.llvm.kernels.product_loops import Spread, Tile, fitting_tile
from contractconv.engines.llvm.program import offsets
from contractconv.tiles.decomposition import Matrix, decomposition

pytestmark = pytest.mark.skipif(not native.available(), reason="there is no compiler")

DTYPES = ("float32", "float64")
LANES = {dtype: native.number(dtype).lanes for dtype in DTYPES} if native.available() else {}
GUARD = 77.0


def address(array: Array) -> int:
    return int(array.ctypes.data)


def call(kernel: native.Native, module: Any, **arguments: Any) -> None:
    """Call a kernel with a table of arguments, by their names; the others are zero."""
    table = np.zeros(module.ARGUMENTS, np.int64)
    for name, value in arguments.items():
        given = address(value) if isinstance(value, np.ndarray) else value
        table[getattr(module, name.upper())] = given
    kernel(address(table))


def integers(shape: Shape, dtype: str, seed: int = 1) -> Array:
    return filled(shape, seed, 5, "int64").astype(dtype)


class Guarded:
    """An array with numbers around it, and between its rows, that nobody may write to."""

    def __init__(self, rows: int, columns: int, dtype: str) -> None:
        self.whole = np.full((rows + 2, columns + 67), GUARD, dtype)
        self.inside = self.whole[1 : rows + 1, 3 : columns + 3]
        self.step = self.inside.strides[0]

    def check(self) -> None:
        """See that nobody did."""
        outside = np.ones(self.whole.shape, bool)
        rows, columns = self.inside.shape
        outside[1 : rows + 1, 3 : columns + 3] = False
        assert (self.whole[outside] == GUARD).all()


# --- products --------------------------------------------------------------------------------


def every_tile() -> list[Tile]:
    """The tiles that are chosen for results of any width, and the least ones."""
    chosen = [fitting_tile(n, e) for n in range(1, 9) for e in (False, True)]
    halved = Tile(8, 1, halved=True), Tile(4, 2, halved=True)
    uniform = Tile(9, 1, True, uniform=True), Tile(9, 2, True, uniform=True)
    return sorted({*chosen, Tile(1, 1), Tile(3, 2), *halved, *uniform}, key=str)


TILES = every_tile() if native.available() else []


def multiply(
    tile: Tile,
    dtype: str,
    sizes: tuple[int, int, int],
    *,
    add: bool,
    finish: Finish = RAW,
    aligned: bool = False,
) -> tuple[Guarded, Array, Array]:
    """A product of matrices by one kernel: the result, and both factors."""
    rows, depth, lanes = sizes
    scalars = integers((rows, depth, lanes) if tile.elementwise else (rows, depth), dtype)
    vectors, out = integers((depth, lanes), dtype, 2), Guarded(rows, lanes, dtype)
    if tile.uniform:  # what lies beside the first number is never read
        vectors[:, 1:] = GUARD
    out.inside[...] = np.nan if not add else np.arange(lanes)
    bias = np.arange(lanes, dtype=dtype) - lanes // 2
    panel = tile.vectors * native.number(dtype).bytes // (2 if tile.halved else 1)
    call(
        product_loops.kernel(dtype, tile, finish), product_loops,
        scalars=scalars, vectors=vectors, out=out.inside, batch=1, batch_scalars=offsets(),
        batch_vectors=offsets(), batch_out=offsets(), row_stop=rows, rows_at_once=rows,
        row_scalars=offsets((rows, scalars.strides[0])), row_out=offsets((rows, out.step)),
        lanes=lanes, panel_vectors=panel, aligned=int(aligned), taps=1, taps_at_once=1,
        tap_scalars=offsets(), tap_vectors=offsets(), run=depth,
        run_scalars=scalars.strides[1], run_vectors=vectors.strides[0], accumulate=int(add),
        bias=bias,
    )  # fmt: skip
    return out, scalars, np.repeat(vectors[:, :1], lanes, 1) if tile.uniform else vectors


def multiplied(scalars: Array, vectors: Array) -> Array:
    spec = "rkl,kl->rl" if scalars.ndim == 3 else "rk,kl->rl"
    return np.asarray(np.einsum(spec, scalars, vectors))


def name_of(tile: Tile) -> str:
    return tile.form


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tile", TILES, ids=name_of)
def test_every_remainder_of_rows(tile: Tile, dtype: str) -> None:
    lanes = tile.vectors * LANES[dtype]
    for rows in range(1, 2 * tile.rows + 2):
        out, scalars, vectors = multiply(tile, dtype, (rows, 3, lanes), add=False)
        np.testing.assert_array_equal(out.inside, multiplied(scalars, vectors))
        out.check()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tile", TILES, ids=name_of)
def test_every_remainder_of_lanes(tile: Tile, dtype: str) -> None:
    for lanes in range(1, 2 * tile.vectors * LANES[dtype] + 2):
        for aligned in {False, tile.elementwise}:
            sizes = tile.rows + 1, 2, lanes
            out, scalars, vectors = multiply(tile, dtype, sizes, add=False, aligned=aligned)
            np.testing.assert_array_equal(out.inside, multiplied(scalars, vectors))
            out.check()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tile", TILES, ids=name_of)
def test_sums_that_are_added_to(tile: Tile, dtype: str) -> None:
    for rows, lanes in product((1, tile.rows, tile.rows + 1), (1, LANES[dtype], LANES[dtype] + 1)):
        out, scalars, vectors = multiply(tile, dtype, (rows, 5, lanes), add=True)
        wanted = multiplied(scalars, vectors) + np.arange(lanes)
        np.testing.assert_array_equal(out.inside, wanted)
        out.check()


@pytest.mark.parametrize("depth", [1, 2, 255, 256, 257, 1000])
def test_sums_of_any_length(depth: int) -> None:
    tile = fitting_tile(2)
    out, scalars, vectors = multiply(tile, "float64", (5, depth, 19), add=False)
    np.testing.assert_array_equal(out.inside, multiplied(scalars, vectors))


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 9])
@pytest.mark.parametrize("add", [False, True])
def test_taps_some_at_a_time(at_once: int, add: bool) -> None:
    """A window read where it lies: taps and runs are offsets into the same numbers."""
    tile, dtype, taps, run, lanes = fitting_tile(1), "float32", 7, 3, 21
    data, weights = integers((20,), dtype), integers((taps * run, lanes), dtype, 2)
    out = Guarded(4, lanes, dtype)
    out.inside[...] = 1
    call(
        product_loops.kernel(dtype, tile), product_loops,
        scalars=data, vectors=weights, out=out.inside, batch=1,
        batch_scalars=offsets(), batch_vectors=offsets(), batch_out=offsets(),
        row_stop=4, rows_at_once=2, row_scalars=offsets((4, 8)), row_out=offsets((4, out.step)),
        lanes=lanes, panel_vectors=native.number(dtype).bytes, taps=taps, taps_at_once=at_once,
        tap_scalars=offsets((taps, 4)), tap_vectors=offsets((taps, run * lanes * 4)), run=run,
        run_scalars=8, run_vectors=lanes * 4, accumulate=int(add),
    )  # fmt: skip
    places = np.add.outer(2 * np.arange(4), np.add.outer(np.arange(taps), 2 * np.arange(run)))
    wanted = data[places].reshape(4, -1) @ weights + add
    np.testing.assert_array_equal(out.inside, wanted)
    out.check()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("finish", [Finish(True, False), Finish(False, True), Finish(True, True)])
@pytest.mark.parametrize("elementwise", [False, True])
def test_finished_sums(elementwise: bool, finish: Finish, dtype: str) -> None:
    tile = fitting_tile(2, elementwise)
    for lanes in (1, LANES[dtype] - 1, LANES[dtype] + 1, 5 * LANES[dtype] + 3):
        out, scalars, vectors = multiply(
            tile, dtype, (tile.rows + 1, 3, lanes), add=False, finish=finish
        )
        wanted = multiplied(scalars, vectors)
        if finish.bias:
            wanted = wanted + np.arange(lanes) - lanes // 2
        if finish.relu:
            wanted = np.maximum(wanted, 0)
        np.testing.assert_array_equal(out.inside, wanted)
        out.check()


SPREADS = (
    # Read as whole vectors, as two, and one number at a time.
    Tile(8, 1, spread=Spread(each=4, step=2)),
    Tile(8, 1, spread=Spread(each=4, step=7)),
    Tile(8, 1, spread=Spread(each=2, step=40)),
    Tile(5, 3, spread=Spread(each=12, step=3)),
    Tile(6, 3, spread=Spread(each=24, step=24)),
    Tile(8, 1, spread=Spread(each=1, step=1)),
    Tile(8, 1, halved=True, spread=Spread(each=2, step=3)),
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tile", SPREADS, ids=lambda tile: tile.form)
def test_kernels_spread_values_over_lanes(tile: Tile, dtype: str) -> None:
    spread = tile.spread
    assert spread is not None
    lanes = tile.vectors * LANES[dtype] // (2 if tile.halved else 1)
    if lanes % spread.each:
        pytest.skip("so many lanes are no whole number of groups")
    for rows, panels in ((1, 1), (tile.rows + 2, 2)):
        wide, depth = lanes * panels, 3
        values = (wide // spread.each - 1) * spread.step + 1
        # Nothing behind the last value may be read: there lies what is no number.
        scalars = np.full((rows, depth, values + 64), np.nan, dtype)
        scalars[..., :values] = integers((rows, depth, values), dtype)
        vectors, out = integers((depth, wide), dtype, 2), Guarded(rows, wide, dtype)
        call(
            product_loops.kernel(dtype, tile), product_loops,
            scalars=scalars, vectors=vectors, out=out.inside, batch=1, batch_scalars=offsets(),
            batch_vectors=offsets(), batch_out=offsets(), row_stop=rows, rows_at_once=rows,
            row_scalars=offsets((rows, scalars.strides[0])), row_out=offsets((rows, out.step)),
            lanes=wide, panel_vectors=lanes * native.number(dtype).size, taps=1, taps_at_once=1,
            tap_scalars=offsets(), tap_vectors=offsets(),
            run=depth, run_scalars=scalars.strides[1], run_vectors=vectors.strides[0],
        )  # fmt: skip
        places = np.arange(wide) // spread.each * spread.step
        wanted = np.einsum("rkl,kl->rl", scalars[..., places], vectors)
        np.testing.assert_array_equal(out.inside, wanted)
        out.check()


# --- transforms ------------------------------------------------------------------------------


Matrices = tuple[Matrix, ...]
SIZES = ((2, 3), (4, 3), (6, 3), (3, 2))
NOWHERE = -(1 << 60)


def turned(matrix: Sequence[Sequence[Fraction]]) -> Matrix:
    return tuple(zip(*matrix, strict=True))


def as_numbers(matrix: Sequence[Sequence[Fraction]]) -> Array:
    return np.array([[float(v) for v in row] for row in matrix])


def applied(matrices: Matrices, tiles: Array) -> Array:
    """Each matrix along its own axis; tiles have one more axis in front, and channels behind."""
    for axis, matrix in enumerate(matrices, 1):
        tiles = np.moveaxis(np.tensordot(as_numbers(matrix), tiles, (1, axis)), 0, axis)
    return tiles


def amplified(matrices: Matrices, tiles: Array) -> float:
    """The greatest sum of magnitudes behind a number of the result."""
    return float(applied(tuple(map(magnitudes, matrices)), np.abs(tiles)).max())


def magnitudes(matrix: Matrix) -> Matrix:
    return tuple(tuple(map(abs, row)) for row in matrix)


def rounded(matrices: Matrices, dtype: str) -> float:
    """How far off a sum of magnitude one may be: by a unit for each product and each sum."""
    return float(sum(2 * len(matrix[0]) for matrix in matrices) * np.finfo(dtype).eps / 2)


def assert_transformed(result: Array, matrices: Matrices, tiles: Array, dtype: str) -> None:
    """Errors are relative to the sum of magnitudes."""
    error = rounded(matrices, dtype) * amplified(matrices, tiles)
    np.testing.assert_allclose(result, applied(matrices, tiles), rtol=0, atol=error)


def spread(
    transform: tile_transforms.Transform, dtype: str, count: int, channels: int
) -> tuple[Array, Array]:
    """Evaluate tiles, of which the last element lies outside: what was made, and the tiles."""
    shape = transform.inputs
    memory = integers((channels, count, *shape) if transform.turned else (count, *shape, channels),
                      dtype)  # fmt: skip
    if transform.turned:
        memory = np.ascontiguousarray(np.moveaxis(memory, 1, -1))
        tiles = np.moveaxis(np.moveaxis(memory, -1, 0), 1, -1)
    else:
        apart = 1 if transform.contiguous else 3
        wide = np.full((*memory.shape[:-1], apart * channels), GUARD, dtype)
        wide[..., ::apart] = memory
        memory = wide
        tiles = memory[..., ::apart]
    steps = tiles.strides
    lines = offsets((count, steps[0]))
    elements = offsets(*zip(shape, steps[1:-1], strict=True))
    wanted = tiles.astype("float64")
    if not transform.turned and transform.contiguous:
        elements[-1] = NOWHERE
        wanted.reshape(count, prod(shape), channels)[:, -1] = 0
    points = prod(transform.outputs)
    wide_bytes = -(-channels // LANES[dtype]) * native.number(dtype).bytes
    made = np.full((points, count * wide_bytes // memory.itemsize + 5), GUARD, dtype)
    zeros = np.zeros(wide_bytes, np.uint8)
    call(
        tile_transforms.kernel(dtype, transform),
        tile_transforms,
        places=tiles,
        products=made,
        lines=lines,
        tiles=elements,
        tiles_a_line=1,
        first=0,
        count=count,
        lanes=channels,
        lane_step=steps[-1],
        product_step=made.strides[0],
        tile_step=wide_bytes,
        nowhere=zeros,
    )
    assert (made[:, -5:] == GUARD).all()
    rows = made[:, :-5].reshape(points, count, -1)[..., :channels]
    return np.moveaxis(rows, 0, 1).reshape(count, *transform.outputs, channels), wanted


def evaluating(sizes: tuple[int, int], factor: str) -> Matrix:
    return turned(getattr(decomposition(*sizes), factor))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("factor", ["a", "b", "c"])
@pytest.mark.parametrize("sizes", SIZES)
def test_tiles_are_evaluated(sizes: tuple[int, int], factor: str, dtype: str) -> None:
    matrices = (evaluating(sizes, factor),)
    lanes = LANES[dtype]
    for contiguous in (True, False):
        transform = tile_transforms.Transform(matrices, contiguous=contiguous)
        for channels in (1, lanes - 1, lanes, lanes + 1, 2 * lanes + 3):
            result, tiles = spread(transform, dtype, 3, channels)
            assert_transformed(result, matrices, tiles, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tiles_of_two_axes_are_evaluated(dtype: str) -> None:
    matrices = (evaluating((4, 3), "a"), evaluating((2, 3), "a"))
    result, tiles = spread(tile_transforms.Transform(matrices), dtype, 2, LANES[dtype] + 2)
    assert_transformed(result, matrices, tiles, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tiles_are_turned_in_registers(dtype: str) -> None:
    matrices, lanes = (evaluating((4, 3), "c"),), LANES[dtype]
    transform = tile_transforms.Transform(matrices, contiguous=False, turned=True)
    for count, channels in product((1, lanes, 2 * lanes + 1), (1, lanes, lanes + 1, 2 * lanes)):
        result, tiles = spread(transform, dtype, count, channels)
        assert_transformed(result, matrices, tiles, dtype)


def collect(
    transform: tile_transforms.Transform, dtype: str, channels: int
) -> tuple[Guarded, Array, Array]:
    """Interpolate three tiles, the last element of each lying outside: results and products."""
    count, elements = 3, transform.elements
    points = prod(transform.inputs)
    wide = -(-channels // LANES[dtype]) * LANES[dtype]
    made = integers((points, count, wide), dtype)
    apart = 1 if transform.contiguous else 2
    out = Guarded(count * elements, apart * channels, dtype)
    out.inside[...] = 5
    trash = np.empty(2 * apart * wide, dtype)
    table = offsets((elements, out.step))
    table[-1] = NOWHERE
    call(
        tile_transforms.kernel(dtype, transform), tile_transforms, places=out.inside, products=made,
        lines=offsets((count, elements * out.step)), tiles=table, tiles_a_line=1, first=0,
        count=count, lanes=channels, lane_step=apart * made.itemsize,
        product_step=made.strides[0], tile_step=made.strides[1], nowhere=trash,
    )  # fmt: skip
    tiles = np.moveaxis(made, 1, 0).reshape(count, *transform.inputs, wide)[..., :channels]
    result = out.inside[:, ::apart].reshape(count, *transform.outputs, channels)
    return out, result, tiles.astype("float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("adding", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_products_are_interpolated(sizes: tuple[int, int], adding: bool, dtype: str) -> None:
    matrices, lanes = (decomposition(*sizes).b,), LANES[dtype]
    transform = tile_transforms.Transform(matrices, collecting=True, adding=adding)
    for channels in (1, lanes - 1, lanes, lanes + 1, 2 * lanes + 3):
        out, result, tiles = collect(transform, dtype, channels)
        # What lies outside goes nowhere, and what is there stays there.
        assert (result[:, -1] == 5).all()
        wanted = applied(matrices, tiles)[:, :-1] + (5 if adding else 0)
        error = 2 * rounded(matrices, dtype) * (amplified(matrices, tiles) + 5)
        np.testing.assert_allclose(result[:, :-1], wanted, rtol=0, atol=error)
        out.check()


@pytest.mark.parametrize("dtype", DTYPES)
def test_results_that_lie_apart(dtype: str) -> None:
    matrices = (decomposition(4, 3).b,)
    transform = tile_transforms.Transform(matrices, collecting=True, contiguous=False)
    for channels in (1, LANES[dtype] + 3):
        out, result, tiles = collect(transform, dtype, channels)
        error = rounded(matrices, dtype) * amplified(matrices, tiles)
        wanted = applied(matrices, tiles)[:, :-1]
        np.testing.assert_allclose(result[:, :-1], wanted, rtol=0, atol=error)
        assert (out.inside[:, 1::2] == 5).all()
        out.check()


F = Fraction
ODD_MATRICES: dict[str, Matrix] = {
    "twins": ((F(1), F(2), F(3)), (F(1), F(-2), F(3))),
    "twins with zeros": ((F(1), F(0), F(3)), (F(1), F(0), F(-3)), (F(0), F(1), F(0))),
    "two pairs of twins": ((F(1), F(2)), (F(1), F(-2)), (F(3), F(4)), (F(3), F(-4))),
    "opposite rows": ((F(1), F(2)), (F(-1), F(-2))),
    "equal rows": ((F(1), F(2)), (F(1), F(2))),
    "three of a kind": ((F(1), F(2)), (F(1), F(-2)), (F(-1), F(2))),
    "almost twins": ((F(1), F(2), F(3)), (F(1), F(-2), F(4))),
    "a twin with less": ((F(1), F(2), F(3)), (F(1), F(-2), F(0))),
    "zeros": ((F(0), F(0)), (F(0), F(1))),
    "ones": ((F(1), F(1)), (F(1), F(-1))),
    "minus ones": ((F(-1), F(-1)), (F(-1), F(1))),
    "one number": ((F(7, 8),),),
    "fractions": ((F(1, 3), F(-2, 7)), (F(1, 3), F(2, 7))),
}


@pytest.mark.parametrize("matrix", ODD_MATRICES)
def test_rows_that_share_their_halves(matrix: str) -> None:
    matrices = (ODD_MATRICES[matrix],)
    result, tiles = spread(tile_transforms.Transform(matrices), "float64", 2, LANES["float64"] + 1)
    assert_transformed(result, matrices, tiles, "float64")


@pytest.mark.parametrize("matrix", sorted(set(ODD_MATRICES) - {"zeros"}))
def test_a_wrong_matrix_is_noticed(matrix: str) -> None:
    right = ODD_MATRICES[matrix]
    wrong = ((right[0][0] + F(1, 2), *right[0][1:]), *right[1:])
    # The last element of each tile lies outside, so the first one is the one that is read.
    right = tuple((*row, F(1)) for row in right)
    wrong = tuple((*row, F(1)) for row in wrong)
    result, tiles = spread(tile_transforms.Transform((wrong,)), "float64", 2, LANES["float64"] + 1)
    with pytest.raises(AssertionError):
        assert_transformed(result, (right,), tiles, "float64")


# --- copies ----------------------------------------------------------------------------------


def every(n: int) -> Callable[[Shape, str], Array]:
    """Makes a matrix of every n-th number of each row."""
    return lambda shape, dtype: np.empty((shape[0], n * shape[1]), dtype)[:, ::n]


LAYOUTS: dict[str, tuple[str, Callable[[Shape, str], Array], Callable[[Shape, str], Array]]] = {
    "runs": ("runs", np.empty, lambda s, d: np.empty((s[0], s[1] + 3), d)[:, :-3]),
    "squares": ("squares", lambda s, d: np.empty(s[::-1], d).T, np.empty),
    "points": (
        "points", lambda s, d: np.empty((s[0], 2 * s[1]), d)[:, ::2],
        lambda s, d: np.empty((s[0], 3 * s[1]), d)[:, ::3],
    ),
    **{f"spread {n}": ("spread", np.empty, every(n)) for n in (2, 3, 4)},
    **{f"thinned {n}": ("thinned", every(n), np.empty) for n in (2, 3, 4)},
}  # fmt: skip


def copied(layout: str, shape: Shape, dtype: str, adding: bool) -> tuple[Array, Array, Array]:
    """Copy a matrix: the source, what came of it, and all the memory around that."""
    how, make_source, make_target = LAYOUTS[layout]
    source, target = make_source(shape, dtype), make_target(shape, dtype)
    source[...] = integers(shape, dtype)
    memory = target if target.base is None else target.base
    memory[...] = GUARD
    target[...] = 2
    along = {
        "squares": {
            "along_target": shape[1], "source_step": source.strides[1],
            "along_source": shape[0], "target_step": target.strides[0],
        },
        "points": {
            "along_target": shape[1], "source_step": source.strides[1],
            "target_step": target.strides[1],
        },
    }.get(how, {"along_target": shape[1]})  # fmt: skip
    rows = 1 if how == "squares" else shape[0]
    apart = int(layout.rsplit(maxsplit=1)[-1]) if how in ("spread", "thinned") else 1
    call(
        copy_loops.kernel(dtype, how, adding, apart=apart), copy_loops, source=source,
        target=target, outer=rows, outer_source=offsets((rows, source.strides[0])),
        outer_target=offsets((rows, target.strides[0])), **along,
    )  # fmt: skip
    return source, target, memory


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("adding", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_copies_of_every_shape(layout: str, adding: bool, dtype: str) -> None:
    lanes = LANES[dtype]
    sides = (1, 2, lanes - 1, lanes, lanes + 1, 2 * lanes + 3)
    for shape in product(sides, sides):
        source, target, memory = copied(layout, shape, dtype, adding)
        np.testing.assert_array_equal(target, source + (2 if adding else 0))
        assert np.count_nonzero(memory == GUARD) == memory.size - target.size


@pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="needs protected pages")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("at_end", [True, False])
def test_short_runs_of_every_length(at_end: bool, dtype: str) -> None:
    """Of a block of an array, run by run into a copy without gaps; nothing beside it is touched."""
    for run, (outer, along) in product(range(1, 17), ((1, 1), (3, 2), (6, 5))):
        source = Edged(outer * along * run, dtype, at_end=at_end).array
        target = Edged(outer * along * run, dtype, at_end=at_end).array
        source[...] = integers(source.shape, dtype)
        there = source.reshape(outer, along, run)
        here = target.reshape(along, outer, run).swapaxes(0, 1)
        call(
            copy_loops.kernel(dtype, "short runs", apart=run), copy_loops, source=source,
            target=target, outer=outer, outer_source=offsets((outer, there.strides[0])),
            outer_target=offsets((outer, here.strides[0])), along_target=along,
            source_step=there.strides[1], target_step=here.strides[1],
        )  # fmt: skip
        np.testing.assert_array_equal(here, there)


@pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="needs protected pages")
@pytest.mark.parametrize("adding", [False, True])
@pytest.mark.parametrize("apart", [2, 3, 4])
@pytest.mark.parametrize("how", ["spread", "thinned"])
def test_copies_end_with_the_last_number(how: str, apart: int, adding: bool) -> None:
    for count, at_end in product(range(1, 40), (True, False)):
        near = Edged(count, "float32", at_end=at_end).array
        far = Edged((count - 1) * apart + 1, "float32", at_end=at_end).array
        near[...], far[...] = np.arange(count), np.arange(far.size)
        source, target = (near, far) if how == "spread" else (far, near)
        wanted = target.copy()
        if how == "spread":
            wanted[::apart] = near + wanted[::apart] * adding
        else:
            wanted[...] = far[::apart] + near * adding
        call(
            copy_loops.kernel("float32", how, adding, apart=apart), copy_loops, source=source,
            target=target, outer=1, outer_source=offsets(), outer_target=offsets(),
            along_target=count,
        )  # fmt: skip
        np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_zeros_of_every_length(dtype: str) -> None:
    for length in range(1, 3 * LANES[dtype] + 2):
        memory = np.full(length + 6, GUARD, dtype)
        call(
            copy_loops.kernel(dtype, "zeros"), copy_loops, target=memory[3:], outer=1,
            outer_source=offsets(), outer_target=offsets(), along_target=length,
        )  # fmt: skip
        np.testing.assert_array_equal(memory[3:-3], np.zeros(length))
        assert (memory[:3] == GUARD).all()
        assert (memory[-3:] == GUARD).all()


# --- pieces of the emitter -------------------------------------------------------------------


Body = Callable[[Emitter], None]


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Compile a few instructions, away from what is kept for good, and call them with a table."""
    monkeypatch.setenv("CONTRACTCONV_CACHE", str(tmp_path))

    def run(dtype: str, body: Body, *arguments: Any) -> None:
        table = np.array(
            [address(v) if isinstance(v, np.ndarray) else v for v in arguments], np.int64
        )
        native.build("piece", dtype, body, "test")(address(table))

    return run


@pytest.mark.parametrize("dtype", DTYPES)
def test_integers_are_computed_as_in_c(dtype: str, built: Callable[..., None]) -> None:
    out = np.zeros(8, np.int64)

    def body(e: Emitter) -> None:
        a, b, place = (e.argument(n) for n in range(3))
        results = (a + b, a - b, a * b, a // b, a % b, a.least(b), e.chosen(a < b, a, b),
                   e.chosen(a.equals(b), a, b))  # fmt: skip
        for n, value in enumerate(results):
            e.set_entry(place, n, value)

    built(dtype, body, -7, 2, out)
    assert out.tolist() == [-5, -9, -14, -3, -1, -7, -7, 2]


@pytest.mark.parametrize("dtype", DTYPES)
def test_masked_tails(dtype: str, built: Callable[..., None]) -> None:
    lanes = LANES[dtype]

    def body(e: Emitter) -> None:
        mask = e.first_lanes(e.argument(2))
        e.store(e.load(e.argument(0), mask), e.argument(1), mask)

    for count in range(-1, lanes + 2):
        source, target = np.arange(1.0, lanes + 1).astype(dtype), np.full(lanes, GUARD, dtype)
        built(dtype, body, source, target, count)
        here = np.arange(lanes) < count
        np.testing.assert_array_equal(target, np.where(here, source, GUARD))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", [1, 3, -1, -2])
def test_numbers_that_lie_apart(step: int, dtype: str, built: Callable[..., None]) -> None:
    lanes = LANES[dtype]

    def body(e: Emitter) -> None:
        count = e.argument(3)
        found = e.gather(e.argument(0), e.argument(2), count)
        e.scatter(found, e.argument(1), e.argument(2), count)

    for count in range(1, lanes + 1):
        # There is nothing beyond what counts: reading it would find what is no number.
        source = np.full(6 * lanes, np.nan, dtype)
        places = 3 * lanes + step * np.arange(count)
        source[places] = np.arange(1, count + 1)
        target = np.full(6 * lanes, GUARD, dtype)
        middle = 3 * lanes * source.itemsize
        built(dtype, body, address(source) + middle, address(target) + middle,
              step * source.itemsize, count)  # fmt: skip
        np.testing.assert_array_equal(target[places], source[places])
        assert np.count_nonzero(target == GUARD) == target.size - count


@pytest.mark.parametrize("dtype", DTYPES)
def test_squares_are_turned(dtype: str, built: Callable[..., None]) -> None:
    lanes = LANES[dtype]
    source, target = integers((lanes, lanes), dtype), np.zeros((lanes, lanes), dtype)
    wide = source.strides[0]

    def body(e: Emitter) -> None:
        rows = [e.load(e.argument(0) + wide * n) for n in range(lanes)]
        for n, column in enumerate(e.turned(rows)):
            e.store(column, e.argument(1) + wide * n)

    built(dtype, body, source, target)
    np.testing.assert_array_equal(target, source.T)


@pytest.mark.parametrize("dtype", DTYPES)
def test_vectors_are_computed_lane_by_lane(dtype: str, built: Callable[..., None]) -> None:
    lanes = LANES[dtype]
    x, y, z = (integers((lanes,), dtype, seed) for seed in (1, 2, 3))
    x[0], y[0], z[0] = 1 + np.finfo(dtype).eps, 1 - np.finfo(dtype).eps, -1
    out = np.zeros((6, lanes), dtype)

    def body(e: Emitter) -> None:
        a, b, c = (e.load(e.argument(n)) for n in range(3))
        results: list[Vector] = [
            a + b, a - b, a * b, e.multiply_add(a, b, c), e.broadcast(e.argument(0)),
            e.constant(2.5),
        ]  # fmt: skip
        for n, value in enumerate(results):
            e.store(value, e.argument(3) + n * e.number.bytes)

    built(dtype, body, x, y, z, out)
    # Rounded once, not twice: of the product 1 - eps^2 nothing would be left.
    fused = [
        float(F(float(a)) * F(float(b)) + F(float(c))) for a, b, c in zip(x, y, z, strict=True)
    ]
    wanted = [x + y, x - y, x * y, fused, np.full(lanes, x[0]), np.full(lanes, 2.5)]
    np.testing.assert_array_equal(out, np.array(wanted, dtype))
    assert out[3, 0] == -(np.finfo(dtype).eps ** 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_greatest_number_is_never_overtaken_by_none(
    dtype: str, built: Callable[..., None]
) -> None:
    lanes = LANES[dtype]
    special = [1.0, 2.0, np.nan, np.inf, -np.inf, -0.0]
    pairs = np.array(list(product(special, special)))
    x, y = (np.resize(side, -(-len(pairs) // lanes) * lanes).astype(dtype) for side in pairs.T)
    out = np.zeros_like(x)

    def body(e: Emitter) -> None:
        def one(n: Any) -> None:
            new, most = e.load(e.argument(0) + n), e.load(e.argument(1) + n)
            e.store(e.select(e.greater(new, most), new, most), e.argument(2) + n)

        e.repeat(0, e.argument(3), one, e.number.bytes)

    built(dtype, body, x, y, out, x.nbytes)
    np.testing.assert_array_equal(out, np.maximum(x, y))


@pytest.mark.parametrize("dtype", DTYPES)
def test_loops_and_branches(dtype: str, built: Callable[..., None]) -> None:
    lanes, out = LANES[dtype], np.zeros(4, np.int64)
    kept = np.zeros(LANES[dtype], dtype)

    def body(e: Emitter) -> None:
        start, stop, step = (e.argument(n) for n in range(3))
        (total,) = e.loop(start, stop, [e.whole(100)], lambda n, c: [c[0] + n], step)
        e.set_entry(e.argument(3), 0, total)
        e.when(
            start < stop,
            lambda: e.set_entry(e.argument(3), 1, e.whole(1)),
            lambda: e.set_entry(e.argument(3), 1, e.whole(2)),
        )
        (chosen,) = e.either(stop.equals(10), lambda: [e.constant(1.0)], lambda: [e.constant(-1.0)])
        e.store(chosen, e.argument(4))

    for start, stop, step in ((0, 10, 1), (3, 10, 4), (5, 5, 1), (7, 2, 3)):
        built(dtype, body, start, stop, step, out, kept)
        assert out[0] == 100 + sum(range(start, stop, step))
        assert out[1] == (1 if start < stop else 2)
        np.testing.assert_array_equal(kept, np.full(lanes, 1.0 if stop == 10 else -1.0))


# --- the edges of memory ---------------------------------------------------------------------

EDGES: dict[str, Callable[[int, int], tuple[Shape, Shape]]] = {
    "b (i+k-1) c, k c o -> b i o": lambda c, o: ((2, 9, c), (3, c, o)),
    "b (i+k-1) (j+l-2) c, k l c -> b i j c": lambda c, o: ((1, 5, o + 9, c), (3, 5, c)),
    "b c (i+k-1), o c k -> b o i": lambda c, o: ((2, c, 9), (o, c, 3)),
    "b (2*i+k-1) c, k c o -> b i o": lambda c, o: ((1, 13, c), (5, c, o)),
    "b (i+k-1) c, k c -> b i c": lambda c, o: ((2, 9, c), (3, c)),
    "b (i+k) c, b i o -> k c o": lambda c, o: ((2, 11, c), (2, 9, o)),
    "b i o, k c o -> b (i+k-1) c": lambda c, o: ((2, 9, o), (3, c, o)),
    "(i+k-1) (j+l-1) c, k l c o -> i j o": lambda c, o: ((5, 6, c), (1, 3, c, o)),
    "i c, c o -> i o": lambda c, o: ((9, c), (c, o)),
    "c i, o c -> o i": lambda c, o: ((c, 9), (o, c)),
}


def protected(array: Array, at_the_end: bool, kept: list[Any]) -> Array:
    """A copy that touches a page which nobody may read, behind it or before it."""
    edged = Edged(array.size, array.dtype.name, at_end=at_the_end)
    edged.array[...] = array.ravel()
    kept.append(edged)
    return edged.array.reshape(array.shape)


def in_child(task: Callable[[], object], seconds: int = 60) -> int:
    """Do something in a forked process; its status is 0 if it ends well."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    signal.alarm(seconds)
    try:
        task()
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode())
        os._exit(1)
    os._exit(0)


def ways(spec: str) -> Iterator[tuple[Algorithm, Array, Array, Array]]:
    """Algorithms, operands at either edge of their pages, and what is right."""
    for c, o in product((1, 3, 16, 17), (1, 7, 33)):
        x, w = (integers(shape, "int64", n) for n, shape in enumerate(EDGES[spec](c, o), 1))
        wanted = np.asarray(cc.contract(spec, x, w))
        for algorithm in ("direct", "toom-cook") if "(" in spec else ("direct",):
            yield algorithm, x, w, wanted


def at_the_edges(spec: str) -> None:
    kept: list[Any] = []
    for algorithm, x, w, wanted in ways(spec):
        for at_the_end in (True, False):
            operands = [protected(a.astype("float32"), at_the_end, kept) for a in (x, w)]
            result = cc.contract(spec, *operands, algorithm=algorithm)
            assert np.abs(result - wanted).max() <= 1e-3 * max(1, np.abs(wanted).max())


linux = pytest.mark.skipif(os.name != "posix", reason="pages are protected in another way")


@linux
@pytest.mark.parametrize("spec", EDGES)
def test_reading_never_leaves_the_operands(spec: str) -> None:
    assert in_child(lambda: at_the_edges(spec)) == 0


@linux
def test_who_leaves_the_operands_is_found_out() -> None:
    def read_beyond() -> None:
        faulthandler.disable()
        kept: list[Any] = []
        row = protected(np.ones(8, np.float32), True, kept)
        ctypes.string_at(address(row), row.nbytes + 1)

    assert os.WTERMSIG(in_child(read_beyond)) == signal.SIGSEGV


@linux
@pytest.mark.parametrize("spec", EDGES)
def test_writing_never_leaves_the_result(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every array that is made for a result or an intermediate one touches a forbidden page."""
    ordinary = np.empty
    kept: list[Any] = []

    def at_the_end(shape: Any, dtype: Any = float, **others: Any) -> Array:
        array = ordinary(shape, dtype, **others)
        return protected(array, True, kept) if array.size else array

    def task() -> None:
        for algorithm, x, w, wanted in ways(spec):
            # In the child alone: nobody else shall work with such arrays.
            with monkeypatch.context() as patch:
                patch.setattr(np, "empty", at_the_end)
                result = cc.contract(spec, x.astype("float32"), w.astype("float32"),
                                     algorithm=algorithm)  # fmt: skip
            assert np.abs(result - wanted).max() <= 1e-3 * max(1, np.abs(wanted).max())

    assert in_child(task) == 0
