"""What plans say of a choice: all that was considered, in numbers that add up."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import pytest

import contractconv as cc
from contractconv.planning.choice import Candidate, too_inexact
from contractconv.planning.piece import Piece
from contractconv.planning.plan import Plan, Step, plan
from contractconv.planning.report import (
    multiplications,
    notes,
    quantity,
    report,
    summary,
    time,
    times_fewer,
)
from contractconv.planning.scatter_phases import windows
from contractconv.planning.setting import COMMON, FEW, Setting
from contractconv.tiles.tableau import IDENTITY

LAYER = "b (i+k-1) (j+l-1) c, k l c o -> b i j o"
SHAPES = [(2, 32, 32, 64), (3, 3, 64, 64)]
WEIGHT = "b i j o, b (i+k-1) (j+l-1) c -> k l c o"
AUTO = Setting("float32", "auto", COMMON)


def planned(spec: str, *shapes: tuple[int, ...], setting: Setting = AUTO, **extents: Any) -> Plan:
    """The plan on a machine like many."""
    return plan(cc.Contraction(spec).plan(*shapes, **extents).problem, setting)


def only_step(spec: str, *shapes: tuple[int, ...], setting: Setting = AUTO, **extents: Any) -> Step:
    (step,) = planned(spec, *shapes, setting=setting, **extents).steps
    return step


def said_of(step: Step, about: str) -> list[str]:
    return [note for topic, note in notes(step) if topic == about]


def test_a_choice_is_told_in_numbers() -> None:
    step = only_step(LAYER, *SHAPES)
    chosen = step.choice.chosen
    assert chosen.algorithm == "toom-cook"
    (predicted,) = said_of(step, "predicted")
    (error,) = said_of(step, "error")
    assert predicted.startswith(f"{time(chosen.seconds)}; ")
    assert f"typically {chosen.error:.1e}, at most {chosen.bound:.1e} of" in error
    assert chosen.error < chosen.bound
    rejected = said_of(step, "rejected")
    for other in step.choice.rejected:
        assert other.seconds >= chosen.seconds
        assert f"{other.name}: {time(other.seconds)}" in rejected


def test_what_is_fast_but_inexact_is_told() -> None:
    step = only_step(LAYER, *SHAPES)
    better = too_inexact(step.problem, AUTO)
    assert better is not None
    chosen = step.choice.chosen
    assert better.seconds < chosen.seconds
    assert better.error > chosen.error
    assert said_of(step, "rejected")[-1] == (
        f"{better.name}: {time(better.seconds)}, but an error of typically {better.error:.1e}"
    )


@pytest.mark.parametrize("algorithm", ["toom-cook", "fft"])
@pytest.mark.parametrize("measured", [False, True])
def test_what_was_asked_for_or_measured_stands_instead_of_others(
    algorithm: str, measured: bool
) -> None:
    setting = Setting("float32", algorithm, COMMON, measured)
    step = only_step(LAYER, *SHAPES, setting=setting)
    about = {topic for topic, _ in notes(step)}
    assert step.choice.chosen.algorithm == algorithm
    assert "instead of" in about
    if not measured:
        assert too_inexact(step.problem, setting) is None
        assert "rejected" not in about


@pytest.mark.parametrize(
    ("spec", "shapes", "setting"),
    [
        ("i j, j k -> i k", [(200, 200), (200, 200)], AUTO),
        ("b (i+k) c, k c o -> b i o", [(2, 9, 3), (3, 3, 4)], AUTO),
        ("b (i+k) c -> b c", [(64, 99, 64)], AUTO),
        (LAYER, SHAPES, replace(AUTO, algorithm="direct")),
        (LAYER, SHAPES, replace(AUTO, dtype="int64")),
    ],
)
def test_nothing_is_said_where_nothing_was_chosen(
    spec: str, shapes: list[tuple[int, ...]], setting: Setting
) -> None:
    extents = {"k": 3} if len(shapes) == 1 else {}
    for step in planned(spec, *shapes, setting=setting, **extents).steps:
        assert list(notes(step)) == []


def test_few_points_are_no_choice_and_many_are() -> None:
    few = only_step("b (i+k), k -> b i", (1, 130), (3,))
    many = only_step("b (i+k), k -> b i", (1000, 130), (3,))
    assert few.problem.points < FEW <= many.problem.points
    assert not list(notes(few))
    assert list(notes(many))


def products_by_hand(step: Step) -> int:
    """Every product of every tile, counted one by one along the axes of windows."""
    total = 0
    for piece in step.choice.chosen.pieces:
        extents = dict(piece.problem.sizes)
        if piece.algorithm == "toom-cook":
            for window, outputs in zip(piece.windows, piece.outputs, strict=True):
                taps, results = extents.pop(window.tap), extents[window.result]
                starts = range(0, results, outputs)
                extents[window.result] = sum(outputs + taps - 1 for _ in starts)
        total += prod(extents.values())
    return total


@pytest.mark.parametrize(
    ("spec", "shapes"),
    [
        (LAYER, SHAPES),
        (LAYER, [(2, 31, 29, 64), (3, 3, 64, 64)]),
        ("b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o", [(2, 32, 32, 64), (5, 5, 64, 64)]),
        ("b i j o, k l c o -> b (2*i+k-1) (2*j+l-1) c", [(2, 17, 17, 64), (5, 5, 64, 64)]),
        (WEIGHT, [(2, 32, 32, 64), (2, 32, 32, 64)]),
    ],
)
def test_multiplications_are_those_of_all_tiles(spec: str, shapes: list[tuple[int, ...]]) -> None:
    extents = {"k": 3, "l": 3} if spec == WEIGHT else {}
    step = only_step(spec, *shapes, setting=replace(AUTO, algorithm="toom-cook"), **extents)
    assert multiplications(step.choice.chosen) == products_by_hand(step)
    factor = times_fewer(step)
    assert factor is not None
    assert factor > 1
    assert f"; {factor:.1f} times fewer multiplications" in said_of(step, "predicted")[0]


def test_tiles_that_fit_save_what_their_sizes_say() -> None:
    problem = cc.Contraction(LAYER).plan((1, 24, 24, 16), (3, 3, 16, 16)).problem
    piece = Piece(problem, "toom-cook", windows(problem), (4, 4))
    tiles = Candidate("toom-cook", (piece,), 0.0, 0.0, 0.0)
    assert multiplications(tiles) * 4 == problem.points


def test_a_plan_names_its_tiles_and_shows_them_on_request() -> None:
    made = planned(LAYER, *SHAPES)
    assert len(set(made.tiles)) == len(made.tiles) > 0
    pieces = [piece for step in made.steps for piece in step.choice.chosen.pieces]
    used = {tile for piece in pieces for tile in piece.decompositions}
    assert set(made.tiles) == {tile for tile in used if tile.outputs > 1}
    assert str(made) == report(made)
    names = ", ".join(tile.name for tile in made.tiles)
    assert str(made) == f"{summary(made)}\n  tiles: {names}; see plan.tiles"
    assert str(made.tiles) == "\n".join([IDENTITY["text"], *map(str, made.tiles)])
    assert planned("i j, j k -> i k", (200, 200), (200, 200)).tiles == ()
    assert str(planned("i j, j k -> i k", (200, 200), (200, 200)).tiles) == "no tiles"


def test_names_of_many_tiles_name_the_algorithm_once() -> None:
    strided = "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o"
    setting = Setting("float32", "toom-cook", COMMON)
    name = only_step(strided, (2, 32, 32, 64), (3, 3, 64, 64), setting=setting).lowering
    assert name.count("Toom-Cook") == 1
    tiles, rest = name.rsplit(" and ", 1)
    assert "(" in tiles
    assert rest.startswith("matmul (")
    assert "1 taps" not in name


@pytest.mark.parametrize(
    ("seconds", "said"), [(2.5, "2.5 s"), (0.0361, "36.1 ms"), (4.2e-5, "42 µs"), (3e-8, "0.03 µs")]
)
def test_times_have_a_unit_that_fits(seconds: float, said: str) -> None:
    assert time(seconds) == said


def test_counts_are_written_out_while_they_are_short() -> None:
    assert [quantity(99_999), quantity(1_850_000_000)] == ["99,999", "1.85e+09"]
