"""How long the steps of a program are expected to take on a machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

from contractconv.planning.plan import Plan
from contractconv.planning.programs.joined_results import JoinedResults
from contractconv.planning.programs.made_again import CHEAP
from contractconv.planning.programs.row_loops import RowLoop
from contractconv.planning.programs.steps import (
    ContractStep,
    MapStep,
    PlacedStep,
    ReductionGradient,
    RowsStep,
    Step,
    ViewStep,
)
from contractconv.planning.setting import Machine
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Map, Node

# Bytes of a number by which a machine's figures are meant; and how many numbers are only read or
# written in the time in which one is loaded, changed, and stored.
_NUMBER, _STREAMED = 4, 2
# Times in which a number is changed, by what is done: divided, or put into a series.
_DIVIDED, _ADDED, _LONG = 0.25, 0.25, 1.0
_DIVISIONS = frozenset(("divide", "reciprocal", "sqrt", "rsqrt"))
# Changes of numbers from which on threads share them.
_WORTH_SHARING = 1 << 20


def seconds_of(step: Step, plan: Plan | None, program: Typed, machine: Machine) -> float:
    """The time that a step is expected to take.

    Args:
        step: the step.
        plan: that of its contraction, if it is one.
        program: the program.
        machine: on what it runs.
    """
    if plan is not None:
        return sum(part.choice.chosen.seconds for part in plan.steps)
    return _RULES[type(step)](step, program, machine)


def _maps(step: MapStep | RowLoop | JoinedResults, program: Typed, machine: Machine) -> float:
    nodes = list(_mapped(step))
    changed = sum(_cost(node, machine) * prod(program.shapes[node]) for node in nodes)
    changed += _ADDED * sum(_added(step))
    moved = _numbers((*step.reads, *step.makes), program) / _STREAMED
    shared = len(nodes) * max((prod(program.shapes[n]) for n in nodes), default=0)
    threads = machine.threads if shared >= _WORTH_SHARING else 1
    return machine.call + max(moved, changed) / (machine.move * threads)


def _mapped(step: Step) -> Iterable[Node]:
    """The maps of a group, or of a loop over rows."""
    if isinstance(step, RowLoop | JoinedResults):
        return (node for part in step.parts for node in _mapped(part))
    return step.group.nodes if isinstance(step, MapStep) else ()


def _added(step: Step) -> Iterable[int]:
    """How many numbers each sum, or each reduction of rows, adds up."""
    if isinstance(step, RowLoop | JoinedResults):
        return (count for part in step.parts for count in _added(part))
    if isinstance(step, ContractStep):
        return (step.problem.points,)
    return (one.elements for one in step.group.sums) if isinstance(step, MapStep) else ()


def _cost(node: Node, machine: Machine) -> float:
    """What a map does to a number, in the time in which one is changed."""
    function = node.function if isinstance(node, Map) else ""
    if function in _DIVISIONS:
        return _DIVIDED
    return 1 / machine.lanes if function in CHEAP or not function else _LONG


def _copied(step: Step, program: Typed, machine: Machine) -> float:
    """What is only moved, or changed a little, by one thread."""
    return machine.call + _numbers((*step.reads, *step.makes), program) / machine.move


def _counted(step: ContractStep, program: Typed, machine: Machine) -> float:
    """A local derivative, which looks at each point by itself."""
    return machine.call + step.problem.points / machine.move


def _numbers(nodes: Iterable[Node], program: Typed) -> float:
    return sum(map(program.nbytes, nodes)) / _NUMBER


_RULES: dict[type[Step], Callable[[Any, Typed, Machine], float]] = {
    ContractStep: _counted,
    ReductionGradient: _copied,
    MapStep: _maps,
    RowLoop: _maps,
    JoinedResults: _maps,
    RowsStep: _copied,
    PlacedStep: _copied,
    ViewStep: lambda step, program, machine: 0.0,
}
