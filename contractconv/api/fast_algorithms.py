"""The tiles of fast algorithms, for those who want to see their matrices."""

from __future__ import annotations

from operator import index as as_integer
from typing import TYPE_CHECKING

from contractconv.errors import ShapeError

if TYPE_CHECKING:
    from contractconv.api.sympy_tile import Tile


def toom_cook(outputs: int, taps: int) -> Tile:
    """Return the Toom-Cook decomposition of a tile, ``F(outputs, taps)``, in exact rationals.

    ``print`` it, call ``.latex()``, or let a notebook show it. ``.A``, ``.B`` and ``.C`` are its
    factors as sympy matrices, ``.points`` is where its products are evaluated, and ``.verify()``
    checks the identity ``δ[y = i + k] = Σ_p A[y,p] B[i,p] C[k,p]``.

    Args:
        outputs: the number of results of a tile, at least 1.
        taps: the number of taps of the window, at least 1.

    Returns:
        The decomposition, with ``outputs + taps - 1`` products.

    Raises:
        ShapeError: there are no results or no taps, or they are not integers.
        AlgorithmError: there would be more than 48 products: rounding leaves no digit of them.

    Example:
        >>> print(toom_cook(2, 3))
        F(2, 3): 4 products instead of 6
          point    0    1    -1   ∞
          A  y=0   1    0     0   0
             y=1   0    1    -1  -1
             y=2  -1    1     1   0
             y=3   0    0     0   1
          B  i=0   1    1     1   0
             i=1   0    1    -1   1
          C  k=0   1  1/2   1/2   0
             k=1   0  1/2  -1/2   0
             k=2   0  1/2   1/2   1
        >>> toom_cook(2, 3).B
        Matrix([
        [1, 1,  1, 0],
        [0, 1, -1, 1]])

    References:
        S. Winograd, *Arithmetic Complexity of Computations* (SIAM, 1980), chapter IV.
    """
    from contractconv.api.sympy_tile import tile

    try:
        sizes = _as_size(outputs), _as_size(taps)
    except TypeError:
        raise ShapeError(
            f"a tile has whole numbers of results and taps, not {outputs!r} and {taps!r}"
        ) from None
    return tile(*sizes)


def _as_size(number: int) -> int:
    if isinstance(number, bool):
        raise TypeError
    return as_integer(number)
