"""Data of every form; what is wrong with data and options is said before the first step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_networks import classes, flat, network, perceptron

import contractconv as cc
from contractconv.errors import OperandError, ParameterError, ShapeError

L, T = cc.layers, cc.training


x, labels = np.ones((6, 3), "float32"), np.zeros(6, int)


def one_way(data: Any, **options: Any) -> dict[str, Any]:
    fit = perceptron().fit(data, epochs=3, optimizer=T.SGD(0.1), batch=8, **options)
    return flat(fit.params)


def test_arrays_lists_and_functions_give_the_same() -> None:
    x, labels = classes()
    x = x[:, 0, 0].astype("float32")
    batches = [(x[n : n + 8], labels[n : n + 8]) for n in range(0, 22, 8)]
    wanted = one_way((x, labels), shuffle=False)
    ways = {
        "lists of numbers": (x.tolist(), labels.tolist()), "a list": [x, labels],
        "batches": batches, "tuple": tuple(batches), "lists": [[*batch] for batch in batches],
        "function": lambda rng: iter(batches), "function of lists": lambda rng: batches,
    }  # fmt: skip
    for name, data in ways.items():
        options = {"shuffle": False} if name in ("a list", "lists of numbers") else {}
        found = one_way(data, **options)
        assert all(np.array_equal(found[n], wanted[n]) for n in wanted), name


def test_a_function_draws_by_the_generator_and_ends_after_so_many_steps() -> None:
    x, labels = classes()

    def endless(rng: np.random.Generator) -> Any:
        while True:
            rows = rng.integers(0, 22, 5)
            yield x[rows, 0, 0], labels[rows]

    rate = T.SGD(T.Cosine(0.1))
    fits = [perceptron().fit(endless, epochs=3, steps_per_epoch=4, optimizer=rate) for _ in "ab"]
    assert [fit.steps for fit in fits] == [12, 12]
    one, other = (flat(fit.params) for fit in fits)
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_every_row_is_taken_once_an_epoch_in_another_order() -> None:
    seen: list[list[int]] = []

    def watching(batch: Any, rng: np.random.Generator) -> Any:
        seen.append(batch[0][:, 0].astype(int).tolist())
        return batch

    x = np.arange(22.0)[:, None] * np.ones((1, 2))
    perceptron().fit((x, np.zeros(22, int)), epochs=2, batch=8, augment=watching)
    epochs = [[n for batch in part for n in batch] for part in (seen[:3], seen[3:])]
    assert [len(batch) for batch in seen] == [8, 8, 6] * 2
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(22))
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        ((x,), OperandError, "what comes in, then what is wanted"),
        ([], OperandError, "what comes in, then what is wanted"),
        (x, OperandError, "not a ndarray"),
        (None, OperandError, "not a NoneType"),
        (3, OperandError, "not a int"),
        ((x, labels[:4]), ShapeError, r"\(6, 3\), \(4,\)"),
        ((x[:0], labels[:0]), ShapeError, r"\(0, 3\), \(0,\)"),
        ((x, np.array(1)), ShapeError, r"\(6, 3\), \(\)"),
        ([(x, labels), (x, labels[:2])], ShapeError, r"a batch .*\(6, 3\), \(2,\)"),
        ([(x, labels), x], OperandError, "a batch is a tuple"),
        (([[1.0], [1.0, 2.0]], [0, 1]), OperandError, "no array"),
        (((x, labels) for _ in range(2)), OperandError, "only once"),
        (lambda rng: [], ParameterError, "no batch"),
        ((x, x, labels), OperandError, r"takes 1 inputs \(x\), not 2|take x, target"),
        ((x, labels[:, None]), ShapeError, r"has shape \(6, 1\).*\(6,\)"),
        ((x, labels + 3), OperandError, "3 classes, from 0 to 2, and labels from 3 to 3"),
        ((x, labels - 1), OperandError, "labels from -1"),
        ((x, labels.astype(float)), OperandError, "labels are integers"),
        ((x, labels.astype(object)), OperandError, "real numbers"),
        ((x, labels.astype(str)), OperandError, "real numbers"),
    ],
)
def test_wrong_data_are_said_before_the_first_step(data: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        perceptron().fit(data, epochs=1)


def test_what_can_be_gone_through_only_once_is_said() -> None:
    once = iter([(x, labels)])
    with pytest.raises(ParameterError, match="through once only"):
        perceptron().fit(lambda rng: once, epochs=1)


def test_a_wrong_shape_is_said_with_the_part() -> None:
    with pytest.raises(ShapeError, match="conv_1"):
        network().fit((x, labels))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 0}, "epochs=0"), ({"epochs": 2.5}, "epochs=2.5"), ({"batch": 0}, "batch=0"),
        ({"batch": True}, "batch=True"), ({"every": 0}, "every=0"), ({"patience": -1}, "patience"),
        ({"seed": -1}, "seed=-1"), ({"seed": "a"}, "seed='a'"), ({"clip": 0}, "clip=0"),
        ({"clip": "a"}, "clip='a'"), ({"average": 1.0}, r"average=1\.0"),
        ({"average": True}, "average=True"), ({"optimizer": "adam"}, "optimizer='adam'"),
        ({"loss": "cross"}, "no loss 'cross'"), ({"loss": 3}, "neither a name nor a function"),
        ({"metrics": "acc"}, "no metric 'acc'"), ({"metrics": [3]}, "neither a name nor"),
        ({"metrics": {"loss": len}}, "two measures 'loss'"),
        ({"metrics": ["accuracy", "accuracy"]}, "two measures 'accuracy'"),
        ({"patience": 2, "monitor": "accuracy"}, "there are loss$"),
        ({"steps_per_epoch": 3}, "somebody else makes"),
    ],
)  # fmt: skip
def test_wrong_options_are_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        perceptron().fit((x, labels), **options)


@pytest.mark.parametrize("made", [None, x, (x,), 3])
def test_what_augments_makes_a_batch(made: Any) -> None:
    with pytest.raises(OperandError, match="augment= makes is a tuple"):
        perceptron().fit((x, labels), augment=lambda batch, rng: made)


def test_parameters_are_of_one_kind() -> None:
    net = perceptron()
    params = net.init(0, x)
    params["dense_1"]["W"] = params["dense_1"]["W"].astype("float16")
    with pytest.raises(OperandError, match=r"dense_1\.W is float16"):
        net.fit((x, labels), params=params)
    params["dense_1"]["W"] = np.ones((3, 6), int)
    with pytest.raises(OperandError, match=r"dense_1\.W is int64"):
        net.fit((x, labels), params=params)


def test_a_rate_that_changes_needs_the_number_of_steps() -> None:
    with pytest.raises(ParameterError, match="steps_per_epoch="):
        perceptron().fit(lambda rng: [(x, labels)], optimizer=T.SGD(T.Cosine(0.1)))
