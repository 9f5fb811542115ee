"""Phases make up a scatter exactly, over what is reached alone; unit windows make up a leaf."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import gcd, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import evaluate
from strategies import Array, Shape, filled, seeds
from strategies import Problem as Case
from strategies import problems as any_problems
from strategies import windows as layers

from contractconv.execution.local_weights import landing_points
from contractconv.execution.run import run
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Problem
from contractconv.planning import scatter_phases as module
from contractconv.planning import strided_leaves
from contractconv.planning.plan import plan_afresh
from contractconv.planning.scatter_phases import Window, by_phases, unit_windows, windows
from contractconv.planning.strided_leaves import is_leaf, tap_indices

STEPS = (-4, -3, -2, -1, 1, 2, 3, 4, 6)


def problem_of(
    spec: str,
    *shapes: Shape,
    to: Shape | None = None,
    reduce: str = "sum",
    known: Mapping[str, int] | None = None,
) -> Problem:
    return resolve(parse(spec, reduce), shapes, known, to)


def arrays_of(problem: Problem, seed: int = 1) -> list[Array]:
    shapes = [tuple(access.size for access in term) for term in problem.operands]
    return [filled(shape, seed + n, 4, "int64") for n, shape in enumerate(shapes)]


def added(parts: Iterable[Problem], arrays: Sequence[Array], shape: Shape) -> Array:
    results = (run(plan_afresh(part), arrays) for part in parts)
    return sum(results, start=np.zeros(shape, np.int64))


def phases_of(problem: Problem) -> tuple[Problem, ...]:
    """The phases, which there must be."""
    phases = by_phases(problem)
    assert phases is not None
    return phases


def counts(problem: Problem) -> Array:
    """How many points contribute to each element."""
    ones = [np.ones_like(array) for array in arrays_of(problem)]
    return run(plan_afresh(problem), ones)


def assert_exact(spec: str, problem: Problem, parts: Iterable[Problem]) -> None:
    arrays = arrays_of(problem)
    expected = evaluate(spec, arrays, problem.extents, problem.result_shape)
    assert (added(parts, arrays, problem.result_shape) == expected).all(), spec


def assert_lean(phases: Iterable[Problem]) -> None:
    """Phases run over what is reached alone, and no element is in two of them."""
    reached = [counts(phase) != 0 for phase in phases]
    for phase, elements in zip(phases, reached, strict=True):
        assert elements.sum() == prod(phase.extents[name] for name in phase.kept), str(phase)
    assert np.max(np.sum(reached, axis=0), initial=0) <= 1


# --- scatters ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", STEPS)
def test_every_small_scatter_is_its_phases(stride: int) -> None:
    for dilation, i, k, (offset, size) in product(
        STEPS, (1, 2, 5), (1, 3, 4), ((0, 9), (-2, 5), (3, 14))
    ):
        spec = f"i c, k c -> ({stride}*i+{dilation}*k+{offset})".replace("+-", "-")
        problem = problem_of(spec, (i, 2), (k, 2), to=(size,))
        phases = phases_of(problem)
        assert_exact(spec, problem, phases)
        assert_lean(phases)
        assert all(not tap_indices(phase) for phase in phases)


@pytest.mark.parametrize("divisor", [2, 3, 4])
def test_every_small_fraction_is_its_phases(divisor: int) -> None:
    for step, dilation, size, taps, offset in product(
        (-2, -1, 1, 3), (-4, -2, -1, 1, 3), (1, 2, 4), (1, 3, 5), (0, 1, -3)
    ):
        spec = f"(({step}*h+{dilation}*k+{offset})/{divisor}) c, k c -> h".replace("+-", "-")
        problem = problem_of(spec, (size, 2), (taps, 2), known={"h": 8})
        phases = phases_of(problem)
        assert_exact(spec, problem, phases)
        assert all(not tap_indices(phase) for phase in phases)
        if abs(step) == 1:
            assert_lean(phases)


@st.composite
def scatters(draw: st.DrawFn) -> tuple[str, Problem]:
    """A transposed convolution in two or three dimensions, cropped or padded at will."""
    names = [("i", "k"), ("j", "l"), ("m", "n")][: draw(st.integers(2, 3))]
    step = st.sampled_from([1, 2, -1, 3, -2, 4])
    axes = [f"({draw(step)}*{i}+{draw(step)}*{k}+{draw(st.integers(-2, 3))})" for i, k in names]
    image, kernel = ([pair[n] for pair in names] for n in (0, 1))
    terms = [["b", *image, "c"], [*kernel, "c", "o"], ["b", *axes, "o"]]
    first, second, output = (" ".join(draw(st.permutations(term))) for term in terms)
    spec = f"{first}, {second} -> {output}".replace("+-", "-")
    extents = {"b": 2, "c": 2, "o": 1} | {name: draw(st.integers(1, 3)) for name in image + kernel}
    shapes = [tuple(extents[name] for name in term.split()) for term in (first, second)]
    sizes = (extents.get(axis) or draw(st.integers(1, 8)) for axis in output.split())
    return spec, problem_of(spec, *shapes, to=tuple(sizes))


@given(scatters())
@settings(max_examples=100)
def test_several_axes_have_the_product_of_their_phases(drawn: tuple[str, Problem]) -> None:
    spec, problem = drawn
    phases = phases_of(problem)
    assert_exact(spec, problem, phases)
    assert_lean(phases)


@given(st.one_of(any_problems(), layers(), layers(layers=["transposed"])), seeds())
def test_phases_of_any_problem_are_exact(case: Case, seed: int) -> None:
    problem = resolve(parse(case.spec), case.shapes, case.extents, case.output_shape)
    phases = by_phases(problem)
    if phases is None:
        assert "(" in case.spec
        return
    arrays = case.operands(seed)
    expected = evaluate(case.spec, arrays, case.extents, case.output_shape)
    assert (added(phases, arrays, expected.shape) == expected).all()
    assert all(not tap_indices(phase) for phase in phases)


@pytest.mark.parametrize(("stride", "rank"), [(1, 2), (2, 1), (2, 2), (3, 2), (2, 3)])
def test_a_stride_has_one_phase_for_each_residue(stride: int, rank: int) -> None:
    pairs = [("i", "k"), ("j", "l"), ("m", "n")][:rank]
    axes = " ".join(f"({stride}*{i}+{k}-1)" for i, k in pairs)
    image, kernel = (" ".join(pair[n] for pair in pairs) for n in (0, 1))
    problem = problem_of(f"{image} c, {kernel} c -> {axes}", (5,) * rank + (2,), (3,) * rank + (2,))
    assert len(phases_of(problem)) == stride**rank


@pytest.mark.parametrize(
    ("spec", "i", "k", "count"),
    [
        ("i, k -> (i+3*k)", 9, 3, 1),  # a dilation alone needs no residues
        ("i, k -> (6*i+4*k)", 9, 5, 3),  # s/g of them
        ("i, k -> (4*i+k)", 9, 2, 2),  # no more than there are taps
        ("i, k -> (2*i+k)", 1, 5, 1),  # one place: the taps are copied
        ("i, k -> (i+9*k)", 5, 3, 3),  # taps that jump over the image meet nowhere
    ],
)
def test_there_are_as_few_phases_as_can_be(spec: str, i: int, k: int, count: int) -> None:
    assert len(phases_of(problem_of(spec, (i,), (k,)))) == count


@pytest.mark.parametrize(
    ("spec", "i", "k"),
    [
        ("b i o, k c o -> b (i+8*k) c", (8, 12, 224), (3, 112, 224)),  # a dilation
        ("b i o, k c o -> b (i+8*k) c", (1, 20, 512), (11, 112, 512)),
        ("b i o, k c o -> b (i+4*k-4) c", (8, 8, 112), (3, 320, 112)),
        ("b i o, k c o -> b (i+k-2) c", (1, 4, 160), (5, 160, 160)),  # a kernel like the image
        ("b i o, k c o -> b (i+k-3) c", (8, 4, 384), (7, 384, 384)),
    ],
)
def test_the_large_kernel_is_not_the_one_with_room_around_it(
    spec: str, i: tuple[int, ...], k: tuple[int, ...]
) -> None:
    """The image is read through windows, in one phase, and the taps where they lie."""
    (phase,) = phases_of(problem_of(spec, i, k))
    _, kernel = phase.operands
    assert all(access.plain is not None for access in kernel), str(phase)


def test_a_phase_reads_as_a_contraction() -> None:
    problem = problem_of("b i c, k c o -> b (2*i+k-1) o", (2, 5, 3), (4, 3, 7))
    odd, even = phases_of(problem)
    assert str(odd) == "b (i-k+1) c, (2*k) c o -> b (2*i+1) o"
    assert str(even) == "b (i-k) c, (2*k+1) c o -> b (2*i) o"
    assert odd.indices == ("b", "i", "o", "c", "k")


@pytest.mark.parametrize(
    ("spec", "shapes"),
    [
        ("i c, i k, k c -> (2*i+k)", [(4, 2), (4, 3), (3, 2)]),
        ("i i, k -> (2*i+k)", [(4, 4), (3,)]),
        ("(2*i+m), i m, k -> (3*i+2*k)", [(9,), (4, 3), (3,)]),
        ("(i+k), i, k -> (3*i+k)", [(6,), (4,), (3,)]),
        ("((i+3)/2), i, k -> (3*i+k)", [(6,), (5,), (3,)]),
        ("i -> (i+k)", [(4,)]),
    ],
)
def test_indices_may_stand_elsewhere_too(spec: str, shapes: list[Shape]) -> None:
    problem = problem_of(spec, *shapes, known={"k": 3})
    assert_exact(spec, problem, phases_of(problem))


@pytest.mark.parametrize(
    ("spec", "shapes"),
    [
        ("i, k, m -> (i+k+m)", [(4,), (3,), (2,)]),
        ("(2*i) (3*k) -> (i+k)", [(9, 9)]),
        ("i, k -> ((i+k)/2)", [(4,), (3,)]),
        ("i k -> (i+k) i", [(4, 3)]),
        ("i k -> (i+k) k", [(4, 3)]),
        ("((h-k-m)/2), h, k, m -> h", [(9,), (5,), (2,), (3,)]),
        ("i, k -> (5000*i+k)", [(5000,), (5000,)]),
    ],
)
def test_what_has_no_phases_is_refused(spec: str, shapes: list[Shape]) -> None:
    assert by_phases(problem_of(spec, *shapes)) is None


def test_other_reductions_are_refused() -> None:
    assert by_phases(problem_of("i, k -> (i+k)", (4,), (3,), reduce="max")) is None


def test_an_index_shorter_than_its_axis_is_no_boundary() -> None:
    problem = problem_of("i c, k c -> (2*i+k)", (6, 2), (4, 2))
    arrays = arrays_of(problem)
    short = problem.restricted("i", 0, 3)
    expected = run(plan_afresh(short), arrays)
    assert (added(phases_of(short), arrays, expected.shape) == expected).all()
    assert by_phases(short.restricted("k", 0, 3)) is None


def test_without_points_there_are_no_phases() -> None:
    assert by_phases(problem_of("i, k -> (i+k)", (4,), (0,), to=(3,))) == ()
    assert by_phases(problem_of("i, k -> (i+k+9)", (4,), (3,), to=(5,))) == ()


def test_a_gather_is_its_own_phase() -> None:
    problem = problem_of("(2*i+k-1) c, k c -> i", (9, 2), (3, 2))
    assert by_phases(problem) == (problem,)


def test_phases_of_a_mean_are_its_sums() -> None:
    problem = problem_of("i, k -> (2*i+k-1)", (5,), (3,), reduce="mean")
    arrays = [array.astype(float) for array in arrays_of(problem)]
    sums = [run(plan_afresh(replace(p, reduce="sum")), arrays) for p in phases_of(problem)]
    expected = run(plan_afresh(problem), arrays)
    assert np.allclose(sum(sums) / landing_points(problem), expected)


WINDOW = Window(0, 0, "i", "k", "forward")


# --- windows -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "shapes", "expected"),
    [
        ("b (i+k) c, k c o -> b i o", [(1, 9, 2), (3, 2, 4)], [(0, 1, "i", "k", "forward")]),
        ("k c o, b c (i+k) -> b i o", [(3, 2, 4), (1, 2, 9)], [(1, 2, "i", "k", "forward")]),
        ("b (i+k) c, k c -> b i c", [(1, 9, 2), (3, 2)], [(0, 1, "i", "k", "forward")]),
        ("b (i+k) c, b i o -> k c o", [(1, 9, 2), (1, 7, 4)], [(0, 1, "i", "k", "kernel")]),
        (
            "(i+k) (j+l), k l -> i j",  # the roles are those of all axes together
            [(4, 20), (3, 3)],
            [(0, 0, "i", "k", "forward"), (0, 1, "j", "l", "forward")],
        ),
        ("(i+k) m, (j+m) k -> i j", [(9, 3), (5, 3)], [(0, 0, "i", "k", "forward")]),
        ("(i+k) m, (j+m) k -> i j", [(5, 3), (19, 3)], [(1, 0, "j", "m", "forward")]),
        ("(i+k) i, k -> i", [(9, 7), (3,)], []),  # not a window: i moves along two axes
        ("(i+k), k -> i k", [(9,), (3,)], []),  # nothing is summed
        ("(i+k), i k -> i", [(9,), (7, 3)], []),  # a kernel that varies from place to place
        ("(i+k+m), k m -> i", [(9,), (3, 3)], []),
        ("i c, c o -> i o", [(4, 3), (3, 2)], []),
        ("(i+k) -> i", [(9,)], []),
    ],
)
def test_windows_are_found(
    spec: str, shapes: list[Shape], expected: list[tuple[int, int, str, str, str]]
) -> None:
    problem = problem_of(spec, *shapes, known={"k": 3} if "k" in spec else None)
    assert windows(problem) == tuple(Window(*window) for window in expected)


def test_the_gradient_of_a_kernel_reads_its_long_index_plainly() -> None:
    problem = problem_of("(i+k), (2*i+m) -> k m", (9,), (19,), known={"i": 6, "k": 4, "m": 3})
    assert windows(problem) == ()


def test_phases_have_forward_windows() -> None:
    phases = phases_of(problem_of("i j c, k l c -> (2*i+k) (2*j+l)", (5, 5, 2), (4, 4, 2)))
    for phase in phases:
        assert [(w.result, w.tap, w.role) for w in windows(phase)] == [
            ("i", "k", "forward"), ("j", "l", "forward")
        ]  # fmt: skip


@pytest.mark.parametrize(("spec", "other"), [("({}) c, k c -> i", "k"), ("({}) c, i c -> k", "i")])
def test_every_window_is_made_of_unit_windows(spec: str, other: str) -> None:
    for stride, dilation, i, k in product(STEPS, STEPS, (1, 4, 7), (1, 3, 5)):
        axis = f"{stride}*i+{dilation}*k-1".replace("+-", "-")
        text, extents = spec.format(axis), {"i": i, "k": k}
        problem = problem_of(text, (9, 2), (extents[other], 2), known=extents)
        parts = unit_windows(problem, [WINDOW])
        assert_exact(text, problem, parts)
        common = gcd(stride, dilation)
        sizes = min(abs(dilation) // common, i), min(abs(stride) // common, k)
        assert len(parts) == prod(sizes)
        for part in parts:
            one, two = (step for _, step in part.operands[0][0].terms)
            assert abs(one) == abs(two)
            assert not tap_indices(part)


def test_unit_windows_of_several_axes() -> None:
    spec = "b (2*i+k-1) (3*j+2*l) c, k l c o -> b i j o"
    problem = problem_of(spec, (2, 9, 12, 2), (3, 3, 2, 2))
    parts = unit_windows(problem, windows(problem))
    assert len(parts) == 2 * 6
    assert_exact(spec, problem, parts)


def test_a_unit_window_stays() -> None:
    problem = problem_of("(i+k-1) c, k c -> i", (9, 2), (3, 2))
    assert unit_windows(problem, [WINDOW]) == (problem,)
    assert is_leaf(problem)


# --- these checks can fail ---------------------------------------------------------------------


def test_a_phase_too_few_is_noticed() -> None:
    spec = "i c, k c -> (2*i+k)"
    problem = problem_of(spec, (4, 2), (3, 2))
    with pytest.raises(AssertionError):
        assert_exact(spec, problem, phases_of(problem)[1:])


def test_a_missing_boundary_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of("i c, k c -> (2*i+k)", (6, 2), (4, 2)).restricted("i", 0, 3)
    arrays = arrays_of(problem)
    expected = run(plan_afresh(problem), arrays)
    monkeypatch.setattr(module, "_guards", lambda problem, access: {"i": (0, 0)})
    assert (added(phases_of(problem), arrays, (14,)) != expected).any()


@pytest.mark.parametrize("fault", ["gcd", "_met"])
def test_idle_values_and_overlaps_are_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = {"gcd": lambda *_: 1, "_met": lambda access, name, extents: (0, extents[name], 1)}
    spec = {"gcd": "i c, k c -> (2*i+2*k)", "_met": "i c, k c -> (i+k-2)"}[fault]
    problem = problem_of(spec, (4, 2), (3, 2), to=(9,))
    monkeypatch.setattr(module, fault, planted[fault])
    # Otherwise idle values are left out in the end.
    monkeypatch.setattr(strided_leaves, "trimmed", lambda problem: problem)
    phases = phases_of(problem)
    assert_exact(spec, problem, phases)
    with pytest.raises(AssertionError):
        assert_lean(phases)
