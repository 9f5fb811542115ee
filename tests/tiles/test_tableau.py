"""Decompositions as they are written: what is read is what they are."""

from __future__ import annotations

import re
from fractions import Fraction
from math import inf

import pytest
from browser import assert_closed

from contractconv.tiles.decomposition import Decomposition, direct, toom_cook
from contractconv.tiles.tableau import IDENTITY

SIZES = [(2, 3), (4, 3), (6, 3), (8, 3), (7, 2), (4, 5), (3, 1)]
every_size = pytest.mark.parametrize(("outputs", "taps"), SIZES)

F23 = """\
F(2, 3): 4 products instead of 6
  point    0    1    -1   ∞
  A  y=0   1    0     0   0
     y=1   0    1    -1  -1
     y=2  -1    1     1   0
     y=3   0    0     0   1
  B  i=0   1    1     1   0
     i=1   0    1    -1   1
  C  k=0   1  1/2   1/2   0
     k=1   0  1/2  -1/2   0
     k=2   0  1/2   1/2   1"""


def factors_in(text: str) -> dict[str, list[list[Fraction]]]:
    """Read the factors in a table, whose parts may stand below each other."""
    found: dict[str, list[list[Fraction]]] = {index: [] for index in "yik"}
    for index, number, cells in re.findall(r"([yik])=(\d+) (.*)", text):
        rows = found[index]
        if int(number) == len(rows):
            rows.append([])
        rows[int(number)] += map(Fraction, cells.split())
    return found


def test_a_table_word_by_word() -> None:
    assert str(toom_cook(2, 3)) == F23


@every_size
def test_a_table_holds_the_decomposition(outputs: int, taps: int) -> None:
    tile = toom_cook(outputs, taps)
    found = factors_in(str(tile))
    for index, matrix in zip("yik", (tile.a, tile.b, tile.c), strict=True):
        assert tuple(map(tuple, found[index])) == matrix
    points = re.findall(r"^  point (.*)$", str(tile), re.MULTILINE)
    read = " ".join(points).split()
    assert tuple(inf if cell == "∞" else Fraction(cell) for cell in read) == tile.points


@every_size
def test_a_table_is_no_wider_than_a_page(outputs: int, taps: int) -> None:
    lines = str(toom_cook(outputs, taps)).splitlines()
    assert max(map(len, lines)) <= 90
    assert all(line == line.rstrip() for line in lines)


def test_a_wide_table_stands_in_parts() -> None:
    assert str(toom_cook(8, 3)).count("point") > 1
    assert str(toom_cook(6, 3)).count("point") == 1


@pytest.mark.parametrize("tile", [direct(3), toom_cook(4, 3)], ids=lambda t: t.name)
def test_a_decomposition_shows_itself_everywhere(tile: Decomposition) -> None:
    assert repr(tile) == str(tile)
    assert str(tile).startswith(tile.name)
    assert tile._repr_latex_() == f"${tile.latex()}$"
    assert tile.latex().count(r"\begin{bmatrix}") == 3
    assert tile.latex().count("{") == tile.latex().count("}")
    seen = assert_closed(tile._repr_html_())
    assert seen.count("math") == 4
    assert seen.count("mtd") == (len(tile.a) + len(tile.b) + len(tile.c)) * tile.products


def test_numbers_are_exact_in_every_script() -> None:
    tile = toom_cook(2, 3)
    third = (
        r"C = \begin{bmatrix} 1 & \frac{1}{2} & \frac{1}{2} & 0 \\ 0 & \frac{1}{2} & -\frac{1}{2}"
    )
    assert third in tile.latex()
    assert "<mo>−</mo><mfrac><mn>1</mn><mn>2</mn></mfrac>" in tile.mathml()
    assert tile.latex().startswith(IDENTITY["latex"])
