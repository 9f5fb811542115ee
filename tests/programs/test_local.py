"""Products whose results are scattered, differentiated twice and three times.

The oracle takes each element of a result as the product of what lands on it, in whole numbers that
change in some directions at once, or in torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest

import contractconv as cc

Numbers = np.ndarray[Any, Any]


class Case(NamedTuple):
    """A product: its string, extents, what lands where, and what a point reads of each operand."""

    string: str
    sizes: Mapping[str, int]
    lands: Callable[..., tuple[Any, ...]]
    reads: tuple[Callable[..., tuple[int, ...]], ...]
    shapes: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]
    given: Mapping[str, Any] = MappingProxyType({})
    parameters: str = ""


def _i(i: int, *rest: int) -> tuple[int, ...]:
    return (i,)


def _k(i: int, k: int) -> tuple[int, ...]:
    return (k,)


def _both(*point: int) -> tuple[int, ...]:
    return point


IK = {"i": 4, "k": 3}
CASES = [
    Case("i, i -> i i", {"i": 4}, lambda i: (i, i), (_i, _i), ((4,), (4,)), (4, 4)),
    Case("i, k -> (i+k)", IK, lambda i, k: (i + k,), (_i, _k), ((4,), (3,)), (6,)),
    Case("i, k -> (2*i+k)", IK, lambda i, k: (2 * i + k,), (_i, _k), ((4,), (3,)), (9,)),
    Case("i, k -> (2*i+3*k)", IK, lambda i, k: (2 * i + 3 * k,), (_i, _k), ((4,), (3,)), (13,)),
    Case("i, k -> (k-i)", IK, lambda i, k: (k - i,), (_i, _k), ((4,), (3,)), (3,),
         {"output_shape": (3,)}),
    Case("i, k -> (2*i+k-1)", IK, lambda i, k: (2 * i + k - 1,), (_i, _k), ((4,), (3,)), (7,),
         {"output_shape": (7,)}),
    Case("i k -> (i+k) (i-k)", IK, lambda i, k: (i + k, i - k), (_both,), ((4, 3),), (6, 4),
         {"output_shape": (6, 4)}),
    Case("i k -> (i+k) (i+k)", IK, lambda i, k: (i + k, i + k), (_both,), ((4, 3),), (6, 6)),
    Case("i k -> (i+k) k", IK, lambda i, k: (i + k, k), (_both,), ((4, 3),), (6, 3)),
    Case("i k -> (i k)", IK, lambda i, k: (3 * i + k,), (_both,), ((4, 3),), (12,)),
    Case("i k -> (0) k", IK, lambda i, k: (0, k), (_both,), ((4, 3),), (1, 3)),
    Case("i k -> ((i+k)/2)", IK, lambda i, k: ((i + k) / 2,), (_both,), ((4, 3),), (3,),
         {"output_shape": (3,)}),
    Case("i -> (2*i)", {"i": 4}, lambda i: (2 * i,), (_i,), ((4,),), (7,)),
    Case("i j k -> (i+j) (j+2*k)", {"i": 3, "j": 2, "k": 2}, lambda i, j, k: (i + j, j + 2 * k),
         (_both,), ((3, 2, 2),), (4, 4)),
    Case("i j k -> (i+j+k)", {"i": 3, "j": 2, "k": 2}, lambda i, j, k: (i + j + k,),
         (_both,), ((3, 2, 2),), (5,)),
    Case("(i+k-1), k -> i", {"i": 4, "k": 3}, _i, (lambda i, k: (i + k - 1,), _k), ((4,), (3,)),
         (4,)),
    Case("(i+k), k -> (2*i+k)", IK, lambda i, k: (2 * i + k,), (lambda i, k: (i + k,), _k),
         ((6,), (3,)), (9,)),
    Case("i, k -> (s*i+k)", IK, lambda i, k: (2 * i + k,), (_i, _k), ((4,), (3,)), (9,),
         {"s": 2}, "s"),
    Case("i k -> (s*i+k) (i-d*k)", IK, lambda i, k: (2 * i + k, i - k), (_both,), ((4, 3),), (9, 4),
         {"s": 2, "d": 1, "output_shape": (9, 4)}, "s d"),
]  # fmt: skip
ZEROS = ["none", "one", "two", "all"]


def _groups(case: Case) -> Iterator[tuple[tuple[int, ...], list[list[tuple[int, ...]]]]]:
    """The elements that something lands on, and what each point that does reads of operands."""
    found: dict[tuple[int, ...], list[list[tuple[int, ...]]]] = {}
    for point in product(*map(range, case.sizes.values())):
        at = case.lands(*point)
        places = [read(*point) for read in case.reads]
        inside = all(0 <= n < size for place, shape in zip(places, case.shapes, strict=True)
                     for n, size in zip(place, shape, strict=True))  # fmt: skip
        if inside and all(
            n == int(n) and 0 <= n < size for n, size in zip(at, case.shape, strict=True)
        ):
            found.setdefault(tuple(map(int, at)), []).append(places)
    yield from found.items()


def _arrays(case: Case, zeros: str) -> list[Numbers]:
    rng = np.random.default_rng(3)
    arrays = [rng.choice([-2, -1, 1, 2, 3], shape).astype(float) for shape in case.shapes]
    count = {"none": 0, "one": 1, "two": 2, "all": arrays[0].size}[zeros]
    arrays[0].reshape(-1)[rng.permutation(arrays[0].size)[:count]] = 0
    return arrays


def _weights(case: Case) -> Numbers:
    return np.random.default_rng(5).integers(-2, 3, case.shape).astype(float)


def _program(case: Case, third: bool = False) -> Any:
    """The Hessian of a weighted sum of squares, or how it changes, times vectors."""
    axes = [" ".join(f"a{n}{m}" for m in range(len(s))) for n, s in enumerate(case.shapes)]
    xs = [cc.tensor(f"x{n}", names) for n, names in enumerate(axes)]
    vs = [cc.tensor(f"v{n}", names) for n, names in enumerate(axes)]
    form = cc.Contraction(case.string, reduce="prod", parameters=case.parameters)
    made: Any = form(*xs, **{**_open(case), **case.given})
    weights = cc.tensor("weights", made.axes)
    loss: Any = cc.contract(f"{_names(made)}, {_names(made)} ->", weights, made * made)
    found = cc.hvp(loss, xs, vs)
    if third:
        inner = [cc.contract(f"{_names(h)}, {_names(h)} ->", h, v)
                 for h, v in zip(found, vs, strict=True)]  # fmt: skip
        found = cc.grad(sum(inner[1:], inner[0]), xs)
    return cc.program({f"h{n}": h for n, h in enumerate(found)}, inputs=[*xs, *vs, weights])


def _open(case: Case) -> dict[str, int]:
    """The extents that operands do not tell."""
    alone = set(case.string.partition(" -> ")[0].replace(",", " ").split())
    return {name: size for name, size in case.sizes.items() if name not in alone}


def _names(tensor: Any) -> str:
    return " ".join("pqrs"[: len(tensor.axes)])


# -- whole numbers that change -------------------------------------------------------------------


def _times(first: dict[int, int], second: dict[int, int]) -> dict[int, int]:
    """The product of polynomials in numbers whose squares are zero; a bit stands for each."""
    made: dict[int, int] = {}
    for (n, a), (m, b) in product(first.items(), second.items()):
        if not n & m:
            made[n | m] = made.get(n | m, 0) + a * b
    return made


def _expected(case: Case, xs: list[Numbers], vs: list[Numbers], third: bool) -> list[Numbers]:
    """The derivative along the vectors (twice for a third one), by each element of operands."""
    weights = _weights(case)
    found = [np.zeros(shape) for shape in case.shapes]
    last = 7 if third else 3
    for number, array in enumerate(found):
        for place in np.ndindex(array.shape):
            for at, points in _groups(case):
                element = {0: 1}
                for n, read in [pair for reads in points for pair in enumerate(reads)]:
                    value = {0: int(xs[n][read]), 1: int(vs[n][read])}
                    value[2] = int(n == number and read == place)
                    element = _times(element, value | ({4: value[1]} if third else {}))
                square = _times(element, element)
                array[place] += weights[at] * square.get(last, 0)
    return found


@pytest.mark.parametrize("zeros", ZEROS)
@pytest.mark.parametrize("case", CASES, ids=[case.string for case in CASES])
def test_second_derivatives_are_exact(case: Case, zeros: str) -> None:
    xs, vs = _arrays(case, zeros), _arrays(case, "none")
    found = _program(case)(*xs, *vs, _weights(case))
    found = found if isinstance(found, tuple) else (found,)
    for made, expected in zip(found, _expected(case, xs, vs, False), strict=True):
        np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("case", CASES[::3], ids=[case.string for case in CASES[::3]])
def test_third_derivatives_are_exact(case: Case) -> None:
    xs, vs = _arrays(case, "two"), _arrays(case, "none")
    found = _program(case, third=True)(*xs, *vs, _weights(case))
    found = found if isinstance(found, tuple) else (found,)
    for made, expected in zip(found, _expected(case, xs, vs, True), strict=True):
        np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("zeros", ZEROS)
@pytest.mark.parametrize("case", CASES, ids=[case.string for case in CASES])
def test_second_derivatives_are_those_of_torch(case: Case, zeros: str) -> None:
    torch = pytest.importorskip("torch")
    arrays, vs = _arrays(case, zeros), _arrays(case, "none")
    xs = [torch.tensor(array, requires_grad=True) for array in arrays]
    weights = torch.tensor(_weights(case))
    loss = torch.zeros((), dtype=torch.float64)
    for at, points in _groups(case):
        factors = [xs[n][read] for reads in points for n, read in enumerate(reads)]
        loss = loss + weights[at] * torch.stack(factors).prod() ** 2
    slopes = torch.autograd.grad(loss, xs, create_graph=True)
    inner = sum((s * torch.tensor(v)).sum() for s, v in zip(slopes, vs, strict=True))
    expected = torch.autograd.grad(inner, xs, allow_unused=True)
    found = _program(case)(*arrays, *vs, _weights(case))
    found = found if isinstance(found, tuple) else (found,)
    for made, wanted, x in zip(found, expected, arrays, strict=True):
        np.testing.assert_allclose(made, np.zeros_like(x) if wanted is None else wanted.numpy())


def test_of_other_points_there_are_a_window_and_not_all() -> None:
    """Those that land on one element: of two indices one says the other."""
    text = str(_program(CASES[2]))
    assert '"((2*i+k-k_)/2) k_ -> i k k_"' in text
    assert "i_" not in text


@pytest.mark.parametrize("sizes", [(0, 3), (4, 0), (0, 0), (1, 1)])
@pytest.mark.parametrize("string", ["i, k -> (2*i+k)", "i, k -> (i+k) (i-k)"])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_of_empty_products_and_other_numbers(
    string: str, sizes: tuple[int, int], dtype: str
) -> None:
    case = Case(string, {}, _both, (), tuple((n,) for n in sizes), ())
    made = _program(case)
    weights = np.ones(cc.Contraction(string).output_shape(*case.shapes), dtype)
    found = made(*(np.ones(n, dtype) for n in sizes * 2), weights)
    assert [array.shape for array in found] == [(n,) for n in sizes]
    assert all(array.dtype == dtype for array in found)
    expected = 4 if sizes == (1, 1) else 0  # (x w)² has the Hessian 2, 4; 4, 2
    assert all(array == pytest.approx(expected + 2 * (expected > 0)) for array in found)
