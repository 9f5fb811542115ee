"""How many multiply-adds the parts of a network take, forward and backward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from contractconv.layers.counting import multiply_adds_of
from contractconv.networks.regions import Region, Regions, cut
from contractconv.notation.problem import Shape
from contractconv.planning.programs.shared_products import sized_and_shared
from contractconv.programs.gradients import gradients
from contractconv.programs.nodes import Input, Node
from contractconv.programs.program import Graph
from contractconv.programs.sizing import sized


class Work(NamedTuple):
    """Multiply-adds.

    Attributes:
        forward: those of a part.
        backward: those that bring its cotangent back to what is trained in it or before it.
    """

    forward: int
    backward: int


def work_of(regions: Regions) -> list[Work]:
    """Count the multiply-adds of every region of a network."""
    forward = multiply_adds_of(regions.sized)
    known: dict[bytes, int] = {}
    found = []
    for region in regions.all:
        back = _backward(region, regions, known)
        found.append(Work(sum(forward[node] for node in region.contractions), back))
    return found


def _backward(region: Region, regions: Regions, known: dict[bytes, int]) -> int:
    """Differentiate a region by itself; what comes back to its inputs is for the one before it."""
    if not region.nodes or region.output not in regions.trained:
        return 0
    taken = [n for n in region.read if isinstance(n, Input) or n in regions.trained]
    output, inputs = cut(region, regions, taken, [f"value {n}" for n in range(len(taken))])
    shapes = {
        node.name: regions.sized.shapes[value] for node, value in zip(inputs, taken, strict=True)
    }
    wrt = [node for node, value in zip(inputs, taken, strict=True) if value in regions.trained]
    key = repr((output.key, sorted(shapes.items()), [node.name for node in wrt])).encode()
    if key not in known:
        known[key] = _differentiated(output, wrt, regions.shapes | shapes)
    return known[key]


def _differentiated(output: Node, wrt: Sequence[Input], shapes: Mapping[str, Shape]) -> int:
    """How many multiply-adds gradients take beside what is differentiated."""
    alone = sized(Graph.of({"output": output}), shapes)
    cotangent = Input(output.axes, name="cotangent of it")
    back = gradients([output], [cotangent], wrt)
    whole = {"output": output, **{f"back {n}": node for n, node in enumerate(back)}}
    given = {**shapes, cotangent.name: alone.shapes[alone.graph.wanted[0]]}
    both = sized_and_shared(Graph.of(whole), given)
    return sum(multiply_adds_of(both).values()) - sum(multiply_adds_of(alone).values())
