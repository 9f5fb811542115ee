"""A leaf of a step, and the algorithm by which it is carried out."""

from __future__ import annotations

from dataclasses import dataclass

from contractconv.notation.problem import Problem
from contractconv.planning.scatter_phases import Window
from contractconv.tiles.decomposition import Decomposition, decomposition


@dataclass(frozen=True, slots=True)
class Piece:
    """A leaf, and how it is carried out.

    Attributes:
        problem: the leaf.
        algorithm: ``"direct"``, ``"toom-cook"`` or ``"fft"``.
        windows: the axes that the algorithm decomposes.
        outputs: for each of them the results of a tile (Toom-Cook only).
    """

    problem: Problem
    algorithm: str = "direct"
    windows: tuple[Window, ...] = ()
    outputs: tuple[int, ...] = ()

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
