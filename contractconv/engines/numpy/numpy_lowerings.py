"""Pieces of a sum of products by numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from contractconv.arrays.run_trace import trace
from contractconv.arrays.views import Labelled, operand_view, output_view, put
from contractconv.arrays.workspace import Making, Work
from contractconv.engines.numpy import fft, pooling_gradient, toom_cook
from contractconv.engines.numpy.einsum.prepared_step import prepared
from contractconv.engines.numpy.matrix_product import (
    DEPTHWISE,
    MULTIPLIED,
    PRODUCT,
    SHIFTED,
    add_leaf,
    way_of,
)
from contractconv.engines.numpy.memory_estimate import of_leaf
from contractconv.engines.numpy.small import pooling_gradients, windows
from contractconv.engines.numpy.tile_product import UnitWindow
from contractconv.notation.problem import Problem
from contractconv.planning.einsum import Way, way
from contractconv.planning.lowerings import GRADIENT, Lowering, products_of, reduction_of
from contractconv.planning.piece import Piece
from contractconv.planning.predictions import (
    error_of_tiles,
    error_of_transforms,
    seconds_of_tiles,
    seconds_of_transforms,
)
from contractconv.planning.scatter_phases import Window
from contractconv.planning.setting import Setting
from contractconv.planning.workspace import Workspace
from contractconv.reductions.table import REDUCTIONS


class _Leaf(NamedTuple):
    """A piece, ready to run by itself."""

    piece: Piece
    add: Callable[[Piece, Work], None]

    def goes_with(self, other: object) -> bool:
        """Nothing does."""
        return False

    def run(self, together: Sequence[_Leaf], work: Work) -> None:
        """Run it."""
        self.add(self.piece, work)

    def workspace(self, together: Sequence[_Leaf], work: Work) -> Workspace:
        """What numpy takes for it, at most."""
        size = of_leaf(self.piece.problem, work.out.itemsize, work.accumulate)
        return Workspace(beside=size)


class _UnitViews(NamedTuple):
    """What a fast algorithm works on, and whether it adds to what is there."""

    data: Labelled
    other: Labelled
    out: Labelled
    windows: tuple[UnitWindow, ...]
    adding: bool


def _by_views(piece: Piece, work: Work) -> None:
    one, two = work.arrays
    view = output_view(work.out, piece.problem)
    add_leaf(piece.problem, (one, two), view, accumulate=work.accumulate)


def _toom_cook(piece: Piece, work: Work) -> None:
    with _unit_views(piece, work) as (data, other, out, windows, adding):
        toom_cook.product(
            data, other, out.labels, windows, piece.decompositions, out, accumulate=adding
        )


def _fft(piece: Piece, work: Work) -> None:
    with _unit_views(piece, work) as (data, other, out, windows, adding):
        fft.product(data, other, out.labels, windows, out, accumulate=adding)


@contextmanager
def _unit_views(piece: Piece, work: Work) -> Iterator[_UnitViews]:
    """Operands and result as views in which every window runs along an axis of its own.

    Along an index that no operand has, what was made once is repeated in the end.
    """
    problem, which = piece.problem, piece.windows[0].operand
    data = operand_view(problem, which, work.arrays[which])
    other = operand_view(problem, 1 - which, work.arrays[1 - which])
    whole = output_view(work.out, problem)
    read = tuple(n for n in whole.labels if n in {*data.labels, *other.labels})
    once = read == whole.labels
    made = whole if once else Labelled(np.empty(_sizes(whole, read), work.out.dtype), read)
    out, units = made, []
    for window in piece.windows:
        steps = dict(problem.operands[which][window.axis].terms)
        if steps[window.tap] == -steps[window.result]:
            # Against the result: from the last tap to the first.
            data, other, out = (view.flipped(window.tap) for view in (data, other, out))
        axis = f"{window.result}+{window.tap}"
        data = _joined(data, window, axis)
        units.append(UnitWindow(axis, window.result, window.tap))
    yield _UnitViews(data, other, out, tuple(units), work.accumulate and once)
    if not once:
        put(made.arranged(whole.labels), whole.array, work.accumulate)


def _sizes(view: Labelled, labels: Sequence[str]) -> list[int]:
    return [view.sizes[label] for label in labels]


def _joined(data: Labelled, window: Window, axis: str) -> Labelled:
    """Join both indices of a window, which step by the same bytes, to one."""
    array, labels = data
    place, tap = labels.index(window.result), labels.index(window.tap)
    shape, strides = list(array.shape), list(array.strides)
    shape[place] += shape[tap] - 1
    # Of one value of an index the stride says nothing.
    strides[place] = strides[place] if array.shape[place] > 1 else strides[tap]
    del shape[tap], strides[tap]
    names = [axis if n == window.result else n for n in labels if n != window.tap]
    return Labelled(as_strided(array, shape, strides), tuple(names))


def _fast(name: str, add: Callable[[Piece, Work], None], *figures: Any) -> Lowering:
    """A way for all pieces of an algorithm."""

    def told(piece: Piece, work: Work) -> None:
        trace.run(name, piece.problem, lambda: add(piece, work))

    return Lowering(
        name, lambda *_: True, lambda piece, _: _Leaf(piece, told), lambda piece: piece.name,
        *figures,
    )  # fmt: skip


def _plain(name: str) -> Lowering:
    """A way for sums of products as they stand."""

    def applies(piece: Piece, setting: Setting) -> bool:
        return _multiplies(piece) and way_of(piece.problem, np.dtype(setting.dtype)) == name

    return Lowering(
        name, applies, lambda piece, _: _Leaf(piece, _by_views), products_of,
        makes=windows.prepared,
    )  # fmt: skip


def _multiplies(piece: Piece) -> bool:
    return len(piece.problem.operands) == 2 and REDUCTIONS[piece.problem.reduce].linear


def _reduces(piece: Piece, _: Setting) -> bool:
    return not _multiplies(piece)


def _pools_back(piece: Piece, setting: Setting) -> bool:
    return setting.dtype in ("float32", "float64") and pooling_gradient.is_pooling(piece.problem)


def _whole(name: str, *ways: Way) -> Lowering:
    """A way for steps without windows, each by one operation."""

    def applies(piece: Piece, setting: Setting) -> bool:
        return way(piece.problem, setting.machine.compiled, setting.machine.wide) in ways

    def describe(piece: Piece) -> str:
        return products_of(piece) if _multiplies(piece) else reduction_of(piece)

    return Lowering(name, applies, lambda *_: None, describe, makes=prepared)


EINSUM = (
    _whole("numpy", Way.COPY, Way.SUM),
    _whole(MULTIPLIED, Way.MULTIPLY),
    _whole(PRODUCT, Way.MATRIX),
    _whole("einsum", Way.ELEMENTWISE),
)


def _seconds_of_tiles(piece: Piece, setting: Setting) -> float:
    """What tiles take by numpy, even where there are kernels for other ones: no less than those."""
    seconds = seconds_of_tiles(piece, setting)
    if not setting.machine.compiled:
        return seconds
    alone = replace(setting, machine=setting.machine.uncompiled)
    return max(seconds, seconds_of_tiles(piece, alone))


def _unpooling(problem: Problem, arrays: Sequence[Any]) -> Making:
    """What makes the gradient of a pooling."""
    small = pooling_gradients.prepared(problem, arrays[0])
    if small is not None:
        work = small.work
        return small._replace(
            work=lambda given: trace.run(pooling_gradient.NAME, problem, lambda: work(given))
        )
    return Making(
        lambda given: pooling_gradient.pool_gradient(problem, *given),
        pooling_gradient.workspace(problem, arrays[0]),
    )


UNPOOL = Lowering(
    pooling_gradient.NAME, _pools_back,
    lambda *_: None, reduction_of, takes=GRADIENT,
    makes=_unpooling,
)  # fmt: skip
BY_NUMPY = (
    _fast("tiles by BLAS", _toom_cook, _seconds_of_tiles, error_of_tiles, "toom-cook"),
    _fast("numpy", _fft, seconds_of_transforms, error_of_transforms, "fft"),
    *map(_plain, (SHIFTED, MULTIPLIED, DEPTHWISE, PRODUCT)),
    Lowering("numpy", _reduces, lambda *_: None, reduction_of, makes=windows.prepared),
    UNPOOL,
)
