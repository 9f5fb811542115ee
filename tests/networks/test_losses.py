"""Losses and gradients are torch's; what is wrong with parameters and data is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_networks import Array, classes, flat, network, perceptron

import contractconv as cc
from contractconv.errors import OperandError, ParameterError, ProgramError, ShapeError

L, T = cc.layers, cc.training
ROWS = np.random.default_rng(4).standard_normal((7, 4))
LABELS = np.random.default_rng(5).integers(0, 3, 7)


def two_layers() -> cc.Network:
    return cc.Network([L.Dense(5, map="tanh"), L.Dense(3)])


def theirs(loss: str, scores: Any, target: Any) -> Any:
    F = pytest.importorskip("torch").nn.functional
    return {
        "cross_entropy": F.cross_entropy, "mse": F.mse_loss, "huber": F.huber_loss,
        "binary_cross_entropy": F.binary_cross_entropy_with_logits,
    }[loss](scores, target)  # fmt: skip


def targets(loss: str) -> list[Array]:
    rng = np.random.default_rng(6)
    if loss == "cross_entropy":
        shares = rng.random((7, 3))
        return [LABELS, LABELS.astype("uint8"), shares / shares.sum(1, keepdims=True)]
    if loss == "binary_cross_entropy":
        return [rng.random((7, 3)), rng.random((7, 3)) < 0.5, rng.integers(0, 2, (7, 3))]
    return [rng.standard_normal((7, 3)) * 2, rng.integers(-2, 3, (7, 3))]


@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "huber", "binary_cross_entropy"])
def test_losses_and_gradients_are_torchs(loss: str) -> None:
    torch = pytest.importorskip("torch")
    net = two_layers()
    params = net.init(0, ROWS, dtype="float64")
    for target in targets(loss):
        p = {n: torch.tensor(a, requires_grad=True) for n, a in flat(params).items()}
        h = torch.tanh(torch.tensor(ROWS) @ p["dense_1.W"] + p["dense_1.bias"])
        scores = h @ p["dense_2.W"] + p["dense_2.bias"]
        labels = target.ndim == 1
        wanted = torch.tensor(target.astype("int64" if labels else "float64"))
        expected = theirs(loss, scores, wanted)
        expected.backward()
        made, slopes = net.loss_and_grad(params, ROWS, target, loss=loss)
        assert float(made) == pytest.approx(float(expected.detach()), rel=1e-12)
        assert {n: a.keys() for n, a in slopes.items()} == {n: a.keys() for n, a in params.items()}
        for name, slope in flat(slopes).items():
            np.testing.assert_allclose(slope, p[name].grad.numpy(), rtol=1e-9, atol=1e-12)


def test_only_what_is_trained_has_a_gradient() -> None:
    net, (x, labels) = network(), classes()
    params = net.init(0, x)
    loss, slopes = net.loss_and_grad(params, x, labels)
    assert set(slopes["batch_norm_1"]) == {"scale", "shift"}
    assert {array.dtype for array in flat(slopes).values()} == {np.dtype("float32")}
    assert loss.dtype == "float32"


def test_chance_follows_from_the_generator() -> None:
    net, (x, labels) = perceptron(0.5), classes()
    x = x[:, 0, 0]
    params = net.init(0, x)
    one, other, third = (net.loss_and_grad(params, x, labels, rng=n)[0] for n in (1, 1, 2))
    assert one == other != third
    generator = np.random.default_rng(1)
    drawn = [net.loss_and_grad(params, x, labels, rng=generator)[0] for _ in "ab"]
    assert drawn[0] == one != drawn[1]
    with pytest.raises(OperandError, match="rng="):
        net.loss_and_grad(params, x, labels)


def test_statistics_see_one_batch_more() -> None:
    net, (x, _) = network(), classes()
    params = net.init(0, x, dtype="float64")
    after = net.statistics(params, x)
    W, bias = params["conv_1"]["W"], params["conv_1"]["bias"]
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    made = np.einsum("bijckl,klco->bijo", windows, W) + bias
    count = made[..., 0].size
    mean, variance = made.mean((0, 1, 2)), made.var((0, 1, 2)) * count / (count - 1)
    np.testing.assert_allclose(after["batch_norm_1"]["mean"], 0.1 * mean, rtol=1e-12)
    np.testing.assert_allclose(after["batch_norm_1"]["variance"], 0.9 + 0.1 * variance, rtol=1e-12)
    for name, array in flat(params).items():
        if name not in ("batch_norm_1.mean", "batch_norm_1.variance"):
            assert flat(after)[name] is array


def test_a_loss_of_ones_own() -> None:
    net = two_layers()
    params = net.init(0, ROWS, dtype="float64")
    wanted = np.ones((7, 3))

    def absolute(made: cc.Tensor, target: cc.Tensor) -> cc.Tensor:
        return cc.functions.mean(abs(made - target))

    loss, _ = net.loss_and_grad(params, ROWS, wanted, loss=absolute)
    assert float(loss) == pytest.approx(np.abs(net(params, ROWS) - wanted).mean())
    with pytest.raises(ProgramError, match="a loss is a number"):
        net.loss_and_grad(params, ROWS, wanted, loss=lambda made, target: made - target)
    with pytest.raises(ParameterError, match="no loss 'rmse'"):
        net.loss_and_grad(params, ROWS, wanted, loss="rmse")


@pytest.mark.parametrize("gradients", [False, True])
def test_the_program_is_what_runs(gradients: bool) -> None:
    net, (x, labels) = network(), classes()
    params = net.init(0, x, dtype="float64")
    made = net.program(x, labels, loss="cross_entropy", gradients=gradients)
    arrays = {f"{part}_{n}": a for part, inside in params.items() for n, a in inside.items()}
    given = {n: {"x": x, "target": labels, **arrays}[n] for n in made.inputs}
    found = made.compile()(**given)._asdict()
    loss, slopes = net.loss_and_grad(params, x, labels)
    assert float(found["loss"]) == pytest.approx(float(loss), rel=1e-12)
    if gradients:
        for part, inside in slopes.items():
            for name, slope in inside.items():
                close = found[f"d_{part}_{name}"]
                np.testing.assert_allclose(close, slope, rtol=1e-9, atol=1e-12)


def test_steps_of_ones_own_loop_are_those_of_fit() -> None:
    net, (x, labels) = perceptron(0.3), classes()
    x = x[:, 0, 0]
    optimizer = T.Adam(0.05)
    fit = net.fit((x, labels), optimizer=optimizer, epochs=4, batch=22, shuffle=False, average=0.5)
    stepper = net.stepper(optimizer, average=0.5)
    parameters = net.parameters(x)
    begun = flat(net.init(0, x))
    state = stepper.first(parameters, [begun[p.name] for p in parameters])
    from contractconv.networks.fitting import chance

    for n in range(1, 5):
        loss, state = stepper((x, labels), n, 0.05, state, chance.of_step(0, n))
    assert loss == fit.rows[-1]["loss"]
    for kind, found in (("parameters", fit.params), ("average", fit.average)):
        assert found is not None
        for name, array in flat(found).items():
            assert np.array_equal(state[kind][name], array)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (None, OperandError, "nested dict of arrays.*NoneType"),
        ([1], OperandError, "no list"),
        ({}, OperandError, r"dense_1\.W, dense_1\.bias, dense_2\.W, dense_2\.bias missing"),
        ({"dense_1": {"W": 3}}, OperandError, "missing"),
        ({"dense_3": {"W": np.ones(3)}}, OperandError, r"no parameter dense_3\.W"),
        ({"dense_1": {"W": np.ones((4, 6))}}, ShapeError, r"\(4, 6\).*needs \(4, 5\), along 'c o'"),
        ({"dense_1": {"W": "a"}}, OperandError, r"dense_1\.W is no array, but a str"),
        ({"dense_1": np.ones(3)}, OperandError, "missing"),
    ],
)
def test_wrong_parameters_are_said(given: Any, error: Any, said: str) -> None:
    net = two_layers()
    if isinstance(given, dict) and given:
        whole = net.init(0, ROWS)
        for part, inside in given.items():
            both = isinstance(inside, dict) and "missing" not in said
            given = {**whole, part: {**whole.get(part, {}), **inside} if both else inside}
    for call in (
        lambda: net(given, ROWS),
        lambda: net.loss_and_grad(given, ROWS, LABELS),
        lambda: net.statistics(given, ROWS),
        lambda: net.evaluate(given, (ROWS, LABELS)),
    ):
        with pytest.raises(error, match=said):
            call()


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        ((ROWS,), OperandError, "take x, target: 1 were given"),
        ((ROWS, ROWS, LABELS), OperandError, "take x, target: 3 were given"),
        ((ROWS, LABELS[:3]), ShapeError, r"has shape \(3,\).*'b c' \(7, 3\)"),
        ((ROWS, LABELS + 1), OperandError, "labels from 1 to 3"),
        ((ROWS[:, :2], LABELS), ShapeError, r"dense_1.* needs \(2, 5\)"),
    ],
)
def test_wrong_data_are_said(data: Any, error: Any, said: str) -> None:
    net = two_layers()
    with pytest.raises(error, match=said):
        net.loss_and_grad(net.init(0, ROWS), *data)


@pytest.mark.parametrize(
    ("parts", "error"), [([], ParameterError), ([3], ParameterError), (["no_such_map"], Exception)]
)
def test_what_is_no_part_is_refused(parts: Any, error: Any) -> None:
    with pytest.raises(error):
        cc.Network(parts)


def test_a_function_makes_a_tensor() -> None:
    nothing: Any = lambda x: None  # noqa: E731
    with pytest.raises(ProgramError, match="returns a NoneType"):
        cc.Network(nothing).init(0, (2, 3))


def test_nothing_to_measure() -> None:
    net = two_layers()
    with pytest.raises(OperandError, match="nothing in the data"):
        net.evaluate(net.init(0, ROWS), lambda rng: [])
