"""Networks with windows, drawn at random, and every order in which their operands can meet.

What an order costs is summed over the steps of its plan, one by one. Nothing of the searches that
are judged by it is used: no sets as bits, no bounds, no dynamic programming.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from random import Random
from typing import NamedTuple

from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Problem
from contractconv.planning.orders.objectives import cost_of
from contractconv.planning.path import MINIMIZED, Minimize, Order
from contractconv.planning.plan import steps_of

Tree = int | tuple["Tree", "Tree"]


class Drawn(NamedTuple):
    """A contraction and the shapes of its operands."""

    spec: str
    shapes: list[tuple[int, ...]]
    extents: dict[str, int]

    @property
    def problem(self) -> Problem:
        """The contraction with its shapes."""
        return resolve(parse(self.spec), self.shapes, self.extents)


def drawn(draw: Random, operands: int, sizes: tuple[int, ...] = (1, 2, 3, 4, 6, 9)) -> Drawn:
    """Draw a network: strides, dilations, padding, diagonals, parts that share nothing, scatters.

    Args:
        draw: where chance comes from.
        operands: how many there are.
        sizes: what extents may be.
    """
    names = "abcdefghijklm"[: operands + draw.randrange(3)]
    extents = {name: draw.choice(sizes) for name in names}
    windows = [_window(draw, extents) for _ in range(draw.randint(1, 3))]
    plain = list(extents.items())
    terms = [
        [draw.choice(windows if draw.random() < 0.4 else plain) for _ in range(draw.randint(1, 3))]
        for _ in range(operands)
    ]
    used = sorted({c for term in terms for axis, _ in term for c in axis if c in names})
    output = draw.sample(used, draw.randint(0, min(3, len(used))))
    if len(output) > 1 and draw.random() < 0.3:
        output[:2] = [f"({draw.randint(1, 2)}*{output[0]}+{output[1]})"]
    if draw.random() < 0.1:
        output.append("z")
        extents["z"] = draw.choice(sizes)
    left = ", ".join(" ".join(axis for axis, _ in term) for term in terms)
    indices = {*used, *output} & extents.keys()
    shapes = [tuple(size for _, size in term) for term in terms]
    return Drawn(
        f"{left} -> {' '.join(output)}", shapes, {name: extents[name] for name in sorted(indices)}
    )


def drawn_plain(draw: Random, operands: int) -> Drawn:
    """Draw a network without windows: numbers among its terms, parts that share nothing.

    In half of them two terms have an index, or one term and the output; in the others many may.
    """
    names = "abcdefghij"[: draw.randint(2, 10)]
    extents = {name: draw.choice((1, 2, 2, 3, 3, 4, 5, 7, 9)) for name in names}
    terms = [""] * operands
    most = draw.choice((2, operands))
    for name in names:
        for term in draw.sample(range(operands), draw.randint(1, most)):
            terms[term] += name
    used = [name for name in names if any(name in term for term in terms)]
    output = draw.sample(used, draw.randint(0, min(3, len(used))))
    if most == 2:
        output = [name for name in output if sum(name in term for term in terms) == 1]
    shapes = [tuple(extents[name] for name in term) for term in terms]
    return Drawn(f"{','.join(terms)}->{''.join(output)}", shapes, {})


def _window(draw: Random, extents: dict[str, int]) -> tuple[str, int]:
    """An axis, and a size for it: what the window reaches, without some of its padding."""
    names = draw.sample(sorted(extents), 3 if draw.random() < 0.2 and len(extents) > 2 else 2)
    steps = [draw.choice((1, 1, 2, 3)) for _ in names]
    padding = draw.choice((0, 0, 1, 2))
    reach = sum(step * (extents[name] - 1) for step, name in zip(steps, names, strict=True))
    text = "+".join(f"{step}*{name}" for step, name in zip(steps, names, strict=True))
    return f"({text}-{padding})", max(1, reach + 1 - draw.choice((1, 2)) * padding)


def every_tree(leaves: tuple[int, ...]) -> Iterator[Tree]:
    """Every way in which some operands can meet in pairs: 1, 1, 3, 15, 105, 945, 10,395."""
    first, *others = leaves
    if not others:
        yield first
    for count in range(len(others)):
        for beside in combinations(others, count):
            rest = tuple(n for n in others if n not in beside)
            for one in every_tree((first, *beside)):
                for two in every_tree(rest):
                    yield one, two


def path_of(tree: Tree, count: int) -> tuple[tuple[int, ...], ...]:
    """A tree as a path: positions in the list of those that are left."""
    alive, path = list(range(count)), []

    def meet(tree: Tree) -> int:
        if isinstance(tree, int):
            return tree
        pair = [meet(half) for half in tree]
        path.append(tuple(sorted(alive.index(n) for n in pair)))
        alive[:] = [n for n in alive if n not in pair] + [count + len(path)]
        return alive[-1]

    meet(tree)
    return tuple(path) or ((0,),)


def costs_of_path(problem: Problem, path: tuple[tuple[int, ...], ...]) -> dict[Minimize, float]:
    """What the steps of a plan with this path cost together, by each measure."""
    steps = [step for _, step in steps_of(problem, Order(path, ""))]
    return {by: sum(cost_of(step, by) for step in steps) for by in MINIMIZED}


def least_costs(problem: Problem) -> dict[Minimize, float]:
    """What the best of all orders costs, by each measure."""
    count = len(problem.operands)
    paths = (path_of(tree, count) for tree in every_tree(tuple(range(count))))
    costs = [costs_of_path(problem, path) for path in paths]
    return {by: min(cost[by] for cost in costs) for by in MINIMIZED}
