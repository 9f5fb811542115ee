"""What each algorithm would take for one leaf: seconds, and digits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import log2, prod, sqrt

from contractconv.caches import kept
from contractconv.notation.problem import Access, Problem, shape_of
from contractconv.planning.cost import volume
from contractconv.planning.roles import roles
from contractconv.planning.scatter_phases import Window, unit_count, unit_windows, windows
from contractconv.planning.setting import Setting
from contractconv.planning.trimming import points_inside
from contractconv.tiles.decomposition import Decomposition, decomposition
from contractconv.tiles.rounding import (
    EPSILON,
    Role,
    error_bound,
    fourier_growth,
    growth,
    typical_error,
)

# Typical errors that "auto" accepts, in units of roundoff and relative to a result whose terms
# have random signs: in float32 this is 4e-6, well inside of what is promised.
_MOST_ROUNDOFFS = 64.0
# And so many times what the definition itself would round.
_MOST_TIMES = 5.0
# Whoever asks for tiles accepts so many times more.
_RECKLESS = 4.0
# Tiles of more results gain little more, and lose more digits.
_MOST_OUTPUTS = 8
_MOST_PRODUCTS = 12
# So many tiles are compared; of more, one axis is changed at a time, so many times.
_MOST_TILINGS, _MOST_ROUNDS = 512, 24
# A leaf is not split into more parts with unit windows.
_MOST_PARTS = 256
# Channels of which products are summed at once.
_PART = 64
# Multiplications at which a sum has paid for its setting out.
_SHORT_SUM = 12
# A vector of which only some lanes count takes as long as so many others.
_MASKED = 3
# numpy lays out all taps anew at every point of a tile, which so many tiles pay for; and it moves
# numbers that lie apart so many times slower.
_FEW_TILES = 64
_APART = 3.0
# numpy multiplies windows by a vector number by number: BLAS takes no rows that overlap.
_ALONE = 8.0
# Numbers a second that numpy moves at most, where that is not a mere copy.
_NUMPY = 4e9
# An FFT is of tiles that are so many times as long as there are taps.
_FFT_TILE = 8


@dataclass(frozen=True, slots=True)
class Piece:
    """A leaf, and how it is carried out.

    Attributes:
        problem: the leaf.
        algorithm: ``"direct"``, ``"toom-cook"`` or ``"fft"``.
        windows: the axes that the algorithm decomposes.
        outputs: for each of them the results of a tile.
        seconds: the time that is predicted.
    """

    problem: Problem
    algorithm: str
    windows: tuple[Window, ...]
    outputs: tuple[int, ...]
    seconds: float

    @property
    def decompositions(self) -> tuple[Decomposition, ...]:
        """For each window its decomposition (Toom-Cook only)."""
        extents = self.problem.extents
        return tuple(
            decomposition(m, extents[w.tap])
            for m, w in zip(self.outputs, self.windows, strict=True)
        )

    @property
    def name(self) -> str:
        """The algorithm with its sizes."""
        if self.algorithm == "toom-cook":
            tiles = " x ".join(part.name for part in self.decompositions)
            return f"Toom-Cook {tiles}"
        return "FFT" if self.algorithm == "fft" else "direct"

    def error(self, dtype: str, bound: bool = False) -> float:
        """The typical error, or its bound, by the unit of :func:`typical_error`."""
        epsilon, extents = EPSILON[dtype], self.problem.extents
        role: Role = "kernel" if self.windows and self.windows[0].role == "kernel" else "result"
        if self.algorithm == "toom-cook":
            axes = [growth(part, role, epsilon) for part in self.decompositions]
        else:
            axes = [fourier_growth(extents[w.result], extents[w.tap], role) for w in self.windows]
        terms = max(1, _summed(self.problem) // prod(axis.points for axis in axes))
        return (error_bound if bound else typical_error)(axes, terms, epsilon)


def _summed(problem: Problem) -> int:
    return prod(problem.extents[name] for name in problem.reduced)


def direct(leaf: Problem, setting: Setting) -> Piece:
    """The leaf as it stands."""
    return Piece(leaf, "direct", (), (), _direct_seconds(leaf, setting))


def toom_cook(leaf: Problem, setting: Setting, careful: bool) -> tuple[Piece, ...] | None:
    """The leaf by tiles of its windows.

    Args:
        leaf: the leaf.
        setting: the numbers and the machine.
        careful: whether tiles whose typical error is too large are left out.

    Returns:
        A piece for each part with unit windows; ``None`` if the leaf has no windows.
    """
    found = _worth_decomposing(leaf)
    if not found:
        return None
    pieces = []
    for part in unit_windows(leaf, [(w.result, w.tap) for w in found]):
        kept = tuple(w for w in windows(part) if any(w.axis == f.axis for f in found))
        pieces.append(_best_tiles(part, kept, setting, careful) if kept else direct(part, setting))
    return tuple(pieces)


def fft(leaf: Problem, setting: Setting) -> tuple[Piece, ...] | None:
    """The leaf by transforms of its windows; ``None`` if it has none."""
    found = _worth_decomposing(leaf)
    if not found:
        return None
    pieces = []
    for part in unit_windows(leaf, [(w.result, w.tap) for w in found]):
        kept = tuple(w for w in windows(part) if any(w.axis == f.axis for f in found))
        pieces.append(
            Piece(part, "fft", kept, (), _fft_seconds(part, kept, setting))
            if kept else direct(part, setting)
        )  # fmt: skip
    return tuple(pieces)


def long_windows(leaf: Problem) -> bool:
    """Whether a leaf has windows, but all of them with too many taps for tiles."""
    return any(leaf.extents[w.tap] > _MOST_PRODUCTS - 1 for w in _worth_decomposing(leaf))


def _worth_decomposing(leaf: Problem) -> list[Window]:
    """The windows of more than one tap, of a leaf whose operands share all that is summed.

    There are none where strides would split it into too many parts.
    """
    names = [{n for access in term for n in access.names} for term in leaf.operands]
    if any(n in names[0] ^ names[-1] for n in leaf.reduced if n not in _opened(leaf)):
        return []
    return [] if far_apart(leaf) else _of_several_taps(leaf)


def far_apart(leaf: Problem) -> bool:
    """Whether strides would split the windows of a leaf into too many parts."""
    pairs = [(w.result, w.tap) for w in _of_several_taps(leaf)]
    return unit_count(leaf, pairs) > _MOST_PARTS


def _of_several_taps(leaf: Problem) -> list[Window]:
    return [w for w in windows(leaf) if leaf.extents[w.tap] > 1]


def _opened(leaf: Problem) -> set[str]:
    return {name for w in windows(leaf) for name in (w.result, w.tap)}


@kept(most=4096)
def _best_tiles(part: Problem, found: tuple[Window, ...], setting: Setting, careful: bool) -> Piece:
    points = _summed(part)
    limit = _MOST_ROUNDOFFS * 2.0 ** (-24 if setting.real == "float32" else -53)
    plain = direct(part, setting)
    # A long sum rounds often however it is done.
    limit = max(limit, _MOST_TIMES * plain.error(setting.real) * sqrt(points))
    limit = limit if careful else _RECKLESS * limit
    pieces = sorted(_tilings(part, found, setting, limit), key=lambda p: p.seconds)
    for piece in pieces:
        if piece.error(setting.real) * sqrt(points) <= limit:
            return piece
    if careful or not pieces:
        return plain
    return min(pieces, key=lambda p: p.error(setting.real))


def _tilings(
    part: Problem, found: tuple[Window, ...], setting: Setting, limit: float
) -> Iterator[Piece]:
    """Tiles to choose from: of all sizes, or where these are many, of those around the best."""
    choices = [_tile_sizes(part, window) for window in found]

    def piece(outputs: tuple[int, ...]) -> Piece:
        seconds = toom_cook_seconds(part, found, outputs, setting)
        return Piece(part, "toom-cook", found, outputs, seconds)

    if prod(map(len, choices)) <= _MOST_TILINGS:
        yield from (piece(sizes) for sizes in product(*choices) if max(sizes) > 1)
        return

    def cost(one: Piece) -> tuple[float, float]:
        return max(one.error(setting.real) * sqrt(_summed(part)), limit), one.seconds

    best = piece(tuple(min(2, len(sizes)) for sizes in choices))
    for _ in range(_MOST_ROUNDS):
        others = [piece(outputs) for outputs in _neighbours(best.outputs, choices)]
        better = min(others, key=cost)
        if cost(better) >= cost(best):
            break
        best = better
    yield best


def _neighbours(
    outputs: tuple[int, ...], choices: Sequence[Sequence[int]]
) -> Iterator[tuple[int, ...]]:
    """Tiles of another size along one axis, or larger along all."""
    yield tuple(min(n + 1, sizes[-1]) for n, sizes in zip(outputs, choices, strict=True))
    for axis, sizes in enumerate(choices):
        for size in sizes:
            changed = (*outputs[:axis], size, *outputs[axis + 1 :])
            if max(changed) > 1:
                yield changed


def _tile_sizes(part: Problem, window: Window) -> Sequence[int]:
    """How many results a tile may have along one window."""
    taps, results = part.extents[window.tap], part.extents[window.result]
    most = min(_MOST_OUTPUTS, max(1, _MOST_PRODUCTS + 1 - taps), results)
    return [1] if taps == 1 else range(1, most + 1)


@dataclass(frozen=True, slots=True)
class _Sizes:
    """A leaf as matrix products: how many, and of what size."""

    batch: int
    rows: int
    columns: int
    summed: int


def _sizes(leaf: Problem, without: Sequence[Window] = ()) -> _Sizes:
    hidden = {n for w in without for n in (w.result, w.tap)}
    names = [{n for a in term for n in a.names} - hidden for term in leaf.operands]
    found = roles(names[0], names[-1], leaf.kept, leaf.indices)
    return _Sizes(*(volume(labels, leaf.extents) for labels in found))


def _matrix_seconds(batch: int, rows: int, columns: int, summed: int, setting: Setting) -> float:
    """A batch of matrix products: short sides leave registers and lanes idle."""
    machine = setting.machine
    wide = max(rows, columns, batch)
    lanes = machine.lanes
    idle = -(-wide // lanes) * lanes / wide
    height = max(1, min(rows, columns))
    shallow = 1 + 1.5 / height + _SHORT_SUM / max(1, summed)
    points = batch * rows * columns * summed
    rate = machine.multiply * machine.threads / setting.slowness
    return points * idle * shallow / rate


def _direct_seconds(leaf: Problem, setting: Setting) -> float:
    machine = setting.machine
    if len(leaf.operands) != 2:
        return machine.call + leaf.points / (machine.move * machine.threads)
    sizes = _sizes(leaf)
    moved = sum(prod(shape_of(term)) for term in leaf.operands)
    moved += prod(leaf.extents[n] for n in leaf.kept)
    if not machine.compiled:
        moved += max(sizes.rows, sizes.columns) * sizes.batch * sizes.summed
    seconds = _matrix_seconds(sizes.batch, sizes.rows, sizes.columns, sizes.summed, setting)
    if min(sizes.rows, sizes.columns) == 1 and windows(leaf) and not _go_together(leaf, setting):
        seconds = max(seconds, leaf.points * _ALONE / min(machine.move, _NUMPY))
    if machine.compiled:
        seconds *= _inside(leaf)
    return machine.call + seconds + moved / (machine.move * machine.threads * machine.lanes)


def _go_together(leaf: Problem, setting: Setting) -> bool:
    """Whether numbers of an index that the result has are multiplied many at a time."""
    if not setting.machine.compiled:
        # Where both operands have it, numpy multiplies element by element, in long rows.
        return _sizes(leaf).batch > 1
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
    return points_inside(access, leaf.extents) / prod(leaf.extents[name] for name in access.names)


def toom_cook_seconds(
    part: Problem, found: tuple[Window, ...], outputs: tuple[int, ...], setting: Setting
) -> float:
    """The time that is predicted for tiles of so many results along each window."""
    machine, extents = setting.machine, part.extents
    sizes = _sizes(part, found)
    if found[0].operand == 1:
        sizes = _Sizes(sizes.batch, sizes.columns, sizes.rows, sizes.summed)
    taps = [extents[w.tap] for w in found]
    products = [m + r - 1 for m, r in zip(outputs, taps, strict=True)]
    a_line = prod(-(-extents[w.result] // m) for w, m in zip(found, outputs, strict=True))
    n = prod(products)
    kernel = found[0].role == "kernel"
    lines, channels, columns = (
        (sizes.summed, sizes.rows, sizes.columns) if kernel
        else (sizes.rows, sizes.summed, sizes.columns)
    )  # fmt: skip
    tiles = a_line * lines
    if kernel:
        multiplied = _matrix_seconds(sizes.batch * n, channels, columns, tiles, setting)
    else:
        multiplied = _matrix_seconds(sizes.batch * n, tiles, columns, channels, setting)
    on_data, on_results, on_taps = (
        _transform_work(sides, products) for sides in (products, outputs, taps)
    )
    lanes = machine.lanes

    def vectors(count: int) -> int:
        full, rest = divmod(count, lanes)
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
    moved = sizes.batch * work / (machine.move * machine.threads)
    if not machine.compiled:
        multiplied *= 1 + _FEW_TILES / tiles
        moved *= _APART if _lies_apart(part) else 1
    return 2 * machine.call * sizes.batch + multiplied + moved


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


def _fft_seconds(part: Problem, found: tuple[Window, ...], setting: Setting) -> float:
    machine, extents = setting.machine, part.extents
    sizes = _sizes(part, found)
    points = prod(extents[w.result] + extents[w.tap] for w in found)
    tile = prod(min(extents[w.result], _FFT_TILE * extents[w.tap]) + extents[w.tap] for w in found)
    transforms = sizes.batch * (
        sizes.rows * sizes.summed + sizes.rows * sizes.columns + sizes.summed * sizes.columns
    )
    # By numpy, in complex numbers, on one thread; the products on all of them.
    moved = transforms * points * (2 * log2(tile + 1) + 8) / min(machine.move, _NUMPY)
    multiplied = 2 * _matrix_seconds(
        sizes.batch * points, sizes.rows, sizes.columns, sizes.summed, setting
    )
    return 20 * machine.call + 4 * moved + 4 * multiplied
