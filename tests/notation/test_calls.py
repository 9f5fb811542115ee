"""Calls: what is checked before anything is computed, and what a keyword may be called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc

# Arguments of wrong types are passed on purpose.
contract: Any = cc.contract
COPIES: Any = cc.Contraction("i -> i j")
MATMUL: Any = cc.Contraction("i j, j k -> i k")
BROADCAST: Any = cc.Contraction("... i k, ... k j -> ... i j")


def _ones(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape)


def _counted(*shape: int) -> np.ndarray[Any, Any]:
    return np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape)


# --- keywords --------------------------------------------------------------------------------

CALLS: dict[str, Any] = {
    "call": lambda **extents: COPIES(_ones(2), **extents),
    "contract": lambda **extents: contract("i -> i j", _ones(2), **extents),
    "extents": lambda **extents: COPIES.extents((2,), **extents),
    "output shape": lambda **extents: COPIES.output_shape((2,), **extents),
    "plan": lambda **extents: COPIES.plan((2,), **extents),
    "compile": lambda **extents: COPIES.compile((2,), **extents),
    "gradient": lambda **extents: COPIES.grad(0)(_ones(2, 2), _ones(2), **extents),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=[*CALLS])
def test_an_extent_that_equals_an_integer_is_not_one_yet(call: Any) -> None:
    for _ in range(2):  # the second time everything is in a cache
        call(j=2)
        with pytest.raises(cc.ParameterError, match=r"^j=2\.0 is not an integer"):
            call(j=2.0)
        call(j=np.int64(2))
    assert cc.contract("i -> i j", _ones(2), j=np.int64(2)).shape == (2, 2)


@pytest.mark.parametrize("call", CALLS.values(), ids=[*CALLS])
def test_names_are_checked_before_values(call: Any) -> None:
    for wrong in ({"j": "a", "z": 1}, {"z": 1, "j": "a"}, {"z": [], "j": -1}, {"z": 10**30}):
        with pytest.raises(cc.ShapeError, match="has no index or parameter called 'z'"):
            call(**wrong)


def test_names_of_parameters_are_checked_before_values() -> None:
    scaled = cc.Contraction("(s*i+k) j -> i k j", parameters="s")
    with pytest.raises(cc.ShapeError, match=r"called 'z'; it has: i, k, j, s$"):
        scaled.extents((2, 2), s=2.5, z=1)
    wrong: Any = {"s": "a", "z": 1}
    with pytest.raises(cc.ParameterError, match="'z' is not a parameter"):
        scaled.bind(**wrong)


NAMES = {"self": 2, "cotangent": 3, "spec": 4, "shapes": 2, "operands": 1, "n": 2, "values": 2}


def test_an_index_may_have_any_name() -> None:
    contraction: Any = cc.Contraction(f"x -> x {' '.join(NAMES)}")
    expected = (5, *NAMES.values())
    x = _counted(5)
    assert contraction.extents((5,), **NAMES) == {"x": 5} | NAMES
    assert contraction.output_shape((5,), **NAMES) == expected
    assert contraction.plan((5,), **NAMES).problem.result_shape == expected
    assert contraction(x, **NAMES).shape == expected
    assert contract(str(contraction), x, **NAMES).shape == expected
    cotangent = _counted(*expected)
    total = cotangent.reshape(5, -1).sum(1)
    assert np.array_equal(contraction.grad(0)(cotangent, x, **NAMES), total)
    compiled = contraction.compile((5,), **NAMES)
    assert compiled(x).shape == expected
    assert np.array_equal(compiled.vjp(0, cotangent, x), total)


def test_a_parameter_may_have_any_name() -> None:
    scaled: Any = cc.Contraction("(self*i+spec) j -> i j", parameters="self spec")
    assert str(scaled.bind(self=2, spec=1)) == "(2*i+1) j -> i j"
    assert scaled.extents((7, 2), self=2, spec=1) == {"i": 3, "j": 2}


# --- numpy's lists of indices ----------------------------------------------------------------


def test_labels_of_lists_are_sorted_unless_the_result_has_a_list() -> None:
    x = _counted(2, 3)
    with pytest.raises(cc.SpecError, match=r"^indices must be hashable, and comparable where"):
        contract(x, [0, "a"])
    assert np.array_equal(contract(x, [0, "a"], ["a", 0]), x.T)
    assert np.array_equal(contract(x, [None, 1.5], [1.5]), x.sum(0))


@pytest.mark.parametrize("label", [[1], {}, set(), np.arange(2)], ids=repr)
def test_labels_of_lists_are_hashable(label: object) -> None:
    for lists in ([[0, label]], [[0, label], [0]], [[0, 1], [label]]):
        with pytest.raises(cc.SpecError, match=r"^indices must be hashable, and comparable where"):
            contract(_ones(2, 2), *lists)


@pytest.mark.parametrize("reduce", ["max", "min", "prod", "mean"])
def test_lists_are_reduced_as_one_says(reduce: str) -> None:
    x = _counted(2, 3)
    assert np.array_equal(contract(x, [0, 1], [1], reduce=reduce), getattr(x, reduce)(0))
    for wrong in ("avg", None, [], "SUM"):
        with pytest.raises(cc.ReductionError, match=r"^unknown reduction "):
            contract(x, [0, 1], [1], reduce=wrong)


@pytest.mark.parametrize("parameters", ["", "s", (), ["s"]])
def test_lists_have_no_parameters(parameters: Any) -> None:
    with pytest.raises(cc.SpecError, match=r"^lists of indices have no parameters$"):
        contract(_ones(2, 2), [0, 1], [1], parameters=parameters)


# --- contractions that are given -------------------------------------------------------------


@pytest.mark.parametrize("keywords", [
    {"reduce": "max"}, {"reduce": "spam"}, {"parameters": "s"}, {"parameters": ()},
])  # fmt: skip
def test_a_contraction_keeps_its_reduction_and_parameters(keywords: dict[str, Any]) -> None:
    for reduce in ("sum", "max"):
        with pytest.raises(cc.ContractionError, match=r"^a Contraction has its own reduce and"):
            contract(cc.Contraction("i ->", reduce), _ones(3), **keywords)


@pytest.mark.parametrize("name", ["_spec", "reduce", "parameters", "anything"])
def test_a_contraction_loses_nothing(name: str) -> None:
    contraction = cc.Contraction("i ->")
    with pytest.raises(AttributeError, match=r"^a Contraction is immutable$"):
        delattr(contraction, name)
    assert contraction == cc.Contraction("i ->")


# --- positions -------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [-1, 2, 0.5, 1.0, True, False, None, "0", np.True_, 10**30])
def test_there_is_no_operand_at_that_position(position: Any) -> None:
    compiled = MATMUL.compile((2, 3), (3, 4))
    calls = [
        lambda: MATMUL.grad(position),
        lambda: compiled.vjp(position, _ones(2, 4), _ones(2, 3), _ones(3, 4)),
        lambda: compiled.vjp_plan(position),
    ]
    for call in calls:
        with pytest.raises(cc.OperandError) as caught:
            call()
        assert str(caught.value).startswith(f"there is no operand {position!r} in ")


@pytest.mark.parametrize("position", [0, np.int64(0), np.uint8(0)], ids=repr)
def test_a_position_may_be_any_integer(position: Any) -> None:
    x, w, cotangent = _counted(2, 3), _counted(3, 4), _counted(2, 4)
    compiled = MATMUL.compile((2, 3), (3, 4))
    assert np.array_equal(compiled.vjp(position, cotangent, x, w), cotangent @ w.T)
    assert np.array_equal(MATMUL.grad(position)(cotangent, x, w), cotangent @ w.T)
    assert str(compiled.vjp_plan(position)) == str(compiled.vjp_plan(0))
    assert repr(MATMUL.grad(position)) == repr(MATMUL.grad(0))


def test_a_gradient_wants_the_cotangent_and_all_operands() -> None:
    x, w = _ones(2, 3), _ones(3, 4)
    for arguments in ((x,), (x, w), (x, x, w, w)):
        with pytest.raises(cc.OperandError, match="is called with the cotangent and 2 "):
            MATMUL.grad(0)(*arguments)


# --- dtypes and numbers ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [object, "U3", "S", "V8", "M8[s]", "spam", 5, [("a", int)]])
def test_one_compiles_for_numbers(dtype: Any) -> None:
    for reduce in ("sum", "max"):
        with pytest.raises(cc.OperandError):
            cc.Contraction("i ->", reduce).compile((3,), dtype=dtype)


@pytest.mark.parametrize("dtype", ["complex64", complex])
def test_one_compiles_an_order_for_numbers_that_have_one(dtype: Any) -> None:
    for reduce in ("max", "min", "logsumexp"):
        with pytest.raises(cc.ReductionError, match=f"^reduce='{reduce}' needs numbers with an "):
            cc.Contraction("i ->", reduce).compile((3,), dtype=dtype)
    for reduce in ("sum", "prod", "mean"):
        compiled = cc.Contraction("i ->", reduce).compile((3,), dtype=dtype)
        assert compiled(np.array([1j, 1, 1], dtype)).dtype == dtype


@pytest.mark.parametrize("number", [10**30, -(10**30), 2**64], ids=str)
def test_a_number_may_be_larger_than_any_of_numpys(number: int) -> None:
    calls: list[Any] = [
        lambda: contract("->", number),
        lambda: contract(",->", 1.0, number),
        lambda: contract("i->", [number]),
        lambda: cc.Contraction("i,->i").grad(0)(_ones(3), _ones(3), number),
        lambda: cc.Contraction("i->").grad(0)(number, _ones(3)),
        lambda: cc.Contraction("i,->i").compile((3,), ())(_ones(3), number),
    ]
    for call in calls:
        with pytest.raises(cc.OperandError):
            call()


@pytest.mark.parametrize(("dtype", "number"), [
    ("int8", 300), ("int8", -129), ("uint8", -1), ("uint16", 65536),
])  # fmt: skip
def test_a_number_may_be_too_large_for_the_array_that_it_meets(dtype: str, number: int) -> None:
    x = np.ones(3, dtype)
    for reduce in ("sum", "max", "prod"):
        with pytest.raises(cc.OperandError, match=str(number)):
            contract("i,->i", x, number, reduce=reduce)
    with pytest.raises(cc.OperandError, match=str(number)):
        cc.Contraction("i,->i").grad(0)(x, x, number)


def test_a_number_may_be_too_large_for_the_compiled() -> None:
    compiled: Any = cc.Contraction("i,->i").compile((3,), (), dtype="int8")
    with pytest.raises(cc.OperandError):
        compiled(np.ones(3, "int8"), 300)


def test_numbers_that_just_fit() -> None:
    for dtype, number in (("int8", 127), ("int8", -128), ("uint8", 255)):
        result = contract("i,->i", np.ones(3, dtype), number)
        assert result.dtype == dtype
        assert (result == number).all()
    for number in (2**63 - 1, -(2**63)):
        assert contract("->", number) == number


@pytest.mark.parametrize("limit", [1.5, 1e9, "1000", [1000], (), 1j])
def test_a_memory_limit_is_an_integer(limit: Any) -> None:
    with pytest.raises(cc.MemoryLimitError, match=r"^memory_limit is a number of bytes, not "):
        contract("i ->", _ones(3), memory_limit=limit)
    assert contract("i ->", _ones(3), memory_limit=10**9) == 3
    assert contract("i ->", _ones(3), memory_limit=None) == 3


# --- the printed gradient of a broadcast ellipsis --------------------------------------------


@pytest.mark.parametrize(("first", "second"), [
    ((3, 1, 2, 4), (5, 4, 6)),
    ((2, 4), (3, 5, 4, 6)),
    ((1, 1, 2, 4), (3, 5, 4, 6)),
    ((3, 5, 2, 4), (1, 4, 6)),
    ((3, 5, 2, 4), (4, 6)),
    ((3, 5, 2, 4), (3, 5, 4, 6)),
    ((1, 2, 4), (1, 4, 6)),
])  # fmt: skip
def test_the_gradient_of_a_broadcast_operand_runs_as_it_is_printed(
    first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    x, w = _counted(*first), _counted(*second)
    cotangent = _counted(*np.matmul(x, w).shape) % 7
    wide = (
        np.matmul(cotangent, np.swapaxes(w, -1, -2)),
        np.matmul(np.swapaxes(x, -1, -2), cotangent),
    )
    for n, (operand, other) in enumerate([(x, w), (w, x)]):
        derivation = BROADCAST.grad(n)
        expected = _narrowed(wide[n], operand.shape)
        assert np.array_equal(derivation(cotangent, x, w), expected)
        for printed in (derivation.scatter, derivation.gather):
            again: Any = cc.Contraction(str(printed))
            result = again(cotangent, other, output_shape=operand.shape)
            assert np.array_equal(result, expected)


def _narrowed(array: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Sum over whatever a shape was broadcast along."""
    array = array.sum(tuple(range(array.ndim - len(shape))))
    along = tuple(n for n, size in enumerate(shape) if size == 1)
    return np.asarray(array.sum(along, keepdims=True))
