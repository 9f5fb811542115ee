"""Random programs against the witness: values, gradients, Jacobians and Hessians times vectors.

With HYPOTHESIS_PROFILE=deep, 10,000 programs are shared out over the trials, new ones each time; it
takes about five minutes of one processor. A program that is found to be wrong is printed as the
code that makes it, and is not made shorter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from hypothesis import Phase, assume, settings
from hypothesis import given as drawn
from programs.checks import (
    Expected,
    assert_exact,
    assert_near,
    derived,
    directions,
    expected,
    gauss_newton_expected,
    given,
    run,
    variable,
)
from programs.dtypes import dtype_of
from programs.evaluator import Evaluation
from programs.jet_arrays import exact, gradient, inner, variables
from programs.jets import Fragile, value_of
from programs.programs_strategy import Trial, programs
from strategies import filled, seeds

from contractconv.api.symbolic import gauss_newton, grad
from contractconv.api.tensor import tensor
from contractconv.maps.table import MAPS
from contractconv.programs.nodes import Cast, in_order
from contractconv.programs.program import Graph
from contractconv.programs.text.reader import read
from contractconv.programs.text.writer import write

ORDERED = {name for name, record in MAPS.items() if record.ordered}
DEEP = settings.default.max_examples > 300  # type: ignore[union-attr]
EXAMPLES = 10_000 if DEEP else 400
# To shrink a program takes minutes; those that are drawn are small, and print as they are.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


def looks(percent: int) -> settings:
    """How many of the programs a test tries."""
    examples = EXAMPLES * percent // 100
    return settings(max_examples=examples, phases=PHASES, report_multiple_bugs=False)


@looks(20)
@drawn(trial=programs(smooth=False))
def test_derived_programs_are_exact(trial: Trial) -> None:
    """The library's derived programs, carried out in fractions, give the derivatives exactly."""
    wanted = _expected(trial)
    evaluation = Evaluation(given(trial, wanted.tangents))
    for what, found in derived(trial).items():
        assert_exact(evaluation(found._node), wanted.arrays[what], what)


@looks(25)
@drawn(trial=programs())
def test_compiled_programs_give_what_they_say(trial: Trial) -> None:
    wanted = _expected(trial)
    outputs = derived(trial) | {n: v.tensor for n, v in trial.program.named.items() if n[0] == "v"}
    arrays = given(trial, wanted.tangents)
    plain = Evaluation(trial.program.arrays)
    for what, found in run(outputs, arrays).items():
        witness = wanted.arrays.get(what)
        exact = plain(outputs[what]._node) if witness is None else witness
        assert_near(found, exact, what, 1e-9)
        node = outputs[what]._node
        # A derivative has the numbers of what it belongs to, however it came about.
        dtype = dtype_of(node, "float64") if witness is None else "float64"
        assert found.dtype == np.dtype(dtype), what


@looks(10)
@drawn(trial=programs(most=4))
def test_programs_of_single_precision(trial: Trial) -> None:
    assume(not _converts(trial))  # to numbers of double precision
    wanted = _expected(trial)
    outputs = derived(trial)
    results = run(outputs, given(trial, wanted.tangents), "float32")
    largest = max(float(abs(n)) for a in wanted.arrays.values() for n in [*a.ravel(), 0])
    for what, found in results.items():
        assert found.dtype == np.float32, what
        assert_near(found, wanted.arrays[what], what, 1e-4 * (1 + largest))


@looks(10)
@drawn(trial=programs(smooth=False), seed=seeds())
def test_cotangents(trial: Trial, seed: int) -> None:
    """What comes back to inputs, if any numbers come back to a value with axes."""
    arrays, output = trial.program.arrays, trial.output
    values = _refused_fragile(
        lambda: Evaluation(variables(arrays, list(directions(trial))))(output.tensor._node)
    )
    back = filled(values.shape, seed, 2, "float64")
    wrt = variable(trial)
    cotangent = tensor("back", output.axes)
    made = grad(output.tensor, [v.tensor for v in wrt.values()], cotangent)
    evaluation = Evaluation(arrays | {"back": back})
    for name, found in zip(wrt, made, strict=True):
        wanted = gradient(inner(values, exact(back)), name, arrays[name].shape)
        assert found.axes == wrt[name].axes
        assert_exact(evaluation(found._node), wanted, name)


