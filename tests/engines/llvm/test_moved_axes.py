"""Kernels that see arrays with their axes in another order make what the definition says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracle import evaluate

import contractconv as cc
from contractconv.arrays.views import gapless
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.moved_axes import RESULT, Moved, between_copies, lie_side_by_side
from contractconv.engines.llvm.program import Program
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse

pytestmark = pytest.mark.skipif(not native.available(), reason="needs compiled kernels")

# Channels first: data, kernel and result all lie otherwise than kernels of tiles run.
SPECS = {
    "dense": ("b c (i+k-1) (j+l-1), o c k l -> b o i j", (2, 9, 12, 17), (19, 9, 3, 3)),
    "one dimension": ("b c (i+k), o c k -> b o i", (3, 17, 70), (5, 17, 4)),
    "three dimensions": (
        "b c (h+m) (i+k) (j+l), o c m k l -> b o h i j", (1, 5, 6, 7, 9), (6, 5, 2, 3, 2)
    ),
    "groups": ("b g c (i+k) (j+l), g o c k l -> b g o i j", (2, 3, 4, 14, 11), (3, 5, 4, 3, 3)),
    "stride": ("b c (2*i+k-1) (2*j+l-1), o c k l -> b o i j", (1, 16, 17, 15), (16, 16, 5, 4)),
    "dilation": ("b c (i+2*k) (j+2*l), o c k l -> b o i j", (1, 16, 15, 18), (9, 16, 3, 3)),
    "few results, long sums": ("b c (i+k) (j+l), o c k l -> b o i j", (5, 3, 34, 35), (2, 3, 3, 3)),
    "transposed": ("b c i j, c o k l -> b o (2*i+k-1) (2*j+l-1)", (1, 24, 9, 7), (24, 17, 4, 4)),
    "turned": ("c (i+k) b, k c o -> o b i", (8, 40, 3), (3, 8, 7)),
}  # fmt: skip


def drawn(shape: tuple[int, ...], dtype: str, seed: int) -> Any:
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)


@pytest.mark.parametrize("algorithm", ["direct", "toom-cook"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SPECS)
def test_results_and_gradients(name: str, dtype: str, algorithm: Any) -> None:
    spec, *shapes = SPECS[name]
    x, w = (drawn(shape, dtype, n) for n, shape in enumerate(shapes))
    problem = resolve(parse(spec), shapes, {})
    c = cc.Contraction(spec)
    run = c.compile(*shapes, dtype=dtype, algorithm=algorithm)
    wanted = evaluate(spec, [x, w], problem.extents, problem.result_shape)
    g = drawn(problem.result_shape, dtype, 2)
    exact = [a.astype(np.int64) for a in (g, x, w)]
    atol = 2e-3 if dtype == "float32" else 1e-9
    for _ in range(2):  # made ready, and then as it was
        np.testing.assert_allclose(run(x, w), wanted, rtol=0, atol=atol)
        for n in range(2):
            slope = c.grad(n)(exact[0], *exact[1:])
            np.testing.assert_allclose(run.vjp(n, g, x, w), slope, rtol=0, atol=atol)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_any_number_of_threads_and_arrays_with_gaps(threads: int) -> None:
    spec, *shapes = SPECS["dense"]
    x, w = (drawn(tuple(2 * n for n in s), "float32", n) for n, s in enumerate(shapes))
    x, w = x[::2, ::2, ::2, ::2], w[1::2, 1::2, 1::2, 1::2]
    x.flags.writeable = False
    before = cc.get_num_threads()
    try:
        cc.set_num_threads(threads)
        made = cc.contract(spec, x, w, algorithm="toom-cook")
    finally:
        cc.set_num_threads(before)
    problem = resolve(parse(spec), shapes, {})
    wanted = evaluate(spec, [x, w], problem.extents, problem.result_shape)
    np.testing.assert_allclose(made, wanted, rtol=0, atol=2e-3)


def test_what_lies_well_is_not_moved() -> None:
    accesses = resolve(parse("b i c, c -> b i"), [(2, 3, 4), (4,)], {}).operands[0]
    strides = gapless((2, 3, 4), 4)
    assert lie_side_by_side(accesses, strides, ("c",), 4)
    assert not lie_side_by_side(accesses, strides, ("i",), 4)
    assert lie_side_by_side(accesses, strides, ("nothing of it",), 4)
    program = Program([])
    assert between_copies(program, (), (), "float32", False, 2) is program


def test_a_copy_has_its_axes_in_order_and_no_gaps() -> None:
    moved = Moved("0", (2, 3, 5), (60, 20, 4), (0, 2, 1), 4)
    assert (moved.seen, moved.bytes) == ((60, 4, 12), 120)


def test_copies_take_memory_of_the_program_and_further_results_become_stages() -> None:
    problem = resolve(parse("b c i, c -> b c i"), [(2, 3, 5), (3,)], {})
    result = Moved(RESULT, (2, 3, 5), gapless((2, 3, 5), 4), (0, 2, 1), 4)
    given = Moved("0", (2, 3, 5), gapless((2, 3, 5), 4), (0, 2, 1), 4)
    made = between_copies(
        Program([], shared=100, copies=2), (given, result), (problem,), "float32", False, 2
    )
    # 100 and 120 bytes, in whole lines of 64: what was shared, an operand, and two results.
    assert (made.shared, made.copies, len(made.stages)) == (4 * 128, 1, 3)
