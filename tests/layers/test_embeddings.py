"""Tokens and positions as vectors, against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_layers import agree, numbers, torch

from contractconv import Network, tensor
from contractconv.errors import OperandError, ParameterError, ShapeError
from contractconv.layers import Chain, Dense, Embedding, LearnedPositions, Positions


@settings(max_examples=settings().max_examples // 12)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers(1, 9), st.integers(1, 5),
    st.sampled_from(["int8", "int32", "int64", "uint16"]),
)  # fmt: skip
def test_embedding(shape: list[int], vocabulary: int, features: int, dtype: str) -> None:
    tokens = np.random.default_rng(0).integers(vocabulary, size=shape).astype(dtype)

    def theirs(w: Any, tokens: Any) -> Any:
        return torch.nn.functional.embedding(tokens.long(), w["W"])

    agree(Embedding(vocabulary, features), theirs, tokens)


def test_tokens_that_are_not_there_read_zeros() -> None:
    network = Network(Embedding(3, 2))
    found = network(network.init(0, (4,)), np.array([-1, 0, 2, 3]))
    assert (found == 0).all(-1).tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    "parts", [Embedding(7, 4), [Embedding(7, 4), Dense(2)], [[Embedding(7, 4)], "relu"]]
)
def test_a_shape_of_tokens_is_one_of_integers(parts: Any) -> None:
    network = Network(parts)
    params = network.init(0, (2, 5))
    assert "int64" in str(network.program((2, 5)))
    assert network(params, np.zeros((2, 5), int)).shape[:2] == (2, 5)
    assert network.traced((2, 5)).inputs[0].axes == ("b", "t")


def test_numbers_are_no_tokens() -> None:
    network = Network([Embedding(7, 4)])
    with pytest.raises(OperandError, match="tokens are integers"):
        network.init(0, np.ones((2, 5)))


def test_functions_say_what_comes_in() -> None:
    table = Embedding(7, 4)

    def tied(tokens: Any) -> Any:
        return Chain(["tanh", Dense(3)])(table(tokens))

    network = Network(tied, inputs=tensor("tokens", "n s", "int64"))
    traced = network.traced((2, 5))
    assert traced.output.axes == ("n", "s", "c")


def test_features_have_an_axis_of_their_own() -> None:
    traced = Network(Embedding(7, 4), inputs=tensor("x", "v c", "int64")).traced((2, 5))
    assert traced.output.axes == ("v", "c", "c_2")
    assert [p.shape for p in traced.parameters] == [(7, 4)]


def _waves(length: int, features: int, base: float) -> np.ndarray[Any, Any]:
    found = np.zeros((length, features))
    for t in range(length):
        for n in range(features):
            angle = t / base ** ((n - n % 2) / features)
            found[t, n] = np.cos(angle) if n % 2 else np.sin(angle)
    return found


@pytest.mark.parametrize("shape", [(3, 4), (2, 5, 6), (2, 1, 3, 7), (0, 3, 2)])
@pytest.mark.parametrize("base", [10000.0, 2])
def test_positions(shape: tuple[int, ...], base: float) -> None:
    waves = _waves(shape[-2], shape[-1], base)
    agree(Positions(base), lambda w, x: x + torch.tensor(waves), numbers(*shape))


@pytest.mark.parametrize(("length", "most"), [(4, 4), (1, 4), (3, 9), (0, 2)])
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_learned_positions(length: int, most: int, batch: tuple[int, ...]) -> None:
    agree(
        LearnedPositions(most), lambda w, x: x + w["W"][:length], numbers(*batch, length, 5)
    )  # fmt: skip


def test_learned_positions_end() -> None:
    with pytest.raises(ShapeError, match="learned_positions_1: there are 4 positions, and 5 come"):
        Network([LearnedPositions(4)]).init(0, (2, 5, 3))
    with pytest.raises(ShapeError, match="the axis before the last one"):
        Network([Positions()]).init(0, (2,))


def test_strings() -> None:
    assert str(Embedding(9, 4)) == "... v, v c -> ... c, of codes [token = v]"
    assert str(Positions()) == "... t c + waves t c, of lengths 2 pi to 2 pi 10000.0"
    assert str(LearnedPositions(4)) == "... t c + W t c"


@pytest.mark.parametrize(
    ("wrong", "options"),
    [
        (Embedding, (0, 4)),
        (Embedding, (4, 0)),
        (Embedding, (4, 4, "hee")),
        (Positions, (0,)),
        (LearnedPositions, (-1,)),
        (LearnedPositions, (4, "hee")),
    ],
)
def test_wrong_options(wrong: Any, options: tuple[Any, ...]) -> None:
    with pytest.raises(ParameterError):
        wrong(*options)
