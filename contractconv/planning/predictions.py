"""What a piece is predicted to take, in seconds, and how far its result may be off.

Here are the figures of the ways that there are; each way names its own in the table of
:mod:`contractconv.planning.lowerings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, prod

from contractconv.notation.contributing import inside
from contractconv.notation.problem import Access, Accesses, Problem, shape_of
from contractconv.planning.cost import AT_ONCE, laid_out, volume
from contractconv.planning.piece import Piece
from contractconv.planning.roles import Roles, roles
from contractconv.planning.scatter_phases import Window, windows
from contractconv.planning.setting import Machine, Setting
from contractconv.tiles.rounding import (
    EPSILON,
    Growth,
    Role,
    error_bound,
    fourier_growth,
    growth,
    typical_error,
)

# Channels of which products are summed at once.
_PART = 64
# Multiplications at which a sum has paid for its setting out.
_SHORT_SUM = 12
# A vector of which only some lanes count takes as long as so many others.
_MASKED = 2
# numpy lays out all taps anew at every point of a tile, which so many tiles pay for; and it moves
# numbers that lie apart so many times slower.
_FEW_TILES = 32
_APART = 3.0
# Numbers of an array that is still in cache when it is read, those of a line of it, however long
# vectors are, and how many times longer lines of a larger array take.
_NEAR, _LINE, _FROM_AFAR = 1 << 21, 16, 12
# A number that is copied by itself, in vectors that are moved.
_TURNED = 0.4
# The share of a call that each of a batch takes in one program of kernels.
_OF_A_BATCH = 1 / 64
# Threads of Python wait for each other: all that numpy does in them takes so many times as long.
_TURNS = 1.35
# The share of a call that numpy takes for what is laid out at once, in one thread.
_MADE_READY = 0.2
# numpy multiplies windows by a vector number by number: BLAS takes no rows that overlap.
_ALONE = 8.0
# Numbers a second that numpy moves at most, where that is not a mere copy.
_NUMPY = 4e9
# Of a long index so many values say how much of the others lies inside an axis.
_TRIED = 1 << 10
# An FFT is of tiles that are so many times as long as there are taps.
_FFT_TILE = 8

Sizes = tuple[int, int, int, int]
"""A leaf as matrix products: how many, and their rows, columns and what they sum."""


# --- errors, by the unit of typical_error ------------------------------------------------------


def error_of_sums(piece: Piece, dtype: str, bound: bool = False) -> float:
    """The typical error of a leaf as it stands, or its bound."""
    return _error(piece, (), dtype, bound)


def error_of_tiles(piece: Piece, dtype: str, bound: bool = False) -> float:
    """That of tiles of its windows."""
    axes = [growth(part, _role(piece), EPSILON[dtype]) for part in piece.decompositions]
    return _error(piece, axes, dtype, bound)


def error_of_transforms(piece: Piece, dtype: str, bound: bool = False) -> float:
    """That of transforms of its windows."""
    extents = piece.problem.extents
    axes = [fourier_growth(extents[w.result], extents[w.tap], _role(piece)) for w in piece.windows]
    return _error(piece, axes, dtype, bound)


def _role(piece: Piece) -> Role:
    return "kernel" if piece.windows[0].role == "kernel" else "result"


def _error(piece: Piece, axes: Sequence[Growth], dtype: str, bound: bool) -> float:
    terms = summed(piece.problem) // prod(axis.points for axis in axes)
    return (error_bound if bound else typical_error)(axes, max(1, terms), EPSILON[dtype])


def summed(problem: Problem) -> int:
    """How many points are summed for each element of the result."""
    return volume(problem.reduced, problem.extents)


# --- seconds -----------------------------------------------------------------------------------


def seconds_of_sums(piece: Piece, setting: Setting) -> float:
    """The time that a leaf takes as it stands."""
    leaf, machine = piece.problem, setting.machine
    if len(leaf.operands) != 2:
        return machine.call + leaf.points / (machine.move * machine.threads)
    batch, rows, columns, inner = sizes = _sizes(leaf)
    arrays = _numbers(leaf)
    moved, call = float(sum(arrays)), machine.call
    matrices = batch == 1 or min(rows, columns) > 1
    at_once = matrices and not machine.compiled and laid_out(leaf) <= AT_ONCE
    seconds = matrix_seconds(sizes, setting)
    if machine.compiled:
        moved = (moved + _FROM_AFAR * _far(arrays)) / _LINE
    elif at_once:
        moved += laid_out(leaf) * machine.threads
        call *= _MADE_READY
    else:
        moved += max(rows, columns) * batch * inner
        seconds *= _TURNS
    alone = min(rows, columns) == 1 and not at_once and windows(leaf)
    if alone and not _go_together(leaf, batch, setting):
        seconds = max(seconds, leaf.points * _ALONE / min(machine.move, _NUMPY))
    if machine.compiled:
        seconds *= _inside(leaf)
        seconds += _TURNED * _turned(leaf, machine) / (machine.move * machine.threads)
    return call + seconds + moved / (machine.move * machine.threads)


def _turned(leaf: Problem, machine: Machine) -> int:
    """Numbers that are copied one by one, as no index of several values has neighbours anyhow."""
    near = _neighbours(leaf.output)
    free = [n for n in near if any(n in _neighbours(term) for term in leaf.operands)]
    widest = max((leaf.extents[n] for n in free), default=0)
    if 2 * widest >= machine.lanes or not leaf.kept:
        return 0
    lane = max(leaf.kept, key=leaf.extents.__getitem__)
    return sum(
        _reached(term, leaf)
        for term in (*leaf.operands, leaf.output)
        if lane not in _neighbours(term) and any(lane in access.names for access in term)
    )


def _neighbours(term: Accesses) -> list[str]:
    """The indices whose values are neighbours in memory."""
    return [name for access in term[-1:] for name, step in access.terms if abs(step) == 1]


def _numbers(leaf: Problem) -> list[int]:
    """Those of both operands and of the result."""
    return [*(_reached(term, leaf) for term in leaf.operands), volume(leaf.kept, leaf.extents)]


def _reached(term: Accesses, leaf: Problem) -> int:
    """How many numbers of an operand a leaf meets: a phase leaves out those in between."""
    return prod(min(access.size, volume(access.names, leaf.extents)) for access in term)


def _far(arrays: Sequence[int]) -> int:
    """Numbers of the arrays that are out of cache when they are read."""
    return sum(numbers for numbers in arrays if numbers > _NEAR)


def seconds_of_tiles(piece: Piece, setting: Setting) -> float:
    """The time that tiles of so many results along each window take."""
    part, found, machine = piece.problem, piece.windows, setting.machine
    extents, kernel = part.extents, found[0].role == "kernel"
    batch, rows, columns, inner = _sizes(part, found)
    if found[0].operand == 1:
        rows, columns = columns, rows
    lines, channels = (inner, rows) if kernel else (rows, inner)
    taps = [extents[w.tap] for w in found]
    products = [m + r - 1 for m, r in zip(piece.outputs, taps, strict=True)]
    tiles = lines * prod(
        -(-extents[w.result] // m) for w, m in zip(found, piece.outputs, strict=True)
    )
    height, depth = (channels, tiles) if kernel else (tiles, channels)
    multiplied = matrix_seconds((batch * prod(products), height, columns, depth), setting)
    on_data, on_results, on_taps = (
        _transform_work(sides, products) for sides in (products, piece.outputs, taps)
    )

    def vectors(count: int) -> int:
        full, rest = divmod(count, machine.lanes)
        return full + (_MASKED if rest else 0)

    # Gradients of kernels are summed part by part, and their tiles transformed for each part.
    again, also = (-(-n // _PART) if kernel else 1 for n in (columns, channels))
    # numpy transforms taps in one thread.
    alone = 1 if machine.compiled else machine.threads
    work = (
        again * tiles * vectors(channels) * on_data
        + also * tiles * vectors(columns) * on_results
        + alone * channels * vectors(columns) * on_taps
    )
    moved = batch * work / (machine.move * machine.threads)
    if machine.compiled:
        laid = _laid_anew(part, found) + _FROM_AFAR * _far(_numbers(part)) / _LINE
        moved += laid / (machine.move * machine.threads)
    else:
        multiplied *= _TURNS * (1 + _FEW_TILES / tiles)
        moved *= _TURNS * (_APART if _lies_apart(part) else 1)
    return machine.call * _calls(batch, machine) + multiplied + moved


def _calls(batch: int, machine: Machine) -> float:
    """How many calls tiles take as much as, beside what they multiply and move."""
    if not machine.compiled:
        return 2 * batch
    return 1.3 + _OF_A_BATCH * batch  # all of them are one program


def _laid_anew(part: Problem, found: Sequence[Window]) -> int:
    """Numbers that are copied as kernels run along channels, which are not the last axis."""
    which, labels = found[0].operand, _labels(part, found)
    channels, columns = labels.rows, labels.columns
    if which == 1:
        channels, columns = columns, channels
    sides = [(part.output, columns)]
    if found[0].role == "kernel":
        sides += [(part.operands[which], channels), (part.operands[1 - which], columns)]
    else:
        sides.append((part.operands[which], labels.summed))
    return sum(
        prod(shape_of(term)) for term, lanes in sides if term and _lie_apart(lanes, term[-1], part)
    )


def _lie_apart(lanes: Sequence[str], last: Access, part: Problem) -> bool:
    """Whether indices of several values have none on the last axis of an array."""
    several = {name for name in lanes if part.extents[name] > 1}
    return bool(several) and several.isdisjoint(last.names)


def seconds_of_transforms(piece: Piece, setting: Setting) -> float:
    """The time that transforms of the windows take."""
    extents, found, machine = piece.problem.extents, piece.windows, setting.machine
    batch, rows, columns, inner = _sizes(piece.problem, found)
    sides = [(extents[w.result], extents[w.tap]) for w in found]
    points = prod(results + taps for results, taps in sides)
    tile = prod(min(results, _FFT_TILE * taps) + taps for results, taps in sides)
    transforms = batch * (rows * inner + rows * columns + inner * columns)
    # By numpy, in complex numbers, on one thread; the products on all of them.
    moved = transforms * points * (2 * log2(tile + 1) + 8) / min(machine.move, _NUMPY)
    multiplied = 2 * matrix_seconds((batch * points, rows, columns, inner), setting)
    return 20 * machine.call + 4 * moved + 4 * multiplied


def _sizes(leaf: Problem, without: Sequence[Window] = ()) -> Sizes:
    found = _labels(leaf, without)
    batch, rows, columns, inner = (volume(labels, leaf.extents) for labels in found)
    return batch, rows, columns, inner


def _labels(leaf: Problem, without: Sequence[Window]) -> Roles:
    """The indices of no window by their roles."""
    hidden = {n for w in without for n in (w.result, w.tap)}
    names = [{n for a in term for n in a.names} - hidden for term in leaf.operands]
    return roles(names[0], names[-1], leaf.kept, leaf.indices)


def matrix_seconds(sizes: Sizes, setting: Setting) -> float:
    """A batch of matrix products: short sides leave registers and lanes idle."""
    batch, rows, columns, inner = sizes
    machine = setting.machine
    wide = max(rows, columns, batch)
    lanes = machine.lanes
    idle = -(-wide // lanes) * lanes / wide
    height = max(1, min(rows, columns))
    shallow = 1 + 1.5 / height + _SHORT_SUM / max(1, inner)
    points = batch * rows * columns * inner
    rate = machine.multiply * machine.threads / setting.slowness
    return points * idle * shallow / rate


def _go_together(leaf: Problem, batch: int, setting: Setting) -> bool:
    """Whether numbers of an index that the result has are multiplied many at a time."""
    if not setting.machine.compiled:
        # Where both operands have it, numpy multiplies element by element, in long rows.
        return batch > 1
    return any(
        [dict(access.terms)[name] for access in term if name in access.names] == [1]
        for term in leaf.operands
        for name in leaf.kept
    )


def _inside(leaf: Problem) -> float:
    """The share of the points that reads no padding: the others are left out where that pays."""
    return prod(
        _share(access, leaf) for term in leaf.operands for access in term if len(access.terms) == 2
    )


def _share(access: Access, leaf: Problem) -> float:
    """How many values of two indices stay inside an axis, of all of them."""
    low, high = access.reach(leaf.extents)
    if low >= 0 and high < access.size:
        return 1.0
    (few, along), (many, step) = sorted((leaf.extents[n], step) for n, step in access.terms)
    values = range(0, few, max(1, few // _TRIED))
    count = 0
    for value in values:
        at = access.offset + along * value
        first, last = inside(step, at, at - access.size + 1)
        count += max(0, min(last, many - 1) - max(first, 0) + 1)
    return count / (len(values) * many)


def _lies_apart(part: Problem) -> bool:
    """Whether anything is read or written in jumps, as the phases of a stride are."""
    accesses = (access for term in (*part.operands, part.output) for access in term)
    return any(abs(step) > 1 for access in accesses for _, step in access.terms)


def _transform_work(few: Sequence[int], many: Sequence[int]) -> int:
    """Numbers moved by a transform between sides of such lengths, one axis after another."""
    work, sizes = prod(few) + prod(many), list(few)
    for axis, longer in enumerate(many):
        line = sizes[axis]
        sizes[axis] = 1
        work += prod(sizes) * max(1, round(0.45 * line * longer))
        sizes[axis] = longer
    return work
