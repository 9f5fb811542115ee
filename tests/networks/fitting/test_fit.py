"""Training runs against torch's, step by step in float64; numbers, and how a run ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from small_networks import Array, classes, flat, network, perceptron

import contractconv as cc
from contractconv.errors import TrainingError
from contractconv.networks.fitting import chance

L, T = cc.layers, cc.training


class Theirs:
    """The same network in torch, with our parameters."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.torch = pytest.importorskip("torch")
        made = {n: self.torch.tensor(np.asarray(a)) for n, a in flat(params).items()}
        self.mean, self.variance = made.pop("batch_norm_1.mean"), made.pop("batch_norm_1.variance")
        self.trained = {n: a.requires_grad_() for n, a in made.items()}

    def __call__(self, x: Any, training: bool = True) -> Any:
        """Scores."""
        F, p = self.torch.nn.functional, self.trained
        h = F.conv2d(x.permute(0, 3, 1, 2), p["conv_1.W"].permute(3, 2, 0, 1), p["conv_1.bias"])
        h = F.batch_norm(
            h, self.mean, self.variance, p["batch_norm_1.scale"], p["batch_norm_1.shift"], training
        )
        h = F.relu(h).permute(0, 2, 3, 1)
        h = self.torch.einsum("bhwc,hwco->bo", h, p["dense_1.W"]) + p["dense_1.bias"]
        return self.torch.tanh(h) @ p["dense_2.W"] + p["dense_2.bias"]

    def fit(
        self, data: tuple[Array, Array], make: Callable[..., Any], epochs: int, seed: int,
        clip: float | None = None, average: float | None = None, rates: Any = None,
    ) -> tuple[list[float], dict[str, Any]]:  # fmt: skip
        """Losses of epochs, and moving averages."""
        torch, F = self.torch, self.torch.nn.functional
        optimizer, losses = make(torch.optim, list(self.trained.values())), []
        kept = {n: a.detach().clone() for n, a in self.trained.items()}
        x, labels = map(torch.tensor, data)
        step = 0
        for epoch in range(epochs):
            order, summed = chance.of_epoch(seed, epoch).permutation(len(x)), 0.0
            for n in range(0, len(x), 8):
                rows = torch.tensor(order[n : n + 8])
                loss = F.cross_entropy(self(x[rows]), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                if clip is not None:  # torch's own adds 1e-6 to the norm
                    slopes = [a.grad for a in self.trained.values()]
                    norm = float(sum((slope**2).sum() for slope in slopes)) ** 0.5
                    for slope in slopes:
                        slope.mul_(min(1.0, clip / norm))
                if rates is not None:
                    optimizer.param_groups[0]["lr"] = rates[step]
                optimizer.step()
                step += 1
                summed += float(loss.detach()) * len(rows)
                for name, old in kept.items():
                    old.mul_(average or 0).add_((1 - (average or 0)) * self.trained[name].detach())
            losses.append(summed / len(x))
        return losses, kept


RUNS: dict[str, tuple[Any, Callable[..., Any], dict[str, Any]]] = {
    "sgd": (T.SGD(0.1), lambda o, p: o.SGD(p, 0.1), {}),
    "momentum": (T.SGD(0.1, momentum=0.9), lambda o, p: o.SGD(p, 0.1, momentum=0.9), {}),
    "nesterov": (
        T.SGD(0.1, momentum=0.9, nesterov=True, decay=0.01, decayed="all"),
        lambda o, p: o.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01), {},
    ),
    "adam": (T.Adam(0.02), lambda o, p: o.Adam(p, 0.02), {}),
    "adamw": (
        T.AdamW(0.02, decay=0.1, decayed="all"), lambda o, p: o.AdamW(p, 0.02, weight_decay=0.1),
        {},
    ),
    "rmsprop": (T.RMSprop(0.01), lambda o, p: o.RMSprop(p, 0.01), {}),
    "clip": (T.SGD(0.5, momentum=0.5), lambda o, p: o.SGD(p, 0.5, momentum=0.5), {"clip": 0.1}),
    "average": (T.Adam(0.02), lambda o, p: o.Adam(p, 0.02), {"average": 0.7}),
    "schedule": (
        T.Adam(T.Linear(0.03)), lambda o, p: o.Adam(p, 0.03),
        {"rates": [0.03 * (1 - n / 9) for n in range(9)]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_torchs(name: str) -> None:
    ours, make, options = RUNS[name]
    net, data = network(), classes()
    params = net.init(1, data[0], dtype="float64")
    theirs = Theirs(params)
    losses, kept = theirs.fit(data, make, epochs=3, seed=7, **options)
    fit = net.fit(
        data, optimizer=ours, epochs=3, batch=8, params=params, seed=7,
        clip=options.get("clip"), average=options.get("average"),
    )  # fmt: skip
    close: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
    # A batch normalization takes a bias in front of it away, whose gradient is rounding alone: some
    # 1e-15, which Adam divides by 1e-8 and multiplies by its rate, at each of nine steps.
    adrift: dict[str, Any] = {"rtol": 0, "atol": 9 * 0.03 * 1e-15 / 1e-8}
    np.testing.assert_allclose([row["loss"] for row in fit.rows], losses, **close)
    found = flat(fit.params)
    for parameter, array in theirs.trained.items():
        near = adrift if parameter == "conv_1.bias" else close
        np.testing.assert_allclose(
            found[parameter], array.detach().numpy(), **near, err_msg=parameter
        )
    np.testing.assert_allclose(found["batch_norm_1.mean"], theirs.mean.numpy(), **close)
    np.testing.assert_allclose(found["batch_norm_1.variance"], theirs.variance.numpy(), **close)
    if "average" in options:
        assert fit.average is not None
        for parameter, array in kept.items():
            np.testing.assert_allclose(flat(fit.average)[parameter], array.numpy(), **close)


def test_what_is_measured_is_torchs() -> None:
    net, data, other = network(), classes(), classes(13, seed=3)
    params = net.init(1, data[0], dtype="float64")
    theirs = Theirs(params)
    theirs.fit(data, lambda o, p: o.SGD(p, 0.1), epochs=2, seed=0)
    fit = net.fit(data, optimizer=T.SGD(0.1), epochs=2, batch=8, params=params, validation=other)
    x, labels = map(theirs.torch.tensor, other)
    scores = theirs(x, training=False).detach()
    loss = float(theirs.torch.nn.functional.cross_entropy(scores, labels))
    assert fit.rows[-1]["validation_loss"] == pytest.approx(loss, rel=1e-9)
    right = float((scores.argmax(1) == labels).double().mean())
    assert fit.rows[-1]["validation_accuracy"] == pytest.approx(right)
    measured = net.evaluate(fit.params, other, batch=4)
    assert measured == pytest.approx({"loss": loss, "accuracy": right}, rel=1e-9)


# --- numbers ---


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("numbers", ["float32", "float64", ">f8"])
@pytest.mark.parametrize(
    "optimizer",
    [T.SGD(0.1, momentum=0.9), T.Adam(), T.AdamW(), T.RMSprop(), T.Lion()],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_nothing_widens(dtype: str, numbers: str, optimizer: Any) -> None:
    net, (x, labels) = perceptron(), classes()
    x = x[:, 0, 0].astype(numbers)
    begun = net.init(0, x, dtype=dtype)
    fit = net.fit((x, labels), optimizer=optimizer, epochs=2, params=begun, clip=1.0, average=0.5)
    assert fit.average is not None
    for arrays in (fit.params, fit.average):
        assert {array.dtype for array in flat(arrays).values()} == {np.dtype(dtype)}
        assert all(np.isfinite(array).all() for array in flat(arrays).values())
    assert not np.array_equal(fit.params["dense_1"]["W"], begun["dense_1"]["W"])


def test_first_parameters_are_not_changed() -> None:
    net, data = network(), classes()
    params = net.init(0, data[0])
    before = {name: array.copy() for name, array in flat(params).items()}
    for array in flat(params).values():
        array.flags.writeable = False
    net.fit(data, params=params, epochs=1)
    assert all(np.array_equal(before[name], array) for name, array in flat(params).items())


def test_tokens_are_integers() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 11, (20, 6)).astype("int32")
    net = cc.Network([L.Embedding(11, 4), L.Dense(2, over="t c")])
    fit = net.fit((tokens, (tokens[:, 0] > 5).astype(int)), epochs=60, optimizer=T.Adam(0.05))
    assert net.evaluate(fit.params, (tokens, (tokens[:, 0] > 5).astype(int)))["accuracy"] == 1.0


def test_several_inputs_come_in() -> None:
    def both(x: cc.Tensor, y: cc.Tensor) -> cc.Tensor:
        return L.Dense(2)(x) + L.Dense(2, bias=False)(y)

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 3)), rng.standard_normal((30, 5))
    wanted = x[:, :2] + y[:, 1:3]
    fit = cc.Network(both).fit((x, y, wanted), loss="mse", epochs=150, optimizer=T.Adam(0.05))
    assert fit.rows[-1]["loss"] < 1e-2


# --- how it ends ---


def test_a_loss_that_is_no_number_ends_it() -> None:
    with pytest.raises(TrainingError, match=r"nan in step 1 \(epoch 1, rate 0\.001\).*lower rate"):
        perceptron().fit((np.full((6, 3), np.nan), np.zeros(6, int)))


def test_early_stop_returns_the_best() -> None:
    net, data, other = network(), classes(), classes(13, seed=3)
    options: dict[str, Any] = {
        "optimizer": T.Adam(0.05), "batch": 8, "validation": other, "epochs": 40,
    }  # fmt: skip
    fit = net.fit(data, **options, patience=3)
    losses = [row["validation_loss"] for row in fit.rows]
    best = int(np.argmin(losses))
    assert fit.stopped == "patience"
    assert len(losses) == best + 1 + 3
    shorter = net.fit(data, **(options | {"epochs": best + 1}))
    one, wanted = flat(fit.params), flat(shorter.params)
    assert all(np.array_equal(one[name], wanted[name]) for name in one)
    assert net.evaluate(fit.params, other, batch=8)["loss"] == min(losses)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_changes_no_bit(threads: int) -> None:
    rng = np.random.default_rng(0)
    data = rng.standard_normal((32, 14, 14, 8)).astype("float32"), rng.integers(0, 5, 32)

    def made() -> dict[str, Any]:
        net = cc.Network([L.Conv(16, 3, map="relu"), L.BatchNorm(), L.Dense(5, over="h w c")])
        return flat(net.fit(data, epochs=2, batch=16).params)

    before = cc.get_num_threads()
    one = made()
    try:
        cc.set_num_threads(threads)
        other = made()
    finally:
        cc.set_num_threads(before)
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)
