"""Windows of a leaf that a fast algorithm decomposes, and into which tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod, sqrt

from contractconv.cache_register import kept
from contractconv.notation.problem import Problem
from contractconv.planning.lowerings import error_of, seconds_of
from contractconv.planning.piece import Piece
from contractconv.planning.predictions import summed
from contractconv.planning.scatter_phases import Window, unit_count, unit_windows, windows
from contractconv.planning.setting import Setting

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
# Beside others by tiles a part goes by tiles unless that takes so many times longer.
_NOT_AS_ONE = 2.0
# A leaf is not split into more parts with unit windows.
_MOST_PARTS = 256


def decomposed(leaf: Problem, algorithm: str, setting: Setting, careful: bool) -> list[Piece]:
    """The leaf by tiles or transforms of its windows.

    Args:
        leaf: the leaf.
        algorithm: ``"toom-cook"`` or ``"fft"``.
        setting: the numbers and the machine.
        careful: whether tiles whose typical error is too large are left out.

    Returns:
        A piece for each part with unit windows; nothing if the leaf has no windows.
    """
    found = _worth_decomposing(leaf)
    if not found:
        return []
    axes, pieces = {w.axis for w in found}, []
    for part in unit_windows(leaf, found):
        kept = tuple(w for w in windows(part) if w.axis in axes)
        if not kept:
            pieces.append(Piece(part))
        elif algorithm == "fft":
            pieces.append(Piece(part, "fft", kept))
        else:
            pieces.append(_best_tiles(part, kept, setting, careful))
    return pieces


def long_windows(leaf: Problem) -> bool:
    """Whether a leaf has windows, but all of them with too many taps for tiles."""
    return any(leaf.extents[w.tap] > _MOST_PRODUCTS - 1 for w in _worth_decomposing(leaf))


def far_apart(leaf: Problem) -> bool:
    """Whether strides would split the windows of a leaf into too many parts."""
    return unit_count(leaf, _of_several_taps(leaf)) > _MOST_PARTS


def _worth_decomposing(leaf: Problem) -> list[Window]:
    """The windows of more than one tap, of a leaf whose operands share all that is summed.

    There are none where strides would split it into too many parts.
    """
    names = [{n for access in term for n in access.names} for term in leaf.operands]
    opened = {name for w in windows(leaf) for name in (w.result, w.tap)}
    if any(n in names[0] ^ names[-1] for n in leaf.reduced if n not in opened):
        return []
    return [] if far_apart(leaf) else _of_several_taps(leaf)


def _of_several_taps(leaf: Problem) -> list[Window]:
    return [w for w in windows(leaf) if leaf.extents[w.tap] > 1]


@kept(most=4096)
def _best_tiles(part: Problem, found: tuple[Window, ...], setting: Setting, careful: bool) -> Piece:
    plain = Piece(part)
    limit = _MOST_ROUNDOFFS * 2.0 ** (-24 if setting.real == "float32" else -53)
    # A long sum rounds often however it is done.
    limit = max(limit, _MOST_TIMES * _absolute_error(plain, setting))
    limit = limit if careful else _RECKLESS * limit
    pieces = sorted(_tilings(part, found, setting, limit), key=lambda p: seconds_of(p, setting))
    for piece in pieces:
        if _absolute_error(piece, setting) <= limit:
            # Parts of both kinds do not run as one: what is gained by the other kind is lost then.
            alone = _NOT_AS_ONE * seconds_of(plain, setting)
            return plain if careful and seconds_of(piece, setting) > alone else piece
    if careful or not pieces:
        return plain
    return min(pieces, key=lambda p: error_of(p, setting))


def _absolute_error(piece: Piece, setting: Setting) -> float:
    """The typical error of a sum whose terms have random signs."""
    return error_of(piece, setting) * sqrt(summed(piece.problem))


def _tilings(
    part: Problem, found: tuple[Window, ...], setting: Setting, limit: float
) -> Iterator[Piece]:
    """Tiles to choose from: of all sizes, or where these are many, of those around the best."""
    choices = [_tile_sizes(part, window) for window in found]

    def piece(outputs: tuple[int, ...]) -> Piece:
        return Piece(part, "toom-cook", found, outputs)

    if prod(map(len, choices)) <= _MOST_TILINGS:
        yield from (piece(sizes) for sizes in product(*choices) if max(sizes) > 1)
        return

    def cost(one: Piece) -> tuple[float, float]:
        return max(_absolute_error(one, setting), limit), seconds_of(one, setting)

    best = piece(tuple(min(2, len(sizes)) for sizes in choices))
    for _ in range(_MOST_ROUNDS):
        better = min(map(piece, _neighbours(best.outputs, choices)), key=cost)
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
