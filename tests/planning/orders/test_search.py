"""Orders that are found: against every order there is, and against those of opt_einsum."""

from __future__ import annotations

import json
from math import inf
from random import Random
from typing import Any

import numpy as np
import opt_einsum
import pytest
from every_order import Drawn, costs_of_path, drawn, drawn_plain, every_tree, least_costs, path_of
from hypothesis import settings
from opt_einsum.testing import rand_equation
from oracle import evaluate

import contractconv as cc
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.planning.orders.exact import Orders, Part, TooManyError, cheapest
from contractconv.planning.orders.greedy import disturbed, greedy
from contractconv.planning.orders.network import Network
from contractconv.planning.orders.search import as_positions
from contractconv.planning.orders.tree import Tree
from contractconv.planning.path import MINIMIZED, Minimize, Search
from contractconv.planning.plan import order_of, reduced

DEEP = settings().max_examples > 1000
# Operands, and how many networks of so many: there are 105 orders of five, 10,395 of seven.
DRAWN = {2: 10, 3: 20, 4: 30, 5: 40, 6: 60, 7: 40} if DEEP else {2: 4, 3: 8, 4: 8, 5: 4}


SEPARABLE = "b (i+k) (j+l) c, k r, l r, c r, r o -> b i j o"
SHAPES = [(8, 100, 100, 32), (3, 16), (3, 16), (32, 16), (16, 64)]


def networks(seed: int = 0) -> list[Drawn]:
    draw = Random(seed)
    return [drawn(draw, count) for count, many in DRAWN.items() for _ in range(many)]


@pytest.mark.parametrize("network", networks(), ids=lambda network: network.spec)
def test_no_order_costs_less(network: Drawn) -> None:
    problem = network.problem
    least = least_costs(problem)
    for minimize in MINIMIZED:
        order = order_of(problem, Search("auto", minimize))
        found = costs_of_path(problem, order.pairs)[minimize]
        assert found == pytest.approx(least[minimize], rel=1e-9)
        assert order.proved or len(problem.operands) == 2


PLAIN = {3: 10, 4: 40, 5: 120, 6: 60, 7: 20} if DEEP else {3: 5, 4: 20, 5: 10}


@pytest.mark.parametrize("count", PLAIN)
def test_no_order_of_a_plain_network_has_fewer_operations(count: int) -> None:
    """Outer products of which no good can come are left out: none of the others is missed."""
    draw = Random(count)
    for network in [drawn_plain(draw, count) for _ in range(PLAIN[count])]:
        order = order_of(network.problem, Search("auto-hq", "operations"))
        found = costs_of_path(network.problem, order.pairs)["operations"]
        assert found == least_costs(network.problem)["operations"], network


@pytest.mark.parametrize("count", [5, 6, 7, 8])
def test_outer_products_that_are_left_out_are_none_of_the_best(count: int) -> None:
    draw = Random(count)
    for _ in range(2000 if DEEP else 60):
        drawn = drawn_plain(draw, count)
        problem = reduced(drawn.problem)
        network = Network(problem, "operations")
        costs = []
        for network.counts_operations in (True, False):
            for most in (inf, Tree.of(network, greedy(network)).cost * 1.001):
                steps = cheapest(network, whole(network), most, 10**6) or []
                costs.append(sum(step.cost for step in steps))
        assert costs == pytest.approx(costs[:1] * 4), drawn


def test_an_index_of_one_value_binds_nothing() -> None:
    """The number that `i` sums to meets `g` first, which is a number, too: one operation less."""
    spec = "i,c,debgf,hc,i,fb,g,eadh->a"
    shapes = [(6,), (2,), (6, 1, 3, 1, 2), (6, 2), (6,), (2, 3), (1,), (1, 4, 6, 6)]
    problem = resolve(parse(spec), shapes, {})
    pairs = order_of(problem, Search("auto-hq", "operations")).pairs
    assert costs_of_path(problem, pairs)["operations"] == 439


