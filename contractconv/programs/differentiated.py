"""A program together with its gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contractconv.errors import ProgramError
from contractconv.notation.problem import Shape
from contractconv.programs.gradients import gradients
from contractconv.programs.kinds import Kinds, is_differentiable
from contractconv.programs.nodes import Input, Node, Number, in_order, inputs_of
from contractconv.programs.program import Graph
from contractconv.programs.sizing import sized


def differentiated(graph: Graph, wrt: Sequence[str]) -> Graph:
    """Add the gradients by some values to what a program returns.

    Args:
        graph: the program.
        wrt: the names of inputs, or of values on the way.

    Returns:
        The program with one more output for each of them: ``d_W`` for ``W``. One comes back to
        outputs that are numbers; if there are none, what comes back is an input, ``d_y`` for ``y``.

    Raises:
        ProgramError: there is no such value, or nothing that could be differentiated.
        OperandError: a value holds integers.
    """
    found = _by_name(graph)
    missing = next((name for name in wrt if name not in found), None)
    if missing is not None:
        raise ProgramError(
            f"{graph.name} has no value {missing!r}: there are {', '.join(found) or 'none'}"
        )
    numbers = Kinds()
    ends = {name: node for name, node in graph.outputs if is_differentiable(numbers[node])}
    # What is returned beside a loss is there to be looked at.
    ends = {name: node for name, node in ends.items() if not node.axes} or ends
    if not ends:
        raise ProgramError(f"{graph.name} returns nothing that could be differentiated")
    cotangents = [_cotangent(name, node, found) for name, node in ends.items()]
    made = gradients(list(ends.values()), cotangents, [found[name] for name in wrt])
    added = [(f"d_{name}", node) for name, node in zip(wrt, made, strict=True)]
    given = [node for node in cotangents if isinstance(node, Input)]
    return Graph((*graph.outputs, *added), (*graph.inputs, *given), graph.name)


def with_cotangent_shapes(graph: Graph, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Add the shapes of what comes back to outputs: those of the outputs.

    Args:
        graph: the program; among its inputs may be ``d_y``, where ``y`` is an output.
        shapes: the shapes of its inputs, maybe without those.
    """
    known = dict(shapes)
    for name, node in graph.outputs:
        needed = [given.name for given in inputs_of([node])]
        if f"d_{name}" not in known and all(given in known for given in needed):
            end = sized(Graph.of({name: node}), known)
            known[f"d_{name}"] = end.shapes[end.graph.wanted[0]]
    inputs = {node.name for node in graph.inputs}
    return {name: shape for name, shape in known.items() if name in inputs or name in shapes}


def _by_name(graph: Graph) -> dict[str, Node]:
    named = {node.label: node for node in in_order(graph.wanted) if node.label is not None}
    return {node.name: node for node in graph.inputs} | named


def _cotangent(name: str, node: Node, taken: Mapping[str, Node]) -> Node:
    """What comes back to an output."""
    if not node.axes:
        return Number((), value=1)
    called = f"d_{name}"
    while called in taken:
        called += "_"
    return Input(node.axes, name=called, label=called)
