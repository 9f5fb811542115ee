"""One-hot codes and embeddings: torch's and jax's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_oracle import agree, integers, numbers, run

from contractconv import functions as F
from contractconv.api.symbolic import grad
from contractconv.api.tensor import tensor
from contractconv.errors import OperandError, ShapeError

torch: Any = pytest.importorskip("torch")
T: Any = torch.nn.functional


def test_codes_are_torchs() -> None:
    labels = integers("b t", 9)
    code = run(lambda labels: F.one_hot(labels, "v", 9), {"labels": labels})[0]
    assert code.tolist() == T.one_hot(torch.tensor(labels[1]), 9).tolist()


def test_a_label_that_is_not_on_the_axis_has_a_code_of_zeros() -> None:
    jax = pytest.importorskip("jax")
    labels = np.array([-1, 0, 2, 3, 100])
    code = run(lambda labels: F.one_hot(labels, "v", 3), {"labels": ("b", labels)})[0]
    assert code.tolist() == jax.nn.one_hot(labels, 3).tolist()


def test_an_embedding_reads_rows_and_its_gradient_adds_up_in_them() -> None:
    agree(
        lambda tokens, table: F.embedding(tokens, table, "v"),
        T.embedding,
        {"tokens": integers("b t", 9), "table": numbers("v d")},
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, np.complex128])
def test_codes_widen_nothing(dtype: Any) -> None:
    table = numbers("v d")[1].astype(dtype)
    given = {"tokens": integers("b", 9), "table": ("v d", table)}
    (made,) = run(lambda tokens, table: F.embedding(tokens, table, "v"), given)
    assert made.dtype == dtype
    np.testing.assert_array_equal(made, table[given["tokens"][1]])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_labels_of_any_width(dtype: Any) -> None:
    labels = np.array([0, 2, 1], dtype)
    code = run(lambda labels: F.one_hot(labels, "v", 3), {"labels": ("b", labels)})[0]
    assert code.tolist() == np.eye(3)[labels.astype(int)].tolist()


def test_no_tokens() -> None:
    given = {"tokens": ("b", np.zeros(0, int)), "table": numbers("v d")}
    made, slope = run(lambda tokens, table: F.embedding(tokens, table, "v"), given, "table")
    assert made.shape == (0, 6)
    assert slope.shape == (9, 6)
    assert not slope.any()


def test_mistakes_are_said() -> None:
    tokens, table = tensor("tokens", "b v", "int64"), tensor("table", "v d")
    with pytest.raises(ShapeError, match="the labels have an axis 'v' already\n  b v\n    \\^"):
        F.one_hot(tokens, "v")
    with pytest.raises(ShapeError, match="the table has the axes 'v d', and none called 'w'"):
        F.embedding(tokens, table, "w")
    with pytest.raises(OperandError, match="tokens are integers"):
        F.embedding(tensor("tokens", "b"), table, "v")
    with pytest.raises(OperandError, match="tokens holds int64"):
        grad(F.embedding(tokens.named("b t"), table, "v"), tokens, 1.0)
