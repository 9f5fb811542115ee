"""Dropout keeps what a mask keeps, and makes it greater."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_layers import agree, numbers, torch

from contractconv import Network
from contractconv.errors import OperandError, ParameterError, ShapeError
from contractconv.layers import Dense, Dropout


@pytest.mark.parametrize("rate", [0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(5,), (4, 3), (2, 3, 4, 3), (0, 3)])
def test_against_torch_with_the_same_mask(rate: float, shape: tuple[int, ...]) -> None:
    def theirs(w: Any, x: Any, *masks: Any) -> Any:
        return torch.where(masks[0], x / (1 - rate), 0.0) if masks else x * 1

    agree(Dropout(rate), theirs, numbers(*shape), training=True)


def test_afterwards_nothing_is_lost() -> None:
    agree(Dropout(0.5), lambda w, x: x * 1, numbers(4, 3))


def test_whole_channels() -> None:
    network = Network([Dropout(0.5, over="h w")])
    (mask,) = network.traced((3, 4, 5, 6), training=True).masks
    assert (mask.tensor.axes, mask.shape, mask.kept) == (("b", "c"), (3, 6), 0.5)

    def theirs(w: Any, x: Any, mask: Any) -> Any:
        return x * mask[:, None, None] / 0.5

    agree(network, theirs, numbers(3, 4, 5, 6), training=True)


def test_chance_is_drawn_for_each_call() -> None:
    network = Network([Dense(200, init="ones", bias=False), Dropout(0.25)])
    x, zero = np.ones((50, 1)), np.zeros((50, 200))
    params = network.init(0, x, dtype="float64")
    losses = [network.loss_and_grad(params, x, zero, loss="mse", rng=n)[0] for n in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]
    # Of squares (1 / 0.75) ** 2 three quarters are kept.
    assert losses[0] == pytest.approx(1 / 0.75, rel=0.02)


def test_it_has_to_be_said_what_draws() -> None:
    network = Network([Dense(2), Dropout()])
    params = network.init(0, (1, 1))
    with pytest.raises(OperandError, match="say rng="):
        network.loss_and_grad(params, np.ones((1, 1)), np.ones((1, 2)), loss="mse")


def test_one_that_is_shared_draws_each_time() -> None:
    lost = Dropout()
    network = Network([lost, "tanh", lost])
    masks = network.traced((2, 3), training=True).masks
    assert len({mask.tensor.label for mask in masks}) == 2


def test_strings() -> None:
    assert str(Dropout(0.1)) == "where(kept, x / 0.9, 0)"
    assert str(Dropout(over=["h", "w"])) == "where(kept, x / 0.5, 0), alike over h w"
    assert repr(Dropout(0.1, over="t")) == "Dropout(rate=0.1, over='t')"


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, 2, "half", None, True, float("nan")])
def test_wrong_rates(rate: Any) -> None:
    with pytest.raises(ParameterError, match="rate="):
        Dropout(rate)


def test_axes_that_are_not_there() -> None:
    with pytest.raises(ShapeError, match=r"dropout_1: what comes in has the axes 'b c', and none"):
        Network([Dropout(over="h w")]).traced((2, 3))
