"""What a pairwise step costs: multiply-adds, and elements touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

from contractconv.notation.problem import Access, Accesses, Problem


def labels_of(terms: Iterable[Accesses]) -> tuple[str, ...]:
    """The indices of some terms, each once, in the order of first appearance."""
    return tuple(dict.fromkeys(n for term in terms for access in term for n, _ in access.terms))


def volume(names: Iterable[str], extents: Mapping[str, int]) -> int:
    """The number of points that some indices span."""
    return prod(extents[name] for name in names)


def flops(problem: Problem) -> int:
    """Floating-point operations of carrying out the problem in one step."""
    factors = max(1, len(problem.operands) - 1)
    adds = bool(problem.reduced) or not is_direct(problem)
    return problem.points * (factors * (len(problem.operands) > 1) + adds)


def is_direct(problem: Problem) -> bool:
    """Whether every output element is one value of distinct, whole indices."""
    names = [access.plain for access in problem.output]
    return len(set(names)) == len(names) and all(
        name is not None and problem.extents[name] == access.size
        for name, access in zip(names, problem.output, strict=True)
    )


def overlaps(access: Access, extents: Mapping[str, int]) -> bool:
    """Whether the points of a window outnumber the elements of its axis."""
    return access.plain is None and volume(access.names, extents) > access.size
