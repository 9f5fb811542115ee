"""Orders that a caller chooses, what they cost, and how long choosing takes."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import opt_einsum
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import evaluate

import contractconv as cc
from contractconv.cache_register import clear_caches
from contractconv.planning.options import ORDERS

Shape = tuple[int, ...]
Network = tuple[str, list[Shape]]

NETWORKS: dict[str, tuple[str, list[Shape]]] = {
    "chain": ("ab,bc,cd,de->ae", [(2, 3), (3, 4), (4, 2), (2, 5)]),
    "ring": ("ab,bc,cd,da->", [(2, 3), (3, 4), (4, 2), (2, 2)]),
    "star": ("ax,bx,cx,dx->abcd", [(2, 3), (3, 3), (4, 3), (2, 3)]),
    "batch": ("zab,zbc,zcd->zad", [(2, 2, 3), (2, 3, 4), (2, 4, 2)]),
    "products": ("a,b,ab,ab->ab", [(3,), (4,), (3, 4), (3, 4)]),
    "peps": ("abp,acq,bdr,cds->pqrs", [(2, 3, 2), (2, 2, 3), (3, 4, 2), (2, 4, 2)]),
}


@st.composite
def paths(draw: st.DrawFn, count: int) -> list[tuple[int, ...]]:
    """Steps of one operand, of two, or of more, until one is left."""
    found: list[tuple[int, ...]] = []
    while count > 1:
        size = draw(st.integers(1 if len(found) < 3 else 2, count))
        found.append(tuple(draw(st.permutations(range(count)))[:size]))
        count -= size - 1
    return found


def numbers(shapes: list[Shape]) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return [rng.integers(-3, 4, shape) for shape in shapes]


@pytest.mark.parametrize("name", NETWORKS)
@given(data=st.data())
def test_any_path_gives_the_same_sum(name: str, data: st.DataObject) -> None:
    spec, shapes = NETWORKS[name]
    arrays = numbers(shapes)
    path = data.draw(paths(len(shapes)))
    assert (cc.contract(spec, *arrays, optimize=path) == np.einsum(spec, *arrays)).all()


WINDOWS = "a (i+k), k b, (2*j+l) b x, l y, a -> i j"  # x and y belong to one operand alone
WINDOW_SHAPES: list[Shape] = [(2, 6), (3, 2), (7, 2, 2), (3, 3), (2,)]


WINDOW_EXTENTS = {"a": 2, "i": 4, "k": 3, "b": 2, "j": 3, "l": 3, "x": 2, "y": 3}


@given(data=st.data())
def test_any_path_goes_with_windows_and_lone_indices(data: st.DataObject) -> None:
    arrays = numbers(WINDOW_SHAPES)
    wanted = evaluate(WINDOWS, arrays, WINDOW_EXTENTS, (4, 3))
    path = data.draw(paths(len(arrays)))
    assert (cc.contract(WINDOWS, *arrays, path=path) == wanted).all()
    limited = cc.contract(WINDOWS, *arrays, path=path, memory_limit=2000)
    assert (limited == wanted).all()


@pytest.mark.parametrize("optimize", ORDERS)
def test_names_mean_this_librarys_search_where_there_are_windows(optimize: Any) -> None:
    plan = cc.Contraction(WINDOWS).plan(*WINDOW_SHAPES, optimize=optimize)
    greedy = optimize == "greedy"
    assert plan.order.source == ("greedy" if greedy else "least predicted time of all orders")
    assert plan.order.proved is not greedy


@pytest.mark.parametrize("optimize", sorted(set(ORDERS) - {"auto", "auto-hq"}))
@pytest.mark.parametrize("name", NETWORKS)
def test_a_named_search_is_opt_einsums_and_so_are_its_operations(name: str, optimize: Any) -> None:
    spec, shapes = NETWORKS[name]
    path, info = opt_einsum.contract_path(spec, *shapes, shapes=True, optimize=optimize)
    plan = cc.Contraction(spec).plan(*shapes, optimize=optimize)
    assert [step.positions for step in plan.steps] == [tuple(sorted(pair)) for pair in path]
    assert f"order: {optimize!r} of opt_einsum" in str(plan)
    # Both count a multiplication and an addition as two; with nothing to add, as one.
    assert plan.flops == info.opt_cost


@pytest.mark.parametrize("optimize", ORDERS)
@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("name", NETWORKS)
def test_empty_networks_have_orders_too(name: str, size: int, optimize: Any) -> None:
    spec, shapes = NETWORKS[name]
    arrays = [np.ones((size,) * len(shape), int) for shape in shapes]
    assert (cc.contract(spec, *arrays, optimize=optimize) == np.einsum(spec, *arrays)).all()


@given(data=st.data())
def test_operations_of_a_given_path_are_those_of_opt_einsum(data: st.DataObject) -> None:
    spec, shapes = NETWORKS[data.draw(st.sampled_from(sorted(NETWORKS)))]
    pairs, count = [], len(shapes)
    for left in range(count, 1, -1):
        pairs.append(tuple(sorted(data.draw(st.permutations(range(left)))[:2])))
    _, info = opt_einsum.contract_path(spec, *shapes, shapes=True, optimize=pairs)
    assert cc.Contraction(spec).plan(*shapes, optimize=pairs).flops == info.opt_cost


def _home(search: Any) -> str:
    """The module of a function, of what is partly applied, or of an object that is called."""
    search = getattr(search, "func", search)
    return str(getattr(search, "__module__", type(search).__module__))


def test_the_names_are_those_of_opt_einsum() -> None:
    from opt_einsum import paths as known

    # Others, such as cotengra, add their own.
    own = {name for name, search in known._PATH_OPTIONS.items() if "opt_einsum" in _home(search)}
    assert set(ORDERS) == own


class Backwards:
    """An optimizer by its call alone, as cotengra's are; it cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(
        self, inputs: Any, output: Any, size_dict: Any, memory_limit: Any = None
    ) -> list[tuple[int, int]]:
        """The last two meet, and their result with the one before."""
        assert all(set(term) <= size_dict.keys() for term in (*inputs, output))
        return [(n - 2, n - 1) for n in range(len(inputs), 1, -1)]


