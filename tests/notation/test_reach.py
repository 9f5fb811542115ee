"""The counts of the boundary rule: against brute force, and of symbols against those of numbers."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from contractconv.display.source_code.quantities import Quantity
from contractconv.notation.reach import places, reach, reached

numbers = st.integers(-4, 4)
coefficients = numbers.filter(bool)
steps = st.lists(st.tuples(coefficients, st.integers(0, 3)), max_size=2)


def values(offset: int, others: list[tuple[int, int]]) -> list[int]:
    """Everything that a sum takes."""
    points = product(*(range(last + 1) for _, last in others))
    return [offset + sum(c * n for (c, _), n in zip(others, p, strict=True)) for p in points]


@given(offset=numbers, others=steps)
def test_a_sum_reaches_its_extremes(offset: int, others: list[tuple[int, int]]) -> None:
    found = values(offset, others)
    assert reach(offset, others) == (min(found), max(found))


@given(size=st.integers(1, 9), step=coefficients, offset=numbers, others=steps)
def test_an_index_stays_within_equal_paddings(
    size: int, step: int, offset: int, others: list[tuple[int, int]]
) -> None:
    window = values(offset, others)
    if step > 0:
        padding = max(0, -min(window))
        inside = [i for i in range(40) if max(window) + step * i < size + padding]
    else:  # what reaches past the end may reach as far below zero
        padding = max(0, max(window) - (size - 1))
        inside = [i for i in range(40) if min(window) + step * i >= -padding]
    assert max(0, places(size, step, offset, others)) == len(inside)


@given(offset=numbers, divisor=st.integers(1, 3), others=steps)
def test_a_result_ends_as_far_before_its_end_as_it_begins_below_zero(
    offset: int, divisor: int, others: list[tuple[int, int]]
) -> None:
    low, high = min(values(offset, others)), max(values(offset, others))
    below = max(0, -low) // divisor
    assert reached(offset, divisor, others) == max(0, high // divisor + 1 - below)


@given(size=st.integers(0, 9), step=coefficients, offset=numbers, others=steps)
def test_symbols_say_what_numbers_say(
    size: int, step: int, offset: int, others: list[tuple[int, int]]
) -> None:
    extents = {f"N{n}": last + 1 for n, (_, last) in enumerate(others)}
    symbols = [
        (c, Quantity.of(name, least=1) - 1) for (c, _), name in zip(others, extents, strict=True)
    ]
    known = {"H": size, "max": max, **extents}
    room = places(Quantity.of("H"), step, Quantity.number(offset), symbols)
    assert eval(str(room), known) == places(size, step, offset, others)
    for divisor in (1, 2, 3):
        needed = reached(Quantity.number(offset), divisor, symbols)
        assert eval(str(needed), known) == reached(offset, divisor, others)


def test_what_is_known_is_not_asked() -> None:
    extent = Quantity.of("K", least=1)
    assert str((extent - 1).positive()) == "K - 1"
    assert str((1 - extent).positive()) == "0"
    assert str((extent - 2).positive()) == "max(0, K - 2)"
    assert str(-3 * (extent - 1) + Quantity.of("H")) == "H - 3 * (K - 1)"