@looks(10)
@drawn(trial=programs(most=4))
def test_gauss_newton(trial: Trial) -> None:
    """``J' H J v``, with the Hessian of the loss by the output alone."""
    wanted = _refused_fragile(lambda: gauss_newton_expected(trial))
    wrt = variable(trial)
    along = [tensor(f"d_{name}", value.axes) for name, value in wrt.items()]
    tensors = [value.tensor for value in wrt.values()]
    made = gauss_newton(trial.loss.tensor, trial.output.tensor, tensors, along)
    evaluation = Evaluation(given(trial, directions(trial)))
    for name, found in zip(wrt, made, strict=True):
        value = _refused_fragile(lambda node=found._node: evaluation(node))  # type: ignore[misc]
        assert_exact(value, wanted[name], name)


@looks(10)
@drawn(trial=programs(smooth=False, most=4), seed=seeds())
def test_complex_numbers(trial: Trial, seed: int) -> None:
    """Inputs turned in the complex plane; of what no order is asked, everything is as before."""
    names = [name for name, array in trial.program.arrays.items() if array.dtype.kind == "f"]
    functions = {getattr(n, "function", "") for n in in_order([trial.loss.tensor._node])}
    reductions = {n.spec.reduce for n in in_order([trial.loss.tensor._node]) if hasattr(n, "spec")}
    assume(not functions & ORDERED and reductions <= {"sum", "prod", "mean"})
    assume(not _converts(trial))  # to real numbers
    arrays = dict(trial.program.arrays)
    for n, name in enumerate(names):
        arrays[name] = filled(arrays[name].shape, seed + n + 1, 2, "complex128")
    loss = Evaluation(variables(arrays, names))(trial.loss.tensor._node)[()]
    wrt = variable(trial)
    outputs = dict(zip(names, grad(trial.loss.tensor, [wrt[n].tensor for n in names]), strict=True))
    for name, found in run(outputs | {"loss": trial.loss.tensor}, arrays, "complex128").items():
        wanted = exact(value_of(loss)) if name == "loss" else None
        whole = gradient(loss, name, arrays[name].shape) if wanted is None else wanted
        assert_near(found, whole, name, 1e-9)
        assert found.dtype == np.complex128


def _converts(trial: Trial) -> bool:
    """Whether a program converts numbers."""
    nodes = in_order([trial.loss.tensor._node])
    return any(isinstance(node, Cast) and node.dtype is not None for node in nodes)


@looks(15)
@drawn(trial=programs())
def test_texts_are_read_as_what_was_written(trial: Trial) -> None:
    """Forward and derived programs, as graphs and as texts, and the text once more."""
    graph = Graph.of({name: made._node for name, made in derived(trial).items()})
    text = write(graph)
    again = read(text)
    assert again.wanted == graph.wanted
    assert [node.key for node in again.inputs] == [node.key for node in graph.inputs]
    assert write(again) == text


def test_most_of_what_is_drawn_is_kept() -> None:
    """Programs are not all alike, and few steps are refused."""
    trials: list[Trial] = []

    @settings(max_examples=150, database=None, derandomize=True, phases=PHASES)
    @drawn(trial=programs())
    def draw(trial: Trial) -> None:
        trials.append(trial)

    draw()
    text = "\n".join(map(repr, trials))
    assert np.mean([len(trial.program.lines) for trial in trials]) > 5
    for kind in ("contract", "index", "where", "named", "at(", "concatenated", "reduce='max'",
                 "output_shape", "->", "size(", "logsumexp", "int64", "(0, ", "bool", "grad(",
                 "jvp("):  # fmt: skip
        assert kind in text, kind


Made = TypeVar("Made")


def _expected(trial: Trial) -> Expected:
    return _refused_fragile(lambda: expected(trial))


def _refused_fragile(work: Callable[[], Made]) -> Made:
    """What is worked out, if no decision hangs on a rounding."""
    try:
        return work()
    except Fragile:
        assume(False)
        raise
