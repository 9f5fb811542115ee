"""Small steps with windows are einsums of views, made ready once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import pytest
from oracle import evaluate, gradient, natural_output_shape

import contractconv as cc
from contractconv.engines.llvm.kernels import native
from contractconv.engines.numpy import numpy_lowerings, reducing
from contractconv.engines.numpy.einsum import operand_views
from contractconv.engines.numpy.small import few_points
from contractconv.execution.stages import stage
from contractconv.machine import memory
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.planning.plan import plan
from contractconv.planning.setting import COMMON, Setting

LAYERS: dict[str, tuple[Any, ...]] = {
    "padded": ("b (i+k-1) (j+l-1) c, k l c o -> b i j o", (2, 4, 5, 2), (3, 3, 2, 3)),
    "stride 2": ("b (2*i+k-1) c, k c o -> b i o", (2, 9, 3), (3, 3, 4)),
    "stride 3, longer than the kernel": ("(3*i+k) c, k c o -> i o", (11, 3), (2, 3, 4)),
    "dilated": ("b (i+2*k) c, k c o -> b i o", (1, 9, 3), (3, 3, 4)),
    "flipped": ("b (i-k+2) c, k c o -> b i o", (1, 10, 3), (3, 3, 4)),
    "groups": ("b (i+k) g c, k g c o -> b i g o", (2, 8, 2, 3), (3, 2, 3, 2)),
    "depthwise, channels first": ("b c (i+k), c k -> b c i", (2, 5, 9), (5, 3)),
    "transposed, stride 2": ("b i c, k c o -> b (2*i+k-1) o", (1, 7, 3), (4, 3, 4)),
    "3-D": ("(h+m-1) (i+k) (j+l) c, m k l c o -> h i j o", (2, 4, 3, 2), (3, 2, 2, 2, 2)),
    "one signal": ("(i+k), k -> i", (23,), (3,)),
    "results backwards": ("b (i+k) c, k c o -> b i (3-o)", (1, 9, 2), (3, 2, 4)),
    "not only of windows": ("(i+k) c, k -> i", (9, 3), (3,)),
}
# Those of which every way back is made at once, or part by part.
AT_ONCE = [name for name in LAYERS if name not in ("results backwards", "not only of windows")]
POOLINGS: dict[str, tuple[str, tuple[int, ...], Any]] = {
    "2 x 2": ("b (2*i+k) (2*j+l) c -> b i j c", (2, 6, 5, 3), {"k": 2, "l": 2}),
    "padded, turned": ("b (i+k-1) c -> c b i", (2, 6, 3), {"k": 3}),
    "of everything": ("(i+k) -> ", (9,), {"i": 7, "k": 3}),
}


def drawn(*shapes: tuple[int, ...], dtype: Any = "int64") -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.integers(-4, 5, shape).astype(dtype) for shape in shapes]


def laid_out(array: Any, how: str) -> Any:
    """The same numbers, lying in memory in another way."""
    if how == "apart":
        wide = np.full([2 * n for n in array.shape], 99, array.dtype)
        place = tuple(slice(1, None, 2) for _ in array.shape)
        wide[place] = array
        return wide[place]
    if how == "backwards":
        turned = tuple(slice(None, None, -1) for _ in array.shape)
        return array[turned].copy()[turned]
    if how == "fortran":
        return np.asfortranarray(array)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("how", ["read-only", "apart", "backwards"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "int8", "int64"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_and_their_gradients(name: str, dtype: str, how: str) -> None:
    spec, *shapes = LAYERS[name]
    conv, exact = cc.Contraction(spec), drawn(*shapes)
    extents = conv.extents(*shapes)
    made = natural_output_shape(spec, shapes, extents)
    operands = [laid_out(array.astype(dtype), how) for array in exact]
    run = conv.compile(*shapes, dtype=dtype)
    wanted = evaluate(spec, exact, extents, made)
    np.testing.assert_array_equal(run(*operands), wanted.astype(dtype))
    (cotangent,) = drawn(made)
    for n in (0, 1) if "int" not in dtype else ():
        slope = gradient(spec, n, cotangent, exact, extents, made)
        back = run.vjp(n, cotangent.astype(dtype), *operands)
        np.testing.assert_array_equal(back, slope.astype(dtype))


@pytest.fixture
def of_no_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """No step is small, all copies are large, and there are no kernels."""
    monkeypatch.setenv("CONTRACTCONV_KERNELS", "numpy")
    monkeypatch.setattr(few_points, "_FEW", 0)
    monkeypatch.setattr(operand_views, "_LENT", 0)
    cc.clear_caches()


@pytest.mark.usefixtures("of_no_points")
@pytest.mark.parametrize("most", [0, 60, 1 << 20])
@pytest.mark.parametrize("how", ["read-only", "apart", "backwards", "fortran"])
@pytest.mark.parametrize("dtype", ["float32", "complex128", "int64"])
@pytest.mark.parametrize("name", LAYERS)
def test_what_fits_is_laid_out_at_once(
    name: str, dtype: str, how: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of some layers nothing fits, of some gradients a phase does, of others all of them do."""
    monkeypatch.setattr(few_points, "AT_ONCE", most)
    test_layers_and_their_gradients(name, dtype, how)


