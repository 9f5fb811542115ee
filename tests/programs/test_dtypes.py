"""Where conversions stand in a program whose dtypes are known."""

from __future__ import annotations

import numpy as np
import pytest

import contractconv as cc
from contractconv.execution.programs.compiled import CompiledProgram
from contractconv.programs.nodes import Cast

AXES = {(): "", (1,): "i", (3,): "i"}


def conversions(compiled: CompiledProgram, **shapes: tuple[int, ...]) -> int:
    """How many there are when everything is known."""
    nodes = compiled.runner(**shapes).program.graph.nodes
    return sum(isinstance(node, Cast) for node in nodes)


@pytest.mark.parametrize("shape", AXES)
@pytest.mark.parametrize("dtype", ["bool", "int64", "float32", "complex64"])
def test_what_has_its_dtype_is_not_converted(shape: tuple[int, ...], dtype: str) -> None:
    x, y = cc.tensor("x", AXES[shape], dtype), cc.tensor("y", AXES[shape], dtype)
    compiled = cc.compile(cc.where(x.cast(dtype) == y, x, y.cast(dtype)))
    assert conversions(compiled, x=shape, y=shape) == 0
    one, other = np.zeros(shape, dtype), np.ones(shape, dtype)
    np.testing.assert_array_equal(compiled(one, other), other, strict=True)


@pytest.mark.parametrize("shape", AXES)
def test_what_has_another_dtype_is(shape: tuple[int, ...]) -> None:
    x, y = cc.tensor("x", AXES[shape], "float32"), cc.tensor("y", AXES[shape], "float64")
    compiled = cc.compile(x + y)
    assert conversions(compiled, x=shape, y=shape) == 1
    made = compiled(np.full(shape, 0.1, np.float32), np.full(shape, 0.1))
    np.testing.assert_array_equal(made, np.full(shape, np.float64(np.float32(0.1)) + 0.1))


def test_a_number_in_a_program_is_one_of_the_dtype_that_is_asked_for() -> None:
    x = cc.tensor("x", "", "float32")
    compiled = cc.compile(cc.where(x > 0, 0.5, 0.25).cast("float32"))
    made = compiled(np.float32(1))
    assert made.dtype == np.float32
    assert made == 0.5


def test_a_result_that_is_an_input_is_another_array() -> None:
    x = cc.tensor("x", "", "float32")
    given = np.array(2, np.float32)
    made = cc.compile(x.cast("float32"))(given)
    assert made == 2
    assert not np.shares_memory(made, given)
