"""Dask arrays: every block by itself, lazily, against exact sums and numpy."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import evaluate
from strategies import Array, Draw, Problem, empties, problems, seeds, windows

import contractconv as cc
from contractconv import Reduction
from contractconv.uninterrupted import is_ours

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

from contractconv.execution.foreign.dask_blocks.tasks import alone  # noqa: E402

CONV = "b (i+k-1) (j+l-1) c, k l c o -> b i j o"
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)

anything = st.one_of(problems(), windows(), problems(empty=True), empties())


def fewer(part: int) -> settings:
    """A part of the usual number of examples."""
    return settings(max_examples=max(5, settings().max_examples // part))


@pytest.fixture(autouse=True)
def _in_this_thread() -> Iterator[None]:
    with dask.config.set(scheduler="synchronous"):
        yield


# --- what is drawn ---------------------------------------------------------------------------


@st.composite
def sizes(draw: Draw, size: int) -> tuple[int, ...]:
    """The sizes of blocks along an axis, some of them empty."""
    ends = sorted(draw(st.lists(st.integers(0, size), max_size=3)))
    return tuple(stop - start for start, stop in pairwise([0, *ends, size]))


@st.composite
def chunked(draw: Draw, arrays: Sequence[Array]) -> list[Any]:
    """Arrays of dask in blocks of any sizes; now and then one that numpy has."""
    made = []
    for n, array in enumerate(arrays):
        chunks = tuple(draw(sizes(size)) for size in array.shape)
        made.append(array if n and draw(st.integers(0, 4)) == 4 else da.from_array(array, chunks))
    return made


def computed(array: Any) -> Array:
    """What a dask array holds, which is of the shape and dtype that it says."""
    assert isinstance(array, da.Array)
    made = np.asarray(array.compute())
    assert made.shape == array.shape
    assert made.dtype == array.dtype
    return made


def answer(
    problem: Problem, operands: Sequence[Any], reduce: Reduction, n: int | None = None
) -> Any:
    """The contraction, or its gradient by an operand."""
    contraction = cc.Contraction(problem.spec, reduce)
    call: Any = contraction if n is None else contraction.grad(n)
    return call(*operands, output_shape=problem.output_shape, extents=problem.extents)


def integers(*shape: int, dtype: str = "float64") -> Array:
    """Small integers, whose sums are exact in any numbers."""
    return np.random.default_rng(prod(shape)).integers(-4, 5, shape).astype(dtype)


# --- values ----------------------------------------------------------------------------------


@fewer(4)
@given(problem=anything, reduce=st.sampled_from(REDUCTIONS), seed=seeds(), data=st.data())
def test_blocks_of_any_sizes_are_the_whole(
    problem: Problem, reduce: Reduction, seed: int, data: st.DataObject
) -> None:
    operands = problem.operands(seed, problem.bound(reduce))
    expected = evaluate(problem.spec, operands, problem.extents, problem.output_shape, reduce)
    result = computed(answer(problem, data.draw(chunked(operands)), reduce))
    assert result.dtype == expected.dtype
    rounded = reduce in ("mean", "logsumexp")
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12 if rounded else 0)


@fewer(12)
@given(problem=anything, reduce=st.sampled_from(REDUCTIONS), seed=seeds(), data=st.data())
def test_gradients_by_blocks_are_those_of_the_whole(
    problem: Problem, reduce: Reduction, seed: int, data: st.DataObject
) -> None:
    operands = problem.operands(seed, problem.bound(reduce), "float64")
    arrays = [problem.cotangent(seed, dtype="float64"), *operands]
    tolerance = 0 if reduce in ("sum", "max", "min") else 1e-10
    for n in range(len(operands)):
        expected = answer(problem, arrays, reduce, n)
        made = computed(answer(problem, data.draw(chunked(arrays)), reduce, n))
        np.testing.assert_allclose(made, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float16", "float32", "complex64"])
def test_numbers_are_those_of_numpy(dtype: str, reduce: Reduction) -> None:
    if dtype == "complex64" and reduce in ("max", "min", "logsumexp"):
        return
    array = (integers(2, 9) % 3).astype(dtype)
    spec, blocks = "b (2*i+k-1) -> i", da.from_array(array, chunks=(1, 4))
    expected = cc.contract(spec, array, k=3, reduce=reduce)
    result = computed(cc.contract(spec, blocks, k=3, reduce=reduce))
    assert result.dtype == expected.dtype
    close = 2e-3 if dtype == "float16" else 1e-6
    np.testing.assert_allclose(result, expected, rtol=close if expected.dtype.kind in "fc" else 0)


def test_many_operands_meet_in_the_order_of_the_planner() -> None:
    arrays = [integers(40, 3), integers(3, 30), integers(30, 2), integers(2, 20)]
    blocks = [da.from_array(array, chunks=4) for array in arrays]
    made = cc.contract("i j, j k, k l, l m -> i m", *blocks)
    assert len(cc.dask.plan(made)) == 3
    np.testing.assert_array_equal(computed(made), arrays[0] @ arrays[1] @ arrays[2] @ arrays[3])


def test_a_mean_of_many_operands_is_divided_once() -> None:
    arrays = [integers(6, 5), integers(5, 4), integers(4, 7)]
    blocks = [da.from_array(array, chunks=2) for array in arrays]
    made = computed(cc.contract("i j, j k, k l -> i l", *blocks, reduce="mean"))
    np.testing.assert_allclose(made, arrays[0] @ arrays[1] @ arrays[2] / 20, rtol=1e-12)


def test_options_of_a_call() -> None:
    image, kernel, bias = integers(2, 9, 8, 3), integers(3, 3, 3, 4), integers(4)
    options: dict[str, Any] = {"bias": bias, "activation": "relu", "dtype": "complex128"}
    for said in (options | {"activation": None}, {"memory_limit": 10_000}, {"algorithm": "direct"}):
        expected = cc.contract(CONV, image, kernel, **said)
        made = cc.contract(CONV, da.from_array(image, chunks=4), kernel, **said)
        np.testing.assert_array_equal(computed(made), expected)


# --- where blocks lie ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "shape", "chunks", "extents", "expected"),
    [
        ("(i+k-1), k -> i", (12,), 4, {"k": 3}, (4, 4, 4)),
        ("(i+k), k -> i", (12,), 4, {"k": 3}, (3, 4, 3)),
        ("(2*i+k-1), k -> i", (12,), 4, {"k": 3}, (2, 2, 2)),
        ("(2*i+k), k -> i", (12,), 4, {"k": 2}, (2, 2, 2)),
        ("(i+2*k-2), k -> i", (12,), 4, {"k": 3}, (4, 4, 4)),
        ("i, k -> (2*i+k-1)", (6,), 2, {"k": 3}, (4, 4, 3)),
        ("((h-k+1)/2), k -> h", (6,), 2, {"k": 3, "h": 12}, (4, 4, 4)),
        ("(11-i), k -> i", (12,), (3, 9), {"k": 1, "i": 12}, (9, 3)),
        ("i, k -> i i", (5,), 3, {"k": 1}, (3, 2)),
    ],
)
def test_blocks_of_the_result_follow_those_that_are_read(
    spec: str, shape: Sequence[int], chunks: Any, extents: dict[str, int], expected: Any
) -> None:
    blocks = da.from_array(integers(*shape), chunks=(chunks,))
    made = cc.contract(spec, blocks, integers(extents["k"]), extents=extents)
    assert set(made.chunks) == {expected}


def test_a_composition_is_split_and_joined_block_by_block() -> None:
    array = integers(24, 5)
    made = cc.contract("(h w) c -> w (c h)", da.from_array(array, chunks=(7, 2)), h=4)
    assert made.chunks[1] == (8, 8, 4)
    np.testing.assert_array_equal(computed(made), cc.contract("(h w) c -> w (c h)", array, h=4))


# --- laziness --------------------------------------------------------------------------------


class Counted:
    """Something in a file, that counts what is read of it, and can be read in some places only."""

    dtype = np.dtype(float)

    def __init__(self, array: Array, forbidden: slice = slice(0, 0)) -> None:
        self.array, self.forbidden, self.rows = array, forbidden, 0
        self.shape, self.ndim = array.shape, array.ndim

    def __getitem__(self, at: Any) -> Array:
        """Read a part."""
        rows = range(self.shape[0])[at[0]]
        assert not set(rows).intersection(range(self.shape[0])[self.forbidden]), "poisoned"
        self.rows += len(rows)
        part: Array = self.array[at]
        return part


class InBlocks(Counted):
    """The same in a file that has blocks of its own."""

    chunks = (5,)


def test_nothing_is_read_before_it_is_asked_for() -> None:
    source = Counted(integers(20), slice(0, 20))
    array = cc.contract("(i+k) -> i", da.from_array(source, chunks=5), k=3)
    assert isinstance(repr(array), str)
    with pytest.raises(AssertionError, match="poisoned"):
        array.compute()


@pytest.mark.parametrize("kind", [Counted, InBlocks])
def test_a_block_that_nobody_needs_is_not_loaded(kind: type[Counted]) -> None:
    array = integers(40)
    blocks = da.from_array(kind(array, slice(10, 40)), chunks=5)
    made = cc.contract("(i+k) -> i", blocks, k=3)
    np.testing.assert_array_equal(made[:4].compute(), array[:4] + array[1:5] + array[2:6])
    with pytest.raises(AssertionError, match="poisoned"):
        made[:9].compute()


def test_what_lies_in_a_file_is_read_with_its_halo() -> None:
    source = Counted(integers(40))
    made = cc.contract("(i+k-1) -> i", da.from_array(source, chunks=10), k=3)
    made.compute()
    assert source.rows == 40 + 2 * 3


def test_what_has_blocks_of_its_own_is_read_once() -> None:
    source = InBlocks(integers(40))
    made = cc.contract("(i+k-1) -> i", da.from_array(source, chunks=10), k=3)
    made.compute()
    assert source.rows == 40


def tasks_of(array: Any) -> list[str]:
    """The names of the tasks that are needed for an array, without what tells them apart."""
    (optimized,) = dask.optimize(array)
    names = [key[0] if isinstance(key, tuple) else key for key in optimized.__dask_graph__()]
    return [name.rpartition("-")[0] for name in names]


def test_a_thread_of_a_pool_works_alone() -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(alone(is_ours)))
    thread.start()
    thread.join()
    assert found == [True]
    assert not alone(is_ours)


def test_threads_of_a_pool() -> None:
    image, kernel = integers(4, 20, 8, 3), integers(3, 3, 3, 4)
    made = cc.contract(CONV, da.from_array(image, chunks=(1, 6, 8, 3)), kernel)
    expected = cc.contract(CONV, image, kernel)
    np.testing.assert_array_equal(made.compute(scheduler="threads", num_workers=3), expected)


def test_there_is_one_task_for_each_block_that_is_needed() -> None:
    image = da.ones((4, 24, 8, 3), chunks=(1, 8, 8, 3))
    made = cc.contract(CONV, image, integers(3, 3, 3, 2))
    assert made.numblocks == (4, 3, 1, 1)
    for array, count, read in ((made, 12, 12), (made[2:3], 3, 3), (made[2, :8], 1, 2)):
        names = tasks_of(array)
        assert sum(name.startswith("contract") and "edges" not in name for name in names) == count
        assert sum(name.startswith("ones") for name in names) == read


def test_sums_of_many_blocks_are_made_in_a_tree() -> None:
    array = integers(64, 3)
    made = cc.contract("b c, b c -> c", da.from_array(array, chunks=(1, 3)), array)
    names = tasks_of(made)
    assert names.count("contract-part") == 64
    assert names.count("contract-sum") == 16 + 4
    np.testing.assert_array_equal(computed(made), (array * array).sum(axis=0))


# --- tasks, and what they take ---------------------------------------------------------------


def test_tasks_travel() -> None:
    made = cc.contract(CONV, da.ones((2, 8, 8, 3), chunks=4), integers(3, 3, 3, 2), reduce="mean")
    graph = dict(made.__dask_graph__())
    again = pickle.loads(pickle.dumps(graph))
    assert len(again) == len(graph)


def test_equal_tasks_are_one_object() -> None:
    made = cc.contract(CONV, da.ones((50, 8, 8, 3), chunks=(1, 8, 8, 3)), integers(3, 3, 3, 2))
    layer = made.dask.layers[made.name]
    assert len(layer.works) == 1


def test_what_a_task_takes_is_what_it_reads_and_makes() -> None:
    image = da.zeros((4, 64, 32, 8), chunks=(1, 64, 32, 8), dtype="float32")
    made = cc.contract(CONV, image, np.zeros((3, 3, 8, 16), np.float32))
    (plan,) = cc.dask.plan(made)
    read, written = 4 * (64 * 32 * 8 + 9 * 8 * 16), 4 * 64 * 32 * 16
    assert read + written <= plan.least <= 3 * (read + written)
    assert plan.least == plan.peak
    assert plan.shape == (1, 64, 32, 16)
    assert str(plan).startswith(f"{made.dask.layers[made.name].contraction}: 4 tasks")


def test_blocks_next_to_it_are_kept_while_a_task_runs() -> None:
    kernel = np.zeros((3, 3, 8, 16), np.float32)
    image = da.ones((1, 96, 32, 8), chunks=(1, 32, 32, 8), dtype="float32")
    (plan,) = cc.dask.plan(cc.contract(CONV, image, kernel))
    block = 4 * 32 * 32 * 8
    assert block <= plan.peak - plan.least <= 2 * block


def test_more_than_there_is_is_refused_before_it_runs() -> None:
    huge = da.zeros((1 << 22, 1 << 22), chunks=(1 << 21, 1 << 21))
    with pytest.raises(cc.MemoryLimitError, match=r"would take .* bytes, and this machine has"):
        cc.contract("i j, j k -> i k", huge, huge)


def test_a_plan_is_that_of_dask_arrays() -> None:
    with pytest.raises(cc.OperandError, match="not of ndarray"):
        cc.dask.plan(np.ones(3))


# --- what is refused -------------------------------------------------------------------------


def test_blocks_of_unknown_sizes_are_refused() -> None:
    array = da.from_array(integers(20), chunks=5)
    unknown = array[array > 0]
    with pytest.raises(cc.ShapeError, match=r"call its compute_chunk_sizes\(\)"):
        cc.contract("i ->", unknown)
    unknown.compute_chunk_sizes()
    assert computed(cc.contract("i ->", unknown)) == integers(20).clip(0).sum()


def test_blocks_that_are_not_numpys_are_refused() -> None:
    masked = da.ma.masked_greater(da.from_array(integers(20), chunks=5), 3)
    with pytest.raises(cc.OperandError, match="blocks of MaskedArray"):
        cc.contract("i ->", masked)


def test_an_array_is_not_filled() -> None:
    array = da.from_array(integers(20), chunks=5)
    for out in (np.zeros(()), da.zeros(())):
        with pytest.raises(cc.OperandError):
            cc.contract("i ->", array, out=out)


# --- programs --------------------------------------------------------------------------------


def test_a_layer_and_all_its_gradients() -> None:
    x, kernel, bias = cc.tensor("x", "b h w c"), cc.tensor("W", "k l c o"), cc.tensor("bias", "o")
    z = cc.relu(cc.contract(CONV, x, kernel) + bias)
    pooled = cc.contract("b (2*i+k) (2*j+l) o -> b i j o", z, reduce="max", k=2, l=2)
    loss = cc.contract("b i j o, b i j o ->", pooled, pooled)
    kernels, biases, images = cc.grad(loss, [kernel, bias, x])
    run = cc.program(pooled=pooled, loss=loss, dW=kernels, db=biases, dx=images).compile()
    arrays = integers(3, 9, 8, 2), integers(3, 3, 2, 4), integers(4)
    blocks = da.from_array(arrays[0], chunks=(1, (5, 4), 8, 2))
    for made, expected in zip(run(blocks, *arrays[1:]), run(*arrays), strict=True):
        np.testing.assert_array_equal(computed(made), expected)


def _nobody(*given: Any, **named: Any) -> None:
    raise AssertionError("something was computed")


def test_the_gradient_of_a_pooling_makes_no_local_derivative() -> None:
    pool = cc.Contraction("b (2*i+k-1) c -> b i c", reduce="max")
    array = integers(2, 21, 3)
    cotangent = integers(2, 11, 3)
    blocks = da.from_array(array, chunks=(1, (4, 9, 8), 3))
    made: Any = pool.grad(0)(da.from_array(cotangent, chunks=(2, 4, 3)), blocks, k=3)
    assert made.chunks == blocks.chunks
    assert not any(name.startswith("derive") for name in tasks_of(made))
    expected = pool.grad(0)(cotangent, array, k=3)
    np.testing.assert_array_equal(computed(made), expected)


def test_a_network_and_its_gradients_are_lazy() -> None:
    net = cc.Network([
        cc.Layer("b (i+k-1) (j+l-1) c, k l c o -> b i j o", k=3, l=3, o=4, bias="o", map="relu"),
        cc.Layer("b (2*i+k) (2*j+l) c -> b i j c", k=2, l=2, reduce="max"),
        cc.layers.GroupNorm(2),
        cc.Layer("b h w c, h w c n -> b n", n=3, bias="n"),
    ])  # fmt: skip
    images, labels = integers(4, 6, 8, 1), np.arange(4) % 3
    params = net.init(0, images.shape)
    blocks = da.from_array(images, chunks=(2, 4, 8, 1))
    with dask.config.set(scheduler=_nobody):
        loss, slopes = net.loss_and_grad(params, blocks, da.from_array(labels, chunks=2))
    expected, known = net.loss_and_grad(params, images, labels)
    np.testing.assert_allclose(computed(loss), expected, rtol=1e-5)
    for part, arrays in known.items():
        for name, array in arrays.items():
            np.testing.assert_allclose(slopes[part][name].compute(), array, rtol=1e-4, atol=1e-5)


# --- a cluster -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers, each a process of its own, and of little memory."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0",
            memory_limit="1GB",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        yield client


def deadly(block: Array, mark: Path, block_info: Any = None) -> Array:
    """A block that kills the first worker that makes it."""
    import os
    import signal

    if block_info[0]["chunk-location"][1] == 2:
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return block
        os.kill(os.getpid(), signal.SIGKILL)
    return block


def test_workers_of_a_cluster(cluster: Any) -> None:
    image, kernel = integers(2, 20, 8, 3), integers(3, 3, 3, 4)
    blocks = da.from_array(image, chunks=(1, 5, 8, 3))
    for spec in (CONV, "b (i+k-1) (j+l-1) c, k l c o -> o"):
        made = cluster.compute(cc.contract(spec, blocks, kernel)).result()
        np.testing.assert_array_equal(made, cc.contract(spec, image, kernel))


def test_what_no_worker_can_do_is_refused(cluster: Any) -> None:
    image = da.zeros((64, 512, 512, 64), chunks=(8, 512, 512, 64), dtype="float32")
    kernel = np.zeros((3, 3, 64, 64), np.float32)
    with pytest.raises(cc.MemoryLimitError, match=r"worker tcp.* has 1,000,000,000"):
        cc.contract(CONV, image, kernel)
    assert cc.contract(CONV, image.rechunk((1, 512, 512, 64)), kernel).shape == image.shape


def test_a_worker_that_dies_loses_nothing(cluster: Any, tmp_path: Path) -> None:
    image, kernel = integers(2, 20, 8, 3), integers(3, 3, 3, 4)
    mark = tmp_path / "died"
    blocks = da.from_array(image, chunks=(1, 5, 8, 3)).map_blocks(
        deadly, mark=mark, dtype=float, meta=np.empty((0,) * 4)
    )
    made = cluster.compute(cc.contract(CONV, blocks, kernel)).result()
    assert mark.exists()
    np.testing.assert_array_equal(made, cc.contract(CONV, image, kernel))
