"""The page of a program as a browser shows it, from a phone to a wide screen."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from browser import measure, needs_browser
from explained_programs import NETWORKS, explained
from page_judgements import SCRIPT, badly_typeset, collisions, faint, misdrawn, unseen

pytestmark = needs_browser

WIDTHS = (360, 900, 1600)
every_view = pytest.mark.parametrize("view", [(n, w) for n in NETWORKS for w in WIDTHS], ids=str)
every_network = pytest.mark.parametrize("name", NETWORKS)


@lru_cache
def shown(name: str, width: int = 900, dark: bool = False) -> Any:
    """What the browser measures on the page of one of the programs."""
    return measure(explained(name).html(), SCRIPT, width=width, dark=dark)


@every_view
def test_nothing_is_clipped_or_overlaps(view: tuple[str, int]) -> None:
    report = shown(*view)
    assert report["width"] == view[1]
    assert report["reach"] <= view[1]
    assert unseen(report) == []
    assert collisions(report) == []
    assert misdrawn(report) == []


@every_network
def test_formulas_are_typeset(name: str) -> None:
    report = shown(name)
    assert len(report["formulas"]) == sum(1 for _ in explained(name).lines.all())
    assert report["unders"]
    assert badly_typeset(report) == []


@every_network
def test_dark_and_light_have_different_colours_that_can_be_read(name: str) -> None:
    light, dark = shown(name), shown(name, dark=True)
    assert dark["dark"]
    assert not light["dark"]
    for report in (light, dark):
        assert faint(report) == []
    grounds = [{tuple(p["ground"]) for p in report["prose"]} for report in (light, dark)]
    assert grounds[0].isdisjoint(grounds[1])
    assert [p["box"] for p in light["pictures"]] == [p["box"] for p in dark["pictures"]]


@every_network
def test_every_value_stands_in_the_picture(name: str) -> None:
    (picture,) = shown(name)["pictures"]
    texts = [text["text"] for text in picture["texts"]]
    assert {line.name for line in explained(name).lines.all()} <= set(texts)
