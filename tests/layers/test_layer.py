"""Layers that are written as strings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_layers import agree, channels_first, channels_last, numbers, torch

from contractconv import Contraction, Layer, Network
from contractconv.api.tensor import Tensor
from contractconv.errors import OperandError, ParameterError, ShapeError, SpecError
from contractconv.layers import Conv

SPEC = "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o"


def test_a_string_is_the_ready_made_layer() -> None:
    part = Layer(SPEC, k=3, l=3, o=4, bias="o", map="relu")

    def theirs(w: Any, x: Any) -> Any:
        kernel = w["W"].movedim((-1, -2), (0, 1))
        made = torch.nn.functional.conv2d(channels_first(x), kernel, w["bias"], 2, 1)
        return torch.relu(channels_last(made))

    agree(part, theirs, numbers(2, 7, 8, 3))
    agree(Conv(4, 3, stride=2, padding=1, map="relu"), theirs, numbers(2, 7, 8, 3))


def test_parameters_of_a_string() -> None:
    part = Layer("b (s*i+k) c, k c o -> b i o", parameters="s", s=2, k=3, o=4)

    def theirs(w: Any, x: Any) -> Any:
        kernel = w["W"].movedim((-1, -2), (0, 1))
        return channels_last(torch.nn.functional.conv1d(channels_first(x), kernel, stride=2))

    agree(part, theirs, numbers(2, 9, 3))


def test_several_weights_and_their_names() -> None:
    part = Layer("b i, i r, r o -> b o", r=2, o=4, weights=["left", "right"], bias=True)

    def theirs(w: Any, x: Any) -> Any:
        return x @ w["left"] @ w["right"] + w["bias"]

    agree(part, theirs, numbers(3, 5))
    roles = [p.path for p in Network(Layer("b i, i r, r o -> b o", r=2, o=4)).parameters((3, 5))]
    assert roles == [("W_1",), ("W_2",)]


def test_several_inputs() -> None:
    part = Layer("b i, b j, i j o -> b o", inputs=2, o=4, bias="o")

    def f(x: Tensor, y: Tensor) -> Tensor:
        return part(x, y)

    def theirs(w: Any, x: Any, y: Any) -> Any:
        return torch.einsum("bi,bj,ijo->bo", x, y, w["W"]) + w["bias"]

    agree(Network(f, inputs=["b i", "b j"]), theirs, numbers(3, 5), numbers(3, 2))
    with pytest.raises(OperandError, match=r"takes 2 inputs .*, not 1"):
        Network(part).init(0, (3, 5))


def test_biases_along_several_axes() -> None:
    part = Layer("b t c, c o -> b t o", o=4, bias="t o")
    agree(part, lambda w, x: x @ w["W"] + w["bias"], numbers(2, 3, 5))


def test_reductions_without_weights() -> None:
    agree(Layer("b i c -> b c", reduce="max"), lambda w, x: x.amax(1), numbers(2, 3, 5))


def test_ellipses_and_groups() -> None:
    agree(Layer("... c, c o -> ... o", o=3), lambda w, x: x @ w["W"], numbers(2, 3, 4, 5))

    def theirs(w: Any, x: Any) -> Any:
        apart = x.reshape(*x.shape[:-1], 2, 3)
        return torch.einsum("bgc,gco->bgo", apart, w["W"]).flatten(-2)

    agree(Layer("b (g c), g c o -> b (g o)", g=2, o=4), theirs, numbers(2, 6))


def test_functions_at_the_end() -> None:
    part = Layer("b c, c o -> b o", o=3, map=lambda x: x * 2)
    agree(part, lambda w, x: x @ w["W"] * 2, numbers(2, 5))


def test_strings() -> None:
    assert str(Layer(SPEC, k=3, l=3, o=4, bias="o", map="relu")) == f"{SPEC} + bias, relu"
    assert str(Layer(Contraction("b i c -> b c", "max"))) == "b i c -> b c, reduce max"
    assert repr(Layer(SPEC, k=3)) == f"Layer('{SPEC}', k=3)"


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (lambda: Layer("b c, (c+k) o -> b o"), SpecError, "a weight is an array of its own"),
        (lambda: Layer("b c, c o -> b o", q=3), ShapeError, "no index or parameter called 'q'"),
        (lambda: Layer("b c, c o - b o"), SpecError, ""),
        (lambda: Layer("b c, c o -> b o", map="reluu"), ParameterError, "reluu"),
        (lambda: Layer("b c, c o -> b o", init="hee"), ParameterError, "hee"),
        (lambda: Layer("b c, c o -> b o", inputs=3), ParameterError, "inputs=3"),
    ],
)
def test_wrong_options(wrong: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        wrong()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Layer("b c, c o -> b o"), "layer_1: how long is o? only a weight has it"),
        (Layer("b c, c o -> b o", o=3, bias="z"), "the bias is along 'z'"),
        (Layer("b c d, c o -> b o", o=3), "what comes in has the axes 'b c', but its term has 3"),
        (Layer("b c, c o -> b o", o=3, c=9), "layer_1:"),
    ],
)
def test_wrong_shapes(part: Layer, said: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Network([part]).init(0, (4, 5))
    assert said in str(caught.value)


def test_initialisers_of_weights_that_are_not_there() -> None:
    with pytest.raises(ParameterError, match="init= is for 'V', but the weights are W"):
        Network([Layer("b c, c o -> b o", o=3, init={"V": "he"})]).init(0, (4, 5))


def test_a_weight_for_each_name() -> None:
    part = Layer("b i, i r, r o -> b o", r=2, o=4, init={"W_1": "ones", "W_2": np.eye(2, 4)})
    params = Network(part).init(0, (3, 5))
    assert (params["W_1"] == 1).all()
    assert (params["W_2"] == np.eye(2, 4)).all()


def test_arrays_say_the_extents_of_their_indices() -> None:
    rows, columns = np.array([1.0, 2.0, 1.0]), np.array([1.0, 0.0, -1.0, 0.0, 5.0])
    part = Layer("b (i+k-1) (j+l) c, k, l -> b i j c", init={"W_1": rows, "W_2": columns})
    x = np.random.default_rng(0).standard_normal((2, 7, 8, 3))
    net = Network(part)
    params = net.init(0, x, dtype="float64")
    assert {name: array.shape for name, array in params.items()} == {"W_1": (3,), "W_2": (5,)}
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))
    wanted = sum(
        row * column * padded[:, k : k + 7, n : n + 4]
        for k, row in enumerate(rows)
        for n, column in enumerate(columns)
    )
    np.testing.assert_allclose(net(params, x), wanted, rtol=1e-12, atol=1e-12)


def test_arrays_that_do_not_fit_what_comes_in() -> None:
    with pytest.raises(ShapeError, match="layer_1:"):
        Network([Layer("b c, c o -> b o", init=np.ones((4, 3)))]).init(0, (2, 5))
