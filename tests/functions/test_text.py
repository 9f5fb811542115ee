"""What functions make, and its gradients, can be written and read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import contractconv as cc
from contractconv import functions as F

X, LABELS = cc.tensor("x", "b t d"), cc.tensor("labels", "b t", "int64")
K, V = X.named("b s d"), X.named("b s d")
FUNCTIONS: dict[str, Callable[[], Any]] = {
    "softmax": lambda: F.softmax(X, "d"),
    "log_softmax": lambda: F.log_softmax(X, "t d"),
    "logsumexp": lambda: F.logsumexp(X, "d"),
    "variance": lambda: F.variance(X, "b t", 1),
    "cross_entropy": lambda: F.cross_entropy(X, LABELS, "d", 0.1, LABELS > 0),
    "huber": lambda: F.huber(X, 0.5 * X),
    "binary_cross_entropy": lambda: F.binary_cross_entropy(X, F.one_hot(LABELS, "d")),
    "layer_norm": lambda: F.layer_norm(X, "d", cc.tensor("scale", "d")),
    "batch_norm": lambda: F.batch_norm(X, "b t")[0],
    "group_norm": lambda: F.group_norm(X, "t", "d", 3),
    "attention": lambda: F.attention(X, K, V, "s", "d", F.banded_mask("t", "s", 2)),
    "embedding": lambda: F.embedding(LABELS, cc.tensor("table", "v d"), "v"),
    "rope": lambda: F.rope(X, "t", "d", pairs="neighbours"),
    "sinusoidal": lambda: X + F.sinusoidal(X, "t", "d"),
    "max_pool": lambda: F.max_pool(X, {"t": 3, "d": 2}, 1, 1),
    "avg_pool": lambda: F.avg_pool(X, {"t": 3}),
    "geglu": lambda: F.geglu(X, "d"),
    "dropout": lambda: F.dropout(X, LABELS > 1, 0.1),
    "sgd": lambda: F.sgd(X, X * X, 0.1, 0.01),
    "rmsprop": lambda: F.rmsprop(X, X * X, X, 0.1, 0.9, decay=0.01)[0],
    "lion": lambda: F.lion(X, X * X, X, 0.1, decay=0.01)[0],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_programs_are_read_back(name: str) -> None:
    made = FUNCTIONS[name]()
    program = cc.program(y=F.sum(made), name=name)
    for one in (program, program.grad()):
        again = cc.read(str(one))
        assert again == one
        assert str(again) == str(one)
