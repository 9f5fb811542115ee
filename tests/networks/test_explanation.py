"""What is said of a network: how parts are connected, and what comes back through them."""

from __future__ import annotations

from math import prod
from typing import Any
from xml.etree import ElementTree

import pytest
from architectures import lenet, resnet50

import contractconv as cc
from contractconv.networks.explanation import Back, Told

L = cc.layers


def only(part: Any, *shape: int, **options: Any) -> Told:
    """What is said of one part, with something trained before it."""
    before = cc.Layer("..., -> ...", weights=["scale"])
    return cc.Network([before, part], **options).explain(shape).parts[-1]


def back_to(part: Told, name: str) -> Back:
    return next(back for back in part.backs if back.to == name)


# -- the two questions that every newcomer asks ----------------------------------------------------


def test_how_32_maps_are_connected_to_64() -> None:
    part = only(L.Conv(64, 3, padding=1, map="relu"), 8, 28, 28, 32)
    assert part.said == (
        (
            "Each of the 64 o is made of all 32 c, each of 32×64 pairs with a kernel of its own, "
            "3×3 weights along k and l: 18,432 weights. "
            "W has no b, i and j: the same weights serve for all 8·28·28 = 6,272 b i j."
        ),
        "bias is one number for each o.",
    )
    assert back_to(part, "layer_1").string == "b i j o, k l c o -> b (i+k-1) (j+l-1) c"
    assert "from all 64 o" in back_to(part, "layer_1").said
    assert back_to(part, "W").string == "b i j o, b (i+k-1) (j+l-1) c -> k l c o"
    assert "6,272 b i j" in back_to(part, "W").said


def test_how_an_image_goes_into_a_dense_layer_and_what_comes_back() -> None:
    part = only(L.Dense(120, over="h w c", map="relu"), 8, 5, 5, 16)
    whole = " ".join(part.said)
    assert "Each of the 120 o is made of all 5·5·16 = 400 h w c" in whole
    assert "with a weight of its own: 48,000 weights." in whole
    assert "Nothing is flattened: the sum runs over h, w and c at once." in whole
    assert "(h w c) would be one axis of 400" in whole
    back = back_to(part, "layer_1")
    assert back.string == "b o, h w c o -> b h w c"
    assert "nothing is folded back" in back.said
    assert back_to(part, "W").string == "b o, b h w c -> h w c o"


# -- other layers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "shape", "said"),
    [
        (L.Depthwise(3), (2, 9, 9, 4),
         ("Each of the 4 c stands for itself, with a kernel of its own, 3×3 weights along k and l: "
         "36 weights.")),
        (L.Depthwise(3, multiplier=2), (2, 9, 9, 4),
         ("Within each of 4 c, there are 2 o, each with a kernel of its own, 3×3 weights along k "
         "and l: 72 weights.")),
        (L.Conv(6, (5,), groups=2), (2, 9, 4),
         ("Within each of 2 g, each of the 3 o is made of all 2 c, each of 2×3 pairs with a kernel "
         "of its own, 5 weights along k: 60 weights.")),
        (L.ConvTransposed(3, 2, stride=2), (2, 5, 5, 4),
         ("Each of the 3 o is made of all 4 c, each of 4×3 pairs with a kernel of its own, 2×2 "
         "weights along k and l: 48 weights.")),
        (L.Dense(3), (2, 7, 4),
         ("Each of the 3 o is made of all 4 c, each of 4×3 pairs with a weight of its own: 12 "
         "weights.")),
        (cc.Layer("b c, c -> b"), (2, 4),
         "All 4 c are added up, each with a weight of its own: 4 weights."),
        (cc.Layer("b c, c -> b c"), (2, 4),
         "Each of the 4 c stands for itself, with a weight of its own: 4 weights."),
    ],
)  # fmt: skip
def test_what_connects(part: Any, shape: tuple[int, ...], said: str) -> None:
    assert only(part, *shape).said[0].startswith(said)


def test_local_weights_are_used_once_for_each_item() -> None:
    part = only(L.Local(3, 3), 2, 6, 6, 4)
    assert part.said[0].startswith("Within each of 4·4 = 16 i j, each of the 3 o")
    assert part.said[0].endswith("W has no b: the same weights serve for all 2 b.")


def test_strings_of_gradients_are_those_of_the_contraction() -> None:
    net = lenet()
    network = net.traced((2, 28, 28, 1))
    told = net.explain((2, 28, 28, 1)).parts
    for call, part in zip(network.calls, told, strict=True):
        (product,) = call.products
        wanted = [str(gradient) for gradient in product.contraction.grads()]
        found = [back.string for back in part.backs if back.string]
        assert found == (wanted if part is not told[0] else wanted[1:])


def test_nothing_is_said_of_what_comes_back_to_data() -> None:
    first, *others = lenet().explain((2, 28, 28, 1)).parts
    assert {back.to for back in first.backs} - {""} == {"W", "bias"}
    assert all(part.given[0][0] in {b.to for b in part.backs} for part in others)


