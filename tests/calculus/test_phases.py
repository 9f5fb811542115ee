"""Phases: together they are the gradient, and no division is left in any of them."""

from __future__ import annotations

import doctest
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import evaluate, plain_index
from strategies import Array, Problem, filled, problems, seeds, windows

import contractconv as cc
from contractconv import Reduction
from contractconv.calculus import gather_phases as phases_module
from contractconv.calculus import lattice
from contractconv.calculus.gather_phases import MOST_PHASES, Phase, phases
from contractconv.calculus.lattice import Congruence, Lattice, independent, solve
from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.parser import parse
from contractconv.notation.spec import Composition, Spec

Sizes = Mapping[str, int]
Point = Mapping[str, int]
Draw = Callable[[st.SearchStrategy[Any]], Any]

UP_TO_FOUR = range(1, 5)
LIMITS = np.iinfo(np.int64)
# How results of phases combine, and what an element without a point holds.
COMBINE: dict[str, tuple[Any, int]] = {
    "sum": (np.add, 0),
    "prod": (np.multiply, 1),
    "max": (np.maximum, LIMITS.min),
    "min": (np.minimum, LIMITS.max),
}


# --- asking both sides -----------------------------------------------------------------------


def split(spec: object, reduce: Reduction = "sum") -> tuple[Phase, ...]:
    return phases(parse(str(spec), reduce))


def integers(shape: Sequence[int], seed: int) -> Array:
    return filled(tuple(shape), seed, 4, "int64")


def together(
    found: Sequence[Phase],
    operands: Sequence[Array],
    sizes: Sizes,
    shape: Sequence[int],
    reduce: Reduction = "sum",
) -> Array:
    """The results of all phases, combined."""
    combine, identity = COMBINE[reduce]
    total: Array = np.full(shape, identity, np.int64)
    for phase in found:
        assert not divided(phase.spec)
        contraction = cc.Contraction(str(phase), reduce)
        extents: dict[str, Any] = phase.extents(sizes)
        part = contraction(*operands, output_shape=shape, **extents)
        total = combine(total, part)
    return total


def check_gradient(forward: str, shapes: Sequence[Sequence[int]], **given: Any) -> int:
    """Compare phases, gather and gradient by operand 0; return the number of phases."""
    c = cc.Contraction(forward)
    operands = [integers(shape, place) for place, shape in enumerate(shapes, start=1)]
    cotangent = integers(c.output_shape(*shapes, **given), 9)
    gather = c.grad(0).gather
    factors = [cotangent, *operands[1:]]
    extents = c.extents(*shapes, **given)
    known: dict[str, Any] = {n: extents[n] for n in extents if n in gather.indices}
    sizes = gather.extents(*(f.shape for f in factors), output_shape=shapes[0], **known)
    found = split(gather)
    result = together(found, factors, sizes, shapes[0])
    np.testing.assert_array_equal(result, gather(*factors, output_shape=shapes[0], **known))
    np.testing.assert_array_equal(result, c.grad(0)(cotangent, *operands, **given))
    assert result.any()
    return len(found)


def divided(spec: Spec) -> list[Affine]:
    """The fractional axes."""
    every = (axis for term in spec.terms for axis in term if isinstance(axis, Affine))
    return [axis for axis in every if axis.fractional]


# --- convolutions ----------------------------------------------------------------------------


def window(stride: int, dilation: int, padding: int, names: str = "ik") -> str:
    return f"({stride}*{names[0]}+{dilation}*{names[1]}-{padding})"


def classes(stride: int, dilation: int) -> int:
    """How many residues of a position some tap reaches."""
    return stride // math.gcd(stride, dilation)


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("stride", UP_TO_FOUR)
def test_convolutions_in_one_dimension(stride: int, padding: int) -> None:
    for dilation, taps in itertools.product(UP_TO_FOUR, UP_TO_FOUR):
        spec = f"b {window(stride, dilation, padding)} c, k c o -> b i o"
        assert check_gradient(spec, [(2, 17, 2), (taps, 2, 3)]) == classes(stride, dilation)


