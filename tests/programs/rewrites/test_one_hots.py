"""Contractions with one-hot codes: no code is made, and what is made is what the code says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from symbolic import both, contract, improved, steps

from contractconv.api.symbolic import grad
from contractconv.api.tensor import Tensor, applied, index, tensor
from contractconv.functions.codes import embedding, one_hot
from contractconv.planning.programs.steps import MapStep, RowsStep
from contractconv.programs.gathering import AddedRows, TakenRows
from contractconv.programs.nodes import Node

RANDOM = np.random.default_rng(5)
TOKENS, LABELS = tensor("tokens", "b t", "int64"), tensor("labels", "b", "int64")
TABLE, DEEP = tensor("E", "v d"), tensor("D", "d v e")
SCORES, BATCHED = tensor("z", "b v"), tensor("Z", "b d v")
ARRAYS: dict[str, Any] = {
    "tokens": np.array([[0, 4, 1], [7, -1, 4], [2, 2, 100], [-5, 3, 0]]),
    "labels": np.array([4, -2, 0, 9]),
    "E": RANDOM.standard_normal((5, 3)),
    "D": RANDOM.standard_normal((3, 5, 2)),
    "z": RANDOM.standard_normal((4, 5)),
    "Z": RANDOM.standard_normal((4, 3, 5)),
    "W": RANDOM.standard_normal((3, 6)),
    "g": RANDOM.standard_normal((4, 3, 3)),
    "m": RANDOM.standard_normal(4),
}


def code(labels: Tensor, axis: str = "v") -> Tensor:
    """A code that is no choice, but a truth value."""
    return labels == index(axis)


def kinds(made: Tensor, dtype: str = "float64") -> list[type[Node]]:
    """The kinds of the nodes that stand for codes."""
    nodes = improved([made], ARRAYS, dtype).graph.nodes
    return [type(n) for n in nodes if isinstance(n, TakenRows | AddedRows)]


g, m, W = tensor("g", "b t d"), tensor("m", "b"), tensor("W", "d o")
TAKEN = {
    "embedding": embedding(TOKENS, TABLE, "v"),
    "truth values": contract("b t v, v d -> b t d", code(TOKENS), TABLE),
    "the other way round": contract("v b, v d -> b d", applied("equal", index("v"), LABELS), TABLE),
    "turned": contract(
        "v b t, v d -> b t d", contract("b t v -> v b t", one_hot(TOKENS, "v", 5)), TABLE
    ),
    "an inner axis": contract("b v, d v e -> b d e", one_hot(LABELS, "v"), DEEP),
    "a batch that both have": contract("b v, b v -> b", one_hot(LABELS, "v"), SCORES),
    "counted truth values": contract("b v, b v -> b", code(LABELS), SCORES != 0),
    "a batch and a row": contract("b v, b d v -> d b", one_hot(LABELS, "v"), BATCHED),
    "two tables": contract("b v, v d, b v -> d b", one_hot(LABELS, "v"), TABLE, SCORES),
    "what follows": contract("b t v, v d, d o -> b t o", one_hot(TOKENS, "v"), TABLE, W),
    "summed labels": contract("b t v, v d -> b d", one_hot(TOKENS, "v"), TABLE),
    "all summed": contract("b v, b v ->", one_hot(LABELS, "v"), SCORES),
    "a factor in a map": contract("b v, v d -> b d", one_hot(LABELS, "v") * m, TABLE),
    "a chosen factor": contract("b v -> b", applied("where", code(LABELS), SCORES, 0)),
    "other names": contract("x y, y d -> x d", one_hot(LABELS, "v").named("p q"), TABLE),
    "labels on the way": embedding((TOKENS + 1) % 4, TABLE, "v"),
    "a number": contract("b v, v d -> b d", applied("where", code(LABELS), 2, 0), TABLE),
    "converted": contract("b v, v d -> b d", one_hot(LABELS, "v").cast("float64"), TABLE),
}
ADDED = {
    "gradient of an embedding": grad(embedding(TOKENS, TABLE, "v"), TABLE, cotangent=g),
    "with a batch": contract("b t v, b t d -> b v d", one_hot(TOKENS, "v"), g, v=5),
    "turned": contract("b t v, b t d -> d v", one_hot(TOKENS, "v"), g, v=5),
    "a histogram": contract("b t v -> v", one_hot(TOKENS, "v"), v=5),
    "weights": contract("b t v, b -> v", one_hot(TOKENS, "v"), m, v=5),
    "contracted before": contract("b t v, b t d, d o -> v o", one_hot(TOKENS, "v"), g, W, v=5),
    "a product": contract("b v, b, b d -> v d", one_hot(LABELS, "v"), m, SCORES.named("b d"), v=6),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_code_that_is_summed_chooses_rows(name: str) -> None:
    assert set(kinds(TAKEN[name])) == {TakenRows}
    ((plain, new),) = both([TAKEN[name]], ARRAYS)
    np.testing.assert_allclose(new, plain, rtol=1e-12, atol=1e-12)
    assert new.any()


@pytest.mark.parametrize("name", ADDED)
def test_a_code_that_is_kept_adds_rows(name: str) -> None:
    assert kinds(ADDED[name]) == [AddedRows]
    ((plain, new),) = both([ADDED[name]], ARRAYS)
    np.testing.assert_allclose(new, plain, rtol=1e-12, atol=1e-12)
    assert new.any()


def test_rows_are_those_of_the_table() -> None:
    ((_, new),) = both([TAKEN["embedding"]], ARRAYS)
    tokens, table = ARRAYS["tokens"], ARRAYS["E"]
    for place in np.ndindex(tokens.shape):
        label = tokens[place]
        wanted = table[label] if 0 <= label < len(table) else np.zeros(3)
        np.testing.assert_array_equal(new[place], wanted)


def test_sums_are_those_of_equal_labels() -> None:
    ((_, new),) = both([ADDED["gradient of an embedding"]], ARRAYS)
    wanted = np.zeros((5, 3))
    for place in np.ndindex(ARRAYS["tokens"].shape):
        label = ARRAYS["tokens"][place]
        if 0 <= label < 5:
            wanted[label] += ARRAYS["g"][place]
    np.testing.assert_allclose(new, wanted, rtol=1e-12)


LEFT = {
    "a mask": contract("b v, v d -> b v d", one_hot(LABELS, "v"), TABLE),
    "a window": contract("b v, (v+k) d -> b k d", one_hot(LABELS, "v", 4), TABLE, k=2),
    "fractions": contract("b v, v d -> b d", m == index("v"), TABLE),
    "not zero": contract("b v, v d -> b d", applied("where", code(LABELS), 1, -1), TABLE),
    "other than": contract("b v, v d -> b d", applied("not_equal", LABELS, index("v")), TABLE),
    "a maximum": contract("b v, v d -> b d", one_hot(LABELS, "v"), TABLE, reduce="max"),
    "shifted places": contract(
        "v b, v d -> b d", applied("equal", index("v", 5) + 1, LABELS), TABLE
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_no_code_is_left_alone(name: str) -> None:
    assert not kinds(LEFT[name])
    ((plain, new),) = both([LEFT[name]], ARRAYS)
    np.testing.assert_allclose(new, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "uint64"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64", "float64"])
def test_dtypes_of_labels_and_of_tables(kind: str, dtype: str) -> None:
    labels = tensor("labels", "b", kind)
    values = np.array([0, 2, 200 if kind.startswith("u") else -1, 2, 127], kind)
    table = RANDOM.integers(-4, 5, (3, 2)).astype(dtype)
    rows = RANDOM.integers(-4, 5, (5, 2)).astype(dtype)
    read = embedding(labels, TABLE, "v")
    back = grad(read, TABLE, cotangent=tensor("r", "b d"))
    for plain, new in both([read, back], {"labels": values, "E": table, "r": rows}, dtype):
        assert plain.dtype == new.dtype
        np.testing.assert_array_equal(new, plain)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int64"])
def test_tables_of_integers(kind: str) -> None:
    table = tensor("I", "v d", kind)
    read = contract("b v, v d -> b d", code(LABELS), table)
    added = contract("b v, b d -> v d", code(LABELS), tensor("R", "b d", kind), v=3)
    arrays = {
        "labels": np.array([1, 1, -1, 0]),
        "I": RANDOM.integers(0, 100, (3, 2)).astype(kind),
        "R": RANDOM.integers(0, 100, (4, 2)).astype(kind),
    }
    for plain, new in both([read, added], arrays):
        assert plain.dtype == new.dtype == kind
        np.testing.assert_array_equal(new, plain)


@pytest.mark.parametrize(("tokens", "rows"), [((0, 3), 5), ((2, 0), 5), ((2, 3), 0), ((0, 0), 0)])
def test_empty_arrays(tokens: tuple[int, int], rows: int) -> None:
    arrays = {
        "tokens": np.zeros(tokens, int),
        "E": np.ones((rows, 3)),
        "g": np.ones((*tokens, 3)),
    }
    read = embedding(TOKENS, TABLE, "v")
    for plain, new in both([read, grad(read, TABLE, cotangent=g)], arrays):
        assert plain.shape == new.shape
        np.testing.assert_array_equal(new, plain)


def test_infinite_rows_that_nobody_chooses_do_not_matter() -> None:
    arrays = ARRAYS | {"labels": np.array([0, 1]), "E": np.array([[1.0], [2.0], [np.inf]])}
    with np.errstate(invalid="ignore"):
        ((_, new),) = both([embedding(LABELS, TABLE, "v")], arrays)
    assert new.tolist() == [[1.0], [2.0]]


def test_a_code_that_meets_maps_is_part_of_them() -> None:
    shares = applied("exp", SCORES)
    made = shares - one_hot(LABELS, "v") * m
    taken = steps([made], ARRAYS)
    assert [type(step) for step in taken] == [MapStep]
    product = contract("b v, b -> b v", one_hot(LABELS, "v"), m, v=5)
    taken = steps([shares - product], ARRAYS)
    assert [type(step) for step in taken] == [MapStep]
    ((plain, new),) = both([shares - product], ARRAYS)
    np.testing.assert_allclose(new, plain, rtol=1e-12)


def test_steps_say_what_they_do() -> None:
    (step,) = steps([TAKEN["embedding"]], ARRAYS)
    assert isinstance(step, RowsStep)
    assert step.node.described == "of 'v' the rows that labels 'b t' choose"
    (step,) = steps([ADDED["gradient of an embedding"]], ARRAYS)
    assert isinstance(step, RowsStep)
    assert step.node.described == "rows added up in 'v' by labels 'b t'"
