"""Compiled pooling agrees with numpy and with brute force, wherever the numbers lie."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import oracle
import pytest

import contractconv as cc
from contractconv import Reduction
from contractconv.arrays.run_trace import traced
from contractconv.arrays.views import Array
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.pooling import gradient_kernel, window_tables
from contractconv.engines.llvm.pooling.forward import POOLING, pool
from contractconv.engines.llvm.pooling.gradient_kernel import pool_gradient
from contractconv.engines.numpy.matrix_product import sum_leaf
from contractconv.engines.numpy.reducing import local_derivative, reduce_leaf
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Access, Problem
from contractconv.planning.strided_leaves import by_taps

pytestmark = pytest.mark.skipif(not native.available(), reason="there is no compiler")

DTYPES = ("float32", "float64")
REDUCTIONS: tuple[Reduction, ...] = ("max", "min", "sum")
POOLS = {"2x2": "b (2*i+k) (2*j+l) c -> b i j c", "3x3": "b (2*i+k-1) (2*j+l-1) c -> b i j c"}
# Every value that is special, and ties.
SPECIAL = [-np.inf, -1.0, -0.0, 0.0, 1.0, np.inf, np.nan]


def problem_of(spec: str, shape: tuple[int, ...], reduce: str, **extents: int) -> Problem:
    return resolve(parse(spec, reduce=reduce), [shape], extents)


def numbers(shape: tuple[int, ...], dtype: str, special: bool = False) -> Array:
    """Small integers, so that sums are exact and extrema tie; or all special values."""
    rng = np.random.default_rng(sum(shape))
    drawn = rng.choice(SPECIAL, shape) if special else rng.integers(-3, 4, shape)
    return np.asarray(drawn, dtype)


def by_numpy(problem: Problem, x: Array) -> Array:
    labels = tuple(access.names[0] for access in problem.output)
    return (sum_leaf if problem.reduce == "sum" else reduce_leaf)(problem, (x,), labels)


def gradient_by_numpy(problem: Problem, x: Array, cotangent: Array) -> Array:
    """Put cotangents everywhere, or where the selection tensor is one."""
    labels = [access.names[0] for access in problem.output]
    shape = [size if name in labels else 1 for name, size in problem.sizes]
    order = [labels.index(name) for name in problem.indices if name in labels]
    local = np.ones([size for _, size in problem.sizes], x.dtype)
    if problem.reduce != "sum":
        local = local_derivative(problem, (x,))
    given = local * cotangent.transpose(order).reshape(shape)
    points = np.indices(given.shape)
    places = [position(access, problem, points) for access in problem.operands[0]]
    inside = np.ones(given.shape, bool)
    for place, size in zip(places, x.shape, strict=True):
        inside &= (place >= 0) & (place < size)
    gradient = np.zeros(x.shape, x.dtype)
    np.add.at(gradient, tuple(place[inside] for place in places), given[inside])
    return gradient


def position(access: Access, problem: Problem, points: Array) -> Array:
    steps = dict(access.terms)
    place = np.full(points.shape[1:], access.offset)
    for name, values in zip(problem.indices, points, strict=True):
        place += steps.get(name, 0) * values
    return place


def check(problem: Problem, x: Array, out: Array | None = None) -> None:
    """Compare result and gradient with those made by numpy."""
    if out is None:
        out = np.empty(problem.output_sizes, x.dtype)
    out[...] = 77
    assert pool(problem, x, out)
    np.testing.assert_array_equal(out, by_numpy(problem, x))
    if problem.reduce == "sum" and not by_taps(problem):
        return
    cotangent = out.copy("K")
    cotangent[...] = numbers(out.shape, str(x.dtype))
    gradient = pool_gradient(problem, x, cotangent)
    assert gradient is not None
    np.testing.assert_array_equal(gradient, gradient_by_numpy(problem, x, cotangent))


# --- windows -----------------------------------------------------------------------------------

# A string around the windows, and the sizes of what stands before and after them.
AROUND = {
    "channels last": ("b {0} c -> b {1} c", (2,), (3,)),
    "channels first": ("b c {0} -> b c {1}", (2, 3), ()),
    "alone": ("{0} -> {1}", (), ()),
}


def windows(dimensions: int) -> Iterator[tuple[str, str]]:
    """The axes of windows, and the indices of their results."""
    names = (("i", "k"), ("j", "l"), ("h", "m"))[:dimensions]
    for step, dilation, padding in product((1, 2, 3), (1, 2), (0, 1, 2)):
        axes = [f"({step}*{i}+{dilation}*{k}-{padding})" for i, k in names]
        yield " ".join(axes), " ".join(i for i, _ in names)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("around", AROUND)
def test_windows_of_any_stride_dilation_and_padding(
    around: str, dimensions: int, dtype: str
) -> None:
    form, before, after = AROUND[around]
    shape = (*before, *(11, 8, 7)[:dimensions], *after)
    taps = dict(zip("klm"[:dimensions], (3, 2, 2), strict=False))
    for axes, results in windows(dimensions):
        for reduce in REDUCTIONS:
            problem = problem_of(form.format(axes, results), shape, reduce, **taps)
            check(problem, numbers(shape, dtype))


@pytest.mark.parametrize(
    ("spec", "shape", "extents"),
    [
        pytest.param("b h w c -> b c", (2, 5, 6, 3), {}, id="global"),
        pytest.param("b c h w -> b c", (2, 3, 5, 6), {}, id="global, channels first"),
        pytest.param("n c -> c", (300, 5), {}, id="long"),
        pytest.param("b h c -> h b", (2, 5, 40), {}, id="turned"),
        pytest.param("(i-k) -> i", (12,), {"k": 3}, id="against the result"),
        pytest.param("(9-2*i+k) c -> i c", (12, 3), {"k": 4, "i": 6}, id="results backwards"),
        pytest.param("(2*i+k+3*l-2) -> i", (20,), {"k": 2, "l": 3, "i": 9}, id="two taps"),
        pytest.param("(4*i+2*j+k) -> i j", (20,), {"k": 2, "i": 4, "j": 2}, id="two results"),
        pytest.param("(i+k-1) (i+l-1) -> i", (6, 6), {"k": 3, "l": 3}, id="diagonal"),
        pytest.param("(2*i+k) i -> i", (9, 4), {"k": 3}, id="twice"),
        pytest.param("(2*i+k) i c -> i c", (8, 4, 3), {"k": 2}, id="twice, each axis whole"),
        pytest.param("(i h) (j w) c -> i j c", (6, 8, 3), {"h": 2, "w": 4}, id="compositions"),
        pytest.param("b (2*i+k-3) c -> b i c", (2, 5, 3), {"k": 2, "i": 7}, id="all padding"),
        pytest.param("b (2*i+k) c -> b i c", (2, 8, 3), {"k": 2}, id="every element once"),
        pytest.param("b (2*i+k) c -> b i c", (2, 9, 3), {"k": 2}, id="one row left out"),
        pytest.param(
            "b (i+4*k) c -> b i c", (2, 8, 3), {"k": 2}, id="every element once, far apart"
        ),
        pytest.param("b (2*i+2*k) c -> b i c", (2, 9, 3), {"k": 3, "i": 3}, id="as many points"),
        pytest.param("(k+l-1) c -> c", (4, 3), {"k": 4, "l": 3}, id="one window over the edge"),
        pytest.param("h (k+2) c -> h c", (3, 9, 4), {"k": 5}, id="a part"),
    ],
)
def test_other_reductions_of_one_operand(
    spec: str, shape: tuple[int, ...], extents: dict[str, int]
) -> None:
    for reduce, dtype in product(REDUCTIONS, DTYPES):
        problem = problem_of(spec, shape, reduce, **extents)
        sizes = [access.size for access in problem.operands[0]]
        check(problem, numbers(shape, dtype).reshape(sizes))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("extent", [1, 7, 16, 33, 70])
def test_any_number_of_lanes(extent: int, dtype: str) -> None:
    for reduce in ("max", "sum"):
        for spec, shape in (
            ("(2*i+k-1) c -> i c", (7, extent)),
            ("c (i+k-1) -> c i", (2, extent + 2)),
            ("c (2*i+k-1) -> c i", (2, 2 * extent + 1)),
            ("c (3*i+k-1) -> c i", (2, 3 * extent)),
        ):
            check(problem_of(spec, shape, reduce, k=3), numbers(shape, dtype))


# Arrays that end where memory ends, or begin where it begins.
AT_THE_EDGE = """
import ctypes, mmap
import numpy as np
from test_pooling import numbers, pool, pool_gradient, problem_of

