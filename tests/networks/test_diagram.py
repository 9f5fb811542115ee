"""Pictures of networks: everything is there, nothing overlaps, no line runs through a box."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from architectures import alexnet, attending, inception, lenet, mobilenet_v2, resnet50, unet

import contractconv as cc

Rect = tuple[float, float, float, float]
Shapes = tuple[tuple[int, ...], ...]

NETWORKS: dict[str, tuple[Callable[[], cc.Network], Shapes]] = {
    "lenet": (lenet, ((1, 28, 28, 1),)),
    "alexnet": (alexnet, ((1, 224, 224, 3),)),
    "resnet50": (resnet50, ((1, 64, 64, 3),)),
    "mobilenet": (mobilenet_v2, ((1, 32, 32, 3),)),
    "unet": (lambda: unet(3, (16, 4)), ((1, 44, 44, 1),)),
    "inception": (inception, ((1, 8, 8, 3),)),
    "attending": (attending, ((2, 5, 4), (2, 7, 4))),
}
SVG = "{http://www.w3.org/2000/svg}"


def drawn(name: str) -> ElementTree.Element:
    make, shapes = NETWORKS[name]
    return ElementTree.fromstring(make().diagram(*shapes).svg)


def boxes(root: ElementTree.Element) -> dict[str, list[Rect]]:
    found: dict[str, list[Rect]] = {}
    for group in root.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        if rect is not None:
            x, y, width, height = (float(rect.get(k, "")) for k in ("x", "y", "width", "height"))
            found.setdefault(group.get("data-name", ""), []).append((x, y, x + width, y + height))
    return found


def corners(route: str) -> Iterator[tuple[float, float]]:
    x = y = 0.0
    for command, numbers in re.findall("([MHVL])([-0-9. ]+)", route):
        values = [float(n) for n in numbers.split()]
        if command in "ML":
            x, y = values[:2]
        else:
            x, y = (values[0], y) if command == "H" else (x, values[0])
        yield x, y


def lines(root: ElementTree.Element) -> list[list[tuple[float, float]]]:
    groups = [g for g in root.iter(f"{SVG}g") if g.get("class") in ("cc-branch", "cc-spine")]
    paths = (path for group in groups for path in group.findall(f"{SVG}path[@class='cc-line']"))
    return [list(corners(path.get("d", ""))) for path in paths]


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_overlaps(name: str) -> None:
    root = drawn(name)
    everything = [rect for rects in boxes(root).values() for rect in rects]
    width, height = (float(root.get(k, "")) for k in ("width", "height"))
    assert all(a > 0 and b > 0 and c < width and d < height for a, b, c, d in everything)
    for (a, b, c, d), (e, f, g, h) in combinations(everything, 2):
        assert c <= e or g <= a or d <= f or h <= b


@pytest.mark.parametrize("name", NETWORKS)
def test_no_line_runs_through_a_box(name: str) -> None:
    root = drawn(name)
    everything = [rect for rects in boxes(root).values() for rect in rects]
    for (x0, y0), (x1, y1) in (pair for line in lines(root) for pair in pairwise(line)):
        (left, right), (top, bottom) = sorted((x0, x1)), sorted((y0, y1))
        for a, b, c, d in everything:
            outside = right <= a + 1 or c - 1 <= left or bottom <= b + 1 or d - 1 <= top
            assert outside, (name, (x0, y0, x1, y1), (a, b, c, d))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_part_is_there_and_every_line_ends_in_an_arrow(name: str) -> None:
    make, shapes = NETWORKS[name]
    root = drawn(name)
    found = boxes(root)
    for call in make().traced(*shapes).calls:
        assert ".".join(call.path) in found
    heads = [path for path in root.iter(f"{SVG}path") if path.get("class") == "cc-head"]
    assert len(heads) == len(lines(root))
    assert len(root.findall(f".//{SVG}g[@class]/{SVG}rect/..")) == sum(map(len, found.values()))


def test_what_is_written() -> None:
    root = drawn("lenet")
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts[:6] == [
        "x", "1×28×28×1",
        "layer_1", "1×28×28×6", "b (i+k-2) (j+l-2) c, k l c o -> b i j o + bias, relu",
        "156 parameters",
    ]  # fmt: skip
    (last,) = root.findall(f".//{SVG}g[@class='cc-part cc-output']")
    assert last.get("data-name") == "dense_3"


def test_skips_are_nested_and_joined() -> None:
    """Each of a U-Net's skips runs at the right of the shorter one, into a concatenation."""
    root = drawn("unet")
    branches = root.findall(f".//{SVG}g[@class='cc-branch']")
    lanes = [max(x for x, _ in corners(b.find(f"{SVG}path").get("d"))) for b in branches]  # type: ignore[union-attr,arg-type]
    assert len(lanes) == 2
    assert lanes[0] != lanes[1]
    signs = [text.text for text in root.iterfind(f".//{SVG}g[@class='cc-joint']/{SVG}text")]
    assert signs == ["concat", "concat"]


def test_sums_of_residual_blocks() -> None:
    root = drawn("resnet50")
    signs = [text.text for text in root.iterfind(f".//{SVG}g[@class='cc-joint']/{SVG}text")]
    assert signs.count("+ relu") == 3 + 4 + 6 + 3
    assert sum("shortcut.conv_1" in name for name in boxes(root)) == 4


def test_constants_are_no_lines() -> None:
    """Both normalisations have the same number in them; nothing flows from one to the other."""
    net = cc.Network([cc.layers.BatchNorm(), cc.layers.Conv(4, 1), cc.layers.BatchNorm()])
    root = ElementTree.fromstring(net.diagram((2, 5, 5, 4)).svg)
    assert len(lines(root)) == 3


def test_what_nothing_depends_on_is_left_out() -> None:
    idle = cc.layers.Dense(7, name="idle")

    def forward(x: cc.Tensor) -> cc.Tensor:
        idle(x)
        return cc.layers.Dense(3, name="last")(x)

    found = boxes(ElementTree.fromstring(cc.Network(forward).diagram((2, 5)).svg))
    assert list(found) == ["x", "last"]


def test_pictures_are_saved(tmp_path: Path) -> None:
    shown = lenet().diagram((1, 28, 28, 1))
    shown.save(tmp_path / "lenet.svg")
    assert (tmp_path / "lenet.svg").read_text(encoding="utf-8") == str(shown)
    assert shown.svg in shown._repr_html_()
    assert repr(shown) == "<diagram of the network lenet>"
