"""Blocks whose branches meet: sums, gates, and what is put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_layers import agree, numbers, torch

from contractconv import Layer, Network
from contractconv.api.tensor import Tensor
from contractconv.errors import OperandError, ParameterError, ShapeError
from contractconv.layers import Concat, Conv, Dense, MaxPool, Residual, SqueezeExcite


def _dense(w: Any, *path: str) -> Any:
    return lambda x: x @ w.tensors[(*path, "W")] + w.tensors[(*path, "bias")]


def test_residual() -> None:
    part = Residual([Dense(7, map="tanh"), Dense(5)], map="relu")

    def theirs(w: Any, x: Any) -> Any:
        inner = torch.tanh(_dense(w, "dense_1")(x))
        return torch.relu(x + _dense(w, "dense_2")(inner))

    agree(part, theirs, numbers(4, 5))


def test_residual_with_a_shortcut() -> None:
    def theirs(w: Any, x: Any) -> Any:
        return _dense(w, "shortcut", "dense_1")(x) + torch.tanh(_dense(w, "dense_1")(x))

    agree(Residual([Dense(3), "tanh"], shortcut=Dense(3)), theirs, numbers(4, 5))


def test_names_of_parts_in_a_residual() -> None:
    network = Network(
        [Residual([Conv(6, 3, padding=1)] * 1 + ["relu"], Conv(6, 1)), Residual("relu")]
    )
    params = network.init(0, (1, 5, 5, 2))
    assert list(params) == ["residual_1"]
    assert list(params["residual_1"]) == ["conv_1", "shortcut"]
    assert list(params["residual_1"]["shortcut"]) == ["conv_1"]


def test_axes_are_those_of_what_comes_in_whatever_strings_call_them() -> None:
    inner = Layer("n (i+k-1) f, k f o -> n i o", k=3, o=4)
    network = Network(Residual(inner))
    assert network.traced((2, 5, 4)).output.axes == ("b", "t", "c")


def test_what_cannot_be_added_up() -> None:
    with pytest.raises(ShapeError, match=r"residual_1: 'b h w c' \(1, 5, 5, 2\) and .* cannot be"):
        Network([Residual([Conv(6, 3, padding=1)])]).init(0, (1, 5, 5, 2))
    with pytest.raises(ShapeError, match="cannot be added up"):
        Network([Residual([Dense(2, over="h w c")])]).init(0, (1, 5, 5, 2))


@settings(max_examples=settings().max_examples // 12)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 3), st.integers(1, 9),
    st.integers(1, 4),
)  # fmt: skip
def test_squeeze_excite(image: list[int], batch: int, channels: int, reduction: int) -> None:
    def theirs(w: Any, x: Any) -> Any:
        means = x.mean(tuple(range(1, x.ndim - 1)))
        inner = torch.nn.functional.silu(means @ w["W_1"] + w["bias_1"])
        gate = torch.sigmoid(inner @ w["W_2"] + w["bias_2"])
        return x * gate.reshape(len(x), *(1 for _ in image), channels)

    agree(SqueezeExcite(reduction, map="silu"), theirs, numbers(batch, *image, channels))


def test_squeeze_excite_is_two_products() -> None:
    (call,) = Network(SqueezeExcite(4)).traced((2, 3, 3, 8)).calls
    assert [str(p.contraction) for p in call.products] == ["b c, c o -> b o"] * 2
    assert [p.shape for p in call.parameters] == [(8, 2), (2,), (2, 8), (8,)]
    with pytest.raises(ShapeError, match="nothing between batch and channels"):
        Network(SqueezeExcite()).init(0, (2, 3))


@settings(max_examples=settings().max_examples // 12)
@given(
    st.lists(st.integers(0, 4), max_size=3),
    st.lists(st.integers(1, 4), min_size=1, max_size=5),
)  # fmt: skip
def test_concat(shape: list[int], channels: list[int]) -> None:
    def theirs(w: Any, x: Any) -> Any:
        made = [_dense(w, f"branch_{n}", "dense_1")(x) for n, _ in enumerate(channels, start=1)]
        return torch.cat([*made, x], -1)

    agree(Concat(*map(Dense, channels), []), theirs, numbers(*shape, 3))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_skips_are_put_together(count: int) -> None:
    join = Concat()

    def f(x: Tensor) -> Tensor:
        return join(*(x * (n + 1) for n in range(count)))

    agree(
        Network(f), lambda w, x: torch.cat([x * (n + 1) for n in range(count)], -1), numbers(2, 3)
    )


def test_what_cannot_be_put_together() -> None:
    with pytest.raises(ShapeError, match="differ along other axes than 'c'"):
        Network([Concat([], [MaxPool(2)])]).init(0, (1, 4, 4, 2))
    with pytest.raises(ShapeError, match="differ along other axes than 'c'"):
        Network([Concat([], [Dense(1, over="h w c")])]).init(0, (1, 4, 4, 2))
    with pytest.raises(OperandError, match="nothing to be put together"):
        Network(lambda x: Concat()()).init(0, (1,))


def test_a_shared_block_shares_what_is_in_it() -> None:
    block = Residual([Dense(4, map="tanh")])
    network = Network([block, block])
    params = network.init(0, (2, 4), dtype="float64")
    assert list(params) == ["residual_1"]
    x = numbers(2, 4)
    once = Network([block])
    np.testing.assert_allclose(network(params, x), once(params, once(params, x)), rtol=1e-12)


def test_strings() -> None:
    assert str(Residual([Dense(4), "relu"], shortcut=Dense(4), map="relu")) == (
        "(\n    ... c, c o -> ... o + bias\n) + "
        "(\n    ... c, c o -> ... o + bias\n    relu\n), relu"
    )
    assert str(Concat([], Dense(4))) == (
        "concat along c: (\n    x\n), (\n    ... c, c o -> ... o + bias\n)"
    )
    assert str(SqueezeExcite(4, map=None)) == (
        "x * (\n    b ... c -> b c, reduce mean\n    b c, c o -> b o + bias\n"
        "    b c, c o -> b o + bias, sigmoid\n)"
    )
    assert repr(Residual([Dense(4)], shortcut="relu")) == "Residual([Dense(4)], shortcut=['relu'])"
    assert repr(Concat([], [Dense(4)])) == "Concat([], [Dense(4)])"


@pytest.mark.parametrize(
    ("wrong", "options"),
    [
        (Residual, {"parts": []}),
        (Residual, {"parts": [3]}),
        (Residual, {"parts": "reluu"}),
        (Residual, {"parts": "relu", "map": "add"}),
        (SqueezeExcite, {"reduction": 0}),
        (SqueezeExcite, {"gate": "add"}),
        (SqueezeExcite, {"init": "hee"}),
    ],
)
def test_wrong_options(wrong: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        wrong(**options)
