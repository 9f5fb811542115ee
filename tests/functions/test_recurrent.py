"""Cells of recurrences against torch's."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from torch_oracle import agree, numbers

from contractconv import functions as F
from contractconv.api.tensor import tensor
from contractconv.errors import ShapeError

torch: Any = pytest.importorskip("torch")

STATE = {"x": numbers("b d"), "h": numbers("b o")}


def cell(kind: str, gates: int) -> dict[str, Any]:
    """Arguments of a cell with some gates."""
    weights = {
        "W_x": numbers("d gate o", 2, gate=gates),
        "W_h": numbers("r gate o", 3, gate=gates),
        "b_x": numbers("gate o", 4, gate=gates),
    }
    second = {"c": numbers("b o", 1)} if kind == "lstm" else {}
    last = {} if kind == "lstm" else {"b_h": numbers("gate o", 5, gate=gates)}
    return STATE | second | weights | last


def flat(W: Any) -> Any:
    """A weight as torch has it: gates are behind each other, and come first."""
    return W.flatten(-2).T if W.ndim == 3 else W.flatten()


def test_lstm_cell() -> None:
    def theirs(x: Any, h: Any, c: Any, W_x: Any, W_h: Any, bias: Any) -> Any:
        return torch.lstm_cell(x, (h, c), flat(W_x), flat(W_h), flat(bias), 0 * flat(bias))

    agree(partial(F.lstm_cell, hidden="o"), theirs, cell("lstm", 4))


def test_gru_cell() -> None:
    def theirs(x: Any, h: Any, W_x: Any, W_h: Any, b_x: Any, b_h: Any) -> Any:
        return torch.gru_cell(x, h, *map(flat, (W_x, W_h, b_x, b_h)))

    agree(partial(F.gru_cell, hidden="o"), theirs, cell("gru", 3))


def test_cells_without_biases() -> None:
    def theirs(x: Any, h: Any, W_x: Any, W_h: Any) -> Any:
        return torch.gru_cell(x, h, flat(W_x), flat(W_h))

    given = {name: value for name, value in cell("gru", 3).items() if not name.startswith("b")}
    agree(partial(F.gru_cell, hidden="o"), theirs, given, second=False)


def test_mistakes_are_said() -> None:
    x, h = tensor("x", "b d"), tensor("h", "b o")
    W_x, W_h = tensor("W_x", "d gate o"), tensor("W_h", "r gate o")
    with pytest.raises(ShapeError, match="W_x has the axes 'd gate o', and none called 'h'"):
        F.gru_cell(x, h, W_x, W_h)
    with pytest.raises(ShapeError, match="W_h has the axes 'r s gate o': beside 'o' and 'gate'"):
        F.gru_cell(x, h, W_x, tensor("W_h", "r s gate o"), hidden="o")
    with pytest.raises(ShapeError, match="the state has the axes 'b d', and none called 'o'"):
        F.gru_cell(x, x, W_x, W_h, hidden="o")
