"""Fast algorithms for windows agree with sums over explicit windows, in any layout."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import contractconv as cc
from contractconv.arrays.views import Array, Labelled
from contractconv.engines.numpy import fft, tile_product
from contractconv.engines.numpy import toom_cook as by_tiles
from contractconv.engines.numpy.tile_product import UnitWindow
from contractconv.errors import ShapeError
from contractconv.tiles.decomposition import Decomposition, direct, toom_cook
from contractconv.uninterrupted import undisturbed

WINDOWS = {"y": UnitWindow("y", "i", "k"), "z": UnitWindow("z", "j", "l"),
           "x": UnitWindow("x", "h", "m")}  # fmt: skip
ROLES = ("forward", "kernel")
ALGORITHMS = ("toom-cook", "fourier")
# Relative to the largest element of the result.
TOLERANCE = {"f": 1e-4, "d": 1e-12, "F": 1e-4, "D": 1e-12}
SIZES = {"b": 2, "c": 3, "o": 4, "g": 2, "n": 2, "i": 7, "k": 3, "j": 5, "l": 2, "h": 3, "m": 2}


class Case(NamedTuple):
    """The labels of data, taps and results."""

    data: str
    taps: str
    results: str

    @property
    def windows(self) -> tuple[UnitWindow, ...]:
        """The windows along the axes of the data."""
        return tuple(WINDOWS[label] for label in self.data.split() if label in WINDOWS)


CASES = {
    "1-D": Case("b y c", "k c o", "b i o"),
    "1-D, channels first": Case("b c y", "o c k", "b o i"),
    "2-D": Case("b y z c", "k l c o", "b i j o"),
    "2-D, channels first": Case("b c y z", "o c k l", "b o i j"),
    "2-D, axes exchanged": Case("z c b y", "o l c k", "i o j b"),
    "3-D": Case("b x y z c", "m k l c o", "b h i j o"),
    "groups": Case("b y z g c", "k l g c o", "b i j g o"),
    "groups outside": Case("g b c y", "g o c k", "b g o i"),
    "depthwise": Case("b y z c", "k l c", "b i j c"),
    "depthwise, channels first": Case("b c y", "c k", "b c i"),
    "depthwise with a multiplier": Case("b y c", "k c o", "b i c o"),
    "a batch that ends in vectors": Case("b y g c", "g k c", "i b g"),
    "no rows": Case("y c", "k c o", "i o"),
    "no depth": Case("b y", "k o", "b o i"),
    "no columns": Case("b y c", "k c", "b i"),
    "one signal": Case("y", "k", "i"),
    "pairs of labels": Case("b y n c g", "o c k g", "n i b o"),
}


def extents_of(case: Case, **changed: int) -> dict[str, int]:
    extents = SIZES | changed
    return extents | {w.axis: extents[w.result] + extents[w.tap] - 1 for w in case.windows}


def integers(labels: str, extents: Mapping[str, int], dtype: str, seed: int = 0) -> Array:
    rng = np.random.default_rng([seed, len(labels)])
    shape = [extents[label] for label in labels.split()]
    values = rng.integers(-9, 10, shape)
    imaginary = rng.integers(-9, 10, shape) if dtype in "FD" else 0
    return np.asarray(values + 1j * imaginary if dtype in "FD" else values).astype(dtype)


def labelled(array: Array, labels: str) -> Labelled:
    return Labelled(array, tuple(labels.split()))


def operands(case: Case, role: str) -> tuple[str, str, str]:
    """The labels of data, the other operand and the output."""
    other, out = (case.taps, case.results) if role == "forward" else (case.results, case.taps)
    return case.data, other, out


def brute_force(case: Case, role: str, data: Array, other: Array) -> Array:
    """Sum over explicit windows, in double precision."""
    reads, others, out = operands(case, role)
    axes = tuple(reads.split().index(w.axis) for w in case.windows)
    windowed = [w.tap if role == "forward" else w.result for w in case.windows]
    sizes = [other.shape[others.split().index(label)] for label in windowed]
    wide = np.result_type(data.dtype, np.float64)
    opened = sliding_window_view(data.astype(wide), sizes, axis=axes)
    places = {w.axis: w.result if role == "forward" else w.tap for w in case.windows}
    letters = "".join([places.get(n, n) for n in reads.split()] + windowed)
    spec = f"{letters},{''.join(others.split())}->{''.join(out.split())}"
    return np.asarray(np.einsum(spec, opened, other.astype(wide)))


def multiply(
    algorithm: str,
    case: Case,
    role: str,
    arrays: tuple[Array, Array, Array],
    *,
    parts: Sequence[Decomposition] | None = None,
    accumulate: bool = False,
) -> None:
    """Multiply ``((data, other, out))``, by tiles of four results unless told otherwise."""
    data, other, out = map(labelled, arrays, operands(case, role))
    windows = case.windows
    if algorithm == "fourier":
        fft.product(data, other, out.labels, windows, out, accumulate=accumulate)
        return
    taps = other if role == "forward" else out
    sizes = dict(zip(taps.labels, taps.array.shape, strict=True))
    parts = parts or [toom_cook(4, sizes[window.tap]) for window in windows]
    by_tiles.product(data, other, out.labels, windows, parts, out, accumulate=accumulate)


def assert_close(got: Array, wanted: Array, dtype: str) -> None:
    scale = max(float(np.abs(wanted).max()), 1.0)
    assert float(np.abs(got - wanted).max()) <= TOLERANCE[dtype] * scale


def prepared(
    case: Case, role: str, dtype: str, **changed: int
) -> tuple[Array, Array, Array, Array]:
    """Data, the other operand, what they should give, and where to write it."""
    extents = extents_of(case, **changed)
    reads, others, writes = operands(case, role)
    data, other = integers(reads, extents, dtype), integers(others, extents, dtype, seed=1)
    wanted = brute_force(case, role, data, other)
    return data, other, wanted, np.full([extents[n] for n in writes.split()], np.nan, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", CASES)
def test_sums_over_explicit_windows(name: str, role: str, algorithm: str, dtype: str) -> None:
    data, other, wanted, out = prepared(CASES[name], role, dtype)
    multiply(algorithm, CASES[name], role, (data, other, out))
    assert_close(out, wanted, dtype)


@pytest.mark.parametrize("taps", range(1, 6))
@pytest.mark.parametrize("role", ROLES)
def test_every_size_of_axis_window_and_tile(role: str, taps: int) -> None:
    case = CASES["1-D"]
    for results in range(1, 10):
        data, other, wanted, out = prepared(case, role, "d", i=results, k=taps)
        for outputs in (1, 2, 3, 4):
            out[...] = np.nan
            parts = [toom_cook(outputs, taps)]
            multiply("toom-cook", case, role, (data, other, out), parts=parts)
            assert_close(out, wanted, "d")
        out[...] = np.nan
        multiply("fourier", case, role, (data, other, out))
        assert_close(out, wanted, "d")


@pytest.mark.parametrize("role", ROLES)
def test_axes_of_different_decompositions(role: str) -> None:
    case = CASES["3-D"]
    data, other, wanted, out = prepared(case, role, "d")
    parts = [direct(SIZES["m"]), toom_cook(4, SIZES["k"]), toom_cook(2, SIZES["l"])]
    multiply("toom-cook", case, role, (data, other, out), parts=parts)
    assert_close(out, wanted, "d")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", ["2-D", "depthwise", "groups outside", "no columns"])
def test_a_result_is_added_to_what_is_there(name: str, role: str, algorithm: str) -> None:
    data, other, wanted, out = prepared(CASES[name], role, "d")
    out[...] = np.arange(out.size).reshape(out.shape)
    before = out.copy()
    multiply(algorithm, CASES[name], role, (data, other, out), accumulate=True)
    assert_close(out, wanted + before, "d")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("seed", range(8))
def test_labels_in_any_order(seed: int, role: str, algorithm: str) -> None:
    rng = np.random.default_rng(seed)
    case = Case(*(" ".join(rng.permutation(labels.split())) for labels in CASES["groups"]))
    data, other, wanted, out = prepared(case, role, "d")
    multiply(algorithm, case, role, (data, other, out))
    assert_close(out, wanted, "d")


def spread(array: Array) -> Array:
    """The same numbers, every second one of an array, backwards along each axis."""
    wide = np.full([2 * size for size in array.shape], 77, array.dtype)
    view = wide[(slice(None, None, -2),) * array.ndim]
    view[...] = array
    return view


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("dtype", ["d", "F"])
@pytest.mark.parametrize("name", CASES)
def test_any_strides(name: str, role: str, algorithm: str, dtype: str) -> None:
    data, other, wanted, out = prepared(CASES[name], role, dtype)
    target = spread(out)
    multiply(algorithm, CASES[name], role, (spread(data), spread(other), target))
    assert_close(target, wanted, dtype)
    assert target.base is not None
    untouched = np.ones(target.base.shape, bool)
    untouched[(slice(None, None, -2),) * target.ndim] = False
    assert (target.base[untouched] == 77).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("role", ROLES)
def test_repeated_and_read_only_operands(role: str, algorithm: str) -> None:
    case = CASES["2-D"]
    data, other, _, out = prepared(case, role, "d")
    data = np.broadcast_to(data[:, :1], data.shape)
    other = np.broadcast_to(other[..., :1], other.shape)
    multiply(algorithm, case, role, (data, other, out))
    assert_close(out, brute_force(case, role, data, other), "d")


@pytest.mark.parametrize("most", [1, 50, 400])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", CASES)
def test_any_size_of_blocks(
    name: str, role: str, algorithm: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tile_product, "MOST_TAPS", most)
    monkeypatch.setattr(tile_product, "MOST_TILES", most)
    monkeypatch.setattr(tile_product, "MOST_KEPT", 8 * most)
    data, other, wanted, out = prepared(CASES[name], role, "d")
    multiply(algorithm, CASES[name], role, (data, other, out))
    assert_close(out, wanted, "d")


@pytest.mark.parametrize("outputs", [2, 4])
@pytest.mark.parametrize("role", ROLES)
def test_double_precision_is_kept(role: str, outputs: int) -> None:
    case = CASES["2-D"]
    data, other, wanted, out = prepared(case, role, "d", b=3, c=40, o=24, i=18, j=17, k=3, l=3)
    rng = np.random.default_rng(2)
    data, other = rng.standard_normal(data.shape), rng.standard_normal(other.shape)
    multiply("toom-cook", case, role, (data, other, out), parts=[toom_cook(outputs, 3)] * 2)
    wanted = brute_force(case, role, data, other)
    assert np.abs(out - wanted).max() <= 1e-12 * np.abs(wanted).max()


def test_a_wrong_decomposition_is_noticed() -> None:
    right = toom_cook(4, 3)
    (first, *others), change = right.b, Fraction(1, 1000)
    wrong = replace(right, b=((first[0] + change, *first[1:]), *others))
    case = CASES["1-D"]
    data, other, wanted, out = prepared(case, "forward", "d")
    multiply("toom-cook", case, "forward", (data, other, out), parts=[wrong])
    with pytest.raises(AssertionError):
        assert_close(out, wanted, "d")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("role", ROLES)
def test_threads_do_not_share_scratch_memory(role: str, algorithm: str) -> None:
    case = CASES["2-D"]
    data, other, wanted, _ = prepared(case, role, "d", b=8, i=20, j=20)
    outs = [np.full(wanted.shape, np.nan) for _ in range(8)]
    threads = [
        threading.Thread(target=multiply, args=(algorithm, case, role, (data, other, out)))
        for out in outs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for out in outs:
        assert_close(out, wanted, "d")


def peak_of_first_call(call: Callable[[], None]) -> int:
    """Bytes allocated at the highest point, by one thread, when there is no scratch memory yet."""
    tile_product._idle.clear()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        undisturbed(call)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", ["2-D", "2-D, channels first", "depthwise"])
def test_scratch_memory_does_not_grow_with_the_batch(name: str, role: str, algorithm: str) -> None:
    case, peaks = CASES[name], []
    for batch in (48, 144):
        extents = extents_of(case, b=batch, c=32, o=32, i=46, j=46, k=3, l=3)
        reads, others, writes = operands(case, role)
        data, other = (integers(labels, extents, "f") for labels in (reads, others))
        out = np.empty([extents[label] for label in writes.split()], np.float32)
        call = partial(multiply, algorithm, case, role, (data, other, out))
        peaks.append(peak_of_first_call(call))
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 2.25 * data.nbytes


@pytest.mark.parametrize("role", ROLES)
def test_an_axis_of_the_wrong_size_is_refused(role: str) -> None:
    case = CASES["2-D"]
    data, other, _, out = prepared(case, role, "d")
    longer = [toom_cook(2, 5), toom_cook(2, 2)]
    with pytest.raises(ShapeError, match=r"'y' has size 8 and 'k' has size 3"):
        multiply("toom-cook", case, role, (data[:, 1:], other, out))
    with pytest.raises(ShapeError, match=r"a window of 5 taps"):
        multiply("toom-cook", case, role, (data, other, out), parts=longer)
    with pytest.raises(ShapeError, match=r"'z' has size 5"):
        multiply("fourier", case, role, (data[:, :, 1:], other, out))


def test_good_lengths_have_no_large_prime_factor() -> None:
    smooth = {2**a * 3**b * 5**c for a in range(12) for b in range(8) for c in range(6)}
    for least in range(1, 1200):
        assert fft.good_length(least) == min(n for n in smooth if n >= least)


@pytest.mark.parametrize("kernels", ["llvm", "numpy"])
@pytest.mark.parametrize("algorithm", ["toom-cook", "fft"])
@pytest.mark.parametrize(
    ("spec", "shapes", "extents"),
    [
        ("b (i+k), k -> b i j", ((3, 20), (3,)), {"j": 4}),
        ("i, k -> (2*i+k) (3*j)", ((9,), (4,)), {"j": 3}),
        ("b (i-k+2) c, k c o -> j b o i", ((2, 20, 3), (3, 3, 2)), {"j": 2}),
    ],
)
def test_what_no_operand_has_is_repeated(
    spec: str, shapes: Any, extents: dict[str, int], algorithm: Any, kernels: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("CONTRACTCONV_KERNELS", kernels)
    rng = np.random.default_rng(0)
    operands = [rng.integers(-4, 5, shape) for shape in shapes]
    wanted = cc.contract(spec, *operands, extents=extents)
    floats = (operand.astype(float) for operand in operands)
    found = cc.contract(spec, *floats, algorithm=algorithm, extents=extents)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)