@pytest.mark.parametrize("strides", [*itertools.product([1, 2, 3], repeat=2)])
def test_convolutions_in_two_dimensions(strides: tuple[int, int]) -> None:
    for dilations, taps in [((1, 1), (3, 2)), ((2, 1), (2, 3)), ((3, 2), (1, 4))]:
        rows = window(strides[0], dilations[0], 1)
        columns = window(strides[1], dilations[1], 0, "jl")
        spec = f"b {rows} {columns} c, k l c o -> b i j o"
        count = check_gradient(spec, [(2, 9, 10, 2), (*taps, 2, 3)])
        assert count == math.prod(map(classes, strides, dilations))


@pytest.mark.parametrize("strides", [(2, 2, 2), (1, 3, 2), (2, 1, 4)])
def test_convolutions_in_three_dimensions(strides: tuple[int, int, int]) -> None:
    axes = [window(s, 1, 1, names) for s, names in zip(strides, ["ik", "jl", "nm"], strict=True)]
    spec = f"b {' '.join(axes)} c, k l m c o -> b i j n o"
    assert check_gradient(spec, [(1, 6, 7, 8, 2), (3, 2, 3, 2, 2)]) == math.prod(strides)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("stride", UP_TO_FOUR)
def test_flipped_taps(stride: int, dilation: int) -> None:
    spec = f"({stride}*i-{dilation}*k+4), k -> i"
    assert check_gradient(spec, [(15,), (3,)], i=3) == classes(stride, dilation)


@pytest.mark.parametrize("stride", UP_TO_FOUR)
def test_transposed_convolutions(stride: int) -> None:
    x, w = integers((2, 5, 2), 1), integers((3, 2, 3), 2)
    for dilation, padding in itertools.product([1, 2, 3], [0, 1]):
        expected = cc.contract(f"b i c, k c o -> b {window(stride, dilation, padding)} o", x, w)
        found = split(f"b ((h-{dilation}*k+{padding})/{stride}) c, k c o -> b h o")
        sizes = {"b": 2, "h": expected.shape[1], "k": 3, "c": 2, "o": 3}
        result = together(found, (x, w), sizes, expected.shape)
        np.testing.assert_array_equal(result, expected)
        assert len(found) == classes(stride, dilation)


# --- more operands, more fractions -----------------------------------------------------------

# forward, shapes of the operands, extents, number of phases of the gradient by operand 0
LARGER: list[tuple[str, list[tuple[int, ...]], dict[str, int], int]] = [
    ("b (2*i+k) c, k c r, r o -> b i o", [(2, 9, 2), (3, 2, 2), (2, 3)], {}, 2),
    ("b (3*i+k) c, k c, c o -> b i o", [(2, 9, 2), (2, 2), (2, 3)], {}, 3),
    ("(2*i+k) (3*j+k) c, k c -> i j", [(9, 11, 2), (4, 2)], {}, 6),
    ("(2*i+k+l), k, l -> i", [(12,), (3,), (4,)], {}, 4),
    ("(2*i+3*j+k), i j, k -> i", [(20,), (4, 3), (3,)], {}, 4),
    ("(2*i+k), (3*i+l), k l -> i", [(9,), (12,), (2, 3)], {"i": 3}, 2),
    ("(2*i+k), k k -> i", [(9,), (3, 3)], {}, 2),
    ("(2*i+k), (k+l) k, l -> i", [(9,), (5, 3), (3,)], {}, 2),
    ("(2*i+j) (i+2*j) -> i j", [(9, 9)], {"i": 3, "j": 3}, 1),
    ("(2*i+j+k) (i+2*j+l), k l -> i j", [(9, 9), (2, 3)], {"i": 3, "j": 3}, 3),
    (
        "(3*i+j+k-1) (i+2*j+l) c, k l c o -> i j o",
        [(12, 10, 2), (3, 2, 2, 2)],
        {"i": 3, "j": 3},
        5,
    ),
    ("(2*i-j+k) (i+3*j+l), k l -> i j", [(9, 9), (2, 3)], {"i": 3, "j": 3}, 7),
    ("(2*i) c -> i c", [(9, 2)], {}, 1),
    ("(2*i) c -> i c", [(9, 2)], {"i": 7}, 1),
    ("(3*i+1) (2*j) -> i j", [(9, 8)], {"i": 2, "j": 5}, 1),
    ("b (2*i+2*k) c, (k c) o -> b i o", [(2, 9, 2), (6, 3)], {}, 1),
    ("... (2*i+k), k -> ... i", [(2, 3, 9), (3,)], {}, 2),
]


