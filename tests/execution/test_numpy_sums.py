"""The sums of products that numpy carries out agree with the naive oracle, however they are cut.

Values are small integers, so that every order of summation gives the same; blocks are so short and
threads so willing that small arrays go every way that large ones do.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided
from oracle import evaluate

import contractconv as cc
from contractconv import Algorithm
from contractconv.arrays.index_boxes import boxes
from contractconv.arrays.views import Labelled, output_view
from contractconv.engines.numpy import depthwise, product_blocks, shift_and_add, tile_product
from contractconv.engines.numpy.depthwise import is_elementwise
from contractconv.engines.numpy.matrix_product import add_leaf, sum_leaf
from contractconv.engines.numpy.shift_and_add import few_results
from contractconv.engines.numpy.short_rows import short_rows
from contractconv.execution import calibration
from contractconv.machine import blas, work_sharing
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Problem

DTYPES = ("float32", "float64", "complex64", "int64", "int16")


def leaf(spec: str, *shapes: tuple[int, ...], **extents: int) -> Problem:
    return resolve(parse(spec), shapes, extents)


ELEMENTWISE = {
    "depthwise": leaf("b (i+k) (j+l) c, k l c -> b i j c", (2, 6, 7, 3), (3, 2, 3)),
    "padded": leaf("b (i+k-1) (j+l-1) c, k l c -> b i j c", (2, 5, 6, 3), (3, 3, 3)),
    "strided": leaf("b (2*i+k) (3*j+l) c, k l c -> b i j c", (2, 9, 10, 3), (3, 2, 3)),
    "dilated": leaf("b (i+2*k) c, k c -> b i c", (2, 9, 4), (3, 4)),
    "against the result": leaf("b (2-k+i) c, k c -> b i c", (2, 9, 4), (3, 4), i=6),
    "kernel first": leaf("k c, (i+k) c -> i c", (3, 4), (9, 4)),
    "turned": leaf("b (i+k) c, c k -> c i b", (2, 9, 4), (4, 3)),
    "channels first": leaf("b c (i+k), c k -> b c i", (2, 3, 40), (3, 2)),
    "short rows": leaf("b c (i+k) (j+l), c k l -> b c i j", (2, 3, 18, 19), (3, 3, 2)),
    "short padded rows": leaf("b c (i+k-1) (j+l-1), c k l -> b c i j", (2, 3, 17, 15), (3, 3, 3)),
    "short rows of a stride": leaf("c (2*i+k) (2*j+l), c k l -> c i j", (5, 31, 29), (5, 3, 3)),
    "short rows in jumps": leaf("c (i+k) (3*j+l), c k l -> c i j", (5, 12, 43), (5, 2, 3)),
    "of the kernel": leaf("b (i+k) (j+l) c, b i j c -> k l c", (2, 6, 7, 3), (2, 4, 6, 3)),
    "of a padded kernel": leaf("b (i+k-1) c, b i c -> k c", (2, 6, 3), (2, 6, 3)),
    "of a strided kernel": leaf("b (2*i+k) c, b i c -> c k", (3, 9, 4), (3, 4, 4)),
    "three dimensions": leaf("(h+m) (i+k) (j+l) c, m k l c -> h i j c", (4, 4, 5, 2), (2, 3, 2, 2)),
    "no window": leaf("i c, i c -> c", (7, 5), (7, 5)),
    "several kernels": leaf("i c, i c o -> c o", (5, 4), (5, 4, 1)),
    "one channel": leaf("b (i+k) c, k c -> b i c", (2, 9, 1), (3, 1)),
}
FEW_RESULTS = {
    "one dimension": leaf("b (i+k) c, k c -> b i", (3, 9, 8), (3, 8)),
    "two dimensions": leaf("b (i+k) (j+l) c, k l c o -> b i j o", (3, 7, 8, 32), (3, 2, 32, 2)),
    "padded": leaf("b (i+k-1) (j+l-2) c, k l c o -> b i j o", (2, 5, 6, 16), (3, 5, 16, 2)),
    "more padding than image": leaf("(i+k-6) c, k c -> i", (4, 9), (3, 9), i=16),
    "cropped": leaf("(i+k+2) c, k c -> i", (9, 32), (3, 32), i=3),
    "dilated": leaf("b (i+2*k) c, k c o -> b i o", (2, 12, 16), (3, 16, 2)),
    "flipped": leaf("b (i-k) c, k c o -> b i o", (2, 9, 16), (3, 16, 2), i=11),
    "against the result": leaf("b (8-i-k) c, k c o -> b i o", (2, 9, 16), (3, 16, 2), i=9),
    "strided taps": leaf("(i+k) c, (2*k+1) c o -> i o", (9, 32), (7, 32, 2), k=3, i=7),
    "channels first": leaf("b c (i+k), o c k -> b o i", (3, 16, 9), (2, 16, 3)),
    "grouped": leaf("b (i+k) g c, k g c -> b i g", (3, 9, 2, 8), (3, 2, 8)),
    "kernel first": leaf("o k c, (i+k) c b -> b o i", (2, 3, 16), (9, 16, 3)),
    "one window of two": leaf("b (i+k) (2*j) c, k c -> b i j", (2, 9, 7, 8), (3, 8), j=4),
    "three dimensions": leaf("(h+m) (i+k) (j+l) c, m k l c -> h i j", (4, 5, 6, 32), (2, 2, 2, 32)),
}
MATRICES = {
    "windows": leaf("b (i+k) (j+l) c, k l c o -> b i j o", (2, 6, 7, 3), (3, 2, 3, 4)),
    "against the result": leaf("b (6-i-k) c, k c o -> b i o", (2, 7, 3), (3, 3, 4), i=5),
    "of the kernel": leaf("b (i+k-1) c, b i o -> k c o", (3, 7, 3), (3, 7, 4)),
    "groups": leaf("b (i+k) g c, k g c o -> b i g o", (2, 8, 2, 3), (3, 2, 3, 4)),
    "turned": leaf("i k, k j -> j i", (6, 7), (7, 5)),
    "no sum": leaf("i, j -> j i", (6,), (5,)),
    "a number": leaf("i j, i j ->", (6, 4), (6, 4)),
    "repeated": leaf("i k, k -> i j", (6, 4), (4,), j=3),
    "summed alone": leaf("i k n, k -> i", (6, 4, 3), (4,)),
}
LEAVES = {
    f"{kind}: {name}": problem
    for kind, found in (
        ("elementwise", ELEMENTWISE), ("few results", FEW_RESULTS), ("matrices", MATRICES)
    )
    for name, problem in found.items()
}  # fmt: skip


@pytest.fixture(params=["whole", "cut", "shared"])
def cutting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whole arrays, short blocks, or short blocks in three threads."""
    if request.param != "whole":
        for module, name, value in (
            (depthwise, "_LANE", 6), (depthwise, "BESIDE", 40), (depthwise, "TERMS", 10),
            (shift_and_add, "_MOST", 60), (product_blocks, "BLOCK", 48),
        ):  # fmt: skip
            monkeypatch.setattr(module, name, value)
    if request.param == "shared":
        monkeypatch.setattr(work_sharing, "WORTH", 1)
        monkeypatch.setattr(work_sharing, "get_num_threads", lambda: 3)
    return str(request.param)


