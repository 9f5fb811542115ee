"""Carrying out the pieces of a step, by compiled kernels where there are any."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from contractconv.arrays.epilogue import Ending
from contractconv.arrays.views import Array, Labelled, operand_view, output_view
from contractconv.caches import weighed
from contractconv.engines.llvm import direct
from contractconv.engines.llvm.kernels.finish import RAW, Finish
from contractconv.engines.llvm.packing import steps_of
from contractconv.engines.llvm.program import Prepared, Program
from contractconv.engines.llvm.tiles import layer_roles, tiled_product
from contractconv.engines.numpy import fft, toom_cook
from contractconv.engines.numpy.matrix_product import add_leaf
from contractconv.engines.numpy.tile_product import UnitWindow
from contractconv.machine.weight import weight
from contractconv.notation.problem import Accesses, Problem
from contractconv.planning.candidates import Piece
from contractconv.planning.scatter_phases import Window
from contractconv.planning.setting import Setting

# Fewer multiplications than this are not worth compiling a kernel for.
_FEW = 1 << 12


def run_pieces(
    pieces: Iterable[Piece],
    arrays: tuple[Array, ...],
    out: Array,
    setting: Setting,
    *,
    accumulate: bool = False,
    disjoint: bool = False,
    ending: Ending | None = None,
) -> bool:
    """Carry out the pieces of a sum.

    Args:
        pieces: the pieces; a single one if there is an ending.
        arrays: the operands, all of one dtype.
        out: the whole result, of the same dtype.
        setting: what their algorithms were chosen by.
        accumulate: whether to add to what is there.
        disjoint: whether no two pieces write the same element.
        ending: what is done to the result afterwards.

    Returns:
        Whether the ending is done.
    """
    carrying = _Carrying(arrays, out, accumulate, setting)
    together: list[_Ready] = []
    for piece in pieces:
        ready = carrying.ready(piece, ending)
        if ready is not None and ending is not None:
            carrying.run([ready], ending)
            return True
        if ending is not None:
            ready = carrying.ready(piece)
        if ready is None:
            _BY_NUMPY[piece.algorithm](piece, arrays, out, accumulate)
            continue
        if together and not (disjoint and together[-1].goes_with(ready)):
            carrying.run(together)
            together = []
        together.append(ready)
    carrying.run(together)
    return False


class Recipe(NamedTuple):
    """One program for a whole sum, on arrays that lie in memory in a certain way.

    Attributes:
        program: what is done.
        regions: for each region that it reads the number of an operand, the bias being the last.
        ends: whether it ends the result, too.
    """

    program: Prepared
    regions: Mapping[str, int]
    ends: bool

    def run(self, arrays: tuple[Array, ...], out: Array, ending: Ending | None) -> None:
        """Carry it out."""
        given = arrays if ending is None else (*arrays, _bias(ending, out))
        self.program.run({name: given[n] for name, n in self.regions.items()}, out)


def recipe(
    pieces: Sequence[Piece],
    arrays: tuple[Array, ...],
    out: Array,
    setting: Setting,
    *,
    accumulate: bool = False,
    ending: Ending | None = None,
) -> Recipe | None:
    """One program for pieces that write disjoint elements, as :func:`run_pieces` takes them.

    Returns:
        The recipe, for these arrays and all that lie in memory like them; ``None`` if it takes
        more than one program, or copies of the operands.
    """
    carrying = _Carrying(arrays, out, accumulate, setting)
    found = [carrying.ready(piece, ending) for piece in pieces] if ending is not None else []
    ends = bool(found) and None not in found
    if not ends:
        found = [carrying.ready(piece) for piece in pieces]
    ready = [one for one in found if one is not None]
    if not ready or len(ready) < len(found):
        return None
    regions = {name: n for name, n in ready[0].regions.items() if isinstance(n, int)}
    alike = all(ready[0].goes_with(one) for one in ready)
    if not alike or ready[0].target is not out or len(regions) < len(ready[0].regions):
        return None
    return Recipe(_as_one(tuple(one.program for one in ready)), regions, ends)


class _Ready(NamedTuple):
    """A piece, ready to run.

    Attributes:
        program: what is done.
        regions: what it reads, by the names of its regions: an operand's number, or a copy. The
            bias is the operand after the last.
        problem: the piece.
        target: the result, or an array of its shape whose lanes are neighbours.
    """

    program: Program
    regions: Mapping[str, int | Array]
    problem: Problem
    target: Array

    def goes_with(self, other: _Ready) -> bool:
        """Whether both can be one program: they read and write the same memory."""
        one, two = self.regions, other.regions
        same = one.keys() == two.keys() and all(one[name] is two[name] for name in one)
        return same and self.target is other.target


class _Carrying:
    """Carries out pieces on the same arrays; what they need beside these is made once."""

    def __init__(
        self, arrays: tuple[Array, ...], out: Array, accumulate: bool, setting: Setting
    ) -> None:
        self.arrays, self.out, self.accumulate, self.setting = arrays, out, accumulate, setting
        self._moved: dict[tuple[int, tuple[int, ...]], Array] = {}

    def ready(self, piece: Piece, ending: Ending | None = None) -> _Ready | None:
        """Make a piece ready for compiled kernels; ``None`` if there are none for it."""
        setting, dtype = self.setting, self.out.dtype
        worth = setting.asked or piece.problem.points >= _FEW
        if not (worth and setting.machine.compiled and dtype in direct.KINDS):
            return None
        if piece.algorithm == "direct":
            return self._direct(piece.problem, ending)
        return self._tiled(piece, ending) if piece.algorithm == "toom-cook" else None

    def run(self, pieces: Sequence[_Ready], ending: Ending | None = None) -> None:
        """Run pieces as one program."""
        if not pieces:
            return
        target = pieces[0].target
        given = self.arrays if ending is None else (*self.arrays, _bias(ending, self.out))
        regions = {
            name: given[what] if isinstance(what, int) else what
            for name, what in pieces[0].regions.items()
        }
        _as_one(tuple(piece.program for piece in pieces)).run(regions, target)
        if target is not self.out:
            for piece in pieces:
                self._bring(piece.problem, target)

    def _bring(self, problem: Problem, target: Array) -> None:
        """Put what a piece has made where it belongs."""
        view = output_view(self.out, problem).array
        made = output_view(target, problem).array
        np.add(view, made, out=view) if self.accumulate else np.copyto(view, made)

    def _direct(self, problem: Problem, ending: Ending | None) -> _Ready | None:
        strides = tuple(array.strides for array in (*self.arrays, self.out))
        finish = _finish(ending)
        program = direct.prepared(problem, strides, self.out.dtype, self.accumulate, finish)
        if program is None:
            return None
        regions = {"0": 0, "1": 1} | ({"bias": 2} if finish.bias else {})
        return _Ready(program, regions, problem, self.out)

    def _tiled(self, piece: Piece, ending: Ending | None) -> _Ready | None:
        problem, windows, out = piece.problem, piece.windows, self.out
        which = windows[0].operand
        lanes = layer_roles.lanes(problem, windows)
        if lanes is None:
            return None
        tidy = _are_neighbours(out, problem.output, lanes[1])
        if ending is not None and not tidy:
            return None
        data = self._neighbours(which, problem.operands[which], lanes[0])
        other: int | Array = 1 - which
        if windows[0].role == "kernel":
            other = self._neighbours(1 - which, problem.operands[1 - which], lanes[1])
        target = out if tidy else self._target(problem.output, lanes[1])
        finish = _finish(ending)
        operands = (data, other) if which == 0 else (other, data)
        laid = (*(self.arrays[x] if isinstance(x, int) else x for x in operands), target)
        first, second, third = (array.strides for array in laid)
        program = tiled_product.prepared(
            problem, windows, piece.outputs, (first, second, third), out.dtype,
            self.accumulate and tidy, finish,
        )  # fmt: skip
        if program is None:
            return None
        regions = {"0": operands[0], "1": operands[1]} | ({"bias": 2} if finish.bias else {})
        return _Ready(program, regions, problem, target)

    def _neighbours(self, number: int, accesses: Accesses, lane: Collection[str]) -> int | Array:
        """An operand's number, or a copy whose numbers lie side by side along some indices."""
        array = self.arrays[number]
        if _are_neighbours(array, accesses, lane):
            return number
        key = number, _order(accesses, lane)
        if key not in self._moved:
            self._moved[key] = _moved(array, key[1])
            self._moved[key][...] = array
        return self._moved[key]

    def _target(self, accesses: Accesses, lane: Collection[str]) -> Array:
        """An array like the result in which numbers lie side by side along some indices."""
        key = len(self.arrays), _order(accesses, lane)
        if key not in self._moved:
            self._moved[key] = _moved(self.out, key[1])
        return self._moved[key]


