"""Networks: what comes in, what they are called with, and what is said of mistakes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv import Network
from contractconv.api.tensor import Tensor
from contractconv.errors import (
    ContractionError,
    OperandError,
    ParameterError,
    ProgramError,
    ShapeError,
)
from contractconv.layers import BatchNorm, Chain, Conv, Dense, Embedding, MaxPool, Residual

X = np.random.default_rng(0).standard_normal((4, 5))


def _network() -> Network:
    return Network([Dense(3, map="relu"), BatchNorm(), Dense(2)])


def _ours(params: Any, x: Any) -> Any:
    hidden = np.maximum(x @ params["dense_1"]["W"] + params["dense_1"]["bias"], 0)
    norm = params["batch_norm_1"]
    hidden = (hidden - norm["mean"]) / np.sqrt(norm["variance"] + 1e-5)
    hidden = hidden * norm["scale"] + norm["shift"]
    return hidden @ params["dense_2"]["W"] + params["dense_2"]["bias"]


# -- arrays ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5), ("float16", 1e-2)]
)
def test_numbers_are_those_of_the_parameters(dtype: str, tolerance: float) -> None:
    network = _network()
    params = network.init(0, X, dtype=dtype)
    assert {a.dtype for part in params.values() for a in part.values()} == {np.dtype(dtype)}
    for x in (X, X.astype("float16"), X.astype("float32")):
        found = network(params, x)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, _ours(params, x), rtol=tolerance, atol=tolerance)
    loss, grads = network.loss_and_grad(params, X, np.array([0, 1, 1, 0]))
    assert {a.dtype for part in grads.values() for a in part.values()} == {np.dtype(dtype)}
    assert loss.dtype == dtype


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8", "bool"])
def test_integers_meet_weights_as_numbers(dtype: str) -> None:
    x = (X > 0).astype(dtype)
    params = _network().init(0, x)
    assert _network()(params, x).dtype == "float32"
    np.testing.assert_allclose(_network()(params, x), _ours(params, x * 1), rtol=1e-5, atol=1e-6)


def test_arrays_of_any_layout() -> None:
    network = _network()
    params = network.init(0, X, dtype="float64")
    wanted = _ours(params, X)
    still = X.copy()
    still.setflags(write=False)
    for x in (X, still, np.asfortranarray(X), X[::-1, ::-1].copy()[::-1, ::-1]):
        np.testing.assert_allclose(network(params, x), wanted, rtol=1e-12)
    moved = deepcopy(params)
    moved["dense_1"]["W"] = np.asfortranarray(params["dense_1"]["W"])
    moved["dense_2"]["W"] = params["dense_2"]["W"].repeat(2, 1)[:, ::2]
    for part in moved.values():
        for array in part.values():
            array.setflags(write=False)
    np.testing.assert_allclose(network(moved, X), wanted, rtol=1e-12)
    network.loss_and_grad(moved, still, np.zeros(4, int))


def test_batches_of_nobody_and_of_others() -> None:
    network = _network()
    params = network.init(0, (1, 5), dtype="float64")
    for count in (0, 1, 7):
        x = np.resize(X, (count, 5))
        np.testing.assert_allclose(network(params, x), _ours(params, x), rtol=1e-12)


def test_seeds() -> None:
    network = _network()
    one, same = network.init(3, X), network.init(np.random.default_rng(3), X)
    assert all((one[k][n] == same[k][n]).all() for k in one for n in one[k])
    assert (network.init(4, X)["dense_1"]["W"] != one["dense_1"]["W"]).any()


# -- inputs ----------------------------------------------------------------------------------------


def test_several_inputs_of_a_function() -> None:
    join = Dense(3)

    def scores(left: Tensor, right: Tensor) -> Tensor:
        both: Tensor = cc.tanh(join(left) * 2 + join(right))
        return both

    network = Network(scores)
    a, b = X, X[::-1]
    params = network.init(0, a, b, dtype="float64")
    assert list(params) == ["dense_1"]
    W, bias = params["dense_1"]["W"], params["dense_1"]["bias"]
    wanted = np.tanh((a @ W + bias) * 2 + b @ W + bias)
    np.testing.assert_allclose(network(params, a, b), wanted, rtol=1e-12)
    assert network.program(a, b).name == "scores"
    with pytest.raises(OperandError, match=r"scores takes 2 inputs \(left, right\), not 1"):
        network(params, a)
    with pytest.raises(OperandError, match="take left, right, target: 2 were given"):
        network.loss_and_grad(params, a, b)


def test_integers_and_numbers_together() -> None:
    table = Embedding(7, 5)

    def f(x: Tensor, tokens: Tensor) -> Tensor:
        return x + table(tokens)

    network = Network(f, inputs=["b c", cc.tensor("tokens", "b", "int64")])
    tokens = np.array([0, 6, 3, 3])
    params = network.init(0, X, tokens, dtype="float64")
    wanted = X + params["embedding_1"]["W"][tokens]
    np.testing.assert_allclose(network(params, X, tokens), wanted, rtol=1e-12)
    _, grads = network.loss_and_grad(params, X, tokens, np.zeros((4, 5)), loss="mse")
    rows = np.zeros((7, 5))
    np.add.at(rows, tokens, 2 * wanted / wanted.size)
    np.testing.assert_allclose(grads["embedding_1"]["W"], rows, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((3,), "b"), ((3, 4), "b c"), ((3, 4, 5), "b t c"), ((3, 4, 5, 6), "b h w c"),
        ((3, 2, 4, 5, 6), "b d h w c"), ((1,) * 6, "a0 a1 a2 a3 a4 a5"), ((), ""),
    ],
)  # fmt: skip
def test_axes_have_names_by_their_number(shape: tuple[int, ...], axes: str) -> None:
    assert " ".join(Network(["tanh"]).traced(shape).inputs[0].axes) == axes


def test_integers_are_tokens_along_positions() -> None:
    net = Network([Embedding(9, 4)])
    assert net.traced((2, 3)).inputs[0].axes == ("b", "t")
    assert net.traced((2, 3)).output.axes == ("b", "t", "c")
    assert Network(Dense(2)).traced(np.ones((2, 3), int)).inputs[0].axes == ("b", "t")


def test_axes_have_the_names_that_are_said() -> None:
    network = Network([Dense(2)], inputs="n f")
    assert network.traced((3, 4)).output.axes == ("n", "f")
    with pytest.raises(ShapeError, match=r"x has shape \(3,\), but the 2 axes 'n f'"):
        network.traced((3,))


def test_an_input_that_is_called_as_a_layer_is() -> None:
    network = Network([Dense(3, name="x"), Dense(2)])
    params = network.init(0, X, dtype="float64")
    hidden = X @ params["x"]["W"] + params["x"]["bias"]
    wanted = hidden @ params["dense_1"]["W"] + params["dense_1"]["bias"]
    np.testing.assert_allclose(network(params, X), wanted, rtol=1e-12)


# -- names -----------------------------------------------------------------------------------------


def test_names_count_kinds() -> None:
    parts = [Dense(3), "relu", Dense(3), Residual([Dense(3), [Dense(3)]]), BatchNorm(), Dense(3)]
    params = Network(parts).init(0, X)
    assert list(params) == ["dense_1", "dense_2", "residual_1", "batch_norm_1", "dense_3"]
    assert list(params["residual_1"]) == ["dense_1", "chain_1"]
    assert list(params["residual_1"]["chain_1"]) == ["dense_1"]


def test_names_that_are_given() -> None:
    params = Network([Dense(3, name="dense_1"), Dense(3), Dense(3, name="last")]).init(0, X)
    assert list(params) == ["dense_1", "dense_2", "last"]


def test_paths_that_would_be_one_word() -> None:
    inner = Residual([Dense(5, name="c")], name="b")
    network = Network([Residual([Dense(5, name="b_c")], name="a"), Residual([inner], name="a_b")])
    params = network.init(0, X, dtype="float64")

    def dense(at: Any, x: Any) -> Any:
        return x @ at["W"] + at["bias"]

    first = X + dense(params["a"]["b_c"], X)
    second = first + (first + dense(params["a_b"]["b"]["c"], first))
    np.testing.assert_allclose(network(params, X), second, rtol=1e-12)


@pytest.mark.parametrize("name", ["a.b", "a b", "", "1", 3, "def", "lambda"])
def test_names_that_are_none(name: Any) -> None:
    with pytest.raises(ProgramError, match="a part cannot be called"):
        Network([Dense(3, name=name)]).init(0, X)


def test_names_twice() -> None:
    with pytest.raises(ProgramError, match="two parts are called 'a' here"):
        Network([Dense(3, name="a"), Dense(3, name="a")]).init(0, X)


# -- sharing ---------------------------------------------------------------------------------------


def test_a_part_that_is_called_twice_shares_its_parameters() -> None:
    shared = Dense(5, map="tanh")
    network = Network([shared, shared])
    params = network.init(0, X, dtype="float64")
    W, bias = params["dense_1"]["W"], params["dense_1"]["bias"]
    first = np.tanh(X @ W + bias)
    np.testing.assert_allclose(network(params, X), np.tanh(first @ W + bias), rtol=1e-12)
    assert len(network.traced(X).calls) == 2


def test_equal_parts_share_nothing() -> None:
    assert list(Network([Dense(5), Dense(5)]).init(0, X)) == ["dense_1", "dense_2"]


def test_sharing_with_another_shape() -> None:
    shared = Dense(3)
    with pytest.raises(ShapeError, match=r"dense_1.W is shared: it has shape \(5, 3\), and would"):
        Network([shared, shared]).init(0, X)


def test_a_bias_that_is_shared_follows_the_names_of_axes() -> None:
    shared = Dense(5)
    network = Network(lambda x: shared(shared(x).named("n f")))
    params = network.init(0, X, dtype="float64")
    W, bias = params["dense_1"]["W"], params["dense_1"]["bias"]
    assert network.traced(X).output.axes == ("n", "f")
    np.testing.assert_allclose(network(params, X), (X @ W + bias) @ W + bias, rtol=1e-12)


def test_a_part_in_two_networks() -> None:
    shared = Dense(5)
    one, other = Network([shared]), Network([Dense(5), shared])
    assert list(one.init(0, X)) == ["dense_1"]
    assert list(other.init(0, X)) == ["dense_1", "dense_2"]
    assert list(one.init(0, X)) == ["dense_1"]


# -- mistakes --------------------------------------------------------------------------------------


def _changed(params: Any, *path: str, to: Any = None) -> Any:
    changed = deepcopy(params)
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    if to is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return changed


PARAMS: dict[Any, Any] = _network().init(0, X)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (_changed(PARAMS, "dense_1", "W"), "dense_1.W missing among the parameters"),
        (_changed(PARAMS, "dense_1"), "dense_1.W, dense_1.bias missing"),
        (_changed(PARAMS, "dens_2", to={"W": 1}), "no parameter dens_2.W; did you mean"),
        (_changed(PARAMS, "dense_1", to=[1, 2]), "dense_1.W, dense_1.bias missing"),
        (_changed(PARAMS, "dense_1", to=X), "dense_1.W, dense_1.bias missing"),
        ({**PARAMS, 1: X}, "no parameter 1"),
        ([1], "parameters are a nested dict of arrays"),
        (X, "parameters are a nested dict of arrays"),
        (_changed(PARAMS, "dense_1", "W", to=[[1.0] * 3] * 5), "dense_1.W is no array, but a list"),
        (_changed(PARAMS, "dense_1", "W", to=np.full((5, 3), "a")), "not an array of numbers"),
    ],
)  # fmt: skip
def test_parameters_that_are_none(params: Any, said: str) -> None:
    with pytest.raises(OperandError) as caught:
        _network()(params, X)
    assert said in str(caught.value)


def test_parameters_of_another_shape() -> None:
    params = _changed(PARAMS, "dense_1", "W", to=np.ones((5, 4)))
    with pytest.raises(ShapeError, match=r"dense_1.W has shape \(5, 4\); .*\(5, 3\), along 'c o'"):
        _network()(params, X)
    with pytest.raises(ShapeError, match=r"dense_1.W has shape \(5, 3\); .*\(6, 3\)"):
        _network()(PARAMS, np.ones((4, 6)))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((4, "a"), "neither a shape"), ((4, -1), "neither a shape"), (5, "neither a shape"),
        ((4, 2.5), "neither a shape"), (X.tolist(), "neither a shape"), (None, "neither a shape"),
    ],
)  # fmt: skip
def test_shapes_that_are_none(shape: Any, said: str) -> None:
    with pytest.raises(ShapeError, match=said) as caught:
        _network().init(0, shape)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("rng", "dtype"),
    [("seed", "float32"), (-1, "float32"), (0, "int64"), (0, "floaty"), (0, "bool")],
)
def test_what_cannot_be_drawn(rng: Any, dtype: str) -> None:
    with pytest.raises(OperandError):
        _network().init(rng, X, dtype=dtype)


@pytest.mark.parametrize("parts", [[], None, 3, [3], ["reluu"], [[]], [Dense(3), None]])
def test_parts_that_are_none(parts: Any) -> None:
    with pytest.raises(ParameterError):
        Network(parts)


def test_a_map_alone() -> None:
    np.testing.assert_allclose(Network("tanh")({}, X), np.tanh(X), rtol=1e-12)
    np.testing.assert_allclose(Network(Chain(["tanh"]))({}, X), np.tanh(X), rtol=1e-12)


def test_functions_that_make_no_tensor() -> None:
    with pytest.raises(ProgramError, match="returns a NoneType"):
        Network(lambda x: None).init(0, X)  # type: ignore[arg-type, return-value]
    with pytest.raises(ProgramError, match="a loss is a number"):
        _network().loss_and_grad(PARAMS, X, X[:, :2], loss=lambda a, b: a - b)


def test_parts_outside_of_networks() -> None:
    with pytest.raises(ProgramError, match="is called outside of a network"):
        Dense(3)(cc.tensor("x", "b c"))
    dense = Dense(3)
    with pytest.raises(OperandError, match="ndarray given to"):
        Network(lambda x: dense(X)).init(0, X)  # type: ignore[arg-type]


@pytest.mark.parametrize("inputs", [3, [3], cc.tensor("x", "b c") * 2, ["b c", "b"]])
def test_inputs_that_are_none(inputs: Any) -> None:
    with pytest.raises(ParameterError):
        Network([Dense(2)], inputs=inputs).init(0, X)


@pytest.mark.parametrize(
    ("target", "loss"),
    [
        (np.zeros(3, int), "cross_entropy"),
        (np.zeros(4), "cross_entropy"),
        (np.zeros((4, 3)), "mse"),
        (np.zeros((4, 2), complex), "mse"),
        (np.zeros((4, 2)), "mee"),
        (np.zeros((4, 2)), 3),
    ],
)
def test_targets_that_are_none(target: Any, loss: Any) -> None:
    with pytest.raises(ContractionError):
        _network().loss_and_grad(PARAMS, X, target, loss=loss)


def test_mistakes_say_in_which_part_they_are() -> None:
    network = Network([Conv(4, 3), Residual([MaxPool(2), [Conv(4, 9, name="wide")]])])
    with pytest.raises(ShapeError) as caught:
        network.init(0, (1, 8, 8, 3))
    assert str(caught.value).startswith("residual_1.chain_1.wide: a window of 9 does not fit")
    assert str(caught.value).endswith("it was given 'b h w c' (1, 3, 3, 4)")