OPTIMIZERS: dict[str, Any] = {
    "a class of one's own": Backwards,
    "a function": lambda: Backwards().__call__,
    "opt_einsum's": lambda: opt_einsum.RandomGreedy(max_repeats=4),
    "opt_einsum's dynamic programming": lambda: opt_einsum.DynamicProgramming(minimize="size"),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", [*NETWORKS, "windows"])
def test_optimizers_are_called(name: str, optimizer: str) -> None:
    spec, shapes = NETWORKS.get(name, (WINDOWS, WINDOW_SHAPES))
    arrays, optimize = numbers(shapes), OPTIMIZERS[optimizer]()
    wanted = cc.contract(spec, *arrays)
    assert (cc.contract(spec, *arrays, optimize=optimize) == wanted).all()
    run = cc.Contraction(spec).compile(*shapes, dtype=int, optimize=optimize)
    assert (run(*arrays) == wanted).all()
    assert run.plan.order.source == f"{type(optimize).__name__}, as given"


def test_paths_of_numpy_are_taken() -> None:
    spec, shapes = NETWORKS["ring"]
    arrays = numbers(shapes)
    path, _ = np.einsum_path(spec, *arrays, optimize="optimal")
    assert cc.contract(spec, *arrays, optimize=path) == np.einsum(spec, *arrays)


@pytest.mark.parametrize(("path", "said"), [
    ([(0, 4)], r"^step 1 of the path takes \(0, 4\), but 4 operands are left"),
    ([(0, 1), (0, 3)], r"^step 2 of the path takes \(0, 3\), but 3 operands are left"),
    ([(0, -1)], r"^step 1 of the path takes \(0, -1\)"),
    ([(1, 1)], r"^step 1 of the path takes \(1, 1\)"),
    ([(0, 1), ()], r"^step 2 of the path takes \(\)"),
    ([(0, 1), (0, 1)], r"^after 2 steps of the path 2 operands are left"),
    ([], r"^after 0 steps of the path 4 operands are left"),
    ([(0, 1), (0, 1), (0, 1), (0, 1)], r"^step 4 of the path takes \(0, 1\), but 1 operand"),
    ([0, 1], r"^a path is a list of tuples of positions"),
    ([("a", "b")], r"^a path is a list of tuples of positions"),
    (3, r"^a path is a list of tuples of positions"),
    (False, r"^operands meet in pairs"),
    ("Fast", r"^unknown optimize 'Fast': choose one of auto"),
], ids=repr)  # fmt: skip
def test_wrong_paths(path: Any, said: str) -> None:
    spec, shapes = NETWORKS["chain"]
    for call in (cc.Contraction(spec).plan, cc.Contraction(spec).compile):
        with pytest.raises(cc.AlgorithmError, match=said):
            call(*shapes, optimize=path)
        if callable(path) or isinstance(path, list):
            with pytest.raises(cc.AlgorithmError, match=said):
                call(*shapes, optimize=lambda *network: path)


def test_a_reduction_that_has_no_order_takes_none() -> None:
    with pytest.raises(cc.AlgorithmError, match="there is no order to choose"):
        cc.Contraction("a, a, a ->", reduce="max").plan((2,), (2,), (2,), optimize="greedy")


def test_choosing_leaves_the_callers_random_numbers_alone() -> None:
    spec, shapes = NETWORKS["peps"]
    random.seed(3)
    wanted = random.random()
    random.seed(3)
    for optimize in ("random-greedy", opt_einsum.RandomGreedy(max_repeats=4)):
        cc.Contraction(spec).plan(*shapes, optimize=optimize)
    assert random.random() == wanted


def test_an_order_is_not_searched_for_again() -> None:
    asked = []

    def ask(inputs: Any, *network: Any) -> list[tuple[int, int]]:
        asked.append(inputs)
        return [(0, 1)] * (len(inputs) - 1)

    clear_caches()
    chain = cc.Contraction(NETWORKS["chain"][0])
    for dtype in ("float32", "float64"):
        for algorithm in ("auto", "direct"):
            chain.plan(*NETWORKS["chain"][1], dtype=dtype, algorithm=algorithm, optimize=ask)
    assert len(asked) == 1


# --- how much choosing takes ---------------------------------------------------------------------


def chain(count: int) -> Network:
    return ", ".join(f"i{n} i{n + 1}" for n in range(count)) + f" -> i0 i{count}", [(3, 3)] * count


def tree(count: int) -> Network:
    terms = (f"i{n} i{2 * n + 1} i{2 * n + 2}" for n in range(count))
    return ", ".join(terms) + " -> i0", [(2, 2, 2)] * count


def mps(count: int) -> Network:
    half = count // 2
    terms = [f"{name}{n} p{n} {name}{n + 1}" for name in "ab" for n in range(half)]
    return ", ".join(terms) + f" -> a0 b0 a{half} b{half}", [(3, 2, 3)] * (2 * half)


def windowed(count: int) -> Network:
    terms = [*(f"i{n} i{n + 1}" for n in range(count - 1)), f"(i{count - 1}+k)"]
    return ", ".join(terms) + " -> i0 k", [*[(3, 3)] * (count - 1), (5,)]


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called, those of this library and of what it calls."""
    total = 0

    def seen(frame: object, event: str, argument: object) -> None:
        nonlocal total
        total += event == "call"

    clear_caches()
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(None)
    return total


def slope(counts: dict[int, int]) -> float:
    (few, less), (many, more) = min(counts.items()), max(counts.items())
    return math.log(more / less) / math.log(many / few)


def planning(network: Network) -> Callable[[], object]:
    return lambda: cc.Contraction(network[0]).plan(*network[1])


def deriving(network: Network) -> Callable[[], object]:
    return lambda: cc.Contraction(network[0]).grad(0).scatter


def planning_back(network: Network) -> Callable[[], object]:
    spec, shapes = network
    run = cc.Contraction(spec).compile(*shapes, optimize="auto")
    return lambda: run.vjp_plan(0)


@pytest.mark.parametrize("work", [planning, deriving, planning_back])
@pytest.mark.parametrize("kind", [chain, tree, mps, windowed])
def test_effort_grows_with_the_number_of_operands(
    kind: Callable[[int], Network], work: Callable[[Network], Callable[[], object]]
) -> None:
    work(kind(4))()
    counts = {count: calls_of(work(kind(count))) for count in (20, 160)}
    assert slope(counts) < 1.3, counts


def test_a_slope_that_is_too_steep_is_seen() -> None:
    def twice(count: int) -> None:
        for _ in range(count * count):
            math.gcd(1, 2)
            slope({1: 1, 2: 2})

    counts = {count: calls_of(lambda: twice(count)) for count in (20, 40)}  # noqa: B023
    assert slope(counts) > 1.9
