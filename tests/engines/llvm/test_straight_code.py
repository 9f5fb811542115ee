"""Groups of maps as code: what is written, what is told, and what there is no code for."""

from __future__ import annotations

import pytest
from map_code import code_of, done

import contractconv as cc
from contractconv.api.tensor import applied
from contractconv.engines.llvm.maps.straight_code import UnknownMapError

x, y = cc.tensor("x", "i"), cc.tensor("y", "i")


def test_what_maps_define_is_written_in_them() -> None:
    assert done(code_of(applied("relu", x))) == ["leaf", "constant", "max"]


def test_what_is_there_twice_is_done_once() -> None:
    sigmoid = applied("sigmoid", x)
    assert done(code_of(sigmoid * (1 - sigmoid))).count("exp") == 1
    assert done(code_of(applied("sigmoid", x) + applied("silu", x))).count("exp") == 1


def test_numbers_are_told_but_for_a_few() -> None:
    code = code_of(x * 0.125 + y * 0.125 - 7 + 1)
    assert code.told == (0.125, 7.0)
    other = code_of(x * 0.25 + y * 0.25 - 9 + 1)
    assert other.code == code.code


def test_zeros_of_both_signs_are_two_numbers() -> None:
    code = code_of(applied("max", x * 0.0, y * -0.0)).code
    assert {i.value for i in code.instructions if i.does == "constant"} == {"0.0", "-0.0"}


def test_indices_are_values() -> None:
    code = code_of(x + cc.index("i"), "int64")
    assert done(code) == ["leaf", "position", "add"]
    assert [node.axes for node in code.positions] == [("i",)]


@pytest.mark.parametrize(
    ("exponent", "count"), [(2, 1), (3, 2), (4, 2), (1, 0), (0, 0), (7, 4), (8, 3), (2.5, 2)]
)
def test_powers_are_products(exponent: float, count: int) -> None:
    found = done(code_of((x**exponent) + y))
    assert (found.count("multiply"), found.count("power")) == (count, 0)


@pytest.mark.parametrize("exponent", [9, -5, 4.5, -4.5, 0.3, -0.75])
def test_other_powers_are_none(exponent: float) -> None:
    code = code_of(x**exponent)
    assert done(code) == ["leaf", "told", "power"]
    assert code.told == (exponent,)


def test_other_powers_and_unknown_maps_have_no_code() -> None:
    for output in (x**9, x**0.3, x**y, x * 2j, x**2j):
        with pytest.raises(UnknownMapError):
            code_of(output, unknown="power")
    for exponent in (-1, 0.3):
        with pytest.raises(UnknownMapError):
            code_of(x**exponent, "int64", unknown="power")
    with pytest.raises(UnknownMapError):
        code_of(applied("gelu", x), unknown="erfc")


def test_what_no_result_is_made_of_is_not_written() -> None:
    assert done(code_of(applied("gelu", x))) == ["leaf", "normal_probability", "multiply"]
    code = code_of(applied("gelu", x) * 0.125).code
    assert all(n < number for number, i in enumerate(code.instructions) for n in i.given)
    assert [i.does for i in code.instructions if i.does == "told"] == ["told"]


def test_integers_refuse_what_they_cannot_be() -> None:
    for number in (0.5, 1 << 40, float("nan")):
        with pytest.raises(UnknownMapError):
            code_of(x * number, "int32")
