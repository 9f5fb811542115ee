"""Steps that one call carries out make what they make one by one, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Draw
from training_steps import NETWORKS, compiled

import contractconv as cc
from contractconv import layers
from contractconv.arrays.run_trace import traced
from contractconv.engines.llvm.kernels import native
from contractconv.execution.programs.compiled import CompiledProgram
from contractconv.execution.programs.stretches import Stretch
from contractconv.layers.part import Part
from contractconv.machine.threads import get_num_threads, set_num_threads

pytestmark = pytest.mark.skipif(not native.available(), reason="without kernels: one by one")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = get_num_threads()
    yield
    set_num_threads(before)


def one_by_one(run: Any, *arrays: Any, **named: Any) -> Any:
    """What comes of a run that somebody listens to: each step is told alone."""
    with traced():
        return run(*arrays, **named)


def assert_same(one: Any, other: Any) -> None:
    for first, second in zip(flat(one), flat(other), strict=True):
        np.testing.assert_array_equal(first, second)
        assert first.dtype == second.dtype
        assert first.shape == second.shape


def assert_close(one: Any, other: Any) -> None:
    for first, second in zip(flat(one), flat(other), strict=True):
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-3 * abs(second).max())


def flat(made: Any) -> list[Any]:
    if isinstance(made, dict):
        made = list(made.values())
    if isinstance(made, list | tuple):
        return [array for one in made for array in flat(one)]
    return [np.asarray(made)]


def stretches(run: CompiledProgram) -> list[Stretch]:
    """Those of the program that was run last."""
    (*_, runner) = run._runners.values()
    return [part for part in runner._ready().parts if isinstance(part, Stretch)]


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_the_same_together(name: str, threads: int) -> None:
    set_num_threads(threads)
    program, arrays = NETWORKS[name]()
    run = compiled(program, arrays)
    alone = one_by_one(run, **arrays)
    for _ in range(3):  # in memory in which something lies
        assert_same(run(**arrays), alone)
    assert sum(len(one.lines) for one in stretches(run)) > 2


def _poolings() -> st.SearchStrategy[Part]:
    kernel, stride = st.integers(2, 3), st.integers(1, 3)
    return st.one_of(
        st.builds(layers.MaxPool, kernel, stride=stride),
        st.builds(layers.AveragePool, kernel, stride=stride),
    )


def _convolutions() -> st.SearchStrategy[Part]:
    kernel, stride, filters = st.integers(1, 3), st.integers(1, 2), st.sampled_from([4, 6, 16])
    return st.one_of(
        st.builds(layers.Conv, filters, kernel, stride=stride, padding=st.integers(0, 2)),
        st.builds(layers.Conv, filters, kernel, padding=st.just("same"), groups=st.just(2)),
        st.builds(layers.Depthwise, kernel, stride=stride),
    )


_PARTS: st.SearchStrategy[Any] = st.one_of(
    _convolutions(),
    _convolutions(),
    _poolings(),
    st.sampled_from(["relu", "tanh", "sigmoid", "gelu"]),
    st.builds(layers.BatchNorm),
    st.builds(layers.LayerNorm),
    st.builds(lambda part: layers.Residual([part, "relu"]), st.just(layers.Depthwise(3))),
)


@st.composite
def _networks(draw: Draw) -> tuple[cc.Network, tuple[int, ...]]:
    parts = draw(st.lists(_PARTS, min_size=2, max_size=6))
    ends = draw(st.sampled_from([[layers.GlobalPool()], [layers.Dense(24, over="h w c"), "relu"]]))
    shape = (draw(st.integers(1, 5)), draw(st.integers(9, 15)), draw(st.integers(9, 15)), 4)
    first = layers.Conv(draw(st.sampled_from([4, 6, 16])), 3, padding=1)
    return cc.Network([first, *parts, *ends, layers.Dense(10)]), shape


@settings(max_examples=max(40, settings().max_examples // 10))
@given(drawn=_networks(), dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0, 99))
def test_drawn_networks_are_the_same_together(
    drawn: tuple[cc.Network, tuple[int, ...]], dtype: str, seed: int
) -> None:
    net, shape = drawn
    rng = np.random.default_rng(seed)
    try:
        params = net.init(rng, shape, dtype=dtype)
    except cc.errors.ContractionError:  # nothing is left of the image
        return
    x, labels = rng.normal(size=shape).astype(dtype), rng.integers(10, size=shape[0])
    alone = one_by_one(net.loss_and_grad, params, x, labels)
    for _ in range(2):
        assert_same(net.loss_and_grad(params, x, labels), alone)


def test_arrays_that_lie_otherwise_are_carried_out_one_by_one() -> None:
    program, arrays = NETWORKS["convolutions"]()
    run = compiled(program, arrays)
    wanted = run(**arrays)
    turned = {name: np.asfortranarray(array) for name, array in arrays.items()}
    spread = {name: np.repeat(array, 2, axis=-1)[..., ::2] for name, array in arrays.items()}
    for others in (turned, spread):
        assert_close(run(**others), wanted)
    assert_same(run(**arrays), wanted)
    frozen = {name: array.copy() for name, array in arrays.items()}
    for array in frozen.values():
        array.setflags(write=False)
    assert_same(run(**frozen), wanted)


def test_arrays_that_begin_between_numbers() -> None:
    program, arrays = NETWORKS["perceptron"]()
    run = compiled(program, arrays)
    wanted = run(**arrays)
    odd = {}
    for name, array in arrays.items():
        raw = np.zeros(array.nbytes + 1, np.uint8)
        odd[name] = np.ndarray(array.shape, array.dtype, raw, 1)
        odd[name][...] = array
        assert not odd[name].flags.aligned
    assert_close(run(**odd), wanted)


def test_threads_share_a_program() -> None:
    program, arrays = NETWORKS["pooled"]()
    run = compiled(program, arrays)
    wanted = run(**arrays)
    with ThreadPoolExecutor(4) as pool:
        for made in pool.map(lambda _: run(**arrays), range(40)):
            assert_same(made, wanted)


def test_many_steps_are_several_stretches() -> None:
    """A call leads to 255 regions of memory at most."""
    h = cc.tensor("x", "b i")
    shapes = {"x": (64, 32)}
    for n in range(160):
        W = cc.tensor(f"W{n}", "i o")
        h = cc.tanh(cc.contract("b i, i o -> b o", h, W)).named("b i")
        shapes[f"W{n}"] = (32, 32)
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=s).astype("f") / 4 for name, s in shapes.items()}
    run = cc.compile(h, dtype="float32")
    alone = one_by_one(run, **arrays)
    assert_same(run(**arrays), alone)
    assert len(stretches(run)) > 1


def test_a_plan_says_which_steps_one_call_carries_out() -> None:
    program, arrays = NETWORKS["convolutions"]()
    plan = compiled(program, arrays).plan
    assert 0 < plan.calls < len(plan.lines) // 4
    assert f"{len(plan.lines)} steps in {plan.calls} calls" in str(plan)
    assert not plan.lines[0].together


def test_a_limit_keeps_steps_apart() -> None:
    program, arrays = NETWORKS["pooled"]()
    run = compiled(program, arrays, memory_limit=64 << 20)
    assert_same(run(**arrays), compiled(program, arrays)(**arrays))
    assert not stretches(run)
    assert run.plan.calls == len(run.plan.lines)


def test_without_kernels_steps_are_carried_out_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    program, arrays = NETWORKS["perceptron"]()
    run = compiled(program, arrays)
    wanted = run(**arrays)
    monkeypatch.setattr(native, "available", lambda: False)
    assert_close(run(**arrays), wanted)