@pytest.mark.parametrize(("forward", "shapes", "sizes", "count"), LARGER)
def test_larger_contractions(
    forward: str, shapes: list[tuple[int, ...]], sizes: dict[str, int], count: int
) -> None:
    assert check_gradient(forward, shapes, **sizes) == count


def test_the_selection_of_a_maximum_repeats_the_condition() -> None:
    pool = cc.Contraction("b (2*i+k) c -> b i c", reduce="max")
    x, g = integers((2, 9, 3), 1), integers((2, 4, 3), 2)
    seen = np.stack([x[:, k : k + 7 : 2] for k in range(3)], axis=-1)
    chosen = np.eye(3, dtype=np.int64)[seen.argmax(-1)]
    found = split(pool.grad(0).gather)
    assert [str(phase) for phase in found] == [
        "b (h-k) c, b (h-k) c (2*k) -> b (2*h) c",
        "b (h-k) c, b (h-k) c (2*k+1) -> b (2*h+1) c",
    ]
    result = together(found, (g, chosen), {"h": 9, "k": 3}, x.shape)
    np.testing.assert_array_equal(result, pool.grad(0)(g, x, k=3))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4])
@pytest.mark.parametrize(
    "spec",
    ["((h-1)/2) -> h", "(h/3) -> h", "(h/2) ->", "(h/2), (h/2) -> h", "(h/2), ((h+2)/2) -> h"],
)
def test_an_index_that_would_come_to_stand_alone_claims_no_size(spec: str, size: int) -> None:
    operands = [integers((size,), 1), integers((3,), 2)][: spec.count("/")]
    for extent in range(7):
        shape = (extent,) * spec.endswith("h")
        expected = evaluate(spec, operands, {"h": extent}, shape)
        result = together(split(spec), operands, {"h": extent}, shape)
        np.testing.assert_array_equal(result, expected)


# --- which points the phases have ------------------------------------------------------------


def value(axis: Affine, point: Point) -> tuple[int, int]:
    """Quotient and remainder of an axis at a point."""
    number = axis.offset.constant or 0
    number += sum((c.constant or 0) * point[name] for name, c in axis.terms)
    return divmod(number, axis.divisor.constant or 1)


def box(names: Sequence[str], sizes: Sizes) -> Iterator[dict[str, int]]:
    for values in itertools.product(*(range(sizes[name]) for name in names)):
        yield dict(zip(names, values, strict=True))


def within(point: Point, sizes: Sizes) -> bool:
    return all(0 <= position < sizes[name] for name, position in point.items())


def whole_points(spec: Spec, sizes: Sizes) -> list[dict[str, int]]:
    """The points at which every fraction is a whole number."""
    fractions = divided(spec)
    every = box(spec.indices, sizes)
    return [point for point in every if not any(value(axis, point)[1] for axis in fractions)]


def met(phase: Phase, spec: Spec, sizes: Sizes) -> Iterator[tuple[dict[str, int], bool]]:
    """The points of the gather that a phase has, and whether any axis drops them by itself."""
    assert set(phase.spec.indices) == set(spec.indices)
    places = dict(phase.residues)
    fractions = divided(spec)
    alone = {a.plain for term in spec.terms for a in term if isinstance(a, Affine)}
    for new in box(phase.spec.indices, phase.extents(sizes)):
        point = {n: value(places[n], new)[0] if n in places else new[n] for n in spec.indices}
        for axis, axis_of_phase in zip(
            itertools.chain(*spec.terms), itertools.chain(*phase.spec.terms), strict=True
        ):
            if isinstance(axis, Affine) and isinstance(axis_of_phase, Affine):
                assert value(axis, point) == value(axis_of_phase, new)
        beyond = [name for name in alone if name and not 0 <= point[name] < sizes[name]]
        yield point, bool(beyond) or any(value(axis, point)[0] < 0 for axis in fractions)


