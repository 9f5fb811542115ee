"""What a pairwise step costs: multiply-adds, and elements touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

from contractconv.notation.problem import Access, Accesses, Problem

# Numbers that are laid out at once as matrices: 8 MiB of float32, which stay in cache until they
# are multiplied.
AT_ONCE = 1 << 21


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


def laid_out(problem: Problem) -> int:
    """Numbers of the matrices that operands are laid out as before they are multiplied.

    An operand that is read with steps, by windows or outside of itself is one, for each index an
    axis; any other is read as it lies.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> laid_out(resolve(parse("(i+k) c, k c o -> i o"), [(9, 4), (3, 4, 2)]))
        84
    """
    extents = problem.extents
    return sum(
        volume(labels_of([term]), extents)
        for term, whole in zip(problem.operands, problem.whole, strict=True)
        if whole is None
    )


def overlaps(access: Access, extents: Mapping[str, int]) -> bool:
    """Whether the points of a window outnumber the elements of its axis."""
    return access.plain is None and volume(access.names, extents) > access.size
