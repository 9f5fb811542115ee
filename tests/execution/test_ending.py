"""A bias and an activation at the end of a contraction: the same as by numpy afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv import Algorithm, Reduction

Shape = tuple[int, ...]

LAYERS: dict[str, tuple[str, Shape, Shape]] = {
    "channels last": ("b (i+k-1) (j+l-1) c, k l c o -> b i j o", (2, 20, 20, 32), (3, 3, 32, 40)),
    "few channels": ("b (i+k-2) (j+l-2) c, k l c o -> b i j o", (8, 28, 28, 1), (5, 5, 1, 6)),
    "channels first": ("b c (i+k-1) (j+l-1), o c k l -> b o i j", (2, 5, 20, 20), (7, 5, 3, 3)),
    "strided": ("b (2*i+k) c, k c o -> b i o", (3, 41, 17), (3, 17, 19)),
    "transposed": ("b i c, k c o -> b (2*i+k) o", (3, 40, 17), (3, 17, 19)),
    "depthwise": ("b (i+k-1) (j+l-1) c, k l c -> b i j c", (2, 16, 16, 33), (3, 3, 33)),
    "dense": ("b i, i o -> b o", (64, 120), (120, 84)),
    "joined": ("b i, i o -> (b o)", (64, 120), (120, 84)),
    "tiny": ("i, i o -> o", (3,), (3, 2)),
}


def numbers(seed: int, shape: Shape, dtype: str) -> Any:
    return (4 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("algorithm", ["auto", "direct", "toom-cook", "fft"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("kernels", ["llvm", "numpy"])
def test_an_ending_is_what_numpy_does_afterwards(
    layer: str, dtype: str, algorithm: Algorithm, kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRACTCONV_KERNELS", kernels)
    spec, first, second = LAYERS[layer]
    try:
        run = cc.Contraction(spec).compile(first, second, dtype=dtype, algorithm=algorithm)
    except cc.AlgorithmError:
        assert dtype == "int64" or layer in ("dense", "joined", "tiny")
        return
    x, w = numbers(0, first, dtype), numbers(1, second, dtype)
    plain = run(x, w)
    bias = numbers(2, plain.shape[-1:], dtype)
    tolerance = 1e-5 * max(1, float(abs(plain).max())) if dtype != "int64" else 0
    rectified = np.maximum(plain + bias, 0)
    assert abs(run(x, w, bias=bias) - (plain + bias)).max() <= tolerance
    assert abs(run(x, w, activation="relu") - np.maximum(plain, 0)).max() <= tolerance
    assert abs(run(x, w, bias=bias, activation="relu") - rectified).max() <= tolerance
    assert (rectified != plain).any()


def test_an_ending_keeps_what_is_no_number() -> None:
    x, w = np.ones((300, 40), np.float32), np.ones((40, 33), np.float32)
    x[7, 3], x[9, 3], x[11, 3] = np.nan, np.inf, -np.inf
    result = cc.Contraction("b i, i o -> b o").compile(x.shape, w.shape, dtype="float32")(
        x, w, activation="relu"
    )
    assert np.isnan(result[7]).all()
    assert np.isposinf(result[9]).all()
    assert (result[11] == 0).all()


def test_a_bias_may_be_a_view() -> None:
    run = cc.Contraction("b i, i o -> b o").compile((64, 120), (120, 84), dtype="float32")
    x, w = numbers(0, (64, 120), "float32"), numbers(1, (120, 84), "float32")
    bias = numbers(2, (168,), "float32")[::-2]
    bias.flags.writeable = False
    np.testing.assert_allclose(run(x, w, bias=bias), run(x, w) + bias, rtol=1e-6, atol=1e-5)


def test_wrong_endings_are_refused() -> None:
    run = cc.Contraction("b i, i o -> b o").compile((4, 3), (3, 2))
    x, w = np.ones((4, 3)), np.ones((3, 2))
    with pytest.raises(cc.ShapeError, match=r"the bias has shape \(3,\), compiled for \(2,\)"):
        run(x, w, bias=np.ones(3))
    with pytest.raises(cc.OperandError, match="unknown activation 'tanh'"):
        run(x, w, activation="tanh")
    with pytest.raises(cc.OperandError, match="the bias"):
        run(x, w, bias=["a", "b"])


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (2, 20, 20, 16)])
@pytest.mark.parametrize("reduce", ["max", "min", "mean", "sum"])
@pytest.mark.parametrize("place", ["(2*i+k) (2*j+l)", "(2*i+k-1) (2*j+l-1)", "i (j+l)", "k l"])
def test_reductions_end_as_well(place: str, reduce: Reduction, shape: Shape) -> None:
    kept = " ".join(name for name in "bijc" if name in place + "bc")
    extents: Any = {name: 2 for name in "kl" if name in place and place != "k l"}
    run = cc.Contraction(f"b {place} c -> {kept}", reduce=reduce).compile(
        shape, dtype="float32", **extents
    )
    x = numbers(3, shape, "float32") - 1
    x[0, 1, 1, 0] = np.nan
    plain = run(x)
    bias = numbers(4, plain.shape[-1:], "float32")
    for added, activation in ((bias, None), (None, "relu"), (bias, "relu")):
        wanted = plain if added is None else plain + added
        wanted = wanted if activation is None else np.maximum(wanted, 0)
        made = run(x, bias=added, activation=activation)
        np.testing.assert_allclose(made, wanted, rtol=1e-6)


def test_small_sums_need_no_kernel() -> None:
    run = cc.Contraction("b i c -> b c").compile((3, 4, 5), dtype="float64")
    x = numbers(5, (3, 4, 5), "float64")
    np.testing.assert_array_equal(run(x), x.sum(axis=1))
    np.testing.assert_array_equal(run(x, activation="relu"), np.maximum(x.sum(axis=1), 0))
    turned = cc.Contraction("b i c -> c b").compile((3, 4, 5), dtype="float64")
    np.testing.assert_array_equal(turned(x), x.sum(axis=1).T)
    assert turned(x).flags.c_contiguous
