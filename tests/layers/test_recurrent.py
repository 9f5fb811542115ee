"""Recurrences are torch's, over whole sequences and in both directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_layers import agree, numbers, torch

from contractconv import Network
from contractconv.errors import OperandError, ParameterError, ShapeError
from contractconv.layers import GRU, LSTM, Concat

truths = st.booleans()


def _state(w: Any, *path: str, gru: bool) -> dict[str, Any]:
    """Parameters as torch has them: gates and features are one axis, the first one."""
    found = {role: w.tensors.get((*path, role)) for role in ("W_x", "W_h", "bias_x", "bias_h")}
    if not gru:
        found["bias_x"] = w.tensors.get((*path, "bias"))
        found["bias_h"] = None if found["bias_x"] is None else torch.zeros_like(found["bias_x"])
    return {
        "weight_ih_l0": found["W_x"].flatten(1).T,
        "weight_hh_l0": found["W_h"].flatten(1).T,
        **({"bias_ih_l0": found["bias_x"].flatten()} if found["bias_x"] is not None else {}),
        **({"bias_hh_l0": found["bias_h"].flatten()} if found["bias_h"] is not None else {}),
    }


def _theirs(kind: str, w: Any, x: Any, path: tuple[str, ...], features: int, bias: bool) -> Any:
    whole = getattr(torch.nn, kind)(x.shape[-1], features, bias=bias, batch_first=True).double()
    state = _state(w, *path, gru=kind == "GRU")
    shown, _ = torch.func.functional_call(whole, state, (x,))
    return shown


@settings(max_examples=settings().max_examples // 30)
@given(
    st.sampled_from([LSTM, GRU]), st.integers(1, 3), st.integers(1, 5), st.integers(1, 3),
    st.integers(1, 3), truths, truths, truths,
)  # fmt: skip
def test_against_torch(
    kind: Any, batch: int, length: int, read: int, features: int,
    sequence: bool, reverse: bool, bias: bool,
) -> None:  # fmt: skip
    def theirs(w: Any, x: Any) -> Any:
        turned = x.flip(1) if reverse else x
        shown = _theirs(kind.__name__, w, turned, (), features, bias)
        return (shown.flip(1) if reverse else shown) if sequence else shown[:, -1]

    part = kind(features, sequence=sequence, reverse=reverse, bias=bias)
    agree(part, theirs, numbers(batch, length, read))


@pytest.mark.parametrize("kind", [LSTM, GRU])
@pytest.mark.parametrize("shape", [(0, 3, 2), (4, 2), (2, 3, 2, 2), (2, 9, 3)])
def test_batches(kind: Any, shape: tuple[int, ...]) -> None:
    def theirs(w: Any, x: Any) -> Any:
        rows = x.reshape(int(np.prod(shape[:-2])), *shape[-2:])
        if not len(rows):
            return torch.zeros(*shape[:-1], 3).double() + 0 * x.sum()
        return _theirs(kind.__name__, w, rows, (), 3, True).reshape(*shape[:-1], 3)

    agree(kind(3), theirs, numbers(*shape))


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_both_directions(kind: str) -> None:
    layer: Any = {"LSTM": LSTM, "GRU": GRU}[kind]

    def theirs(w: Any, x: Any) -> Any:
        whole = getattr(torch.nn, kind)(2, 3, bidirectional=True, batch_first=True).double()
        names = [("branch_1", f"{kind.lower()}_1"), ("branch_2", f"{kind.lower()}_1")]
        first, second = (_state(w, *path, gru=kind == "GRU") for path in names)
        state = first | {f"{name}_reverse": value for name, value in second.items()}
        return torch.func.functional_call(whole, state, (x,))[0]

    agree(Concat(layer(3), layer(3, reverse=True)), theirs, numbers(2, 4, 2))


def test_layers_on_each_other() -> None:
    def theirs(w: Any, x: Any) -> Any:
        first = _theirs("LSTM", w, x, ("lstm_1",), 4, True)
        return _theirs("LSTM", w, first, ("lstm_2",), 3, True)[:, -1]

    agree([LSTM(4), LSTM(3, sequence=False)], theirs, numbers(2, 4, 2))


@pytest.mark.parametrize(("kind", "gates"), [(LSTM, 4), (GRU, 3)])
def test_products_are_written_down(kind: Any, gates: int) -> None:
    network = Network([kind(5)])
    (call,) = network.traced((2, 3, 4)).calls
    assert len(call.products) == 4  # all steps of what comes in at once, and three
    assert {w.path[-1] for p in call.products for w in p.weights.values()} == {"W_x", "W_h"}
    shapes = {p.path[-1]: p.shape for p in call.parameters}
    assert (shapes["W_x"], shapes["W_h"]) == ((4, gates, 5), (5, gates, 5))


def test_what_is_recalled_begins_at_right_angles() -> None:
    weight = Network(LSTM(6)).init(0, (2, 3, 4), dtype="float64")["W_h"].reshape(6, -1)
    np.testing.assert_allclose(weight @ weight.T, np.eye(6), atol=1e-12)


def test_infinities_do_not_enter_the_first_state() -> None:
    x = numbers(2, 1, 3)
    x[0, 0, 0] = np.inf
    network = Network(LSTM(2))
    params = network.init(0, x, dtype="float64")
    params["W_x"][:] = np.abs(params["W_x"])
    assert np.isfinite(network(params, x)).all()


def test_strings() -> None:
    assert str(LSTM(3)) == (
        "... d, d gate h -> ... gate h + bias\n"
        "... r, r gate h -> ... gate h, of the step before\n"
        "c = sigmoid(f) * c + sigmoid(i) * tanh(g), h = sigmoid(o) * tanh(c)"
    )
    assert str(GRU(3)).splitlines()[:2] == [
        "... d, d gate h -> ... gate h + bias_x",
        "... r, r gate h -> ... gate h + bias_h, of the step before",
    ]
    assert repr(GRU(3, bias=False)) == "GRU(3, bias=False)"
    assert "bias" not in str(GRU(3, bias=False))


def test_mistakes() -> None:
    for wrong in (0, -1, 2.0, True):
        with pytest.raises(ParameterError, match="features"):
            LSTM(wrong)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="there is no initialiser"):
        GRU(3, init={"W_h": "orthonormal"})
    with pytest.raises(ShapeError, match="lstm_1: steps are along the axis before the last one"):
        Network([LSTM(3)]).init(0, (4,))
    with pytest.raises(ShapeError, match="has none"):
        Network([GRU(3)]).init(0, (2, 0, 4))
    lstm = LSTM(3)
    with pytest.raises(OperandError, match="2 tensors come into a lstm"):
        Network(lambda x: lstm(x, x)).init(0, (2, 3, 4))
