"""Results in an array and a dtype that the caller chooses: what ``np.einsum`` does with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import contractconv as cc

Array = np.ndarray[Any, Any]
DTYPES = ("int8", "uint8", "int32", "int64", "float16", "float32", "float64", "complex64")
MATMUL = "ij,jk->ik"

contract: Any = cc.contract


def _filled(shape: tuple[int, ...], dtype: Any = float) -> Array:
    return (np.arange(np.prod(shape, dtype=int)) % 5).reshape(shape).astype(dtype)


def _called(spec: str, *operands: Any, **keywords: Any) -> Array:
    result: Array = cc.Contraction(spec)(*operands, **keywords)
    return result


CALLS: list[Callable[..., Array]] = [contract, _called]


@settings(max_examples=150)
@given(
    first=st.sampled_from(DTYPES), second=st.sampled_from(DTYPES),
    dtype=st.sampled_from([None, *DTYPES]),
    casting=st.sampled_from(["safe", "same_kind", "unsafe"]), call=st.sampled_from(CALLS),
)  # fmt: skip
def test_dtypes_are_numpys(
    first: str, second: str, dtype: Any, casting: Any, call: Callable[..., Array]
) -> None:
    assume(casting != "unsafe" or "complex64" not in (first, second))  # numpy warns of them
    a, b = _filled((2, 3), first), _filled((3, 4), second)
    try:
        expected = np.einsum(MATMUL, a, b, dtype=dtype, casting=casting)
    except TypeError:
        with pytest.raises(cc.OperandError, match=r"does not convert to dtype="):
            call(MATMUL, a, b, dtype=dtype, casting=casting)
        return
    result = call(MATMUL, a, b, dtype=dtype, casting=casting)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


@settings(max_examples=150)
@given(
    given=st.sampled_from(DTYPES), wanted=st.sampled_from(DTYPES),
    casting=st.sampled_from(["safe", "same_kind", "unsafe"]), call=st.sampled_from(CALLS),
)  # fmt: skip
def test_results_are_put_where_they_may_be(
    given: str, wanted: str, casting: Any, call: Callable[..., Array]
) -> None:
    assume(casting != "unsafe" or given != "complex64")
    a, b = _filled((2, 3), given), _filled((3, 4), given)
    out = np.full((2, 4), 7, wanted)
    if not np.can_cast(given, wanted, casting):
        with pytest.raises(cc.OperandError, match=rf"^the result is {given}, which casting="):
            call(MATMUL, a, b, out=out, casting=casting)
        assert (out == 7).all()
        return
    assert call(MATMUL, a, b, out=out, casting=casting) is out
    np.testing.assert_array_equal(out, (a @ b).astype(wanted))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("layout", [
    lambda shape: np.empty(shape, order="F"),
    lambda shape: np.empty((*shape, 2))[..., 0],
    lambda shape: np.empty(shape)[::-1, ::-1],
    lambda shape: np.broadcast_to(np.empty(()), shape).copy().T.copy().T,
], ids=["columns", "apart", "backwards", "transposed"])  # fmt: skip
def test_arrays_of_any_layout_are_filled(
    call: Callable[..., Array], layout: Callable[[tuple[int, ...]], Array]
) -> None:
    x, w = _filled((2, 9, 3)), _filled((3, 3, 4))
    for spec in ("b (2*i+k-1) c, k c o -> b i o", "b (2*i+k-1) c, k c o -> o b i"):
        expected = contract(spec, x, w)
        out = layout(expected.shape)
        assert call(spec, x, w, out=out) is out
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("spec", ["i j -> j i", "i k, k j -> i j", "(i+k-1) j, k l -> i j"])
def test_an_operand_may_be_overwritten(spec: str) -> None:
    x, w = _filled((3, 3)), _filled((3, 3)) + 1
    operands = [x] if "," not in spec else [x, w]
    extents = {"l": 3} if " l" in spec else {}
    expected = contract(spec, *(o.copy() for o in operands), **extents)
    assert contract(spec, *operands, out=x, **extents) is x
    np.testing.assert_array_equal(x, expected)
    # And one that overlaps by a part.
    store = np.arange(12.0)
    operands[0] = store[:9].reshape(3, 3)
    expected = contract(spec, *(o.copy() for o in operands), **extents)
    contract(spec, *operands, out=store[3:].reshape(3, 3), **extents)
    np.testing.assert_array_equal(store[3:].reshape(3, 3), expected)


@pytest.mark.parametrize("reduce", ["sum", "max", "min", "prod", "mean", "logsumexp"])
def test_every_reduction_has_them(reduce: str) -> None:
    x = _filled((4, 3), "float32")
    expected = contract("i j -> j", x.astype(float), reduce=reduce)
    result = contract("i j -> j", x, reduce=reduce, dtype="float64")
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, expected)
    out = np.empty(3)
    contract("i j -> j", x, reduce=reduce, dtype=float, out=out, memory_limit=10**6)
    np.testing.assert_allclose(out, expected)
    alone = np.empty(())
    assert contract("i j ->", x, reduce=reduce, out=alone) is alone
    np.testing.assert_allclose(alone, contract("i j ->", x, reduce=reduce))


def test_numbers_of_python_are_converted() -> None:
    x = np.array([1, 2, 3], np.int32)
    assert contract("i,->i", x, 2, dtype="float64").dtype == np.float64
    assert contract("i,->i", x, 2.5, dtype="float64").tolist() == [2.5, 5, 7.5]
    for number in (2.5, 1j):
        with pytest.raises(cc.OperandError, match=r"^operand 1 is (float|complex), which casting="):
            contract("i,->i", x, number, dtype="int64")
    with pytest.raises(cc.OperandError, match=r"^operand 1 is 300, which int8 cannot hold"):
        contract("i,->i", x.astype("int8"), 300, dtype="int8")
    with pytest.raises(cc.OperandError, match=r"^operand 1 is -1, which uint8 cannot hold"):
        contract("i,->i", x.astype("uint8"), -1, dtype="uint8")


@pytest.mark.parametrize(("out", "kind", "message"), [
    (np.empty((2, 5)), cc.ShapeError, r"^out has shape \(2, 5\), the result has \(2, 4\)"),
    (np.empty((1, 2, 4)), cc.ShapeError, r"^out has shape \(1, 2, 4\)"),
    (np.empty((4, 2)), cc.ShapeError, r"^out has shape \(4, 2\)"),
    (np.empty(()), cc.ShapeError, r"^out has shape \(\)"),
    ([[0.0] * 4] * 2, cc.OperandError, "^out is a numpy array, not list"),
    (1.0, cc.OperandError, "^out is a numpy array, not float"),
    (np.ma.zeros((2, 4)), cc.OperandError, "^out is a numpy array, not MaskedArray"),
    (np.broadcast_to(0.0, (2, 4)), cc.OperandError, "^out is read-only"),
    (np.empty((2, 4), "U3"), cc.OperandError, "^the result is float64, which casting='safe'"),
])  # fmt: skip
def test_what_cannot_be_filled(out: Any, kind: type[Exception], message: str) -> None:
    for call in CALLS:
        with pytest.raises(kind, match=message):
            call(MATMUL, _filled((2, 3)), _filled((3, 4)), out=out)


@pytest.mark.parametrize("dtype", ["U5", "O", "M8[s]", "V4", "spam", 3, [1], {"a": 1}, "f4,i4"])
def test_what_is_no_dtype_of_numbers(dtype: Any) -> None:
    contraction: Any = cc.Contraction(MATMUL)
    calls: list[Callable[[], object]] = [
        lambda: contract(MATMUL, _filled((2, 3)), _filled((3, 4)), dtype=dtype),
        lambda: contract(MATMUL, _filled((2, 3)), _filled((3, 4)), dtype=dtype, casting="unsafe"),
        lambda: contraction(_filled((2, 3)), _filled((3, 4)), dtype=dtype),
        lambda: contraction.plan((2, 3), (3, 4), dtype=dtype),
        lambda: contraction.compile((2, 3), (3, 4), dtype=dtype),
    ]
    for call in calls:
        with pytest.raises(cc.OperandError):
            call()


@pytest.mark.parametrize("casting", ["Safe", "", None, 3, True])
def test_what_is_no_rule_of_casting(casting: Any) -> None:
    with pytest.raises(
        cc.OperandError, match=r"^unknown casting .*: choose one of no, equiv, safe"
    ):
        contract(MATMUL, _filled((2, 3)), _filled((3, 4)), casting=casting)


@pytest.mark.parametrize("reduce", ["mean", "logsumexp"])
def test_integers_that_a_reduction_does_not_make(reduce: str) -> None:
    message = rf"^reduce='{reduce}' makes float64 of int32: choose another dtype"
    with pytest.raises(cc.OperandError, match=message):
        contract("i ->", np.ones(3, np.int32), reduce=reduce, dtype="int32")
    assert contract("i ->", np.ones(3, np.int32), reduce=reduce, dtype=float).dtype == float
