"""Carrying out the pieces of a step, by compiled kernels where there are any."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided

from contractconv.execution import direct, fourier, layer, tiled, toomcook
from contractconv.execution.blocked import UnitWindow
from contractconv.execution.ending import Ending
from contractconv.execution.pairwise import sum_leaf
from contractconv.execution.staging import steps_of
from contractconv.execution.views import Array, Labelled, operand_view, output_view
from contractconv.kernels.finish import RAW, Finish
from contractconv.notation.problem import Accesses
from contractconv.planning.candidates import Piece
from contractconv.planning.phases import Window
from contractconv.planning.setting import Setting

# Fewer multiplications than this are not worth compiling a kernel for.
_FEW = 1 << 12


def run_piece(
    piece: Piece,
    arrays: tuple[Array, ...],
    out: Array,
    accumulate: bool,
    setting: Setting,
    ending: Ending | None = None,
) -> bool:
    """Carry out one piece of a sum.

    Args:
        piece: the piece.
        arrays: the operands, all of one dtype.
        out: the whole result, of the same dtype.
        accumulate: whether to add to what is there.
        setting: what the algorithm was chosen by.
        ending: what is done to the result afterwards.

    Returns:
        Whether the ending is done.
    """
    worth = setting.asked or piece.problem.points >= _FEW
    compiled = worth and setting.machine.compiled and out.dtype in direct.KINDS
    kernels = {"toom-cook": _tiled, "direct": _direct}
    kernel = kernels.get(piece.algorithm) if compiled else None
    if kernel is not None and ending is not None and kernel(piece, arrays, out, accumulate, ending):
        return True
    if kernel is None or not kernel(piece, arrays, out, accumulate, None):
        _BY_NUMPY[piece.algorithm](piece, arrays, out, accumulate)
    return False


def _by_views(piece: Piece, arrays: tuple[Array, ...], out: Array, accumulate: bool) -> None:
    view = output_view(out, piece.problem)
    result = sum_leaf(piece.problem, arrays, view.labels)
    if accumulate:
        np.add(view.array, result, out=view.array)
    else:
        view.array[...] = result


def _direct(
    piece: Piece, arrays: tuple[Array, ...], out: Array, accumulate: bool, ending: Ending | None
) -> bool:
    strides = tuple(array.strides for array in (*arrays, out))
    finish, bias = _finish(ending, out)
    ready = direct.prepared(piece.problem, strides, out.dtype, accumulate, finish)
    if ready is None:
        return False
    ready.run({"0": arrays[0], "1": arrays[1], **bias}, out)
    return True


def _finish(ending: Ending | None, out: Array) -> tuple[Finish, dict[str, Array]]:
    """What kernels know of an ending, and the bias by the name of its region."""
    if ending is None:
        return RAW, {}
    bias = ending.bias
    given = {} if bias is None else {"bias": np.ascontiguousarray(bias, out.dtype)}
    return Finish(bias is not None, ending.activation == "relu"), given


def _tiled(
    piece: Piece, arrays: tuple[Array, ...], out: Array, accumulate: bool, ending: Ending | None
) -> bool:
    problem, windows = piece.problem, piece.windows
    which = windows[0].operand
    lanes = layer.lanes(problem, windows)
    if lanes is None:
        return False
    tidy = _are_neighbours(out, problem.output, lanes[1])
    if ending is not None and not tidy:
        return False
    ordered = list(arrays)
    ordered[which] = _neighbours(arrays[which], problem.operands[which], lanes[0])
    if windows[0].role == "kernel":
        ordered[1 - which] = _neighbours(arrays[1 - which], problem.operands[1 - which], lanes[1])
    target = out if tidy else _moved(np.empty_like(out), problem.output, lanes[1])
    strides = (ordered[0].strides, ordered[1].strides, target.strides)
    finish, bias = _finish(ending, out)
    ready = tiled.prepared(
        problem, windows, piece.outputs, strides, out.dtype, accumulate and tidy, finish
    )
    if ready is None:
        return False
    ready.run({"data": ordered[which], "other": ordered[1 - which], **bias}, target)
    if not tidy:
        view, made = output_view(out, problem).array, output_view(target, problem).array
        np.add(view, made, out=view) if accumulate else np.copyto(view, made)
    return True


def _are_neighbours(array: Array, accesses: Accesses, lane: Collection[str]) -> bool:
    """Whether numbers lie side by side along the last of some indices."""
    steps = steps_of(accesses, array.strides)
    found = [steps[name] for name in lane if name in steps]
    return not found or min(found, key=abs) == array.itemsize


def _neighbours(array: Array, accesses: Accesses, lane: Collection[str]) -> Array:
    """The array, or a copy in which numbers lie side by side along some indices."""
    if _are_neighbours(array, accesses, lane):
        return array
    copy = _moved(np.empty_like(array), accesses, lane)
    copy[...] = array
    return copy


def _moved(like: Array, accesses: Accesses, lane: Collection[str]) -> Array:
    """An empty array of the same shape whose axes of some indices come last in memory."""
    order = sorted(range(like.ndim), key=lambda n: bool(set(accesses[n].names) & set(lane)))
    empty = np.empty([like.shape[n] for n in order], like.dtype)
    return empty.transpose(np.argsort(order))


def _toom_cook(piece: Piece, arrays: tuple[Array, ...], out: Array, accumulate: bool) -> None:
    data, other, view, windows = _unit_views(piece, arrays, out)
    toomcook.product(
        data, other, view.labels, windows, piece.decompositions, view, accumulate=accumulate
    )


def _fft(piece: Piece, arrays: tuple[Array, ...], out: Array, accumulate: bool) -> None:
    data, other, view, windows = _unit_views(piece, arrays, out)
    fourier.product(data, other, view.labels, windows, view, accumulate=accumulate)


def _unit_views(
    piece: Piece, arrays: Sequence[Array], out: Array
) -> tuple[Labelled, Labelled, Labelled, tuple[UnitWindow, ...]]:
    """Operands and result as views in which every window runs along an axis of its own."""
    problem, which = piece.problem, piece.windows[0].operand
    data = operand_view(problem, which, arrays[which])
    other = operand_view(problem, 1 - which, arrays[1 - which])
    view = output_view(out, problem)
    units = []
    for window in piece.windows:
        steps = dict(problem.operands[which][window.axis].terms)
        if steps[window.tap] == -steps[window.result]:
            # Against the result: from the last tap to the first.
            data, other, view = (_flipped(v, window.tap) for v in (data, other, view))
        axis = f"{window.result}+{window.tap}"
        data = _joined(data, window, axis)
        units.append(UnitWindow(axis, window.result, window.tap))
    return data, other, view, tuple(units)


def _flipped(view: Labelled, label: str) -> Labelled:
    if label not in view.labels:
        return view
    return Labelled(np.flip(view.array, view.labels.index(label)), view.labels)


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


_BY_NUMPY = {"direct": _by_views, "toom-cook": _toom_cook, "fft": _fft}
