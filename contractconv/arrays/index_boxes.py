"""Index boxes cut into smaller ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

from contractconv.arrays.views import Labelled

# An index, and the values from a first one up to, but not including, a last one.
Range = tuple[str, int, int]


def boxes(shape: Sequence[int], labels: Sequence[str], most: int) -> Iterator[tuple[Range, ...]]:
    """Cut a box into boxes of about one size, at most ``most`` elements, along its first axes.

    Args:
        shape: its extents.
        labels: its indices.
        most: elements that a box may have; if they are cut as far as they go, one.

    Returns:
        For each box the ranges of those indices that are cut.

    Example:
        >>> list(boxes((2, 6), ("i", "j"), 4))[:2]
        [(('i', 0, 1), ('j', 0, 3)), (('i', 0, 1), ('j', 3, 6))]
    """
    cuts: list[list[Range]] = []
    rest = prod(shape)
    for size, label in zip(shape, labels, strict=True):
        if rest <= most:
            break
        rest //= max(size, 1)
        pieces = -(-size // max(1, min(size, most // max(rest, 1))))
        chunk = -(-size // pieces)
        cuts.append([(label, n, min(n + chunk, size)) for n in range(0, size, chunk)])
        if chunk > 1:
            break
    yield from product(*cuts)


def within(view: Labelled, box: Sequence[Range]) -> Labelled:
    """The part of a view that lies in a box; indices that it has not are no matter."""
    for label, start, stop in box:
        view = view.part(label, start, stop)
    return view
