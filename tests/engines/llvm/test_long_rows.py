"""Short rows that are walked as one: the same numbers, wherever arrays lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from map_ways import by_kernels

import contractconv as cc
from contractconv.engines.llvm.maps import compiled_groups
from contractconv.engines.llvm.maps.layouts import Layout
from contractconv.engines.llvm.maps.long_rows import LONG, LongRows, long_rows

Array = np.ndarray[Any, Any]
SIZES = {"b": 40, "j": 36, "c": 7}
DTYPES = ["float16", "float32", "float64", "int32", "int64"]


def numbers(axes: str, dtype: str, seed: int = 0) -> Array:
    """Small integers, so that nothing is rounded."""
    shape = [SIZES[name] for name in axes.split()]
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def layout_of(*arrays: Array) -> Layout:
    """Where arrays lie that are broadcast with each other."""
    alike = np.broadcast_arrays(*arrays)
    return Layout.of(alike[0].shape, [array.strides for array in alike])


# -- which rows are joined -------------------------------------------------------------------------


def test_arrays_without_gaps_and_a_row_are_walked_as_one() -> None:
    image, row = numbers("b j c", "float32"), numbers("c", "float32")
    rows = long_rows(layout_of(image, row), (4, 4), (1,))
    assert rows.repeated == (1,)
    assert rows.layout.sizes[-1] == rows.times * 7 <= LONG
    assert np.prod(rows.layout.sizes) == image.size
    assert rows.layout.steps[0][-1] == 4
    assert rows.layout.steps[1] == (0, 4)


def test_what_is_the_same_everywhere_stays_one_number() -> None:
    image, row, number = numbers("b j c", "int64"), numbers("c", "int64"), np.array(3)
    rows = long_rows(layout_of(image, row, number), (8, 8, 8), (1, 2))
    assert rows.repeated == (1,)
    assert not any(rows.layout.steps[2])


@pytest.mark.parametrize(
    "other",
    [
        numbers("j", "float32")[:, None],
        numbers("b c", "float32")[:, None],  # a row of each image
        numbers("b j c", "float32")[..., ::-1],
        np.repeat(numbers("c", "float32"), 2)[::2],  # with gaps
        np.asfortranarray(numbers("b j c", "float32")),
    ],
)
def test_other_arrays_keep_rows_as_they_are(other: Array) -> None:
    image, row = numbers("b j c", "float32"), numbers("c", "float32")
    layout = layout_of(image, row, other)
    assert long_rows(layout, (4, 4, 4), (1, 2)) == LongRows(layout)


def test_a_number_of_each_image_meets_longer_rows() -> None:
    arrays = numbers("b j c", "float32"), numbers("c", "float32"), numbers("b", "float32")
    rows = long_rows(layout_of(*arrays[:2], arrays[2][:, None, None]), (4, 4, 4), (1, 2))
    assert rows.repeated == (1,)
    assert rows.layout == Layout((40, 36 * 7), ((36 * 7 * 4, 4), (0, 4), (4, 0)))


def test_what_may_not_be_repeated_keeps_rows_as_they_are() -> None:
    layout = layout_of(numbers("b j c", "float32"), numbers("c", "float32"))
    assert long_rows(layout, (4, 4), ()) == LongRows(layout)


@pytest.mark.parametrize("shape", [(9, 7), (12_007, 7), (40, 1000), (60_000,)])
def test_few_rows_and_long_ones_are_as_they_are(shape: tuple[int, ...]) -> None:
    """12007 is a prime: none of its parts is as long as another."""
    layout = layout_of(np.zeros(shape), np.zeros(shape[-1:]))
    assert long_rows(layout, (8, 8), (1,)) == LongRows(layout)


# -- what is made ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_maps_with_a_row(dtype: str) -> None:
    x, y, w = (
        cc.tensor(n, axes, dtype) for n, axes in (("x", "b j c"), ("y", "b j c"), ("w", "c"))
    )
    given = {
        "x": numbers("b j c", dtype),
        "y": numbers("b j c", dtype, 1),
        "w": numbers("c", dtype, 2),
    }
    made, above = by_kernels([cc.relu(x * w + y), x > w], **given)
    wanted = np.maximum(given["x"] * given["w"] + given["y"], 0)
    np.testing.assert_array_equal(made, wanted, strict=True)
    np.testing.assert_array_equal(above, given["x"] > given["w"], strict=True)


@pytest.mark.parametrize("lies", ["in order", "apart", "turned", "with ones"])
def test_arrays_that_lie_in_other_ways(lies: str) -> None:
    x, w = cc.tensor("x", "b j c", "float32"), cc.tensor("w", "k c", "float32")
    image, row = numbers("b j c", "float32"), numbers("c", "float32", 1)[None]
    taken = {
        "in order": (image, row),
        "apart": (image, np.repeat(row, 3, 1)[:, ::3]),
        "turned": (np.asfortranarray(image), row),
        "with ones": (image, np.ascontiguousarray(np.broadcast_to(row, (2, 7)))[1:]),
    }[lies]
    (made,) = by_kernels([cc.relu(x + w)], x=taken[0], w=taken[1])
    np.testing.assert_array_equal(made, np.maximum(image[:, :, None] + row, 0).reshape(made.shape))


def sums(dtype: str) -> tuple[dict[str, cc.Tensor], dict[str, Array]]:
    """The gradient of a bias, and other sums over rows, while maps run."""
    x, g, w = (
        cc.tensor(n, axes, dtype) for n, axes in (("x", "b j c"), ("g", "b j c"), ("w", "c"))
    )
    masked = cc.where(x > w, g, 0)
    outputs = {
        "masked": masked,
        "bias": cc.contract("b j c -> c", masked),
        "squares": cc.contract("b j c, b j c -> c", masked, masked, reduce="mean"),
        "whole": cc.contract("b j c ->", masked),
    }
    return outputs, {
        "x": numbers("b j c", dtype),
        "g": numbers("b j c", dtype, 1),
        "w": numbers("c", dtype, 2),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_long_rows_are_exact_in_integers(dtype: str) -> None:
    outputs, given = sums(dtype)
    compiled = cc.compile(outputs)
    made = compiled(**given)
    assert "with 3 sums" in str(compiled.runner(**{n: a.shape for n, a in given.items()}).plan)
    masked = np.where(given["x"] > given["w"], given["g"], 0).astype(np.int64)
    np.testing.assert_array_equal(made.masked, masked)
    np.testing.assert_array_equal(made.bias, masked.sum((0, 1)))
    np.testing.assert_array_equal(made.whole, masked.sum())
    mean = ((masked**2).sum((0, 1)) / (40 * 36)).astype(dtype)
    np.testing.assert_allclose(made.squares, mean, float(np.finfo(dtype).eps))


def test_sums_are_the_same_for_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_groups, "WORTH_SHARING", 1)
    outputs, given = sums("float32")
    given["g"] = np.random.default_rng(0).standard_normal((40, 36, 7), np.float32)
    before = cc.get_num_threads()
    try:
        made = []
        for threads in (1, 2, 5):
            cc.set_num_threads(threads)
            made.append(cc.compile(outputs)(**given))
    finally:
        cc.set_num_threads(before)
    for others in made[1:]:
        for one, other in zip(made[0], others, strict=True):
            np.testing.assert_array_equal(one, other)
