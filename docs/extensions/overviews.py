"""Overviews of the gallery: a card for each layer of a family, and one for each family."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.directives.other import TocTree

from extensions.layers import GALLERY, Layer, read
from extensions.markup import spec_code

_WIDEST = 480.0  # pixels of a picture whose letters can still be read on a card


class Overview(TocTree):
    """A table of contents that shows what it lists."""

    def run(self) -> list[nodes.Node]:
        """The cards, and the entries for the navigation."""
        self.options["hidden"] = True
        names = [name.strip() for name in self.content if name.strip()]
        cards = f'<div class="cards {self.kind}">{self.cards(names)}</div>'
        return [nodes.raw("", cards, format="html"), *super().run()]

    kind = ""

    def cards(self, names: Sequence[str]) -> str:
        """The HTML of the cards."""
        raise NotImplementedError


class Layers(Overview):
    """The layers of a family, each with its picture."""

    kind = "layers"

    def cards(self, names: Sequence[str]) -> str:
        """A card for each layer."""
        return "".join(map(_layer_card, map(_known, names)))


class Families(Overview):
    """The families, each with the names of its layers."""

    kind = "families"

    def cards(self, names: Sequence[str]) -> str:
        """A card for each family."""
        return "".join(_family_card(GALLERY / f"{name}.md") for name in names)


def _known(name: str) -> Layer:
    return read(GALLERY / f"{name}.toml")


def _layer_card(layer: Layer) -> str:
    shown = spec_code(layer.string) if layer.string else '<span class="quiet">a program</span>'
    return (
        f'<a class="card" href="{layer.name}.html"><b>{escape(layer.title)}</b>'
        f"{shown}{_thumbnail(layer)}</a>"
    )


def _thumbnail(layer: Layer) -> str:
    svg = layer.contraction.svg() if layer.string else ""
    width = re.search(r' width="([\d.]+)"', svg)
    if width is None or float(width[1]) > _WIDEST:
        return ""
    return f'<span class="thumbnail">{svg}</span>'


def _family_card(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    title, said = text.removeprefix("# ").split("\n\n")[:2]
    listed = re.findall("```{layers}\n(.*?)```", text, re.DOTALL)[0].split()
    layers = "".join(
        f'<li><a href="{name}.html">{escape(_known(name).title)}</a></li>' for name in listed
    )
    head = f'<a href="{path.stem}.html"><b>{escape(title)}</b></a>'
    return f'<div class="card">{head}<p>{escape(said).replace("`", "")}</p><ul>{layers}</ul></div>'


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("layers", Layers)
    app.add_directive("families", Families)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
