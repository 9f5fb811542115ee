"""Sums over the outer axes of what maps make or read, which are added up while the maps run.

The gradient of a bias, or the variance of a batch for each channel, reads an array once more only
to add it up along all axes but the last ones. Whoever makes that array can do so on the way.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod

from contractconv.notation.problem import Problem
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Axes, Contract, Node, Number, Position

# Elements from which on a sum is added up on the way, rows of its result that are added, and the
# most of its elements: they stay in cache next to what the maps read.
_WORTH, _ROWS, _MOST = 1 << 6, 16, 1 << 12
_REDUCTIONS = ("sum", "mean")
_DTYPES = ("float32", "float64")
_FACTORS = (1, 2)


@dataclass(frozen=True)
class OuterSum:
    """The sum, or mean, of an array, or of a product of two, over all axes but some of the last.

    Attributes:
        node: the contraction.
        factors: the arrays; all have the same axes, maybe in other orders.
        kept: the axes of the result.
        count: how many elements are added up for each of the result.
        elements: of each of the arrays.
    """

    node: Contract
    factors: tuple[Node, ...]
    kept: Axes
    count: int
    elements: int

    @property
    def is_mean(self) -> bool:
        """Whether the sum is divided by the count."""
        return self.node.spec.reduce == "mean"

    def ends(self, axes: Axes) -> bool:
        """Whether it is over these axes, and what it keeps are the last ones of them."""
        same = set(self.factors[0].axes) == set(axes)
        return same and axes[len(axes) - len(self.kept) :] == self.kept


def outer_sums(program: Typed, elsewhere: Collection[Node]) -> dict[Node, OuterSum]:
    """The sums of a program that could be added up while maps run.

    Args:
        program: the program.
        elsewhere: contractions that something else is done with.
    """
    nodes = (n for n in program.graph.nodes if isinstance(n, Contract) and n not in elsewhere)
    found = (_sum(node, program) for node in nodes)
    return {one.node: one for one in found if one is not None}


def _sum(node: Contract, program: Typed) -> OuterSum | None:
    problem, factors = program.problems[node], node.operands
    if node.local or problem.reduce not in _REDUCTIONS or len(factors) not in _FACTORS:
        return None
    if any(isinstance(factor, Number | Position) for factor in factors):
        return None
    if len({program.dtypes[n] for n in (node, *factors)} - {None}) != 1:
        return None
    kept = kept_axes(problem, factors)
    if program.dtypes[node] not in _DTYPES or kept is None:
        return None
    size = prod(program.shapes[node])
    count = prod(program.shapes[factors[0]]) // max(size, 1)
    pays = count >= _ROWS and size <= _MOST and size * count >= _WORTH
    return OuterSum(node, factors, kept, count, size * count) if pays else None


def kept_axes(problem: Problem, factors: Sequence[Node]) -> Axes | None:
    """The axes of the arrays that the result keeps, if each is read whole, by the same axes."""
    axis_of: dict[str, str] = {}
    for names, factor in zip(problem.whole, factors, strict=True):
        if names is None or len(names) != len(factor.axes):
            return None
        axis_of = axis_of or dict(zip(names, factor.axes, strict=True))
        if axis_of != dict(zip(names, factor.axes, strict=True)):
            return None
    output = [access.plain for access in problem.output]
    plain = len(output) == len(problem.result_shape) and None not in output
    if not plain or set(problem.indices) != set(axis_of):
        return None
    return tuple(axis_of[name] for name in output if name is not None)
