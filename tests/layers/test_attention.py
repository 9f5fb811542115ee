"""Attention is torch's; bands, masks and turns are what their definitions say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_layers import agree, numbers, torch

from contractconv import Network, tensor
from contractconv.api.tensor import Tensor
from contractconv.errors import OperandError, ParameterError, ShapeError
from contractconv.layers import Attention

truths = st.booleans()


def _module(w: Any, x: Any, context: Any, mask: Any, heads: int, bias: bool) -> Any:
    """What torch's module makes; its mask is true for those who are not looked at."""
    features = x.shape[-1]
    whole = torch.nn.MultiheadAttention(features, heads, bias=bias, batch_first=True).double()
    state = {
        "in_proj_weight": torch.cat([w[f"W_{n}"].flatten(1).T for n in "qkv"]),
        "out_proj.weight": w["W_o"].flatten(0, 1).T,
    }
    if bias:
        state["in_proj_bias"] = torch.cat([w[f"bias_{n}"].flatten() for n in "qkv"])
        state["out_proj.bias"] = w["bias_o"]
    unseen = None if mask is None else ~mask
    given = (x, context, context)
    return torch.func.functional_call(whole, state, given, {"attn_mask": unseen})[0]


def _defined(w: Any, x: Any, context: Any, mask: Any, turn: Any = lambda x: x) -> Any:
    """Attention as it is defined; a row of the mask in which nobody is seen makes zeros."""

    def projected(x: Any, n: str) -> Any:
        made = torch.einsum("btd,dhk->bhtk", x, w[f"W_{n}"])
        return made if w.get(f"bias_{n}") is None else made + w[f"bias_{n}"][:, None]

    q, k = turn(projected(x, "q")), turn(projected(context, "k"))
    scores = torch.einsum("bhtk,bhsk->bhts", q, k) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e300)
    weights = torch.softmax(scores, -1)
    weights = weights if mask is None else weights * mask
    made = torch.einsum("bhts,bhsk,hkd->btd", weights, projected(context, "v"), w["W_o"])
    return made if w.get("bias_o") is None else made + w["bias_o"]


def _positions(t: int, s: int) -> tuple[Any, Any]:
    return torch.arange(t)[:, None], torch.arange(s)


@settings(max_examples=settings().max_examples // 25)
@given(st.integers(1, 3), st.integers(1, 5), st.sampled_from([1, 2, 3]), truths, truths)
def test_self_attention(batch: int, length: int, heads: int, causal: bool, bias: bool) -> None:
    def theirs(w: Any, x: Any) -> Any:
        t, s = _positions(length, length)
        return _module(w, x, x, s <= t if causal else None, heads, bias)

    agree(Attention(heads, causal=causal, bias=bias), theirs, numbers(batch, length, 6))


@settings(max_examples=settings().max_examples // 37)
@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 2]), truths)
def test_cross_attention(length: int, others: int, heads: int, bias: bool) -> None:
    part = Attention(heads, bias=bias)

    def f(x: Tensor, context: Tensor) -> Tensor:
        return part(x, context)

    def theirs(w: Any, x: Any, context: Any) -> Any:
        return _module(w, x, context, None, heads, bias)

    agree(Network(f), theirs, numbers(2, length, 4), numbers(2, others, 4, seed=1))