def check_points(spec: Spec, sizes: Sizes) -> None:
    """Each point with whole fractions is met once; whatever else is met drops out."""
    seen: Counter[tuple[int, ...]] = Counter()
    for phase in phases(spec):
        for point, dropped in met(phase, spec, sizes):
            if within(point, sizes):
                seen[tuple(point.values())] += 1
            else:
                assert dropped
    assert seen == Counter(tuple(point.values()) for point in whole_points(spec, sizes))


@st.composite
def _fraction(draw: Draw, names: Sequence[str]) -> str:
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    terms = "".join(f"{draw(st.sampled_from([1, -1, 2, -2, 3])):+d}*{name}" for name in chosen)
    offset, divisor = draw(st.integers(-4, 4)), draw(st.integers(2, 5))
    axis = f"(({terms.removeprefix('+')}{offset:+d})/{divisor})"
    return plain_index(axis) or axis


@st.composite
def fractional(draw: Draw) -> Problem:
    """Contractions full of fractions, some indices standing alone, some in a window."""
    names = "hwkl"[: draw(st.integers(1, 4))]
    extents = {name: draw(st.integers(0, 5)) for name in names}
    fraction = _fraction(names)
    first = draw(st.lists(fraction, min_size=1, max_size=2))
    second = draw(st.lists(st.one_of(st.sampled_from(names), fraction), max_size=3))
    second += [f"({names[0]}+{names[-1]})"] * draw(st.booleans())
    output = draw(st.lists(st.one_of(*[st.sampled_from(names)] * 3, fraction), max_size=3))
    terms = [first, second, output]
    spec = f"{' '.join(first)}, {' '.join(second)} -> {' '.join(output)}".strip()
    used = {name: extents[name] for name in names if any(name in axis for t in terms for axis in t)}
    size = st.integers(0, 5)
    shapes = [tuple(used[a] if a in used else draw(size) for a in term) for term in terms]
    return Problem(spec, (shapes[0], shapes[1]), used, shapes[2])


@given(problem=fractional())
def test_each_point_of_some_fractions_is_met_once(problem: Problem) -> None:
    check_points(parse(problem.spec), problem.extents)


@given(problem=fractional(), seed=seeds(), reduce=st.sampled_from([*COMBINE]))
def test_phases_combine_to_fractions(problem: Problem, seed: int, reduce: Reduction) -> None:
    operands = problem.operands(seed, 2)
    expected = evaluate(problem.spec, operands, problem.extents, problem.output_shape, reduce)
    found = split(problem.spec, reduce)
    result = together(found, operands, problem.extents, problem.output_shape, reduce)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    "spec",
    [
        "((2*h-w-2*k+l)/3) ((2*w-h-2*l+k)/3), k l -> h w",
        "((2*h-w)/3) ((2*w-h)/3) ->",
        "((2*h-w)/3) ((2*w-h)/3) -> h",
        "((h+w)/3) ((2*h-w)/3) -> h w",
        "((h-w+k)/2) ((h+w+l)/4), k -> h l w",
        "((3*h-w-k)/5) ((2*w-h-l)/5) (k/2), k l -> h w",
    ],
)
def test_each_point_of_coupled_windows_is_met_once(spec: str) -> None:
    for sizes in [{"h": 7, "w": 5, "k": 2, "l": 3}, {"h": 3, "w": 8, "k": 4, "l": 1}]:
        check_points(parse(spec), sizes)


# --- how many, and how dense -----------------------------------------------------------------


def test_a_convolution_has_no_point_too_many() -> None:
    spec = parse("((h-k+1)/2) ((w-2*l+1)/3) o, k l o -> h w")
    sizes = {"h": 9, "w": 8, "k": 3, "l": 4, "o": 2}
    points = [math.prod(phase.extents(sizes).values()) for phase in phases(spec)]
    assert sum(points) == len(whole_points(spec, sizes))


