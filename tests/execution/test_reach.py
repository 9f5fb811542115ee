"""Memory grows with operands and result, not with strides, dilations and offsets."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import evaluate, gradient
from strategies import filled, seeds

import contractconv as cc

FAR = (10**5 + 3, 10**7, 10**9)
STEPS = st.sampled_from([1, 2, 3, *FAR, FAR[-1] + 1]).flatmap(lambda n: st.sampled_from([n, -n]))
REDUCTIONS = ("sum", "mean", "max", "min", "prod", "logsumexp")
SIZE = st.integers(1, 7)


def peak(call: Callable[[], Any]) -> tuple[Any, int]:
    """What a call returns, and the bytes that were in use at the worst moment.

    It is called once before, as what is compiled and derived then stays.
    """
    call()
    tracemalloc.start()
    try:
        made = call()
        return made, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def assert_small(most: int, *arrays: Any) -> None:
    assert most <= 8 * sum(np.asarray(array).nbytes for array in arrays) + (1 << 20)


@st.composite
def far_axes(draw: Callable[[Any], Any], *names: str) -> str:
    """An axis over two indices that reaches far, but is met by some values of them."""
    steps = [draw(STEPS) for _ in names]
    offset = draw(st.integers(-3, 3)) - sum(step * draw(st.integers(0, 4)) for step in steps)
    terms = [f"{step}*{name}" for step, name in zip(steps, names, strict=True)]
    divisor = draw(st.sampled_from([1, 1, 1, 2, 10**9]))
    text = "+".join([*terms, str(offset)]).replace("+-", "-")
    return f"({text})" if divisor == 1 else f"(({text})/{divisor})"


@pytest.mark.parametrize("reduce", REDUCTIONS)
@given(
    axis=far_axes("i", "k"), sizes=st.tuples(SIZE, SIZE, SIZE), form=st.integers(0, 3), seed=seeds()
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_far_windows_and_scatters(
    engine: str, reduce: Any, axis: str, sizes: tuple[int, int, int], form: int, seed: int
) -> None:
    n, i, k = sizes
    spec, shapes, output = (
        (f"{axis} c, k c -> i", ((n, 2), (k, 2)), (i,)),
        (f"{axis} -> i", ((n,),), (i,)),
        (f"i c, k c -> {axis}", ((i, 2), (k, 2)), (n,)),
        (f"i k -> {axis}", ((i, k),), (n,)),
    )[form]
    extents: Any = {"i": i, "k": k} | ({"c": 2} if " c" in spec else {})
    operands = [filled(shape, seed + m, 2, "float64") for m, shape in enumerate(shapes, 1)]
    g = filled(output, seed, 2, "float64")
    layer = cc.Contraction(spec, reduce=reduce)
    made, most = peak(lambda: layer(*operands, output_shape=output, **extents))
    assert_small(most, *operands, made)
    np.testing.assert_allclose(made, evaluate(spec, operands, extents, output, reduce), atol=1e-12)
    for m in range(len(operands)):
        made, most = peak(partial(layer.grad(m), g, *operands, **extents))
        assert_small(most, *operands, g)
        wanted = gradient(spec, m, g, operands, extents, output, reduce)
        np.testing.assert_allclose(made, wanted, atol=1e-12)


@pytest.mark.parametrize("far", FAR)
@pytest.mark.parametrize(
    "spec",
    [
        "b (i+{0}*k) (j+{0}*l) c, k l c o -> b i j o",
        "b (i+{0}*k-{0}) (j-{0}*l+{0}) c, k l c o -> b i j o",
        "b ({0}*i+k-{0}) (j+l-{0}) c, k l c o -> b i j o",
        "b ({0}*i-{0}*k) (j+l-1) c, k l c o -> b i j o",
    ],
)
def test_layers(engine: str, spec: str, far: int) -> None:
    layer = cc.Contraction(spec.format(far))
    x, w = filled((2, 40, 40, 8), 1, 4, "float32"), filled((3, 3, 8, 8), 2, 4, "float32")
    extents: Any = {"i": 40, "j": 40}
    for algorithm in ("auto", "direct"):
        made, most = peak(partial(layer, x, w, algorithm=algorithm, **extents))
        assert_small(most, x, w, made)
    whole = layer(x.astype("float64"), w.astype("float64"), **extents)
    np.testing.assert_allclose(made, whole, rtol=1e-4, atol=1e-4)
    run = layer.compile(x.shape, w.shape, dtype="float32", **extents)
    for n in (0, 1):
        _, most = peak(partial(run.vjp, n, made, x, w))
        assert_small(most, x, w, made)


def test_offsets_beyond_an_array_leave_zeros(engine: str) -> None:
    for offset in ("+1000000000", "-1000000000", "-999999999999999999"):
        made = cc.contract(f"(i+k{offset}), k -> i", np.ones(9), np.ones(3), i=4)
        assert made.tolist() == [0, 0, 0, 0]
    made = cc.contract("(i+k-1000000000) -> i", np.ones(9), reduce="max", i=4, k=3)
    assert made.tolist() == [-np.inf] * 4
    made = cc.contract("i, k -> (i+1000000000*k)", [1, 2], [3, 4], output_shape=(3,))
    assert made.tolist() == [3, 6, 0]


@pytest.mark.parametrize("far", FAR[1:])
@pytest.mark.parametrize("spec", ["(i+{0}*k), k -> i", "i, k -> (i+{0}*k)"])
def test_proofs_are_refused_before_memory_is_taken(spec: str, far: int) -> None:
    with pytest.raises(cc.ShapeError, match="too large to be checked element by element"):
        cc.Contraction(spec.format(far)).grad(0).verify()
    # Where most taps are beyond an array of few elements, proofs are as small as it is.
    assert cc.Contraction(f"(i+k-{far}), k -> i").grad(0).verify().checks
