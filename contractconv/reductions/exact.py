"""Results and local derivatives of lists of Python's own numbers, from the definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log, prod
from typing import Any


def first(best: Callable[[Sequence[Any]], Any]) -> Callable[[list[Any]], list[Any]]:
    """One at the first of the best values, else zero."""

    def weights(values: list[Any]) -> list[Any]:
        chosen = values.index(best(values))
        return [int(n == chosen) for n in range(len(values))]

    return weights


def others(values: list[Any]) -> list[Any]:
    """The products of all other values."""
    return [prod(v for m, v in enumerate(values) if m != n) for n in range(len(values))]


def softmax(values: list[Any]) -> list[Any]:
    """The exponentials over their sum."""
    top = max(values)
    total = sum(exp(value - top) for value in values)
    return [exp(value - top) / total for value in values]


def logsumexp(values: list[Any]) -> Any:
    """The logarithm of the sum of exponentials."""
    top = max(values)
    return top + log(sum(exp(value - top) for value in values))
