"""Who carries windows out faster: what is faster depends on what lies side by side in memory."""

from __future__ import annotations

from contractconv.notation.problem import Problem, windowed


def are_windows(problem: Problem) -> bool:
    """Whether windows run along what lies side by side in an operand or in the result.

    There libraries are about as fast as our kernels, whose lanes run along channels.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> last = resolve(parse("b (i+k) c, k c o -> b i o"), [(2, 9, 3), (3, 3, 4)])
        >>> first = resolve(parse("b c (i+k), o c k -> b o i"), [(2, 3, 9), (4, 3, 3)])
        >>> are_windows(last), are_windows(first)
        (False, True)
    """
    terms = (*problem.operands, problem.output)
    met = windowed(terms)
    return any(met.intersection(term[-1].names) for term in terms if term)


def has_windows(problem: Problem) -> bool:
    """Whether an axis is met by several indices."""
    return bool(windowed((*problem.operands, problem.output)))
