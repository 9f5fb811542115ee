"""Derived gradients as rules of jax: against numpy's, and against what jax derives itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from strategies import Problem, problems, seeds, windows

import contractconv as cc
from contractconv import Reduction

jax = pytest.importorskip("jax")
jnp = jax.numpy

REDUCTIONS: tuple[Reduction, ...] = ("sum", "mean", "max", "min", "prod", "logsumexp")


@pytest.fixture(autouse=True)
def _wide() -> Any:
    with jax.enable_x64(True):
        yield


def close(found: Any, expected: Any) -> None:
    found = np.asarray(found)
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-8, atol=1e-8)


@settings(max_examples=max(3, settings().max_examples // 100), phases=[Phase.generate])
@given(problem=st.one_of(windows(), problems()), reduce=st.sampled_from(REDUCTIONS), seed=seeds())
def test_any_contraction(problem: Problem, reduce: Reduction, seed: int) -> None:
    with jax.enable_x64(True):
        _check_contraction(problem, reduce, seed)


def _check_contraction(problem: Problem, reduce: Reduction, seed: int) -> None:
    contraction = cc.Contraction(problem.spec, reduce=reduce)
    told = {**problem.extents, "output_shape": problem.output_shape}
    operands = problem.operands(seed, problem.bound(reduce), "float64")
    cotangent = problem.cotangent(seed, dtype="float64")

    def all_of_it(cotangent: Any, *operands: Any) -> Any:
        function = cc.jax.derived(contraction)
        made, back = jax.vjp(lambda *given: function(*given, **told), *operands)
        _, change = jax.jvp(lambda *given: function(*given, **told), operands, operands)
        return made, back(cotangent), change

    made, back, change = jax.jit(all_of_it)(cotangent, *operands)
    close(made, contraction(*operands, **told))
    dots = 0.0
    for n, found in enumerate(back):
        close(found, contraction.grad(n)(cotangent, *operands, **told))
        dots += float((np.asarray(found) * operands[n]).sum())
    finite = np.isfinite(np.asarray(change)).all()
    if finite:  # both modes are transposes of each other
        close((np.asarray(change) * cotangent).sum(), dots)


@pytest.mark.parametrize("reduce", ["sum", "logsumexp"])
def test_second_derivatives_are_those_that_jax_derives(reduce: Reduction) -> None:
    contraction = cc.Contraction("(2*i+k-1) c, k c -> i", reduce=reduce)
    rng = np.random.default_rng(1)
    x, w = jnp.asarray(rng.standard_normal((5, 2))), jnp.asarray(rng.standard_normal((2, 2)))

    def hessians(function: Any) -> Any:
        return jax.hessian(lambda *given: (function(*given) ** 2).sum(), (0, 1))(x, w)

    found = jax.jit(lambda: hessians(cc.jax.derived(contraction)))()
    expected = jax.jit(lambda: hessians(contraction))()
    jax.tree.map(close, found, expected)


def test_the_backward_pass_is_the_derived_string() -> None:
    conv = cc.Contraction("b (i+k-1) c, k c o -> b i o")
    function = cc.jax.derived(conv)
    x, w = jnp.ones((2, 5, 3)), jnp.ones((3, 3, 4))
    text = str(jax.make_jaxpr(jax.grad(lambda x: function(x, w).sum()))(x))
    assert str(conv.grad(0).scatter) in text


def test_many_examples_are_an_index_more() -> None:
    function = cc.jax.derived(cc.Contraction("(i+k), k -> i"))
    xs, w = jnp.arange(12.0).reshape(2, 6), jnp.array([1.0, 2.0])
    close(jax.vmap(function, (0, None))(xs, w), [np.correlate(x, w, "valid") for x in xs])
    text = str(jax.make_jaxpr(jax.vmap(function, (0, None)))(xs, w))
    assert "example (i+k), k -> example i" in text
