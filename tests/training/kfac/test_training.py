"""Steps of KFAC: where they are exact, what is kept, and what moves without factors."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import contractconv as cc
from contractconv import functions as F
from contractconv.errors import OperandError, ParameterError
from contractconv.training import SGD, Adam, Cosine, from_facts, to_facts
from contractconv.training.kfac import KFAC, Likelihood, Objective, Training, sites_of

Array = NDArray[Any]
Arrays = dict[str, Array]

X, W, V = cc.tensor("x", "b c"), cc.tensor("W", "c o"), cc.tensor("V", "o p")
BIAS, SCALE = cc.tensor("bias", "o"), cc.tensor("scale", "o")
TARGET, LABELS = cc.tensor("target", "b o"), cc.tensor("labels", "b", "int64")
QUICK = KFAC(0.1, factors_every=2, inverses_every=3)


def linear() -> Objective:
    """A linear model with squared errors, whose Fisher matrix is one Kronecker product."""
    z = cc.contract("b c, c o -> b o", X, W)
    y = z + BIAS
    likelihood = Likelihood("mse", y, "o", 2)
    sites = tuple(sites_of(z, [W], BIAS))
    return Objective(F.mse(y, TARGET), likelihood, (X, TARGET), (W, BIAS), sites)


def network() -> Objective:
    """Two layers, with a scale between them that has no factors."""
    z = cc.contract("b c, c o -> b o", X, W)
    hidden = cc.relu(z + BIAS) * SCALE
    y = cc.contract("b o, o p -> b p", hidden, V)
    sites = (*sites_of(z, [W], BIAS), *sites_of(y, [V]))
    likelihood = Likelihood("cross_entropy", y, "p", 3)
    parameters = (W, BIAS, SCALE, V)
    beside = {"largest": F.max(hidden)}
    return Objective(
        F.cross_entropy(y, LABELS, "p"), likelihood, (X, LABELS), parameters, sites, beside
    )


def first(names: str, seed: int = 0, dtype: Any = np.float64) -> Arrays:
    rng = np.random.default_rng(seed)
    shapes = {"W": (3, 2), "bias": (2,), "scale": (2,), "V": (2, 3)}
    return {name: rng.standard_normal(shapes[name]).astype(dtype) for name in names.split()}


def batch(seed: int, dtype: Any = np.float64) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((8, 3)).astype(dtype), rng.integers(3, size=8)]


def trained(objective: Objective, options: KFAC) -> Training:
    return options.on(objective, {n: a.shape for n, a in first("W bias scale V").items()})


@pytest.mark.parametrize("inverse", ["cholesky", "eigenvectors"])
def test_one_step_solves_least_squares(inverse: Any) -> None:
    rng = np.random.default_rng(0)
    x, target, parameters = (
        rng.standard_normal((9, 3)),
        rng.standard_normal((9, 2)),
        first("W bias"),
    )
    options = KFAC(1.0, damping=1e-16, clip=None, momentum=0.0, fisher="exact", inverse=inverse)
    training = trained(linear(), options)
    made = training.step(parameters, training.begin(parameters), [x, target]).parameters
    found, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(9)]), target, rcond=None)
    np.testing.assert_allclose(made["W"], found[:3], rtol=1e-6)
    np.testing.assert_allclose(made["bias"], found[3], rtol=1e-6)


def test_a_direction_is_no_longer_than_the_limit() -> None:
    rng = np.random.default_rng(0)
    data, parameters = [rng.standard_normal((9, 3)), rng.standard_normal((9, 2))], first("W bias")
    free = KFAC(0.5, clip=None, momentum=0.0, fisher="exact")
    far = _moved(free, parameters, data)
    slope = _slopes(parameters, data)
    length = np.sqrt(-sum(float(np.vdot(slope[n], far[n])) for n in slope) / 0.5)
    for limit in (length / 2, length / 10):
        near = _moved(replace(free, clip=limit), parameters, data)
        for name, move in far.items():
            np.testing.assert_allclose(near[name], move * limit / length, rtol=1e-9)
    same = _moved(replace(free, clip=length * 1.01), parameters, data)
    np.testing.assert_allclose(same["W"], far["W"], rtol=1e-12)


def _moved(options: KFAC, parameters: Arrays, data: list[Array]) -> Arrays:
    training = trained(linear(), options)
    made = training.step(parameters, training.begin(parameters), data).parameters
    return {name: made[name] - parameters[name] for name in parameters}


def _slopes(parameters: Arrays, data: list[Array]) -> Arrays:
    x, target = data
    error = 2 * (x @ parameters["W"] + parameters["bias"] - target) / target.size
    return {"W": x.T @ error, "bias": error.sum(0)}


def test_factors_are_running_averages_without_the_bias_of_their_start() -> None:
    options = replace(QUICK, factors_every=1, inverses_every=1, average=0.7, fisher="empirical")
    training, parameters = trained(linear(), options), first("W bias")
    state = training.begin(parameters)
    whole, weight = np.zeros((4, 4)), 0.0
    for n in range(4):
        rng = np.random.default_rng(n)
        data = [rng.standard_normal((9, 3)), rng.standard_normal((9, 2))]
        rows = np.column_stack([data[0], np.ones(9)])
        whole, weight = 0.7 * whole + 0.3 * rows.T @ rows / 9, 0.7 * weight + 0.3
        _, parameters, state, _ = training.step(parameters, state, data)
        np.testing.assert_allclose(state["W_input_factor"][0], whole, rtol=1e-12)
        a, b = whole / weight, state["W_output_factor"][0] / weight
        pi = np.sqrt((np.trace(a) / 4) / (np.trace(b) / 2))
        inverse = np.linalg.inv(a + pi * 0.1 * np.eye(4))
        np.testing.assert_allclose(state["W_rows"], inverse[:3, :3], rtol=1e-9)
        np.testing.assert_allclose(state["W_cross"], inverse[:3, 3], rtol=1e-9)
        np.testing.assert_allclose(state["W_corner"], inverse[3, 3], rtol=1e-9)


@pytest.mark.parametrize("fisher", ["sampled", "empirical", "exact"])
def test_a_training_goes_on_from_what_was_saved(fisher: Any) -> None:
    training = trained(network(), replace(QUICK, rate=Cosine(0.1), fisher=fisher))
    parameters = first("W bias scale V")
    state = training.begin(parameters)
    saved = parameters, state
    for n in range(7):
        _, parameters, state, _ = training.step(parameters, state, batch(n), 7)
        if n == 2:
            saved = _through_a_file(parameters), _through_a_file(state)
    again, old = saved
    later = trained(network(), replace(QUICK, rate=Cosine(0.1), fisher=fisher))
    for n in range(3, 7):
        _, again, old, _ = later.step(again, old, batch(n), 7)
    assert set(old) == set(state) == set(training.begin(parameters))
    assert all(np.array_equal(again[name], parameters[name]) for name in parameters)
    assert all(np.array_equal(old[name], state[name]) for name in state)


def _through_a_file(arrays: Arrays) -> Arrays:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    file.seek(0)
    return dict(np.load(file))


def test_what_has_no_factors_moves_as_the_fallback_says() -> None:
    adam = Adam(Cosine(0.05))
    training, parameters = (
        trained(network(), replace(QUICK, fallback=adam)),
        first("W bias scale V"),
    )
    alone = adam.program({"scale": SCALE})
    state, slots = training.begin(parameters), {}
    slots = {f"scale_{slot}": np.zeros(2) for slot in adam.slots}
    for n in range(4):
        slope = training.gradients(*batch(n), *parameters.values()).d_scale
        rate = adam.rate_at(n + 1, 4)
        wanted = alone(scale=parameters["scale"], d_scale=slope, **slots, step=n + 1, rate=rate)
        slots = {f"scale_{slot}": wanted._asdict()[f"next_scale_{slot}"] for slot in adam.slots}
        _, parameters, state, _ = training.step(parameters, state, batch(n), 4)
        np.testing.assert_allclose(parameters["scale"], wanted.next_scale, rtol=1e-12)
    assert "scale_input_factor" not in state


def test_weights_that_are_too_large_have_no_factors() -> None:
    parameters = first("W bias scale V")
    training = trained(network(), replace(QUICK, largest=2))
    state = training.begin(parameters)
    assert "V_velocity" not in state
    assert "W_first" in state or "W_velocity" not in state
    loss, *_ = training.step(parameters, state, batch(0))
    assert np.isfinite(loss)


@pytest.mark.parametrize("kind", ["expand", "reduce"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_loss_falls_in_the_numbers_of_the_parameters(dtype: Any, kind: str) -> None:
    training = trained(network(), replace(QUICK, places=kind))
    parameters = first("W bias scale V", dtype=dtype)
    state, data, losses = training.begin(parameters), batch(0, dtype), []
    for _ in range(20):
        loss, parameters, state, beside = training.step(parameters, state, data)
        losses.append(loss)
    assert losses[-1] < 0.8 * losses[0]
    assert beside["largest"].shape == ()
    assert {array.dtype for array in parameters.values()} == {np.dtype(dtype)}
    assert {state[name].dtype for name in ("W_rows", "W_velocity")} == {np.dtype(dtype)}


def test_a_weight_at_two_sites_counts_the_places_of_both() -> None:
    square = cc.tensor("U", "o p")
    first_z = cc.contract("b o, o p -> b p", X.named("b o"), square)
    second_z = cc.contract("b o, o p -> b p", first_z.named("b o"), square)
    sites = (*sites_of(first_z, [square]), *sites_of(second_z, [square]))
    likelihood = Likelihood("mse", second_z, "p", 3)
    loss = F.mse(second_z, cc.tensor("target", "b p"))
    objective = Objective(loss, likelihood, (X, cc.tensor("target", "b p")), (square,), sites)
    rng = np.random.default_rng(0)
    u, x, target = (
        rng.standard_normal((3, 3)),
        rng.standard_normal((5, 3)),
        rng.standard_normal((5, 3)),
    )
    options = KFAC(0.1, fisher="empirical", average=0.0)
    training = options.on(objective, {"U": u.shape})
    state = training.step({"U": u}, training.begin({"U": u}), [x, target]).state
    inner, error = x @ u, 2 * (x @ u @ u - target) / 15
    a = (x.T @ x + inner.T @ inner) / 5
    b = 15 * (error.T @ error + (error @ u.T).T @ (error @ u.T)) / 2
    np.testing.assert_allclose(state["U_input_factor"][0], a, rtol=1e-10)
    np.testing.assert_allclose(state["U_output_factor"][0], b, rtol=1e-10)


@pytest.mark.parametrize(
    ("field", "value"),
    [("rate", -1), ("damping", 0), ("clip", 0), ("momentum", 1.0), ("average", 1.5),
     ("fisher", "true"), ("places", "sum"), ("inverse", "lu"), ("factors_every", 0),
     ("largest", 0.5), ("fallback", None), ("seed", -1)],
)  # fmt: skip
def test_options_are_checked(field: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=field):
        replace(KFAC(), **{field: value})


def test_a_step_may_be_told_its_rate() -> None:
    parameters, options = first("W bias scale V"), replace(QUICK, rate=0.3)
    told, known = trained(network(), QUICK), trained(network(), options)
    found = told.step(parameters, told.begin(parameters), batch(0), rate=0.3)
    wanted = known.step(parameters, known.begin(parameters), batch(0))
    assert all(np.array_equal(found.parameters[n], wanted.parameters[n]) for n in parameters)
    vague = trained(network(), replace(QUICK, fallback=Adam(Cosine(0.1))))
    with pytest.raises(ParameterError, match="the fallback is a number"):
        vague.step(parameters, vague.begin(parameters), batch(0), rate=0.3)


def test_sites_of_a_weight_have_the_same_bias() -> None:
    z = cc.contract("b c, c o -> b o", X, W)
    whole = linear()
    with pytest.raises(ParameterError, match="W stands at sites that do not have the same bias"):
        replace(whole, sites=(*whole.sites, *sites_of(z, [W])))


def test_a_single_parameter_may_have_neither_factors_nor_averages() -> None:
    y = cc.contract("b c, c o -> b o", X, W)
    likelihood = Likelihood("mse", y, "o")
    objective = Objective(F.mse(y, TARGET), likelihood, (X, TARGET), (W,), ())
    training = KFAC(fallback=SGD(0.5)).on(objective, {"W": (3, 2)})
    w, x, target = np.zeros((3, 2)), np.eye(3), np.ones((3, 2))
    made = training.step({"W": w}, training.begin({"W": w}), [x, target])
    np.testing.assert_allclose(made.parameters["W"], 0.5 * 2 / 6 * target)


def test_options_are_facts() -> None:
    options = KFAC(Cosine(0.1), clip=None, fallback=Adam(0.2), places="reduce")
    assert from_facts(json.loads(json.dumps(to_facts(options)))) == options


def test_complex_weights_are_refused() -> None:
    parameters = {"W": np.zeros((3, 2), complex), "bias": np.zeros(2)}
    with pytest.raises(OperandError, match="real"):
        trained(linear(), KFAC()).begin(parameters)


def test_a_shape_must_not_be_missing() -> None:
    with pytest.raises(ParameterError, match="bias"):
        KFAC().on(linear(), {"W": (3, 2)})


def test_a_site_of_no_parameter_is_refused() -> None:
    whole = linear()
    with pytest.raises(ParameterError, match="no parameter"):
        replace(whole, parameters=(W,))
