"""How a step is carried out on the arrays of a library: one entry for each way, the best first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from contractconv.engines.portable.convolutions import convolution
from contractconv.engines.portable.divisions import Division, divided
from contractconv.engines.portable.interpreter import Arithmetic, carried_out
from contractconv.engines.portable.poolings import pooling
from contractconv.engines.portable.translation import lowered
from contractconv.notation.problem import Problem, shape_of
from contractconv.reductions.table import REDUCTIONS

Work = Callable[[Sequence[Any], Any], Any]
"""Of the operands, compositions split, and an array of the library, makes the result."""


@dataclass(frozen=True)
class Way:
    """One way to carry out a step.

    Attributes:
        name: what does it, in the field's words.
        prepare: from a step, no mean, and its numbers to what carries it out; ``None`` if it
            cannot.
    """

    name: str
    prepare: Callable[[Problem, Arithmetic], Work | None]


def work_of(problem: Problem, arithmetic: Arithmetic) -> Work:
    """What carries out a step, and all that belongs to it."""
    return prepared(problem, arithmetic)[1]


def prepared(problem: Problem, arithmetic: Arithmetic) -> tuple[str, Work]:
    """The way in which a step is carried out, and what does it."""
    for way in WAYS:
        work = way.prepare(problem, arithmetic)
        if work is not None:
            return way.name, work
    raise AssertionError("nodes can carry out any step")


# --- windows ---------------------------------------------------------------------------------


def _convolution(problem: Problem, arithmetic: Arithmetic) -> Work | None:
    convolve = arithmetic.library.convolve
    if convolve is None or len(problem.operands) != 2 or not REDUCTIONS[problem.reduce].is_sum:
        return None
    division = divided(problem, arithmetic.library.most_windows)
    work = division and convolve(convolution(division), arithmetic.numbers)
    if division is None or work is None:
        return None
    return _around(problem, division, arithmetic, lambda given: work(*given))


def _pooling(problem: Problem, arithmetic: Arithmetic) -> Work | None:
    pool = arithmetic.library.pool
    if pool is None or len(problem.operands) != 1:
        return None
    division = divided(problem, arithmetic.library.most_windows)
    work = division and pool(pooling(division), arithmetic.numbers)
    if division is None or work is None:
        return None
    return _around(problem, division, arithmetic, lambda given: work(*given))


def _around(
    problem: Problem, division: Division, arithmetic: Arithmetic,
    work: Callable[[Sequence[Any]], Any],
) -> Work:  # fmt: skip
    """What is done before the windows meet, and afterwards."""
    reads = [_part(part, arithmetic) for part in division.reads]
    landing = _part(division.landing, arithmetic)
    shapes = list(map(shape_of, division.product.operands))
    sizes = problem.output_sizes

    def carry(given: Sequence[Any], like: Any) -> Any:
        arrays = [
            array.reshape(shape) if read is None else read((array,), like)
            for array, read, shape in zip(given, reads, shapes, strict=True)
        ]
        made = work(arrays)
        return (made if landing is None else landing((made,), like)).reshape(sizes)

    return carry


def _part(problem: Problem | None, arithmetic: Arithmetic) -> Work | None:
    return None if problem is None else work_of(problem, arithmetic)


# --- anything --------------------------------------------------------------------------------


def _nodes(problem: Problem, arithmetic: Arithmetic) -> Work:
    node, sizes = lowered(problem), problem.output_sizes

    def carry(given: Sequence[Any], like: Any) -> Any:
        return carried_out(node, arithmetic, problem, given, like).reshape(sizes)

    return carry


WAYS = (Way("convolution", _convolution), Way("pooling", _pooling), Way("tables", _nodes))
