"""Cutting a contraction into slices, such that the temporary arrays of each fit a memory limit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod

from contractconv.errors import MemoryLimitError
from contractconv.execution.pairwise import BLOCK
from contractconv.notation.problem import Accesses, Problem
from contractconv.planning.cost import labels_of, volume
from contractconv.planning.plan import plan_afresh
from contractconv.planning.setting import FRUGAL


def slices(problem: Problem, limit: int, itemsize: int) -> Iterator[Problem]:
    """Cut the index space into parts whose temporary arrays fit a limit.

    Args:
        problem: the contraction.
        limit: bytes that temporary arrays may take.
        itemsize: bytes of one number.

    Yields:
        Contractions of the same operands that together have all points, each of them once.

    Raises:
        MemoryLimitError: not even one point at a time fits the limit.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("i k, k j -> i j"), [(5, 4), (4, 2)], {})
        >>> [part.extents["i"] for part in slices(problem, limit=300, itemsize=8)]
        [3, 2]
    """
    chunks = _chunks(problem, limit, itemsize)
    ranges = [
        [(name, start, min(chunk, problem.extents[name] - start))
         for start in range(0, problem.extents[name], chunk)]
        for name, chunk in chunks.items() if chunk < problem.extents[name]
    ]  # fmt: skip
    for choice in product(*ranges):
        part = problem
        for name, start, count in choice:
            part = part.restricted(name, start, count)
        yield part


def _chunks(problem: Problem, limit: int, itemsize: int) -> dict[str, int]:
    """The largest extents of slices: halved where that saves most, until one slice fits."""
    chunks = dict(problem.sizes)
    while temporary_elements(_cut(problem, chunks)) * itemsize > limit:
        longer = [name for name, chunk in chunks.items() if chunk > 1]
        if not longer:
            least = temporary_elements(_cut(problem, chunks))
            raise MemoryLimitError(
                f"a memory limit of {limit} bytes is too small for '{problem}': "
                f"a single point takes {least * itemsize}"
            )
        halved = [chunks | {name: -(-chunks[name] // 2)} for name in longer]
        chunks = min(halved, key=lambda c: temporary_elements(_cut(problem, c)))
    return chunks


def _cut(problem: Problem, chunks: dict[str, int]) -> Problem:
    for name, chunk in chunks.items():
        if chunk < problem.extents[name]:
            problem = problem.restricted(name, 0, chunk)
    return problem


def temporary_elements(problem: Problem) -> int:
    """An upper bound on the elements of all temporary arrays that a problem needs at once.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> temporary_elements(resolve(parse("i k, k j -> i j"), [(5, 4), (4, 2)], {}))
        48
    """
    steps = plan_afresh(problem, FRUGAL).steps
    alive: list[int] = [0] * len(problem.operands)
    peak = 0
    for step in steps:
        result = prod(step.problem.output_sizes) if step is not steps[-1] else 0
        largest = max((_piece_elements(p.problem) for p in step.pieces()), default=0)
        peak = max(peak, sum(alive) + result + largest)
        alive = [size for n, size in enumerate(alive) if n not in step.positions] + [result]
    return peak


def _piece_elements(problem: Problem) -> int:
    extents = problem.extents
    padded = sum(_padded_elements(problem, accesses) for accesses in problem.operands)
    volumes = [volume(labels_of([accesses]), extents) for accesses in problem.operands]
    result = volume((n for n in problem.indices if n in problem.kept), extents)
    if problem.reduce not in ("sum", "mean"):
        # Values, their mask and integer positions of every point in a block.
        return padded + result + 8 * problem.points
    # The larger operand of a product is packed in blocks, the other one whole.
    packed = sum(volumes) - max(volumes) + min(max(volumes), BLOCK)
    return padded + packed + 2 * result


def _padded_elements(problem: Problem, accesses: Accesses) -> int:
    reaches = [access.reach(problem.extents) for access in accesses]
    outside = any(
        low < 0 or high >= access.size * access.divisor
        for (low, high), access in zip(reaches, accesses, strict=True)
    )
    return outside * prod(high - low + 1 for low, high in reaches)
