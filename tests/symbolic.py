"""Programs, written briefly for tests, and carried out as they are and rewritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import contractconv as cc
from contractconv.api.compiling import enter_programs
from contractconv.api.symbolic import contracted
from contractconv.api.tensor import Tensor
from contractconv.execution.programs.runner import Runner
from contractconv.planning.programs.costs import cost_of
from contractconv.planning.programs.steps import Step
from contractconv.programs.dtypes import Typed, typed
from contractconv.programs.program import Graph
from contractconv.programs.rewrites.driver import rewritten
from contractconv.programs.rewrites.table import passes
from contractconv.programs.sizing import sized

PASSES = passes(cost_of)


def contract(spec: str, *operands: Any, reduce: Any = "sum", shape: Any = None, **k: Any) -> Tensor:
    """A contraction of tensors."""
    given = {} if shape is None else {"output_shape": shape}
    return contracted(cc.Contraction(spec, reduce=reduce), operands, k, None, given)


def program(outputs: Sequence[Tensor], arrays: Mapping[str, Any], dtype: str = "float64") -> Typed:
    """A program of which everything is known but its arrays."""
    graph = Graph.of({f"y{n}": tensor._node for n, tensor in enumerate(outputs)})
    shapes = {node.name: np.shape(arrays[node.name]) for node in graph.inputs}
    return typed(sized(graph, shapes), dtype)


def improved(outputs: Sequence[Tensor], arrays: Mapping[str, Any], dtype: str = "float64") -> Typed:
    """The same, rewritten."""
    return rewritten(program(outputs, arrays, dtype), PASSES)


def steps(
    outputs: Sequence[Tensor], arrays: Mapping[str, Any], dtype: str = "float64"
) -> list[Step]:
    """What is done for a program."""
    enter_programs()
    return Runner(improved(outputs, arrays, dtype)).steps


def both(
    outputs: Sequence[Tensor], arrays: Mapping[str, Any], dtype: str = "float64"
) -> list[tuple[Any, Any]]:
    """The results of a program as it is, and rewritten."""
    enter_programs()
    plain = program(outputs, arrays, dtype)
    taken = {
        node.name: np.asarray(arrays[node.name]).astype(node.dtype or dtype)
        for node in plain.graph.inputs
    }
    first = Runner(plain)(taken)
    second = Runner(rewritten(plain, PASSES))(taken)
    return list(zip(first, second, strict=True))