def test_what_one_search_has_found_out_is_of_use_for_the_next() -> None:
    draw = Random(8)
    for _ in range(40):
        network = Network(reduced(drawn_plain(draw, 8).problem), "operations")
        both = Orders(network, whole(network))
        bound = Tree.of(network, greedy(network)).cost
        first = both.cheapest(bound, 10**6, outer=False)
        bound = sum(step.cost for step in first) if first else bound
        second = both.cheapest(bound, 10**6)
        alone = cheapest(network, whole(network), bound, 10**6)
        costs = [sum(step.cost for step in steps or []) for steps in (second, alone)]
        assert costs[0] == pytest.approx(costs[1])


def test_the_number_of_trees_is_known() -> None:
    assert [len(list(every_tree(tuple(range(n))))) for n in range(1, 7)] == [1, 1, 3, 15, 105, 945]


def test_every_order_gives_the_same_sum() -> None:
    rng = np.random.default_rng(0)
    draw = Random(5)
    for network in [drawn(draw, count, (1, 2, 3)) for count in (3, 3, 4, 4)]:
        spec, shapes, extents = network
        arrays = [rng.integers(-3, 4, shape) for shape in shapes]
        sizes = cc.Contraction(spec).output_shape(*shapes, extents=extents)
        wanted = evaluate(spec, arrays, extents, sizes)
        for tree in every_tree(tuple(range(len(shapes)))):
            path = path_of(tree, len(shapes))
            assert (cc.contract(spec, *arrays, path=path, extents=extents) == wanted).all(), spec


@pytest.mark.parametrize("minimize", MINIMIZED)
def test_what_a_search_counts_is_what_the_plan_does(minimize: Minimize) -> None:
    """Sets of bits say of any order what the steps of its plan say, one by one."""
    draw = Random(3)
    for network in networks(1):
        problem = reduced(network.problem)
        found = Network(problem, minimize)
        pairs = greedy(found, disturbed(draw))
        path = as_positions(pairs, len(problem.operands))
        seen = costs_of_path(problem, path)[minimize]
        assert Tree.of(found, pairs).cost == pytest.approx(seen, rel=1e-9), network


# --- many operands -----------------------------------------------------------------------------


def plain(count: int, regularity: int, seed: int) -> tuple[str, list[tuple[int, ...]]]:
    spec, shapes = rand_equation(count, regularity, n_out=1, d_min=2, d_max=5, seed=seed)[:2]
    return str(spec), [tuple(shape) for shape in shapes]


@pytest.mark.parametrize(("count", "regularity"), [(8, 3), (12, 3), (14, 2), (14, 3), (30, 3)])
def test_plain_networks_are_ordered_as_well_as_by_opt_einsum(count: int, regularity: int) -> None:
    spec, shapes = plain(count, regularity, seed=count)
    _, info = opt_einsum.contract_path(spec, *shapes, shapes=True, optimize="auto-hq")
    plan = cc.Contraction(spec).plan(*shapes, optimize="auto-hq", minimize="operations")
    assert plan.flops <= info.opt_cost
    assert plan.order.proved is (count <= 12)


@pytest.mark.parametrize("minimize", MINIMIZED)
def test_each_objective_is_the_least_by_its_own_measure(minimize: Minimize) -> None:
    problem = resolve(parse(SEPARABLE), SHAPES, {})
    paths = {by: order_of(problem, Search("auto", by)).pairs for by in MINIMIZED}
    costs = {by: costs_of_path(problem, path)[minimize] for by, path in paths.items()}
    assert costs[minimize] == min(costs.values()) < max(costs.values())


def test_operations_alone_build_what_takes_longer_to_move() -> None:
    """With as many operations as two matrix products ``i j k`` is built, unless bytes count."""
    spec, shapes = "i j, j k, k l, j k -> i l", [(500, 500)] * 4
    plan = cc.Contraction(spec).plan(*shapes)
    assert str(plan.steps[0].problem) == "j k, j k -> j k"
    assert plan.largest_intermediate == 500 * 500


def whole(network: Network) -> Part:
    return Part(network.terms, network.kept, last=True)


def test_a_bound_that_nothing_beats_is_kept() -> None:
    network = Network(resolve(parse(SEPARABLE), SHAPES, {}), "seconds")
    best = Tree(network, cheapest(network, whole(network), 1e9, 10**6) or [])
    assert cheapest(network, whole(network), best.cost, 10**6) is None
    again = cheapest(network, whole(network), best.cost * 1.001, 10**6)
    assert again is not None
    assert Tree(network, again).cost == pytest.approx(best.cost)
    with pytest.raises(TooManyError):
        cheapest(network, whole(network), 1e9, pairs=5)


