"""Points are counted as they are found by going through all of them, in Python's integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Problem as Case
from strategies import empties, problems, windows

import contractconv as cc
from contractconv.calculus.backward import derive
from contractconv.layers.counting import multiply_adds, multiply_adds_of, points
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Access, Problem
from contractconv.planning.derived_problems import backward_problem
from contractconv.planning.programs.shared_products import shared
from contractconv.programs.nodes import Contract
from contractconv.programs.program import Graph
from contractconv.programs.sizing import Sized, sized

Draw = Callable[[st.SearchStrategy[Any]], Any]
Shape = tuple[int, ...]


def brute(problem: Problem) -> int:
    """Every point of the index space, asked whether each axis is inside."""
    accesses = {access for term in (*problem.operands, problem.output) for access in term}
    spaces = product(*(range(size) for _, size in problem.sizes))
    found = (dict(zip(problem.indices, values, strict=True)) for values in spaces)
    return sum(all(is_met(access, point) for access in accesses) for point in found)


def is_met(access: Access, point: Mapping[str, int]) -> bool:
    place, rest = divmod(
        access.offset + sum(c * point[name] for name, c in access.terms), access.divisor
    )
    return not rest and 0 <= place < access.size


def solved(text: str, shapes: Sequence[Shape], reduce: str = "sum", **extents: int) -> Problem:
    return resolve(parse(text, reduce=reduce), list(shapes), extents)


# -- points --------------------------------------------------------------------------------------


@given(case=st.one_of(problems(), windows(), empties()))
def test_points_of_any_contraction(case: Case) -> None:
    problem = resolve(parse(case.spec), case.shapes, case.extents, case.output_shape)
    assert points(problem) == brute(problem)


STEPS = st.sampled_from([1, 1, 2, 3, 4, 6, -1, -2, -3, 10**9 + 7, -(10**9)])


@st.composite
def coupled(draw: Draw) -> Problem:
    """Axes that have indices in common, in any way, with divisors that are not coprime."""
    names = "abcde"[: draw(st.integers(1, 5))]
    sizes = tuple((name, draw(st.integers(1, 5))) for name in names)
    return Problem((tuple(draw(st.lists(access(names), max_size=5))),), (), sizes, "sum", ())


def access(names: str) -> st.SearchStrategy[Access]:
    used = st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True)
    terms = used.flatmap(lambda found: st.tuples(*(st.tuples(st.just(n), STEPS) for n in found)))
    divisors = st.sampled_from([1, 1, 1, 2, 3, 4, 6])
    return st.builds(Access.of, terms, st.integers(-9, 9), divisors, st.integers(1, 9))


@given(problem=coupled())
def test_points_of_axes_that_share_indices(problem: Problem) -> None:
    assert points(problem) == brute(problem)


@st.composite
def layers(draw: Draw) -> Problem:
    """Layers in one to three dimensions; their positions may go on beyond what padding allows."""
    dims = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["conv", "local", "cp", "transposed", "gather"]))
    groups = " g" * draw(st.integers(0, 1)) * (kind != "cp")
    positions, taps, ranks = "ijm"[:dims], "kln"[:dims], " r" * (kind == "cp")
    axes = [_window(draw, *pair, kind) for pair in zip(positions, taps, strict=True)]
    kernel = [f"{tap}{ranks}" for tap in taps] if ranks else [" ".join(taps)]
    local = f"{' '.join(positions)} " * (kind == "local")
    weights = [*kernel, "c r", "o r"] if ranks else [f"{local}{kernel[0]}{groups} c o"]
    image, other = f"b {' '.join(axes)}{groups}", f"b {' '.join(positions)}{groups}"
    if kind == "transposed":
        image, other = other, image
    extents = {name: draw(st.integers(1, 3)) for name in parse_names(weights, "b")}
    extents |= {name: draw(st.integers(1, 5)) for name in positions}
    terms = [f"{image} c", *weights]
    sizes = [[_size(draw, axis, extents) for axis in split(term)] for term in terms]
    spec = parse(f"{', '.join(terms)} -> {other} o")
    shape = [_size(draw, axis, extents) for axis in split(f"{other} o")]
    return resolve(spec, list(map(tuple, sizes)), extents, tuple(shape))


def _window(draw: Draw, position: str, tap: str, kind: str) -> str:
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, 3))
    if kind == "gather":
        return f"(({position}-{dilation}*{tap}+{padding})/{stride})"
    return f"({stride}*{position}+{dilation}*{tap}-{padding})"


def parse_names(weights: Sequence[str], more: str) -> list[str]:
    return sorted({name for term in (*weights, more) for name in term.split()})


def split(term: str) -> list[str]:
    return term.split(" ")


def _size(draw: Draw, axis: str, extents: Mapping[str, int]) -> int:
    return extents[axis] if axis in extents else draw(st.integers(1, 12))


@settings(max_examples=150)
@given(problem=layers())
def test_points_of_layers(problem: Problem) -> None:
    assert points(problem) == brute(problem)


def test_huge_extents_are_not_gone_through() -> None:
    size = 10**9
    problem = solved("b (2*i+k-3) (j+5*l-10) (m+n-1) c, k l n c o -> b o",
                     [(512, size, size, size, 4096), (7, 5, 3, 4096, 4096)])  # fmt: skip
    # Of i = 0, 1 and of the last two, taps 0 to 2 and 0, and 5, 6 and none are outside.
    h = 7 * (size // 2) - 4 - 2
    w = 5 * size - 2 * (10 + 5)
    d = 3 * size - 2
    assert points(problem) == 512 * 4096**2 * h * w * d


def test_numbers_may_have_many_digits() -> None:
    far = 10**30
    access = Access((("a", far), ("c", -1)), -far, 1, far)
    sizes = (("a", 10**12), ("c", 10**12))
    # a = 1 and c = 0; or a = 2 with c from 1 on.
    assert points(Problem(((access,),), (), sizes, "sum", ())) == 1 + (10**12 - 1)


def test_an_axis_of_three_long_indices() -> None:
    problem = solved("(a+b+c) -> a b c", [(150,)], a=100, b=90, c=80)
    a, b, c = np.ogrid[:100, :90, :80]
    assert points(problem) == np.count_nonzero(a + b + c < 150)


# -- multiply-adds -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shapes", "count"),
    [
        ("i j, j k -> i k", [(2, 3), (3, 4)], 24),
        ("b (i+k) c, k c o -> b i o", [(2, 9, 3), (3, 3, 4)], 2 * 7 * 3 * 3 * 4),
        ("b (i+k-1) c, k c o -> b i o", [(2, 9, 3), (3, 3, 4)], 2 * 25 * 3 * 4),
        ("b i c, k c o -> b (2*i+k) o", [(2, 9, 3), (3, 3, 4)], 2 * 9 * 3 * 3 * 4),
        ("b i c -> b i", [(2, 9, 3)], 0),
        # j meets k first, then i.
        ("i j, j k, k -> i", [(5, 6), (6, 7), (7,)], 6 * 7 + 5 * 6),
    ],
)
def test_known_counts(text: str, shapes: list[Shape], count: int) -> None:
    assert multiply_adds(solved(text, shapes)) == count


def test_only_sums_and_means_of_products_count() -> None:
    shapes = [(2, 3), (3, 4)]
    counts = {r: multiply_adds(solved("i j, j k -> i k", shapes, r)) for r in
              ("sum", "mean", "max", "min", "prod", "logsumexp")}  # fmt: skip
    assert counts == {"sum": 24, "mean": 24, "max": 0, "min": 0, "prod": 0, "logsumexp": 0}


def test_many_operands_meet_in_pairs() -> None:
    """Far fewer than a multiply-add for each factor at each point, and boundaries are left out."""
    problem = solved("b (i+k-1) (j+l-1) c, k r, l r, c r, o r -> b i j o",
                     [(1, 8, 8, 16), (3, 4), (3, 4), (16, 4), (32, 4)])  # fmt: skip
    taps, channels, image, out = 3 * 3 * 4, 64 * 16 * 4, 22 * 22 * 4, 64 * 4 * 32
    assert multiply_adds(problem) == taps + channels + image + out
    assert points(problem) == 22 * 22 * 16 * 4 * 32


@given(case=st.one_of(problems(), windows()))
def test_a_gradient_of_a_product_has_the_points_of_it(case: Case) -> None:
    spec = parse(case.spec)
    problem = resolve(spec, case.shapes, case.extents, case.output_shape)
    for n in range(len(spec.inputs) * (len(spec.inputs) == 2)):
        formulas = derive(spec, n)
        for form in (formulas.scatter, formulas.gather):
            back = backward_problem(form, formulas, problem, case.shapes)
            assert points(back) == points(problem)


# -- programs ------------------------------------------------------------------------------------


def sizes_in(outputs: Mapping[str, cc.Tensor], **shapes: Shape) -> Sized:
    return sized(Graph.of({name: tensor._node for name, tensor in outputs.items()}), shapes)


def contractions(program: Sized) -> list[tuple[str, int]]:
    counted = multiply_adds_of(program)
    assert list(counted) == [n for n in program.graph.nodes if isinstance(n, Contract)]
    return [(str(node.spec), n) for node, n in counted.items() if isinstance(node, Contract)]


def test_a_layer_and_its_gradients() -> None:
    x, W = cc.tensor("x", "b h w c"), cc.tensor("W", "k l c o")
    z = cc.contract("b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o", x, W)
    loss = cc.contract("b i j o, b i j o ->", cc.relu(z), cc.relu(z))
    dx, dW = cc.grad(loss, [x, W])
    program = sizes_in({"loss": loss, "dx": dx, "dW": dW}, x=(2, 9, 9, 3), W=(3, 3, 3, 4))
    counts = [n for _, n in contractions(program)]
    each = 2 * 13 * 13 * 3 * 4  # of 5 positions with 3 taps both ends lack one
    assert counts == [each, 2 * 5 * 5 * 4, each, each]


def test_gradients_of_many_operands_share_pairs() -> None:
    """All of them together take twice what the result takes, and not as often as there are."""
    shapes = {"x": (2, 8, 8, 16), "K": (3, 4), "L": (3, 4), "C": (16, 4), "O": (32, 4)}
    given = {**shapes, "g": (2, 8, 8, 32)}
    axes = ("b h w c", "k r", "l r", "c r", "o r")
    operands = [cc.tensor(name, a) for name, a in zip(shapes, axes, strict=True)]
    z = cc.contract("b (i+k-1) (j+l-1) c, k r, l r, c r, o r -> b i j o", *operands)
    back = cc.grad(z, operands, cotangent=cc.tensor("g", z.axes))
    nodes = [z._node, *(tensor._node for tensor in back)]
    graph = Graph.of({f"n{n}": node for n, node in enumerate(nodes)})
    apart = sized(graph, given)
    made = shared(nodes, lambda node: apart.problems[apart.made[node]])
    together = sized(Graph.of({f"n{n}": node for n, node in enumerate(made)}), given)
    forward = multiply_adds_of(apart)[apart.made[z._node]]
    assert sum(n for _, n in contractions(together)) == 3 * forward
    assert sum(n for _, n in contractions(apart)) > 4 * forward


def labels_and_table() -> tuple[cc.Tensor, cc.Tensor]:
    return cc.tensor("labels", "b t", "int64"), cc.tensor("table", "v d")


@pytest.mark.parametrize("of_truth", [False, True])
def test_rows_that_labels_choose_multiply_nothing(of_truth: bool) -> None:
    labels, table = labels_and_table()
    same = labels == cc.index("v")
    code = cc.where(same, 0.5 if of_truth else 1, 0)
    met = same if of_truth else code
    rows = cc.contract("b t v, v d -> b t d", met, table)
    loss = cc.contract("b t d, b t d ->", rows, rows)
    (back,) = cc.grad(loss, [table])
    program = sizes_in({"loss": loss, "back": back}, labels=(2, 5), table=(7, 3))
    assert sum(n for _, n in contractions(program)) == 2 * 5 * 3  # the loss alone


def test_what_is_left_without_a_code_counts() -> None:
    labels, table = labels_and_table()
    W = cc.tensor("W", "d o")
    code = cc.functions.one_hot(labels, "v")
    out = cc.contract("b t v, v d, d o -> b t o", code, table, W)
    program = sizes_in({"out": out}, labels=(2, 5), table=(7, 3), W=(3, 4))
    assert [n for _, n in contractions(program)] == [2 * 5 * 3 * 4]


def test_a_mask_of_numbers_that_are_no_labels_is_an_operand() -> None:
    x, table = cc.tensor("x", "b t"), cc.tensor("table", "v d")
    rows = cc.contract("b t v, v d -> b t d", cc.where(x >= cc.index("v"), 1, 0), table)
    program = sizes_in({"rows": rows}, x=(2, 5), table=(7, 3))
    assert [n for _, n in contractions(program)] == [2 * 5 * 7 * 3]


@pytest.mark.parametrize("reduce", ["max", "min", "mean"])
def test_pooling_and_its_gradient_multiply_nothing(reduce: str) -> None:
    x, weight = cc.tensor("x", "b h w c"), cc.tensor("weight", "b i j c")
    pooled = cc.contract("b (2*i+k) (2*j+l) c -> b i j c", x, reduce=reduce, k=2, l=2)
    loss = cc.contract("b i j c, b i j c ->", pooled, weight)
    (back,) = cc.grad(loss, [x])
    program = sizes_in({"loss": loss, "back": back}, x=(2, 8, 8, 3), weight=(2, 4, 4, 3))
    assert sum(n for _, n in contractions(program)) == 2 * 4 * 4 * 3
