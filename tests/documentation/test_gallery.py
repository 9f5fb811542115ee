"""Each layer of the gallery makes what its equivalents in other libraries make, gradients too."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from extensions.layers import GALLERY, TOLERANCES, Layer, compared, is_there, names, read

import contractconv as cc
from contractconv.playground.asked import Asked
from contractconv.playground.subject import Subject

LAYERS = {name: read(GALLERY / f"{name}.toml") for name in names()}
PAIRS = [(name, library) for name, layer in LAYERS.items() for library in layer.same]


@pytest.mark.filterwarnings("ignore::UserWarning")  # jax tells that it drops digits
@pytest.mark.parametrize("library", TOLERANCES)
def test_every_equivalent_makes_the_same_numbers(library: str) -> None:
    if not is_there(library):
        pytest.skip(f"{library} is not installed")
    mine = [layer for layer in LAYERS.values() if library in layer.same]
    found = {layer.name: compared(layer, library).difference for layer in mine}
    assert len(found) > 5
    assert {name: far for name, far in found.items() if far > TOLERANCES[library]} == {}


def test_every_layer_is_compared_with_something() -> None:
    assert len(LAYERS) > 60
    assert [name for name, layer in LAYERS.items() if not layer.same] == []


def test_every_layer_is_in_an_overview_once() -> None:
    listed: list[str] = []
    for path in GALLERY.glob("*.md"):
        _, _, entries = path.read_text(encoding="utf-8").partition("```{layers}\n")
        listed += entries.partition("```")[0].split()
    assert sorted(listed) == sorted(LAYERS)


def other(layer: Layer, code: str) -> Layer:
    return replace(layer, same={"numpy": code})


def test_a_wrong_equivalent_would_be_noticed() -> None:
    dense = LAYERS["dense"]
    assert compared(other(dense, "x @ w"), "numpy").difference <= 1e-12
    assert compared(other(dense, "x @ w + 1e-6"), "numpy").difference > 1e-12
    with pytest.raises(ValueError, match="shapes"):
        compared(other(dense, "(x @ w).T"), "numpy")


def test_a_wrong_gradient_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    dense = LAYERS["dense"]
    assert compared(dense, "torch").gradients == ("x", "w")
    right = cc.Derivation.__call__
    monkeypatch.setattr(cc.Derivation, "__call__", lambda *given, **more: 2 * right(*given, **more))
    assert compared(dense, "torch").difference > 0.1


STRINGS = [layer for layer in LAYERS.values() if layer.string]


def test_an_array_has_one_name_on_its_page() -> None:
    """In the call, headings, formulas, sources and diagrams, and where the playground opens it."""
    assert len(STRINGS) > 50
    for layer in STRINGS:
        contraction, names = layer.contraction, [*layer.shapes]
        assert [*contraction.names] == names
        assert f'names="{layer.called}"' in layer.call
        assert f"\n{layer.result} = layer(" in layer.call
        assert str(contraction.formula).startswith(layer.result)
        for name, derivation in zip(names, contraction.grads(), strict=True):
            assert str(derivation.formula).startswith(f"d{name}")
        assert set(re.findall(r'data-name="([^"]*)"', contraction.svg())) == {*names, layer.result}
        opened = parse_qs(layer.opened.partition("#")[2])
        assert opened["names"] == [layer.called]


def test_what_the_playground_opens_is_what_the_page_shows() -> None:
    for layer in STRINGS:
        fields = parse_qs(layer.opened.partition("#")[2])
        said = {name: text for name, (text,) in fields.items()}
        asked = Asked.of(said | {"shapes": said["shapes"].split(";")})
        subject = Subject.of(asked)
        assert subject.contraction == layer.contraction
        assert subject.shapes == (*layer.shapes.values(),)
        assert (
            subject.explanation.plan
            == layer.contraction.explain(*subject.shapes, **layer.given, wrt=0, proof=False).plan
        )