def drawn(problem: Problem, dtype: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(prod(problem.extents.values()))
    one, two = (
        rng.integers(-3, 4, [access.size for access in accesses]).astype(dtype)
        for accesses in problem.operands
    )
    if dtype.startswith("c"):
        one, two = one + 1j * one[::-1], two - 2j * two
    return one.astype(dtype), two.astype(dtype)


def expected(problem: Problem, arrays: Sequence[Any]) -> Any:
    return evaluate(str(problem), arrays, problem.extents, problem.result_shape)


def spread(array: Any) -> Any:
    """The same numbers, far apart and backwards in memory."""
    wide = np.zeros([2 * size for size in array.shape], array.dtype)
    key: tuple[Any, ...] = (*(slice(None, None, -2) for _ in array.shape), ...)
    view = wide[key]
    view[...] = array
    return view


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LEAVES)
@pytest.mark.usefixtures("cutting")
def test_sums_are_exact(name: str, dtype: str) -> None:
    problem = LEAVES[name]
    arrays = drawn(problem, dtype)
    labels = tuple(access.names[0] for access in problem.output)
    result = np.broadcast_to(sum_leaf(problem, arrays, labels), problem.result_shape)
    assert result.dtype == np.dtype(dtype)
    assert np.array_equal(result, expected(problem, arrays))


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("name", LEAVES)
@pytest.mark.usefixtures("cutting")
def test_sums_go_where_they_belong(name: str, accumulate: bool) -> None:
    problem = LEAVES[name]
    one, two = drawn(problem, "int64")
    out = spread(np.full(problem.result_shape, 7))
    around = out.base if out.base is not None else out
    before = around.copy()
    add_leaf(problem, (spread(one), spread(two)), output_view(out, problem), accumulate=accumulate)
    assert np.array_equal(out, expected(problem, (one, two)) + 7 * accumulate)
    out[...] = 7
    assert np.array_equal(around, before)  # what lies between the elements is as it was


