"""Paths: which operands meet, step by step, as opt_einsum and numpy write it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as as_integer
from typing import Any, Literal, NamedTuple, get_args

from contractconv.errors import AlgorithmError

Minimize = Literal["seconds", "operations", "bytes"]
"""What an order of operands makes as small as it can."""

MINIMIZED: tuple[Minimize, ...] = get_args(Minimize)

Pair = tuple[int, ...]


class Search(NamedTuple):
    """Who looks for an order of operands, and for which.

    Attributes:
        optimize: a name, a path as tuples, or what is called as opt_einsum's optimizers are.
        minimize: what an order shall make small.
    """

    optimize: Any = "auto"
    minimize: Minimize = "seconds"


AUTO = Search()


class Order(NamedTuple):
    """In which order operands meet, and who says so.

    Attributes:
        pairs: positions to contract, step by step, in opt_einsum's convention: what is contracted
            is taken out of the list of operands, and its result is appended.
        source: where the order comes from, in words; empty if there was nothing to choose.
        minimize: what it was chosen by; empty if that was not for this library to say.
        proved: whether no order at all is better.
    """

    pairs: tuple[Pair, ...]
    source: str
    minimize: str = ""
    proved: bool = False


# Of what is not contracted in pairs.
NO_ORDER = Order((), "")


def checked_path(path: Any, count: int, places: Sequence[int] | None = None) -> tuple[Pair, ...]:
    """Take a path that was given, or found by others; steps of many operands become pairs.

    Args:
        path: positions to contract, step by step.
        count: how many operands there are.
        places: the position of each operand in the list that the result is for, if that differs.

    Raises:
        AlgorithmError: it is no path of so many operands.

    Example:
        >>> checked_path([(0, 1, 2)], 3)
        ((0, 1), (0, 1))
        >>> checked_path([(0, 3), (0, 1)], 3)
        Traceback (most recent call last):
        contractconv.errors.AlgorithmError: step 1 of the path takes (0, 3), but 3 operands are left
    """
    alive = list(range(count))
    names = sorted(alive, key=(places or alive).__getitem__)
    pairs: list[Pair] = []
    for number, step in enumerate(as_path(path), 1):
        if len(set(step)) < len(step) or not all(0 <= n < len(alive) for n in step) or not step:
            raise AlgorithmError(
                f"step {number} of the path takes {tuple(step)}, but {len(alive)} operands are left"
            )
        taken = [alive[n] for n in step]
        alive = [name for name in alive if name not in taken]
        made = taken[0]
        for other in taken[1:]:
            pairs.append(tuple(sorted((names.index(made), names.index(other)))))
            names = [name for name in names if name not in (made, other)]
            made = count + len(pairs)
            names.append(made)
        alive.append(made)
    if len(alive) > 1:
        raise AlgorithmError(f"after {len(pairs)} steps of the path {len(alive)} operands are left")
    return tuple(pairs) or ((0,),)


def as_path(path: Any) -> tuple[tuple[int, ...], ...]:
    """The steps of a path, also of one that :func:`numpy.einsum_path` returned.

    Raises:
        AlgorithmError: it has no steps.
    """
    try:
        steps = path[1:] if list(path[:1]) == ["einsum_path"] else path
        return tuple(tuple(map(as_integer, step)) for step in steps)
    except TypeError:
        raise AlgorithmError(
            f"a path is a list of tuples of positions, as in [(0, 1), (0, 1)], not {path!r}"
        ) from None