@settings(max_examples=settings().max_examples // 25)
@given(
    st.integers(1, 6),
    st.one_of(st.integers(0, 3), st.tuples(st.integers(0, 3), st.integers(0, 3))),
    truths,
)  # fmt: skip
def test_bands(length: int, band: Any, causal: bool) -> None:
    behind, ahead = (band, band) if isinstance(band, int) else band

    def theirs(w: Any, x: Any) -> Any:
        t, s = _positions(length, length)
        mask = (t - s <= behind) & (s - t <= ahead)
        return _defined(w, x, x, mask & (s <= t) if causal else mask)

    agree(Attention(2, band=band, causal=causal), theirs, numbers(2, length, 4))


def test_contexts_of_other_features_and_heads_of_other_sizes() -> None:
    part = Attention(2, size=5, features=3, bias=True)

    def f(x: Tensor, context: Tensor) -> Tensor:
        return part(x, context)

    def theirs(w: Any, x: Any, context: Any) -> Any:
        return _defined(w, x, context, None)

    agree(Network(f), theirs, numbers(2, 3, 4), numbers(2, 5, 7, seed=1))


def test_masks_are_along_the_context() -> None:
    part = Attention(2)

    def f(x: Tensor, mask: Tensor) -> Tensor:
        return part(x, x, mask)

    mask = np.array([[True, True, False], [False, False, False]])

    def theirs(w: Any, x: Any, mask: Any) -> Any:
        return _defined(w, x, x, mask[:, None, None])

    network = Network(f, inputs=["b t c", tensor("mask", "b s", "bool")])
    agree(network, theirs, numbers(2, 3, 4), mask)


@pytest.mark.parametrize("length", [1, 4])
def test_turns(length: int) -> None:
    def turned(x: Any) -> Any:
        half = x.shape[-1] // 2
        angle = torch.arange(length)[:, None] / 100 ** (torch.arange(half).double() / half)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    part = Attention(2, size=6, rotate=100)
    agree(part, lambda w, x: _defined(w, x, x, None, turned), numbers(2, length, 3))


def test_more_axes_of_batch() -> None:
    def theirs(w: Any, x: Any) -> Any:
        rows = x.flatten(0, 1)
        return _defined(w, rows, rows, None).reshape(x.shape)

    agree(Attention(2), theirs, numbers(2, 3, 4, 6))
    agree(Attention(2), lambda w, x: _defined(w, x[None], x[None], None)[0], numbers(4, 6))
    agree(Attention(2), lambda w, x: x * (1 + 0 * w["W_q"].sum()), numbers(0, 4, 6))


def test_axes_called_as_heads_are() -> None:
    def theirs(w: Any, x: Any) -> Any:
        return _defined(w, x, x, None)

    agree(Network(Attention(2), inputs="h k d"), theirs, numbers(2, 3, 4))
    agree(Network(Attention(2), inputs="d t_ k"), theirs, numbers(2, 3, 4))


def test_products_are_written_down() -> None:
    (call,) = Network([Attention(2)]).traced((2, 5, 4)).calls
    roles = [w.path[-1] for p in call.products for w in p.weights.values()]
    assert roles == ["W_q", "W_k", "W_v", "W_o"]
    assert {p.path[-1]: p.axes for p in call.parameters} == {
        "W_q": ("d", "h", "k"), "bias_q": ("h", "k"), "W_k": ("d", "h", "k"), "bias_k": ("h", "k"),
        "W_v": ("d", "h", "k"), "bias_v": ("h", "k"), "W_o": ("h", "k", "d"), "bias_o": ("c",),
    }  # fmt: skip


def test_strings() -> None:
    assert str(Attention(8, causal=True, bias=False)).splitlines() == [
        "q: ... d, d h k -> ... h k",
        "k: ... d, d h k -> ... h k",
        "v: ... d, d h k -> ... h k",
        "... t h k, ... s h k -> ... t h s, / sqrt(k), causal, softmax over s",
        "... t h s, ... s h k -> ... t h k",
        "... h k, h k d -> ... d",
    ]
    assert "within (2, 2)" in str(Attention(8, band=2))
    assert "turned with base 10000.0" in str(Attention(8, rotate=10000.0))
    assert repr(Attention(8, band=(1, 0))) == "Attention(8, band=(1, 0))"


@pytest.mark.parametrize(
    "options",
    [
        {"heads": 0},
        {"heads": 2, "size": 0},
        {"heads": 2, "features": -1},
        {"heads": 2, "band": -1},
        {"heads": 2, "band": (1, 2, 3)},
        {"heads": 2, "band": "wide"},
        {"heads": 2, "rotate": 0},
        {"heads": 2, "rotate": 100, "size": 3},
        {"heads": 2, "init": {"W_q": "hee"}},
    ],
)
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Attention(**options)


def test_wrong_tensors() -> None:
    with pytest.raises(ShapeError, match="attention_1: 5 features are no multiple of heads=2"):
        Network([Attention(2)]).init(0, (2, 3, 5))
    with pytest.raises(ShapeError, match="pairs of features are turned, and a head has 3"):
        Network([Attention(2, rotate=10)]).init(0, (2, 3, 6))
    part = Attention(2)

    def f(x: Tensor, y: Tensor) -> Tensor:
        return part(x, y)

    with pytest.raises(ShapeError, match="'b t c' and 'b c' come in"):
        Network(f).init(0, (2, 3, 4), (2, 4))
    with pytest.raises(OperandError, match="not 4 tensors"):
        Network(lambda x: part(x, x, x, x)).init(0, (2, 3, 4))
