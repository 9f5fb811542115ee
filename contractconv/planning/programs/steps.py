"""What is done for a program, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from contractconv.notation.problem import Problem
from contractconv.notation.spec import SUM, Spec
from contractconv.planning.programs.boxes import Placed, is_slice, placements
from contractconv.planning.programs.endings import Ended, endings
from contractconv.planning.programs.fusion import Fused, fused
from contractconv.planning.programs.made_again import is_map
from contractconv.planning.programs.outer_sums import outer_sums
from contractconv.programs.build import local_axes
from contractconv.programs.dtypes import Typed
from contractconv.programs.gathering import AddedRows, TakenRows
from contractconv.programs.nodes import Contract, Input, Named, Node, Number, readers
from contractconv.reductions.table import REDUCTIONS


@dataclass(frozen=True)
class Step:
    """One step of a program.

    Attributes:
        makes: the nodes whose arrays it makes.
        reads: the nodes whose arrays it reads; numbers stand in the step itself.
    """

    makes: tuple[Node, ...]
    reads: tuple[Node, ...]


@dataclass(frozen=True)
class ContractStep(Step):
    """A contraction, or the local derivative of one.

    Attributes:
        node: the contraction.
        problem: the same with sizes.
        ended: what is done to its result, if something is.
    """

    node: Contract
    problem: Problem
    ended: Ended | None = None


@dataclass(frozen=True)
class ReductionGradient(Step):
    """The gradient of a reduction, whose local derivative is never there as a whole.

    Attributes:
        node: the contraction of cotangent and local derivative.
        forward: the reduction.
        problem: the reduction, with sizes.
        operand: the position of the operand to which it comes back.
    """

    node: Contract
    forward: Contract
    problem: Problem
    operand: int


@dataclass(frozen=True)
class MapStep(Step):
    """Maps that run together."""

    group: Fused


@dataclass(frozen=True)
class RowsStep(Step):
    """Rows that labels choose, or that are added up by labels."""

    node: TakenRows | AddedRows


@dataclass(frozen=True)
class PlacedStep(Step):
    """Arrays beside each other in a larger one."""

    whole: Placed


@dataclass(frozen=True)
class ViewStep(Step):
    """An array under other names, a part of it, its axes in another order; an index; a number."""

    node: Node


def steps_of(program: Typed) -> list[Step]:
    """Everything that has to be done for a program, in an order in which it can be."""
    order = program.graph.nodes
    wanted = set(program.graph.wanted)
    read_by = readers(order)
    gradients = [s for s in (_gradient(node, program) for node in order) if s is not None]
    found: list[Step] = [*gradients]
    skipped = _unread(gradients, read_by, wanted)
    done = {node for step in gradients for node in step.makes}
    wholes = placements(program, read_by, wanted, done | skipped)
    found += [_placed(one) for one in wholes]
    done |= {node for one in wholes for node in one.within}
    found_ends = endings(program, read_by, wanted)
    ended = {node: one for node, one in found_ends.items() if node not in done}
    apart = {node for one in ended.values() for node in one.passed} | done
    ends = {one.node for one in ended.values()}
    groups = fused(order, wanted, apart, outer_sums(program, {*done, *skipped, *ends, *ended}))
    found += [MapStep(group.makes, group.leaves, group) for group in groups]
    done |= {node for group in groups for node in (*group.nodes, *group.makes)} | skipped | apart
    needed = {node for step in found for node in step.reads} | wanted
    needed |= {s for n in order if isinstance(n, _READ_WHOLE) for s in n.sources}
    needed |= {one.bias for one in ended.values() if one.bias is not None}
    for node in order:
        if node in done or isinstance(node, Input):
            continue
        if node in ended:
            found.append(_ended(ended[node], program))
            continue
        if is_map(node) or node not in needed:
            continue
        if isinstance(node, (TakenRows, AddedRows)):
            found.append(RowsStep((node,), node.sources, node))
        elif isinstance(node, Contract) and (node in wanted or not _is_view(node, program)):
            found.append(_contraction(node, program))
        elif not (isinstance(node, Number) and node not in wanted):
            found.append(ViewStep((node,), node.sources, node))
    return in_turn(found, {node: n for n, node in enumerate(order)})


_READ_WHOLE = (Contract, Named, TakenRows, AddedRows)


def _is_view(node: Contract, program: Typed) -> bool:
    """Whether the result of a contraction can be read where its operand lies."""
    return _turns(node, program) or is_slice(node, program)


def _turns(node: Contract, program: Typed) -> bool:
    """Whether a contraction does nothing but put axes in another order."""
    problem = program.problems[node]
    if node.local or len(node.operands) != 1 or not REDUCTIONS[problem.reduce].is_sum:
        return False
    return problem.whole[0] is not None and not problem.reduced and is_turned(problem)


def is_turned(problem: Problem) -> bool:
    """Whether the result of a contraction of one array has the same axes, in some order."""
    made = tuple(access.plain for access in problem.output)
    sizes = tuple(access.size for access in problem.output)
    whole = sizes == tuple(size for _, size in problem.sizes[: len(made)])
    return sorted(made, key=str) == sorted(problem.whole[0] or (), key=str) and whole


def _placed(whole: Placed) -> PlacedStep:
    return PlacedStep((whole.node,), tuple(dict.fromkeys(p.node for p in whole.parts)), whole)


def _ended(ended: Ended, program: Typed) -> ContractStep:
    node = ended.node
    reads = tuple(s for s in node.sources if not isinstance(s, Number))
    bias = () if ended.bias is None else (ended.bias,)
    return ContractStep((ended.result,), (*reads, *bias), node, program.problems[node], ended)


def _contraction(node: Contract, program: Typed) -> ContractStep:
    reads = tuple(s for s in node.sources if not isinstance(s, Number))
    return ContractStep((node,), reads, node, program.problems[node])


def _gradient(node: Node, program: Typed) -> ReductionGradient | None:
    """The step of a contraction that brings a cotangent back through a reduction, if it is one."""
    if not isinstance(node, Contract) or node.local or len(node.operands) < 2:
        return None
    local = node.operands[1]
    if not isinstance(local, Contract) or not local.local or not _is_whole(local):
        return None
    operand = _operand_of(node, local)
    if operand is None:
        return None
    forward = local
    reads = tuple(dict.fromkeys((node.operands[0], *local.operands)))
    reads = tuple(source for source in reads if not isinstance(source, Number))
    return ReductionGradient((node,), reads, node, forward, program.problems[local], operand)


def _is_whole(local: Contract) -> bool:
    record = REDUCTIONS[local.spec.reduce]
    return not record.linear


def _operand_of(node: Contract, local: Contract) -> int | None:
    """Which operand of a reduction a contraction brings a cotangent back to."""
    forward = local.spec
    for n, term in enumerate(forward.inputs):
        terms = [other for m, other in enumerate(forward.inputs) if m != n]
        others = tuple(other for m, other in enumerate(local.operands) if m != n)
        backward = Spec((forward.output, local_axes(forward), *terms), term, SUM)
        if node.spec == backward and node.operands[2:] == others:
            return n
    return None


def _unread(
    gradients: Sequence[ReductionGradient],
    read_by: Mapping[Node, Sequence[Node]],
    wanted: set[Node],
) -> set[Node]:
    """Local derivatives that nothing else reads."""
    made = {node for step in gradients for node in step.makes}
    found = {step.forward for step in gradients}
    return {n for n in found if n not in wanted and all(r in made for r in read_by[n])} | made


def in_turn(steps: Sequence[Step], rank: Mapping[Node, int]) -> list[Step]:
    """Steps behind those whose arrays they read; of those that can be done, the earliest."""
    makers = {node: n for n, step in enumerate(steps) for node in step.makes}
    waits = [{makers[node] for node in step.reads if node in makers} for step in steps]
    followers: dict[int, list[int]] = {}
    for n, before in enumerate(waits):
        for m in before:
            followers.setdefault(m, []).append(n)
    places = [min(rank[node] for node in step.makes) for step in steps]
    left = [len(before) for before in waits]
    ready = [(places[n], n) for n, count in enumerate(left) if not count]
    heapify(ready)
    found: list[Step] = []
    while ready:
        _, n = heappop(ready)
        found.append(steps[n])
        for m in followers.get(n, ()):
            left[m] -= 1
            if not left[m]:
                heappush(ready, (places[m], m))
    return found
