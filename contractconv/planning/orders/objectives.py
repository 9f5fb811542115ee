"""What an order of operands is judged by: operations, bytes, or predicted seconds.

Operations alone choose orders that are many times slower, since a large intermediate is written and
read; bytes alone sum over large index spaces to save a small array. Predicted time has both, and
knows that products with a short side, and short sums, leave registers idle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

from contractconv.notation.problem import Problem, shape_of
from contractconv.planning.cost import is_direct, labels_of
from contractconv.planning.path import Minimize
from contractconv.planning.predictions import matrix_seconds
from contractconv.planning.setting import COMMON, Setting

# Orders do not differ from machine to machine: a step is to another what it is on any of them.
_USUAL = Setting("float32", "direct", COMMON)
_ITEMSIZE = 4
_MOVED = 1 / (COMMON.move * COMMON.threads)
# Multiplications that take as long as one element that is read or written.
MOVED = round(COMMON.multiply / COMMON.move)


class Volumes(dict[int, int]):
    """The points that sets of labels span, by the sets as bits of a number.

    Example:
        >>> Volumes([2, 3, 5])[0b101]
        10
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__({0: 1})
        self.sizes = sizes

    def __missing__(self, labels: int) -> int:
        """Of a set that has not been asked for before."""
        low = labels & -labels
        found = self.sizes[low.bit_length() - 1] * self[labels ^ low]
        self[labels] = found
        return found


class Work(NamedTuple):
    """What a step does; sets of labels are bits of numbers.

    Attributes:
        volumes: the points that sets of labels span.
        one: the labels of an operand.
        two: those of the other one; the same if there is only one.
        result: those of the result.
        moved: elements that are read and written.
        copies: how many times the result has each of its elements.
        scatters: whether several of them land at one place.
        operands: one or two.
    """

    volumes: Volumes
    one: int
    two: int
    result: int
    moved: int
    copies: int = 1
    scatters: bool = False
    operands: int = 2

    @property
    def points(self) -> int:
        """Multiplications of the step."""
        return self.volumes[self.one | self.two] * self.copies


class Objective(NamedTuple):
    """How a step is judged.

    Attributes:
        pair: what a product of two terms costs, as the searches ask a hundred thousand times: by
            the first five of what :class:`Work` says.
        whole: what any step costs.
    """

    pair: Callable[[Volumes, int, int, int, int], float]
    whole: Callable[[Work], float]


def _seconds_of_pair(
    volumes: Volumes, one: int, two: int, result: int, moved: int, copies: int = 1
) -> float:
    both = one & two & result
    batch, inner = volumes[both] * copies, volumes[(one | two) & ~result]
    sizes = batch, volumes[one & result & ~both], volumes[two & result & ~both], inner
    return matrix_seconds(sizes, _USUAL) + moved * _MOVED


def _seconds(work: Work) -> float:
    if work.operands == 1:
        return (work.points + work.moved) * _MOVED
    return _seconds_of_pair(*work[:6])


def _operations_of_pair(volumes: Volumes, one: int, two: int, result: int, _: int) -> float:
    union = one | two
    return volumes[union] * (2 if union & ~result else 1)


def _operations(work: Work) -> float:
    adds = work.scatters or bool((work.one | work.two) & ~work.result)
    return work.points * (work.operands - 1 + adds)


def _bytes_of_pair(*work: Any) -> float:
    return float(work[-1] * _ITEMSIZE)


def _bytes(work: Work) -> float:
    return work.moved * _ITEMSIZE


OBJECTIVES: dict[Minimize, Objective] = {
    "seconds": Objective(_seconds_of_pair, _seconds),
    "operations": Objective(_operations_of_pair, _operations),
    "bytes": Objective(_bytes_of_pair, _bytes),
}


def least(minimize: Minimize) -> float:
    """What a step takes at least for each element of an operand that it reads."""
    return {"seconds": _MOVED, "operations": 1 / 2, "bytes": _ITEMSIZE}[minimize]


def cost_of(step: Problem, minimize: Minimize = "seconds") -> float:
    """What a step of a plan costs.

    Args:
        step: a contraction of one operand or of two.
        minimize: in what.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> product = resolve(parse("i k, k j -> i j"), [(2, 3), (3, 4)], {})
        >>> cost_of(product, "operations"), cost_of(product, "bytes")
        (48, 104)
    """
    volumes = Volumes([max(1, size) for _, size in step.sizes])
    places = {name: 1 << n for n, name in enumerate(step.indices)}
    one, two = (
        sum(places[name] for name in labels_of([term]))
        for term in (step.operands[0], step.operands[-1])
    )
    kept = sum(places[name] for name in step.kept)
    moved = sum(prod(shape_of(term)) for term in (*step.operands, step.output))
    copies, result = volumes[kept & ~(one | two)], kept & (one | two)
    scatters, count = not is_direct(step), len(step.operands)
    work = Work(volumes, one, two, result, moved, copies, scatters, count)
    return OBJECTIVES[minimize].whole(work)