libc = ctypes.CDLL(None, use_errno=True)
pages = []

def at_the_edge(array, at_end):
    room = 1 << 16
    raw = mmap.mmap(-1, 3 * room)
    pages.append(raw)
    start = ctypes.addressof(ctypes.c_char.from_buffer(raw))
    for closed in (start, start + 2 * room):
        assert libc.mprotect(ctypes.c_void_p(closed), ctypes.c_size_t(room), 0) == 0
    offset = 2 * room - array.nbytes if at_end else room
    placed = np.frombuffer(raw, array.dtype, array.size, offset).reshape(array.shape)
    placed[...] = array
    return placed

for step in (1, 2, 3, 4, 5):
    for extent in (1, 5, 16, 33, 64, 65):
        for at_end in (False, True):
            shape = (2, step * (extent - 1) + 2)
            problem = problem_of(f"b ({step}*i+k) -> b i", shape, "max", k=2)
            x = at_the_edge(numbers(shape, "float32"), at_end)
            out = at_the_edge(np.zeros(problem.output_sizes, "f"), at_end)
            assert pool(problem, x, out)
            assert pool_gradient(problem, x, out) is not None
print("nothing touched")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is closed by a call of Linux's")
def test_nothing_is_touched_beyond_the_arrays() -> None:
    given = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    run = subprocess.run(
        [sys.executable, "-c", AT_THE_EDGE], env=given, capture_output=True, text=True, check=False
    )
    assert run.stdout.strip() == "nothing touched", run.stderr


