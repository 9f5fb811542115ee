"""Decompositions: the identity in exact fractions, and all that follows from it."""

from __future__ import annotations

import itertools
import math
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from windowsums import (
    FACTORS,
    MEASURED,
    ROLES,
    Array,
    Tiles,
    by_algorithm,
    by_definition,
    entries,
    sizes,
)

from contractconv.errors import CertificateError, ContractionError, ShapeError
from contractconv.tiles.decomposition import Decomposition, decomposition, direct, toom_cook


def integers(shape: Sequence[int], seed: int) -> Array:
    """Whole numbers as Python's own, which never overflow."""
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(object)


def check_exact(tiles: Tiles) -> None:
    for role in ROLES:
        first = integers((2, *sizes(tiles, FACTORS[role][1])), 1)
        second = integers((2, *sizes(tiles, FACTORS[role][2])), 2)
        found = by_algorithm(tiles, role, first, second)
        assert (found == by_definition(tiles, role, first, second)).all()


def faulty(
    tile: Decomposition, which: str, place: tuple[int, int], change: Fraction
) -> Decomposition:
    rows = [list(row) for row in tile.exact(which)]
    rows[place[0]][place[1]] += change
    changed: dict[str, Any] = {which.lower(): tuple(map(tuple, rows))}
    return replace(tile, **changed)


# --- the identity ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "taps"), [(m, n + 1 - m) for n in range(1, 15) for m in range(1, n + 1)]
)
def test_the_window_is_decomposed(outputs: int, taps: int) -> None:
    """Every ``F(m, r)`` of at most 14 products, against the tensor entry by entry."""
    tile = toom_cook(outputs, taps)
    assert (tile.products, tile.span, len(set(tile.nodes))) == (outputs + taps - 1,) * 3
    A, B, C = (entries(tile, which, "object") for which in "ABC")
    total = (A[:, None, None] * B[:, None] * C).sum(-1)
    y, i, k = np.indices(total.shape)
    assert total.shape == (tile.span, outputs, taps)
    assert (total == (y == i + k)).all()
    tile.verify()


@pytest.mark.parametrize("taps", range(1, 6))
def test_the_definition_decomposes_the_window(taps: int) -> None:
    assert direct(taps).residue() == 0
    assert direct(taps).products == taps
    assert direct(taps).points == ()


@pytest.mark.parametrize("tile", [toom_cook(3, 3), direct(3)])
@pytest.mark.parametrize("which", "ABC")
def test_one_wrong_entry_is_caught(tile: Decomposition, which: str) -> None:
    # So small that no floating-point number of the size of the entry would show it.
    change = Fraction(1, 10**30)
    rows = tile.exact(which)
    for place in itertools.product(range(len(rows)), range(tile.products)):
        wrong = faulty(tile, which, place, change)
        assert 0 < wrong.residue() < 10 * change
        with pytest.raises(CertificateError, match="does not decompose the window"):
            wrong.verify()


def test_the_first_wrong_entry_is_named() -> None:
    wrong = faulty(toom_cook(2, 3), "A", (1, 1), Fraction(1, 7))
    assert wrong.residue() == Fraction(1, 14)
    with pytest.raises(CertificateError) as caught:
        wrong.verify()
    message = "F(2, 3) does not decompose the window: at y=1, i=0, k=0 it has 1/14 where 0 belongs"
    assert str(caught.value) == message


# --- the three contractions ------------------------------------------------------------------


@pytest.mark.parametrize(("outputs", "taps"), [*MEASURED, (1, 1), (1, 4), (5, 1), (7, 5)])
def test_result_and_gradients_in_one_dimension(outputs: int, taps: int) -> None:
    check_exact([toom_cook(outputs, taps)])


@pytest.mark.parametrize(
    "tiles",
    [
        [toom_cook(2, 3), toom_cook(2, 3)],
        [toom_cook(4, 3), toom_cook(2, 5)],
        [direct(3), toom_cook(4, 3)],
        [toom_cook(3, 2), direct(2)],
        [direct(2), direct(3)],
        [toom_cook(2, 2), direct(2), toom_cook(1, 2)],
    ],
    ids=lambda tiles: " ".join(tile.name for tile in tiles),
)
def test_result_and_gradients_nested(tiles: Tiles) -> None:
    check_exact(tiles)


# --- scales ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("outputs", "taps"), [*MEASURED, (8, 7)])
def test_columns_are_balanced(outputs: int, taps: int) -> None:
    tile = toom_cook(outputs, taps)
    lengths = [np.linalg.norm(entries(tile, which, "float64"), axis=0) for which in "ABC"]
    assert (np.max(lengths, 0) <= 4 * np.min(lengths, 0)).all()


