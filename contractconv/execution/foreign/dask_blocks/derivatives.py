"""Local derivatives of reductions of dask arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np
from dask.array import Array

from contractconv.execution.foreign.dask_blocks.compositions import split
from contractconv.execution.foreign.dask_blocks.graph import Weaver
from contractconv.execution.foreign.dask_blocks.tasks import Derived
from contractconv.notation.problem import Access, Problem, shape_of
from contractconv.notation.shift import Part, block
from contractconv.planning.blocks.cuts import Sizes, cuts_of, ranges_of


def derivative(
    problem: Problem, operands: Sequence[Array], dtype: str, moved: Sequence[Array] | None = None
) -> Array:
    """The local derivative of a reduction, lazily.

    Points that share an element of the result are in one block, whatever the operands' blocks are.

    Args:
        problem: the reduction.
        operands: dask arrays, compositions not split.
        dtype: the name of the dtype of the derivative.
        moved: the same with a direction in the place of one operand, if it is wanted how the
            derivative changes.

    Returns:
        A value for each point, with axes as in ``problem.indices``.
    """
    terms = [*problem.operands] * (1 if moved is None else 2)
    given = [split(a, shape_of(t)) for a, t in zip([*operands, *(moved or ())], terms, strict=True)]
    cuts = _cuts(problem, [array.chunks for array in given])
    ranges = [ranges_of(cuts.get(name, ()), size) for name, size in problem.sizes]
    weaver = Weaver("derive", given, (problem, cuts, dtype, moved is None))
    for where, part in _parts(problem, ranges):
        task = Derived(part.problem, dtype, moved is not None)
        weaver.add(where, task, part.places[:-1] * (1 if moved is None else 2))
    grid = tuple(tuple(map(len, along)) for along in ranges)
    forward = (problem, given[0]) if len(given) == 1 else None
    return weaver.woven(f"derivative of {problem}", grid, np.dtype(dtype), forward)


def _cuts(problem: Problem, grids: Sequence[tuple[Sizes, ...]]) -> Mapping[str, Sizes]:
    """Only what is an axis of the result by itself may be cut."""
    uses = Counter(name for access in problem.output for name in access.names)
    alone = {
        access.plain
        for access in problem.output
        if access.plain is not None
        and uses[access.plain] == 1
        and problem.extents[access.plain] == access.size
    }
    found = cuts_of(problem, grids[: len(problem.operands)])
    return {name: at for name, at in found.items() if name in alone}


def _parts(
    problem: Problem, ranges: Sequence[Sequence[range]]
) -> Iterator[tuple[tuple[int, ...], Part]]:
    """Each block of points: which it is, and what makes it."""
    for chosen in product(*(list(enumerate(along)) for along in ranges)):
        values = dict(zip(problem.indices, (values for _, values in chosen), strict=True))
        yield tuple(n for n, _ in chosen), block(problem, values) or _nothing(problem, values)


def _nothing(problem: Problem, values: Mapping[str, range]) -> Part:
    """A block to which nothing contributes, which reads nothing."""
    operands = tuple(
        tuple(Access(access.terms, access.offset, access.divisor, 0) for access in term)
        for term in problem.operands
    )
    sizes = tuple((name, len(values[name])) for name in problem.indices)
    empty = Problem(operands, problem.output, sizes, problem.reduce, problem.result_shape)
    return Part(empty, tuple(tuple(slice(0, 0) for _ in term) for term in (*operands, ())))
