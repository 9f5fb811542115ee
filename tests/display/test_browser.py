"""The page as a browser shows it: formulas are typeset, nothing overlaps, nothing is loaded.

The browser measures, Python judges. A page with planted faults shows that each judgement can fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from browser import measure, needs_browser, screenshot

import contractconv as cc

pytestmark = needs_browser

WIDE, PHONE = 1100, 390
LEAST_CONTRAST = 4.5

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

SCRIPT = """(view) => {
  const page = view.document;
  const all = (where, what) => [...where.querySelectorAll(what)];
  const rect = (r) => ({left: r.left, top: r.top, right: r.right, bottom: r.bottom});
  const box = (element) => rect(element.getBoundingClientRect());
  const style = (element) => view.getComputedStyle(element);
  const size = (element) => parseFloat(style(element).fontSize);

  const channels = (text) => {
    const found = text.match(/[\\d.]+/g).map(Number);
    return found.length > 3 ? found : [...found, 1];
  };
  const over = (top, bottom) =>
    [0, 1, 2].map((n) => top[n] * top[3] + bottom[n] * (1 - top[3])).concat(1);
  const ground = (element) => {
    if (element === null) return [255, 255, 255, 1];
    const own = channels(style(element).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };

  const scrolled = (element) => {
    element.scrollLeft = 1e6;
    const reached = element.scrollLeft + element.clientWidth >= element.scrollWidth - 1;
    element.scrollLeft = 0;
    return reached;
  };
  const room = (element) => {
    const s = style(element), r = element.getBoundingClientRect();
    return r.width - parseFloat(s.paddingLeft) - parseFloat(s.paddingRight);
  };
  const pair = (element) => ({
    base: box(element.children[0]), script: box(element.children[1]),
    sizes: [size(element.children[0]), size(element.children[1])],
    display: style(element).display,
  });

  const prose = [];
  const walker = page.createTreeWalker(page.body, view.NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data.trim() || parent.closest('script, style, svg, math')) continue;
    const range = page.createRange();
    range.selectNodeContents(node);
    prose.push({
      text: node.data.trim(), lines: [...range.getClientRects()].map(rect),
      color: channels(style(parent).color), ground: ground(parent), size: size(parent),
    });
  }

  const drawn = (svg) => {
    const below = ground(svg.parentElement), shapes = all(svg, '.cc-shape');
    return all(svg, 'text').map((text) => {
      const r = text.getBoundingClientRect();
      const x = (r.left + r.right) / 2, y = (r.top + r.bottom) / 2;
      const behind = shapes.filter((shape) => {
        const s = shape.getBoundingClientRect();
        return s.left <= x && x <= s.right && s.top <= y && y <= s.bottom;
      }).map((shape) => {
        const fill = channels(style(shape).fill);
        return [...fill.slice(0, 3), fill[3] * parseFloat(style(shape).fillOpacity)];
      });
      return {
        text: text.textContent, box: rect(r), color: channels(style(text).fill),
        ground: behind.reduce((under, fill) => over(fill, under), below),
      };
    });
  };

  return {
    width: view.innerWidth, reach: page.documentElement.scrollWidth,
    dark: view.matchMedia('(prefers-color-scheme: dark)').matches,
    loaded: view.performance.getEntriesByType('resource').map((entry) => entry.name),
    prose,
    formulas: all(page, 'math').map((math) => ({
      box: box(math), width: math.scrollWidth, shown: math.clientWidth,
      room: room(math.parentElement), scrolls: scrolled(math),
      color: channels(style(math).color), ground: ground(math),
      tokens: all(math, 'mi, mn, mo, mtext').filter((token) => token.textContent.trim()).map(
        (token) => ({text: token.textContent, box: box(token), color: style(token).color})),
    })),
    fractions: all(page, 'mfrac').map(pair),
    unders: all(page, 'munder').map(pair),
    subs: all(page, 'msub').map(pair),
    supers: all(page, 'msup').map(pair),
    pictures: all(page, 'svg').map((svg) => ({
      box: box(svg), wanted: parseFloat(svg.getAttribute('width')),
      room: room(svg.parentElement), texts: drawn(svg),
    })),
  };
}"""

Box = dict[str, float]


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


# --- judgements -------------------------------------------------------------------------------


def unseen(report: Any) -> list[str]:
    """Formulas without a size, or of which a part can be seen in no way."""
    return [
        "".join(token["text"] for token in formula["tokens"])
        for formula in report["formulas"]
        if _width(formula["box"]) <= 0
        or _height(formula["box"]) <= 0
        or _width(formula["box"]) > formula["room"] + 1
        or (formula["width"] > formula["shown"] + 1 and not formula["scrolls"])
    ]


def badly_typeset(report: Any) -> list[str]:
    """Elements of MathML that are not laid out as what they are."""
    faults = [
        "fraction"
        for f in report["fractions"]
        if f["base"]["bottom"] > f["script"]["top"] or not _share_a_column(f)
    ]
    faults += [
        "under"
        for u in report["unders"]
        if u["base"]["bottom"] > u["script"]["top"] + 0.5 or not _share_a_column(u)
    ]
    faults += [
        "subscript"
        for s in report["subs"]
        if s["sizes"][0] <= s["sizes"][1]
        or s["base"]["bottom"] >= s["script"]["bottom"]
        or s["base"]["right"] > s["script"]["left"] + 1
    ]
    faults += [
        "superscript" for s in report["supers"] if _middle(s["base"]) <= _middle(s["script"])
    ]
    return faults


def collisions(report: Any) -> list[tuple[str, str]]:
    """Texts, formulas and pictures that lie on each other."""
    things = [(p["text"], line) for p in report["prose"] for line in p["lines"]]
    things += [("a formula", formula["box"]) for formula in report["formulas"]]
    things += [("a picture", picture["box"]) for picture in report["pictures"]]
    found = list(_colliding(things))
    for formula in report["formulas"]:
        found += _colliding([(token["text"], token["box"]) for token in formula["tokens"]])
    for picture in report["pictures"]:
        # The line of a label is higher than its letters.
        found += _colliding([(t["text"], _flatter(t["box"])) for t in picture["texts"]])
    return found


def misdrawn(report: Any) -> list[str]:
    """Pictures of an unexpected width, and texts that leave their picture."""
    faults = []
    for picture in report["pictures"]:
        expected = min(picture["wanted"], picture["room"])
        if abs(_width(picture["box"]) - expected) > 1:
            faults.append(f"{_width(picture['box']):.0f} wide, not {expected:.0f}")
        frame = picture["box"]
        faults += [
            text["text"]
            for text in picture["texts"]
            if text["box"]["left"] < frame["left"] - 1
            or text["box"]["right"] > frame["right"] + 1
            or text["box"]["top"] < frame["top"] - 1
            or text["box"]["bottom"] > frame["bottom"] + 1
        ]
    return faults


def faint(report: Any) -> list[str]:
    """Texts that are hard to tell from what they stand on."""
    texts = [(p["text"], p) for p in report["prose"]]
    texts += [("a formula", formula) for formula in report["formulas"]]
    texts += [(t["text"], t) for picture in report["pictures"] for t in picture["texts"]]
    return [text for text, t in texts if contrast(t["color"], t["ground"]) < LEAST_CONTRAST]


def contrast(color: list[float], ground: list[float]) -> float:
    """The contrast ratio of WCAG 2, from 1 to 21."""
    low, high = sorted((_luminance(color), _luminance(ground)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: list[float]) -> float:
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in color[:3])
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _colliding(things: list[tuple[str, Box]]) -> Iterator[tuple[str, str]]:
    for (one, a), (two, b) in combinations(things, 2):
        across = min(a["right"], b["right"]) - max(a["left"], b["left"])
        down = min(a["bottom"], b["bottom"]) - max(a["top"], b["top"])
        if across > 1 and down > 1:
            yield one, two


def _width(box: Box) -> float:
    return box["right"] - box["left"]


def _height(box: Box) -> float:
    return box["bottom"] - box["top"]


def _middle(box: Box) -> float:
    return (box["top"] + box["bottom"]) / 2


def _flatter(box: Box) -> Box:
    rim = _height(box) / 5
    return box | {"top": box["top"] + rim, "bottom": box["bottom"] - rim}


def _share_a_column(pair: Any) -> bool:
    base, script = pair["base"], pair["script"]
    return bool(base["left"] < script["right"] and script["left"] < base["right"])


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


@every_view
def test_nothing_is_loaded(name: str, width: int) -> None:
    assert shown(name, width)["loaded"] == []


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
<svg xmlns="http://www.w3.org/2000/svg" width="100" height="20" style="width: 50px">
<text x="90" y="10">far out</text></svg>
<img src="http://127.0.0.1:9/picture.png">
</body></html>"""


