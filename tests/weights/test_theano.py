"""Kernels of true convolutions, as Theano has them, against scipy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from weight_arrays import same_bits

import contractconv as cc
from contractconv import weights
from contractconv.layers import Conv, ConvTransposed, Dense, GlobalPool

signal: Any = pytest.importorskip("scipy.signal")

RNG = np.random.default_rng(0)


def test_convolutions_and_dense_layers() -> None:
    W, b = RNG.standard_normal((2, 3, 3, 2)), RNG.standard_normal(2)
    V = RNG.standard_normal((40, 5))
    net = cc.Network([Conv(2, (3, 2)), Dense(5, over="h w c", bias=False)])
    x = RNG.standard_normal((4, 3, 6, 6))
    # In the order in which Lasagne gives parameters, and without names.
    given = {"arr_0": W, "arr_1": b, "arr_2": V}
    traced = net.traced((4, 6, 6, 3))
    params = weights.load(traced, given, "theano")
    maps = [[sum(signal.convolve(i[c], o[c], "valid") for c in range(3)) for o in W] for i in x]
    wanted = (np.asarray(maps) + b[:, None, None]).reshape(4, 40) @ V
    np.testing.assert_allclose(net(params, np.moveaxis(x, 1, -1)), wanted, atol=1e-12)
    assert same_bits(weights.export(traced, params, "theano", like=given), given)


def test_transposed_convolutions() -> None:
    """The gradient of a true convolution by what comes in is a correlation with its kernel."""
    W = RNG.standard_normal((3, 2, 3, 2))
    x = RNG.standard_normal((4, 3, 5, 5))
    net = cc.Network([ConvTransposed(2, (3, 2), bias=False)])
    params = weights.load(net.traced((4, 5, 5, 3)), {"up.W": W}, "theano")
    maps = [
        [sum(signal.correlate(i[c], W[c, o], "full") for c in range(3)) for o in range(2)]
        for i in x
    ]
    wanted = np.moveaxis(np.asarray(maps), 1, -1)
    np.testing.assert_allclose(net(params, np.moveaxis(x, 1, -1)), wanted, atol=1e-12)


def test_too_few_arrays() -> None:
    from contractconv.errors import WeightsError

    net = cc.Network([Conv(2, 3), GlobalPool()]).traced((1, 6, 6, 3))
    with pytest.raises(WeightsError, match=r"wants W \(2, 3, 3, 3\), b \(2,\), but next are arr_0"):
        weights.load(net, {"arr_0": np.ones((2, 3, 3, 3))}, "theano")
