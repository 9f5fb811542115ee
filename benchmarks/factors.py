"""Convolutions whose kernels are in factors: one string, or a chain of convolutions.

Forms: Lebedev et al., ICLR (2015); Kim et al., ICLR (2016); Garipov et al. (2016).
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from benchmarks.layers import Factorised
from benchmarks.steps.network import Operand, images, weight


class Factor(NamedTuple):
    """An operand of the string, and the kernel of a convolution of the chain.

    Attributes:
        axes: as in the string; ``k`` and ``l`` are of three points, ``p``, ``q``, ``r`` the ranks.
        torch: the same as a kernel of a chain: outputs, channels of a group, rows, columns.
    """

    axes: str
    torch: str


FORMS = {
    "CP": (
        Factor("c r", "r c 1 1"),
        Factor("k r", "r 1 k 1"),
        Factor("l r", "r 1 1 l"),
        Factor("r o", "o r 1 1"),
    ),
    "Tucker": (
        Factor("c p", "p c 1 1"),
        Factor("k l p q", "q p k l"),
        Factor("q o", "o q 1 1"),
    ),
    "tensor train": (
        Factor("c p", "p c 1 1"),
        Factor("k p q", "q p k 1"),
        Factor("l q r", "r q 1 l"),
        Factor("r o", "o r 1 1"),
    ),
}


def string(form: str) -> str:
    """Image and factors as one contraction.

    >>> string("CP")
    'b (i+k-1) (j+l-1) c, c r, k r, l r, r o -> b i j o'
    """
    factors = ", ".join(factor.axes for factor in FORMS[form])
    return f"b (i+k-1) (j+l-1) c, {factors} -> b i j o"


def operands(case: Factorised) -> dict[str, Operand]:
    """The image, and the factors in the order of the string.

    >>> made = operands(Factorised("CP", 8, 56, 64, 128, 16))
    >>> {name: operand.shape for name, operand in made.items()}
    {'x': (8, 56, 56, 64), 'W_1': (64, 16), 'W_2': (3, 16), 'W_3': (3, 16), 'W_4': (16, 128)}
    """
    sizes = {"k": 3, "l": 3, "c": case.channels, "o": case.outputs}
    factors = enumerate(FORMS[case.form], 1)
    drawn = {f"W_{n}": _weight(factor, case.rank, sizes) for n, factor in factors}
    return {"x": images(case.batch, case.side, case.channels), **drawn}


def _weight(factor: Factor, rank: int, sizes: dict[str, int]) -> Operand:
    shape = tuple(sizes.get(axis, rank) for axis in factor.axes.split())
    outputs = sizes.get(factor.torch.split()[0], rank)
    return weight(factor.axes, shape, factor.torch, prod(shape) // outputs, gain=1)


def result(case: Factorised) -> Operand:
    """The result, and what comes back to it."""
    return Operand("b i j o", (case.batch, case.side, case.side, case.outputs), "b o i j")
