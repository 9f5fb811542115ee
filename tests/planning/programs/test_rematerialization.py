"""Orders in which steps come again can be carried out, and take what is said of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contractconv.planning.programs.early_sinks import early_sinks
from contractconv.planning.programs.lives import Made, Taken, last_reads
from contractconv.planning.programs.rematerialization import orders, plain_orders
from contractconv.planning.programs.steps import Step
from contractconv.planning.workspace import Loan, Workspace
from contractconv.programs.nodes import Input, Node


def node(name: str) -> Node:
    return Input(("i",), name=name)


def taken(makes: str, reads: Sequence[str] = (), size: int = 100, beside: int = 0) -> Taken:
    """A step that makes one array."""
    step = Step((node(makes),), tuple(map(node, reads)))
    return Taken(step, (Made(size, size),), Workspace((Loan(beside, scratch=True),)))


def view(makes: str, reads: str) -> Taken:
    return Taken(Step((node(makes),), (node(reads),)), (Made(0, viewed=node(reads)),))


def network(layers: int, beside: int = 0) -> tuple[list[Taken], list[Node]]:
    """Layers, then their cotangents, then gradients of their weights, which are wanted."""
    steps: list[Taken] = []
    for n in range(layers):
        steps.append(taken(f"z{n}", [f"a{n - 1}" if n else "x"], beside=beside))
        steps.append(view(f"a{n}", f"z{n}"))
    steps.append(taken(f"d{layers - 1}", [f"a{layers - 1}"]))
    for n in reversed(range(layers - 1)):
        steps.append(taken(f"d{n}", [f"d{n + 1}", f"a{n}"], beside=beside))
    weights = [f"w{n}" for n in range(layers)]
    for n, name in enumerate(weights):
        steps.append(taken(name, [f"d{n}", f"a{n - 1}" if n else "x"], size=1))
    return steps, [node(name) for name in weights]


def carried_out(steps: Sequence[Taken], order: Sequence[int], wanted: Sequence[Node]) -> int:
    """Go through an order with arrays as a program holds them; return the bytes at most at once."""
    chosen = [steps[n] for n in order]
    gone = last_reads([one.step for one in chosen], wanted)
    held: dict[Node, tuple[object, int]] = {node("x"): (object(), 0)}
    most = 0
    for one, over in zip(chosen, gone, strict=True):
        read = [held[source] for source in one.step.reads]
        for made, array in zip(one.step.makes, one.made, strict=True):
            held[made] = (object(), array.size) if array.viewed is None else read[0]
        arrays = {id(array): size for array, size in [*held.values(), *read]}
        most = max(most, sum(arrays.values()) + one.workspace.most)
        for old in over:
            held.pop(old)
    assert all(one in held for one in wanted)
    return most


def found(steps: list[Taken], wanted: list[Node]) -> Iterator[tuple[list[int], int]]:
    plain = plain_orders(steps, wanted)
    yield from plain
    best, _ = min(plain, key=lambda one: one[1])
    yield from orders(steps, [1.0] * len(steps), wanted, best)


@pytest.mark.parametrize("layers", [1, 2, 5, 12])
@pytest.mark.parametrize("beside", [0, 250])
def test_orders_can_be_carried_out(layers: int, beside: int) -> None:
    steps, wanted = network(layers, beside)
    for order, most in found(steps, wanted):
        assert carried_out(steps, order, wanted) == most
        assert set(order) == set(range(len(steps)))


def test_a_deep_network_takes_a_fraction() -> None:
    steps, wanted = network(16)
    peaks = [most for _, most in found(steps, wanted)]
    assert peaks[1] < 0.6 * peaks[0]
    assert min(peaks) < 0.4 * peaks[1]


def test_an_array_is_made_again_where_that_costs_least() -> None:
    """Of two like arrays the one goes whose step is cheap."""
    steps = [
        taken("a", ["x"]), taken("b", ["x"]), taken("c", ["x"], size=300), taken("d", ["c"]),
        taken("e", ["a", "b", "d"]),
    ]  # fmt: skip
    search = orders(steps, [9.0, 1.0, 5.0, 5.0, 5.0], [node("e")], list(range(5)))
    assert [order for order, _ in islice(search, 1)] == [[0, 1, 2, 3, 1, 4]]


def test_what_frees_memory_comes_early() -> None:
    steps = [
        taken("a", ["x"]), taken("b", ["x"]), taken("c", ["b"]), taken("d", ["a"], size=1),
        taken("e", ["c", "d"]),
    ]  # fmt: skip
    assert early_sinks(steps, [node("e")]) == [0, 3, 1, 2, 4]


PARENTS = st.lists(
    st.tuples(st.lists(st.integers(0, 30), max_size=3), st.integers(0, 9), st.booleans()),
    min_size=1, max_size=20,
)  # fmt: skip


@given(PARENTS, st.integers(0, 3))
def test_any_steps_can_be_put_in_order(
    drawn: list[tuple[list[int], int, bool]], results: int
) -> None:
    steps: list[Taken] = []
    for n, (reads, size, is_view) in enumerate(drawn):
        names = [f"n{m}" if m < n else "x" for m in dict.fromkeys(reads)] or ["x"]
        names = list(dict.fromkeys(names))
        steps.append(view(f"n{n}", names[0]) if is_view else taken(f"n{n}", names, size))
    wanted = [node(f"n{len(drawn) - 1 - n}") for n in range(min(results + 1, len(drawn)))]
    for order, most in islice(found(steps, wanted), 20):
        assert carried_out(steps, order, wanted) == most
