"""What is derived of a program whose results are kept equals what is derived of it at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import Phase, settings
from hypothesis import given as drawn
from hypothesis import strategies as st
from programs.programs_strategy import Trial, programs
from strategies import filled

from contractconv.execution.programs.compiled import CompiledProgram
from contractconv.programs.batched import batched
from contractconv.programs.carried_sizes import carried_sizes
from contractconv.programs.derived_programs import (
    Derived,
    changing_inputs,
    changing_results,
    pullback,
    pushforward,
    saving,
)
from contractconv.programs.gradients import gradients, tangents
from contractconv.programs.nodes import Input
from contractconv.programs.program import Graph
from contractconv.programs.sizing import sized
from contractconv.programs.text.reader import read
from contractconv.programs.text.writer import write

DEEP = settings.default.max_examples > 300  # type: ignore[union-attr]
# To shrink a program takes minutes; those that are drawn are small, and print as they are.
looks = settings(
    max_examples=2000 if DEEP else 12,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    report_multiple_bugs=False,
)


def graph_of(trial: Trial) -> Graph:
    """The loss, and what it is made of."""
    return Graph.of({"loss": trial.loss.tensor._node, "made": trial.output.tensor._node})


def arrays_of(trial: Trial, graph: Graph) -> list[Any]:
    """What it is given, as floating-point numbers where these are meant."""
    arrays = [trial.program.arrays[node.name] for node in graph.inputs]
    return [a.astype("float64") if a.dtype.kind in "fcO" else a for a in arrays]


def run(graph: Graph, arrays: list[Any]) -> list[Any]:
    """Write a program, read it again, and carry it out."""
    compiled = CompiledProgram(read(write(graph)), dtype="float64", single=False)
    return [np.asarray(result) for result in compiled(*arrays)]


def taken(derived: Derived, inputs: list[Any], results: list[Any], changes: list[Any]) -> list[Any]:
    """What a derived program takes; where sizes alone are read, nothing else is there."""
    groups = {"input": inputs, "result": results, "change": changes}
    arrays = [groups[what][number] for what, number, _ in derived.takes]
    return [
        array if one.read else np.full_like(array, 99)
        for array, one in zip(arrays, derived.takes, strict=True)
    ]


def assert_alike(found: list[Any], wanted: list[Any]) -> None:
    """The same numbers, but for what was rounded in another order."""
    for made, expected in zip(found, wanted, strict=True):
        scale = 1 + np.abs(expected[np.isfinite(expected)]).max(initial=0)
        np.testing.assert_allclose(made, expected, rtol=1e-9, atol=1e-9 * scale)


@looks
@drawn(trial=programs())
def test_what_comes_back_is_made_of_kept_results(trial: Trial) -> None:
    graph = graph_of(trial)
    wrt, arrays = changing_inputs(graph), arrays_of(trial, graph)
    whole = saving(graph, wrt)
    results = run(whole, arrays)
    given = tuple(n < 2 and able for n, able in enumerate(changing_results(whole)))
    changes = [filled(result.shape, 7 + n, 2, "float64") for n, result in enumerate(results)]
    derived = pullback(whole, wrt, given)
    found = run(derived.graph, taken(derived, arrays, results, changes)) if derived.makes else []
    ends = [n for n, comes in enumerate(given) if comes]
    cotangents = [Input(graph.wanted[n].axes, name=f"c{n}") for n in ends]
    sources = [graph.inputs[n] for n in derived.makes]
    nodes = gradients([graph.wanted[n] for n in ends], cotangents, sources)
    if nodes:
        direct = Graph.of(
            {f"d{n}": node for n, node in enumerate(nodes)}, [*graph.inputs, *cotangents]
        )
        assert_alike(found, run(direct, [*arrays, *(changes[n] for n in ends)]))


@looks
@drawn(trial=programs())
def test_tangents_are_made_of_results_that_are_there(trial: Trial) -> None:
    graph = graph_of(trial)
    moving, arrays = changing_inputs(graph), arrays_of(trial, graph)
    results = run(graph, arrays)
    changes = [filled(array.shape, 7 + n, 2, "float64") for n, array in enumerate(arrays)]
    derived = pushforward(graph, moving)
    if not derived.makes:
        return
    found = run(derived.graph, taken(derived, arrays, results, changes))
    sources = [node for node, moves in zip(graph.inputs, moving, strict=True) if moves]
    along = [Input(node.axes, name=f"d_{node.name}") for node in sources]
    nodes = tangents([graph.wanted[n] for n in derived.makes], sources, along)
    direct = Graph.of({f"t{n}": node for n, node in enumerate(nodes)}, [*graph.inputs, *along])
    moved = [change for change, moves in zip(changes, moving, strict=True) if moves]
    assert_alike(found, run(direct, [*arrays, *moved]))


@looks
@drawn(trial=programs(), chosen=st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_program_for_many_makes_what_it_makes_for_each(trial: Trial, chosen: list[bool]) -> None:
    graph = graph_of(trial)
    has = [chosen[n % 5] for n in range(len(graph.inputs))]
    arrays = arrays_of(trial, graph)
    # Others that are as small, and of the same sign.
    many = [[array, np.roll(array, 1), array] for array in arrays]
    names = {node.name for node, found in zip(graph.inputs, has, strict=True) if found}
    whole, along = batched(graph, names)
    stacked = [np.stack(m) if found else m[0] for m, found in zip(many, has, strict=True)]
    made = run(whole, stacked)
    for n in range(3):
        each = run(graph, [m[n] if found else m[0] for m, found in zip(many, has, strict=True)])
        parts = [result[n] if found else result for result, found in zip(made, along, strict=True)]
        assert_alike(parts, each)


@looks
@drawn(trial=programs())
def test_carried_sizes_are_those_of_results_whatever_they_are(trial: Trial) -> None:
    graph = graph_of(trial)
    carried = carried_sizes(graph)
    before = {node.name: trial.program.arrays[node.name].shape for node in graph.inputs}
    assert_carried(graph, carried, before)
    # Any other size is carried likewise, whatever the others are.
    pairs = zip(graph.inputs, carried.inputs, strict=True)
    other = {
        node.name: tuple(
            size if n is None else 11 + n for size, n in zip(before[node.name], axes, strict=True)
        )
        for node, axes in pairs
    }
    assert_carried(graph, carried, other)


def assert_carried(graph: Graph, carried: Any, shapes: dict[str, tuple[int, ...]]) -> None:
    """Results have the sizes that inputs had."""
    sizes = {
        n: size
        for node, axes in zip(graph.inputs, carried.inputs, strict=True)
        for n, size in zip(axes, shapes[node.name], strict=True)
    }
    found = sized(graph, shapes)
    for node, axes in zip(found.graph.wanted, carried.results, strict=True):
        for n, size in zip(axes, found.shapes[node], strict=True):
            assert n is None or sizes[n] == size
