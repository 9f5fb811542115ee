"""The page as a browser shows it: formulas are typeset, nothing overlaps, nothing is loaded.

The browser measures, Python judges. A page with planted faults shows that each judgement can fail.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from browser import measure, needs_browser, screenshot
from devtools import opened_text
from page_judgements import (
    SCRIPT,
    badly_typeset,
    clipped,
    collisions,
    faint,
    faults_of,
    looked_at,
    misdrawn,
    unseen,
)

import contractconv as cc

pytestmark = needs_browser

WIDE, PHONE = 1100, 390

# A strided convolution, one that is large enough for tiles, a max pooling, and flatten-to-dense
# with a composition.
EXPLAINED: dict[str, tuple[cc.Contraction, list[tuple[int, ...]], dict[str, Any]]] = {
    "convolution": (
        cc.Contraction("b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o"),
        [(8, 28, 28, 3), (3, 3, 3, 16)],
        {},
    ),
    "tiles": (
        cc.Contraction("b (i+k-1) (j+l-1) c, k l c o -> b i j o"),
        [(2, 32, 32, 64), (3, 3, 64, 64)],
        {},
    ),
    "pooling": (
        cc.Contraction("b (2*i+k) (2*j+l) c -> b i j c", reduce="max"),
        [(8, 28, 28, 3)],
        {"k": 2, "l": 2},
    ),
    "dense": (cc.Contraction("b h w c, (h w c) o -> b o"), [(8, 4, 4, 3), (48, 10)], {}),
}


@lru_cache
def html_of(name: str) -> str:
    """The page of one of the contractions."""
    contraction, shapes, extents = EXPLAINED[name]
    return contraction.explain(*shapes, **extents).html()


@lru_cache
def shown(name: str, width: int = WIDE, dark: bool = False) -> Any:
    """What the browser measures on the page of one of the contractions."""
    return measure(html_of(name), SCRIPT, width=width, dark=dark)


VIEWS = [(name, width) for name in EXPLAINED for width in (WIDE, PHONE)]
every_view = pytest.mark.parametrize(("name", "width"), VIEWS)
every_page = pytest.mark.parametrize("name", EXPLAINED)


# --- the pages --------------------------------------------------------------------------------


@every_view
def test_every_formula_has_a_size_and_can_be_seen_whole(name: str, width: int) -> None:
    report = shown(name, width)
    assert len(report["formulas"]) > 3
    assert unseen(report) == []


@every_view
def test_formulas_are_typeset(name: str, width: int) -> None:
    report = shown(name, width)
    assert report["unders"]
    assert len(report["subs"]) > 10
    assert report["supers"]
    assert badly_typeset(report) == []


@every_page
def test_strided_conditions_are_written_with_fractions(name: str) -> None:
    assert bool(shown(name)["fractions"]) == (name != "dense")


@every_view
def test_nothing_overlaps(name: str, width: int) -> None:
    report = shown(name, width)
    assert len(report["prose"]) > 20
    assert collisions(report) == []


@every_view
def test_pictures_are_as_wide_as_expected_and_hold_their_texts(name: str, width: int) -> None:
    report = shown(name, width)
    operands = len(EXPLAINED[name][1])
    assert len(report["pictures"]) == 1 + operands
    assert all(picture["texts"] for picture in report["pictures"])
    assert misdrawn(report) == []


@every_view
def test_the_page_itself_never_scrolls_sideways(name: str, width: int) -> None:
    report = shown(name, width)
    assert report["width"] == width
    assert report["reach"] <= width


@every_page
def test_dark_and_light_have_different_colours(name: str) -> None:
    light, dark = shown(name), shown(name, dark=True)
    assert not light["dark"]
    assert dark["dark"]
    for one, other in ((light, dark), (dark, light)):
        grounds = {tuple(p["ground"]) for p in one["prose"]}
        assert grounds.isdisjoint(tuple(p["ground"]) for p in other["prose"])
        letters = {tuple(t["color"]) for p in one["pictures"] for t in p["texts"]}
        assert letters.isdisjoint(tuple(t["color"]) for p in other["pictures"] for t in p["texts"])


@every_page
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everything_can_be_read(name: str, dark: bool) -> None:
    report = shown(name, dark=dark)
    assert faint(report) == []
    assert min(p["size"] for p in report["prose"]) >= 12


@every_page
def test_dark_colours_move_nothing(name: str) -> None:
    light, dark = shown(name), shown(name, dark=True)
    for part in ("formulas", "pictures"):
        assert [p["box"] for p in light[part]] == [p["box"] for p in dark[part]]


def test_a_picture_can_be_taken(tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    screenshot(html_of("pooling"), picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10_000


# --- the judgements can fail ------------------------------------------------------------------

FAULTY = """<!DOCTYPE html><html><head><meta charset="utf-8"><style>
body { width: 2000px; } .faint { color: #999; background: #fff; } .on { margin-top: -1.2em; }
mfrac, munder, mfrac > *, munder > * { display: inline-block; } .flat > * { font-size: 16px; }
</style></head><body>
<p>one line of text</p><p class="on">another line of text</p><p class="faint">hardly there</p>
<div style="width: 20px"><math><mi>much</mi><mi>too</mi><mi>wide</mi></math></div>
<math><mfrac><mn>1</mn><mn>2</mn></mfrac><munder><mo>∑</mo><mi>i</mi></munder></math>
<math><mrow class="flat"><msub><mi>x</mi><mi>i</mi></msub></mrow></math>
<math><msub style="display: inline-block"><mi>x</mi><mi>i</mi></msub></math>
<math><mpadded width="0"><mi>x</mi></mpadded><mi>y</mi></math>
<svg xmlns="http://www.w3.org/2000/svg" class="cc-diagram" width="100" height="20"
 style="width: 50px">
<text x="90" y="10">far out</text></svg>
<div style="width: 30px; overflow: hidden; white-space: nowrap">a longer text that is cut</div>
<img src="http://127.0.0.1:9/picture.png"><script>throw new Error("planted")</script>
</body></html>"""


@lru_cache
def faulty() -> tuple[Any, list[str]]:
    """What the browser measures on a page where everything is wrong, and what is said of it."""
    with opened_text(FAULTY) as tab:
        return looked_at(tab, WIDE), faults_of(tab, widths=[WIDE])


def test_a_formula_that_is_cut_off_is_found() -> None:
    assert "muchtoowide" in unseen(faulty()[0])


def test_a_text_that_is_cut_off_is_found() -> None:
    assert "a longer text that is cut" in clipped(faulty()[0])


def test_mathml_that_is_not_typeset_is_found() -> None:
    assert set(badly_typeset(faulty()[0])) == {"fraction", "under", "subscript"}


def test_a_collision_is_found() -> None:
    found = collisions(faulty()[0])
    assert ("one line of text", "another line of text") in found
    assert ("x", "y") in found


def test_a_misdrawn_picture_is_found() -> None:
    assert misdrawn(faulty()[0]) == ["50 wide, not 100", "far out"]


def test_faint_text_is_found() -> None:
    assert faint(faulty()[0]) == ["hardly there"]


def test_all_of_it_is_said_of_the_page() -> None:
    said = "\n".join(faulty()[1])
    for fault in (
        "console: Error: planted", "loads http://127.0.0.1:9/picture.png", "1100 dark: cut off",
        "1100: the page is 2", "lies on 'another line of text'", "hardly legible", "badly typeset",
        "picture: far out",
    ):  # fmt: skip
        assert fault in said
