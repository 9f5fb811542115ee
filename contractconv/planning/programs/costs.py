"""What a contraction costs by itself, in the order in which its operands meet."""

from __future__ import annotations

from math import prod

from contractconv.cache_register import kept
from contractconv.notation.problem import Problem, shape_of
from contractconv.planning.path import MOVED
from contractconv.planning.plan import order_of, steps_of


@kept(most=1024)
def cost_of(problem: Problem) -> float:
    """Multiplications, and elements that are read and written in their measure.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> chain = resolve(parse("i j, j k, k -> i"), [(64, 64), (64, 64), (64,)])
        >>> product = resolve(parse("i j, j k -> i k"), [(64, 64), (64, 64)])
        >>> cost_of(chain) < cost_of(product)
        True
    """
    return sum(_of_step(part) for _, part in steps_of(problem, order_of(problem)))


def _of_step(problem: Problem) -> float:
    arrays = (*problem.operands, problem.output)
    return problem.points + MOVED * sum(prod(shape_of(term)) for term in arrays)
