"""Programs derived from a program whose results are kept: what comes back, and how it changes.

A derived program is given the inputs of the program, results that it made, and a cotangent for each
result, or a tangent for each input. Where the derivative needs a value that is among the results,
it reads it instead of making it again; so :func:`saving` adds to the results what is worth keeping.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from contractconv.programs.build import unused
from contractconv.programs.gradients import gradients, tangents
from contractconv.programs.kinds import DEFAULT, Kinds, Numbers, dtype_of, is_differentiable
from contractconv.programs.local import shares_spelled_out
from contractconv.programs.nodes import Contract, Input, Node, in_order, inputs_of
from contractconv.programs.program import Graph


class Taken(NamedTuple):
    """An array that a derived program takes.

    Attributes:
        what: ``"input"`` or ``"result"`` of the program, or what meets one: ``"change"``, a
            cotangent of a result or a tangent of an input.
        number: which of them.
        read: whether its numbers are read, or its sizes alone.
    """

    what: str
    number: int
    read: bool


@dataclass(frozen=True)
class Derived:
    """A program that was derived from another one.

    Attributes:
        graph: the program.
        takes: its inputs.
        makes: of which inputs it makes cotangents, or of which results tangents.
    """

    graph: Graph
    takes: tuple[Taken, ...]
    makes: tuple[int, ...]


def changing_inputs(graph: Graph) -> tuple[bool, ...]:
    """Which inputs hold numbers that can change a little."""
    kinds = Kinds()
    return tuple(is_differentiable(kinds[node]) for node in graph.inputs)


def changing_results(graph: Graph) -> tuple[bool, ...]:
    """Which results hold numbers that can change a little."""
    kinds = Kinds()
    return tuple(is_differentiable(kinds[node]) for node in graph.wanted)


def pullback(graph: Graph, wrt: Sequence[bool], given: Sequence[bool]) -> Derived:
    """The program that brings cotangents of some results back to some inputs.

    Args:
        graph: the program.
        wrt: for each input, whether what comes back to it is wanted.
        given: for each result, whether something comes back to it.
    """
    sources = [node for node, wanted in zip(graph.inputs, wrt, strict=True) if wanted]
    ends = [node for node, comes in zip(graph.wanted, given, strict=True) if comes]
    places = [n for n, comes in enumerate(given) if comes]
    changes = _changes(graph, dict(zip(places, ends, strict=True)))
    reached = set(in_order(ends, references=False))
    met = [node for node in sources if node in reached]
    found = gradients(ends, list(changes.values()), met) if ends else []
    makes = [graph.inputs.index(node) for node in met]
    return _derived(graph, changes, found, makes)


def pushforward(graph: Graph, moving: Sequence[bool]) -> Derived:
    """The program that makes the tangents of results of those of some inputs.

    Args:
        graph: the program.
        moving: for each input, whether it has a tangent.
    """
    places = [n for n, moves in enumerate(moving) if moves]
    changes = _changes(graph, {n: graph.inputs[n] for n in places})
    sources = [graph.inputs[n] for n in places]
    able = changing_results(graph)
    makes = [
        n
        for n, node in enumerate(graph.wanted)
        if able[n] and not set(sources).isdisjoint(in_order([node], references=False))
    ]
    ends = [graph.wanted[n] for n in makes]
    return _derived(graph, changes, tangents(ends, sources, list(changes.values())), makes)


def saving(graph: Graph, wrt: Sequence[bool]) -> Graph:
    """The program, which also makes what its own gradients read.

    Args:
        graph: the program.
        wrt: for each input, whether what comes back to it is wanted.

    Returns:
        A program with the same results first.
    """
    given = changing_results(graph)
    ends = {n: node for n, node in enumerate(graph.wanted) if given[n]}
    sources = [node for node, wanted in zip(graph.inputs, wrt, strict=True) if wanted]
    reached = set(in_order(ends.values(), references=False))
    met = [node for node in sources if node in reached]
    if not ends or not met:
        return graph
    found = gradients(list(ends.values()), list(_changes(graph, ends).values()), met)
    found = shares_spelled_out(found)
    outputs = dict(graph.outputs)
    for node in _worth_keeping(graph, found):
        outputs[unused("kept", {*outputs, *(given.name for given in graph.inputs)})] = node
    return Graph(tuple(outputs.items()), graph.inputs, graph.name)


def _worth_keeping(graph: Graph, found: Sequence[Node]) -> list[Node]:
    """The values on the way that gradients read, unless maps alone make them of what there is."""
    forward = set(graph.nodes)
    wanted = set(graph.wanted)
    read = {
        source
        for node in in_order(found, references=False)
        if node not in forward
        for source in node.sources
        if source in forward
    }
    kinds = Kinds()
    there: dict[Node, bool] = {}
    for node in graph.nodes:
        by_maps = _is_pointwise(node) and all(there[source] for source in node.sources)
        kept = node in wanted or (node in read and bool(node.axes) and _is_kept(kinds[node]))
        there[node] = by_maps or kept
        if by_maps:
            read.discard(node)
    return [n for n in graph.nodes if n in read and there[n] and n not in wanted]


def _is_pointwise(node: Node) -> bool:
    """Whether it is a map, or moves numbers and adds up none."""
    if not isinstance(node, Contract):
        return True
    return not node.local and len(node.operands) == 1 and not node.spec.reduced


def _is_kept(numbers: Numbers) -> bool:
    """Whether it can be said of a value, as an input, which numbers it has."""
    return numbers == {DEFAULT} or (
        DEFAULT not in numbers and not any(n[0] == "~" for n in numbers)
    )


def _changes(graph: Graph, nodes: Mapping[int, Node]) -> dict[int, Input]:
    """An input for what meets each of some nodes: its cotangent, or its tangent."""
    taken = {*(name for name, _ in graph.outputs), *(node.name for node in graph.inputs)}
    kinds = Kinds()
    found: dict[int, Input] = {}
    for n, node in nodes.items():
        name = unused(f"change_{n}", taken)
        found[n] = _stand_in(node, name, kinds[node])
    return found


def _stand_in(node: Node, name: str, numbers: Numbers) -> Input:
    known = DEFAULT not in numbers
    dtype = dtype_of(numbers, "float64") if known else None
    return Input(node.axes, name=name, dtype=dtype, label=name)


def _derived(
    graph: Graph, changes: Mapping[int, Input], found: Sequence[Node], makes: Sequence[int]
) -> Derived:
    """A program of what was found, in which results of the program are read, not made again."""
    stand_ins = _stand_ins(graph, changes)
    made = _cut(shares_spelled_out(found), {node: stand_in for _, node, stand_in in stand_ins})
    known: list[tuple[str, int, Input]] = [
        *(("input", n, node) for n, node in enumerate(graph.inputs)),
        *(("result", n, stand_in) for n, _, stand_in in stand_ins),
        *(("change", n, node) for n, node in changes.items()),
    ]
    used, read = set(inputs_of(made)), set(in_order(made, references=False))
    kept = [(what, n, node) for what, n, node in known if node in used]
    takes = tuple(Taken(what, n, node in read) for what, n, node in kept)
    names = {node.name for _, _, node in kept}
    outputs = {unused(f"d_{n}", names): node for n, node in zip(makes, made, strict=True)}
    inputs = tuple(node for _, _, node in kept)
    return Derived(Graph(tuple(outputs.items()), inputs, graph.name), takes, tuple(makes))


def _stand_ins(graph: Graph, changes: Mapping[int, Input]) -> list[tuple[int, Node, Input]]:
    """For each result that can be read instead of being made: which it is, and as what."""
    kinds = Kinds()
    taken = {*(node.name for node in (*graph.inputs, *changes.values()))}
    found: dict[Node, tuple[int, Node, Input]] = {}
    for n, (_, node) in enumerate(graph.outputs):
        if node.axes and not isinstance(node, Input) and _is_kept(kinds[node]):
            stand_in = _stand_in(node, unused(f"made_{n}", taken), kinds[node])
            found.setdefault(node, (n, node, stand_in))
    return list(found.values())


def _cut(outputs: Iterable[Node], stand_ins: Mapping[Node, Node]) -> list[Node]:
    """Some nodes, which read stand-ins for others.

    Of what is cut off, sizes may still be read: extents of indices, which no stand-in has.
    """
    outputs = list(outputs)
    whole: dict[Node, Node] = {}
    read: dict[Node, Node] = {}
    for node in in_order(outputs):
        whole[node] = node.over(tuple(read[source] for source in node.sources), whole)
        read[node] = stand_ins.get(node, whole[node])
    return [read[node] for node in outputs]
