"""Which results are made together: small ones, that nothing waits for."""

from __future__ import annotations

import numpy as np
import pytest

import contractconv as cc
from contractconv.execution.programs.runner import Runner
from contractconv.planning.programs import joined_results
from contractconv.planning.programs.joined_results import JoinedResults
from contractconv.planning.programs.steps import MapStep

X, Y, Z = (
    cc.tensor(name, axes, "float32") for name, axes in zip("xyz", ("i j", "j", "k"), strict=True)
)
SHAPES = {"x": (4, 6), "y": (6,), "z": (5,), "w": (64, 6)}


def runner(memory_limit: int | None = None, **outputs: cc.Tensor) -> Runner:
    compiled = cc.compile(outputs, memory_limit=memory_limit)
    return compiled.runner(**{n.name: SHAPES[n.name] for n in compiled.graph.inputs})


def joined(whole: Runner) -> list[int]:
    """How many groups each joined step has."""
    return [len(step.parts) for step in whole.steps if isinstance(step, JoinedResults)]


def alone(whole: Runner) -> int:
    return sum(isinstance(step, MapStep) for step in whole.steps)


def test_results_of_different_axes_are_one_step() -> None:
    whole = runner(a=X * 2.0, b=cc.exp(Y), c=Z - 1.0)
    assert (joined(whole), alone(whole)) == ([3], 0)


def test_one_result_is_a_step_of_maps() -> None:
    whole = runner(a=X * 2.0)
    assert (joined(whole), alone(whole)) == ([], 1)


def test_what_is_read_later_does_not_wait() -> None:
    total = cc.exp(Y)
    whole = runner(a=total, b=Z - 1.0, c=Z.named("m") * 2.0, d=cc.contract("i j, j -> i", X, total))
    assert (joined(whole), alone(whole)) == ([2], 1)


def test_sums_are_steps_of_their_own() -> None:
    made = cc.relu(cc.tensor("w", "m j", "float32"))
    whole = runner(a=made, s=cc.contract("m j -> j", made), b=Y * 2.0, c=Z * 2.0)
    assert (joined(whole), alone(whole)) == ([2], 1)


def test_large_ones_are_steps_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined_results, "_MOST", 23)
    whole = runner(a=X * 2.0, b=cc.exp(Y), c=Z - 1.0)
    assert (joined(whole), alone(whole)) == ([2], 1)


def test_within_a_limit_nothing_waits_for_others() -> None:
    whole = runner(memory_limit=1 << 20, a=X * 2.0, b=cc.exp(Y), c=Z - 1.0)
    assert (joined(whole), alone(whole)) == ([], 3)


def test_the_plan_tells_of_all_of_them() -> None:
    (line,) = runner(a=X * 2.0, b=cc.exp(Y), c=Z - 1.0).plan.lines
    assert line.makes == "a, b, c"
    assert line.does == "multiply; exp; subtract"
    assert line.operations == 24 + 6 + 5
    assert line.moved == 2 * 4 * (24 + 6 + 5)
    assert line.predicted > 0


def test_a_row_of_a_plan_is_not_as_long_as_its_names() -> None:
    names = [f"result_{n}" for n in range(20)]
    outputs = {name: X + float(n) for n, name in enumerate(names, 1)}
    whole = runner(None, **outputs, z=cc.exp(Y))
    assert all(len(row) < 180 for row in str(whole.plan).splitlines())
    assert whole.plan.lines[0].makes == ", ".join([*names, "z"])


def test_numbers_are_those_of_each_by_itself() -> None:
    x, y = np.arange(24, dtype=np.float32).reshape(4, 6), np.ones(6, np.float32)
    whole = runner(a=X * 2.0 + Y, b=Y - 3.0)
    a, b = whole({"x": x, "y": y})
    np.testing.assert_array_equal(a, x * 2 + y, strict=True)
    np.testing.assert_array_equal(b, y - 3, strict=True)