def test_a_tap_that_is_missed_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = FEW_RESULTS["padded"]
    one, two = drawn(problem, "int64")
    taps_of = shift_and_add._taps_of
    monkeypatch.setattr(shift_and_add, "_taps_of", lambda *given: list(taps_of(*given))[1:])
    assert not np.array_equal(sum_leaf(problem, (one, two), ("b", "i", "j", "o")),
                              expected(problem, (one, two)))  # fmt: skip


# --- which way is taken ------------------------------------------------------------------------


@pytest.mark.parametrize("name", FEW_RESULTS)
def test_few_results_are_multiplied_before_windows_are_taken(name: str) -> None:
    assert few_results(FEW_RESULTS[name]) == (name != "one window of two")


@pytest.mark.parametrize("name", [*ELEMENTWISE, *MATRICES])
def test_others_are_not(name: str) -> None:
    assert not few_results((ELEMENTWISE | MATRICES)[name])


def test_strided_windows_with_few_results_are_not() -> None:
    assert not few_results(leaf("(2*i+k) c, k c -> i", (17, 32), (3, 32)))


def labelled(labels: str, *shape: int) -> Labelled:
    return Labelled(np.ones(shape), tuple(labels.split()))


def test_short_rows_and_what_lies_between_them_are_one_lane() -> None:
    image, kernel = np.arange(2 * 6 * 9.0).reshape(2, 6, 9), labelled("c k l", 2, 2, 3)
    # Rows of seven results, one every nine numbers.
    strides = (image.strides[0], *image.strides[1:], *image.strides[1:])
    window = Labelled(as_strided(image, (2, 5, 7, 2, 3), strides), tuple("cijkl"))
    found = short_rows("j", window, kernel, ("c", "i", "j"))
    assert found == ("i", "j", 5, 9, 7)
    lane = found.as_lane(window)
    assert lane.labels == tuple("cjkl")
    assert lane.array.shape == (2, 4 * 9 + 7, 2, 3)
    rows = found.as_rows(lane)
    assert rows.labels == tuple("cijkl")
    assert np.array_equal(rows.array, window.array)
    # Nothing lies between these, or far more than the rows themselves.
    assert short_rows("j", labelled("c i j", 2, 5, 7), kernel, ("c", "i", "j")) is None
    apart = Labelled(np.ones((2, 5, 99))[:, :, :7], tuple("cij"))
    assert short_rows("j", apart, kernel, ("c", "i", "j")) is None


