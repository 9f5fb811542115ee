"""How a step is carried out on the arrays of a library: one entry for each way, the best first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_letters
from typing import Any

from contractconv.engines.portable.convolutions import convolution
from contractconv.engines.portable.divisions import Division, divided
from contractconv.engines.portable.interpreter import Arithmetic, carried_out
from contractconv.engines.portable.poolings import pooling
from contractconv.engines.portable.translation import lowered
from contractconv.execution.foreign.side_by_side import are_windows, has_windows
from contractconv.execution.run import planned, run
from contractconv.notation.problem import Accesses, Problem, Shape, shape_of
from contractconv.planning.einsum import as_einsum
from contractconv.reductions.table import REDUCTIONS

# The numbers that kernels have.
_OURS = ("float32", "float64")

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


def prepared(
    problem: Problem, arithmetic: Arithmetic, ways: Sequence[Way] | None = None
) -> tuple[str, Work]:
    """The way in which a step is carried out, of some ways or of all, and what does it."""
    for way in WAYS if ways is None else ways:
        work = way.prepare(problem, arithmetic)
        if work is not None:
            return way.name, work
    raise AssertionError("nodes can carry out any step")


# --- our kernels -----------------------------------------------------------------------------


def _kernels(problem: Problem, arithmetic: Arithmetic) -> Work | None:
    """Windows along channels, in memory that numpy's arrays share, where nobody watches."""
    views, returned = arithmetic.library.views, arithmetic.library.returned
    if views is None or arithmetic.numbers not in _OURS:
        return None
    if not has_windows(problem) or are_windows(problem):
        return None
    steps = planned(problem, arithmetic.numbers)
    _, watched = prepared(problem, arithmetic, WAYS[1:])

    def carry(given: Sequence[Any], like: Any) -> Any:
        arrays = views(given)
        return watched(given, like) if arrays is None else returned(run(steps, arrays))

    return carry


# --- windows ---------------------------------------------------------------------------------


def _convolution(problem: Problem, arithmetic: Arithmetic) -> Work | None:
    convolve = arithmetic.library.convolve
    if convolve is None or len(problem.operands) != 2 or not REDUCTIONS[problem.reduce].is_sum:
        return None
    division = divided(problem, arithmetic.library.most_windows)
    if division is None:
        return None
    work = convolve(convolution(division), arithmetic.numbers)
    return work and _around(problem, division, arithmetic, work)


def _pooling(problem: Problem, arithmetic: Arithmetic) -> Work | None:
    pool = arithmetic.library.pool
    if pool is None or len(problem.operands) != 1:
        return None
    division = divided(problem, arithmetic.library.most_windows)
    if division is None:
        return None
    work = pool(pooling(division), arithmetic.numbers)
    return work and _around(problem, division, arithmetic, work)


def _around(
    problem: Problem, division: Division, arithmetic: Arithmetic,
    work: Callable[..., Any],
) -> Work:  # fmt: skip
    """What is done before the windows meet, and afterwards."""
    reads = [
        _read(before, part, shape_of(after), arithmetic)
        for before, part, after in zip(
            problem.operands, division.reads, division.product.operands, strict=True
        )
    ]
    landing = _part(division.landing, arithmetic)
    sizes = problem.output_sizes
    made_sizes = shape_of((division.landing or division.product).output)

    def carry(given: Sequence[Any], like: Any) -> Any:
        arrays = [
            array if read is None else read((array,), like)
            for array, read in zip(given, reads, strict=True)
        ]
        made = work(*arrays)
        if landing is not None:
            made = landing((made,), like)
        return made if made_sizes == sizes else made.reshape(sizes)

    return carry


def _read(before: Accesses, part: Problem | None, shape: Shape, made: Arithmetic) -> Work | None:
    """What is done to an operand; ``None`` if it is taken as it is."""
    if part is not None:
        return work_of(part, made)
    if shape_of(before) == shape:
        return None
    return lambda given, like: given[0].reshape(shape)


def _part(problem: Problem | None, arithmetic: Arithmetic) -> Work | None:
    return None if problem is None else work_of(problem, arithmetic)


# --- products --------------------------------------------------------------------------------


def _product(problem: Problem, arithmetic: Arithmetic) -> Work | None:
    """A step without windows."""
    step = as_einsum(problem)
    if step is None or not problem.points or not REDUCTIONS[problem.reduce].is_sum:
        return None
    names = dict.fromkeys(name for term in step.terms for name in term)
    if len(names) > len(ascii_letters) or not names.keys() >= {*step.output}:
        return None
    letter = dict(zip(names, ascii_letters, strict=False))
    *words, word = ("".join(map(letter.__getitem__, t)) for t in (*step.terms, step.output))
    string, einsum = f"{','.join(words)}->{word}", arithmetic.library.einsum
    return lambda given, like: einsum(string, *given)


# --- anything --------------------------------------------------------------------------------


def _nodes(problem: Problem, arithmetic: Arithmetic) -> Work:
    node, sizes = lowered(problem), problem.output_sizes

    def carry(given: Sequence[Any], like: Any) -> Any:
        return carried_out(node, arithmetic, problem, given, like).reshape(sizes)

    return carry


WAYS = (
    Way("kernels", _kernels),
    Way("product", _product),
    Way("convolution", _convolution),
    Way("pooling", _pooling),
    Way("tables", _nodes),
)
