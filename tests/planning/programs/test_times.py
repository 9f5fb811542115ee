"""What steps are expected to take: in seconds, more for more, nothing for what is only seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from program_parts import ready

import contractconv as cc
from contractconv.planning.programs.steps import Step, ViewStep
from contractconv.planning.programs.times import seconds_of
from contractconv.planning.setting import COMMON


def steps(outputs: dict[str, cc.Tensor], **shapes: tuple[int, ...]) -> tuple[Any, list[Step]]:
    runner = ready(outputs, **{name: np.zeros(shape) for name, shape in shapes.items()})
    return runner.program, runner.steps


def seconds(output: cc.Tensor, threads: int = 2, **shapes: tuple[int, ...]) -> float:
    program, found = steps({"y": output}, **shapes)
    machine = replace(COMMON, threads=threads)
    return sum(seconds_of(step, None, program, machine) for step in found)


def test_more_numbers_take_longer() -> None:
    x = cc.tensor("x", "b c")
    few, many = (seconds(cc.exp(x) * 2.0, x=(n, 1000)) for n in (100, 10_000))
    assert 0 < few < many / 10


def test_threads_share_what_is_large() -> None:
    x = cc.tensor("x", "b c")
    one, four = (seconds(cc.exp(x), threads=n, x=(4000, 1000)) for n in (1, 4))
    assert one == pytest.approx(4 * four, rel=0.05)
    one, four = (seconds(cc.exp(x), threads=n, x=(4, 10)) for n in (1, 4))
    assert one == four


def test_series_take_longer_than_sums() -> None:
    x = cc.tensor("x", "b c")
    assert seconds(x + 1.0, x=(2000, 999)) < seconds(cc.tanh(cc.exp(cc.sin(x))), x=(2000, 999))


def test_what_is_only_seen_takes_no_time() -> None:
    x = cc.tensor("x", "b c")
    rows = cc.contract("b (c+1) -> b c", x, c=3)
    program, found = steps({"y": cc.contract("b c, b c ->", rows, rows)}, x=(9, 5))
    views = [step for step in found if isinstance(step, ViewStep)]
    assert views
    assert all(seconds_of(step, None, program, COMMON) == 0 for step in views)


def test_a_plan_tells_it_and_a_profile_beside_what_was_taken() -> None:
    x, w = cc.tensor("x", "b i"), cc.tensor("w", "i o")
    run = cc.compile({"y": cc.tanh(cc.contract("b i, i o -> b o", x, w))})
    arrays = np.ones((64, 32)), np.ones((32, 16))
    plan = run.runner(x=(64, 32), w=(32, 16)).plan
    assert all(line.predicted > 0 for line in plan.lines)
    assert plan.predicted == sum(line.predicted for line in plan.lines)
    assert "expected" in str(plan)
    assert "taken" not in str(plan)
    assert "taken" in str(run.profile(*arrays))