def test_what_is_elementwise() -> None:
    image, kernel = labelled("b i c", 2, 90, 8), labelled("k c", 3, 8)
    window = labelled("b i k c", 2, 88, 3, 8)
    assert is_elementwise(window, kernel, ("b", "i", "c"))
    assert is_elementwise(kernel, window, ("b", "i", "c"))
    assert is_elementwise(image, image, ("c",))
    # Matrices, a vector along which is summed, and a sum of nothing that both have.
    assert not is_elementwise(window, labelled("k c o", 3, 8, 4), ("b", "i", "c", "o"))
    assert not is_elementwise(image, image, ("b", "i"))
    assert not is_elementwise(image, kernel, ("b", "i"))


# --- how work is cut and shared ----------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2, 5, 7, 12, 100])
def test_boxes_cover_everything_once(most: int) -> None:
    seen = np.zeros((3, 4, 2), int)
    for box in boxes(seen.shape, ("i", "j", "k"), most):
        ranges = {label: slice(start, stop) for label, start, stop in box}
        part = seen[tuple(ranges.get(label, slice(None)) for label in "ijk")]
        assert part.size <= most
        part += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_parts_are_shared_in_order(count: int, threads: int) -> None:
    runs = work_sharing.together(list, work_sharing.evenly(count, threads))
    assert len(runs) == min(count, threads)
    assert [part for run in runs for part in run] == list(range(count))


def test_whoever_shares_work_does_not_share_his_part_again() -> None:
    assert work_sharing.sharers(1 << 40) > 0
    ours = threading.get_ident

    def again(_: Sequence[int]) -> list[int]:
        return [ours(), *work_sharing.together(lambda _: ours(), work_sharing.evenly(4, 2))]

    seen_by_each = work_sharing.together(again, work_sharing.evenly(4, 2))
    assert [len(set(seen)) for seen in seen_by_each] == [1, 1]


@pytest.mark.parametrize("where", [0, 5])
def test_errors_of_all_threads_come_through(where: int) -> None:
    def work(run: Sequence[int]) -> int:
        if where in run:
            raise ZeroDivisionError
        return len(run)

    with pytest.raises(ZeroDivisionError):
        work_sharing.together(work, work_sharing.evenly(6, 2))
    assert work_sharing.together(len, work_sharing.evenly(6, 2)) == [3, 3]


def test_the_library_of_matrix_products_has_its_threads_back() -> None:
    pool = blas._pool()
    if pool is None:
        pytest.skip("the library is not known")
    before = pool.get()
    pool.set(2)
    try:
        with blas.single():
            with blas.single():
                assert pool.get() == 1
            assert pool.get() == 1
        assert pool.get() == 2
    finally:
        pool.set(before)


# --- whole contractions ------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["direct", "toom-cook", "fft"])
@pytest.mark.parametrize("spec", [
    "b (i+k-1) (j+l-1) c, k l c o -> b i j o",
    "b (i+k-1) (j+l-1) c, k l c -> b i j c",
])  # fmt: skip
def test_threads_change_nothing(
    spec: str, algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRACTCONV_KERNELS", "numpy")
    rng = np.random.default_rng(0)
    channels = (4, 3) if " o" in spec else (4,)
    x = rng.integers(-3, 4, (3, 9, 8, 4)).astype(np.float64)
    w = rng.integers(-3, 4, (3, 3, *channels)).astype(np.float64)
    run = cc.Contraction(spec).compile(x.shape, w.shape, algorithm=algorithm)
    g = np.ones_like(run(x, w))
    alone = [run(x, w), run.vjp(0, g, x, w), run.vjp(1, g, x, w)]
    monkeypatch.setattr(work_sharing, "WORTH", 1)
    monkeypatch.setattr(work_sharing, "get_num_threads", lambda: 3)
    monkeypatch.setattr(tile_product, "MOST_TILES", 64)
    together = [run(x, w), run.vjp(0, g, x, w), run.vjp(1, g, x, w)]
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=0 if algorithm == "direct" else 1e-9)


def test_figures_are_of_the_processor_that_blas_multiplies_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One library may be told to take a processor for another one; what was measured changes."""
    before = calibration._fingerprint(compiled=False)
    monkeypatch.setattr(blas, "core", lambda: "another")
    assert calibration._fingerprint(compiled=False) != before
