"""Cutting leaves into parts that read no padding: all points that add something, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.partition import unpadded
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse

CASES = {
    "one window": ("(i+k-2), k -> i", (40,), (5,)),
    "stride and dilation": ("(2*i+3*k-4), k -> i", (40,), (5,)),
    "against the result": ("(i-k) c, k c -> i", (40, 3), (5, 3)),
    "two axes": ("(i+k-1) (2*j+l-2), k l -> i j", (20, 30), (3, 5)),
    "both operands": ("(i-k) j, k (i-k) j -> i j", (30, 4), (3, 30, 4)),
}


@pytest.mark.parametrize("case", CASES)
def test_parts_read_no_padding_and_add_up(case: str) -> None:
    spec, *shapes = CASES[case]
    extents = {"i": 32} if case in ("against the result", "both operands") else {}
    problem = resolve(parse(spec), shapes, extents)
    parts = unpadded(problem)
    assert len(parts) > 1
    for part in parts:
        for term in part.operands:
            for access in term:
                low, high = access.reach(part.extents)
                assert low >= 0
                assert high < access.size
    written = sum(int(np.prod([part.extents[n] for n in part.kept])) for part in parts)
    assert written == int(np.prod([problem.extents[n] for n in problem.kept]))


@pytest.mark.parametrize("size", [4, 30, 61])
def test_a_window_of_both_operands_meets_the_boundary_once(size: int) -> None:
    rng = np.random.default_rng(0)
    spec = "b c i j, k l b c i j -> b c (i+k) (2*j+l)"
    g = rng.integers(-3, 4, (3, 2, size, size))
    w = rng.integers(-3, 4, (3, 2, 3, 2, size, size))
    exact = cc.contract(spec, g, w)
    assert np.array_equal(cc.contract(spec, g.astype(float), w.astype(float)), exact)


@pytest.mark.skipif(not native.available(), reason="kernels are not compiled")
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    ("spec", "first", "second"),
    [
        ("b (i+k-4) (j+l-4) o, k l o c -> b i j c", (64, 10, 10, 16), (5, 5, 16, 6)),
        ("b (i-k) (j-l) o, k l c o -> b i j c", (64, 10, 10, 16), (5, 5, 6, 16)),
        ("b (i+2*k-6) (j+l-3) o, k l o c -> b i j c", (64, 12, 9, 16), (4, 4, 16, 6)),
        ("b o (i+k-4) (j+l-4), k l o c -> b c i j", (64, 16, 10, 10), (5, 5, 16, 6)),
    ],
)
def test_where_much_is_padding_nothing_is_multiplied_by_it(
    spec: str, first: tuple[int, ...], second: tuple[int, ...], threads: int
) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.integers(-3, 4, first), rng.integers(-3, 4, second)
    layer: Any = cc.Contraction(spec)
    extents = {"i": 14, "j": 13} if "(i-k)" in spec else {}
    cc.set_num_threads(threads)
    try:
        wanted = layer(x, w, **extents)
        made = layer(*(a.astype("float32") for a in (x, w)), algorithm="direct", **extents)
    finally:
        cc.set_num_threads(None)
    assert np.array_equal(made, wanted)
