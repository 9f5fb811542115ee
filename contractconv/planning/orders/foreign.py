"""Orders that others find: opt_einsum's searches by name, and whatever is called as they are."""

from __future__ import annotations

import random
from collections.abc import Callable
from inspect import signature
from typing import Any, NamedTuple

from contractconv.notation.problem import Problem
from contractconv.planning.cost import labels_of
from contractconv.planning.path import Pair, checked_path
from contractconv.uninterrupted import enter

# Trees that cotengra finds at random.
_REPEATS = 16


class Plain(NamedTuple):
    """A plain einsum over the full index space, as path optimizers take it."""

    inputs: list[frozenset[str]]
    output: frozenset[str]
    sizes: dict[str, int]


def as_plain(problem: Problem) -> Plain:
    """A contraction for path optimizers, which know nothing of windows."""
    enter("opt_einsum")  # here, because most plans do not need it
    from opt_einsum import get_symbol

    letters = {name: get_symbol(n) for n, name in enumerate(problem.indices)}
    inputs = [frozenset(letters[name] for name in labels_of([t])) for t in problem.operands]
    read = frozenset().union(*inputs)  # an index of the output alone is broadcast afterwards
    output = frozenset(letters[name] for name in problem.kept) & read
    # Where nothing costs anything, dynamic programming finds nothing.
    sizes = {letters[name]: max(1, size) for name, size in problem.sizes}
    return Plain(inputs, output, sizes)


def named(name: str, plain: Plain) -> tuple[Pair, ...]:
    """The path that a search of opt_einsum's finds."""
    from opt_einsum.paths import get_path_fn

    return searched(get_path_fn(name), plain)


def searched(search: Callable[..., Any], plain: Plain) -> tuple[Pair, ...]:
    """The path that a search finds.

    Raises:
        AlgorithmError: it is no path of these operands.
    """
    # Random searches seed the generator that the caller may be using.
    state = random.getstate()
    try:
        path = search(*_arguments(search, plain))
    finally:
        random.setstate(state)
    return checked_path(path, len(plain.inputs))


def _arguments(search: Callable[..., Any], plain: Plain) -> tuple[Any, ...]:
    """opt_einsum's optimizers take a memory limit as well, cotengra's do not."""
    try:
        signature(search).bind(*plain, None)
    except (TypeError, ValueError):
        return tuple(plain)
    return (*plain, None)


def cotengra_path(problem: Problem) -> tuple[Pair, ...] | None:
    """The best of a few paths that cotengra finds, where it is installed."""
    try:
        from cotengra import RandomGreedyOptimizer
    except ImportError:
        return None
    optimizer = RandomGreedyOptimizer(max_repeats=_REPEATS, seed=0, parallel=False)
    return searched(optimizer, as_plain(problem))
