"""Whatever is searched has a bound: adversarial sizes are planned at once, or refused.

Times are those of an idle machine many times over: what these calls are guarded against takes
minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.planning import lowerings, tilings
from contractconv.planning.orders.network import Network
from contractconv.tiles.decomposition import MOST_PRODUCTS

# Seconds that no search takes.
PATIENCE = 10


def within_patience(call: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = call()
    assert time.perf_counter() - start < PATIENCE
    return result


@pytest.mark.parametrize(("outputs", "taps"), [(40, 3), (3, 40), (24, 25), (1, 48), (48, 1)])
def test_large_tiles_are_derived_exactly(outputs: int, taps: int) -> None:
    tile = within_patience(lambda: cc.toom_cook(outputs, taps))
    assert tile.products == outputs + taps - 1
    # The definition, in integers, where no rounding can hide a fault.
    a, b, c = map(tile.exact, "ABC")
    x, w = [n * n % 7 - 3 for n in range(tile.span)], [n % 5 - 2 for n in range(taps)]
    data = [sum(a[y][p] * x[y] for y in range(tile.span)) for p in range(tile.products)]
    kernel = [sum(c[k][p] * w[k] for k in range(taps)) for p in range(tile.products)]
    products = [d * e for d, e in zip(data, kernel, strict=True)]
    for i in range(0, outputs, 7):
        found = sum(p * q for p, q in zip(b[i], products, strict=True))
        assert found == sum(x[i + k] * w[k] for k in range(taps))


@pytest.mark.parametrize(("outputs", "taps"), [(100, 3), (3, 1000), (10**6, 10**6), (25, 25)])
def test_larger_tiles_are_refused_at_once(outputs: int, taps: int) -> None:
    with pytest.raises(cc.AlgorithmError, match=f"the most is {MOST_PRODUCTS}"):
        within_patience(lambda: cc.toom_cook(outputs, taps))


def layer(dimensions: int, stride: int = 1) -> str:
    pairs = [(f"i{n}", f"k{n}") for n in range(dimensions)]
    windows = " ".join(f"({stride}*{i}+{k})" for i, k in pairs)
    taps, results = (" ".join(names) for names in ([k for _, k in pairs], [i for i, _ in pairs]))
    return f"b {windows} c, {taps} c o -> b {results} o"


@pytest.mark.parametrize("algorithm", ["toom-cook", "fft", "direct", "auto"])
@pytest.mark.parametrize(("dimensions", "size"), [(4, 10), (5, 10), (6, 8)])
def test_layers_of_many_dimensions_are_planned(
    algorithm: cc.Algorithm, dimensions: int, size: int
) -> None:
    contraction = cc.Contraction(layer(dimensions))
    shapes = (1, *[size] * dimensions, 2), (*[3] * dimensions, 2, 2)
    plan = within_patience(lambda: contraction.plan(*shapes, algorithm=algorithm))
    if algorithm == "toom-cook":
        assert "Toom-Cook" in str(plan)


def test_many_tiles_are_not_all_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    seconds = lowerings.seconds_of

    def counted(*given: Any) -> float:
        nonlocal count
        count += 1
        return seconds(*given)

    monkeypatch.setattr(tilings, "seconds_of", counted)
    cc.clear_caches()
    contraction = cc.Contraction(layer(7))
    contraction.plan((1, *[9] * 7, 1), (*[2] * 7, 1, 1), algorithm="toom-cook")
    assert 0 < count < 3000


def test_what_is_chosen_of_many_tiles_is_hardly_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = (2, 12, 10, 9, 8), (3, 3, 2, 8, 16)
    contraction = cc.Contraction(layer(3))

    def seconds() -> float:
        cc.clear_caches()
        (step,) = contraction.plan(*shapes, algorithm="toom-cook").steps
        return step.choice.chosen.seconds

    every = seconds()
    monkeypatch.setattr(tilings, "_MOST_TILINGS", 1)
    assert seconds() < 1.5 * every


@pytest.mark.parametrize("algorithm", ["toom-cook", "fft"])
def test_strides_do_not_split_into_thousands(algorithm: cc.Algorithm) -> None:
    contraction = cc.Contraction(layer(2, stride=200))
    with pytest.raises(cc.AlgorithmError, match="too many parts"):
        within_patience(
            lambda: contraction.plan((1, 900, 900, 2), (199, 199, 2, 2), algorithm=algorithm)
        )


def chain(count: int) -> str:
    links = ", ".join(f"c{n} c{n + 1}" for n in range(count - 1))
    return f"b (i+k) c0, k c0, {links} -> b i c{count - 1}"


def pairs(count: int) -> str:
    return ", ".join(f"b (i+k{n}), k{n}" for n in range(count // 2)) + " -> b i"


@pytest.mark.parametrize("count", [8, 20, 60])
@pytest.mark.parametrize("form", [chain, pairs])
def test_many_operands_are_ordered(form: Callable[[int], str], count: int) -> None:
    spec = form(count)
    shapes = [
        tuple(12 if "+" in axis else 3 for axis in term.replace("(", " ").replace(")", " ").split())
        for term in spec.partition("->")[0].split(",")
    ]
    plan = within_patience(lambda: cc.Contraction(spec).plan(*shapes))
    assert len(plan.steps) >= len(shapes) - 1


def test_ordering_takes_few_tries_an_operand(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []
    result = Network.result

    def counted(*given: Any) -> int:
        tries.append(1)
        return result(*given)

    monkeypatch.setattr(Network, "result", counted)
    counts = []
    for count in (80, 160):
        tries.clear()
        spec = chain(count)
        cc.Contraction(spec).plan((2, 9, 3), (3, 3), *[(3, 3)] * (count - 1))
        counts.append(len(tries))
    assert 0 < counts[1] < 3 * counts[0]


def test_orders_that_are_searched_agree_with_any_other() -> None:
    rng = np.random.default_rng(0)
    spec = chain(12)
    operands = [rng.integers(-1, 2, (2, 6, 3)), rng.integers(-1, 2, (3, 3))]
    operands += [rng.integers(-1, 2, (3, 3)) for _ in range(11)]
    made = cc.contract(spec, *operands)
    expected = sum(operands[0][:, k : k + 4] * operands[1][k] for k in range(3))
    for operand in operands[2:]:
        expected = expected @ operand
    assert np.array_equal(made, expected)


def test_a_limit_on_many_operands_is_kept_or_refused() -> None:
    count = 20
    spec = ", ".join(f"a{n} a{n + 1}" for n in range(count)) + f" -> a0 a{count}"
    operands = [np.ones((16, 16), np.float32)] * count
    free = cc.contract(spec, *operands)
    try:
        made = within_patience(lambda: cc.contract(spec, *operands, memory_limit=4000))
    except cc.MemoryLimitError as error:
        least = int(str(error).rpartition(" ")[2])
        made = within_patience(lambda: cc.contract(spec, *operands, memory_limit=least))
    np.testing.assert_allclose(made, free, rtol=1e-5)
