"""A memory limit is kept, and changes nothing but the time and the algorithm."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from allocations import peak_beyond_result
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import natural_output_shape
from strategies import Array, Draw, filled

import contractconv as cc
from contractconv import Algorithm
from contractconv.engines.llvm.kernels import native
from contractconv.execution.memory_slices import Search
from contractconv.execution.products import run_within
from contractconv.planning.options import DEFAULTS
from contractconv.planning.plan import order_of, plan_afresh

# Bytes of Python objects, which a limit does not count.
OBJECTS = 200_000

rng = np.random.default_rng(0)
X = rng.integers(-4, 5, (8, 40, 40, 32)).astype(np.float32)
W = rng.integers(-4, 5, (3, 3, 32, 64)).astype(np.float32)
Y = rng.integers(-4, 5, (8, 40, 40, 64)).astype(np.float32)
IM2COL = 8 * 40 * 40 * 3 * 3 * 32 * 4

# Small integers in float32 are summed exactly in any order, so results must be equal.
CASES: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "convolution": ("b (i+k-1) (j+l-1) c, k l c o -> b i j o", (X, W), {}),
    "scatter": ("b i j o, k l c o -> b (i+k-1) (j+l-1) c", (Y, W), {}),
    "weight gradient": ("b (i+k-1) (j+l-1) c, b i j o -> k l c o", (X, Y), {"k": 3, "l": 3}),
    "max pooling": ("b (2*i+k) (2*j+l) c -> b i j c", (X,), {"k": 2, "l": 2, "reduce": "max"}),
    "mean of a scatter": ("b i j c -> b (2*i+k) (2*j+l) c", (X,),
                          {"k": 3, "l": 3, "reduce": "mean"}),
    "tropical product": ("b i c, b j c -> b i j", (X[:, 0], X[:, 1]), {"reduce": "max"}),
    "three operands": ("b i c, b j c, b k c -> i j k", (X[:, 0], X[:, 1], X[:, 2]), {}),
    "plain sum": ("b h w c -> b c", (X,), {}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("limit", [4_000_000, 1_000_000])
@pytest.mark.parametrize("algorithm", ["auto", "direct"])
@pytest.mark.usefixtures("engine")
def test_the_limit_is_kept(case: str, limit: int, algorithm: Algorithm) -> None:
    spec, operands, options = CASES[case]
    options = {"algorithm": algorithm, **options}
    free = cc.contract(spec, *operands, **options | {"algorithm": "direct"})
    # Plans are Python objects, which the limit does not count; a warm call has them already.
    cc.contract(spec, *operands, memory_limit=limit, **options)
    results = []

    def call() -> Any:
        results.append(cc.contract(spec, *operands, memory_limit=limit, **options))
        return results[0]

    assert peak_beyond_result(call) <= limit + 100_000
    if algorithm == "direct":
        assert np.array_equal(results[0], free)
    else:
        np.testing.assert_allclose(results[0], free, atol=1e-4 * abs(free).max())


@pytest.mark.skipif(not native.available(), reason="there is no compiler")
@pytest.mark.parametrize("algorithm", ["auto", "direct"])
def test_a_layer_is_not_cut_where_kernels_fit(
    algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("it was cut")

    spec, operands, _ = CASES["convolution"]
    monkeypatch.setattr("contractconv.execution.run.add_within", refuse)
    cc.contract(spec, *operands, algorithm=algorithm, memory_limit=IM2COL // 10)
    with pytest.raises(AssertionError, match=r"^it was cut$"):
        cc.contract(spec, operands[0].astype(int), operands[1], memory_limit=IM2COL // 10)


# Any form, with the sizes of indices; windows have at most three taps.
FORMS = [
    "b (2*i+k-1) (j+l-1) c, k l c o -> b i j o",
    "b i j o, k l c o -> b (2*i+k-1) (j+l) c",
    "b (i+k-1) c, b i o -> k c o",
    "b (i+k-1) (j+l) c, k l c -> b i j c",
    "b ((i-k)/2) c, k c o -> b i o",
    "b (3*i+2*k-2) c, k c o -> b (2*i+1) o",
    "(i-k) c, k c -> i c",
    "b i c, b j c -> b i j",
    "b i c, b j c, b k c -> i j k",
    "b q h d, b s h d, b s h e -> b q h e",
    "i j, j k, k l, l m -> i m",
    "b (2*i+k) c -> b i c",
    "b i c -> b (2*i+k) c",
    "b c i -> b i",
    "b h w, b h w -> (h w) b",
    "i i j -> i j",
    "b i j -> ",
    "i, -> i j",
]
KINDS = ["int8", "uint8", "bool", "int64", "float32", "float64", "complex64"]


@st.composite
def limited(draw: Draw) -> tuple[str, tuple[Array, ...], dict[str, Any], int]:
    """A contraction of up to some 30,000 points, and a limit from next to nothing to plenty."""
    spec = draw(st.sampled_from(FORMS))
    names = list(dict.fromkeys(re.findall("[a-z]", spec)))
    taps = {n for axis in re.findall(r"\(.*?\)", spec) if "+" in axis or "-" in axis for n in "kl"}
    extents = {n: draw(st.integers(1, 3 if n in taps else 24)) for n in names}
    while math.prod(extents.values()) > 30_000:
        longest = max(extents, key=lambda n: extents[n])
        extents[longest] = -(-extents[longest] // 2)
    shapes = [
        tuple(natural_output_shape(f"-> {term}", [()], extents))
        for term in spec.partition("->")[0].split(",")
    ]
    reduce = draw(st.sampled_from(["sum", "sum", "max", "min", "prod", "mean", "logsumexp"]))
    kinds = KINDS if reduce in ("sum", "prod", "mean") else KINDS[:-1]
    operands = tuple(
        laid_out(draw, filled(shape, n, 3, "int64").astype(draw(st.sampled_from(kinds))))
        for n, shape in enumerate(shapes, 1)
    )
    limit = int(10 ** draw(st.floats(3.5, 6)))
    return spec, operands, {"reduce": reduce, **extents}, limit


def laid_out(draw: Draw, array: Array) -> Array:
    """The same numbers in another order of memory."""
    how = draw(st.sampled_from(["as it is", "reversed", "transposed", "apart"]))
    if how == "reversed":
        return np.ascontiguousarray(array[(slice(None, None, -1),) * array.ndim])[
            (slice(None, None, -1),) * array.ndim
        ]
    if how == "transposed":
        return np.asfortranarray(array)
    if how == "apart":
        wide = np.zeros([2 * size for size in array.shape], array.dtype)
        wide[(slice(None, None, 2),) * array.ndim] = array
        return wide[(slice(None, None, 2),) * array.ndim]
    return array


@settings(max_examples=25)
@given(limited())
def test_any_limit_is_kept_or_refused(
    case: tuple[str, tuple[Array, ...], dict[str, Any], int],
) -> None:
    spec, operands, options, limit = case
    free = cc.contract(spec, *operands, **options)
    try:
        cc.contract(spec, *operands, memory_limit=limit, **options)
    except cc.MemoryLimitError as error:
        limit = int(str(error).rpartition(" ")[2])
        cc.contract(spec, *operands, memory_limit=limit, **options)
    made = cc.contract(spec, *operands, memory_limit=limit, **options)
    # What Python itself collects, or does not, differs from time to time.
    peaks = (
        peak_beyond_result(lambda: cc.contract(spec, *operands, memory_limit=limit, **options))
        for _ in range(3)
    )
    assert any(peak <= limit + OBJECTS for peak in peaks)
    assert made.dtype == free.dtype
    scale = np.abs(free[np.isfinite(free)]).max(initial=0)
    np.testing.assert_allclose(made, free, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("kinds", [("int8", "float64"), ("float32", "float64"), ("bool", "int64")])
@pytest.mark.usefixtures("engine")
def test_conversions_are_counted(kinds: tuple[str, str]) -> None:
    spec, limit = "b i c, c o -> b i o", 400_000
    x, w = np.ones((40, 200, 64), kinds[0]), np.ones((64, 4), kinds[1])
    assert x.size * np.dtype(kinds[1]).itemsize > 8 * limit
    expected = cc.contract(spec, x, w)
    cc.contract(spec, x, w, memory_limit=limit)
    results = []

    def call() -> Array:
        results.append(cc.contract(spec, x, w, memory_limit=limit))
        return results[0]

    assert peak_beyond_result(call) <= limit + OBJECTS
    assert np.array_equal(results[0], expected)


def test_equal_parts_share_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = []

    def counted(*given: Any) -> Any:
        planned.append(given)
        return plan_afresh(*given)

    monkeypatch.setattr("contractconv.execution.memory_limit.plan_afresh", counted)
    cc.clear_caches()
    spec, operands, _ = CASES["three operands"]
    made = cc.contract(spec, *operands, memory_limit=500_000)
    assert 0 < len(planned) < 12
    assert np.array_equal(made, cc.contract(spec, *operands))
    planned.clear()
    cc.contract(spec, *operands, memory_limit=500_000)
    assert not planned


@pytest.mark.parametrize("share", [2, 4])
def test_parts_are_few(share: int) -> None:
    """What half of the memory takes is done in a few parts, not in hundreds."""
    spec, operands, _ = CASES["three operands"]
    free = peak_beyond_result(lambda: cc.contract(spec, *operands))
    problem = cc.Contraction(spec)._problem([x.shape for x in operands], DEFAULTS)
    found = Search(problem, 4, (), order_of(problem)).found(free // share)
    assert found is not None
    assert len(list(found.parts(problem))) <= 8 * share


def test_the_least_limit_that_would_do_is_named() -> None:
    x, w = np.ones((30, 40), int), np.ones((40, 20))
    for spec in ("i j, j k -> i k", "i j, j k -> (i+k)"):
        with pytest.raises(cc.MemoryLimitError, match="the least is") as error:
            cc.contract(spec, x, w, memory_limit=1)
        least = int(str(error.value).rpartition(" ")[2])
        made = cc.contract(spec, x, w, memory_limit=least)
        assert np.array_equal(made, cc.contract(spec, x, w))


@pytest.mark.skipif(not native.available(), reason="there is no compiler")
@pytest.mark.parametrize(("batch", "size", "channels"), [(2, 112, 64), (8, 56, 64), (8, 28, 128)])
@pytest.mark.parametrize("direction", [None, 0, 1])
def test_a_layer_takes_less_than_a_tenth_of_its_windows(
    batch: int, size: int, channels: int, direction: int | None
) -> None:
    x = np.ones((batch, size, size, channels), np.float32)
    w = np.ones((3, 3, channels, channels), np.float32)
    run = cc.Contraction(CASES["convolution"][0]).compile(x.shape, w.shape, dtype="float32")
    steps = run.plan if direction is None else run.vjp_plan(direction)
    operands = {None: (x, w), 0: (x, w), 1: (x, x)}[direction]
    assert run_within(steps, operands, limit=0) is None
    assert run_within(steps, operands, limit=9 * x.nbytes // 10) is not None


@pytest.mark.parametrize("case", ["convolution", "scatter"])
@pytest.mark.usefixtures("engine")
def test_large_results_begin_at_a_line_of_the_cache(case: str) -> None:
    """So vectors that are read by the next layer lie on one line each."""
    spec, operands, options = CASES[case]
    result = cc.contract(spec, *operands, **options)
    assert result.ctypes.data % 64 == 0
    assert result.flags.c_contiguous
    assert result.flags.writeable


def test_without_a_limit_there_is_no_im2col() -> None:
    spec, operands, _ = CASES["convolution"]
    padded = 8 * 42 * 42 * 32 * 4
    # A thread that comes late to the first calls takes memory of its own in a later one.
    peak = min(peak_beyond_result(lambda: cc.contract(spec, *operands)) for _ in range(5))
    assert peak < padded + 3_000_000
    assert peak < IM2COL / 2
    bare = spec.replace("-1", "")
    unpadded = min(peak_beyond_result(lambda: cc.contract(bare, *operands)) for _ in range(5))
    assert unpadded < 3_000_000


def test_an_impossible_limit_is_refused_before_anything_is_done() -> None:
    with pytest.raises(cc.MemoryLimitError, match=r"is too small for") as error:
        cc.contract("i j, j k -> i k", np.ones((2, 3), int), np.ones((3, 4)), memory_limit=4)
    assert re.search(r"4 bytes", str(error.value))
