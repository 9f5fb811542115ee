"""Block by block, the result is the same: any contraction, in any blocks, into any array."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import evaluate
from strategies import Draw, problems, seeds, windows
from strategies import Problem as Case

import contractconv as cc
from contractconv.arrays.epilogue import Ending
from contractconv.execution.files.cuts import Cut
from contractconv.execution.files.stream import Job, _Journal, _Stream
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import shape_of
from contractconv.notation.spec import Reduction
from contractconv.planning.options import DEFAULTS

Array = np.ndarray[Any, Any]
REDUCTIONS: list[Reduction] = ["sum", "max", "mean", "logsumexp", "prod"]
numbers = count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def filed(folder: Path, values: Array) -> Array:
    """An array in a file."""
    path = folder / f"{next(numbers)}.npy"
    if not values.size:
        return values
    np.save(path, values)
    made: Array = np.load(path, mmap_mode="r+")
    path.unlink()  # what is mapped stays
    return made


@st.composite
def cut_cases(draw: Draw) -> tuple[Case, dict[int | str, int]]:
    """A contraction, and how long blocks are along some of its axes and of its summed indices."""
    case = draw(st.one_of(problems(), windows()))
    problem = resolve(parse(case.spec), case.shapes, case.extents, case.output_shape)
    lengths: dict[int | str, int] = dict(enumerate(problem.output_sizes))
    lengths |= {name: problem.extents[name] for name in problem.reduced}
    some = draw(st.lists(st.sampled_from([*lengths] or [""]), max_size=3, unique=True))
    return case, {n: draw(st.integers(1, lengths[n])) for n in some if n in lengths}


@settings(max_examples=settings().max_examples // 3)
@given(drawn=cut_cases(), seed=seeds(), reduce=st.sampled_from(REDUCTIONS))
def test_any_blocks_are_the_whole(
    folder: Path, drawn: tuple[Case, dict[int | str, int]], seed: int, reduce: Reduction
) -> None:
    case, chunks = drawn
    problem = resolve(parse(case.spec, reduce), case.shapes, case.extents, case.output_shape)
    kind = "float64" if reduce in ("mean", "logsumexp") else "int64"
    arrays = case.operands(seed, case.bound(reduce), kind)
    shapes = [shape_of(term) for term in problem.operands]
    taken = [filed(folder, a).reshape(s) for a, s in zip(arrays, shapes, strict=True)]
    out = filed(folder, np.zeros(case.output_shape, kind))
    there = out.view(np.ndarray).reshape(problem.output_sizes)
    dtype = np.dtype(kind)
    job = Job(problem, tuple(taken), there, dtype, dtype, DEFAULTS, None, 1 << 24)
    order = tuple(range(len(problem.output_sizes)))
    _Stream(job, Cut(problem, tuple(chunks.items()), order), 1 << 23, _journal(there)).run()
    expected = evaluate(case.spec, arrays, case.extents, case.output_shape, reduce)
    if kind == "int64":
        assert np.array_equal(out, expected)
    else:
        np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)


def _journal(out: Array) -> _Journal:
    from contractconv.arrays.mapped import mapped

    return _Journal(mapped(out), None)


X = np.random.default_rng(0).integers(-4, 5, (6, 20, 20, 8))
W = np.random.default_rng(1).integers(-4, 5, (3, 3, 8, 8))
CONV = "b (i+k-1) (j+l-1) c, k l c o -> b i j o"
# Blocks have to be read in slabs of 256 KiB at least.
LIMIT = 400_000


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "complex64", "int32", "bool"])
def test_any_numbers(tmp_path: Path, kind: str) -> None:
    x, w = (a.astype(kind) for a in (X.repeat(4, 0), W))
    wanted = cc.contract(CONV, x, w, algorithm="direct")
    out = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", kind, wanted.shape)
    made = cc.contract(
        CONV, filed(tmp_path, x), w, out=out, memory_limit=LIMIT * 2, algorithm="direct"
    )
    assert made is out
    assert np.array_equal(out, wanted)


def test_a_result_in_memory_of_operands_in_files(tmp_path: Path) -> None:
    x, w = filed(tmp_path, X), W
    made = cc.contract(CONV, x, w, memory_limit=LIMIT)
    assert type(made) is np.ndarray
    assert np.array_equal(made, cc.contract(CONV, X, W))
    out = np.zeros_like(made)[::-1]
    assert cc.contract(CONV, x, w, memory_limit=LIMIT, out=out) is out
    assert np.array_equal(out, made)


@pytest.mark.parametrize("order", ["F", "reversed", "part", "transposed"])
def test_arrays_may_lie_in_files_in_any_way(tmp_path: Path, order: str) -> None:
    shape, x, out = (*X.shape[:-1], 8), X, X
    if order == "F":
        x = np.lib.format.open_memmap(tmp_path / "x", "w+", X.dtype, X.shape, fortran_order=True)
        out = np.lib.format.open_memmap(tmp_path / "y", "w+", X.dtype, shape, fortran_order=True)
    elif order == "reversed":
        x, out = (filed(tmp_path, np.zeros_like(X))[::-1, :, ::-1] for _ in range(2))
    elif order == "part":
        x, out = (filed(tmp_path, np.zeros((8, 20, 50, 9), int))[1:7, :, 3:43:2, 1:] for _ in "xy")
    else:
        x, out = (
            filed(tmp_path, np.zeros((20, 8, 20, 6), int)).transpose(3, 0, 2, 1) for _ in "xy"
        )
    x[...] = X
    cc.contract(CONV, x, W, out=out, memory_limit=LIMIT)
    assert np.array_equal(out, cc.contract(CONV, X, W))


def test_what_is_done_at_the_end(tmp_path: Path) -> None:
    bias = np.arange(-4, 4)
    spec = "b (i+k-1) c, k c o -> i b o"
    x, w = X[:, :, 0].repeat(60, 1), W[0]
    wanted = np.maximum(cc.contract(spec, x, w) + bias, 0)
    options: dict[str, Any] = {"bias": bias, "activation": "relu", "memory_limit": LIMIT}
    assert np.array_equal(cc.contract(spec, filed(tmp_path, x), w, **options), wanted)
    joined = "b (i+k-1) c, k c o -> b (i o)"
    wanted = np.maximum(cc.contract(joined, x, w) + 3 * np.arange(9600), 0)
    options["bias"] = 3 * np.arange(9600)
    assert np.array_equal(cc.contract(joined, filed(tmp_path, x), w, **options), wanted)


def test_bias_of_sums_in_parts(tmp_path: Path) -> None:
    x, w = np.ones((4, 100_000), np.float16), np.ones((100_000, 4), np.float16)
    problem = resolve(parse("i k, k j -> i j", "mean"), [x.shape, w.shape])
    half, single = np.dtype("float16"), np.dtype("float32")
    ending = Ending(np.arange(4, dtype=single), None)
    out = np.zeros((4, 4), half)
    job = Job(problem, (x, w), out, half, half, DEFAULTS, ending, 1 << 24)
    _Stream(job, Cut(problem, ((0, 3), ("k", 30_000)), (0, 1)), 1 << 23, _Journal(None, None)).run()
    assert np.array_equal(out, np.broadcast_to(np.arange(1, 5), (4, 4)))


def test_conversions(tmp_path: Path) -> None:
    x = filed(tmp_path, X.astype(np.int16))
    out = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", np.float32, X.shape)
    given: dict[str, Any] = {"memory_limit": LIMIT, "dtype": np.float64}
    with pytest.raises(cc.OperandError, match="does not convert to the float32 of out"):
        cc.contract(CONV, x, W, out=out, **given)
    cc.contract(CONV, x, W, out=out, casting="same_kind", **given)
    assert np.array_equal(out, cc.contract(CONV, X, W))
    with pytest.raises(cc.ShapeError, match=r"out has shape \(6, 20, 20, 8\)"):
        cc.contract(CONV, x, W[..., :4], out=out, casting="same_kind", **given)


def test_gradients(tmp_path: Path) -> None:
    conv = cc.Contraction("b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o")
    x, w = X.astype(np.float32), W.astype(np.float32)
    g = conv(x, w)
    for n in range(2):
        wanted = conv.grad(n)(g, x, w, algorithm="direct")
        taken = (filed(tmp_path, g), filed(tmp_path, x), w)
        made = conv.grad(n)(*taken, memory_limit=LIMIT * 2, algorithm="direct")
        assert np.array_equal(made, wanted)
        out = np.lib.format.open_memmap(tmp_path / f"{n}.npy", "w+", np.float32, wanted.shape)
        assert conv.grad(n)(*taken, memory_limit=LIMIT * 2, algorithm="direct", out=out) is out
        assert np.array_equal(out, wanted)


def test_gradients_that_are_not_made_by_blocks(tmp_path: Path) -> None:
    pool = cc.Contraction("b (2*i+k) -> b i", reduce="max")
    x = X[:, :, 0, 0].astype(float)
    g = np.ones((6, 10))
    wanted = pool.grad(0)(g, x, k=2)
    out = np.lib.format.open_memmap(tmp_path / "g.npy", "w+", float, x.shape)
    assert pool.grad(0)(g, filed(tmp_path, x), k=2, out=out, memory_limit=1e6) is out
    assert np.array_equal(out, wanted)


def test_a_limit_that_is_too_small(tmp_path: Path) -> None:
    with pytest.raises(cc.MemoryLimitError, match="too small for blocks of 'b "):
        cc.contract(CONV, filed(tmp_path, X), W, memory_limit=2000)


def test_nothing_in_files(tmp_path: Path) -> None:
    out = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", float, (3, 4))
    out[...] = 7
    cc.contract("i k, k j -> i j", np.ones((3, 0)), np.ones((0, 4)), out=out, memory_limit=LIMIT)
    assert not out.any()
    out[...] = 7
    cc.contract("(i-9) j -> i j", filed(tmp_path, np.ones((2, 4))), i=3, out=out, memory_limit=1e6)
    assert not out.any()
