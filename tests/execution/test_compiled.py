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