# --- memory ------------------------------------------------------------------------------------


def unaligned(array: Array) -> Array:
    """A copy between whose numbers lies a byte."""
    copy = np.zeros(array.shape, [("byte", "i1"), ("number", array.dtype)])["number"]
    copy[...] = array
    return copy


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "in order": lambda array: array,
    "Fortran's order": np.asfortranarray,
    "axes moved": lambda array: np.ascontiguousarray(np.moveaxis(array, -1, 0)),
    "backwards": lambda array: np.flip(np.flip(array).copy()),
    "last axis backwards": lambda array: array[..., ::-1].copy()[..., ::-1],
    "every other": lambda array: np.repeat(array, 2, -1)[..., ::2],
    "every fifth": lambda array: np.repeat(array, 5, -1)[..., ::5],
    "with gaps": lambda array: np.pad(array, 2)[(slice(2, -2),) * array.ndim],
    "repeated": lambda array: np.broadcast_to(array[..., :1], array.shape),
    "unaligned": unaligned,
}


def laid_out(array: Array, layout: str) -> Array:
    made = LAYOUTS[layout](array)
    return np.moveaxis(made, 0, -1) if layout == "axes moved" else made


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("spec", [
    "b (2*i+k-1) (2*j+l-1) c -> b i j c",
    "b (i+k) (2*j+l) c -> c b j i",
])  # fmt: skip
def test_operands_anywhere_in_memory(spec: str, layout: str) -> None:
    shape = (2, 7, 8, 19)
    for reduce, dtype in product(REDUCTIONS, DTYPES):
        x = laid_out(numbers(shape, dtype), layout)
        check(problem_of(spec, shape, reduce, k=3, l=2), x)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "repeated"])
