"""A contraction that only another one reads, merged with it where that is cheaper."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import count

from contractconv.notation.affine import Affine
from contractconv.notation.problem import Problem
from contractconv.notation.spec import Axis, Spec, Term
from contractconv.programs.nodes import Axes, Contract, Node
from contractconv.programs.rewrites.transposes import contracted_like, is_sum, plain
from contractconv.programs.rewrites.workshop import Workshop

Cost = Callable[[Problem], float]

# Operands that meet at once, at most; and what a merged contraction may cost of both together.
_MOST_OPERANDS, _CHEAPER = 6, 0.9


def merging(cost: Cost) -> Callable[[Node, Workshop], Node | None]:
    """The pass that merges contractions.

    Args:
        cost: of a contraction, in the order that is best for it.
    """
    return lambda node, workshop: _merged(node, workshop, cost)


def _merged(node: Node, workshop: Workshop, cost: Cost) -> Node | None:
    if not isinstance(node, Contract) or not _may_merge(node):
        return None
    for n, operand in enumerate(node.operands):
        if not isinstance(operand, Contract) or not _may_merge(operand):
            continue
        if workshop.uses.get(operand, 0) != 1 or node.operands.count(operand) > 1:
            continue
        made = _together(node, n, operand, workshop)
        if made is not None and _is_cheaper(made, node, operand, workshop, cost):
            return made
    return None


def _may_merge(node: Contract) -> bool:
    return is_sum(node) and not node.spec.parameters


def _is_cheaper(
    made: Node, outer: Contract, inner: Contract, workshop: Workshop, cost: Cost
) -> bool:
    apart = sum(cost(workshop.problems[node]) for node in (outer, inner))
    return cost(workshop.problems[made]) < _CHEAPER * apart


def _together(outer: Contract, n: int, inner: Contract, workshop: Workshop) -> Node | None:
    """One contraction for two, whose operands are those of both."""
    made = plain(inner.spec.output)
    if made is None or len(outer.operands) + len(inner.operands) - 1 > _MOST_OPERANDS:
        return None
    known = workshop.problems[inner].extents
    if tuple(known[name] for name in made) != workshop.shapes[inner]:
        return None
    names = _fresh(inner.spec.reduced, outer.spec.indices)
    at: dict[str, Axis] = dict(zip(made, outer.spec.inputs[n], strict=True))
    at |= {name: Affine.index(new) for name, new in names.items()}
    terms = [_substituted(term, at) for term in inner.spec.inputs]
    taken = tuple(term for term in terms if term is not None)
    if len(taken) < len(terms) or not _reads_all(made, outer.spec.inputs[n], inner.spec):
        return None
    inputs = (*outer.spec.inputs[:n], *taken, *outer.spec.inputs[n + 1 :])
    operands = (*outer.operands[:n], *inner.operands, *outer.operands[n + 1 :])
    extents = dict(workshop.problems[outer].sizes)
    extents |= {new: known[name] for name, new in names.items()}
    return contracted_like(outer, replace(outer.spec, inputs=inputs), operands, extents, workshop)


def _fresh(names: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """Names for the indices that are summed inside, which mean nothing outside."""
    used, found = set(taken), dict[str, str]()
    for name in names:
        free = (f"{name}{n}" for n in count(2))
        found[name] = name if name not in used else next(new for new in free if new not in used)
        used.add(found[name])
    return found


def _substituted(term: Term, at: Mapping[str, Axis]) -> Term | None:
    """A term in which indices are replaced by axes; only alone an index may be any axis."""
    found: list[Axis] = []
    for axis in term:
        if axis.plain is not None:
            found.append(at[axis.plain])
            continue
        names = {name: at[name].plain for name in axis.names}
        if not isinstance(axis, Affine) or None in names.values():
            return None
        renamed = {name: new for name, new in names.items() if new is not None}
        if len(set(renamed.values())) < len(renamed):
            return None
        found.append(axis.renamed(renamed))
    return tuple(found)


def _reads_all(made: Axes, term: Term, inner: Spec) -> bool:
    """Whether what is outside the inner result is outside an operand, too."""
    alone = {axis.plain for held in inner.inputs for axis in held}
    return all(
        axis.plain is not None or name in alone for name, axis in zip(made, term, strict=True)
    )
