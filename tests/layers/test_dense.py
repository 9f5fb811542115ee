"""Dense layers are torch's linear ones, behind whatever flattening."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_layers import agree, numbers, torch

from contractconv import Network
from contractconv.errors import ParameterError, ShapeError
from contractconv.layers import Dense


def _linear(w: Any, x: Any, count: int) -> Any:
    rows = w["W"].flatten(0, count - 1) if w["W"].ndim > 2 else w["W"]
    flat = x.flatten(x.ndim - count) if count > 1 else x
    return torch.nn.functional.linear(flat, rows.T, w.get("bias"))


@settings(max_examples=settings().max_examples // 12)
@given(
    st.lists(st.integers(0, 3), max_size=3), st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(1, 4), st.booleans(),
)  # fmt: skip
def test_against_torch(batch: list[int], sizes: list[int], features: int, bias: bool) -> None:
    over = ["d", "h", "w", "c"][-len(sizes) :]
    part = Dense(features, over=over, bias=bias)
    agree(part, lambda w, x: _linear(w, x, len(sizes)), numbers(*batch, *sizes))


@pytest.mark.parametrize("order", [" ".join(p) for p in permutations("hwc")])
def test_orders_of_flattening(order: str) -> None:
    def theirs(w: Any, x: Any) -> Any:
        moved = x.movedim([1 + "hwc".index(a) for a in order.split()], [1, 2, 3])
        return torch.nn.functional.linear(moved.flatten(1), w["W"].T, w["bias"])

    part = Dense(5, over="h w c", order=order)
    agree(part, theirs, numbers(2, 3, 4, 2))
    assert Network(part).parameters((2, 3, 4, 2))[0].shape == (24, 5)


def test_flatten_to_dense_is_the_same_with_other_names() -> None:
    x = numbers(2, 3, 4, 2)
    one, other = (Network(Dense(5, over="h w c"), inputs=names) for names in ("b h w c", "h w c b"))
    params = one.init(0, x)
    np.testing.assert_allclose(one(params, x), other(params, x), rtol=1e-6)
    assert other.traced(x).output.axes == ("h", "b")


def test_strings() -> None:
    assert str(Dense(3)) == "... c, c o -> ... o + bias"
    assert str(Dense(3, over="h w c", order="c h w", bias=False, map="relu")) == (
        "... h w c, (c h w) o -> ... o, relu"
    )
    assert repr(Dense(3, over="h w")) == "Dense(3, over='h w')"


@pytest.mark.parametrize(
    "options",
    [
        {"features": 0},
        {"features": None},
        {"features": 3, "over": ""},
        {"features": 3, "over": "o"},
        {"features": 3, "over": "h w", "order": "h c"},
        {"features": 3, "map": "reluu"},
        {"features": 3, "init": {"W": "hee"}},
    ],
)
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Dense(**options)


def test_too_few_axes() -> None:
    with pytest.raises(ShapeError, match="dense_1: over='h w c' contracts 3 axes, but only 'b c'"):
        Network([Dense(3, over="h w c")]).init(0, (2, 3))
