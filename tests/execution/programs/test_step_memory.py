"""What a plan says that a program takes is what it takes, and arrays lie where they should."""

from __future__ import annotations

import numpy as np
import pytest
from training_steps import NETWORKS, compiled, measured_peak

import contractconv as cc
from contractconv.engines.llvm.kernels import native
from contractconv.machine import memory
from contractconv.machine.threads import get_num_threads, set_num_threads

needs_kernels = pytest.mark.skipif(not native.available(), reason="without kernels: bounds only")


@needs_kernels
@pytest.mark.parametrize("name", NETWORKS)
def test_the_peak_is_predicted(name: str) -> None:
    program, arrays = NETWORKS[name]()
    run = compiled(program, arrays)
    assert measured_peak(run, arrays) == pytest.approx(run.plan.peak, rel=0.1)


@needs_kernels
@pytest.mark.parametrize("name", NETWORKS)
def test_everything_has_the_place_that_was_planned(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory is left as it should be, and kernels ask for nothing beside it."""
    program, arrays = NETWORKS[name]()
    run = compiled(program, arrays)
    asked: list[int | None] = []
    scratch = memory.Lender.scratch

    def listening(lender: memory.Lender, size: int) -> object:
        found = scratch(lender, size)
        asked.append(None if found is not None else size)
        return found

    monkeypatch.setattr(memory.Lender, "scratch", listening)
    for _ in range(2):
        run(**arrays)
    assert set(asked) <= {None}
    (arena,) = run._pool._arenas
    assert not arena.spoiled


def test_a_plan_says_what_is_there_at_each_step() -> None:
    program, arrays = NETWORKS["perceptron"]()
    plan = compiled(program, arrays).plan
    most = max(line.alive for line in plan.lines)
    assert most <= plan.peak <= 1.25 * most
    assert f"{plan.peak / 1e6:.3g} MB at most at once" in str(plan)


@needs_kernels
def test_threads_have_memory_of_their_own() -> None:
    program, arrays = NETWORKS["convolutions"]()
    run, before = compiled(program, arrays), get_num_threads()
    peaks = {}
    try:
        for threads in (1, 2):
            set_num_threads(threads)
            peaks[threads] = run.plan.peak
            assert measured_peak(run, arrays) == pytest.approx(run.plan.peak, rel=0.1)
    finally:
        set_num_threads(before)
    assert peaks[1] <= peaks[2]


def test_shapes_that_change_share_memory() -> None:
    """What is kept for other shapes does not add up."""
    x, W = cc.tensor("x", "b i"), cc.tensor("W", "i o")
    y = cc.relu(cc.contract("b i, i o -> b o", x, W))
    run = cc.compile(cc.contract("b o, b o ->", y, y), [x, W], dtype="float32", W=(256, 256))
    kept = []
    for batch in range(6000, 7000, 50):
        run(np.ones((batch, 256), np.float32), np.ones((256, 256), np.float32))
        kept.append(run._pool._kept())
    assert max(kept) <= 3 * 7000 * 256 * 4