def writers(text: str, sizes: Sizes) -> dict[int, int]:
    """For each number of phases, how many elements of the output so many phases write."""
    spec = parse(text)
    kept = [axis.plain for axis in spec.output if isinstance(axis, Affine) and axis.plain]
    count: Counter[tuple[int, ...]] = Counter()
    for phase in phases(spec):
        inside = [point for point, _ in met(phase, spec, sizes) if within(point, sizes)]
        count.update({tuple(point[name] for name in kept) for point in inside})
    return dict(Counter(count.values()))


def test_phases_of_different_positions_write_different_elements() -> None:
    sizes = {"h": 9, "w": 8, "k": 3, "l": 3}
    assert writers("((h-k+1)/2) ((w-l)/3), k l -> h w", sizes) == {1: 72}
    assert writers("((2*h-w-k)/3) ((2*w-h-l)/3), k l -> h w", sizes) == {1: 72}
    # Even positions are out of reach.
    assert writers("((h-2*k+1)/2), k -> h", {"h": 9, "k": 3}) == {1: 4}
    # Two taps of one fraction share the work: even and odd, or odd and even.
    assert writers("((h-k-l)/2), k, l -> h", {"h": 9, "k": 3, "l": 3}) == {2: 9}


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        ("((h-k)/2) ((w-k)/3), k -> h w", 6),
        ("((h-4*k+3)/4), k -> h", 1),
        ("((h-2*k+3)/4), k -> h", 2),
        ("((2*h-2*k+1)/2), k -> h", 0),
        ("(1/2) h -> h", 0),
        ("(h/2) ((h+1)/2) -> h", 0),
        ("((h+1)/2) ->", 1),
        ("h, k -> ((h-k)/2)", 2),
        ("((h-k)/2), ((h-j)/3), k j -> h", 6),
        ("(h/6) (h/4) -> h", 1),
        ("(h/100000000000000000) -> h", 1),
        ("((h-k)/4096), k -> h", 4096),
    ],
)
def test_the_number_of_phases(spec: str, count: int) -> None:
    assert len(split(spec)) == count


def test_phases_come_in_the_order_of_their_residues() -> None:
    found = split("((2*h+k+l)/4) ((2*k-h-l)/2) -> h")
    starts = [[place.offset.constant for _, place in phase.residues] for phase in found]
    assert starts == [[0, 0, 0], [0, 2, 2], [1, 1, 1], [1, 3, 3]]


# --- how they print --------------------------------------------------------------------------


def test_phases_of_a_convolution_of_stride_two() -> None:
    found = split("b ((h-k+1)/2) ((w-l+1)/2) o, k l c o -> b h w c")
    assert [str(phase) for phase in found] == [
        "b (h-k) (w-l) o, (2*k+1) (2*l+1) c o -> b (2*h) (2*w) c",
        "b (h-k) (w-l+1) o, (2*k+1) (2*l) c o -> b (2*h) (2*w+1) c",
        "b (h-k+1) (w-l) o, (2*k) (2*l+1) c o -> b (2*h+1) (2*w) c",
        "b (h-k+1) (w-l+1) o, (2*k) (2*l) c o -> b (2*h+1) (2*w+1) c",
    ]
    assert found[1].meaning == "h = 2*h, w = 2*w+1, k = 2*k+1, l = 2*l"
    assert dict(found[1].residues)["w"] == Affine.of([("w", Polynomial.of(2))], Polynomial.of(1))


def test_the_phase_of_coupled_windows() -> None:
    (phase,) = split("((2*h-w)/3) ((2*w-h)/3) -> h w")
    assert str(phase) == "(h-w) (2*w-h) -> h (3*w-h)"
    assert phase.meaning == "w = 3*w-h"
    assert phase.extents({"h": 4, "w": 6}) == {"h": 4, "w": 3}


def test_without_a_division_there_is_one_phase() -> None:
    spec = parse("b (s*i+k) c, k c -> b i", "mean", "s")
    (phase,) = phases(spec)
    assert phase.spec is spec
    assert phase.residues == ()
    assert phase.extents({"b": 2, "k": 3}) == {"b": 2, "k": 3}


