"""All gradients of a contraction, or a recurrence, cost about twice what it costs itself."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import pytest

import contractconv as cc
from contractconv.functions import lstm_cell

SIZE = 8


class Case(NamedTuple):
    """A value of some parameters.

    Attributes:
        made: the value, without axes or with some.
        parameters: what it is differentiated by.
        sizes: of each axis.
    """

    made: Any
    parameters: list[Any]
    sizes: dict[str, int]


def network(terms: list[str], output: str, sizes: dict[str, int] | None = None) -> Case:
    """A contraction of tensors with these axes."""
    tensors = [cc.tensor(f"t{n}", axes) for n, axes in enumerate(terms)]
    names = {name for axes in terms for name in axes.split()}
    known = dict.fromkeys(names, SIZE) | (sizes or {})
    # A window's taps, and the image that it slides over, are not as long as ranks.
    return Case(cc.contract(f"{', '.join(terms)} -> {output}", *tensors), tensors, known)


def chain(count: int) -> Case:
    return network([f"x{n} x{n + 1}" for n in range(count)], f"x0 x{count}")


def tree(count: int) -> Case:
    """Each tensor joins two branches below it."""
    terms = [f"e{n} e{2 * n + 1} e{2 * n + 2}" for n in range(count)]
    terms += [f"e{n}" for n in range(count, 2 * count + 1)]
    return network(terms, "e0")


def cp(count: int) -> Case:
    """A tensor in factors that share a rank, against another one of the kind."""
    first = [f"i{n} r" for n in range(count)]
    second = [f"i{n} s" for n in range(count)]
    return network([*first, *second], "")


def tucker(count: int) -> Case:
    """A matrix on each axis of what are three cores in a row."""
    cores = [f"a{n} m{n} a{n + 1}" for n in range(count)]
    matrices = [f"m{n} i{n}" for n in range(count)]
    vectors = [f"i{n}" for n in range(count)]
    return network([*cores, *matrices, *vectors], f"a0 a{count}")


def tensor_train(count: int) -> Case:
    return network(
        [*(f"r{n} i{n} r{n + 1}" for n in range(count)), *(f"i{n}" for n in range(count))],
        f"r0 r{count}",
    )


def recurrence(count: int) -> Case:
    """An LSTM over some steps; the sequence is read step by step."""
    x, h, c = cc.tensor("x", "b t i"), cc.tensor("h", "b h"), cc.tensor("c", "b h")
    W, U = cc.tensor("W", "i gate h"), cc.tensor("U", "u gate h")
    bias = cc.tensor("bias", "gate h")
    state, cell = h, c
    for step in range(count):
        state, cell = lstm_cell(x.at(t=step), state, cell, W, U, bias)[:2]
    sizes = dict.fromkeys("bihu", SIZE) | {"gate": 4, "t": count}
    return Case(state, [W, U], sizes)


def costs(case: Case, order: int) -> tuple[int, int, int]:
    """Operations forward, those with all derivatives, and bytes at once with all of them."""
    made = case.made
    # What is summed alone would be summed before it is made.
    loss = cc.functions.sum(made * made)
    along = [cc.tensor(f"v{n}", p.axes) for n, p in enumerate(case.parameters)]
    whole = cc.grad(loss, case.parameters)
    if order == 2:
        whole = cc.hvp(loss, case.parameters, along)
    plans = [_plan(outputs, case.sizes) for outputs in ([loss], [loss, *whole])]
    return plans[0].operations, plans[1].operations, plans[1].peak


def _plan(outputs: list[Any], sizes: dict[str, int]) -> Any:
    compiled = cc.compile(outputs)
    shapes = {n.name: tuple(sizes[a] for a in n.axes) for n in compiled.graph.inputs}
    return compiled.runner(**shapes).plan


def steepening(counts: list[int], values: list[int]) -> float:
    """By what the last rise exceeds the one before; one for a straight line, whatever its ends."""
    (n0, n1, n2), (v0, v1, v2) = counts[-3:], values[-3:]
    return ((v2 - v1) / (n2 - n1)) / ((v1 - v0) / (n1 - n0))


CASES: dict[str, tuple[Callable[[int], Case], list[int]]] = {
    "chain": (chain, [2, 5, 10, 20, 50]),
    "tree": (tree, [3, 7, 15, 31]),
    "CP": (cp, [3, 5, 9, 16]),
    "Tucker": (tucker, [2, 4, 8, 14]),
    "tensor train": (tensor_train, [3, 6, 12, 20]),
    "LSTM": (recurrence, [5, 10, 20, 50, 100]),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_cost_twice_the_forward_pass(name: str) -> None:
    make, counts = CASES[name]
    stored = []
    for count in counts:
        case = make(count)
        one, both, peak = costs(case, 1)
        leaves = sum(prod(case.sizes[a] for a in p.axes) for p in case.parameters)
        assert both - one <= 2.0 * one + 4 * leaves
        stored.append(peak)
    assert steepening(counts, stored) <= 1.05


@pytest.mark.parametrize("name", ["chain", "tensor train", "CP", "LSTM"])
def test_second_derivatives_are_linear_too(name: str) -> None:
    make, counts = CASES[name]
    counts = [count for count in counts if count <= 50]
    found = [costs(make(count), 2) for count in counts]
    assert steepening(counts, [whole for _, whole, _ in found]) <= 1.05
    # The shortest ones hold no more than their ends.
    assert steepening(counts, [peak for _, _, peak in found]) <= 1.1
    assert all(whole <= 12 * one for one, whole, _ in found)


def test_what_is_not_linear_is_noticed() -> None:
    assert steepening([2, 4, 8], [7, 11, 19]) == 1
    assert steepening([2, 4, 8], [4, 16, 64]) == pytest.approx(2)