@pytest.mark.usefixtures("of_no_points")
def test_matrices_lie_where_earlier_ones_lay() -> None:
    """Memory goes back when it is multiplied, and a result never lies in it."""
    spec, *shapes = LAYERS["padded"]
    run = cc.Contraction(spec).compile(*shapes, dtype="float32")
    operands = drawn(*shapes, dtype="float32")
    first = run(*operands)
    kept = {memory.address(raw) for free in memory._free.values() for raw in free}
    second = run(*operands)
    assert kept
    assert kept == {memory.address(raw) for free in memory._free.values() for raw in free}
    assert not any(np.shares_memory(first, raw) for free in memory._free.values() for raw in free)
    np.testing.assert_array_equal(first, second)


@pytest.mark.usefixtures("of_no_points")
def test_threads_lay_out_matrices_of_their_own() -> None:
    spec, *shapes = LAYERS["3-D"]
    run = cc.Contraction(spec).compile(*shapes, dtype="float64")
    given = [drawn(*shapes, dtype="float64") for _ in range(4)]
    given = [[array + n for array in arrays] for n, arrays in enumerate(given)]
    wanted = [run(*arrays) for arrays in given]

    def again(n: int) -> bool:
        return all(np.array_equal(run(*given[n]), wanted[n]) for _ in range(200))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(again, range(4)))


@pytest.mark.parametrize("dtype", ["float16", "float32", "int32"])
@pytest.mark.parametrize("reduce", ["sum", "max", "min", "prod"])
@pytest.mark.parametrize("name", POOLINGS)
def test_poolings(name: str, reduce: Any, dtype: str) -> None:
    spec, shape, extents = POOLINGS[name]
    pooling, (exact,) = cc.Contraction(spec, reduce=reduce), drawn(shape)
    exact = np.sign(exact) if reduce == "prod" else exact
    known = pooling.extents(shape, **extents)
    made = natural_output_shape(spec, [shape], known)
    run = pooling.compile(shape, dtype=dtype, **extents)
    wanted = evaluate(spec, [exact], known, made, reduce)
    np.testing.assert_array_equal(run(exact.astype(dtype)), wanted.astype(dtype))


def test_numbers_that_are_none_are_greatest() -> None:
    x = np.array([1, np.nan, 3, -np.inf, -np.inf, -np.inf])
    run = cc.Contraction("(i+k) -> i", reduce="max").compile(x.shape, dtype="float64", k=3)
    np.testing.assert_array_equal(run(x), [np.nan, np.nan, 3, -np.inf])


