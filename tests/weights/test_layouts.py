"""The table of layouts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import contractconv as cc
from contractconv.errors import WeightsError
from contractconv.notation.parser import parse
from contractconv.weights import describe, export, load
from contractconv.weights.layouts import CANONICAL, FRAMEWORKS, Framework, Row, Rows


def rows() -> Iterator[tuple[str, str, str, Row]]:
    for name, framework in FRAMEWORKS.items():
        for kind, ways in framework.layers.items():
            for way in ways:
                for role, found in way.items():
                    yield from ((name, kind, role, row) for row in found)


def test_every_parameter_of_a_recurrence_has_a_layout() -> None:
    for kind, wanted in CANONICAL.items():
        for name in ("torch", "keras", "flax"):
            (way,) = FRAMEWORKS[name].layers[kind]
            assert way.keys() == wanted.keys(), (name, kind)


def test_words_are_roles_or_parts() -> None:
    for name, kind, role, row in rows():
        words = f"{row.theirs} {row.ours}".replace("(", " ").replace(")", " ").split()
        assert all(w.strip("~") in "GOCKUANDHF" or w[1] == "/" for w in words), (name, kind, role)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_what_is_described_is_the_language(name: str) -> None:
    for line in describe(name).splitlines():
        text = line.split("  ")[-1].split(",")[0].strip()
        assert str(parse(text)) == str(cc.Contraction(text))


def test_well_known_layouts() -> None:
    lines = {
        "torch": ["o c k l -> k l c o", "(g o) c k l -> k l g c o", "o (c h w) -> h w c o"],
        "keras": ["k l o c -> k l c o", "(h w c) o -> h w c o", "d (gate h) -> d gate h"],
        "theano": ["o c (4-k) (4-l) -> k l c o"],
        "flax": ["(4-k) (4-l) c o -> k l c o", "k l (0) (c o) -> k l c o"],
    }
    for name, wanted in lines.items():
        described = describe(name)
        assert all(text in described for text in wanted)


def test_a_neighbour_that_is_none() -> None:
    with pytest.raises(WeightsError, match="framework='mxnet' is none of torch"):
        describe("mxnet")


def test_a_library_is_added_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: Rows = {"W": (Row("filters", "(O) K (C)"),), "bias": (Row("offset", "(A)"),)}
    added = Framework({"conv": (rows,)}, flatten="NHWC")
    monkeypatch.setitem(FRAMEWORKS, "darknet", added)
    net = cc.Network([cc.layers.Conv(2, (3, 1))]).traced((1, 5, 5, 4))
    theirs = {"c.filters": np.arange(24.0).reshape(2, 3, 1, 4), "c.offset": np.ones(2)}
    params = load(net, theirs, "darknet")
    assert np.array_equal(params["conv_1"]["W"], theirs["c.filters"].transpose(1, 2, 3, 0))
    assert np.array_equal(export(net, params, "darknet")["conv_1.filters"], theirs["c.filters"])
    assert "o k l c -> k l c o" in describe("darknet")
