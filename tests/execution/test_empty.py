"""Nothing along an index or an axis: whatever is asked, there is an answer, and it is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import evaluate, gradient
from strategies import Problem, empties, seeds

import contractconv as cc
from contractconv.planning.trimming import trimmed

REDUCTIONS = ("sum", "mean", "max", "min", "prod", "logsumexp")
DTYPES = ("float64", "float32", "int64", "float16", "complex64")
ALGORITHMS = ("auto", "direct", "toom-cook", "fft", "measure")

drawn = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def operands_of(problem: Problem, seed: int, dtype: str, reduce: str) -> list[Any]:
    return list(problem.operands(seed, 2 if reduce == "prod" else 4, dtype))


def assert_close(made: Any, wanted: Any, dtype: str) -> None:
    tolerance = {"float16": 1e-2, "float32": 1e-4, "complex64": 1e-4}.get(dtype, 1e-9)
    np.testing.assert_allclose(made, wanted, rtol=tolerance, atol=tolerance)


def kinds(reduce: str) -> st.SearchStrategy[str]:
    return st.sampled_from(DTYPES if reduce in ("sum", "mean", "prod") else DTYPES[:-1])


@pytest.mark.parametrize("reduce", REDUCTIONS)
@given(problem=empties(), seed=seeds(), data=st.data())
@drawn
def test_results_and_gradients(
    engine: str, reduce: Any, problem: Problem, seed: int, data: st.DataObject
) -> None:
    dtype = data.draw(kinds(reduce))
    layer = cc.Contraction(problem.spec, reduce=reduce)
    operands = operands_of(problem, seed, dtype, reduce)
    known: Any = {"output_shape": problem.output_shape, **problem.extents}
    limit = data.draw(st.sampled_from([None, 10**6]))
    made = cc.contract(problem.spec, *operands, reduce=reduce, memory_limit=limit, **known)
    wanted = evaluate(problem.spec, operands, problem.extents, problem.output_shape, reduce)
    assert_close(made, wanted, dtype)
    g = problem.cotangent(seed, dtype=dtype)
    compiled = layer.compile(*problem.shapes, dtype=made.dtype, **known)
    assert_close(compiled(*operands), wanted, dtype)
    for n in range(len(operands)):
        slope = gradient(
            problem.spec, n, g, operands, problem.extents, problem.output_shape, reduce
        )
        assert_close(layer.grad(n)(g, *operands, **problem.extents), slope, dtype)
        if made.dtype == g.dtype:
            assert_close(compiled.vjp(n, g, *operands), slope, dtype)


@given(problem=empties(), seed=seeds(), algorithm=st.sampled_from(ALGORITHMS))
@drawn
def test_every_algorithm(engine: str, problem: Problem, seed: int, algorithm: Any) -> None:
    """With nothing to do any of them will do; otherwise one may have no window to work on."""
    operands = operands_of(problem, seed, "float64", "sum")
    known: Any = {"output_shape": problem.output_shape, **problem.extents}
    refused = algorithm in ("toom-cook", "fft") and trimmed(
        cc.Contraction(problem.spec).plan(*problem.shapes, **known).problem
    )
    try:
        made = cc.contract(problem.spec, *operands, algorithm=algorithm, **known)
    except cc.AlgorithmError:
        if not refused:
            raise
        return
    wanted = evaluate(problem.spec, operands, problem.extents, problem.output_shape)
    assert_close(made, wanted, "float64")


@given(problem=empties(), seed=seeds())
@drawn
def test_phases(problem: Problem, seed: int) -> None:
    layer = cc.Contraction(problem.spec)
    operands, g = problem.operands(seed), problem.cotangent(seed)
    for n in range(len(operands)):
        try:
            phases = layer.grad(n).phases()
        except cc.ContractionError:
            continue  # a composition is in the way
        made: Any = sum(phase(g, *operands, **problem.extents) for phase in phases)
        wanted = layer.grad(n)(g, *operands, **problem.extents)
        assert np.array_equal(np.broadcast_to(made, wanted.shape), wanted)


@pytest.mark.parametrize("name", ["i", "k", "c", "o"])
@pytest.mark.parametrize("spec", ["(2*i+k-1) c, k c o -> i o", "i c, k c o -> (2*i+k-1) o"])
def test_proofs_on_nothing_hold(spec: str, name: str) -> None:
    for n in (0, 1):
        assert cc.Contraction(spec).grad(n).verify(extents={name: 0}).checks


@given(problem=empties(), reduce=st.sampled_from(REDUCTIONS))
@settings(max_examples=60)
def test_plans_can_be_read(problem: Problem, reduce: Any) -> None:
    layer = cc.Contraction(problem.spec, reduce=reduce)
    known: Any = {"output_shape": problem.output_shape, **problem.extents}
    plan = layer.plan(*problem.shapes, **known)
    assert str(plan) == repr(plan)
    assert plan._repr_html_().startswith("<article")
    compiled = layer.compile(*problem.shapes, **known)
    for n in range(len(problem.shapes)):
        assert str(compiled.vjp_plan(n))
    if not problem.points or any(0 in shape for shape in problem.shapes):
        assert "no point contributes" in str(plan)


def test_a_batch_without_elements_is_no_error(engine: str) -> None:
    x, w = np.ones((2, 0, 8, 3)), np.ones((2, 2, 3, 4))
    spec = "b (i+k-1) (j+l-1) c, k l c o -> b i j o"
    layer = cc.Contraction(spec)
    y = layer(x, w)
    assert y.shape == (2, 1, 9, 4)
    assert not y.any()
    assert layer.grad(0)(y, x, w).shape == x.shape
    assert not layer.grad(1)(y + 1, x, w).any()
