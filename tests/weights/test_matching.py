"""Which layer is which, and what is said if none is."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from weight_arrays import same_bits

import contractconv as cc
from contractconv import weights
from contractconv.errors import SpecError, WeightsError
from contractconv.layers import Conv, ConvCP, Dense, Local

SHAPE = (1, 6, 6, 3)


def numbers(*shape: int) -> NDArray[Any]:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def network() -> Any:
    return cc.Network([Conv(2, 3), Dense(4, over="h w c"), Dense(4), Dense(4)]).traced(SHAPE)


def entries(*names: str) -> dict[str, NDArray[Any]]:
    """Weights of torch for the network, under some names of layers."""
    shapes = [(2, 3, 3, 3), (4, 32), (4, 4), (4, 4)]
    return {
        f"{name}.{entry}": n + numbers(*(shape if entry == "weight" else shape[:1]))
        for n, (name, shape) in enumerate(zip(names, shapes, strict=True))
        for entry in ("weight", "bias")
    }


WHOLE = entries("0", "2", "3", "4")


def refused(
    message: str, source: Any, net: Any = None, framework: str = "torch", **options: Any
) -> None:
    """Check what is said of weights that do not fit."""
    with pytest.raises(WeightsError) as caught:
        weights.load(net or network(), source, framework, **options)
    assert str(caught.value) == message


def test_layers_are_met_in_order() -> None:
    params = weights.load(network(), WHOLE, "torch")
    assert list(params) == ["conv_1", "dense_1", "dense_2", "dense_3"]
    assert same_bits(params["dense_3"]["bias"], WHOLE["4.bias"])


def test_what_is_nested_has_no_order() -> None:
    tree = weights.nested({name.replace(".", "/"): array for name, array in WHOLE.items()})
    shuffled = {name: tree[name] for name in sorted(tree, reverse=True)}
    wanted = weights.load(network(), WHOLE, "torch")
    assert same_bits(weights.load(network(), shuffled, "torch"), wanted)


def test_layers_ten_and_nine() -> None:
    renamed = weights.nested(
        {name.replace(".", "/"): array for name, array in entries("8", "9", "10", "11").items()}
    )
    wanted = weights.load(network(), WHOLE, "torch")
    assert same_bits(weights.load(network(), renamed, "torch"), wanted)


def test_layers_that_could_be_either_are_not_guessed() -> None:
    tree = weights.nested(
        {k.replace(".", "/"): v for k, v in entries("conv", "in", "left", "right").items()}
    )
    refused(
        "dense_2: ... c, c o -> ... o + bias\n"
        "fits several layers, and the source does not keep their order: left, right\n"
        "say which it is, as in names={'dense_2': 'left'}",
        tree,
    )
    names = {"dense_2": "right"}
    params = weights.load(network(), tree, "torch", names=names)
    assert same_bits(params["dense_2"]["bias"], tree["right"]["bias"])
    assert same_bits(params["dense_3"]["bias"], tree["left"]["bias"])


def test_names_say_which_layer_is_which() -> None:
    params = weights.load(network(), WHOLE, "torch", names={"dense_2": "4"})
    assert same_bits(params["dense_2"]["bias"], WHOLE["4.bias"])
    assert same_bits(params["dense_3"]["bias"], WHOLE["3.bias"])
    back = weights.export(network(), params, "torch", names={"dense_2": "4"}, like=WHOLE)
    assert same_bits(back, WHOLE)


def test_names_that_are_none() -> None:
    refused(
        "the network has no layer 'conv' with parameters: there are conv_1, dense_1, dense_2, "
        "dense_3",
        WHOLE, names={"conv": "0"},
    )  # fmt: skip
    refused(
        "dense_1: ... h w c, h w c o -> ... o + bias\n"
        "wants weight (4, 32), bias (4,) of 'features/2', where there is nothing",
        WHOLE, names={"dense_1": "features.2"},
    )  # fmt: skip


def test_an_axis_that_is_too_long() -> None:
    refused(
        "'2.weight' does not fit dense_1.W: its axis (c h w) has 40, not 32\n"
        "  o (c h w) -> h w c o\n"
        "    ^^^^^^^\n"
        "dense_1: ... h w c, h w c o -> ... o + bias\n"
        "here o=4, c=2, h=4, w=4; theirs has the shape (4, 40)",
        WHOLE | {"2.weight": numbers(4, 40)},
    )


def test_axes_in_another_order() -> None:
    refused(
        "'2.weight' does not fit dense_1.W: its axis o has 32, not 4\n"
        "  o (c h w) -> h w c o\n"
        "  ^\n"
        "dense_1: ... h w c, h w c o -> ... o + bias\n"
        "here o=4, c=2, h=4, w=4; theirs has the shape (32, 4)\n"
        "the sizes are the same in another order: framework= or layouts= may be wrong",
        WHOLE | {"2.weight": numbers(32, 4)},
    )


def test_another_number_of_axes() -> None:
    refused(
        "'0.weight' does not fit conv_1.W: it has 2 axes, not 4\n"
        "  o c k l -> k l c o\n"
        "  ^^^^^^^\n"
        "conv_1: b (i+k) (j+l) c, k l c o -> b i j o + bias\n"
        "here o=2, c=3, k=3, l=3; theirs has the shape (2, 27)",
        WHOLE | {"0.weight": numbers(2, 27)},
    )


def test_missing_entries() -> None:
    refused(
        "dense_1: ... h w c, h w c o -> ... o + bias\n"
        "wants weight (4, 32), bias (4,) of '2', where 2.weight is left",
        {name: array for name, array in WHOLE.items() if name != "2.bias"},
    )
    refused(
        "dense_3: ... c, c o -> ... o + bias\nwants weight (4, 4), bias (4,), but nothing is left",
        {name: array for name, array in WHOLE.items() if not name.startswith("4")},
    )


def test_superfluous_entries() -> None:
    refused(
        "no layer of the network wants 5.weight (2, 2); its layers are conv_1, dense_1, dense_2, "
        "dense_3",
        WHOLE | {"5.weight": numbers(2, 2)},
    )


def test_entries_that_are_no_weights_come_back() -> None:
    counted = WHOLE | {"9.num_batches_tracked": np.array(3)}
    params = weights.load(network(), counted, "torch")
    assert same_bits(weights.export(network(), params, "torch", like=counted), counted)


def test_layouts_that_somebody_says() -> None:
    net = cc.Network([Conv(2, (3, 2))]).traced(SHAPE)
    mine = numbers(2, 2, 3, 3)
    source = {"c.weight": mine, "c.bias": numbers(2)}
    layouts = {"conv_1": {"W": "(1-l) o c k"}}
    params = weights.load(net, source, "torch", layouts=layouts)
    wanted = mine[::-1].transpose(3, 0, 2, 1)
    assert same_bits(params["conv_1"]["W"], np.ascontiguousarray(wanted))
    assert same_bits(weights.export(net, params, "torch", layouts=layouts, like=source), source)
    with pytest.raises(SpecError, match="unbalanced"):
        weights.load(net, source, "torch", layouts={"conv_1": {"W": "(o c k l"}})
    with pytest.raises(WeightsError, match="no layer 'conv' with parameters"):
        weights.load(net, source, "torch", layouts={"conv": {"W": "o c k l"}})


def test_layers_that_neighbours_do_not_have() -> None:
    with pytest.raises(WeightsError, match=r"\(looked for: local\)"):
        weights.load(cc.Network([Local(2, 3)]).traced(SHAPE), WHOLE, "keras")
    with pytest.raises(WeightsError, match="there is no layer of the neighbour with its"):
        weights.load(cc.Network([ConvCP(2, 3, rank=2)]).traced(SHAPE), WHOLE, "torch")


def test_frameworks_that_are_none() -> None:
    refused(
        "framework='pytorch' is none of torch, keras, tensorflow, flax, caffe, theano; did you "
        "mean 'torch'?",
        WHOLE, framework="pytorch",
    )  # fmt: skip
    refused("a int has no weights that can be read: give a path, a dict of arrays, or a model", 3)


def test_networks_without_shapes() -> None:
    refused(
        "which weights a network has follows from what comes in: give net.traced(shape), not a "
        "Network",
        WHOLE,
        cc.Network([Dense(4)]),
    )


def test_parameters_that_are_none() -> None:
    params = weights.load(network(), WHOLE, "torch")
    del params["dense_1"]["W"]
    with pytest.raises(WeightsError, match=re.escape("dense_1.W: no array is given, (4, 4, 2, 4)")):
        weights.export(network(), params, "torch")
    params["dense_1"]["W"] = np.ones(3)
    with pytest.raises(WeightsError, match=re.escape("dense_1.W: (3,), (4, 4, 2, 4) along")):
        weights.export(network(), params, "torch")


def test_shared_layers_have_their_weights_once() -> None:
    dense = Dense(4)
    net = cc.Network([dense, dense]).traced((1, 4))
    source = {"a.weight": numbers(4, 4), "a.bias": numbers(4)}
    params = weights.load(net, source, "torch")
    assert list(params) == ["dense_1"]
    assert same_bits(weights.export(net, params, "torch", like=source), source)


def test_names_of_tensorflow() -> None:
    net = cc.Network([Conv(2, 3), Dense(4, over="h w c")]).traced(SHAPE)
    source = {
        "conv2d/kernel:0": numbers(3, 3, 3, 2),
        "conv2d/bias:0": numbers(2),
        "dense/kernel:0": numbers(32, 4),
        "dense/bias:0": numbers(4),
    }
    params = weights.load(net, source, "tensorflow")
    assert same_bits(params["conv_1"]["W"], source["conv2d/kernel:0"])
    assert same_bits(weights.export(net, params, "tensorflow", like=source), source)
    found = weights.export(net, params, "tensorflow", names={"conv_1": "a", "dense_1": "b"})
    assert list(found) == ["a/kernel", "a/bias", "b/kernel", "b/bias"]