def test_a_result_is_nobody_elses() -> None:
    """Neither of the operand nor of another call."""
    x = np.arange(9.0)
    every: list[tuple[str, Any]] = [("(i+k) -> i k", {"k": 3}), ("(i+k) -> i", {"k": 1})]
    for spec, more in every:
        run = cc.Contraction(spec).compile(x.shape, dtype="float64", **more)
        first, second = run(x), run(x)
        before = first.copy()
        second[...], changed = 7, x.copy()
        np.testing.assert_array_equal(first, before)
        np.testing.assert_array_equal(x, changed)


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
@pytest.mark.parametrize("name", [*AT_ONCE, *POOLINGS])
def test_nothing_is_decided_anew(name: str, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of what goes about large arrays, and looks at them in each call, has a hand in it."""
    if engine == "llvm" and not native.available():
        pytest.skip("there is no compiler")
    monkeypatch.setenv("CONTRACTCONV_KERNELS", engine)

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("decided anew")

    monkeypatch.setattr(numpy_lowerings, "add_leaf", refused)
    monkeypatch.setattr(reducing, "_reduce_leaf", refused)
    spec, *shapes = LAYERS[name] if name in LAYERS else POOLINGS[name][:2]
    extents: Any = {} if name in LAYERS else POOLINGS[name][2]
    run = cc.Contraction(spec).compile(*shapes, dtype="float32", **extents)
    operands = drawn(*shapes, dtype="float32")
    made = run(*operands)
    for n in (0, 1) if name in LAYERS else ():
        assert run.vjp(n, made, *operands).shape == shapes[n]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduce", ["max", "min", "mean"])
@pytest.mark.parametrize("name", [*POOLINGS, "dilated", "overlapping, 2-D"])
def test_gradients_of_poolings(name: str, reduce: Any, dtype: str) -> None:
    """Of equal numbers the first one is the extremum, of which there are many here."""
    more: dict[str, Any] = {
        "dilated": ("b (2*i+3*k-2) c -> b i c", (2, 9, 2), {"k": 3, "i": 4}),
        "overlapping, 2-D": ("(i+k-1) (j+l-1) c -> i j c", (4, 5, 2), {"k": 3, "l": 3}),
    }
    spec, shape, extents = (POOLINGS | more)[name]
    pooling, (exact,) = cc.Contraction(spec, reduce=reduce), drawn(shape)
    known = pooling.extents(shape, **extents)
    made = natural_output_shape(spec, [shape], known)
    run = pooling.compile(shape, dtype=dtype, **extents)
    # Shares of a mean are whole then.
    (cotangent,) = (5040 * one for one in drawn(made))
    wanted = gradient(spec, 0, cotangent.astype(float), [exact.astype(float)], known, made, reduce)
    back = run.vjp(0, cotangent.astype(dtype), exact.astype(dtype))
    np.testing.assert_array_equal(back, wanted.astype(dtype))


def test_gradients_of_extremes_know_numbers_that_are_none() -> None:
    x = np.array([1, np.nan, 3, np.nan, -np.inf, -np.inf])
    run = cc.Contraction("(i+k-1) -> i", reduce="max").compile(x.shape, dtype="float64", k=3, i=6)
    slope = run.vjp(0, np.array([1.0, 2, 4, 8, 16, 32]), x)
    np.testing.assert_array_equal(slope, [0, 1 + 2 + 4, 0, 8 + 16, 32, 0])


SCATTERS: dict[str, tuple[str, tuple[int, ...], Any]] = {
    "spread": ("i -> (i+k)", (5,), {"k": 3}),
    "stride 2, padded": ("b i c -> b (2*i+k-1) c", (2, 4, 3), {"k": 3}),
    "with gaps": ("i j -> (3*i+j)", (3, 2), {}),
    "every second one": ("i -> (i/2)", (7,), {}),
    "a diagonal": ("i -> i i", (4,), {}),
    "from window to window": ("(i+k) -> (i+2*k)", (6,), {"k": 3}),
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64", "int64"])
@pytest.mark.parametrize("how", ["read-only", "apart", "backwards"])
@pytest.mark.parametrize("name", SCATTERS)
def test_scatters(name: str, how: str, dtype: str) -> None:
    spec, shape, extents = SCATTERS[name]
    scatter, (exact,) = cc.Contraction(spec), drawn(shape)
    known = scatter.extents(shape, **extents)
    made = natural_output_shape(spec, [shape], known)
    run = scatter.compile(shape, dtype=dtype, **extents)
    wanted = evaluate(spec, [exact], known, made)
    np.testing.assert_array_equal(run(laid_out(exact.astype(dtype), how)), wanted.astype(dtype))


@pytest.mark.parametrize("reduce", ["max", "min", "prod", "mean"])
@pytest.mark.parametrize("name", [name for name in SCATTERS if name != "a diagonal"])
def test_scatters_that_reduce(name: str, reduce: Any) -> None:
    """As over more points: what nothing lands on is what nothing makes."""
    spec, shape, extents = SCATTERS[name]
    (x,) = drawn(shape, dtype="float64")
    few = cc.Contraction(spec, reduce=reduce)(x, **extents)
    many = cc.Contraction(f"m {spec.replace('-> ', '-> m ')}", reduce=reduce)
    repeated = np.broadcast_to(x, (1 << 12, *shape))
    np.testing.assert_array_equal(few, many(repeated, **extents)[7])
    pooled = evaluate(spec, [x], cc.Contraction(spec).extents(shape, **extents), few.shape, reduce)
    np.testing.assert_allclose(few, pooled, rtol=1e-15)


def test_scattered_numbers_that_are_none_are_greatest() -> None:
    """Without a word, as everywhere."""
    x = np.array([1, np.nan, 3, -np.inf])
    made = cc.contract("i -> (i+k)", x, reduce="max", extents={"k": 2})
    np.testing.assert_array_equal(made, [1, np.nan, np.nan, 3, -np.inf])


@pytest.mark.parametrize("dtype", ["bool", "int64", "float32", "complex64"])
@pytest.mark.parametrize("points", [2, 40])
@pytest.mark.parametrize(
    "spec",
    ["r b i o, r b -> b i o", "b i k, b k j -> b i j", "a b k, a b k j -> a b j",
     "b i k, i k -> b i", "b (i+k) c, k c o -> b i o", "b i, i -> b i", "b (i+k) c, k c -> b i c"],
)  # fmt: skip
def test_what_the_next_step_reads_has_no_gaps(spec: str, points: int, dtype: str) -> None:
    """However the operands lie: a step that is made ready relies on that."""
    rng, parsed = np.random.default_rng(0), cc.Contraction(spec)
    names = sorted(set("abcijkor") & set(spec))
    extents = {n: points if n == "i" else 2 for n in names}
    shapes = [
        tuple(sum(extents[n] for n in axis) - (len(axis) - 1) for axis in term)
        for term in _axes(spec)
    ]
    operands = [rng.integers(0, 3, shape).astype(dtype) for shape in shapes]
    setting = Setting(dtype, "direct", COMMON)
    (step,) = plan(resolve(parse(spec), shapes, extents), setting).steps
    exact = parsed(*(np.real(x).astype("int64") for x in operands))
    for layouts in product(("fortran", "apart", "backwards", "read-only"), repeat=2):
        given = [laid_out(x, how) for x, how in zip(operands, layouts, strict=True)]
        made = stage(step, given).carry(given)
        assert made.flags.c_contiguous
        np.testing.assert_array_equal(made, exact.astype(dtype))


def _axes(spec: str) -> list[list[str]]:
    """The indices of each axis of each operand."""
    terms = spec.partition(" -> ")[0].split(", ")
    return [[axis.strip("()").replace("+", "") for axis in term.split()] for term in terms]
