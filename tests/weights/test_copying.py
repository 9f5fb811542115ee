"""Copies move bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contractconv.weights.copying import copied
from contractconv.weights.terms import layout

DTYPES = [
    "float16", "float32", "float64", "longdouble", "complex64", "complex128", "int8", "int16",
    "uint32", "int64", "uint64", "bool", ">f4", ">i8",
]  # fmt: skip


@given(st.data())
def test_round_trips_change_no_bit(data: Any) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    names = data.draw(st.permutations("abcd"))[: data.draw(st.integers(1, 4))]
    sizes = {name: data.draw(st.integers(0, 4)) for name in names}
    turned = data.draw(st.sets(st.sampled_from(names)))
    order = data.draw(st.permutations(names))
    cut = data.draw(st.integers(0, len(names)))
    term = f"({' '.join(order[:cut])}) K"
    roles = {"K": tuple(order[cut:]), "~": tuple(turned), "A": tuple(names)}
    laid = layout(term, "A", roles, sizes)
    raw = data.draw(st.binary(min_size=0, max_size=64)) + b"\x7f\xf8\x01\x80\x00"
    shape = laid.theirs.shape
    count = int(np.prod(shape)) * dtype.itemsize
    array = np.frombuffer((raw * (count // len(raw) + 1))[:count], "u1").view(dtype).reshape(shape)
    ours = copied(str(laid), array, laid.extents, laid.ours.shape)
    assert ours.dtype == dtype
    assert ours.shape == tuple(sizes[name] for name in names)
    back = copied(laid.back, ours, laid.extents, shape)
    assert back.tobytes() == array.tobytes()


def test_parts_lie_where_they_should() -> None:
    whole = np.arange(24.0).reshape(12, 2)
    roles = {"N": ("n",), "H": ("h",), "D": ("d",)}
    for part in range(3):
        laid = layout(f"({part}/3 N H) D", "D N H", roles, {"n": 2, "h": 2, "d": 2})
        found = copied(str(laid), whole, laid.extents, laid.ours.shape)
        assert np.array_equal(found, whole.reshape(3, 2, 2, 2)[part].transpose(2, 0, 1))
        back = copied(laid.back, found, laid.extents, laid.theirs.shape)
        assert np.array_equal(back[4 * part :][:4], whole[4 * part :][:4])
        assert np.count_nonzero(back) == np.count_nonzero(found)


@pytest.mark.parametrize("flags", ["step", "turned", "readonly"])
def test_any_array_is_copied(flags: str) -> None:
    array = np.arange(24).reshape(4, 6)[:, ::2]
    array = array[::-1] if flags == "turned" else array
    array.flags.writeable = flags != "readonly"
    found = copied("a b -> b a", array, {})
    assert np.array_equal(found, array.T)
    assert found.flags.writeable