def test_results_anywhere_in_memory(layout: str) -> None:
    shape = (2, 7, 8, 19)
    for reduce in REDUCTIONS:
        problem = problem_of(POOLS["3x3"], shape, reduce, k=3, l=2)
        out = laid_out(np.zeros(problem.output_sizes, "f"), layout)
        check(problem, numbers(shape, "float32"), out)


def test_the_gradient_may_be_nowhere_in_order() -> None:
    """Axes between the windows: what is reached first does not lie side by side."""
    for spec in ("(2*i+k) b (2*j+l) c -> b i j c", "c (2*i+k) b -> b i c", "b h (2*j+l) -> j b h"):
        shape = (7, 4, 9, 5)[: len(parse(spec).inputs[0])]
        extents = {name: 3 for name in "kl" if name in spec}
        check(problem_of(spec, shape, "max", **extents), numbers(shape, "float32"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [16, 48, 20, 5])
def test_large_gradients_are_written_past_the_cache(
    channels: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradient_kernel, "_PAST_CACHE", 1 << 12)
    cc.clear_caches()
    for reduce in REDUCTIONS:
        problem = problem_of(POOLS["3x3"], (2, 12, 13, channels), reduce, k=3, l=2)
        check(problem, numbers((2, 12, 13, channels), dtype))
    cc.clear_caches()


@pytest.mark.parametrize("taps", [(8, 8), (9, 8), (16, 17)])
def test_windows_of_many_taps(taps: tuple[int, int]) -> None:
    shape = (2, 20, 21, 6)
    for reduce, dtype in product(REDUCTIONS, DTYPES):
        problem = problem_of(POOLS["3x3"], shape, reduce, k=taps[0], l=taps[1])
        check(problem, numbers(shape, dtype))


# --- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduce", ["max", "min"])
@pytest.mark.parametrize("spec", [*POOLS.values(), "b (j+l-1) c (2*i+k-1) -> b j c i",
                                  "b h w c -> b c", "b c h w -> b c"])  # fmt: skip
def test_special_values_are_chosen_as_numpy_chooses(
    spec: str, reduce: Reduction, dtype: str
) -> None:
    shape = (2, 8, 9, 21) if spec != "b c h w -> b c" else (2, 21, 2, 3)
    extents = {name: 3 for name in "kl" if name in spec}
    check(problem_of(spec, shape, reduce, **extents), numbers(shape, dtype, special=True))


@pytest.mark.parametrize("value", SPECIAL)
def test_of_equal_values_the_first_one_inside_is_chosen(value: float) -> None:
    x = np.full((2, 9, 9, 20), value, "f")
    for reduce in ("max", "min"):
        check(problem_of(POOLS["3x3"], x.shape, reduce, k=3, l=3), x)
        check(problem_of("b c (2*i+k-1) h -> b c i h", x.shape, reduce, k=3), x)


def test_brute_force_agrees() -> None:
    for spec, shape, extents in (
        ("b (2*i+k-1) (j+2*l-2) c -> b i j c", (2, 6, 5, 3), {"k": 3, "l": 3}),
        ("c (i-k) (3*j+l-1) -> j c i", (3, 5, 7), {"k": 2, "l": 4}),
    ):
        x = numbers(shape, "float64")
        for reduce in REDUCTIONS:
            problem = problem_of(spec, shape, reduce, **extents)
            sizes, size = problem.extents, problem.output_sizes
            out, given = np.empty(size), numbers(size, "float64")
            assert pool(problem, x, out)
            expected = oracle.evaluate(spec, [x], sizes, size, reduce)
            np.testing.assert_array_equal(out, expected)
            gradient = oracle.gradient(spec, 0, given, [x], sizes, size, reduce)
            np.testing.assert_array_equal(pool_gradient(problem, x, given), gradient)


def test_long_sums_are_summed_in_parts() -> None:
    x = np.full((100_000, 3), 0.1, "f")
    out = np.empty(3, "f")
    assert pool(problem_of("n c -> c", x.shape, "sum"), x, out)
    # One by one the error would be a hundred times as large.
    np.testing.assert_allclose(out, 1e5 * np.float64(np.float32(0.1)), rtol=1e-5)


# --- threads -----------------------------------------------------------------------------------


@pytest.fixture(params=[1, 2, 3, 5])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """So many threads share even the smallest work."""
    monkeypatch.setattr(window_tables, "_WORTH", 1)
    cc.clear_caches()
    cc.set_num_threads(request.param)
    yield request.param
    cc.set_num_threads(None)
    cc.clear_caches()


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        pytest.param("b (2*i+k-1) (2*j+l-1) c -> b i j c", (9, 9, 8, 5), id="a batch"),
        pytest.param("b (2*i+k-1) (2*j+l-1) c -> b i j c", (1, 60, 8, 5), id="one image"),
        pytest.param("(i+k-1) (j+l-1) -> i j", (70, 9), id="one channel"),
        pytest.param("(9-i-k) c -> i c", (10, 3), id="backwards"),
        pytest.param("(i+k-1) (i+l-1) -> i", (60, 60), id="diagonal"),
        pytest.param("h w c -> c", (9, 8, 40), id="one result"),
        pytest.param("b h w c -> b c", (3, 4, 5, 40), id="few results"),
    ],
)
def test_threads_do_not_meet(threads: int, spec: str, shape: tuple[int, ...]) -> None:
    extents = {name: 3 for name in "kl" if name in spec} | ({"i": 8} if "9-i" in spec else {})
    for reduce in REDUCTIONS:
        check(problem_of(spec, shape, reduce, **extents), numbers(shape, "float32"))