def _finish(ending: Ending | None) -> Finish:
    """What kernels know of an ending."""
    if ending is None:
        return RAW
    return Finish(ending.bias is not None, ending.activation == "relu")


def _bias(ending: Ending, out: Array) -> Array:
    """The bias as kernels read it."""
    return out if ending.bias is None else np.ascontiguousarray(ending.bias, out.dtype)


def _are_neighbours(array: Array, accesses: Accesses, lane: Collection[str]) -> bool:
    """Whether numbers lie side by side along the last of some indices."""
    steps = steps_of(accesses, array.strides)
    found = [steps[name] for name in lane if name in steps]
    return not found or min(found, key=abs) == array.itemsize


def _order(accesses: Accesses, lane: Collection[str]) -> tuple[int, ...]:
    """The axes, those of some indices last."""
    return tuple(sorted(range(len(accesses)), key=lambda n: bool(set(accesses[n].names) & {*lane})))


def _moved(like: Array, order: tuple[int, ...]) -> Array:
    """An empty array of the same shape and dtype whose axes lie in memory in some order."""
    empty = np.empty([like.shape[n] for n in order], like.dtype)
    return empty.transpose(np.argsort(order))


@weighed(weight)
def _as_one(programs: tuple[Program, ...]) -> Prepared:
    return Prepared(programs[0] if len(programs) == 1 else Program.joined(programs))


def _by_views(piece: Piece, arrays: tuple[Array, ...], out: Array, accumulate: bool) -> None:
    one, two = arrays
    add_leaf(piece.problem, (one, two), output_view(out, piece.problem), accumulate=accumulate)


def _toom_cook(piece: Piece, arrays: tuple[Array, ...], out: Array, accumulate: bool) -> None:
    data, other, view, windows = _unit_views(piece, arrays, out)
    toom_cook.product(
        data, other, view.labels, windows, piece.decompositions, view, accumulate=accumulate
    )


def _fft(piece: Piece, arrays: tuple[Array, ...], out: Array, accumulate: bool) -> None:
    data, other, view, windows = _unit_views(piece, arrays, out)
    fft.product(data, other, view.labels, windows, view, accumulate=accumulate)


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
