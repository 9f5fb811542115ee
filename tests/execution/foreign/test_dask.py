"""Dask arrays: every block by itself, lazily, against numpy and exact sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import evaluate
from strategies import Array, Draw, Problem, empties, problems, seeds, windows

import contractconv as cc
from contractconv import Reduction

da = pytest.importorskip("dask.array")

anything = st.one_of(problems(), windows(), problems(empty=True), empties())


def fewer(part: int) -> settings:
    """A part of the usual number of examples."""
    return settings(max_examples=max(5, settings().max_examples // part))


@st.composite
def sizes(draw: Draw, size: int) -> tuple[int, ...]:
    """The sizes of blocks along an axis, some of them empty."""
    ends = sorted(draw(st.lists(st.integers(0, size), max_size=3)))
    return tuple(stop - start for start, stop in zip([0, *ends], [*ends, size], strict=True))


@st.composite
def chunked(draw: Draw, arrays: Sequence[Array]) -> list[Any]:
    """Arrays of dask in blocks of any sizes; now and then one that numpy has."""
    made = []
    for n, array in enumerate(arrays):
        chunks = tuple(draw(sizes(size)) for size in array.shape)
        made.append(array if n and draw(st.integers(0, 4)) == 4 else da.from_array(array, chunks))
    return made


def computed(array: Any) -> Any:
    """What a dask array is, and says that it is."""
    assert isinstance(array, da.Array)
    made = array.compute(scheduler="synchronous")
    assert np.shape(made) == array.shape
    assert np.asarray(made).dtype == array.dtype
    return np.asarray(made)


def answer(
    problem: Problem, operands: Sequence[Any], reduce: Reduction, call: Callable[..., Any]
) -> Any:
    """What something makes of a problem's operands, with all extents said."""
    contraction = cc.Contraction(problem.spec, reduce)
    said = {"output_shape": problem.output_shape, "extents": problem.extents}
    return call(contraction)(*operands, **said)


# --- values ----------------------------------------------------------------------------------


@fewer(2)
@given(problem=anything, reduce=st.sampled_from(get_args(Reduction)), seed=seeds(), data=st.data())
def test_blocks_of_any_sizes_are_the_whole(
    problem: Problem, reduce: Reduction, seed: int, data: st.DataObject
) -> None:
    operands = problem.operands(seed, problem.bound(reduce))
    expected = evaluate(problem.spec, operands, problem.extents, problem.output_shape, reduce)
    result = computed(answer(problem, data.draw(chunked(operands)), reduce, lambda c: c))
    assert result.dtype == expected.dtype
    rounded = reduce in ("mean", "logsumexp")
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12 if rounded else 0)


@fewer(6)
@given(problem=anything, reduce=st.sampled_from(get_args(Reduction)), seed=seeds(), data=st.data())
def test_gradients_by_blocks_are_those_of_the_whole(
    problem: Problem, reduce: Reduction, seed: int, data: st.DataObject
) -> None:
    operands = problem.operands(seed, problem.bound(reduce), "float64")
    arrays = [problem.cotangent(seed, dtype="float64"), *operands]
    for n in range(len(operands)):
        expected = answer(problem, arrays, reduce, lambda c, n=n: c.grad(n))
        made = answer(problem, data.draw(chunked(arrays)), reduce, lambda c, n=n: c.grad(n))
        exact = reduce not in ("mean", "logsumexp", "prod")
        np.testing.assert_allclose(
            computed(made), expected, rtol=0 if exact else 1e-10, atol=0 if exact else 1e-10
        )