@lru_cache
def faulty() -> Any:
    """What the browser measures on a page where everything is wrong."""
    return measure(FAULTY, SCRIPT)


def test_a_formula_that_is_cut_off_is_found() -> None:
    assert "muchtoowide" in unseen(faulty())


def test_mathml_that_is_not_typeset_is_found() -> None:
    assert set(badly_typeset(faulty())) == {"fraction", "under", "subscript"}


def test_a_collision_is_found() -> None:
    found = collisions(faulty())
    assert ("one line of text", "another line of text") in found
    assert ("x", "y") in found


def test_a_misdrawn_picture_is_found() -> None:
    assert misdrawn(faulty()) == ["50 wide, not 100", "far out"]


def test_faint_text_is_found() -> None:
    assert faint(faulty()) == ["hardly there"]


def test_something_loaded_is_found() -> None:
    (name,) = faulty()["loaded"]
    assert name.endswith("picture.png")


def test_a_page_that_is_too_wide_is_found() -> None:
    assert faulty()["reach"] > faulty()["width"]


def test_contrast_is_the_one_of_the_standard() -> None:
    assert contrast([0, 0, 0, 1], [255, 255, 255, 1]) == pytest.approx(21)
    assert contrast([119, 119, 119, 1], [255, 255, 255, 1]) == pytest.approx(4.48, abs=0.01)
