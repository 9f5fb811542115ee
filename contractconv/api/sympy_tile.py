"""A tile as a caller holds it: a decomposition that sympy can calculate with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contractconv.cache_register import kept
from contractconv.tiles.decomposition import Decomposition, Matrix, toom_cook

if TYPE_CHECKING:
    import sympy


class Tile(Decomposition):
    """A decomposition whose factors and points are there for sympy, too."""

    @property
    def A(self) -> sympy.ImmutableMatrix:
        """The factor of the data, of shape ``(m + r - 1, n)``."""
        return _matrix(self.a)

    @property
    def B(self) -> sympy.ImmutableMatrix:
        """The factor of the results, of shape ``(m, n)``."""
        return _matrix(self.b)

    @property
    def C(self) -> sympy.ImmutableMatrix:
        """The factor of the kernel, of shape ``(r, n)``."""
        return _matrix(self.c)

    @property
    def points(self) -> tuple[sympy.Expr, ...]:
        """Where the ``n`` products are evaluated; ``sympy.oo`` is infinity."""
        import sympy

        return tuple(sympy.Rational(u, v) if v else sympy.oo for u, v in self.nodes)


@kept(most=128)
def tile(outputs: int, taps: int) -> Tile:
    """Return the Toom-Cook decomposition of a tile; the same one to all who ask."""
    made = toom_cook(outputs, taps)
    return Tile(outputs, taps, made.a, made.b, made.c, made.nodes)


def _matrix(rows: Matrix) -> sympy.ImmutableMatrix:
    import sympy

    return sympy.ImmutableMatrix(rows)