def test_what_is_not_divided_stays() -> None:
    spec = parse("... ((h-k)/2), (s*k+t) (q r) -> ... h", "max", "s t")
    even, odd = phases(spec)
    assert str(even) == "... (h-k), (2*s*k+t) (q r) -> ... (2*h)"
    assert str(odd) == "... (h-k), (2*s*k+s+t) (q r) -> ... (2*h+1)"
    assert odd.spec.reduce == "max"
    assert odd.spec.parameters == ("s", "t")


# --- extents ---------------------------------------------------------------------------------


def test_a_phase_without_taps_contributes_nothing() -> None:
    even, odd = split("((h-k)/2), k -> h")
    assert odd.extents({"h": 5, "k": 1}) == {"h": 2, "k": 0}
    operands = [integers((3,), 1), integers((1,), 2)]
    sizes: dict[str, Any] = odd.extents({"h": 5, "k": 1})
    assert not cc.Contraction(str(odd))(*operands, output_shape=(5,), **sizes).any()
    assert even.extents({"h": 5, "k": 1}) == {"h": 3, "k": 1}
    assert even.extents({"h": 0, "k": 0}) == {"h": 0, "k": 0}


def test_no_extent_is_negative() -> None:
    spec = parse("(h/2) ((h+2*w+2)/8) -> h w")
    (phase,) = phases(spec)
    assert phase.meaning == "h = 2*h-2, w = 4*w-h+4"
    assert phase.extents({"h": 0, "w": 0}) == {"h": 1, "w": 0}
    for h, w in itertools.product(range(9), range(9)):
        check_points(spec, {"h": h, "w": w})


def test_what_plays_no_part_in_a_division_may_be_missing() -> None:
    _, odd = split("b ((h-k)/2), k -> b h")
    assert odd.extents({"h": 5, "k": 3, "i": 7}) == {"h": 2, "k": 1}


# --- what is refused -------------------------------------------------------------------------


def test_parameters_are_bound_first() -> None:
    spec = parse("b ((h-d*k+p)/s) o, k o -> b h", parameters="s d p")
    with pytest.raises(cc.ParameterError) as error:
        phases(spec)
    assert str(error.value) == (
        "unbound in a division: the parameters d, p, s\n"
        "  b ((h-d*k+p)/s) o, k o -> b h\n"
        "    ^^^^^^^^^^^^^\n"
        "only numbers have residues: bind first with .bind(d=..., p=..., s=...)"
    )
    assert len(phases(spec.bind({"s": 2, "d": 1, "p": 1}))) == 2


def test_an_index_of_a_composition_is_not_split() -> None:
    gather = cc.Contraction("(2*i+k) o, (k o) -> i").grad(0).gather
    with pytest.raises(cc.ContractionError) as error:
        split(gather)
    assert str(error.value) == (
        "k must be split modulo 2, but stands in a composition\n"
        "  ((h-k)/2), (k o) -> h o\n"
        "  ^^^^^^^^^  ^^^^^\n"
        "a composition takes whole indices; the scatter form needs no division"
    )
    # Of two coupled positions one stays whole, but not both.
    (phase,) = split("((2*h-w)/3) ((2*w-h)/3), (h k) -> h w")
    assert str(phase) == "(h-w) (2*w-h), (h k) -> h (3*w-h)"
    (phase,) = split("((2*h-w)/3) ((2*w-h)/3), (w k) -> h w")
    assert str(phase) == "(2*h-w) (w-h), (w k) -> (3*h-w) w"
    with pytest.raises(cc.ContractionError, match="w must be split modulo 3"):
        split("((2*h-w)/3) ((2*w-h)/3), (h w) -> h w")
    with pytest.raises(cc.ContractionError, match="h must be split modulo 2"):
        split("(h/2) -> (h w)")
    # Every second tap of a window that is dilated as well is every tap: nothing to split.
    assert [str(phase) for phase in split("((h-2*k)/2), (k c) -> h c")] == [
        "(h-k), (k c) -> (2*h) c"
    ]


def test_too_many_phases_are_counted_not_made() -> None:
    with pytest.raises(cc.ContractionError, match=f"has 4970 phases, the most is {MOST_PHASES}"):
        split("((h-k)/70) ((w-k)/71), k -> h w")
    with pytest.raises(cc.ContractionError, match="has 100000000000000000 phases"):
        split("((h-k)/100000000000000000), k -> h")


