"""Small sizes that fit a program: they are found where there are any, and one error says if not."""

from __future__ import annotations

from itertools import islice

import pytest

import contractconv as cc
from contractconv.errors import ShapeError
from contractconv.programs.program import Graph
from contractconv.programs.small_sizes import fitting

MANY = 10_000
STRINGS = [
    "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o", "(i-k), k -> i", "i, k -> (2*i+k)",
    "(h w c), c -> h", "(i+j+k), j, k -> i", "(2*i), i -> i", "i i -> i", "b i, i o -> b o",
    "(3*i+2*j-1), j -> i", "(0) i -> i", "i -> i i",
]  # fmt: skip
GIVEN = {"(h w c), c -> h": {"w": 2}}


def _program(string: str) -> cc.Program:
    ranks = map(len, cc.Contraction(string)._spec.inputs)
    operands = [
        cc.tensor(f"x{n}", " ".join(f"a{n}{m}" for m in range(rank)))
        for n, rank in enumerate(ranks)
    ]
    return cc.program(y=cc.contract(string, *operands, **GIVEN.get(string, {})))


@pytest.mark.parametrize("string", STRINGS)
@pytest.mark.parametrize("gradients", [False, True], ids=["forward", "backward"])
def test_every_string_has_small_sizes(string: str, gradients: bool) -> None:
    program = _program(string)
    if gradients:
        y = program["y"]
        back = cc.tensor("d_y", y.axes)
        inputs = list(program.inputs.values())
        made = cc.grad(y, inputs, cotangent=back)
        names = [f"d_{name}" for name in program.inputs]
        program = cc.program({"y": y, **dict(zip(names, made, strict=True))})
    for found in islice(fitting(program._graph, {}, MANY), 3):
        points = sum(problem.points for problem in found.problems.values())
        assert 0 < points <= MANY
        assert all(size for shape in found.shapes.values() for size in shape)


def test_sizes_that_one_tensor_has_in_two_places() -> None:
    """What an expression needs is not there: the axis is read by its index, too."""
    y = cc.tensor("y", "k")
    graph = Graph.of({"out": cc.contract("(3*i+2*j-1), j -> i", y, y)._node})
    found = next(fitting(graph, {}, MANY))
    assert found.problems


def test_shapes_that_are_given_are_kept() -> None:
    graph = _program("b i, i o -> b o")._graph
    found = next(fitting(graph, {"x0": (7, 5)}, MANY))
    assert found.shapes[graph.inputs[0]] == (7, 5)
    assert found.shapes[graph.inputs[1]][0] == 5


def test_inputs_with_the_same_axes_may_have_the_same_sizes() -> None:
    x, y, z = cc.tensor("x", "h"), cc.tensor("K", "k"), cc.tensor("L", "k")
    total = cc.contract("(i+k), k -> i", x, y)
    other = cc.contract("(i+k), k -> i", x, z).named("j")
    graph = cc.program(total=total, other=other)._graph
    shapes = [[found.shapes[node] for node in graph.inputs]
              for found in islice(fitting(graph, {}, MANY, alike=True), 8)]  # fmt: skip
    assert all(first == second for _, first, second in shapes)
    # Where that does not fit, they differ.
    found = next(fitting(graph, {"K": (2,), "L": (3,)}, MANY, alike=True))
    assert [found.shapes[node] for node in graph.inputs][1:] == [(2,), (3,)]


@pytest.mark.parametrize(
    ("string", "shapes", "reason"),
    [
        ("b i, i o -> b o", {"x0": (7, 5), "x1": (4, 2)}, "i"),
        ("b i, i o -> b o", {"x0": (70, 500)}, "points are too many to go through one by one"),
        ("b i, i o -> b o", {"x0": (7, 5, 3)}, "axes"),
    ],
)
def test_nothing_that_fits_is_one_error(
    string: str, shapes: dict[str, tuple[int, ...]], reason: str
) -> None:
    program = _program(string)
    message = rf"(?s)no small sizes fit all strings of program: give shapes .*{reason}"
    with pytest.raises(ShapeError, match=message):
        next(fitting(program._graph, shapes, MANY))
    with pytest.raises(ShapeError, match=message.replace("program", r"\w+")):
        program.verify(**shapes)
    if "many" not in reason:
        with pytest.raises(ShapeError, match=message):
            cc.equal(program["y"], program["y"], **shapes)
