"""Calls: what is checked before anything is computed, and what a keyword may be called."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from fractions import Fraction
from inspect import Parameter, Signature
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.api import curvature, derivation, second_derivative
from contractconv.notation.keywords import KEYWORDS

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


# --- names that are keywords of calls --------------------------------------------------------


def _takers(kind: type) -> Iterator[tuple[str, Signature]]:
    """The methods that take extents by keyword, and what they take besides."""
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        found = inspect.signature(method)
        takes = any(p.kind is Parameter.VAR_KEYWORD for p in found.parameters.values())
        if takes and (name == "__call__" or not name.startswith("_")):
            yield f"{kind.__name__}.{name}", found


def test_every_keyword_of_a_call_with_extents_is_known() -> None:
    kinds: list[type] = [
        cc.Contraction, cc.Derivation, cc.Derived, derivation.Phase, curvature.KroneckerFactors,
        second_derivative.Second,
    ]  # fmt: skip
    takers = dict(taker for kind in kinds for taker in _takers(kind))
    takers["contract"] = inspect.signature(cc.contract)
    found: set[str] = set()
    for name, signature in takers.items():
        # Parameters alone are bound or split for: no index is among them.
        if name.rpartition(".")[2] in ("bind", "phases"):
            continue
        keywords = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
        assert "extents" in keywords, name
        assert all(p.kind is not p.POSITIONAL_OR_KEYWORD for p in signature.parameters.values())
        found.update(keywords)
    assert found == KEYWORDS


MAPPING = {name: n for n, name in enumerate(sorted(KEYWORDS), start=2)}


def test_an_index_may_be_called_like_a_keyword() -> None:
    contraction = cc.Contraction("(2*reduce+dtype) x -> reduce x")
    x, said = _counted(9, 2), {"dtype": 3}
    result = contraction(x, extents=said)
    assert np.array_equal(result, cc.contract("(2*i+k) x -> i x", x, k=3))
    assert np.array_equal(contract(str(contraction), x, extents=said), result)
    assert contraction.extents((9, 2), extents=said) == {"reduce": 4, "x": 2, "dtype": 3}
    assert contraction.output_shape((9, 2), extents=said) == (4, 2)
    assert contraction.plan((9, 2), extents=said).problem.result_shape == (4, 2)
    assert contraction.explain((9, 2), wrt=0, extents=said).plan is not None
    assert contraction.simplify((9, 2), extents={"dtype": 2}).indices == ("reduce", "x", "dtype")
    run, gradient = contraction.compile((9, 2), extents=said), contraction.grad(0)
    cotangent = _ones(4, 2)
    expected = run.vjp(0, cotangent, x)
    assert np.array_equal(gradient(cotangent, x, extents=said), expected)
    parts = [phase(cotangent, x, extents=said) for phase in gradient.phases()]
    assert np.array_equal(sum(parts), expected)
    assert gradient.verify(extents=said).checks
    assert contraction.jvp(0)(x, x, extents=said).shape == (4, 2)


def test_all_keywords_at_once() -> None:
    contraction: Any = cc.Contraction(f"x -> x {' '.join(MAPPING)}")
    shape = (2, *MAPPING.values())
    assert contraction.output_shape((2,), extents=MAPPING) == shape
    assert contraction.extents((2,), extents=MAPPING) == {"x": 2} | MAPPING
    # Both ways at once, and what is said twice is said once if it is the same.
    half: Any = cc.Contraction("x -> x y dtype")
    assert half.output_shape((2,), y=3, extents={"dtype": 4}) == (2, 3, 4)
    assert half.output_shape((2,), y=3, extents={"dtype": 4, "y": 3}) == (2, 3, 4)
    with pytest.raises(cc.ParameterError, match=r"^y is given twice: 5 in extents=.*, 3 by"):
        half.output_shape((2,), y=3, extents={"dtype": 4, "y": 5})


@pytest.mark.parametrize("name", sorted(KEYWORDS - {"wrt", "proof", "extents", "memory_limit"}))
def test_a_number_for_such_a_keyword_is_explained(name: str) -> None:
    hint = rf"the extent of the index '{name}' is given by extents=\{{'{name}': 3\}}$"
    keywords: Any = {name: 3}
    with pytest.raises(cc.ContractionError, match=hint):
        contract(f"{name} y -> y", _ones(3, 2), **keywords)
    if name not in ("reduce", "parameters"):
        with pytest.raises(cc.ContractionError, match=hint):
            cc.Contraction(f"{name} y -> y")(_ones(3, 2), **keywords)


@pytest.mark.parametrize("name", sorted(KEYWORDS))
def test_a_missing_extent_of_that_name_says_how_it_is_given(name: str) -> None:
    with pytest.raises(cc.ShapeError, match=rf"give extents=\{{'{name}': \.\.\.\}}"):
        contract(f"x -> x {name}", _ones(2))


@pytest.mark.parametrize("extents", [3, "i", [("j", 2)], {1: 2}, {"j": 2.5}, {"z": 2}], ids=repr)
def test_what_is_no_mapping_of_extents(extents: Any) -> None:
    for call in CALLS.values():
        with pytest.raises(cc.ContractionError):
            call(extents=extents)


@pytest.mark.parametrize("name", ["order", "backend"])
def test_keywords_of_numpy_and_opt_einsum(name: str) -> None:
    keywords: Any = {name: "greedy"}
    with pytest.raises(
        cc.ShapeError, match=rf"called '{name}'; it has: i, j, k\n.* {name}= out|out="
    ):
        contract("i k, k j -> i j", _ones(2, 3), _ones(3, 4), **keywords)


# --- what phases were split for --------------------------------------------------------------


def test_phases_may_be_told_what_they_were_split_for() -> None:
    strided = cc.Contraction("(s*i+k-p), k -> i", parameters="s p")
    x, w, cotangent = _counted(8), _counted(3), _counted(4)
    expected = strided.grad(0)(cotangent, x, w, s=2, p=1)
    phases = strided.grad(0).phases(s=2, p=1)
    for said in ({}, {"s": 2}, {"s": 2, "p": 1}, {"extents": {"s": 2}}):
        keywords: Any = said
        parts = [phase(cotangent, x, w, **keywords) for phase in phases]
        assert np.array_equal(sum(parts), expected)
    with pytest.raises(cc.ParameterError, match=r"^s is 2 in these phases"):
        phases[0](cotangent, x, w, s=3)
    named: Any = cc.Contraction("(self*i+k), k -> i", parameters="self")
    assert len(named.grad(0).phases(self=2)) == 2


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


LISTS: dict[str, Any] = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "narrow array": lambda labels: np.array(labels, np.uint8),
}


@pytest.mark.parametrize("make", LISTS.values(), ids=[*LISTS])
def test_lists_of_indices_of_any_kind(make: Any) -> None:
    a, b = _counted(2, 3), _counted(3, 4)
    assert np.array_equal(contract(a, make([0, 1]), b, make([1, 2]), make([0, 2])), a @ b)
    assert np.array_equal(contract(a, make([0, 1]), b, make([1, 2])), a @ b)
    assert np.array_equal(contract(a, make([0, 1]), make([])), a.sum())


def test_lists_of_indices_as_ranges_and_letters() -> None:
    a, b = _counted(2, 3), _counted(3, 4)
    assert np.array_equal(contract(a, range(2), b, range(1, 3), [0, 2]), a @ b)
    assert np.array_equal(contract(a, "ij", b, "jk", "ik"), a @ b)
    assert np.array_equal(contract(a, "ij", b, "jk"), a @ b)
    assert np.array_equal(contract(a, "i j", b, ["j", "k"], ("i", "k")), a @ b)
    batch = _counted(5, 2, 3)
    expected = np.einsum("...ij,jk->...ik", batch, b)
    assert np.array_equal(contract(batch, "...ij", b, "jk", "...ik"), expected)
    assert np.array_equal(contract(a, "ij", ""), a.sum())


@pytest.mark.parametrize("labels", [
    np.array([0.0, 1.0]), np.array([[0, 1]]), np.array(0), {0, 1}, {0: 1}, 1, None, b"ij",
], ids=repr)  # fmt: skip
def test_what_is_no_list_of_indices(labels: Any) -> None:
    with pytest.raises(cc.SpecError, match=r"^a contraction starts with a string; numpy's other"):
        contract(_counted(2, 3), labels)


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


@pytest.mark.parametrize("limit", [
    1.5, "1000", [1000], (), 1j, True, -1, -1e6, math.nan, math.inf, np.float64(0.5),
    Fraction(7, 2),
], ids=repr)  # fmt: skip
def test_a_memory_limit_is_a_whole_number(limit: Any) -> None:
    for call in (contract, lambda spec, x, **keywords: cc.Contraction(spec)(x, **keywords)):
        with pytest.raises(cc.MemoryLimitError, match=r"^memory_limit is a number of bytes, not "):
            call("i ->", _ones(3), memory_limit=limit)


@pytest.mark.parametrize("limit", [
    10**9, 1e9, np.float32(2**20), np.int64(2**20), Fraction(2**20), None,
], ids=repr)  # fmt: skip
def test_a_whole_number_of_any_kind_limits_memory(limit: Any) -> None:
    assert contract("i ->", _ones(3), memory_limit=limit) == 3
    assert MATMUL(_ones(2, 3), _ones(3, 4), memory_limit=limit).sum() == 24


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
