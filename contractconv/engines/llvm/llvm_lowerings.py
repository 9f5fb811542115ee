"""Pieces of a sum by compiled kernels: each as a program, and those that go together as one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np

from contractconv.arrays.epilogue import Ending
from contractconv.arrays.precision import accumulator, working_dtype
from contractconv.arrays.run_trace import trace
from contractconv.arrays.views import Array, contiguous
from contractconv.arrays.workspace import Making, Work
from contractconv.cache_register import weighed
from contractconv.engines.llvm import direct_kernels
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.kernels.epilogue_code import RAW, Finish
from contractconv.engines.llvm.moved_axes import (
    RESULT,
    Moved,
    between_copies,
    lanes_last,
    lie_side_by_side,
)
from contractconv.engines.llvm.packing import Strides
from contractconv.engines.llvm.pooling.forward import POOLING, can_pool
from contractconv.engines.llvm.pooling.gradient_kernel import (
    UNPOOLING,
    can_pool_back,
    gradient_workspace,
    pool_gradient,
)
from contractconv.engines.llvm.program import Prepared, Program
from contractconv.engines.llvm.tile_kernels import layer_roles, tiled_product
from contractconv.machine.kept_bytes import weight
from contractconv.machine.threads import get_num_threads
from contractconv.notation.problem import Access, Problem, shape_of
from contractconv.planning.cost import is_direct, volume
from contractconv.planning.einsum import as_einsum
from contractconv.planning.lowerings import (
    GRADIENT,
    Lowering,
    prepared,
    products_of,
    reduction_of,
)
from contractconv.planning.piece import Piece
from contractconv.planning.predictions import error_of_tiles, seconds_of_tiles
from contractconv.planning.roles import fused
from contractconv.planning.setting import Setting
from contractconv.planning.strided_leaves import is_leaf
from contractconv.planning.workspace import Workspace

# Numbers of an operand of which it is worth moving all at once.
_MANY = 1 << 14
# Fewer multiplications than this are not worth compiling a kernel for.
_FEW = 1 << 12


class Part(NamedTuple):
    """What of a recipe is told by itself: by what, which pieces, and the program of these alone."""

    way: str
    problems: tuple[Problem, ...]
    program: Prepared


class Recipe(NamedTuple):
    """One program for a whole sum, on arrays that lie in memory in a certain way.

    Attributes:
        program: what is done.
        regions: for each region that it reads the number of an operand, the bias being the last.
        ends: whether it ends the result, too.
        parts: the same apart, as it runs where somebody wants to know how long each part takes.
    """

    program: Prepared
    regions: Mapping[str, int]
    ends: bool
    parts: tuple[Part, ...]

    def run(self, arrays: tuple[Array, ...], out: Array, ending: Ending | None) -> None:
        """Carry it out."""
        given = arrays if ending is None else (*arrays, _bias(ending, out))
        regions = {name: given[n] for name, n in self.regions.items()}
        if not trace.listening:
            self.program.run(regions, out)
            return
        for part in self.parts:
            with trace.of(part.way, *part.problems):
                part.program.run(regions, out)


def recipe(pieces: Sequence[Piece], work: Work, disjoint: bool) -> Recipe | None:
    """One program for the pieces of a sum.

    Args:
        pieces: the pieces.
        work: their arrays; where there is an ending, it is what is done to the result.
        disjoint: whether no two pieces write the same element; otherwise they are carried out one
            after the other, and add to what is there.

    Returns:
        The recipe, for these arrays and all that lie in memory like them; ``None`` if it takes
        more than one program.
    """
    found = _all_ready(pieces, work) if work.ending is not None else None
    ends = found is not None
    if found is None:
        found = _all_ready(pieces, replace(work, ending=None))
    if not found:
        return None
    first = found[0]
    if all(first.goes_with(one) for one in found) and (disjoint or len(found) == 1):
        whole = Part(first.way, tuple(one.problem for one in found), first.joined(found, work))
        return Recipe(whole.program, first.regions, ends, (whole,))
    if disjoint or ends or any(one.regions != first.regions for one in found):
        return None
    parts = tuple(Part(one.way, (one.problem,), one.joined([one], work)) for one in found)
    programs = [part.program.program for part in parts]
    if any(program.copies > 1 for program in programs):
        return None  # they would be added once
    return Recipe(Prepared(Program.in_sequence(programs)), first.regions, ends, parts)


def _all_ready(pieces: Sequence[Piece], work: Work) -> list[_Program] | None:
    found = []
    for piece in pieces:
        ready = prepared(piece, work, ends=work.ending is not None)
        if not isinstance(ready, _Program):
            return None
        found.append(ready)
    return found


class _Program(NamedTuple):
    """A piece, ready to run.

    Attributes:
        program: what is done.
        regions: what it reads, by the names of its regions: an operand's number. The bias is the
            operand after the last.
        problem: the piece.
        way: what it is told as when it runs.
        moved: the arrays that it sees with their axes in another order.
    """

    program: Program
    regions: Mapping[str, int]
    problem: Problem
    way: str
    moved: tuple[Moved, ...] = ()

    def goes_with(self, other: object) -> bool:
        """Whether both can be one program: they read and write the same memory."""
        if not isinstance(other, _Program):
            return False
        return (self.way, self.regions, self.moved) == (other.way, other.regions, other.moved)

    def joined(self, together: Sequence[_Program], work: Work) -> Prepared:
        """Pieces that go with each other, this one among them, as one program."""
        programs = tuple(one.program for one in together)
        problems = tuple(one.problem for one in together)
        dtype = direct_kernels.kind(work.out.dtype)
        assert dtype is not None, "there is a program for these numbers"
        around = (self.moved, problems, dtype, work.accumulate) if self.moved else None
        return _as_one(programs, around, get_num_threads())

    def workspace(self, together: Sequence[_Program], work: Work) -> Workspace:
        """What pieces take as one program."""
        return self.joined(together, work).workspace(work.out.nbytes)

    def run(self, together: Sequence[_Program], work: Work) -> None:
        """Run pieces as one program."""
        given = work.arrays if work.ending is None else (*work.arrays, _bias(work.ending, work.out))
        regions = {name: given[number] for name, number in self.regions.items()}
        with trace.of(self.way, *(piece.problem for piece in together)):
            self.joined(together, work).run(regions, work.out)


def _is_worth(piece: Piece, setting: Setting) -> bool:
    problem = piece.problem
    enough = setting.asked or problem.points >= _FEW
    # Without a sum a ufunc does as well, but for one of the phases that are written in turns.
    work = problem.reduced or not is_direct(problem)
    return bool(work) and enough and setting.machine.compiled and len(problem.operands) == 2


def _nests(piece: Piece, setting: Setting) -> bool:
    """Whether a piece becomes a loop nest of a kernel."""
    kind = _kind(setting)
    if not _is_worth(piece, setting) or kind is None:
        return False
    strides = contiguous(piece.problem, native.number(kind).size)
    return direct_kernels.has_nest(*_fused(piece.problem, strides), kind)


def _nested(piece: Piece, work: Work) -> _Program | None:
    if not _is_worth(piece, work.setting):
        return None
    moved = tuple(_phases_laid_side_by_side(piece.problem, work))
    seen = {one.region: one.seen for one in moved}
    strides = tuple(
        seen.get(str(n), array.strides) for n, array in enumerate((*work.arrays, work.out))
    )
    kind, finish = direct_kernels.kind(work.out.dtype), _finish(work.ending)
    problem, strides = _fused(piece.problem, strides, finish.bias)
    program = kind and direct_kernels.prepared(
        problem, strides, kind, work.accumulate, finish, get_num_threads()
    )
    if not program:
        return None
    regions = {"0": 0, "1": 1} | ({"bias": 2} if finish.bias else {})
    return _Program(program, regions, piece.problem, KERNEL.name, moved)


def _phases_laid_side_by_side(problem: Problem, work: Work) -> Iterator[Moved]:
    """Operands of which every phase of a result reads numbers here and there.

    What kernels run along is copied number by number where none of its neighbours are read. All
    phases together read everything: so everything is moved once, neighbours along what they keep.
    """
    if all(abs(step) == 1 for access in problem.output for _, step in access.terms):
        return
    for number, (accesses, array) in enumerate(zip(problem.operands, work.arrays, strict=True)):
        near = [
            access for access, stride in zip(accesses, array.strides, strict=True)
            if stride == array.itemsize and access.size > 1
        ]  # fmt: skip
        apart = any(volume(access.names, problem.extents) < access.size for access in near)
        kept = [access.plain for access in accesses if access.plain in problem.kept]
        if apart and kept and array.size >= _MANY:
            lane = max(filter(None, kept), key=problem.extents.__getitem__)
            order = lanes_last(accesses, (lane,))
            yield Moved(str(number), array.shape, array.strides, order, array.itemsize)


def _fused(
    problem: Problem, strides: tuple[Strides, ...], bias: bool = False
) -> tuple[Problem, tuple[Strides, ...]]:
    """Indices that lie side by side everywhere as one, since each is a loop of its own.

    Args:
        problem: a sum of products.
        strides: those of both operands and of the result, in bytes.
        bias: whether something is added along the last axis of the result.
    """
    found = _without_ones(problem, strides, bias)
    step = None if found is None else as_einsum(found[0])
    if step is None or found is None:
        return problem, strides
    problem, strides = found
    terms = (*step.terms, step.output)
    if any(len(set(term)) < len(term) for term in terms):
        return problem, strides
    steps, extents = [dict(zip(*one, strict=True)) for one in zip(terms, strides, strict=True)], {}

    def follow(outer: str, inner: str) -> bool:
        return all(s[outer] == s[inner] * problem.extents[inner] for s in steps if inner in s)

    for run in fused((*terms, step.output[-1:] if bias else ()), follow):
        extents[run[-1]] = prod(problem.extents[n] for n in run)
    *operands, output = (
        tuple(Access.along(n, extents[n]) for n in term if n in extents) for term in terms
    )
    sizes = tuple((n, extents[n]) for n in problem.indices if n in extents)
    whole = Problem(tuple(operands), output, sizes, problem.reduce, shape_of(output))
    return whole, tuple(tuple(step for n, step in s.items() if n in extents) for s in steps)


def _without_ones(
    problem: Problem, strides: tuple[Strides, ...], bias: bool
) -> tuple[Problem, tuple[Strides, ...]] | None:
    """The same sum without indices of one value, and without the axes that are theirs alone.

    Returns:
        ``None`` if such an index has moved its axis.
    """
    ones = {name for name, extent in problem.sizes if extent == 1}
    terms, steps = [], []
    for term, lie in zip((*problem.operands, problem.output), strides, strict=True):
        here = [(a.fixed(dict.fromkeys(ones, 0)), step) for a, step in zip(term, lie, strict=True)]
        left = [(access, step) for access, step in here if access.terms or access.size > 1]
        if any(not access.terms for access, _ in left) or (bias and left[-1:] != here[-1:]):
            return None
        terms.append(tuple(access for access, _ in left))
        steps.append(tuple(step for _, step in left))
    *operands, output = terms
    sizes = tuple((name, extent) for name, extent in problem.sizes if name not in ones)
    whole = Problem(tuple(operands), output, sizes, problem.reduce, shape_of(output))
    return whole, tuple(steps)


def _tiles(piece: Piece, setting: Setting) -> bool:
    """Whether a piece becomes tiles in cache."""
    kind = _kind(setting)
    known = _is_worth(piece, setting) and kind is not None
    return known and layer_roles.fits(piece.problem, piece.windows, kind or "")


def _tiled(piece: Piece, work: Work) -> _Program | None:
    if not _is_worth(piece, work.setting):
        return None
    problem, windows, out = piece.problem, piece.windows, work.out
    lanes = layer_roles.lanes(problem, windows)
    kind = direct_kernels.kind(out.dtype)
    if kind is None or lanes is None:
        return None
    moved = tuple(
        found for number, lane in layer_roles.lanes_by_term(windows, lanes).items()
        if (found := _moved(problem, work, number, lane)) is not None
    )  # fmt: skip
    tidy = all(one.region != RESULT for one in moved)
    if work.ending is not None and not tidy:
        return None
    seen = {one.region: one.seen for one in moved}
    first, second, third = (
        seen.get(region, array.strides)
        for region, array in zip(("0", "1", RESULT), (*work.arrays, out), strict=True)
    )
    finish = _finish(work.ending)
    program = tiled_product.prepared(
        problem, tuple(windows), tuple(piece.outputs), (first, second, third), kind,
        work.accumulate and tidy, finish, get_num_threads(),
    )  # fmt: skip
    if program is None:
        return None
    regions = {"0": 0, "1": 1} | ({"bias": 2} if finish.bias else {})
    return _Program(program, regions, problem, TILES.name, moved)


def _moved(problem: Problem, work: Work, number: int, lane: Collection[str]) -> Moved | None:
    """How an operand, or the result, has to lie; ``None`` if it lies side by side along a lane."""
    accesses = problem.output if number == layer_roles.RESULT_TERM else problem.operands[number]
    array = work.out if number == layer_roles.RESULT_TERM else work.arrays[number]
    if lie_side_by_side(accesses, array.strides, lane, array.itemsize):
        return None
    region = RESULT if number == layer_roles.RESULT_TERM else str(number)
    return Moved(region, array.shape, array.strides, lanes_last(accesses, lane), array.itemsize)


def _pools(piece: Piece, setting: Setting) -> bool:
    whole = setting.machine.compiled and is_leaf(piece.problem)
    return whole and can_pool(piece.problem, _kind(setting, piece.problem))


def _pools_back(piece: Piece, setting: Setting) -> bool:
    """Whether a gradient is carried out at once; the piece is what it is the gradient of."""
    return setting.machine.compiled and can_pool_back(piece.problem, _kind(setting))


def _kind(setting: Setting, problem: Problem | None = None) -> str | None:
    """What kernels call the numbers that are summed, or reduced; ``None`` without kernels."""
    dtype = np.dtype(setting.dtype)
    return direct_kernels.kind(
        accumulator(dtype) if problem is None else working_dtype(problem, dtype)
    )


def _finish(ending: Ending | None) -> Finish:
    """What kernels know of an ending."""
    if ending is None:
        return RAW
    return Finish(ending.bias is not None, ending.activation == "relu")


def _bias(ending: Ending, out: Array) -> Array:
    """The bias as kernels read it."""
    return out if ending.bias is None else np.ascontiguousarray(ending.bias, out.dtype)


@weighed(weight)
def _as_one(
    programs: tuple[Program, ...],
    around: tuple[tuple[Moved, ...], tuple[Problem, ...], str, bool] | None,
    threads: int,
) -> Prepared:
    program = programs[0] if len(programs) == 1 else Program.joined(programs)
    if around is not None:
        program = between_copies(program, *around, threads)
    return Prepared(program)


KERNEL = Lowering("compiled kernel", _nests, _nested, products_of, ends=True)
TILES = Lowering(
    "compiled tiles", _tiles, _tiled, lambda piece: piece.name,
    seconds_of_tiles, error_of_tiles, "toom-cook", ends=True,
)  # fmt: skip
POOL = Lowering(POOLING, _pools, lambda *_: None, reduction_of)
UNPOOL = Lowering(
    UNPOOLING, _pools_back, lambda *_: None, reduction_of, takes=GRADIENT,
    makes=lambda problem, arrays: Making(
        lambda given: pool_gradient(problem, *given), gradient_workspace(problem, *arrays)
    ),
)  # fmt: skip
COMPILED = (KERNEL, TILES, POOL, UNPOOL)
