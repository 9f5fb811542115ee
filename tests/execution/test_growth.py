"""Planning and preparing take as many steps for a long array as for a short one.

What is counted are calls of Python functions: with kernels those of the first run included, without
them those of planning, as numpy then goes block by block. A loop over positions, or over pairs of
results and taps, shows as calls that grow with the array.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import contractconv as cc

SHORT, TIMES = 20_000, 40
PACKAGE = Path(cc.__file__).parent
# Parts that are worth their while for long arrays only, and candidates for more work; a long sum is
# put together from sums of at most so many blocks each.
_ALLOWED, _BESIDE = 2, 240_000

Case = tuple[str, Callable[[int], Any], dict[str, Any], Any]
CASES: dict[str, Case] = {
    "flipped": ("(i-k), k -> i", lambda n: [(n,), (101,)], {}, "sum"),
    "padded": ("(i+k-50), k -> i", lambda n: [(n,), (101,)], {}, "sum"),
    "strided": ("(2*i+k-3), k -> i", lambda n: [(n,), (7,)], {}, "sum"),
    "dilated": ("(i+3*k-9), k -> i", lambda n: [(n,), (7,)], {}, "sum"),
    "strided and dilated": ("(3*i-2*k+5), k -> i", lambda n: [(n,), (7,)], {}, "sum"),
    "transposed": ("i, k -> (2*i+k-1)", lambda n: [(n,), (5,)], {}, "sum"),
    "fraction": ("((i+k)/2), k -> i", lambda n: [(n,), (5,)], {"i": 2}, "sum"),
    "channels": ("(i+k-1) c, k c o -> i o", lambda n: [(n, 4), (3, 4, 8)], {}, "sum"),
    "channels first": ("c (i+k-1), o c k -> o i", lambda n: [(4, n), (8, 4, 3)], {}, "sum"),
    "depthwise": ("(i+k-1) c, k c -> i c", lambda n: [(n, 16), (3, 16)], {}, "sum"),
    "lines": ("b (i+k-1) (j+l-1) c, k l c -> b i j c",
              lambda n: [(1, 9, n // 8, 16), (3, 3, 16)], {}, "sum"),
    "image": ("(i+k-1) (j+l-1), k l -> i j", lambda n: [(20, n // 20), (3, 3)], {}, "sum"),
    "groups": ("b (i+k-1) g c, g k c o -> b i g o",
               lambda n: [(2, 10, n // 20, 2), (n // 20, 3, 2, 2)], {}, "sum"),
    "pooling": ("(2*i+k-1) c -> i c", lambda n: [(n, 4)], {"k": 3}, "max"),
    "mean": ("c (2*i+k-1) -> c i", lambda n: [(4, n)], {"k": 3}, "mean"),
    "product": ("(2*i+k-1) -> i", lambda n: [(n,)], {"k": 3}, "prod"),
    "softmax": ("(2*i+k-1) -> i", lambda n: [(n,)], {"k": 3}, "logsumexp"),
    "largest product": ("(2*i+k-1), k -> i", lambda n: [(n,), (3,)], {}, "max"),
    "scattered maximum": ("i k -> (2*i+k)", lambda n: [(n, 3)], {}, "max"),
}  # fmt: skip


def calls_of(work: Callable[[], Any], *rooms: str) -> int:
    """How many functions of some rooms are called."""
    count, places = 0, tuple(str(PACKAGE / room) for room in rooms)

    def seen(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call" and frame.f_code.co_filename.startswith(places)

    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def rooms_of(engine: str) -> tuple[str, ...]:
    return ("planning", "execution") if engine == "llvm" else ("planning",)


def work_of(case: str, length: int, operand: int | None, algorithm: Any) -> Callable[[], Any]:
    spec, shapes_of, extents, reduce = CASES[case]
    shapes = shapes_of(length)
    known: dict[str, Any] = {
        name: 2 * length if value == 2 else value for name, value in extents.items()
    }
    layer = cc.Contraction(spec, reduce=reduce)
    operands = [np.ones(shape, np.float32) for shape in shapes]
    if operand is None:
        return lambda: layer(*operands, algorithm=algorithm, **known)
    g = np.ones(layer.output_shape(*shapes, **known), np.float32)
    derived = layer.grad(operand)
    return lambda: derived(g, *operands, algorithm=algorithm, **known)


@pytest.mark.parametrize("case", CASES)
def test_first_calls_take_as_many_steps_however_long_arrays_are(engine: str, case: str) -> None:
    for operand in (None, *range(len(CASES[case][1](8)))):
        for algorithm in ("auto", "direct"):
            lengths = (SHORT - 40, SHORT, TIMES * SHORT)
            _, few, many = (
                calls_of(work_of(case, n, operand, algorithm), *rooms_of(engine)) for n in lengths
            )
            assert many <= _ALLOWED * few + _BESIDE, (operand, algorithm)


@pytest.mark.parametrize("case", ["strided", "transposed", "channels", "image", "groups"])
@pytest.mark.parametrize("algorithm", ["toom-cook", "fft"])
def test_so_do_tiles_and_transforms(engine: str, case: str, algorithm: str) -> None:
    for operand in (None, 0, 1):
        lengths = (SHORT - 40, SHORT, TIMES * SHORT)
        _, few, many = (
            calls_of(work_of(case, n, operand, algorithm), *rooms_of(engine)) for n in lengths
        )
        assert many <= _ALLOWED * few + _BESIDE, operand


@pytest.mark.parametrize("taps", [1_000, 100_000])
def test_so_do_windows_of_many_taps(engine: str, taps: int) -> None:
    def work() -> Any:
        return cc.Contraction("(i-k), k -> i").compile((200_000,), (taps,), dtype="float32")

    assert calls_of(work, *rooms_of(engine)) <= _BESIDE


@pytest.mark.parametrize("stride", [1_000, 10**6, 10**12])
def test_strides_are_not_gone_through(stride: int) -> None:
    """Neither residues of a stride nor phases are, beyond a number that can be planned."""
    layer = cc.Contraction(f"({stride}*i+{stride - 1}*k-{stride}), k -> i")
    plan = partial(layer.plan, (3_000,), (3_000,), i=3_000)
    assert calls_of(plan, "planning") <= 5 * _BESIDE
    scatter = cc.Contraction(f"i, k -> ({stride}*i+{stride - 1}*k)")
    plan = partial(scatter.plan, (3_000,), (3_000,), output_shape=(3_000,))
    assert calls_of(plan, "planning") <= 5 * _BESIDE


def test_tables_are_not_as_large_as_the_index_space(engine: str) -> None:
    layer = cc.Contraction("(i+k-50), k -> i")
    x, w = np.ones(400_000, np.float32), np.ones(101, np.float32)
    layer(x[:300_000], w)  # what else is made once: the kernels
    tracemalloc.start()
    try:
        y = layer(x, w)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most <= 8 * (x.nbytes + w.nbytes + y.nbytes) + (1 << 22)