def test_numbers_that_are_too_large_are_refused() -> None:
    with pytest.raises(cc.ContractionError, match="more than 18 digits"):
        split("(h/1000000000000) (h/1000000000001) -> h")


def test_a_mean_has_no_phases() -> None:
    with pytest.raises(cc.ReductionError, match="a mean divides by all its points"):
        split("(h/2) -> h", "mean")


# --- random contractions ---------------------------------------------------------------------


def phases_if_any(spec: Spec) -> tuple[Phase, ...] | None:
    """The phases, unless an index of a composition is in their way."""
    composed = {n for t in spec.terms for a in t if isinstance(a, Composition) for n in a.names}
    try:
        return phases(spec)
    except cc.ContractionError:
        assert any(composed & set(axis.names) for axis in divided(spec))
        return None


@given(problem=st.one_of(windows(), problems(), problems(empty=True)), seed=seeds())
def test_the_phases_of_random_gradients_add_up(problem: Problem, seed: int) -> None:
    operands, cotangent = problem.operands(seed), problem.cotangent(seed)
    for n in range(len(operands)):
        derivation = cc.Contraction(problem.spec).grad(n)
        gather, shape = derivation.gather, problem.shapes[n]
        found = phases_if_any(parse(str(gather)))
        if found is None:
            continue
        factors = [cotangent, *operands[:n], *operands[n + 1 :]]
        known = {name: e for name, e in problem.extents.items() if name in gather.indices}
        shapes = [factor.shape for factor in factors]
        sizes = gather.extents(*shapes, output_shape=shape, **known)
        expected = derivation(cotangent, *operands, **problem.extents)
        np.testing.assert_array_equal(together(found, factors, sizes, shape), expected)


# --- lattices --------------------------------------------------------------------------------


@given(data=st.data(), dimension=st.integers(1, 3), conditions=st.integers(0, 3))
def test_congruences_are_solved(data: st.DataObject, dimension: int, conditions: int) -> None:
    small = st.integers(-6, 6)
    row = st.lists(small, min_size=dimension, max_size=dimension).map(tuple)
    congruences = [
        Congruence(data.draw(row), data.draw(small), data.draw(st.integers(1, 4)))
        for _ in range(conditions)
    ]
    held = set(_holding(congruences, dimension))
    coset = solve(congruences, dimension)
    if coset is None:
        assert not held
        return
    steps = coset.lattice.diagonal
    assert len(held) * math.prod(steps) == 12**dimension
    for point in held:
        apart = tuple(a - b for a, b in zip(point, coset.origin, strict=True))
        assert not any(coset.lattice.remainder(apart))
    for n, vector in enumerate(coset.lattice.basis):
        assert vector[n] > 0
        assert not any(vector[:n])
        rest = zip(vector[n + 1 :], steps[n + 1 :], strict=True)
        assert all(-step < entry <= 0 for entry, step in rest)


def _holding(congruences: Sequence[Congruence], dimension: int) -> Iterator[tuple[int, ...]]:
    for point in itertools.product(range(12), repeat=dimension):
        sums = [sum(map(int.__mul__, c.coefficients, point)) + c.offset for c in congruences]
        if not any(s % c.divisor for s, c in zip(sums, congruences, strict=True)):
            yield point


def test_a_coset_is_split_into_those_of_a_part() -> None:
    coset = solve([Congruence((1, -1), 1, 2)], 2)
    assert coset is not None
    part = Lattice(((4, 0), (0, 6)))
    points = sorted(coset.split(part))
    assert len(points) == coset.count(part) == 12
    assert points == [(h, k) for h in range(4) for k in range(6) if (h - k + 1) % 2 == 0]


def test_independent_vectors() -> None:
    assert independent([(0, 0), (2, 4), (1, 2), (0, 3), (5, 7)]) == [1, 3]
    assert independent([(2, -1, 0), (-1, 2, 1), (1, 1, 1), (0, 0, 3)]) == [0, 1, 3]


@pytest.mark.parametrize("module", [phases_module, lattice], ids=["phases", "lattice"])
def test_every_session_in_a_docstring_runs(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
