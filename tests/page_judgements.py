"""What a browser measures on a page, and what is judged of that.

The browser measures, Python judges: nothing is cut off, nothing overlaps, everything can be told
from what it stands on, formulas are typeset, the console is empty, nothing is loaded from
elsewhere. Any page can be judged, ours or one that holds ours:

>>> with opened(address) as tab:                             # doctest: +SKIP
...     assert faults_of(tab, own="http://127.0.0.1:8000/") == []
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from devtools import Tab

WIDTHS = (360, 768, 1280, 1600)
"""In CSS pixels: a phone, a tablet, a small and a large screen."""

# Of WCAG 2, level AA: of text, and of text that is large.
LEAST_CONTRAST, LEAST_OF_LARGE = 4.5, 3.0

# How much smaller than it is drawn a diagram may be, before it scrolls.
LEGIBLE = 0.6

SCRIPT = r"""(view) => {
  const page = view.document;
  const all = (where, what) => [...where.querySelectorAll(what)];
  const rect = (r) => ({left: r.left, top: r.top, right: r.right, bottom: r.bottom});
  const box = (element) => rect(element.getBoundingClientRect());
  const style = (element) => view.getComputedStyle(element);
  const size = (element) => parseFloat(style(element).fontSize);
  const seen = (element) =>
    element.checkVisibility({opacityProperty: true, visibilityProperty: true});

  // Colours, whatever they are written as, in red, green, blue and how much they cover.
  const brush = page.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const known = new Map();
  const channels = (text) => {
    if (text === 'none') return [0, 0, 0, 0];
    if (!known.has(text)) {
      brush.clearRect(0, 0, 1, 1);
      brush.fillStyle = text;
      brush.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
      known.set(text, [r, g, b, a / 255]);
    }
    return known.get(text);
  };
  const over = (top, bottom) =>
    [0, 1, 2].map((n) => top[n] * top[3] + bottom[n] * (1 - top[3])).concat(1);
  const dark = view.matchMedia('(prefers-color-scheme: dark)').matches;
  const canvas = style(page.documentElement).colorScheme.includes('dark') && dark
    ? [18, 18, 18, 1] : [255, 255, 255, 1];
  const ground = (element) => {
    if (element === null) return canvas;
    const own = channels(style(element).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };
  const covering = (element) =>
    element === null ? 1 : parseFloat(style(element).opacity) * covering(element.parentElement);
  const ink = (element, written, below) => {
    const own = channels(written);
    return over([...own.slice(0, 3), own[3] * covering(element)], below);
  };

  // What of a thing can be seen at once, and whether a part of it can be seen in no way.
  const within = (thing, frame) => ({
    left: Math.max(thing.left, frame.left), right: Math.min(thing.right, frame.right),
    top: Math.max(thing.top, frame.top), bottom: Math.min(thing.bottom, frame.bottom),
  });
  const shown = (thing, element) => {
    let part = thing, cut = false, reachable = false;
    for (let e = element; e !== null && e !== page.documentElement; e = e.parentElement) {
      const s = style(e), across = s.overflowX !== 'visible', down = s.overflowY !== 'visible';
      if (!(across || down) || e === page.body) continue;
      const frame = box(e), hides = /hidden|clip/;
      reachable ||= e.scrollWidth > e.clientWidth && !hides.test(s.overflowX);
      const speck = frame.right - frame.left < 2 && frame.bottom - frame.top < 2;
      if (speck) return {part: null, reachable};
      cut ||= hides.test(s.overflowX)
        && (part.left < frame.left - 1 || part.right > frame.right + 1);
      cut ||= hides.test(s.overflowY)
        && (part.top < frame.top - 2 || part.bottom > frame.bottom + 2);
      part = within(part, {
        left: across ? frame.left : -1e9, right: across ? frame.right : 1e9,
        top: down ? frame.top : -1e9, bottom: down ? frame.bottom : 1e9,
      });
      if (part.right <= part.left || part.bottom <= part.top) return {part: null, reachable, cut};
    }
    return {part, reachable, cut: cut || thing.left < -1 && part.left < -1};
  };

  const prose = [];
  const walker = page.createTreeWalker(page.body, view.NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const parent = node.parentElement;
    const unread = 'script, style, noscript, svg, math, [aria-hidden="true"]';
    if (!node.data.trim() || parent.closest(unread)) continue;
    if (!seen(parent)) continue;
    const range = page.createRange();
    range.selectNodeContents(node);
    const found = [...range.getClientRects()].map((r) => shown(rect(r), parent));
    const below = ground(parent);
    prose.push({
      text: node.data.trim(), lines: found.map((f) => f.part).filter((part) => part),
      cut: found.some((f) => f.cut), color: ink(parent, style(parent).color, below),
      ground: below, size: size(parent), bold: parseInt(style(parent).fontWeight) >= 700,
      off: parent.closest(':disabled') !== null,
    });
  }

  const drawn = (svg) => {
    const below = ground(svg.parentElement);
    const shapes = all(svg, '.cc-shape, rect, circle, ellipse, polygon');
    return all(svg, 'text').filter(seen).map((text) => {
      const r = text.getBoundingClientRect();
      const x = (r.left + r.right) / 2, y = (r.top + r.bottom) / 2;
      const behind = shapes.filter((shape) => {
        const s = shape.getBoundingClientRect();
        return s.left <= x && x <= s.right && s.top <= y && y <= s.bottom;
      }).map((shape) => {
        const fill = channels(style(shape).fill);
        return [...fill.slice(0, 3), fill[3] * parseFloat(style(shape).fillOpacity)];
      });
      const lies = behind.reduce((under, fill) => over(fill, under), below);
      return {
        text: text.textContent, box: rect(r), cut: Boolean(shown(rect(r), text).cut),
        color: ink(text, style(text).fill, lies), ground: lies,
      };
    });
  };
  const room = (element) => {
    const s = style(element), r = element.getBoundingClientRect();
    return r.width - parseFloat(s.paddingLeft) - parseFloat(s.paddingRight);
  };
  const pair = (element) => ({
    base: box(element.children[0]), script: box(element.children[1]),
    sizes: [size(element.children[0]), size(element.children[1])],
  });
  const pairs = (what) => all(page, what).filter(seen).map(pair);
  const primes = all(page, 'mo').filter((sign) => seen(sign) && /^′+$/.test(sign.textContent)).map(
    (sign) => ({sizes: [size(sign.previousElementSibling), size(sign)]}));

  return {
    width: view.innerWidth, reach: page.documentElement.scrollWidth, dark,
    prose,
    things: all(page, 'img, input, textarea, select, canvas, video, iframe').filter(seen).map(
      (thing) => ({text: `<${thing.localName}>`, ...shown(box(thing), thing.parentElement)})),
    formulas: all(page, 'math').filter(seen).map((math) => ({
      box: box(math), ...shown(box(math), math.parentElement),
      width: math.scrollWidth, shown: math.clientWidth,
      room: room(math.parentElement),
      color: ink(math, style(math).color, ground(math)), ground: ground(math),
      tokens: all(math, 'mi, mn, mo, mtext').filter(
        (token) => seen(token) && /[^\s\u2061-\u2064]/.test(token.textContent)).map(
        (token) => ({
          text: token.textContent, box: box(token), cut: Boolean(shown(box(token), token).cut),
          color: ink(token, style(token).color, ground(token)), ground: ground(token)})),
    })),
    fractions: pairs('mfrac'), unders: pairs('munder'), subs: pairs('msub'), supers: pairs('msup'),
    primes,
    pictures: all(page, 'svg').filter(seen).map((svg) => ({
      box: box(svg), ...shown(box(svg), svg.parentElement),
      wanted: svg.matches('.cc-diagram') ? parseFloat(svg.getAttribute('width')) : null,
      room: room(svg.parentElement), texts: drawn(svg),
    })),
  };
}"""

Box = dict[str, float]


# --- whole pages ------------------------------------------------------------------------------


def faults_of(
    tab: Tab,
    own: str | None = None,
    *,
    widths: Iterable[int] = WIDTHS,
    dark: Iterable[bool] = (False, True),
) -> list[str]:
    """Look at a page in several ways, and return all that is wrong with it.

    Args:
        tab: the page, opened.
        own: what the addresses of all begin with that it may load; ``None`` for the page alone.
        widths: of the window.
        dark: whether the reader prefers dark colours.
    """
    found = [f"console: {said}" for said in tab.complaints]
    found += [f"loads {address}" for address in foreign(tab, own)]
    for width, night in product(widths, dark):
        report = looked_at(tab, width, night)
        found += [f"{width}{' dark' * night}: {fault}" for fault in faults(report)]
    return found


def looked_at(tab: Tab, width: int, dark: bool = False) -> Any:
    """What the browser measures on a page in one view."""
    tab.view(width, dark=dark)
    return tab.run(SCRIPT)


def faults(report: Any) -> list[str]:
    """Everything that is wrong with what the browser measured."""
    wide = report["reach"] > report["width"]
    return [
        *[f"the page is {report['reach']} wide"] * wide,
        *(f"cut off: {text!r}" for text in clipped(report)),
        *(f"{one!r} lies on {other!r}" for one, other in collisions(report)),
        *(f"hardly legible: {text!r}" for text in faint(report)),
        *(f"badly typeset: {what}" for what in badly_typeset(report)),
        *(f"picture: {what}" for what in misdrawn(report)),
    ]


def foreign(tab: Tab, own: str | None = None) -> list[str]:
    """What a page loads that is not its own."""
    page, *others = tab.loaded
    inside = ("data:", "blob:") if own is None else ("data:", "blob:", own)
    return [a for a in (page, *others) if not a.startswith(inside) and a != page]


# --- judgements -------------------------------------------------------------------------------


def clipped(report: Any) -> list[str]:
    """Texts, formulas and pictures of which a part cannot be seen in any way."""
    texts = [*report["prose"], *report["things"]]
    texts += [token for formula in report["formulas"] for token in formula["tokens"]]
    texts += [text for picture in report["pictures"] for text in picture["texts"]]
    found = [one["text"] for one in texts if one.get("cut")]
    return [*found, *unseen(report), *["a picture" for p in report["pictures"] if p.get("cut")]]


def unseen(report: Any) -> list[str]:
    """Formulas without a size, or that cannot be read at once because they are too wide."""
    return [
        "".join(token["text"] for token in formula["tokens"])
        for formula in report["formulas"]
        if _width(formula["box"]) <= 0
        or _height(formula["box"]) <= 0
        or formula["width"] > formula["shown"] + 1
        or (_width(formula["box"]) > formula["room"] + 1 and not formula["reachable"])
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
    faults += ["prime" for p in report["primes"] if p["sizes"][1] < p["sizes"][0]]
    return faults


def collisions(report: Any) -> list[tuple[str, str]]:
    """Texts, formulas and pictures that lie on each other."""
    things = [(p["text"], line) for p in report["prose"] for line in p["lines"]]
    things += [
        (what, one["part"])
        for what, kind in (("a formula", "formulas"), ("a picture", "pictures"))
        for one in report[kind]
        if one["part"]
    ]
    things += [(one["text"], one["part"]) for one in report["things"] if one["part"]]
    found = list(_colliding(things))
    for formula in report["formulas"]:
        found += _colliding([(token["text"], token["box"]) for token in formula["tokens"]])
    for picture in report["pictures"]:
        # The line of a label is higher than its letters.
        found += _colliding([(t["text"], _flatter(t["box"])) for t in picture["texts"]])
    return found


def misdrawn(report: Any) -> list[str]:
    """Diagrams of an unexpected width, and texts that leave their picture."""
    faults = []
    for picture in report["pictures"]:
        if picture["wanted"] is not None:
            expected = max(min(picture["wanted"], picture["room"]), LEGIBLE * picture["wanted"])
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
    texts = [p for p in report["prose"] if p["lines"] and not p["off"]]
    texts += [token for formula in report["formulas"] for token in formula["tokens"]]
    texts += [text for picture in report["pictures"] for text in picture["texts"]]
    return [t["text"] for t in texts if contrast(t["color"], t["ground"]) < _least_contrast(t)]


def _least_contrast(text: Any) -> float:
    large = text.get("size", 0) >= (18.5 if text.get("bold") else 24)
    return LEAST_OF_LARGE if large else LEAST_CONTRAST


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
    """Pairs that share more than a rim, from the top of the page to its end."""
    open_: list[tuple[str, Box]] = []
    for one, a in sorted(things, key=lambda thing: thing[1]["top"]):
        open_ = [(other, b) for other, b in open_ if b["bottom"] > a["top"] + 1]
        for other, b in open_:
            across = min(a["right"], b["right"]) - max(a["left"], b["left"])
            if across > 1 and min(a["bottom"], b["bottom"]) - a["top"] > 1:
                yield other, one
        open_.append((one, a))


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
