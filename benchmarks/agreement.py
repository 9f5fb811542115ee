"""Who computed the same?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import numpy as np

from benchmarks.operands import Array

TOLERANCE = 1e-3


def distance(a: Array, b: Array) -> float:
    """The largest difference of two elements, relative to the largest element.

    >>> distance(np.array([0.0, 3.0]), np.array([0.0, 4.0]))
    0.25
    >>> distance(np.array([np.nan]), np.array([0.0])), distance(np.ones(2), np.ones(3))
    (inf, inf)
    """
    if a.shape != b.shape:
        return np.inf
    scale = max(np.abs(a).max(), np.abs(b).max())
    if scale == 0:
        return 0.0
    relative = float(np.abs(a - b).max() / scale)
    return relative if np.isfinite(relative) else np.inf


def disagreements(results: Mapping[str, Array], tolerance: float = TOLERANCE) -> dict[str, str]:
    """Whose figures cannot count, and why.

    A result counts if at least half of the other results are the same. So one that is wrong
    among many is found out, and if there are only two, neither is believed.

    >>> one, two = np.ones(3), np.full(3, 2.0)
    >>> disagreements({"a": one, "b": two, "c": one})
    {'b': 'differs from a by 0.5, from c by 0.5 of the largest element'}
    >>> disagreements({"a": one})
    {}
    """
    far: dict[str, dict[str, float]] = {name: {} for name in results}
    for name, other in permutations(results, 2):
        apart = far[other].get(name)
        far[name][other] = distance(results[name], results[other]) if apart is None else apart
    return {
        name: _sentence({other: d for other, d in others.items() if d > tolerance})
        for name, others in far.items()
        if 2 * sum(d > tolerance for d in others.values()) > len(others)
    }


def _sentence(others: Mapping[str, float]) -> str:
    parts = ", ".join(f"from {name} by {apart:.2g}" for name, apart in others.items())
    return f"differs {parts} of the largest element"
