"""Compiled contractions: an algorithm that the forward pass takes, the backward pass takes, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc

LAYERS: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("b (i+k) c, k c o -> b i o", ((2, 9, 2), (3, 2, 2))),
    ("b (2*i+k-1) c, k c o -> b i o", ((2, 9, 2), (3, 2, 2))),
    ("b (3*i+k) c, k c o -> b i o", ((2, 9, 2), (3, 2, 2))),
    ("b (i+2*k) c, k c -> b i c", ((2, 9, 2), (3, 2))),
    ("b (2*i+3*k), k -> b i", ((2, 9), (3,))),
    ("b i c, k c o -> b (2*i+k) o", ((2, 9, 2), (3, 2, 2))),
    ("b (i+k) (j+l) c, k c o, l o -> b i j o", ((2, 9, 9, 2), (3, 2, 2), (3, 2))),
]


@pytest.mark.parametrize("algorithm", ["fft", "toom-cook", "measure", "direct"])
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("reduce", ["sum", "max", "mean", "logsumexp"])
@pytest.mark.parametrize(("spec", "shapes"), LAYERS)
def test_what_is_compiled_forward_is_compiled_backward(
    spec: str,
    shapes: tuple[tuple[int, ...], ...],
    reduce: cc.Reduction,
    dtype: str,
    algorithm: cc.Algorithm,
) -> None:
    layer = cc.Contraction(spec, reduce)
    operands: list[Any] = [
        (np.arange(np.prod(shape)) % 3).reshape(shape).astype(dtype) for shape in shapes
    ]
    try:
        run = layer.compile(*shapes, dtype=dtype, algorithm=algorithm)
    except cc.AlgorithmError:
        return  # it is refused before anything is compiled
    cotangent = np.ones(run(*operands).shape, dtype)
    exact = [operand.astype(float) for operand in operands]
    for n in range(len(operands)):
        result = run.vjp(n, cotangent, *operands)
        expected = layer.grad(n)(cotangent.astype(float), *exact)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
        if f"algorithm: '{algorithm}' has nothing to work on here: direct" in str(run.vjp_plan(n)):
            with pytest.raises(cc.AlgorithmError, match="has nothing to work on"):
                layer.grad(n)(cotangent, *operands, algorithm=algorithm)


def test_the_plan_says_where_the_algorithm_does_not_apply() -> None:
    layer = cc.Contraction("b (3*i+k) c, k c o -> b i o")
    run = layer.compile((2, 9, 2), (3, 2, 2), algorithm="fft")
    assert "algorithm 'fft'" not in str(run.plan)
    assert "algorithm: 'fft' has nothing to work on here: direct" in str(run.vjp_plan(0))


LAYER, LIE = "b (i+k-1) c, k c o -> b i o", ((2, 9, 5), (3, 5, 4))
REDUCED = ("sum", "mean", "max", "prod", "logsumexp")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex128", "int64"])
@pytest.mark.parametrize("reduce", REDUCED)
def test_gradients_are_the_same_when_they_are_asked_for_again(reduce: Any, dtype: str) -> None:
    """What a call leaves ready is for arrays that lie alike; others are taken as they are."""
    if dtype == "complex128" and reduce in ("max", "logsumexp"):
        pytest.skip("complex numbers have no order")
    spec = LAYER if reduce in ("sum", "mean") else "b (2*i+k) -> b i"
    shapes = LIE if reduce in ("sum", "mean") else ((3, 12),)
    extents: dict[str, Any] = {} if reduce in ("sum", "mean") else {"k": 3}
    layer = cc.Contraction(spec, reduce=reduce)
    run = layer.compile(*shapes, dtype=dtype, **extents)
    draw = np.random.default_rng(7)
    for turn in range(6):
        arrays = [draw.integers(1, 5, shape).astype(dtype) for shape in shapes]
        g = draw.integers(-3, 4, layer.output_shape(*shapes, **extents)).astype(run(*arrays).dtype)
        if turn >= 4:  # they lie in another order in memory
            arrays, g = [np.asfortranarray(array) for array in arrays], np.asfortranarray(g)
        for n, array in enumerate(arrays):
            wanted = layer.grad(n)(g, *arrays, **extents)
            made = run.vjp(n, g, *arrays)
            assert made.dtype == wanted.dtype
            np.testing.assert_allclose(made, wanted, rtol=1e-3 if dtype == "float16" else 1e-6)
            filled = np.zeros_like(made)
            assert run.vjp(n, g, *arrays, out=filled) is filled
            np.testing.assert_array_equal(filled, made)
            assert made.shape == array.shape


def test_what_is_ready_takes_nothing_that_does_not_fit() -> None:
    run = cc.Contraction(LAYER).compile(*LIE)
    x, w, g = np.ones(LIE[0]), np.ones(LIE[1]), np.ones((2, 9, 4))
    before = run.vjp(0, g, x, w)
    for _ in range(2):
        with pytest.raises(cc.ShapeError):
            run.vjp(0, g[:, :8], x, w)
        with pytest.raises(cc.ShapeError):
            run.vjp(0, g, x[:1], w)
        with pytest.raises(cc.OperandError):
            run.vjp(0, g, w)
        with pytest.raises(cc.OperandError):
            run.vjp(2, g, x, w)
        with pytest.raises(cc.OperandError):
            run.vjp(0, g + 1j, x, w)
    np.testing.assert_array_equal(run.vjp(0, g.astype(np.float32), x, w), before)
    np.testing.assert_array_equal(run.vjp(0, g.tolist(), x, w), before)
    assert run.vjp("X", g, x, w) is not run.vjp("X", g, x, w)
