"""What contractions, and steps of a program, cost by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from contractconv.cache_register import kept
from contractconv.notation.problem import Problem, shape_of
from contractconv.planning.orders.objectives import MOVED
from contractconv.planning.plan import order_of, steps_of
from contractconv.planning.programs.joined_results import JoinedResults
from contractconv.planning.programs.row_loops import RowLoop
from contractconv.planning.programs.steps import ContractStep, MapStep, Step, ViewStep
from contractconv.programs.dtypes import Typed


@kept(most=1024)
def cost_of(problem: Problem) -> float:
    """Multiplications of a contraction in the order in which its operands meet, and what it moves.

    Elements that are read and written count as so many multiplications as they take time.

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


def costs_of(steps: Sequence[Step], program: Typed) -> list[float]:
    """What each step of a program costs, in the same measure."""
    return [_cost(step, program) for step in steps]


def _cost(step: Step, program: Typed) -> float:
    if isinstance(step, ViewStep):
        return 1
    if isinstance(step, ContractStep) and not step.node.local:
        return cost_of(step.problem)
    made = sum(prod(program.shapes[node]) for node in step.makes)
    moved = made + sum(prod(program.shapes[node]) for node in step.reads)
    return 1 + MOVED * moved + _maps(step) * made


def _maps(step: Step) -> int:
    """How many functions are applied to each element, about."""
    if isinstance(step, RowLoop | JoinedResults):
        return len(step.nodes)
    return len(step.group.nodes) if isinstance(step, MapStep) else 1
