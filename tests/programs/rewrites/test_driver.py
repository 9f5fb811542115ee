"""The gate: what is wrong is refused, wherever it is planted; what is right is done and pays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from symbolic import PASSES, both, contract, improved, program

from contractconv.api.symbolic import grad
from contractconv.api.tensor import Tensor, applied, tensor
from contractconv.cache_register import clear_caches
from contractconv.programs.agreement import agree_at_random
from contractconv.programs.nodes import Cast, Contract, Map, Named, Node, Number
from contractconv.programs.rewrites import gate
from contractconv.programs.rewrites.driver import Pass, rewritten
from contractconv.programs.rewrites.workshop import Workshop

X, Y, S = tensor("x", "i j"), tensor("y", "i j"), tensor("s", "i i2")
LABELS, TABLE = tensor("labels", "b", "int64"), tensor("E", "v d")
ARRAYS = {
    "x": np.arange(6.0).reshape(2, 3) - 2,
    "y": np.ones((2, 3)),
    "s": np.arange(9.0).reshape(3, 3),
    "labels": np.array([1, 5, -1, 0]),
    "E": np.arange(8.0).reshape(4, 2),
}


def first(node: Node, workshop: Workshop) -> Node | None:
    """A binary map is its first argument."""
    if isinstance(node, Map) and len(node.arguments) == 2:
        return node.arguments[0]
    return None


def swapped(node: Node, workshop: Workshop) -> Node | None:
    """A difference the other way round, a smaller one for a greater one."""
    if isinstance(node, Map) and node.function in ("subtract", "less", "max"):
        function = "min" if node.function == "max" else node.function
        return workshop.map(function, node.arguments[::-1], node)
    return None


def transposed(node: Node, workshop: Workshop) -> Node | None:
    """A square contraction with the axes of its operand exchanged."""
    if isinstance(node, Contract) and len(node.spec.inputs[0]) == 2:
        spec = node.spec
        inputs = (spec.inputs[0][::-1], *spec.inputs[1:])
        return workshop.contract(
            replace(spec, inputs=inputs), node.operands, node.axes, workshop.dtypes[node], {}
        )
    return None


def truncated(node: Node, workshop: Workshop) -> Node | None:
    """A conversion to integers and back is nothing."""
    if isinstance(node, Cast) and isinstance(node.source, Cast):
        return node.source.source
    return None


def renamed(node: Node, workshop: Workshop) -> Node | None:
    """Names do not matter."""
    if isinstance(node, Named) and node.axes == node.source.axes[::-1]:
        return workshop.named(node.source, node.axes)
    return None


def shifted(node: Node, workshop: Workshop) -> Node | None:
    """Of a choice by equality always the first."""
    if isinstance(node, Map) and node.function == "where":
        return node.arguments[1] if node.arguments[1].axes == node.axes else None
    return None


def nothing(node: Node, workshop: Workshop) -> Node | None:
    """Everything without axes is seven."""
    return None if node.axes else workshop.number(7, workshop.dtypes[node])


PLANTED: dict[str, tuple[Callable[[Node, Workshop], Node | None], Tensor]] = {
    "first": (first, X * Y),
    "first of a power": (first, X ** (Y + 1)),
    "swapped difference": (swapped, X - Y),
    "swapped order": (swapped, applied("where", X < Y, X, 0)),
    "other extreme": (swapped, applied("max", X, Y)),
    "transposed": (transposed, contract("i j -> i j", S) + S.named("i j")),
    "transposed product": (transposed, contract("i j, j -> i", S, tensor("v", "j"))),
    "truncated": (truncated, X.cast("int64").cast("float64") + 0.5),
    "shifted": (shifted, applied("where", Y < X, X, Y)),
    "seven": (nothing, contract("i j ->", X) + 1),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_wrong_pass_changes_nothing(name: str) -> None:
    rule, made = PLANTED[name]
    arrays = ARRAYS | {"v": np.ones(3)}
    given = program([made], arrays)
    proposed = []

    def watched(node: Node, workshop: Workshop) -> Node | None:
        new = rule(node, workshop)
        proposed.append(new)
        return new

    assert rewritten(given, [Pass(name, watched)]).graph == given.graph
    assert any(proposed), "the pass has to propose something"


def test_a_rewrite_that_is_right_for_equal_sizes_alone_is_refused() -> None:
    def summed(node: Node, workshop: Workshop) -> Node | None:
        """The trace for the sum of all elements: the same of a matrix of one element."""
        if not isinstance(node, Contract):
            return None
        spec = contract("i i ->", S)._node
        assert isinstance(spec, Contract)
        return workshop.contract(spec.spec, node.operands, (), "float64", {})

    one = {"s": np.ones((1, 1))}
    given = program([contract("i j ->", S) + 1], one)
    assert rewritten(given, [Pass("trace", summed)]).graph == given.graph


def test_a_right_pass_is_done() -> None:
    def commuted(node: Node, workshop: Workshop) -> Node | None:
        if (
            isinstance(node, Map)
            and node.function == "add"
            and isinstance(node.arguments[1], Number)
        ):
            return workshop.map("add", node.arguments[::-1], node)
        return None

    given = program([X + 1.5], ARRAYS)
    made = rewritten(given, [Pass("commuted", commuted)])
    (output,) = made.graph.wanted
    assert isinstance(output, Map)
    assert isinstance(output.arguments[0], Number)


def test_a_pass_that_never_ends_is_stopped() -> None:
    def turning(node: Node, workshop: Workshop) -> Node | None:
        if isinstance(node, Map) and node.function == "multiply":
            return workshop.map("multiply", node.arguments[::-1], node)
        return None

    made = rewritten(program([X * Y], ARRAYS), [Pass("turning", turning)])
    assert len(made.graph.nodes) == 3


def test_labels_and_sizes_stay_right() -> None:
    scores = (contract("i j, j k -> i k", X, tensor("W", "j k")) * 1).called("scores")
    arrays = ARRAYS | {"W": np.ones((3, 4))}
    made = improved([scores - 0, contract("k i -> i k", contract("i k -> k i", scores))], arrays)
    for node in made.graph.nodes:
        assert len(made.shapes[node]) == len(node.axes)
        assert made.dtypes[node]
        if isinstance(node, Contract):
            assert made.problems[node].result_shape == made.shapes[node]


def test_equal_values_are_one_node() -> None:
    twice = [applied("exp", X * Y) + 1, applied("exp", X * Y) * 2]
    made = improved(twice, ARRAYS)
    assert sum(isinstance(n, Map) and n.function == "exp" for n in made.graph.nodes) == 1


def test_inputs_are_not_returned_themselves() -> None:
    (plain, made), *_ = both([X * 1], ARRAYS)
    assert (plain == made).all()
    given = program([X * 1], ARRAYS)
    assert rewritten(given, PASSES).graph.wanted[0] not in given.graph.inputs


def test_nodes_of_a_new_kind_are_left_alone() -> None:
    @dataclass(frozen=True, eq=False, repr=False)
    class Doubled(Node):
        """Twice what it reads."""

        source: Node = field(default_factory=lambda: Number(()))

        @property
        def sources(self) -> tuple[Node, ...]:
            return (self.source,)

        def over(self, sources: tuple[Node, ...], change: Mapping[Node, Node]) -> Doubled:
            return replace(self, source=sources[0])

    def doubled(node: Node, workshop: Workshop) -> Node | None:
        if isinstance(node, Map):
            made = Doubled(node.axes, source=node.arguments[0])
            workshop.fresh.add(made)
            workshop.shapes[made], workshop.dtypes[made] = workshop.shapes[node], "float64"
            return made
        return None

    given = program([X + X], ARRAYS)
    assert rewritten(given, [Pass("doubled", doubled)]).graph == given.graph


def _deep(layers: int) -> list[Tensor]:
    h, weights = tensor("h", "b i"), []
    for n in range(layers):
        weights.append(tensor(f"W{n}", "i o"))
        h = applied("max", contract("b i, i o -> b o", h, weights[-1]) * 1, 0).named("b i")
    return [*grad(contract("b i ->", h), weights)]


def test_what_is_judged_does_not_grow_with_the_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(layers: int) -> int:
        calls: list[object] = []

        def counted(*given: Any) -> bool:
            calls.append(given)
            return agree_at_random(*given)

        monkeypatch.setattr(gate, "agree_at_random", counted)
        clear_caches()
        arrays = {"h": np.ones((2, 3))} | {f"W{n}": np.ones((3, 3)) for n in range(layers)}
        improved(_deep(layers), arrays)
        return len(calls)

    assert 0 < judged(24) <= judged(8)
