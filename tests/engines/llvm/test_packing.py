"""Copies between views of any layout: what is turned in squares, whatever lies side by side."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from contractconv.arrays.views import contiguous
from contractconv.engines.llvm.kernels.epilogue_code import RAW, Finish
from contractconv.engines.llvm.packing import End, add_copy, reading
from contractconv.engines.llvm.program import Calls, Place, Prepared, Program
from contractconv.machine.placement import LINE
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse

Array = NDArray[np.floating]
GUARD = 77.0

shapes = st.lists(st.sampled_from((1, 2, 3, 6, 16, 17, 35)), min_size=1, max_size=4).filter(
    lambda shape: prod(shape) < 20_000
)


@st.composite
def views(draw: st.DrawFn, shape: list[int], dtype: str) -> tuple[Array, Array]:
    """A view with axes in any order in memory, some with gaps behind them; and what it is of."""
    order = draw(st.permutations(range(len(shape))))
    gaps = [draw(st.sampled_from((0, 0, 1))) for _ in shape]
    whole = np.full([shape[n] + gaps[n] for n in order], GUARD, dtype)
    inside = whole[tuple(slice(shape[n]) for n in order)]
    return inside.transpose(np.argsort(order)), whole


def copied(source: Array, out: Array, adding: bool, finish: Finish, bias: Array) -> None:
    calls = Calls()
    ends = End(Place("source"), source.strides), End(Place("out"), out.strides)
    add_copy(
        calls, source.dtype.name, source.shape, *ends, adding, finish,
        Place("bias") if finish.bias else 0,
    )  # fmt: skip
    Prepared(Program([[calls]])).run({"source": source, "bias": bias}, out)


@given(st.data(), shapes, st.sampled_from(("float32", "float64")), st.booleans())
def test_copies_of_any_layout(
    data: st.DataObject, shape: list[int], dtype: str, adding: bool
) -> None:
    source, _ = data.draw(views(shape, dtype))
    out, whole = data.draw(views(shape, dtype))
    source[...] = np.arange(prod(shape)).reshape(shape)
    out[...] = 3
    expected = whole.copy()
    copied(source, out, adding, RAW, np.zeros(1, dtype))
    assert np.array_equal(out, source + 3 * adding)
    out[...] = 3
    assert np.array_equal(whole, expected)  # nothing between its rows was written


@given(st.data(), shapes, st.sampled_from(("float32", "float64")), st.booleans(), st.booleans())
def test_what_is_finished_has_a_bias_along_its_last_axis(
    data: st.DataObject, shape: list[int], dtype: str, adding: bool, biased: bool
) -> None:
    source, _ = data.draw(views(shape, dtype))
    source[...] = np.arange(prod(shape)).reshape(shape) % 11 - 5
    bias = np.arange(shape[-1], dtype=dtype) % 7 - 3
    out = np.ones(shape, dtype)
    if out.strides[-1] != out.itemsize or shape[-1] == 1:
        return
    copied(source, out, adding, Finish(biased, relu=True), bias)
    assert np.array_equal(out, np.maximum(source + adding + biased * bias, 0))


@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("side", [16, 32, 36, 66])
def test_lines_of_a_copy_do_not_share_few_places_in_cache(side: int, itemsize: int) -> None:
    """The images lie side by side, channel by channel: each of these would begin alike."""
    problem = resolve(
        parse("b c (i+k) (j+l), o c k l -> b o i j"), [(64, 40, side, side), (8, 40, 2, 2)], {}
    )
    term, strides = problem.operands[0], contiguous(problem, itemsize)[0]
    copy = reading(problem, term, strides, itemsize, ("b",)).copy
    assert copy is not None
    assert copy.order[-1] == 0
    assert copy.strides[-1] == 1
    apart = [stride * itemsize for stride in copy.strides[:-1]]
    assert all(step < 2048 or step % 512 for step in apart)
    assert all(step % LINE == 0 for step in apart)
    assert copy.elements <= 1.05 * prod(copy.shape)


def test_a_copy_has_no_gaps_along_its_lanes() -> None:
    problem = resolve(parse("g b c j, g c o -> b j g o"), [(64, 3, 16, 9), (64, 16, 16)], {})
    term, strides = problem.operands[1], contiguous(problem, 4)[1]
    read = reading(problem, term, strides, 4, ("g", "o"))
    assert read.copy is not None
    assert (read.steps["o"], read.steps["g"]) == (4, 64)
