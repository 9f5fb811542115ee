"""The page of a program as a browser shows it, from a phone to a wide screen."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from browser import needs_browser
from devtools import opened_text
from explained_programs import NETWORKS, explained
from page_judgements import WIDTHS, faults, foreign, looked_at

pytestmark = needs_browser

every_network = pytest.mark.parametrize("name", NETWORKS)


@cache
def seen(name: str) -> tuple[dict[tuple[int, bool], Any], list[str]]:
    """What the browser measures in all views on the page of a program, and what it complains of."""
    with opened_text(explained(name).html()) as tab:
        views = [(width, dark) for width in WIDTHS for dark in (False, True)]
        reports = {view: looked_at(tab, *view) for view in views}
        return reports, [*tab.complaints, *foreign(tab)]


@every_network
def test_nothing_is_wrong_in_any_view(name: str) -> None:
    reports, complaints = seen(name)
    assert {view: faults(report) for view, report in reports.items() if faults(report)} == {}
    assert complaints == []


@every_network
def test_every_value_has_its_formula(name: str) -> None:
    html = explained(name).html()
    lines = list(explained(name).lines.all())
    assert html.count('class="cc-told"') == len(lines)
    assert html.count('class="cc-formula') - html.count("cc-formula cc-tight") == len(lines)
    assert seen(name)[0][360, False]["unders"]


@every_network
def test_dark_and_light_have_different_colours(name: str) -> None:
    light, dark = (seen(name)[0][1280, night] for night in (False, True))
    grounds = [{tuple(p["ground"]) for p in report["prose"]} for report in (light, dark)]
    assert grounds[0].isdisjoint(grounds[1])
    assert [p["box"] for p in light["pictures"]] == [p["box"] for p in dark["pictures"]]


@every_network
def test_every_value_stands_in_the_picture(name: str) -> None:
    (picture,) = seen(name)[0][1280, False]["pictures"]
    texts = [text["text"] for text in picture["texts"]]
    assert {line.name for line in explained(name).lines.all()} <= set(texts)
