"""A program is its text: read and written again, neither changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from random_programs import LABELS, programs

import contractconv as cc
from contractconv import Tensor
from contractconv.programs.kinds import Kinds, is_differentiable
from contractconv.programs.nodes import Input, Length, Node, Number, Position, in_order
from contractconv.programs.program import Graph
from contractconv.programs.text.reader import read
from contractconv.programs.text.words import is_taken
from contractconv.programs.text.writer import write

# A checker takes what it returns for an array.
contract: Any = cc.contract


def assert_same(graph: Graph) -> str:
    """A program and what is read of its text are the same, and so are their texts."""
    text = write(graph)
    again = read(text)
    assert (again.outputs, again.inputs, again.name) == (graph.outputs, graph.inputs, graph.name)
    assert write(again) == text
    return text


def labels(graph: Graph) -> dict[Node, str]:
    """What values on the way are called; leaves may be called several things."""
    order = in_order(graph.wanted)
    nodes = [
        *(node for known in order for node in (*known.sources, *known.references)),
        *graph.wanted,
    ]
    named = [node for node in nodes if not isinstance(node, (Input, Length, Number, Position))]
    found: dict[Node, str] = {}
    for node in named:
        if node.label is not None:
            found.setdefault(node, node.label)
    return found


@given(programs())
def test_reading_what_is_written_gives_the_same_program(graph: Graph) -> None:
    given, again = labels(graph), labels(read(assert_same(graph)))
    taken = {node.name for node in graph.inputs} | {name for name, _ in graph.outputs}
    for node, label in given.items():
        alone = list(given.values()).count(label) == 1
        if alone and label not in taken and not is_taken(label):
            assert again[node] == label


@settings(max_examples=settings().max_examples // 5)
@given(programs())
def test_gradients_go_through_their_text(graph: Graph) -> None:
    inputs = [node for node in graph.inputs if is_differentiable(Kinds()[node])]
    assume(inputs)
    wrt = list(map(Tensor, inputs))
    loss = number(Tensor(graph.wanted[-1]))
    first = cc.grad(loss, wrt)
    second = cc.grad(number(first[0]), wrt)
    assert_same(Graph.of({f"d_{n}": t._node for n, t in enumerate([loss, *first, *second])}))


def number(tensor: Tensor) -> Tensor:
    """The sum of a tensor."""
    term = " ".join(f"( {axis} )" for axis in tensor.axes)
    made: Tensor = contract(f"{term} ->", tensor) if term else tensor
    return made


@pytest.mark.parametrize("depth", [2, 30, 3000])
def test_chains_of_any_depth(depth: int) -> None:
    x = total = minus = cc.tensor("x", "b")
    for n in range(depth):
        total = (total + x) * n
        minus = -minus
    layers = cc.program(total=total, minus=minus)
    assert cc.read(str(layers)) == layers
    assert max(map(len, str(layers).splitlines())) <= 100


def test_a_deep_network_and_its_gradient() -> None:
    h, W = cc.tensor("h", "b i"), cc.tensor("W", "i j")
    state = h
    for _ in range(100):
        state = cc.tanh(contract("b i, i j -> b j", state, W).named("b i"))
    p = cc.program(loss=contract("b i ->", state)).grad(wrt=["W"])
    assert cc.read(str(p)) == p


def test_the_labels_that_are_drawn_make_trouble() -> None:
    assert {label for label in LABELS if is_taken(label)} >= {"lambda", "exp", "inf", "²"}
