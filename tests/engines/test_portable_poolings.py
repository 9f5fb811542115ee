"""Poolings by the libraries' own operations: against brute force, and their gradients by ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import evaluate
from strategies import Draw, Problem, seeds

import contractconv as cc
from contractconv import Reduction
from contractconv.engines.portable.divisions import divided
from contractconv.engines.portable.poolings import pooling
from contractconv.execution.foreign.contractions import contracted
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse

REDUCTIONS: tuple[Reduction, ...] = ("sum", "mean", "max", "min")


def fewer(part: int) -> settings:
    """A part of the usual number of examples."""
    return settings(max_examples=max(1, settings().max_examples // part))


@st.composite
def pools(draw: Draw, most: int = 3, spread: bool = True) -> Problem:
    """Windows of one operand, or of the result: strides, dilations, padding, reversed and cut.

    Args:
        most: how many axes windows have.
        spread: whether taps may be apart, and windows may stand in the result.
    """
    extents: dict[str, int] = {}
    windowed, plain = [], []
    for place, tap in list(zip("ijm", "kln", strict=True))[: draw(st.integers(1, most))]:
        extents[place], extents[tap] = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        step = draw(st.sampled_from([1, 2, 2, 3, -1, -2]))
        dilation = draw(st.sampled_from([1, 1, 2, -1])) if spread else 1
        ends = step * (extents[place] - 1), dilation * (extents[tap] - 1)
        offset = draw(st.sampled_from([0, 0, -1, 1])) - sum(min(0, end) for end in ends)
        size = max(1, sum(max(0, e) for e in ends) + offset + draw(st.sampled_from([1, 0, 2, -1])))
        windowed.append((f"({step}*{place}+{dilation}*{tap}+{offset})".replace("+-", "-"), size))
        plain.append((place, extents[place]))
    for name in draw(st.lists(st.sampled_from("bc"), max_size=2, unique=True)):
        extents[name] = draw(st.integers(1, 3))
        windowed.append((name, extents[name]))
        plain.append((name, extents[name]))
    source, result = draw(st.permutations(windowed)), draw(st.permutations(plain))
    if spread and draw(st.integers(0, 3)) == 0:
        source, result = result, source
    texts = [" ".join(text for text, _ in term) for term in (source, result)]
    shapes = [tuple(size for _, size in term) for term in (source, result)]
    return Problem(f"{texts[0]} -> {texts[1]}", (shapes[0],), extents, shapes[1])


def _asked(problem: Problem, reduce: str, operand: Any) -> Any:
    known = resolve(parse(problem.spec), problem.shapes, problem.extents, problem.output_shape)
    return contracted(replace(known, reduce=reduce), [operand])


def _expected(problem: Problem, reduce: Reduction, operand: Any) -> Any:
    return evaluate(problem.spec, [operand], problem.extents, problem.output_shape, reduce)


@pytest.mark.parametrize("dtype", ["float64", "int64", "uint8"])
@fewer(6)
@given(problem=pools(), reduce=st.sampled_from(REDUCTIONS), seed=seeds())
def test_torch_agrees_with_brute_force(
    dtype: str, problem: Problem, reduce: Reduction, seed: int
) -> None:
    torch = pytest.importorskip("torch")
    operand = np.random.default_rng(seed).integers(0, 10, problem.shapes[0]).astype(dtype)
    made = _asked(problem, reduce, torch.tensor(operand)).numpy()
    expected = _expected(problem, reduce, operand)
    assert made.dtype == expected.dtype
    np.testing.assert_allclose(made, expected, rtol=1e-14, atol=0)


@fewer(25)
@given(problem=pools(most=2), reduce=st.sampled_from(REDUCTIONS), seed=seeds())
def test_jax_agrees_with_brute_force(problem: Problem, reduce: Reduction, seed: int) -> None:
    jax = pytest.importorskip("jax")
    operand = np.random.default_rng(seed).integers(-9, 10, problem.shapes[0]).astype(float)
    made = jax.jit(lambda array: _asked(problem, reduce, array))(operand)
    np.testing.assert_allclose(made, _expected(problem, reduce, operand), rtol=1e-14, atol=0)


@fewer(10)
@given(problem=pools(), reduce=st.sampled_from(REDUCTIONS), seed=seeds())
def test_torch_differentiates_them(problem: Problem, reduce: Reduction, seed: int) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)  # of normal numbers no two are alike
    operand, cotangent = (rng.normal(size=s) for s in (problem.shapes[0], problem.output_shape))
    tensor = torch.tensor(operand, requires_grad=True)
    result = _asked(problem, reduce, tensor)
    # Where nothing lands there is an infinity, of which nothing comes back.
    result = torch.where(result.isfinite(), result, 0) + 0 * tensor.sum()
    (made,) = torch.autograd.grad(result, tensor, torch.tensor(cotangent))
    derived = cc.Contraction(problem.spec, reduce).grad(0)
    expected = derived(
        cotangent, operand, output_shape=problem.output_shape, extents=problem.extents
    )
    np.testing.assert_allclose(made.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("spec", ["b (2*i+k-1) (j+l) c -> b i j c", "(3*i+2*k) c -> i"])
def test_jax_differentiates_them(spec: str, reduce: Reduction) -> None:
    jax = pytest.importorskip("jax")
    contraction, extents = cc.Contraction(spec, reduce), {"k": 2, "l": 3}
    extents = {name: size for name, size in extents.items() if name in spec}
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 7, 6, 3) if "l" in extents else (9, 3))
    cotangent = rng.normal(size=contraction(x, extents=extents).shape)
    run = jax.jit(lambda array: contraction(array, extents=extents))
    (made,) = jax.vjp(run, jax.numpy.asarray(x))[1](jax.numpy.asarray(cotangent))
    expected = contraction.grad(0)(cotangent, x, extents=extents)
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-12)


def test_torch_maps_and_checks_them() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(np.random.default_rng(0).normal(size=(2, 6, 7)), requires_grad=True)
    for reduce in REDUCTIONS:
        run = _runner(cc.Contraction("(2*i+k-1) (2*j+2*l) -> i j", reduce))
        assert torch.autograd.gradcheck(run, (x[0],), check_forward_ad=True)
        each = torch.stack([run(one) for one in x])
        torch.testing.assert_close(torch.func.vmap(run)(x), each)


def _runner(contraction: cc.Contraction) -> Any:
    problem = resolve(parse(str(contraction)), [(6, 7)], {"k": 3, "l": 2})
    known = replace(problem, reduce=contraction.reduce)
    return lambda *given: contracted(known, given)


def test_of_equal_values_the_first_one_is_chosen() -> None:
    torch = pytest.importorskip("torch")
    x = torch.zeros(1, 4, 4, dtype=torch.float64, requires_grad=True)
    contraction = cc.Contraction("b (2*i+k) (2*j+l) -> b i j", "max")
    problem = replace(resolve(parse(str(contraction)), [(1, 4, 4)], {"k": 2, "l": 2}), reduce="max")
    (made,) = torch.autograd.grad(contracted(problem, [x]).sum(), x)
    expected = contraction.grad(0)(np.ones((1, 2, 2)), np.zeros((1, 4, 4)), k=2, l=2)
    np.testing.assert_array_equal(made.numpy(), expected)


def test_how_windows_are_read() -> None:
    problem = resolve(parse("b (-2*i+3*k+1) c -> i c b"), [(2, 9, 3)], {"k": 2, "i": 3})
    found = divided(problem, 3)
    assert found is not None
    (taps,) = pooling(found).taps
    assert (taps.stride, taps.step, taps.dilated, taps.turned) == (2, 3, 1, True)
    assert (taps.low, taps.high) == (3, -4)
