"""What programs are made of, for those who test the parts."""

from __future__ import annotations

import contractconv as cc
from contractconv.programs.nodes import Contract


def contractions_of(program: cc.Program) -> list[cc.Contraction]:
    """Every contraction of a program, each string once, in order."""
    nodes = (node for node in program._graph.nodes if isinstance(node, Contract))
    found = (cc.Contraction(str(node.spec), node.spec.reduce) for node in nodes)
    return list(dict.fromkeys(found))
