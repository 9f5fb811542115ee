"""Programs within a memory limit: the same numbers, less memory, or an error before anything."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from training_steps import NETWORKS, compiled, convolutions, measured_peak, perceptron

import contractconv as cc
from contractconv.engines.llvm.kernels import native

needs_kernels = pytest.mark.skipif(not native.available(), reason="without kernels: bounds only")


def refused(message: str) -> int:
    """The bytes that an error says are the least."""
    return int(message.split("the least is ")[1].split(",", maxsplit=1)[0])


@needs_kernels
@pytest.mark.parametrize("make", [perceptron, convolutions])
@pytest.mark.parametrize("share", [0.8, 0.65, 0.5])
def test_networks_fit_half_of_what_they_take(make: Any, share: float) -> None:
    program, arrays = make()
    plain = compiled(program, arrays)
    # Within a limit nothing waits for others: where something did, that alone takes less.
    apart = compiled(program, arrays, memory_limit=plain.plan.peak)
    limit = int(share * apart.plan.peak)
    run = compiled(program, arrays, memory_limit=limit)
    assert run.plan.peak <= limit
    assert measured_peak(run, arrays) <= limit
    for made, wanted in zip(run(**arrays), plain(**arrays), strict=True):
        np.testing.assert_array_equal(made, wanted)
    assert any(line.again for line in run.plan.lines)
    assert "again: " in str(run.plan)


@needs_kernels
@pytest.mark.parametrize("name", NETWORKS)
def test_the_least_is_enough(name: str) -> None:
    program, arrays = NETWORKS[name]()
    plain = compiled(program, arrays)
    with pytest.raises(cc.MemoryLimitError, match="beside its inputs") as error:
        compiled(program, arrays, memory_limit=1000)
    least = refused(str(error.value))
    run = compiled(program, arrays, memory_limit=least)
    assert measured_peak(run, arrays) <= least
    for made, wanted in zip(run(**arrays), plain(**arrays), strict=True):
        np.testing.assert_array_equal(made, wanted)


def test_a_limit_that_is_met_changes_nothing() -> None:
    program, arrays = perceptron()
    plain = compiled(program, arrays)
    run = compiled(program, arrays, memory_limit=2 * plain.plan.peak)
    assert [line.does for line in run.plan.lines] != []
    assert not any(line.again for line in run.plan.lines)


def test_nothing_runs_that_does_not_fit() -> None:
    """Where shapes come with the arrays, a call says so."""
    program, arrays = perceptron()
    run = program.compile(memory_limit=10_000)
    for _ in range(2):
        with pytest.raises(cc.MemoryLimitError, match="a memory limit of 10000 bytes is too small"):
            run(**arrays)


@pytest.mark.parametrize("limit", ["1 MB", -1, 0.5, True, object()])
def test_a_limit_is_a_number_of_bytes(limit: Any) -> None:
    program, _ = perceptron(2)
    with pytest.raises(cc.MemoryLimitError, match="memory_limit is a number of bytes"):
        program.compile(memory_limit=limit)


@pytest.mark.parametrize("limit", [10**7, 1e7, np.int64(10**7), np.float32(1e7)])
def test_whole_numbers_of_any_kind_are_taken(limit: Any) -> None:
    program, arrays = perceptron(2)
    assert compiled(program, arrays, memory_limit=limit).plan.peak <= 10**7


def test_pickles_keep_the_limit() -> None:
    program, arrays = perceptron(2)
    run = pickle.loads(pickle.dumps(program.compile(memory_limit=1000)))
    with pytest.raises(cc.MemoryLimitError):
        run(**arrays)


@needs_kernels
def test_free_sizes_are_planned_anew() -> None:
    program, arrays = perceptron(batch=512)
    peak = compiled(program, arrays).plan.peak
    run = program.compile(x=(None, 64), dtype="float32", memory_limit=int(0.6 * peak))
    for batch in (64, 512, 128):
        given = arrays | {"x": arrays["x"][:batch]}
        assert measured_peak(run, given) <= 0.6 * peak
        for made, wanted in zip(run(**given), program(**given), strict=True):
            np.testing.assert_array_equal(made, wanted)
    with pytest.raises(cc.MemoryLimitError):
        run(**(arrays | {"x": np.ones((4096, 64), np.float32)}))


@needs_kernels
def test_values_without_a_program_are_limited_alike() -> None:
    x, W = cc.tensor("x", "b i"), cc.tensor("W", "i o")
    y = cc.contract("b i, i o -> b o", x, W)
    loss = cc.contract("b o, b o ->", cc.relu(y), cc.exp(y))
    shapes = {"x": (256, 64), "W": (64, 512)}
    outputs = [loss, *cc.grad(loss, [x, W])]
    with pytest.raises(cc.MemoryLimitError):
        cc.compile(outputs, [x, W], dtype="float32", memory_limit=100_000, **shapes)
    run = cc.compile(outputs, [x, W], dtype="float32", memory_limit=10**7, **shapes)
    assert run.plan.peak <= 10**7
