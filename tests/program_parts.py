"""What programs are made of, for those who test the parts."""

from __future__ import annotations

from typing import Any

import contractconv as cc
from contractconv.execution.programs.runner import Runner
from contractconv.programs.nodes import Contract


def contractions_of(program: cc.Program) -> list[cc.Contraction]:
    """Every contraction of a program, each string once, in order."""
    nodes = (node for node in program._graph.nodes if isinstance(node, Contract))
    found = (cc.Contraction(str(node.spec), node.spec.reduce) for node in nodes)
    return list(dict.fromkeys(found))


def ready(outputs: dict[str, cc.Tensor], **arrays: Any) -> Runner:
    """What carries a program out for such arrays."""
    program = cc.compile(outputs)
    return program.runner(**{node.name: arrays[node.name].shape for node in program.graph.inputs})
