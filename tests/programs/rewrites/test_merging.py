"""Contractions that are merged where that is cheaper, and left alone elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from symbolic import both, contract, improved

from contractconv.api.tensor import Tensor, tensor
from contractconv.programs.nodes import Contract

RANDOM = np.random.default_rng(9)
A, B, V, D = tensor("A", "i j"), tensor("B", "j k"), tensor("v", "k"), tensor("d", "k")
SIGNAL, TAPS = tensor("s", "t c"), tensor("w", "m c o")
ARRAYS = {
    "A": RANDOM.standard_normal((40, 30)),
    "B": RANDOM.standard_normal((30, 20)),
    "v": RANDOM.standard_normal(20),
    "d": RANDOM.standard_normal(20),
    "s": RANDOM.standard_normal((50, 8)),
    "w": RANDOM.standard_normal((3, 8, 8)),
    "u": RANDOM.standard_normal((30, 2)),
    "p": RANDOM.standard_normal((2, 8)),
}
AB = contract("i j, j k -> i k", A, B)

CHEAPER = {
    "a chain": contract("i k, k -> i", AB, V),
    "a chain with the same names": contract("i j, j -> i", AB, V),
    "a factor": contract(
        "i j, -> i j", contract("i, j -> i j", tensor("A", "i j").at(j=0), V), 0.5
    ),
    "summed afterwards": contract("i k -> i", AB),
}
LEFT = {
    "a product of matrices": contract("i k, k l -> i l", AB, contract("l k -> k l", B * 1.5)),
    "a maximum": contract("i k, k -> i", AB, V, reduce="max"),
}


def contractions(made: list[Tensor]) -> int:
    return sum(isinstance(node, Contract) for node in improved(made, ARRAYS).graph.nodes)


@pytest.mark.parametrize("name", CHEAPER)
def test_what_is_cheaper_together_is_merged(name: str) -> None:
    before = sum(isinstance(n, Contract) for n in _nodes(CHEAPER[name]))
    assert contractions([CHEAPER[name]]) < before
    ((plain, new),) = both([CHEAPER[name]], ARRAYS)
    np.testing.assert_allclose(new, plain, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", LEFT)
def test_other_contractions_stay_apart(name: str) -> None:
    assert contractions([LEFT[name]]) >= 2
    ((plain, new),) = both([LEFT[name]], ARRAYS)
    np.testing.assert_allclose(new, plain, rtol=1e-11, atol=1e-11)


def test_what_others_read_too_is_made_once() -> None:
    made = [contract("i k, k -> i", AB, V), contract("i k, k -> i", AB, D)]
    assert contractions(made) == 3


def test_windows_of_a_contraction_read_zeros_outside_it() -> None:
    inner = contract("t c, a c -> t a", SIGNAL, tensor("p", "a c"))
    made = contract("(t+m-1) a -> t", inner, m=3)
    ((plain, new),) = both([made], ARRAYS)
    np.testing.assert_allclose(new, plain, rtol=1e-11, atol=1e-11)
    sums = (ARRAYS["s"] @ ARRAYS["p"].T).sum(axis=1)
    np.testing.assert_allclose(new, np.convolve(sums, np.ones(3), "same"))


def _nodes(made: Tensor) -> list[object]:
    from symbolic import program

    return list(program([made], ARRAYS).graph.nodes)