def test_branches_ordered_anew_never_cost_more() -> None:
    spec, shapes = plain(24, 3, seed=2)
    network = Network(reduced(resolve(parse(spec), shapes, {})), "operations")
    draw = Random(0)
    for _ in range(3):
        tree = Tree.of(network, greedy(network, disturbed(draw)))
        before = tree.cost
        tree.settle(6, 1000)
        assert tree.cost < before
        assert Tree.of(network, tree.pairs()).cost == pytest.approx(tree.cost)


@pytest.mark.parametrize("optimize", ["auto", "auto-hq"])
@pytest.mark.parametrize("count", [13, 20])
def test_many_operands_with_windows(count: int, optimize: Any) -> None:
    network = drawn(Random(count), count, (1, 2))
    spec, shapes, extents = network
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-2, 3, shape) for shape in shapes]
    given = cc.contract(spec, *arrays, extents=extents, path=[(0, 1)] * (count - 1))
    plan = cc.Contraction(spec).plan(*shapes, extents=extents, optimize=optimize)
    assert not plan.order.proved
    assert (cc.contract(spec, *arrays, extents=extents, optimize=optimize) == given).all()


def test_a_plan_says_what_it_was_chosen_by_and_whether_that_is_proved() -> None:
    plan = cc.Contraction("i j, j k, k l -> i l").plan((2, 3), (3, 4), (4, 5), minimize="bytes")
    assert "\norder: fewest bytes moved of all orders\n" in str(plan)
    assert json.loads(plan.to_json())["order"] == {
        "path": [[0, 1], [0, 1]], "source": "fewest bytes moved of all orders",
        "minimize": "bytes", "proved": True,
    }  # fmt: skip
    assert "\norder: " not in str(cc.Contraction("i j, j k -> i k").plan((2, 2), (2, 2)))


@pytest.mark.parametrize(("options", "said"), [
    ({"minimize": "time"}, "^unknown minimize 'time': choose one of seconds, operations, bytes$"),
    ({"minimize": 3}, "^unknown minimize 3"),
    ({"minimize": "bytes", "optimize": "dp"}, "it says nothing to optimize='dp'$"),
    ({"minimize": "bytes", "path": [(0, 1), (0, 1)]}, "it says nothing to an order that is given$"),
], ids=repr)  # fmt: skip
def test_what_cannot_be_minimised(options: Any, said: str) -> None:
    with pytest.raises(cc.AlgorithmError, match=said):
        cc.Contraction("i j, j k, k l -> i l").plan((2, 3), (3, 4), (4, 5), **options)


def test_slicing_is_said_and_what_is_done_again() -> None:
    """An inner index that is cut makes each part contract the channels anew."""
    plan = cc.Contraction(SEPARABLE).plan(*SHAPES, memory_limit=200_000, dtype="float32")
    assert "memory limit: 200,000 bytes: 98 parts, of i=2, r=8 each" in str(plan)
    assert plan.parts is not None
    # Two rows of results read four rows of the image, whose channels are contracted anew.
    channels, *others = (step.flops for step in plan.steps[1:])
    again = (channels * 49 * 4 / 100 + sum(others)) / (channels + sum(others))
    assert plan.parts.again == pytest.approx(again, rel=1e-3)
    assert f"each, {again:.1f} times the operations" in str(plan)


def test_an_index_called_minimize_needs_a_mapping() -> None:
    wrong: Any = {"minimize": 2}
    with pytest.raises(cc.AlgorithmError, match="extents="):
        cc.Contraction("minimize j, j k -> minimize k").plan((2, 3), (3, 4), **wrong)


def test_cotengras_optimizers_are_taken() -> None:
    cotengra = pytest.importorskip("cotengra")
    spec, shapes = plain(20, 3, seed=4)
    optimizer = cotengra.RandomGreedyOptimizer(max_repeats=2, seed=0, parallel=False)
    plan = cc.Contraction(spec).plan(*shapes, path=optimizer)
    assert plan.order.source == "RandomGreedyOptimizer, as given"
    assert len(plan.steps) >= 19
