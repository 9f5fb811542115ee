"""What one-hot codes and masks take in memory: they are never there as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from allocations import peak_beyond_result
from symbolic import contract

import contractconv as cc
from contractconv.api.compiling import compile
from contractconv.api.symbolic import grad
from contractconv.api.tensor import Tensor, applied, index, tensor
from contractconv.functions.codes import embedding, one_hot
from contractconv.functions.losses import cross_entropy

RANDOM = np.random.default_rng(2)
TOKENS, LABELS = tensor("tokens", "b t", "int64"), tensor("labels", "b", "int64")
TABLE, LOGITS, SCORES = tensor("E", "v d"), tensor("z", "b class"), tensor("s", "q k")


def peak(outputs: Tensor, inputs: Sequence[Tensor], arrays: Sequence[Any]) -> int:
    """Bytes beyond the result of a call that is not the first one."""
    ready = compile(outputs, list(inputs), dtype="float32")
    ready(*arrays)
    threads = cc.get_num_threads()
    cc.set_num_threads(1)
    try:
        ready(*arrays)
        return peak_beyond_result(lambda: ready(*arrays))
    finally:
        cc.set_num_threads(threads)


def test_an_embedding_takes_nothing_beside_its_rows() -> None:
    tokens = RANDOM.integers(0, 5000, (8, 32))
    table = RANDOM.standard_normal((5000, 16)).astype("f4")
    code = 8 * 32 * 5000
    assert peak(embedding(TOKENS, TABLE, "v"), [TOKENS, TABLE], [tokens, table]) < code // 20


def test_its_gradient_takes_nothing_beside_the_rows() -> None:
    tokens = RANDOM.integers(0, 5000, (8, 32))
    table = RANDOM.standard_normal((5000, 16)).astype("f4")
    back = RANDOM.standard_normal((8, 32, 16)).astype("f4")
    g = tensor("g", "b t d")
    made = grad(embedding(TOKENS, TABLE, "v"), TABLE, cotangent=g)
    assert peak(made, [TOKENS, TABLE, g], [tokens, table, back]) < 10 * back.nbytes


def test_the_loss_makes_no_code() -> None:
    logits = RANDOM.standard_normal((256, 1000)).astype("f4")
    labels = RANDOM.integers(0, 1000, 256)
    chosen = contract("b class, b class -> b", one_hot(LABELS, "class"), LOGITS)
    assert peak(chosen, [LABELS, LOGITS], [labels, logits]) < logits.nbytes // 20


def test_the_gradient_of_the_loss_makes_no_code() -> None:
    logits = RANDOM.standard_normal((256, 1000)).astype("f4")
    labels = RANDOM.integers(0, 1000, 256)
    made = grad(cross_entropy(LOGITS, LABELS), LOGITS)
    # The differences from the greatest logits, and their exponentials, and blocks in the cache.
    assert peak(made, [LOGITS, LABELS], [logits, labels]) < 3 * logits.nbytes


def test_a_causal_mask_is_never_there() -> None:
    size = 1024
    scores = RANDOM.standard_normal((size, size)).astype("f4")
    masked = applied("where", index("q") >= index("k"), SCORES, -np.inf)
    assert peak(masked, [SCORES], [scores]) < size * size // 2


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "labels",
    [
        lambda: RANDOM.integers(0, 50, 40),
        lambda: RANDOM.integers(0, 3, 400),
        lambda: RANDOM.integers(-30, 80, 400),
        lambda: np.zeros(300, int),
        lambda: np.arange(50)[::-1],
        lambda: np.full(7, -1),
    ],
)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("width", [1, 6])
def test_sums_over_labels(labels: Callable[[], Any], order: Any, dtype: str, width: int) -> None:
    chosen = labels()
    rows = RANDOM.standard_normal((len(chosen), width)).astype(dtype, order=order)
    made = contract("b v, b d -> v d", one_hot(LABELS, "v"), tensor("r", "b d"), v=50)
    found = compile(made, [LABELS, tensor("r", "b d")])(chosen, rows)
    wanted = np.zeros((50, width), complex)
    inside = (chosen >= 0) & (chosen < 50)
    np.add.at(wanted, chosen[inside], rows[inside])
    assert found.dtype == dtype
    scale = max(1, np.abs(wanted).max())
    near = {"float16": 2e-3, "float32": 1e-6, "complex64": 1e-6, "float64": 1e-14}[dtype]
    np.testing.assert_allclose(found / scale, wanted / scale, rtol=0, atol=near)


def test_long_sums_lose_no_digits() -> None:
    rows = np.full((1 << 20, 2), 0.1, "f4")
    r = tensor("r", "b d")
    ready = compile(contract("b v, b d -> v d", one_hot(LABELS, "v"), r, v=2), [LABELS, r])
    found = ready(np.ones(1 << 20, int), rows)
    np.testing.assert_allclose(found[1] / (1 << 20), 0.1, rtol=1e-5)


def test_sums_are_the_same_each_time() -> None:
    chosen = RANDOM.integers(0, 20, 5000)
    rows = RANDOM.standard_normal((5000, 8)).astype("f4")
    r = tensor("r", "b d")
    ready = compile(contract("b v, b d -> v d", one_hot(LABELS, "v"), r, v=20), [LABELS, r])
    first = ready(chosen, rows)
    assert all((ready(chosen, rows) == first).all() for _ in range(3))


def test_what_is_read_only_or_strided_is_read() -> None:
    wide = RANDOM.standard_normal((20, 12))
    table, tokens = wide[::2, ::3], RANDOM.integers(0, 10, (4, 6))[:, ::2]
    table.flags.writeable = tokens.flags.writeable = False
    found = compile(embedding(TOKENS, TABLE, "v"), [TOKENS, TABLE])(tokens, table)
    np.testing.assert_array_equal(found, table[tokens])
    assert found.flags.writeable


def test_labels_that_are_no_places_read_zeros() -> None:
    table = RANDOM.standard_normal((5, 3))
    tokens = np.array([[-1, 0], [5, 4]])
    found = compile(embedding(TOKENS, TABLE, "v"), [TOKENS, TABLE])(tokens, table)
    np.testing.assert_array_equal(found[[0, 1], [0, 0]], 0)
    np.testing.assert_array_equal(found[[0, 1], [1, 1]], table[[0, 4]])
