"""A profile says what ran and how long; a plan can be handed to other programs."""

from __future__ import annotations

import json

import numpy as np
import pytest

import contractconv as cc
from contractconv.arrays.run_trace import trace

CONV = "b (i+k-1) c, k c o -> b i o"


def test_a_profile_tells_every_step_and_adds_up() -> None:
    chain = cc.Contraction("i j, j k, k l -> i l").compile((90, 80), (80, 70), (70, 60))
    arrays = [np.ones(shape) for shape in ((90, 80), (80, 70), (70, 60))]
    profile = chain.profile(*arrays)
    assert [str(p) for one in profile.ran for p in one.problems] == [
        str(step.problem) for step in chain.plan.steps
    ]
    assert all(one.seconds > 0 for one in profile.ran)
    assert sum(one.seconds for one in profile.ran) <= profile.seconds
    lines = str(profile).splitlines()
    assert len(lines) == 2 + len(chain.plan.steps)
    assert lines[0].startswith("everything")
    assert "GFLOP/s" in lines[1]
    assert trace.listening == []


def test_a_gradient_has_a_profile_too() -> None:
    layer = cc.Contraction(CONV).compile((2, 40, 8), (3, 8, 8))
    x, w = np.ones((2, 40, 8)), np.ones((3, 8, 8))
    for n in (0, 1):
        profile = layer.vjp_profile(n, layer(x, w), x, w)
        assert {one.way for one in profile.ran} <= {"compiled kernel", "BLAS", "shift and add"}
        assert profile.ran


def test_who_fails_while_being_profiled_leaves_nobody_listening() -> None:
    layer = cc.Contraction(CONV).compile((2, 40, 8), (3, 8, 8))
    with pytest.raises(cc.ShapeError):
        layer.profile(np.ones((2, 41, 8)), np.ones((3, 8, 8)))
    assert trace.listening == []


def test_a_plan_as_json_says_what_the_plan_says() -> None:
    plan = cc.Contraction("b (i+k-1) (j+l-1) c, k l c o -> b i j o").plan(
        (2, 32, 32, 64), (3, 3, 64, 64), dtype="float32"
    )
    told = json.loads(plan.to_json())
    assert told["extents"] == dict(plan.problem.sizes)
    assert told["result_shape"] == [2, 32, 32, 64]
    assert told["operations"] == plan.flops == sum(s["operations"] for s in told["steps"])
    (step,) = told["steps"]
    assert step["lowering"] == plan.steps[0].lowering
    assert [c["algorithm"] for c in step["candidates"]] == [
        c.name for c in plan.steps[0].choice.candidates
    ]
    seconds = [c["seconds"] for c in step["candidates"]]
    assert seconds[1:] == sorted(seconds[1:])
