"""Decompositions as they are written: what is read is what they are."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
import sympy
from browser import assert_closed

import contractconv as cc
from contractconv import cache
from contractconv.calculus import decompositions
from contractconv.calculus.bilinear import Bilinear, direct, fourier, toom_cook
from contractconv.calculus.decompositions import decomposition
from contractconv.calculus.tableau import IDENTITY

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
    for index, matrix in zip("yik", (tile.A, tile.B, tile.C), strict=True):
        assert sympy.Matrix([[sympy.Rational(x) for x in row] for row in found[index]]) == matrix
    points = re.findall(r"^  point (.*)$", str(tile), re.MULTILINE)
    read = " ".join(points).replace("∞", "oo").split()
    assert tuple(map(sympy.sympify, read)) == tile.points


@every_size
def test_a_derived_decomposition_and_a_kept_one_read_the_same(outputs: int, taps: int) -> None:
    assert str(decomposition(outputs, taps)) == str(toom_cook(outputs, taps))


@every_size
def test_a_table_is_no_wider_than_a_page(outputs: int, taps: int) -> None:
    lines = str(toom_cook(outputs, taps)).splitlines()
    assert max(map(len, lines)) <= 90
    assert all(line == line.rstrip() for line in lines)


def test_a_wide_table_stands_in_parts() -> None:
    assert str(toom_cook(8, 3)).count("point") > 1
    assert str(toom_cook(6, 3)).count("point") == 1


@pytest.mark.parametrize("tile", [direct(3), fourier(2, 2), toom_cook(4, 3)], ids=lambda t: t.name)
def test_a_decomposition_shows_itself_everywhere(tile: Bilinear) -> None:
    assert repr(tile) == str(tile)
    assert str(tile).startswith(tile.name)
    assert tile._repr_latex_() == f"${tile.latex()}$"
    assert tile.latex().count(r"\begin{bmatrix}") == 3
    assert tile.latex().count("{") == tile.latex().count("}")
    seen = assert_closed(tile._repr_html_())
    assert seen.count("math") == 4
    assert seen.count("mtd") == (tile.A.rows + tile.B.rows + tile.C.rows) * tile.products


def test_numbers_are_exact_in_every_script() -> None:
    tile = toom_cook(2, 3)
    third = (
        r"C = \begin{bmatrix} 1 & \frac{1}{2} & \frac{1}{2} & 0 \\ 0 & \frac{1}{2} & -\frac{1}{2}"
    )
    assert third in tile.latex()
    assert "<mo>−</mo><mfrac><mn>1</mn><mn>2</mn></mfrac>" in tile.mathml()
    assert tile.latex().startswith(IDENTITY["latex"])


# --- what is kept -----------------------------------------------------------------------------


@pytest.mark.parametrize("changed", ["bilinear", "conditioning"])
def test_what_other_sources_derived_is_not_read(
    changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = decompositions._fingerprint.__wrapped__
    ordinary = cache._source
    before = fingerprint()
    assert fingerprint() == before

    def with_better_points(module: str) -> bytes:
        return ordinary(module) + b"# better points\n" * module.endswith(f".{changed}")

    monkeypatch.setattr(cache, "_source", with_better_points)
    assert fingerprint() != before


def test_kept_files_are_called_by_their_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRACTCONV_CACHE", str(tmp_path))
    derive = decomposition.__wrapped__
    for sources in ("one", "another"):
        monkeypatch.setattr(decompositions, "_fingerprint", lambda name=sources: name)
        derive(2, 3)
    kept = {file.name for file in tmp_path.iterdir()}
    assert kept == {"toom-cook-2-3-one.json", "toom-cook-2-3-another.json"}


# --- the public way ---------------------------------------------------------------------------


def test_a_tile_is_asked_for_by_its_sizes() -> None:
    assert cc.toom_cook(4, 3) is toom_cook(4, 3)
    cc.toom_cook(4, 3).verify()


@pytest.mark.parametrize(
    "sizes",
    [(0, 3), (2, 0), (-1, 3), (2.0, 3), ("2", 3), (None, 3), (True, 3), (2, True), ([], 3)],
)
def test_a_tile_without_sizes_is_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(cc.ShapeError):
        cc.toom_cook(*sizes)
