"""Windows over several axes as windows over one axis after the other.

The maximum of a square of 5 x 5 points is the maximum of five maxima of five, and neighbouring
squares share four of these: 10 points for each instead of 25.
"""

from __future__ import annotations

from contractconv.cache_register import kept
from contractconv.notation.problem import Access, Problem


@kept(most=512)
def stages(problem: Problem, worth: float) -> tuple[Problem, ...]:
    """The poolings over one axis each that make one pooling, in their order.

    Of several extrema the first one in row-major order is the first in the first row that has one:
    the last axis comes first, so that each of them chooses what the whole chooses.

    Args:
        problem: a contraction of one operand that sums, averages or chooses.
        worth: how many times as many points there must be otherwise, as what lies between takes
            time, too.

    Returns:
        The poolings, each of what the one before makes, whose axes are those of the operand; the
        mean of all is left undivided. Nothing if one is all there is, or if it does not pay.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(i+k) (j+l) -> i j", reduce="max"), [(9, 9)], {"k": 5, "l": 5})
        >>> [(stage.output_sizes, stage.reduced) for stage in stages(problem, 1.4)]
        [((9, 5), ('l',)), ((5, 5), ('k',))]
    """
    found, rest = [], problem
    while (pair := _split(rest)) is not None:
        found.append(pair[0])
        rest = pair[1]
    made = (*found, rest)
    pays = worth * sum(stage.points for stage in made) <= problem.points
    return made if found and pays else ()


def _split(problem: Problem) -> tuple[Problem, Problem] | None:
    """The pooling over the axis that is reduced last, and the one over the others."""
    if len(problem.operands) != 1 or len(problem.reduced) < 2:
        return None
    (accesses,) = problem.operands
    names = [name for access in accesses for name in access.names]
    if len(set(names)) < len(names) or set(names) != set(problem.indices):
        return None
    (axis,) = (n for n, a in enumerate(accesses) if problem.reduced[-1] in a.names)
    own = [name for name in problem.reduced if name in accesses[axis].names]
    moving = [name for name in accesses[axis].names if name in problem.kept]
    last = [*problem.reduced[len(problem.reduced) - len(own) :]] == own
    if not last or len(own) == len(problem.reduced) or len(moving) != 1:
        return None
    if any(access.divisor != 1 for access in accesses):
        return None
    extents = problem.extents
    moved = Access.along(moving[0], extents[moving[0]])
    whole = [_whole(n, access, problem) for n, access in enumerate(accesses)]
    output = (*whole[:axis], moved, *whole[axis + 1 :])
    sizes = tuple(access.size for access in output)
    first = Problem(
        ((*whole[:axis], accesses[axis], *whole[axis + 1 :]),),
        output,
        (*((a.names[0], a.size) for a in output), *((name, extents[name]) for name in own)),
        problem.reduce,
        sizes,
    )
    second = Problem(
        ((*accesses[:axis], moved, *accesses[axis + 1 :]),),
        problem.output,
        tuple((name, size) for name, size in problem.sizes if name not in own),
        problem.reduce,
        problem.result_shape,
    )
    return first, second


def _whole(axis: int, access: Access, problem: Problem) -> Access:
    """An axis element by element."""
    name = access.plain
    if name in problem.kept and problem.extents[name] == access.size:
        return access
    # No index of a string is a number.
    return Access.along(str(axis), access.size)