# --- where there is no kernel ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "shape", "dtype"),
    [
        pytest.param("(i+k) c -> i c", (5, 3), "int64", id="integers"),
        pytest.param("(i+k) c -> i c", (5, 3), "float16", id="half precision"),
        pytest.param("(i+k) c -> i c", (5, 3), ">f4", id="other byte order"),
        pytest.param("h c -> c h", (5, 3), "float32", id="nothing reduced"),
        pytest.param("h c ->", (5, 3), "float32", id="nothing kept"),
        pytest.param("(i+k) -> i c", (5,), "float32", id="repeated"),
        pytest.param("(2*i+j+k-1) -> i j", (9,), "float32", id="two results at a boundary"),
        pytest.param("n c -> c", (1 << 19, 1), "float32", id="too many taps"),
    ],
)
def test_what_has_no_kernel_is_left_alone(spec: str, shape: tuple[int, ...], dtype: str) -> None:
    extents = {"i": 3, "j": 2, "k": 3, "c": 3}
    known = {
        n: size for n, size in extents.items() if n in spec and not (n == "c" and "c ->" in spec)
    }
    problem = problem_of(spec, shape, "max", **known)
    out = np.full(problem.output_sizes, 77, dtype)
    assert not pool(problem, np.zeros(shape, dtype), out)
    assert (out == 77).all()
    assert pool_gradient(problem, np.zeros(shape, dtype), out) is None


def test_without_a_compiler_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRACTCONV_KERNELS", "numpy")
    problem = problem_of(POOLS["2x2"], (1, 4, 4, 3), "max", k=2, l=2)
    x, out = np.zeros((1, 4, 4, 3)), np.zeros(problem.output_sizes)
    assert not pool(problem, x, out)
    assert pool_gradient(problem, x, out) is None


def test_some_gradients_are_left_to_contractions() -> None:
    """Nothing is gained where a cotangent is repeated, and others have no kernel at all."""
    for spec, shape, reduce in (
        ("b h w c -> b c", (1, 4, 4, 3), "sum"),
        ("(9*i+k) c -> i c", (730, 3), "mean"),
        ("(2*i+k) c -> i c", (8, 3), "prod"),
        ("(2*i+k) c -> (3*i) c", (8, 3), "max"),
    ):
        extents = {"k": 100 if reduce == "mean" else 2} if "k" in spec else {}
        problem = problem_of(spec, shape, reduce, **extents)
        out = np.zeros(problem.output_sizes)
        assert pool_gradient(problem, np.zeros(shape), out) is None


