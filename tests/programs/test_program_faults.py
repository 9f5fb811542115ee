"""Small programs, each of which was once wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.api.compiling import compile as compiled
from contractconv.api.symbolic import concatenated, grad, hvp, jvp
from contractconv.api.tensor import Tensor, applied, index, tensor
from contractconv.programs.nodes import Contract, in_order
from contractconv.programs.program import Graph
from contractconv.programs.text.reader import read
from contractconv.programs.text.writer import write

A = np.arange(6.0).reshape(2, 3)
ROW = np.array([3.0, 1.0, 2.0])
X, ROWS = tensor("x", "i"), tensor("x", "q k")


def contract(*given: Any, **named: Any) -> Any:
    """A contraction of symbolic tensors."""
    return cc.contract(*given, **named)


def test_a_second_derivative_through_a_mean_of_nothing() -> None:
    u, v, w = tensor("u"), tensor("dx", "i"), tensor("du")
    loss = u * contract("i ->", X, reduce="mean")
    made = compiled(hvp(loss, [X, u], [v, w])[1], [X, u, v, w])
    assert made(np.zeros(0), np.array(2.0), np.zeros(0), np.array(1.0)) == 0


def test_second_derivatives_of_scattered_products() -> None:
    made = contract("i, i -> i i", X, X, reduce="prod")
    loss = contract("i j -> ", made)
    v = tensor("v", "i")
    assert np.all(compiled(hvp(loss, X, v), [X, v])(ROW, np.ones(3)) == 2)


@pytest.mark.parametrize("given", [X, -X, X + 1, 2 * X])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_of_constant_gradients(given: Tensor, dtype: str) -> None:
    assert compiled(grad(contract("i ->", given), X), [X])(ROW.astype(dtype)).dtype == dtype


def test_gradients_through_operands_with_open_axes() -> None:
    made = contract("j i -> i", index("j") * X, j=3)
    found = compiled(grad(contract("i, i ->", made, made), X), [X])(ROW)
    np.testing.assert_array_equal(found, 2 * 9 * ROW)


def test_gradients_through_an_open_value_that_gets_two_sizes() -> None:
    y, z, moved = tensor("y", "t"), tensor("z", "t"), X * index("t")
    loss = contract("i t, t ->", moved, y) + contract("i t, t ->", moved, z)
    found = compiled(grad(loss, X), [X, y, z])(ROW, np.ones(3), np.ones(5))
    np.testing.assert_array_equal(found, [13, 13, 13])


def test_gradients_by_what_a_position_decides() -> None:
    made = applied("where", index("i") < 1, X, 1.5)
    found = compiled(grad(contract("i ->", made), X), [X])(ROW)
    np.testing.assert_array_equal(found, [1, 0, 0])


def test_gradients_by_what_a_position_weighs() -> None:
    y = tensor("y", "j")
    made = grad(contract("j, i ->", y, X * index("i")), X)
    np.testing.assert_array_equal(compiled(made, [y, X])(np.ones(2), ROW), [0, 2, 4])


def test_gradients_of_embeddings_that_are_summed() -> None:
    labels, table = tensor("labels", "p", "int64"), tensor("table", "v c")
    hot = applied("equal", labels, index("q"))
    loss = contract("p c ->", contract("p q, q c -> p c", hot, table))
    made = compiled(grad(loss, table), [labels, table])(np.array([0, 2, 0]), np.ones((3, 2)))
    np.testing.assert_array_equal(made, [[2, 2], [0, 0], [1, 1]])


@pytest.mark.parametrize("outputs", [[X, X], [X * 2, (X * 3).called("result_0")]])
def test_as_many_results_as_were_asked_for(outputs: list[Tensor]) -> None:
    assert len(compiled(outputs)(ROW)) == 2


@pytest.mark.parametrize("name", ["class", "two words", "_hidden"])
def test_names_of_outputs_are_checked_at_once(name: str) -> None:
    with pytest.raises(cc.ContractionError):
        compiled({name: X * 2, "b": X})


def test_second_derivatives_of_powers_at_exponent_zero() -> None:
    a, b, d, e = (tensor(name) for name in "abde")
    call = compiled(hvp(a**b, [a, b], [d, e])[1], [a, b, d, e])
    assert call(*map(np.array, (2.0, 0.0, 1.0, 0.0))) == 0.5


def test_nodes_have_as_many_axes_as_their_results() -> None:
    made = contract("(p+q-1) -> p", X, reduce="prod", q=3)
    slope = hvp(contract("p, p ->", made, made), X, tensor("v", "i"))
    for node in in_order([slope._node]):
        if isinstance(node, Contract) and not node.local:
            assert len(node.axes) == len(node.spec.output)
    graph = Graph.of({"h": slope._node})
    assert read(write(graph)).wanted == graph.wanted


@pytest.mark.parametrize("axis", ["q", "k"])
def test_concatenations(axis: str) -> None:
    made = concatenated([ROWS, ROWS * 2, ROWS], axis)
    wanted = np.concatenate([A, 2 * A, A], "qk".index(axis))
    np.testing.assert_array_equal(compiled(made)(A), wanted)


SLICES = [(None, -1), (0, 1), (None, 2), (1, None), (-2, None), (1, 2), (0, 3)]


@pytest.mark.parametrize(("start", "stop"), SLICES)
def test_slices(start: int | None, stop: int | None) -> None:
    found = compiled(ROWS.at(k=slice(start, stop)))(A)
    np.testing.assert_array_equal(found, A[:, start:stop])


def test_slices_from_the_end_that_begin_at_the_start() -> None:
    np.testing.assert_array_equal(compiled(ROWS.at(k=slice(-3, 1)))(A), A[:, -3:1])


def test_concatenations_behind_nothing() -> None:
    made = concatenated([tensor("n", "q k"), ROWS, ROWS], "k")
    np.testing.assert_array_equal(compiled(made)(np.ones((2, 0)), A), np.hstack([A, A]))


@pytest.mark.parametrize("at", [3, -4])
def test_elements_outside_are_zero(at: int) -> None:
    np.testing.assert_array_equal(compiled(ROWS.at(k=at))(A), [0, 0])


def test_slices_that_begin_outside_begin_with_zeros() -> None:
    made = compiled(ROWS.at(k=slice(-5, None)))(A)
    np.testing.assert_array_equal(made, np.hstack([np.zeros((2, 2)), A]))


def everything(loss: Tensor, arrays: dict[str, tuple[Tensor, Any]]) -> None:
    """Compile a loss with all its derivatives, and call it."""
    wrt = [value for value, _ in arrays.values()]
    along = [tensor(f"d_{name}", value.axes) for name, value in zip(arrays, wrt, strict=True)]
    made = [loss, jvp(loss, wrt, along), *grad(loss, wrt), *hvp(loss, wrt, along)]
    given = {name: array for name, (_, array) in arrays.items()}
    given |= {f"d_{name}": array for name, (_, array) in arrays.items()}
    for outputs in (*([one] for one in made), made):
        call = compiled(outputs, dtype="float64")
        call(**{node.name: given[node.name] for node in call.graph.inputs})


def test_diagonals_of_one_tensor_several_times() -> None:
    x = tensor("x", "t i")
    made = contract("i i, i i, j j ->", x, x, x)
    everything(made * made, {"x": (x, np.ones((3, 3)))})


def test_diagonals_of_windows() -> None:
    x, w = tensor("x", "c b"), tensor("w", "q b")
    made = contract("(p+q) b, q b -> b p", x, w, p=2)
    loss = contract("i j, j j ->", w, made)
    everything(loss, {"x": (x, np.ones((3, 2))), "w": (w, np.ones((3, 2)))})


def test_diagonals_at_one_place() -> None:
    u, x, w = tensor("u"), tensor("x", "t i"), tensor("w", "at")
    loss = contract("( at ), ( at ) ->", w, contract(", i i -> (0)", u, x))
    arrays = {"u": (u, np.array(2.0)), "x": (x, np.ones((2, 2))), "w": (w, np.ones(1))}
    everything(loss, arrays)


def test_squares_of_windows() -> None:
    x, w = tensor("x", "i"), tensor("w", "q")
    made = contract("(p-q-1), q -> p", x, w, p=2)
    everything(contract("p, p ->", made, made), {"x": (x, np.ones(2)), "w": (w, np.ones(2))})


@pytest.mark.parametrize("reduce", ["prod", "max"])
def test_diagonals_under_other_reductions(reduce: str) -> None:
    x, w = tensor("x", "c b"), tensor("w")
    loss = w * contract("i i, i i ->", x, x, reduce=reduce)
    everything(loss, {"x": (x, np.eye(3) + 1), "w": (w, np.array(2.0))})


def test_compositions_beside_windows_that_are_left_whole() -> None:
    x, w = tensor("x", "l k i"), tensor("w")
    made = contract(", l l k i, l l k i -> (k l) (-i+1)", w, *[contract("l k i -> l l k i", x)] * 2)
    everything(
        contract("a b, a b ->", made, made), {"w": (w, np.array(2.0)), "x": (x, np.ones((2, 3, 4)))}
    )
