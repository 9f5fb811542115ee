"""Small reductions of one operand into elements that several points meet, as a gradient's are."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.views import Array
from contractconv.arrays.workspace import Making
from contractconv.engines.numpy.small.few_points import is_small, places
from contractconv.notation.problem import Problem
from contractconv.planning.workspace import Workspace
from contractconv.reductions.numbers import identity, ufunc
from contractconv.reductions.table import REDUCTIONS


def prepared(problem: Problem, array: Array) -> Making | None:
    """Make a small step ready.

    Args:
        problem: any step of one operand.
        array: an operand like those to come.

    Returns:
        What makes an array of shape ``problem.output_sizes``; ``None`` if the step is not small, or
        its points cannot be taken one by one.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> x = np.array([1.0, 2.0, 4.0])
        >>> prepared(resolve(parse("i -> (i+k)"), [(3,)], {"k": 2}), x).work([x])
        array([1., 3., 6., 4.])
    """
    record = REDUCTIONS[problem.reduce]
    if not is_small(problem) or record.at_once is not None:
        return None
    (accesses,), dtype = problem.operands, array.dtype
    read, reads = places(accesses, problem, problem.indices)
    written, writes = places(problem.output, problem, problem.indices)
    source, target = read[reads & writes], written[reads & writes]
    sizes, nothing, combine = problem.output_sizes, identity(record, dtype), ufunc(record)
    # Number by number, numpy warns of an extremum that is none; what it adds may well overflow.
    heeded: Any = {"invalid": "ignore"} if record.chooses else {}

    def work(given: Sequence[Array]) -> Array:
        made = np.full(prod(sizes), nothing, dtype)
        with np.errstate(**heeded):
            combine.at(made, target, given[0].reshape(-1)[source])
        return made.reshape(sizes)

    beside = len(source) * dtype.itemsize + array.nbytes
    return Making(work, Workspace(beside=beside), size=source.nbytes + target.nbytes)