# --- contractions ------------------------------------------------------------------------------


@pytest.mark.parametrize("reduce", ["max", "min", "mean", "sum"])
@pytest.mark.parametrize("pool_name", POOLS)
def test_contractions_are_pooled(
    pool_name: str, reduce: Reduction, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, x = POOLS[pool_name], numbers((2, 20, 20, 16), "float32")
    call, size = cc.Contraction(spec, reduce=reduce), int(pool_name[0])
    with traced() as ran:
        result = call(x, k=size, l=size)
    assert [(part.way, part.problems[0].reduce) for part in ran] == [(POOLING, reduce)]
    cotangent = numbers(result.shape, "float32")
    gradient = call.grad(0)(cotangent, x, k=size, l=size)
    monkeypatch.setenv("CONTRACTCONV_KERNELS", "numpy")
    np.testing.assert_array_equal(result, call(x, k=size, l=size))
    expected = call.grad(0)(cotangent, x, k=size, l=size)
    # The numpy of a mean's gradient multiplies by a ninth in another order.
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
    if reduce in ("max", "min"):
        np.testing.assert_array_equal(gradient, expected)


def test_compositions_and_compiled_contractions_are_pooled() -> None:
    spec, x = "(b h) (2*i+k) c -> (b h) (i c)", numbers((8, 32, 16), "float64")
    call = cc.Contraction(spec, reduce="max")
    result = call(x, k=2, b=2)
    assert result.shape == (8, 256)
    np.testing.assert_array_equal(result, x.reshape(8, 16, 2, 16).max(2).reshape(8, 256))
    cotangent = numbers(result.shape, "float64")
    run = call.compile(x.shape, dtype="float64", k=2, b=2)
    np.testing.assert_array_equal(run.vjp(0, cotangent, x), call.grad(0)(cotangent, x, k=2, b=2))
    assert run.vjp(0, cotangent, x).shape == x.shape


def test_a_cotangent_of_another_dtype_leaves_the_gradient_in_that_of_the_operand() -> None:
    x = numbers((2, 20, 20, 16), "float32")
    call = cc.Contraction(POOLS["2x2"], reduce="max")
    gradient = call.grad(0)(np.ones((2, 10, 10, 16)), x, k=2, l=2)
    assert gradient.dtype == np.float32
    assert gradient.sum() == 2 * 10 * 10 * 16


def test_a_gradient_makes_no_selection_tensor() -> None:
    x = numbers((4, 32, 32, 32), "float32")
    call = cc.Contraction(POOLS["3x3"], reduce="max")
    cotangent = np.ones((4, 16, 16, 32), "f")
    call.grad(0)(cotangent, x, k=3, l=3)
    tracemalloc.start()
    gradient = call.grad(0)(cotangent, x, k=3, l=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < gradient.nbytes + 200_000


# --- torch -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("size", "step", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 1), (5, 3, 2)])
def test_torch_agrees(size: int, step: int, padding: int, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    spec = f"b c ({step}*i+k-{padding}) ({step}*j+l-{padding}) -> b c i j"
    x = numbers((2, 3, 17, 20), dtype)
    leaf = torch.tensor(x, requires_grad=True)
    functional = torch.nn.functional
    for reduce, theirs in (("max", functional.max_pool2d), ("mean", functional.avg_pool2d)):
        expected = theirs(leaf, size, step, padding)
        problem = problem_of(spec, x.shape, reduce, k=size, l=size)
        out = np.empty(problem.output_sizes, dtype)
        assert pool(problem, x, out)
        scale = size * size if reduce == "mean" else 1
        np.testing.assert_allclose(out / scale, expected.detach().numpy(), rtol=1e-6)
        cotangent = numbers(out.shape, dtype)
        (gradient,) = torch.autograd.grad(expected, leaf, torch.tensor(cotangent))
        made = pool_gradient(problem, x, cotangent)
        assert made is not None
        np.testing.assert_allclose(made, gradient.numpy(), atol=1e-6)
