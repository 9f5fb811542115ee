"""Multiply-adds are counted by going through places and taps, in Python's integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import contractconv as cc
from contractconv.layers.counting import multiply_adds_of
from contractconv.networks.summary import Summary
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
    assert row.shape and min(row.shape) > 0 or count == 0
    assert row.multiply_adds == count
    assert row.backward == count * (2 if before else 1)
    assert row.parameters == row.trained == weights
    assert row.bytes == 4 * prod(row.shape)
