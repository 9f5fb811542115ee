"""Random programs against the witness: values, gradients, Jacobians and Hessians times vectors."""

from __future__ import annotations

import numpy as np
from programs.checks import (
    assert_exact,
    assert_near,
    derived,
    expected,
    given,
    run,
    variable,
)
from programs.dtypes import dtype_of
from programs.evaluator import Evaluation
from hypothesis import assume, settings
from hypothesis import given as drawn
from programs.jets import Fragile
from programs.programs_strategy import Trial, programs

EXAMPLES = 10_000 if settings.default.max_examples > 300 else 150  # type: ignore[union-attr]


@settings(max_examples=EXAMPLES)
@drawn(trial=programs(smooth=False))
def test_derived_programs_are_exact(trial: Trial) -> None:
    """The library's derived programs, carried out in fractions, give the derivatives exactly."""
    wanted = _expected(trial)
    evaluation = Evaluation(given(trial, wanted.tangents))
    for what, found in derived(trial).items():
        assert_exact(evaluation(found._node), wanted.arrays[what], what)


@settings(max_examples=EXAMPLES)
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


@settings(max_examples=EXAMPLES // 3)
@drawn(trial=programs(most=4))
def test_programs_of_single_precision(trial: Trial) -> None:
    wanted = _expected(trial)
    outputs = derived(trial)
    results = run(outputs, given(trial, wanted.tangents), "float32")
    largest = max(float(abs(n)) for a in wanted.arrays.values() for n in [*a.ravel(), 0])
    for what, found in results.items():
        assert found.dtype == np.float32, what
        assert_near(found, wanted.arrays[what], what, 1e-4 * (1 + largest))


def test_gradients_are_called_and_shaped_as_what_they_belong_to() -> None:
    @settings(max_examples=20)
    @drawn(trial=programs())
    def check(trial: Trial) -> None:
        for name, value in variable(trial).items():
            assert derived(trial)[f"grad_{name}"].axes == value.axes

    check()


def _expected(trial: Trial):  # type: ignore[no-untyped-def]
    try:
        return expected(trial)
    except Fragile:
        assume(False)
