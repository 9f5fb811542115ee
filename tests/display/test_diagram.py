"""Diagrams: what is drawn is read back from the SVG, and compared with what the spec says.

Boxes and lines are computed from the coordinates in the file, and the widths of texts from their
letters, so nothing here trusts the layout.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise, permutations
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import Problem, problems, windows

from contractconv.display.diagram import diagram
from contractconv.display.diagram_spacing import fewest_crossings, spread
from contractconv.notation.affine import Affine
from contractconv.notation.parser import parse
from contractconv.notation.spec import REDUCTIONS, Axis, Composition, Dots, Spec

SVG = "{http://www.w3.org/2000/svg}"

SPECS = [
    "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o",
    "b ((h-k+1)/2) ((w-l+1)/2) o, k l c o -> b h w c",
    "b i j o, k l c o -> b (2*i+k-1) (2*j+l-1) c",
    "b i j o, b (2*i+k-1) (2*j+l-1) c -> k l c o",
    "b h w c, h w c o -> b o",
    "b h w c, (c h w) o -> b o",
    "b (2*i+k) (2*j+l) c -> b i j c",
    "b q h d, b k h d, b k h e -> b q h e",
    "i i ->",
    "i i i -> i",
    "i, k -> (2*i+k)",
    "b (i+k) (j+l) c, k r, l r, c r, r o -> b i j o",
    ", h -> b h",
    "... i j, ... j -> ... i",
    "... i ->",
    "... -> ...",
    "i -> i i",
    "-> i i",
    "-> i i i",
    "-> i",
    "->",
    ", ->",
    "(0) j -> j",
    "j -> (0) j",
    "(0) (1) -> (3)",
    "(1) i (2) j, i j k l -> (3) k l (0)",
    "ij,jk",
    "i j, j k -> i k",
    "i j, k l -> l k j i",
    "i j k l m, m l k j i ->",
    "a b c, c d e, e f g, g h i, i j k, k l a -> b d f h j l",
    "a a a, a a -> a a",
    "(h w) -> w h",
    "b (h w) -> (b h) w",
    "(h w c) (a b), h -> (w b h) (c a)",
    "(h h) -> h",
    "(2*i+k) (2*i+l), k l -> (i+k) (k-l) l",
    "(i+j+k+l-3) (i-j), i j, (2) -> (k l i) (0)",
    "(4-i) -> i",
    "(h/2) -> h",
    "i,j,k->",
    "batch (position+tap) channel_in, tap channel_in channel_out -> batch position channel_out",
    "x, x, x, x, x, x -> x",
    "b c q h d, b c k h d, k h d e f -> b c q h e f d k",
    " ".join(f"n{n}" for n in range(20)) + " -> " + " ".join(f"n{n}" for n in range(19, -1, -1)),
    "ä ß, ß ж -> ä ж",
    "(100000000*i+200000000*j+300000000*k+400000000*l+500000000*m) ->",
    "a_name_that_is_much_too_long_to_be_written_beside_any_line j -> j",
]


# --- reading a picture -----------------------------------------------------------------------


class Point(NamedTuple):
    """A point; heights grow downwards."""

    x: float
    y: float


class Box(NamedTuple):
    """A rectangle by its sides."""

    left: float
    top: float
    right: float
    bottom: float

    def shrunk(self, by: float) -> Box:
        """The box without its border."""
        return Box(self.left + by, self.top + by, self.right - by, self.bottom - by)

    def holds(self, point: Point) -> bool:
        """Whether a point is inside."""
        return self.left < point.x < self.right and self.top < point.y < self.bottom

    def contains(self, other: Box) -> bool:
        """Whether another box is inside."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )

    def overlaps(self, other: Box) -> bool:
        """Whether it shares some room with another box."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


@dataclass(frozen=True)
class Picture:
    """A parsed diagram."""

    root: Element

    def groups(self, kind: str) -> list[Element]:
        """The groups of a class."""
        return [g for g in self.root.findall(f"{SVG}g") if kind in classes(g)]

    def tensor(self, term: str) -> Box:
        """The box of an operand or of the result."""
        groups = self.groups("cc-result" if term == "result" else "cc-operand")
        return shape(next(g for g in groups if g.get("data-operand", "result") == term))

    def node(self, term: str, axis: str) -> Box | None:
        """What hangs on an axis, if anything."""
        for group in self.groups("cc-axis"):
            if (group.get("data-term"), group.get("data-axis")) == (term, axis):
                return shape(group)
        return None

    @property
    def frame(self) -> Box:
        """What is visible."""
        left, top, width, height = map(float, str(self.root.get("viewBox")).split())
        return Box(left, top, left + width, top + height)


def draw(text: str, reduce: str = "sum") -> tuple[Spec, Picture]:
    spec = parse(text, reduce)
    return spec, picture(spec)


def picture(spec: Spec) -> Picture:
    names = [f"T{n}" for n in range(len(spec.inputs))]
    return Picture(ElementTree.fromstring(diagram(spec, names, "Y")))


def classes(element: Element) -> list[str]:
    return str(element.get("class", "")).split()


def of_kind(group: Element, kind: str) -> list[Element]:
    return [element for element in group if kind in classes(element)]


def words(group: Element, kind: str) -> list[str]:
    return [str(element.text) for element in of_kind(group, kind)]


def number(element: Element, name: str) -> float:
    return float(str(element.get(name)))


def shape(group: Element) -> Box:
    """The box of a tensor or of what hangs on it."""
    (drawn,) = of_kind(group, "cc-shape")
    if drawn.tag == f"{SVG}rect":
        left, top = number(drawn, "x"), number(drawn, "y")
        return Box(left, top, left + number(drawn, "width"), top + number(drawn, "height"))
    points = list(route(drawn))
    xs, ys = [point.x for point in points], [point.y for point in points]
    return Box(min(xs), min(ys), max(xs), max(ys))


def route(path: Element) -> Iterator[Point]:
    """Points along a path, close to one another where it bends."""
    here = Point(0, 0)
    for command, text in re.findall(r"([A-Z])([^A-Z]*)", str(path.get("d"))):
        values = [float(value) for value in text.split()]
        points = list(_walk(command, here, values))
        yield from points
        here = points[-1] if points else here


def _walk(command: str, here: Point, values: list[float]) -> Iterator[Point]:
    if command in "ML":
        yield from (Point(x, y) for x, y in zip(values[::2], values[1::2], strict=True))
    elif command == "V":
        yield from (Point(here.x, here.y + (values[0] - here.y) * n / 20) for n in range(1, 21))
    elif command == "H":
        yield Point(values[0], here.y)
    elif command == "C":
        yield from _bezier([here, *(Point(*values[n : n + 2]) for n in (0, 2, 4))])
    elif command == "A":
        yield from _half_circle(here, values)
    else:
        assert command == "Z"


def _bezier(knots: Sequence[Point]) -> Iterator[Point]:
    for step in range(1, 41):
        t = step / 40
        weights = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
        x, y = (sum(w * k[c] for w, k in zip(weights, knots, strict=True)) for c in (0, 1))
        yield Point(x, y)


def _half_circle(here: Point, values: list[float]) -> Iterator[Point]:
    radius, _, _, _, sweep, x, y = values
    assert abs(x - here.x - 2 * radius) < 0.11
    assert y == here.y
    for step in range(1, 21):
        angle = math.pi * step / 20
        height = radius * math.sin(angle) * (-1 if sweep else 1)
        yield Point(here.x + radius - radius * math.cos(angle), y + height)


@cache
def font_sizes(rules: str) -> dict[str, float]:
    """The sizes that the embedded style gives to the classes of texts."""
    sizes: dict[str, float] = {}
    for selectors, size in re.findall(r"([^{}]+)\{ font-size: ([0-9.]+)px", rules):
        sizes |= dict.fromkeys(re.findall(r"(cc-\w+)(?:,|\s*$)", selectors), float(size))
    return sizes


def style(root: Element) -> str:
    return str(root.findtext(f"{SVG}style"))


def text_box(root: Element, group: Element, text: Element) -> Box:
    """About the room of a text: a letter of a monospaced font is 0.6 wide, of East Asia 1."""
    (kind,) = classes(text)
    size, letters = font_sizes(style(root))[kind], str(text.text or "")
    width = size * sum(1 if unicodedata.east_asian_width(ch) in "WF" else 0.6 for ch in letters)
    starts = kind == "cc-label" and "cc-kept" in classes(group)
    ends = kind == "cc-mark" and "cc-result" in classes(group)
    left = number(text, "x") - width * (0 if starts else 1 if ends else 0.5)
    baseline = number(text, "y")
    return Box(left, baseline - 0.75 * size, left + width, baseline + 0.2 * size)


# --- what the spec says ----------------------------------------------------------------------


def terms(spec: Spec) -> list[tuple[str, tuple[Axis, ...]]]:
    return [*((str(n), term) for n, term in enumerate(spec.inputs)), ("result", spec.output)]


def names_of(axis: Axis) -> tuple[str, ...]:
    return ("...",) if isinstance(axis, Dots) else axis.names


def joined(spec: Spec) -> dict[str, Counter[str]]:
    """For each index the places where it stands, ``term.axis``, as often as it stands there."""
    places: dict[str, Counter[str]] = {}
    for term, axes in terms(spec):
        for position, axis in enumerate(axes):
            for name in names_of(axis):
                places.setdefault(name, Counter())[f"{term}.{position}"] += 1
    return places


def kind_of(axis: Axis) -> str | None:
    if isinstance(axis, Composition):
        return "cc-composition"
    if isinstance(axis, Affine) and axis.plain is None:
        if not axis.terms:
            return "cc-constant"
        return "cc-fraction" if axis.fractional else "cc-window"
    return None


# --- the checks ------------------------------------------------------------------------------


def check(spec: Spec) -> None:
    """Everything that holds for every picture."""
    drawn = picture(spec)
    check_head(spec, drawn)
    check_tensors(spec, drawn)
    check_axes(spec, drawn)
    check_indices(spec, drawn)
    check_ends(drawn)
    check_order_of_lines(drawn)
    check_room(drawn)


def check_head(spec: Spec, drawn: Picture) -> None:
    root = drawn.root
    assert root.tag == f"{SVG}svg"
    assert classes(root) == ["cc-diagram"]
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == str(spec)
    assert str(root.findtext(f"{SVG}desc")).endswith(".")
    assert (number(root, "width"), number(root, "height")) == drawn.frame[2:]
    assert all(element.get("id") is None for element in root.iter())


def check_tensors(spec: Spec, drawn: Picture) -> None:
    operands = drawn.groups("cc-operand")
    numbers = [str(n) for n in range(len(spec.inputs))]
    assert [group.get("data-operand") for group in operands] == numbers
    assert [words(group, "cc-name") for group in operands] == [[f"T{n}"] for n in numbers]
    (result,) = drawn.groups("cc-result")
    assert (result.get("data-name"), words(result, "cc-name")) == ("Y", ["Y"])
    boxes = [shape(group) for group in operands]
    assert all(b.left - a.right > 30 for a, b in pairwise(boxes))
    assert all(box.bottom < shape(result).top for box in boxes)


def check_axes(spec: Spec, drawn: Picture) -> None:
    """Exactly the axes that are more than an index hang on their tensors, each tied to its own."""
    said = [
        (term, str(position), str(axis), kind)
        for term, axes in terms(spec)
        for position, axis in enumerate(axes)
        if (kind := kind_of(axis))
    ]
    groups = drawn.groups("cc-axis")
    keys = ("data-term", "data-axis", "data-expression")
    found = [(*(str(g.get(key)) for key in keys), classes(g)[1]) for g in groups]
    assert sorted(found) == sorted(said)
    for group in groups:
        (stub,) = of_kind(group, "cc-stub")
        tensor, box = drawn.tensor(str(group.get("data-term"))), shape(group)
        assert tensor.left <= box.left + 0.1
        assert box.right <= tensor.right + 0.1
        assert {edge(tensor, box), edge(box, tensor)} == {y for _, y in [*route(stub)][::20]}


def edge(box: Box, other: Box) -> float:
    """The side of a box that looks at the other one."""
    return box.bottom if box.top < other.top else box.top


def check_indices(spec: Spec, drawn: Picture) -> None:
    groups, places = drawn.groups("cc-index"), joined(spec)
    assert Counter(group.get("data-index") for group in groups) == Counter([*places])
    for group in groups:
        name = str(group.get("data-index"))
        (label,) = words(group, "cc-label")
        assert label == name or (len(name) > 36 and "…" in label)
        is_kept = any(place.startswith("result") for place in places[name])
        assert ("cc-kept" in classes(group), "cc-reduced" in classes(group)) == (
            is_kept,
            not is_kept,
        )
        assert is_kept == (name not in spec.reduced) or name == "..."
        assert ("cc-ellipsis" in classes(group)) == (name == "...")
        ends = " ".join(str(line.get("data-joins")) for line in of_kind(group, "cc-line"))
        assert Counter(ends.split()) == places[name]
        # Two places are joined by one line, all others by lines that meet in one dot.
        degree = sum(places[name].values())
        lines, dots = of_kind(group, "cc-line"), of_kind(group, "cc-dot")
        assert (len(lines), len(dots)) == ((1, 0) if degree == 2 else (degree, 1))


def check_ends(drawn: Picture) -> None:
    """Lines begin and end where they say, at different points, in the order of the axes."""
    seen: dict[str, list[tuple[int, float]]] = {}
    for group in drawn.groups("cc-index"):
        for line in of_kind(group, "cc-line"):
            places, ends = str(line.get("data-joins")).split(), ends_of(line)
            for dot in of_kind(group, "cc-dot"):
                assert ends.pop() == (number(dot, "cx"), number(dot, "cy"))
            for place, point in zip(places, ends, strict=True):
                term, axis = place.split(".")
                box = drawn.node(term, axis) or drawn.tensor(term)
                assert box.left + 4 < point.x < box.right - 4, place
                assert point.y == (box.top if term == "result" else box.bottom), place
                seen.setdefault(term, []).append((int(axis), point.x))
            bottom = drawn.tensor("result").top
            if "cc-reduced" in classes(group):
                assert all(point.y < bottom - 4 for point in route(line))
    for ends_of_term in seen.values():
        assert all(b[1] - a[1] > 8 for a, b in pairwise(sorted(ends_of_term)))


def check_order_of_lines(drawn: Picture) -> None:
    """Lines leave a composition in its order, and all else without crossing one another."""
    labels = order_of(drawn)
    for node in drawn.groups("cc-axis"):
        place = f"{node.get('data-term')}.{node.get('data-axis')}"
        found = sorted(
            (point.x, str(group.get("data-index")))
            for group in drawn.groups("cc-index")
            for line in of_kind(group, "cc-line")
            for point, end in zip(ends_of(line), str(line.get("data-joins")).split(), strict=False)
            if end == place
        )
        names = [name for _, name in found]
        if "cc-composition" in classes(node):
            assert f"({' '.join(names)})" == node.get("data-expression")
        else:
            assert names == sorted(names, key=labels.index)
            box = shape(node)
            middle = (box.left + box.right) / 2
            assert not found or abs(found[0][0] + found[-1][0] - 2 * middle) < 0.5


def ends_of(line: Element) -> list[Point]:
    points = list(route(line))
    return [points[0], points[-1]]


def order_of(drawn: Picture) -> list[str]:
    """The indices from left to right."""
    groups = drawn.groups("cc-index")
    place = {str(g.get("data-index")): number(of_kind(g, "cc-label")[0], "x") for g in groups}
    return sorted(place, key=place.__getitem__)


def check_room(drawn: Picture) -> None:
    """Nothing overlaps, nothing is cut off, and no line runs through anything."""
    boxes, lines, dots = [], [], []
    for group in drawn.root.findall(f"{SVG}g"):
        texts = [text_box(drawn.root, group, text) for text in group.findall(f"{SVG}text")]
        if of_kind(group, "cc-shape"):
            box = shape(group)
            assert all(box.contains(text) for text in texts)
            assert not any(a.overlaps(b) for a, b in combinations(texts, 2))
            boxes.append(box)
        else:
            boxes += [Box(a - 2, b, c + 2, d) for a, b, c, d in texts[:1]] + texts[1:]
            lines.append([p for line in of_kind(group, "cc-line") for p in route(line)])
            dots += [(len(lines) - 1, dot) for dot in of_kind(group, "cc-dot")]
    assert all(drawn.frame.shrunk(4).contains(box) for box in boxes)
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    frame, solid = drawn.frame.shrunk(4), [box.shrunk(0.1) for box in boxes]
    for number_of_line, points in enumerate(lines):
        assert all(frame.holds(point) for point in points)
        assert not any(box.holds(point) for box in solid for point in points)
        for owner, dot in dots:
            centre = Point(number(dot, "cx"), number(dot, "cy"))
            if owner != number_of_line:
                assert all(math.dist(centre, point) > 8 for point in points)


# --- the pictures ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", SPECS)
def test_picture_says_what_the_spec_says(text: str) -> None:
    check(parse(text))


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("text", SPECS)
def test_picture_has_room_for_every_reduction(text: str, reduce: str) -> None:
    check(parse(text, reduce))


@pytest.mark.parametrize(
    ("text", "parameters", "written"),
    [
        ("(s*i+d*k-p), k -> i", "s d p", "s·i+d·k−p"),
        ("b ((h-d*k+p)/s) o, k c o -> b h c", "s d p", "(h−d·k+p)/s"),
        ("(p) j -> j", "p", "p"),
        ("(2*k1*i+3*k) -> i", "k1", "2k1·i+3k"),
    ],
)
def test_symbolic_coefficients(text: str, parameters: str, written: str) -> None:
    spec = parse(text, parameters=parameters)
    check(spec)
    (axis,) = picture(spec).groups("cc-axis")
    assert words(axis, "cc-text") == [written]


@given(problem=st.one_of(problems(), windows()), reduce=st.sampled_from(REDUCTIONS))
def test_random_contractions(problem: Problem, reduce: str) -> None:
    check(parse(problem.spec, reduce))


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=5), min_size=2, max_size=7))
def test_random_networks(drawn: list[list[str]]) -> None:
    *inputs, output = [" ".join(names) for names in drawn]
    check(parse(f"{' , '.join(inputs)} -> {output}"))


def test_many_operands() -> None:
    check(parse(", ".join(["a b"] * 40) + " -> b"))


def test_a_line_between_two_axes_of_one_tensor_turns_round() -> None:
    for text, sign in (("i i ->", 1), ("-> i i", -1)):
        _, drawn = draw(text)
        (index,) = drawn.groups("cc-index")
        (line,) = of_kind(index, "cc-line")
        points = list(route(line))
        turn = max(points, key=lambda point: sign * point.y)
        assert turn.x == pytest.approx((points[0].x + points[-1].x) / 2, abs=0.5)


# --- reductions ------------------------------------------------------------------------------


def marks(text: str, reduce: str) -> dict[str, list[str]]:
    _, drawn = draw(text, reduce)
    groups = [*drawn.groups("cc-index"), *drawn.groups("cc-result")]
    found = {str(g.get("data-index") or g.get("data-name")): words(g, "cc-mark") for g in groups}
    return {name: texts for name, texts in found.items() if texts}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("b (2*i+k) (2*j+l) c -> b i j c", "k l"),  # where an index is reduced
        ("i, k -> (2*i+k)", "Y"),  # where products land on the same element
        ("i c, k c -> (2*i+k)", "c Y"),
        ("b h w -> (b h) (0)", "w"),  # no two products land on the same element
        ("... i -> i", "..."),
        ("i -> i", "Y"),  # nowhere else: the picture has to say it somewhere
    ],
)
def test_reduction_is_marked_where_it_happens(text: str, where: str) -> None:
    assert marks(text, "max") == {name: ["max"] for name in where.split()}
    assert marks(text, "sum") == {}


# --- names -----------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert('x')</script>",
    "a & b",
    "]]>",
    '"quoted" onload="x"',
    "\x00\x07\x1f\x7f",
    "\ud800",
    "\ufffe\uffff",
    "two\nlines\tand\ra tab",
    "--><!--",
    "\u202egnal",
    "",
    " ",
    "name" * 300,
    "张量张量张量张量",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name: str) -> None:
    text = diagram(parse("i (i+k), k -> i"), [name, "W"], name)
    drawn = Picture(ElementTree.fromstring(text.encode("utf-8")))
    tags = {element.tag.removeprefix(SVG) for element in drawn.root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "g", "rect", "path", "circle", "text"}
    check_room(drawn)
    assert drawn.frame.right < 600
    printable = not any(unicodedata.category(ch)[0] == "C" for ch in name)
    for group in (drawn.groups("cc-operand")[0], *drawn.groups("cc-result")):
        if printable:
            assert group.get("data-name") == name
            assert words(group, "cc-name") == [name] or len(name) in {0, 1200}
        else:
            assert "\ufffd" in words(group, "cc-name")[0]


def test_names_must_be_as_many_as_operands() -> None:
    with pytest.raises(ValueError, match="2 operands need as many names, not 1"):
        diagram(parse("i, i -> i"), ["X"], "Y")


# --- several on one page ---------------------------------------------------------------------


def test_style_is_scoped_and_nothing_is_referred_to() -> None:
    text = diagram(parse(SPECS[0]), ["X", "W"], "Y")
    rules = re.sub(r"@media[^{]*\{", "", style(ElementTree.fromstring(text)))
    rules = re.sub(r":is\([^)]*\) ", "", rules)  # the theme of what the picture stands in
    selectors = [part for group in re.findall(r"([^{}]+)\{", rules) for part in group.split(",")]
    assert len(selectors) > 10
    assert all(selector.strip().startswith(".cc-diagram") for selector in selectors)
    assert not re.search(r"\bid=|url\(|href|@import", text)


def test_dark_pages_have_other_colours() -> None:
    rules = style(ElementTree.fromstring(diagram(parse("i ->"), ["X"], "Y")))
    for variable in ("--cc-reduced", "--cc-window"):
        # By itself, where the reader prefers dark colours, in a dark theme and in a light one.
        light, preferred, dark, again = re.findall(rf"{variable}: (#\w+)", rules)
        assert light == again != preferred == dark
        assert f"var({variable})" in rules


_PRINT = """
from contractconv.display.diagram import diagram
from contractconv.notation.parser import parse
print(diagram(parse("b (2*i+k-1) c, k c o, ... -> b i o ..."), ["X", "W", "B"], "Y"))
"""


def test_the_same_contraction_gives_the_same_picture() -> None:
    seeds = ("0", "1", "2")
    texts = {
        subprocess.run(
            [sys.executable, "-c", _PRINT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in seeds
    }
    assert len(texts) == 1
    assert next(iter(texts)).startswith(b"<svg ")


# --- calm ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "i -> i",
        "b c h w -> b c h w",
        "i j, k l -> i j k l",
        "b (2*i+k) (2*j+l) c -> b i j c",
        "(h w) c -> h w c",
        "long_name another_name z -> long_name another_name z",
    ],
)
def test_lines_that_can_be_straight_are_straight(text: str) -> None:
    _, drawn = draw(text)
    for group in drawn.groups("cc-kept"):
        (line,) = of_kind(group, "cc-line")
        xs = [point.x for point in route(line)]
        assert max(xs) - min(xs) < 2.5, group.get("data-index")


@pytest.mark.parametrize(
    "text", ["b (2*i+k) (2*j+l) c -> b i j c", "(2*i+k) (2*i+l), k l -> (i+k) (k-l) l"]
)
def test_no_line_is_only_nearly_straight(text: str) -> None:
    drawn = picture(parse(text))
    for group in drawn.groups("cc-kept"):
        for line in of_kind(group, "cc-line"):
            xs = [point.x for point in route(line)]
            assert not 0.3 < max(xs) - min(xs) < 10, group.get("data-index")


def test_indices_stand_where_they_cross_least() -> None:
    _, drawn = draw("a b, b c, c d, d e -> a e")
    assert order_of(drawn) == ["a", "b", "c", "d", "e"]
    _, drawn = draw("b (2*i+k) (2*j+l) c -> b i j c")
    assert order_of(drawn) in (list("bkiljc"), list("bikljc"), list("bkijlc"), list("bikjlc"))


def crossings(order: Sequence[str], ports: Mapping[str, Sequence[Sequence[float]]]) -> int:
    return sum(
        x > y
        for a, b in combinations(order, 2)
        for side in (0, 1)
        for x in ports[a][side]
        for y in ports[b][side]
    )


@given(
    st.lists(st.tuples(*[st.lists(st.integers(0, 9), max_size=2)] * 2), min_size=1, max_size=5).map(
        lambda sides: dict(zip("abcde", sides, strict=False))
    )
)
def test_order_is_a_local_optimum(ports: dict[str, tuple[list[float], list[float]]]) -> None:
    order = fewest_crossings(ports)
    assert sorted(order) == sorted(ports)
    least = crossings(order, ports)
    for name in order:
        others = [other for other in order if other != name]
        for place in range(len(order)):
            moved = [*others[:place], name, *others[place:]]
            assert least <= crossings(moved, ports)


def test_order_finds_planar_networks() -> None:
    for names in permutations("abcd"):
        ports = {name: ([float(n)], [float(n)]) for n, name in enumerate(names)}
        assert fewest_crossings(ports) == list(names)


@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 9)), max_size=8))
def test_spread_is_the_nearest_that_keeps_the_distances(drawn: list[tuple[int, int]]) -> None:
    wanted, apart = [float(w) for w, _ in drawn], [float(d) for _, d in drawn][1:]
    places = spread(wanted, apart)
    gaps = [b - a - d for (a, b), d in zip(pairwise(places), apart, strict=True)]
    assert all(gap > -1e-9 for gap in gaps)
    # The multipliers of the constraints: never negative, zero where there is room.
    pull = 0.0
    for place, wish, gap in zip(places, wanted, [*gaps, 1.0], strict=False):
        pull += place - wish
        assert pull < 1e-6
        assert gap < 1e-6 or abs(pull) < 1e-6
