"""One of each kind from outside: a layer, an initialiser, a loss, a metric and an optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv import training
from contractconv.layers.initialisers import INITIALISERS, Drawn, Initialiser
from contractconv.layers.layer import Said, StringPart
from contractconv.networks.fitting.metrics import METRICS
from contractconv.networks.losses import LOSSES
from contractconv.training import facts
from contractconv.training.optimizer import Moment, Optimizer


@dataclass(frozen=True, eq=False, repr=False)
class Bilinear(StringPart):
    """Each output has a matrix between what comes in and itself."""

    features: int
    kind = "bilinear"

    @property
    def contraction(self) -> cc.Contraction:
        """The string."""
        return cc.Contraction("b i, b j, i j o -> b o")

    inputs = 2
    bias = True

    def _said(self, trace: Any, *tensors: cc.Tensor) -> Said:
        return Said(self.contraction, {"o": self.features})


@dataclass(frozen=True)
class Alternating(Initialiser):
    """One, minus one, one, ..."""

    def __call__(self, rng: Any, drawn: Drawn) -> Any:
        """Fill an array."""
        return (-1.0) ** np.arange(np.prod(drawn.shape)).reshape(drawn.shape)


@dataclass(frozen=True)
class SignDescent(Optimizer):
    """The same length along each axis."""

    rate: Any = 0.1
    decay: float = 0.0
    decayed: Any = "weights"
    slots = ()

    def _next(self, now: Moment) -> tuple[cc.Tensor, ...]:
        return (now.w - now.rate * cc.sign(now.gradient),)


def test_a_layer_is_a_class_that_says_its_string() -> None:
    part = Bilinear(3)
    net = cc.Network(lambda x: part(x, x))
    assert str(part) == "b i, b j, i j o -> b o + bias"
    x = np.random.default_rng(0).standard_normal((5, 4))
    params = net.init(0, x, dtype=float)
    wanted = np.einsum("bi,bj,ijo->bo", x, x, params["bilinear_1"]["W"])
    np.testing.assert_allclose(net(params, x), wanted, rtol=1e-12)
    assert net.summary(x.shape).parameters == 4 * 4 * 3 + 3
    assert "b i, b j, i j o -> b o" in str(net.explain(x.shape))
    assert "b i, b j, i j o" in net.diagram(x.shape).svg
    loss, slopes = net.loss_and_grad(params, x, np.zeros((5, 3)), loss="mse")
    back = 2 * wanted / wanted.size
    assert loss == pytest.approx(np.mean(wanted**2))
    np.testing.assert_allclose(slopes["bilinear_1"]["W"], np.einsum("bo,bi,bj->ijo", back, x, x))


def test_an_initialiser_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INITIALISERS, "alternating", Alternating())
    params = cc.Network(cc.layers.Dense(2, init="alternating")).init(0, (1, 3))
    assert params["W"].tolist() == [[1, -1], [1, -1], [1, -1]]


def test_losses_metrics_and_optimisers_are_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    def fourth_powers(made: cc.Tensor, wanted: cc.Tensor) -> cc.Tensor:
        return cc.functions.mean((made - wanted) ** 4)

    monkeypatch.setitem(LOSSES, "fourth_powers", fourth_powers)
    monkeypatch.setitem(METRICS, "greatest_error", lambda y, t: float(np.max(np.abs(y - t))))
    monkeypatch.setattr(facts, "KINDS", dict(facts.KINDS))
    training.register(SignDescent)
    net = cc.Network(cc.layers.Dense(1, init=0.0))
    x = np.ones((8, 1))
    fit = net.fit(
        (x, 3 * x), optimizer=SignDescent(0.25), loss="fourth_powers", metrics="greatest_error",
        validation=(x, 3 * x), epochs=4, batch=8,
    )  # fmt: skip
    # Weight and bias take a quarter each, four times.
    assert fit.params["W"].item() == fit.params["bias"].item() == 1
    assert fit.rows[-1]["validation_greatest_error"] == 1
    assert fit.rows[0]["loss"] == 81
    assert training.from_facts(training.to_facts(SignDescent(0.25))) == SignDescent(0.25)
