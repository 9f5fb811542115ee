"""Ways for plans where there is no engine, as in a browser without numpy.

They say of a piece what any engine does with it, and carry nothing out.
"""

from __future__ import annotations

from typing import Any

from contractconv.planning.lowerings import Lowering, products_of, reduction_of
from contractconv.planning.piece import Piece
from contractconv.planning.predictions import (
    error_of_tiles,
    error_of_transforms,
    seconds_of_tiles,
    seconds_of_transforms,
)
from contractconv.reductions.table import REDUCTIONS


def _described(piece: Piece) -> str:
    if piece.algorithm != "direct":
        return piece.name
    multiplies = len(piece.problem.operands) == 2 and REDUCTIONS[piece.problem.reduce].linear
    return products_of(piece) if multiplies else reduction_of(piece)


def _way(*figures: Any) -> Lowering:
    return Lowering("any engine", lambda *_: True, lambda *_: None, _described, *figures)


UNENGINED = (
    _way(),
    _way(seconds_of_tiles, error_of_tiles, "toom-cook"),
    _way(seconds_of_transforms, error_of_transforms, "fft"),
)
