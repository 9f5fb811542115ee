"""The page as a browser shows it: formulas are typeset, nothing overlaps, nothing is loaded.

The browser measures, Python judges. A page with planted faults shows that each judgement can fail.
"""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from browser import needs_browser, screenshot
from devtools import opened_text
from page_judgements import (
    SCRIPT,
    WIDTHS,
    badly_typeset,
    clipped,
    collisions,
    faint,
    faults,
    faults_of,
    foreign,
    looked_at,
    misdrawn,
    unseen,
)

import contractconv as cc

pytestmark = needs_browser

WIDE, PHONE = 1280, 360

# With symbols, grouped in three dimensions, large enough for tiles, a maximum, a network of five
# tensors, weights for each place, sums of exponentials, a composition, names longer than a phone.
EXPLAINED: dict[str, tuple[cc.Contraction, list[tuple[int, ...]], dict[str, Any]]] = {
    "convolution": (
        cc.Contraction("b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o"),
        [(8, 28, 28, 3), (3, 3, 3, 16)],
        {},
    ),
    "symbolic": (
        cc.Contraction(
            "b (stride*i+dilation*k-padding) (stride*j+dilation*l-padding) c, k l c o -> b i j o",
            parameters="stride dilation padding",
        ),
        [],
        {},
    ),
    "grouped": (
        cc.Contraction("b (2*d+r-1) (2*i+k-1) (2*j+l-1) g c, r k l g c o -> b d i j g o"),
        [(2, 8, 8, 8, 2, 3), (3, 3, 3, 2, 3, 4)],
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
    "tensors": (
        cc.Contraction(
            "b alpha i, alpha i beta, beta j gamma, gamma k delta, delta l o -> b j k l o"
        ),
        [],
        {},
    ),
    "local": (cc.Contraction("b (2*i+k-1) (2*j+l-1) c, i j k l c o -> b i j o"), [], {}),
    "exponentials": (
        cc.Contraction("b (2*i+k) c, k c o -> b i o", reduce="logsumexp"),
        [(2, 9, 3), (3, 3, 4)],
        {},
    ),
    "dense": (cc.Contraction("b h w c, (h w c) o -> b o"), [(8, 4, 4, 3), (48, 10)], {}),
    "names": (
        cc.Contraction(
            "batch (row_of_the_output+row_of_the_kernel) channel_of_the_input, "
            "row_of_the_kernel channel_of_the_input channel_of_the_output "
            "-> batch row_of_the_output channel_of_the_output"
        ),
        [],
        {},
    ),
}


class Seen(NamedTuple):
    """A page in all views: by width, and whether the reader prefers dark colours."""

    reports: dict[tuple[int, bool], Any]
    complaints: list[str]
    foreign: list[str]


@cache
def html_of(name: str) -> str:
    """The page of one of the contractions."""
    contraction, shapes, extents = EXPLAINED[name]
    return contraction.explain(*shapes, **extents).html()


@cache
def seen(name: str) -> Seen:
    """What the browser measures on the page of one of the contractions."""
    with opened_text(html_of(name)) as tab:
        views = [(width, dark) for width in WIDTHS for dark in (False, True)]
        reports = {view: looked_at(tab, *view) for view in views}
        return Seen(reports, tab.complaints, foreign(tab))


every_page = pytest.mark.parametrize("name", EXPLAINED)


# --- the pages --------------------------------------------------------------------------------


@every_page
def test_nothing_is_wrong_in_any_view(name: str) -> None:
    page = seen(name)
    assert {view: faults(report) for view, report in page.reports.items() if faults(report)} == {}
    assert page.complaints == page.foreign == []
    for (width, dark), report in page.reports.items():
        assert (report["width"], report["dark"]) == (width, dark)


@every_page
def test_there_is_something_to_judge(name: str) -> None:
    report = seen(name).reports[PHONE, False]
    assert len(report["formulas"]) > 10
    assert len(report["prose"]) > 20
    assert report["unders"]
    assert report["primes"]
    assert len(report["subs"]) > 10
    operands = len(EXPLAINED[name][0]._spec.inputs)
    assert len(report["pictures"]) == 1 + operands
    assert all(picture["texts"] for picture in report["pictures"])
    assert min(p["size"] for p in report["prose"]) >= 12


@every_page
def test_dark_colours_are_others_and_move_nothing(name: str) -> None:
    reports = seen(name).reports
    light, dark = reports[WIDE, False], reports[WIDE, True]
    for one, other in ((light, dark), (dark, light)):
        grounds = {tuple(p["ground"]) for p in one["prose"]}
        assert grounds.isdisjoint(tuple(p["ground"]) for p in other["prose"])
        letters = {tuple(t["color"]) for p in one["pictures"] for t in p["texts"]}
        assert letters.isdisjoint(tuple(t["color"]) for p in other["pictures"] for t in p["texts"])
    for part in ("formulas", "pictures"):
        assert [p["box"] for p in light[part]] == [p["box"] for p in dark[part]]


def test_only_a_phone_breaks_what_has_room_elsewhere() -> None:
    reports = seen("symbolic").reports
    count = {width: len(reports[width, False]["formulas"]) for width in WIDTHS}
    assert count[768] == count[1280] == count[1600] < count[360]


def test_paper_is_light_and_has_no_buttons() -> None:
    with opened_text(html_of("convolution")) as tab:
        tab.view(718, dark=True, media="print")
        report = tab.run(SCRIPT)
        breaks = tab.run(
            "(view) => [...view.document.querySelectorAll('section')]"
            ".map((one) => view.getComputedStyle(one).breakBefore)"
        )
    assert faults(report) == []
    assert {tuple(p["ground"]) for p in report["prose"]} == {(255, 255, 255, 1)}
    texts = [p["text"] for p in report["prose"]]
    assert "Gradient by X" in texts
    assert not [text for text in texts if text.startswith("copy")]
    assert breaks == ["page", "page"]


# --- what helps to read them ------------------------------------------------------------------

COPIED = """async (view) => {
  const found = {};
  view.document.addEventListener('copy', () => { found.last = view.document.activeElement.value });
  for (const button of [...view.document.querySelectorAll('button')].slice(0, 6)) {
    const name = button.textContent;
    button.click();
    found[name] = [...found[name] ?? [], found.last, button.textContent];
  }
  return found;
}"""


def test_buttons_copy_formulas_and_what_makes_them() -> None:
    contraction = EXPLAINED["symbolic"][0]
    made = (
        "cc.Contraction('b (stride*i+dilation*k-padding) (stride*j+dilation*l-padding) c, k l c o "
        "-> b i j o', parameters='dilation padding stride')"
    )
    gradient = contraction.grad(0)
    with opened_text(html_of("symbolic")) as tab:
        found = tab.run(COPIED)
    said = "copied"
    assert found["copy LaTeX"] == [contraction.latex(), said, gradient.latex(), said]
    assert found["copy Python"] == [made, said, f"{made}.grad(0)", said]
    assert found["copy string"] == [str(contraction), said, str(gradient.gather), said]
    assert eval(made, {"cc": cc}) == contraction  # what is copied is ours


def test_without_a_script_there_are_no_buttons() -> None:
    assert "<button" not in html_of("dense")
    assert html_of("dense").count('<p class="cc-copies" hidden=""') == 3


def test_the_table_of_contents_leads_to_each_gradient() -> None:
    script = """(view) => [...view.document.querySelectorAll('nav a')].map((link) => {
      link.click();
      return [link.textContent, view.document.querySelector(':target h2').textContent];
    })"""
    with opened_text(html_of("tiles")) as tab:
        found = tab.run(script)
    names = ["Gradient by X", "Gradient by W", "Fast algorithm"]
    assert found == [[name, name] for name in names]
    assert "<nav" not in cc.Contraction("i ->").explain().html()


@every_page
def test_a_step_shows_only_what_is_new(name: str) -> None:
    contraction, shapes, extents = EXPLAINED[name]
    steps = contraction.explain(*shapes, **extents, wrt=0).gradients[0].steps
    html = html_of(name)
    told = html.partition('<ol class="cc-steps">')[2].partition("</ol>")[0]
    items = told.split("<li>")[1:]
    assert len(items) == len(steps)
    for before, step, item in zip([None, *steps[:-1]], steps, items, strict=True):
        old = None if before is None else before.equation
        assert ('class="cc-formula' in item) == (step.equation != old and _adds(step, old))


def _adds(step: Any, old: Any) -> bool:
    """Whether an equation has more than the one before, other than fewer conditions."""
    if old is None:
        return True
    same = (step.equation.factors, step.equation.summed, step.equation.deltas) == (
        old.factors, old.summed, old.deltas,
    )  # fmt: skip
    return not same or not set(step.equation.guards) <= set(old.guards)


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
        "console: Error: planted", "loads http://127.0.0.1:9/picture.png", "1280 dark: cut off",
        "1280: the page is 2", "lies on 'another line of text'", "hardly legible", "badly typeset",
        "picture: far out",
    ):  # fmt: skip
        assert fault in said
