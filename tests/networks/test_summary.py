"""Multiply-adds are counted by going through places and taps, in Python's integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from architectures import alexnet, attending, inception, lenet, mobilenet_v2, resnet50, unet, vgg16
from hypothesis import given, settings
from hypothesis import strategies as st

import contractconv as cc
from contractconv.layers.counting import multiply_adds_of
from contractconv.planning.programs.shared_products import sized_and_shared
from contractconv.programs.program import Graph

L = cc.layers
Draw = Callable[[st.SearchStrategy[Any]], Any]
Shape = tuple[int, ...]


# -- single layers -------------------------------------------------------------------------------


def met(length: int, places: int, size: int, stride: int, dilation: int, before: int) -> int:
    """Pairs of a window and a tap of it that lie inside of an axis."""
    return sum(
        0 <= stride * place + dilation * tap - before < length
        for place in range(places)
        for tap in range(size)
    )


@st.composite
def windows(draw: Draw) -> dict[str, Any]:
    rank = draw(st.integers(1, 3))
    each = st.lists(st.integers(1, 3), min_size=rank, max_size=rank).map(tuple)
    pads = st.tuples(st.integers(0, 2), st.integers(0, 2))
    return {
        "kernel": draw(each),
        "stride": draw(each),
        "dilation": draw(each),
        "padding": draw(st.lists(pads, min_size=rank, max_size=rank).map(tuple)),
    }


def lengths(draw: Draw, window: dict[str, Any], whole: bool = True) -> list[int]:
    """Axes into which a window fits; a transposed one spreads what it has over any result."""
    least = [
        max(1, d * (k - 1) + 1 - sum(p)) if whole else 1
        for k, d, p in zip(window["kernel"], window["dilation"], window["padding"], strict=True)
    ]
    return [draw(st.integers(n, n + 4)) for n in least]


def axis_pairs(window: dict[str, Any], sizes: Sequence[int], transposed: bool) -> int:
    found = 1
    columns = (window[name] for name in ("kernel", "stride", "dilation", "padding"))
    for length, k, s, d, (before, after) in zip(sizes, *columns, strict=True):
        reach = d * (k - 1) + 1
        if transposed:
            found *= met((length - 1) * s + reach - before - after, length, k, s, d, before)
        else:
            places = (length + before + after - reach) // s + 1
            found *= met(length, places, k, s, d, before)
    return found


@st.composite
def layers(draw: Draw) -> tuple[cc.layers.Part, Shape, int, int]:
    """A layer, what comes in, its multiply-adds, and its parameters."""
    kind = draw(st.sampled_from(["conv", "conv", "transposed", "transposed", "depthwise", "local"]))
    window, batch = draw(windows()), draw(st.integers(1, 3))
    sizes = lengths(draw, window, whole=kind != "transposed")
    groups = draw(st.integers(1, 3)) if kind in ("conv", "transposed") else 1
    ins, outs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    bias = draw(st.booleans())
    pairs = axis_pairs(window, sizes, kind == "transposed")
    taps = prod(window["kernel"])
    shape = (batch, *sizes, groups * ins)
    if kind == "depthwise":
        layer: Any = L.Depthwise(multiplier=outs, bias=bias, **window)
        return layer, shape, batch * pairs * ins * outs, taps * ins * outs + bias * ins * outs
    if kind == "local":
        layer = L.Local(outs, bias=bias, **window)
        columns = (window[name] for name in ("kernel", "stride", "dilation", "padding"))
        places = prod(
            (n + sum(p) - d * (k - 1) - 1) // s + 1
            for n, k, s, d, p in zip(sizes, *columns, strict=True)
        )
        weights = places * taps * ins * outs + bias * places * outs
        return layer, shape, batch * pairs * ins * outs, weights
    make = L.ConvTransposed if kind == "transposed" else L.Conv
    layer = make(groups * outs, groups=groups, bias=bias, **window)
    weights = taps * groups * ins * outs + bias * groups * outs
    return layer, shape, batch * pairs * groups * ins * outs, weights


@settings(max_examples=100)
@given(case=layers(), before=st.booleans())
def test_layers_as_they_are_gone_through(case: Any, before: bool) -> None:
    """Backward a layer takes as much for its weights, and again if something is trained before."""
    layer, shape, count, weights = case
    scale = cc.Layer("..., -> ...", weights=["scale"])
    found = cc.Network([scale, layer] if before else [layer]).summary(shape)
    row = found.rows[-1]
    assert (row.shape and min(row.shape) > 0) or count == 0
    assert row.multiply_adds == count
    assert row.backward == count * (2 if before else 1)
    assert row.parameters == row.trained == weights
    assert row.bytes == 4 * prod(row.shape)


# -- networks ------------------------------------------------------------------------------------


def whole(net: cc.Network, *shapes: Shape) -> tuple[int, int]:
    """Forward and backward of a network, differentiated at once, whatever belongs to whom."""
    network = net.traced(*shapes)
    given = [*network.inputs, *(p.tensor for p in network.parameters)]
    sizes = {str(t.label): network.trace.shape(t) for t in given}
    sizes["g"] = network.trace.shape(network.output)
    back = cc.grad(
        network.output,
        [p.tensor for p in network.trained],
        cotangent=cc.tensor("g", network.output.axes),
    )
    outputs = {"y": network.output._node} | {f"d{n}": t._node for n, t in enumerate(back)}
    forward = multiply_adds_of(sized_and_shared(Graph.of({"y": outputs["y"]}), sizes))
    both = multiply_adds_of(sized_and_shared(Graph.of(outputs), sizes))
    return sum(forward.values()), sum(both.values()) - sum(forward.values())


def shared_and_skipped() -> cc.Network:
    """One convolution is called twice, there is a skip, and a product stands between parts."""
    conv = L.Conv(6, 3, padding=1, map="relu", name="conv")
    idle = L.Dense(7, name="idle")

    def forward(x: cc.Tensor) -> cc.Tensor:
        once = conv(x)
        twice = conv(once) + once
        idle(twice)
        square = cc.contract("b i j c, b i j d -> b c d", twice, once)
        return L.Dense(3, over="c d", name="last")(square)

    return cc.Network(forward, name="skipping")


def factorised() -> cc.Network:
    text = "b (i+k-1) (j+l-1) c, k r, l r, c r, o r -> b i j o"
    return cc.Network([cc.Layer(text, k=3, l=3, r=4, o=5), L.Conv(4, 3), L.Dense(3, over="h w c")])


def embedded() -> cc.Network:
    tokens = cc.tensor("tokens", "b t", "int64")
    return cc.Network([L.Embedding(11, 4), L.LayerNorm(), L.Dense(3)], inputs=tokens)


def transformer() -> cc.Network:
    tokens = cc.tensor("tokens", "b t", "int64")
    attending = L.Residual([L.LayerNorm(), L.Attention(2)])
    thinking = L.Residual([L.LayerNorm(), L.Dense(16, map="gelu"), L.Dense(8)])
    parts = [L.Embedding(11, 8), L.Positions(), attending, thinking, L.Dense(11)]
    return cc.Network(parts, inputs=tokens)


def squeezed() -> cc.Network:
    conv = L.ConvCP(8, 3, rank=4, padding=1)
    return cc.Network([conv, L.BatchNorm(), "relu", L.SqueezeExcite(4), L.GlobalPool()])


NETWORKS: dict[str, tuple[Callable[[], cc.Network], *tuple[Shape, ...]]] = {
    "lenet": (lenet, (2, 28, 28, 1)),
    "attending": (attending, (2, 5, 4), (2, 7, 4)),
    "inception": (inception, (2, 7, 8, 3)),
    "shared": (shared_and_skipped, (2, 6, 5, 6)),
    "factorised": (factorised, (2, 8, 7, 3)),
    "transformer": (transformer, (2, 6)),
    "squeezed": (squeezed, (2, 6, 6, 3)),
    "recurrent": (lambda: cc.Network([L.GRU(5), L.Dense(2)]), (2, 4, 3)),
    "nothing": (lambda: cc.Network([L.Conv(3, 3), L.Dense(2, over="h w c")]), (0, 6, 6, 3)),
    "embedded": (embedded, (2, 5)),
    "unet": (lambda: unet(3, (16, 4)), (1, 48, 44, 2)),
    "mobilenet": (mobilenet_v2, (1, 32, 32, 3)),
    "resnet": (resnet50, (1, 33, 32, 3)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_parts_take_together_what_the_network_takes(name: str) -> None:
    make, *shapes = NETWORKS[name]
    found = make().summary(*shapes)
    assert (found.multiply_adds, found.backward) == whole(make(), *shapes)
    assert sum(row.parameters for row in found.rows) == found.parameters
    assert sum(row.trained for row in found.rows) == found.trained


def test_what_is_shared_is_counted_once_and_what_is_not_needed_not_at_all() -> None:
    found = shared_and_skipped().summary((2, 6, 5, 6))
    first, second, idle, square, last = found.rows
    weights = 9 * 6 * 6 + 6
    assert (first.parameters, first.is_shared) == (weights, False)
    assert (second.parameters, second.is_shared) == (0, True)
    assert second.backward == 2 * second.multiply_adds == 2 * first.backward
    assert not idle.is_used
    assert idle.multiply_adds == idle.backward == 0
    assert square.path == ("between parts",)
    assert square.multiply_adds == 2 * 6 * 5 * 6 * 6
    assert found.parameters == weights + 6 * 7 + 7 + last.parameters
    assert "shared" in str(found)
    assert "nothing depends on it" in str(found)


def test_contractions_between_parts_have_rows() -> None:
    found = attending().summary((2, 5, 4), (2, 7, 4))
    between = [row for row in found.rows if row.path == ("between parts",)]
    assert [(row.string, row.multiply_adds) for row in between] == [
        ("b i d -> b d, reduce mean", 0),
        ("b i c, b j c -> b i j", 2 * 5 * 7 * 6),
        ("b i j -> b i, reduce max", 0),
        ("b i j -> b i", 0),
        ("b i j, b j c -> b i c", 2 * 5 * 7 * 6),
    ]


def test_nothing_comes_back_through_integers_and_to_what_has_no_parameters() -> None:
    tokens = cc.tensor("tokens", "b t", "int64")
    found = cc.Network([L.Embedding(11, 4), L.Dense(3)], inputs=tokens).summary((2, 5))
    assert [row.multiply_adds for row in found.rows] == [0, 2 * 5 * 4 * 3]
    assert [row.backward for row in found.rows] == [0, 2 * 2 * 5 * 4 * 3]
    bare = cc.Network([L.MaxPool(2), L.GlobalPool()]).summary((2, 4, 4, 3))
    assert bare.backward == bare.parameters == 0


def test_bytes_are_those_of_the_dtype() -> None:
    half, double = (lenet().summary((1, 28, 28, 1), dtype=d) for d in ("float16", np.float64))
    assert (half.bytes, double.bytes) == (2 * 61_706, 8 * 61_706)
    assert half.rows[0].bytes == 2 * 28 * 28 * 6
    assert half.made * 4 == double.made
    with pytest.raises(cc.OperandError, match="float17"):
        lenet().summary((1, 28, 28, 1), dtype="float17")


# -- published figures ---------------------------------------------------------------------------


IMAGE = (1, 224, 224, 3)


@pytest.mark.parametrize(
    ("net", "shape", "count"),
    [
        (lenet(), (1, 28, 28, 1), 61_706),
        (alexnet(), IMAGE, 61_100_840),  # torchvision's, of one tower
        (alexnet(2), (1, 227, 227, 3), 60_965_224),  # the paper's, of two
        (vgg16(), IMAGE, 138_357_544),
        (resnet50(), IMAGE, 25_557_032),
        (mobilenet_v2(), IMAGE, 3_504_872),
        (unet(), (1, 572, 572, 1), 31_030_658),  # the paper's
        # The widespread one, whose head is a convolution of 3 by 3 before that of a point.
        (unet(last=L.Chain([L.Conv(2, 3), L.Conv(1, 1)])), (1, 572, 572, 1), 31_031_685),
    ],
)
def test_published_numbers_of_parameters(net: cc.Network, shape: Shape, count: int) -> None:
    found = net.summary(shape)
    assert found.trained == count
    assert f"{count:,}" in str(found)


@pytest.mark.parametrize(
    ("net", "count"),
    [
        (vgg16(), 15_470_264_320),  # 15.47 G
        (resnet50(), 4_089_184_256),  # 4.09 G
        (mobilenet_v2(), 300_774_272),  # 300 M
    ],
)
def test_published_multiply_adds(net: cc.Network, count: int) -> None:
    """They count zeros around an image as if they were multiplied; what is exact is less."""
    network = net.traced(IMAGE)
    weights = [(call, p) for call in network.calls for p in call.parameters if p.path[-1] == "W"]
    padded = sum(places(network, call) * prod(w.shape) for call, w in weights)
    assert padded == count
    assert 0.95 * count < net.summary(IMAGE).multiply_adds < count


def places(network: Any, call: Any) -> int:
    """How often each weight is used, zeros around included: batch times image."""
    return prod(network.trace.shape(call.output)[:-1])


# -- how it is shown -----------------------------------------------------------------------------


def test_the_table() -> None:
    assert str(lenet().summary((1, 28, 28, 1))) == TABLE


def test_blocks_have_subtotals() -> None:
    lines = str(resnet50().summary(IMAGE)).splitlines()
    assert max(map(len, lines)) <= 110
    block = next(line for line in lines if line.startswith("chain_2 "))
    assert block.split() == ["chain_2", "218,624", "659,734,528", "1,323,884,544"]


def test_the_page_is_well_formed() -> None:
    summary = resnet50().summary(IMAGE)
    body = summary._repr_html_()
    root = ElementTree.fromstring(body.replace("<br>", "<br/>"))
    rows = root.findall(".//tbody/tr")
    assert len(rows) == len(summary.rows) + len(root.findall(".//tr[@class='cc-block']"))
    assert summary.html().startswith("<!DOCTYPE html>")
    assert body in summary.html()


TABLE = """\
lenet(x: b h w c 1×28×28×1)

part        makes       parameters  multiply-adds  backward    bytes
layer_1     1×28×28×6          156        107,736   107,736  18.8 kB
    b (i+k-2) (j+l-2) c, k l c o -> b i j o + bias, relu
max_pool_1  1×14×14×6            -              -         -   4.7 kB
    b (2*i+k) (2*j+l) c -> b i j c, reduce max
conv_1      1×10×10×16       2,416        240,000   480,000   6.4 kB
    b (i+k) (j+l) c, k l c o -> b i j o + bias, relu
max_pool_2  1×5×5×16             -              -         -   1.6 kB
    b (2*i+k) (2*j+l) c -> b i j c, reduce max
dense_1     1×120           48,120         48,000    96,000    480 B
    ... h w c, h w c o -> ... o + bias, relu
dense_2     1×84            10,164         10,080    20,160    336 B
    ... c, c o -> ... o + bias, relu
dense_3     1×10               850            840     1,680     40 B
    ... c, c o -> ... o + bias
all                         61,706        406,656   705,576  32.4 kB

There are 61,706 parameters: 247 kB in float32.
Multiply-adds are exact: what a boundary leaves out is not counted."""
