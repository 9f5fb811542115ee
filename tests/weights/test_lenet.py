"""LeNet-5, trained elsewhere: its weights come in, give the same scores, and go back bit by bit."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from weight_arrays import same_bits

import contractconv as cc
from contractconv import weights
from contractconv.layers import Conv, Dense, MaxPool

rng = np.random.default_rng(0)
IMAGES = rng.random((40, 28, 28, 1), np.float32)
LABELS = rng.integers(10, size=40)
NET = cc.Network(
    [
        Conv(6, 5, padding=2, map="relu"),
        MaxPool(2),
        Conv(16, 5, map="relu"),
        MaxPool(2),
        Dense(120, over="h w c", map="relu"),
        Dense(84, map="relu"),
        Dense(10),
    ]
)


def trained_by_torch() -> Any:
    """Images are channels-first, and flattened so."""
    torch: Any = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 0.003)
    for _ in range(12):
        optimizer.zero_grad()
        scores = model(torch.from_numpy(IMAGES).permute(0, 3, 1, 2))
        nn.functional.cross_entropy(scores, torch.from_numpy(LABELS)).backward()
        optimizer.step()
    return model


def scores_of_torch(model: Any) -> Any:
    import torch

    return model(torch.from_numpy(IMAGES).permute(0, 3, 1, 2)).detach().numpy()


def test_from_torch_and_back() -> None:
    theirs = trained_by_torch()
    traced = NET.traced(IMAGES)
    params = weights.load(traced, theirs, "torch", flatten="NCHW")
    wanted = scores_of_torch(theirs)
    assert np.abs(wanted).max() > 0.3
    np.testing.assert_allclose(NET(params, IMAGES), wanted, atol=1e-5)
    back = weights.export(traced, params, "torch", flatten="NCHW", like=theirs.state_dict())
    for name, tensor in theirs.state_dict().items():
        assert same_bits(back[name], tensor.numpy())


def test_trained_on_here_and_back() -> None:
    torch: Any = pytest.importorskip("torch")
    theirs = trained_by_torch()
    traced = NET.traced(IMAGES)
    params = weights.load(traced, theirs, "torch", flatten="NCHW")
    fit = NET.fit((IMAGES, LABELS), params=params, epochs=3, batch=20)
    back = weights.export(traced, fit.params, "torch", flatten="NCHW", like=theirs.state_dict())
    theirs.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in back.items()})
    np.testing.assert_allclose(scores_of_torch(theirs), NET(fit.params, IMAGES), atol=1e-5)


def test_the_other_order_gives_other_scores() -> None:
    theirs = trained_by_torch()
    params = weights.load(NET.traced(IMAGES), theirs, "torch", flatten="NHWC")
    assert np.abs(NET(params, IMAGES) - scores_of_torch(theirs)).max() > 0.01


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_from_keras_and_back() -> None:
    pytest.importorskip("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras: Any = pytest.importorskip("keras")
    layers = keras.layers
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1), dtype="float32"),
            layers.Conv2D(6, 5, padding="same", activation="relu", dtype="float32"),
            layers.MaxPool2D(2, dtype="float32"),
            layers.Conv2D(16, 5, activation="relu", dtype="float32"),
            layers.MaxPool2D(2, dtype="float32"),
            layers.Flatten(dtype="float32"),
            layers.Dense(120, activation="relu", dtype="float32"),
            layers.Dense(84, activation="relu", dtype="float32"),
            layers.Dense(10, dtype="float32"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss)
    model.fit(IMAGES, LABELS, epochs=3, batch_size=20, verbose=0)
    traced = NET.traced(IMAGES)
    params = weights.load(traced, model, "keras")
    wanted = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(NET(params, IMAGES), wanted, atol=1e-5)
    back = weights.export(traced, params, "keras", like=model)
    for array, variable in zip(back.values(), model.weights, strict=True):
        assert same_bits(np.asarray(array), np.asarray(variable.numpy()))
