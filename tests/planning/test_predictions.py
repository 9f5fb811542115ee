"""What is predicted for algorithms counts what they really do."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Problem
from contractconv.planning import predictions
from contractconv.planning.piece import Piece
from contractconv.planning.scatter_phases import windows
from contractconv.planning.setting import COMMON, Setting

COMPILED = Setting("float32", "auto", COMMON)
NUMPY = Setting("float32", "auto", replace(COMMON, compiled=False))


def problem_of(spec: str, *shapes: tuple[int, ...], **extents: int) -> Problem:
    return resolve(parse(spec), shapes, extents)


def tiles_of(problem: Problem, *outputs: int) -> Piece:
    return Piece(problem, "toom-cook", windows(problem), outputs)


@given(
    st.sampled_from([-3, -2, -1, 1, 2, 3]), st.sampled_from([-2, -1, 1, 2, 3]),
    st.integers(-6, 12), st.integers(2, 5), st.integers(2, 9), st.integers(1, 12),
)  # fmt: skip
def test_points_that_read_padding_are_left_out(
    step: int, dilation: int, offset: int, taps: int, results: int, size: int
) -> None:
    spec = f"({step}*i{dilation:+}*k{offset:+}), k -> i"
    problem = problem_of(spec, (size,), (taps,), i=results)
    places = [step * i + dilation * k + offset for i, k in product(range(results), range(taps))]
    inside = sum(0 <= place < size for place in places) / len(places)
    assert predictions._inside(problem) == pytest.approx(inside)


@pytest.mark.parametrize("long", [10**4, 10**12])
def test_of_long_indices_not_all_values_are_tried(long: int) -> None:
    problem = problem_of("(i+k), k -> i", (long,), (long,), i=long)
    assert predictions._inside(problem) == pytest.approx(0.5, abs=1e-3)


def test_a_layer_without_padding_has_all_its_points() -> None:
    problem = problem_of("b (2*i+k) c, k c o -> b i o", (2, 9, 3), (3, 3, 4))
    assert predictions._inside(problem) == 1


@pytest.mark.parametrize(("step", "met"), [(1, 12), (2, 6), (5, 3)])
def test_what_lies_in_between_is_not_read(step: int, met: int) -> None:
    leaf = problem_of(f"b ({step}*i) c, c o -> b i o", (2, 12, 4), (4, 5))
    assert predictions._numbers(leaf) == [2 * met * 4, 4 * 5, 2 * met * 5]


def test_windows_that_overlap_read_no_number_twice() -> None:
    leaf = problem_of("b (i+k) c, k c o -> b i o", (2, 12, 4), (3, 4, 5))
    assert predictions._numbers(leaf) == [2 * 12 * 4, 3 * 4 * 5, 2 * 10 * 5]


def test_memory_is_no_faster_for_longer_vectors() -> None:
    """Of arrays beyond the cache lines come one by one, and products are told by their rate."""
    leaf = problem_of("i k, k j -> i j", (1 << 13, 512), (512, 16))
    longer, shorter = (
        predictions.seconds_of_sums(Piece(leaf), replace(COMPILED, machine=machine))
        for machine in (COMMON, replace(COMMON, vector=8))
    )
    assert longer == pytest.approx(shorter)


def test_few_channels_make_tiles_slow_and_padding_makes_sums_quick() -> None:
    """Vectors of which only some lanes count, and zeros that are not multiplied."""
    stem = problem_of("b (i+k-3) (j+l-3) c, k l c o -> b i j o", (8, 64, 64, 3), (7, 7, 3, 64))
    full = problem_of("b (i+k-3) (j+l-3) c, k l c o -> b i j o", (8, 64, 64, 16), (7, 7, 16, 64))
    per_channel = [
        predictions.seconds_of_tiles(tiles_of(p, 4, 4), COMPILED) / channels
        for p, channels in ((stem, 3), (full, 16))
    ]
    assert per_channel[0] > 2 * per_channel[1]
    near, wide = (
        problem_of(f"b (i+k-{n}) (j+l-{n}) c, k l c o -> b i j o", (4, 64, 64, 3), (7, 7, 3, 64))
        for n in (3, 6)
    )
    assert wide.points > near.points
    per_point = [predictions.seconds_of_sums(Piece(p), COMPILED) / p.points for p in (wide, near)]
    assert per_point[0] < per_point[1]


def test_numpy_pays_for_numbers_that_lie_apart() -> None:
    near = problem_of("b (i+k) c, k c o -> b i o", (8, 65, 64), (2, 64, 64))
    apart = problem_of("b (2*i+2*k) c, k c o -> b i o", (8, 129, 64), (2, 64, 64))
    assert near.points == apart.points
    seconds = {
        setting.machine.compiled: [
            predictions.seconds_of_tiles(tiles_of(p, 4), setting) for p in (near, apart)
        ]
        for setting in (COMPILED, NUMPY)
    }
    assert seconds[True][0] == seconds[True][1]
    assert seconds[False][0] < seconds[False][1]