@pytest.mark.parametrize(("outputs", "taps"), [*MEASURED, (5, 3), (8, 7)])
def test_data_and_results_have_binary_factors(outputs: int, taps: int) -> None:
    for which in "AB":
        for entry in entries(toom_cook(outputs, taps), which, "object").flat:
            assert entry.denominator.bit_count() == 1


@pytest.mark.parametrize(("outputs", "taps"), [*MEASURED, (5, 3)])
def test_opposite_points_share_even_and_odd_parts(outputs: int, taps: int) -> None:
    tile = toom_cook(outputs, taps)
    assert len(tile.points) > 2
    for place, point in enumerate(tile.points):
        if point not in (0, math.inf):
            opposite = tile.points.index(-point)
            for which in "ABC":
                left, right = entries(tile, which, "object")[:, [place, opposite]].T
                alternating = left * [(-1) ** row for row in range(len(left))]
                assert (right == alternating).all() or (right == -alternating).all()


# --- values ----------------------------------------------------------------------------------


def test_names_and_savings() -> None:
    tiles = toom_cook(4, 3), toom_cook(1, 3), direct(3), direct(1)
    assert [tile.name for tile in tiles] == ["F(4, 3)", "F(1, 3)", "3 taps", "1 tap"]
    assert [tile.savings for tile in tiles] == [2, 1, 1, 1]


def test_floats_are_nearest() -> None:
    tile = toom_cook(6, 5)
    for which in "ABC":
        for row, exact in zip(tile.floats(which), entries(tile, which, "object"), strict=True):
            assert list(row) == [float(value) for value in exact]
            assert all(type(value) is float for value in row)


@pytest.mark.parametrize("make", [toom_cook, decomposition])
def test_derived_once_and_always_alike(make: Any) -> None:
    assert make(3, 2) is make(3, 2)
    assert make.__wrapped__(3, 2) == make(3, 2)
    assert hash(make.__wrapped__(3, 2)) == hash(make(3, 2))
    assert make(3, 2) != make(2, 3)


def test_alike_in_another_process() -> None:
    code = (
        "from contractconv.tiles.decomposition import toom_cook; "
        "print(*(repr(toom_cook(m, r)) for m, r in [(4, 3), (7, 3), (3, 3)]))"
    )
    environment = {"PYTHONHASHSEED": "12345", "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    expected = [repr(toom_cook(m, r)) for m, r in [(4, 3), (7, 3), (3, 3)]]
    assert run.stdout.strip() == " ".join(expected)


@pytest.mark.parametrize("tile", [toom_cook(4, 3), direct(2)])
def test_pickles(tile: Decomposition) -> None:
    copy = pickle.loads(pickle.dumps(tile))
    assert copy == tile
    assert hash(copy) == hash(tile)


@pytest.mark.parametrize("make", [toom_cook, decomposition])
@pytest.mark.parametrize(("outputs", "taps"), [(0, 0), (3, 0), (1, -1)])
def test_no_tile_without_taps(make: Any, outputs: int, taps: int) -> None:
    with pytest.raises(ShapeError, match=f"window with {taps} taps"):
        make(outputs, taps)


@pytest.mark.parametrize("outputs", [0, -1])
def test_no_tile_without_results(outputs: int) -> None:
    with pytest.raises(ShapeError, match=f"{outputs} results of a window with 3 taps"):
        toom_cook(outputs, 3)


def test_no_window_without_taps() -> None:
    with pytest.raises(ContractionError, match="0 taps"):
        direct(0)


# --- what it takes ---------------------------------------------------------------------------

HEAVY = ("numpy", "sympy", "opt_einsum")
REPORT = f"import sys; print(*(m for m in {HEAVY!r} if m in sys.modules))"
WHOLE_ROOM = (
    "from contractconv.tiles import decomposition, points, rounding, tableau; "
    "tile = decomposition.decomposition(4, 3); "
    "str(tile), tile._repr_html_(), tile.latex(), rounding.growth(tile, 'result', 2**-24)"
)


def loaded_by(statement: str) -> list[str]:
    command = [sys.executable, "-c", f"{statement}; {REPORT}"]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return run.stdout.split()


def test_the_room_needs_neither_arrays_nor_formulas() -> None:
    assert loaded_by(WHOLE_ROOM) == []


def test_an_array_or_a_formula_would_be_noticed() -> None:
    assert loaded_by(f"{WHOLE_ROOM}; import numpy, sympy") == ["numpy", "sympy"]


def test_a_layer_is_run_by_tiles_without_sympy() -> None:
    layer = (
        "import numpy as np, contractconv as cc; "
        "run = cc.Contraction('(i+k) c, k c o -> i o').compile((32, 4), (3, 4, 4), "
        "algorithm='toom-cook'); run(np.ones((32, 4)), np.ones((3, 4, 4))); "
        "assert 'F(' in str(run.plan)"
    )
    assert "sympy" not in loaded_by(layer)