def test_parts_of_one_kind_are_explained_once() -> None:
    told = resnet50().explain((1, 64, 64, 3))
    likes = {part.path: part.like for part in told.parts if part.like}
    block = ("chain_2", "residual_3", "conv_2")
    assert likes[block] == ("chain_2", "residual_1", "conv_2")
    lines = str(told).splitlines()
    place = lines.index(".".join(block))
    assert lines[place + 2] == "  Like chain_2.residual_1.conv_2, with the same strings and sizes."
    assert max(map(len, lines)) <= 100


def test_recurrences_are_not_written_out() -> None:
    part = only(L.LSTM(8), 2, 30, 4)
    assert part.program is None
    assert back_to(part, "W_x").string
    assert part.said[-1].endswith("So it is 30 times.")
    said = str(cc.Network([L.LSTM(8)]).explain((2, 30, 4)))
    assert "It has too many formulas to be read" in said
    assert len(said.splitlines()) < 30


def test_multiply_adds_are_those_of_the_summary() -> None:
    net = lenet()
    rows = net.summary((2, 28, 28, 1)).rows
    for row, part in zip(rows, net.explain((2, 28, 28, 1)).parts, strict=True):
        assert tuple(part.work) == (row.multiply_adds, row.backward)
        weights = [prod(int(one.split("=")[1]) for one in sizes.split()) for _, sizes in part.given]
        assert sum(weights[1:]) == row.parameters


# -- how it is shown -------------------------------------------------------------------------------


def test_the_text() -> None:
    told = cc.Network([L.Dense(4, map="tanh"), L.Dense(2)], name="net").explain((3, 5))
    assert str(told) == TEXT


def test_pages_are_well_formed() -> None:
    told = lenet().explain((2, 28, 28, 1))
    names = [".".join(part.path) for part in told.parts]
    root = ElementTree.fromstring(told._repr_html_())
    assert [one.text for one in root.iter("h2")] == names
    assert root.find(".//nav") is None
    page = told.html()
    assert all(f'<a href="#{name}">' in page and f'<section id="{name}">' in page for name in names)
    assert told.latex().count(r"\begin{aligned}") == len(told.parts)


TEXT = """\
net(x: b=3 c=5)

dense_1
    ... c, c o -> ... o + bias, tanh
  x: b=3 c=5
  W: c=5 o=4
  bias: c=4
  -> dense_1: b=3 c=4
    z[b, o] = Σ_{c} x[b, c] · W[c, o]
        Each of its 12 elements sums 5 products.
    s[b, c] = z[b, c] + bias[c]
    dense_1[b, c] = tanh(s[b, c])
  Each of the 4 o is made of all 5 c, each of 5×4 pairs with a weight of its own: 20 weights. W has
  no b: the same weights serve for all 3 b.
  bias is one number for each o.
  It takes 60 multiply-adds, 60 backward.
    d_s[b, c] = d_dense_1[b, c] · (1 − dense_1[b, c] · dense_1[b, c])
    d_z[b, o] = d_s[b, o]
  what comes back to W: b o, b c -> c o
    d_W[c, o] = Σ_{b} d_z[b, o] · x[b, c]
        Each of its 20 elements sums 3 products.
    Each weight of W was used for 3 b; it adds up what they say.
  what comes back to bias
    d_bias[c] = Σ_{b} d_s[b, c]
        Each of its 4 elements sums 3 numbers.

dense_2
    ... c, c o -> ... o + bias
  dense_1: b=3 c=4
  W: c=4 o=2
  bias: c=2
  -> dense_2: b=3 c=2
    z[b, o] = Σ_{c} dense_1[b, c] · W[c, o]
        Each of its 6 elements sums 4 products.
    dense_2[b, c] = z[b, c] + bias[c]
  Each of the 2 o is made of all 4 c, each of 4×2 pairs with a weight of its own: 8 weights. W has
  no b: the same weights serve for all 3 b.
  bias is one number for each o.
  It takes 24 multiply-adds, 48 backward.
    d_z[b, o] = d_dense_2[b, o]
  what comes back to dense_1: b o, c o -> b c
    d_dense_1[b, c] = Σ_{o} d_z[b, o] · W[c, o]
        Each of its 12 elements sums 2 products.
    Each element of dense_1 collects from all 2 o that it went into, by the same weights.
  what comes back to W: b o, b c -> c o
    d_W[c, o] = Σ_{b} d_z[b, o] · dense_1[b, c]
        Each of its 8 elements sums 3 products.
    Each weight of W was used for 3 b; it adds up what they say.
  what comes back to bias
    d_bias[c] = Σ_{b} d_dense_2[b, c]
        Each of its 2 elements sums 3 numbers.

d_a is what comes back to a: the gradient of the loss by a. What comes back to what a part was given
is where the part before it begins. What would be read outside of an array does not count."""
