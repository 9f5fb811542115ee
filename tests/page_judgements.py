"""What a browser measures on a page, and what is judged of that.

The browser measures, Python judges: formulas are typeset, nothing overlaps or leaves its picture,
everything can be told from what it stands on.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

LEAST_CONTRAST = 4.5

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
