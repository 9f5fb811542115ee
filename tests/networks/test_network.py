"""Networks: losses and gradients against torch's, what is wrong, and what is kept of them."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from small_networks import Array, classes, flat, network, perceptron

import contractconv as cc
from contractconv.errors import OperandError, ParameterError, ProgramError, ShapeError
from contractconv.networks import network as module

L, T = cc.layers, cc.training
ROWS = np.random.default_rng(4).standard_normal((7, 4))
LABELS = np.random.default_rng(5).integers(0, 3, 7)


def two_layers() -> cc.Network:
    return cc.Network([L.Dense(5, map="tanh"), L.Dense(3)])


# --- losses and gradients against torch ---


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


# --- what is wrong ---


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
        (("rows", LABELS), ShapeError, "neither a shape"),
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
    with pytest.raises(ProgramError, match="returns a NoneType"):
        cc.Network(lambda x: None).init(0, (2, 3))


def test_nothing_to_measure() -> None:
    net = two_layers()
    with pytest.raises(OperandError, match="nothing in the data"):
        net.evaluate(net.init(0, ROWS), lambda rng: [])


# --- networks in networks ---


def test_a_network_is_a_part_of_another_one() -> None:
    inner = cc.Network([L.Dense(4, map="tanh"), L.Dense(4)], name="inner")
    net = cc.Network([L.Dense(4), inner, "relu", inner, L.Dense(3)])
    names = [p.name for p in net.parameters((7, 4))]
    assert names == [
        "dense_1.W", "dense_1.bias", "inner.dense_1.W", "inner.dense_1.bias", "inner.dense_2.W",
        "inner.dense_2.bias", "dense_2.W", "dense_2.bias",
    ]  # fmt: skip
    params = net.init(0, ROWS, dtype="float64")
    h = ROWS @ params["dense_1"]["W"] + params["dense_1"]["bias"]
    h = inner(params["inner"], np.maximum(inner(params["inner"], h), 0))
    h = h @ params["dense_2"]["W"] + params["dense_2"]["bias"]
    np.testing.assert_allclose(net(params, ROWS), h, rtol=1e-12)
    fit = net.fit((ROWS, LABELS), epochs=2)
    assert set(fit.params["inner"]) == {"dense_1", "dense_2"}


def test_a_network_of_a_function_is_a_part_too() -> None:
    def residual(x: cc.Tensor) -> cc.Tensor:
        return x + L.Dense(4, map="tanh")(x)

    inner = cc.Network(residual)
    inside = cc.Network([inner, L.Residual([inner]), L.Dense(3)])
    assert [p.name for p in inside.parameters((7, 4))][:2] == [
        "network_1.dense_1.W", "network_1.dense_1.bias",
    ]  # fmt: skip

    def outer(x: cc.Tensor, y: cc.Tensor) -> cc.Tensor:
        return inner(inner(x)) + y

    net = cc.Network(outer)
    params = net.init(0, ROWS, ROWS, dtype="float64")
    twice = inner(params["network_1"], inner(params["network_1"], ROWS)) + ROWS
    np.testing.assert_allclose(net(params, ROWS, ROWS), twice, rtol=1e-12)


def test_tokens_come_into_a_network_in_a_network() -> None:
    net = cc.Network([cc.Network([L.Embedding(9, 4)]), L.Dense(2)])
    assert net(net.init(0, (3, 5)), np.zeros((3, 5), int)).shape == (3, 5, 2)


# --- what is kept ---


def test_what_was_traced_and_compiled_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counting(name: str) -> None:
        plain = getattr(module, name)

        def counted(*given: Any, **named: Any) -> Any:
            calls.append(name)
            return plain(*given, **named)

        monkeypatch.setattr(module, name, counted)

    for name in ("traced", "objective", "compile_program"):
        counting(name)
    net, (x, labels) = network(), classes()
    params = net.init(0, x)

    def everything() -> None:
        net(params, x)
        net.loss_and_grad(params, x, labels)
        net.statistics(params, x)
        net.evaluate(params, (x, labels))

    everything()
    assert calls
    calls.clear()
    everything()
    assert not calls
    cc.clear_caches()
    everything()
    assert calls


def test_little_is_kept_of_many_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    from contractconv import cache_register

    monkeypatch.setattr(cache_register, "BUDGET", 1 << 19)
    net = two_layers()
    params = net.init(0, ROWS)
    for rows in range(1, 80):
        net.traced((rows, 4))
    assert 0 < len(net._traces) < 60
    assert net(params, ROWS).shape == (7, 3)


def test_a_network_is_pickled_and_copied_without_what_is_kept() -> None:
    net, (x, labels) = network(), classes()
    params = net.init(0, x)
    wanted = net(params, x)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert not other._traces
        assert not other._compiled
        assert np.array_equal(other(params, x), wanted)
        assert str(other) == str(net)
    fit = net.fit((x, labels), epochs=1, validation=(x, labels), average=0.5)
    again = pickle.loads(pickle.dumps(fit))
    assert again.rows == fit.rows
    assert np.array_equal(again.params["dense_1"]["W"], fit.params["dense_1"]["W"])


def test_threads_call_one_network() -> None:
    net, (x, labels) = network(), classes()
    params = net.init(0, x, dtype="float64")
    wrong: list[str] = []

    def call(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(15):
            rows = slice(0, int(rng.integers(2, 23)))
            made = net(params, x[rows])
            _, slopes = net.loss_and_grad(params, x[rows], labels[rows])
            alone = fresh[rows.stop]
            if not (
                np.array_equal(made, alone[0])
                and np.array_equal(slopes["dense_1"]["W"], alone[1]["dense_1"]["W"])
            ):
                wrong.append(f"{rows}")

    other = network()
    fresh = {
        n: (other(params, x[:n]), other.loss_and_grad(params, x[:n], labels[:n])[1])
        for n in range(2, 23)
    }
    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
