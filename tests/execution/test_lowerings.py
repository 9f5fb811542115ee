"""Every way in which a contraction is carried out agrees with the naive oracle, in any layout.

Values are small integers: what is summed as the definition says must be exact, and what is rounded
must stay within the bound that the plan gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from oracle import evaluate, gradient, natural_output_shape
from strategies import Array, Problem, Shape, problems, seeds, windows

import contractconv as cc
from contractconv import Algorithm, Reduction
from contractconv.arrays.views import contiguous
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.kernels.epilogue_code import RAW
from contractconv.engines.llvm.tile_kernels import result_scheme, scheme
from contractconv.engines.llvm.tile_kernels.layer_roles import Layer
from contractconv.engines.numpy.small import few_points
from contractconv.machine import memory
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.planning.scatter_phases import windows as windows_of

ENGINES = ("llvm", "numpy", "at once")
FAST = ("toom-cook", "fft")
ALGORITHMS = ("direct", *FAST)
DTYPES = ("float32", "float64")
# In single precision, of sums of fewer than 2^6 products of numbers up to 4: fast ones amplify
# rounding errors by less than 2^8.
ERRORS = dict.fromkeys(FAST, 2**-24 * 2**6 * 4**2 * 2**8) | {"direct": 0.0}


# --- layers ----------------------------------------------------------------------------------


def layer(spec: str, *shapes: Shape, output_shape: Shape | None = None, **given: Any) -> Problem:
    """A contraction with its extents worked out."""
    extents = cc.Contraction(spec).extents(*shapes, **given)
    natural = natural_output_shape(spec, shapes, extents)
    return Problem(spec, shapes, extents, output_shape or natural)


LAYERS = {
    "1-D": layer("b (i+k) c, k c o -> b i o", (2, 9, 3), (3, 3, 4)),
    "channels first": layer("b c (i+k-1), o c k -> b o i", (2, 3, 9), (4, 3, 3)),
    "axes in odd orders": layer("(i+k) c b, o k c -> o b i", (9, 3, 2), (4, 3, 3)),
    "kernel first": layer("k c o, b (i+k) c -> b i o", (3, 3, 4), (2, 9, 3)),
    "2-D": layer("b (i+k-1) (j+l-1) c, k l c o -> b i j o", (1, 6, 7, 2), (3, 3, 2, 3)),
    "2-D, channels first": layer("b c (i+k) (j+l), o c k l -> b o i j", (1, 2, 7, 8), (3, 2, 3, 3)),
    "3-D": layer("(h+m-1) (i+k) (j+l) c, m k l c o -> h i j o", (3, 5, 4, 2), (3, 2, 2, 2, 2)),
    "wide": layer("(i+k-1) c, k c o -> i o", (5, 17), (3, 17, 33)),
    "one signal": layer("(i+k), k -> i", (23,), (3,)),
    "one image": layer("(i+k) (j+l), k l -> i j", (9, 8), (3, 3)),
    "stride 2": layer("b (2*i+k) c, k c o -> b i o", (2, 13, 3), (3, 3, 4)),
    "stride 2, one signal": layer("(2*i+k), k -> i", (21,), (5,)),
    "stride 3": layer("b (3*i+k-1) c, k c o -> b i o", (1, 20, 3), (5, 3, 4)),
    "stride 4, longer than the kernel": layer("(4*i+k) c, k c o -> i o", (22, 3), (3, 3, 4)),
    "stride 2, 2-D": layer("(2*i+k-1) (2*j+l-1) c, k l c o -> i j o", (9, 10, 2), (3, 3, 2, 3)),
    "dilation 2": layer("b (i+2*k) c, k c o -> b i o", (1, 14, 3), (3, 3, 4)),
    "dilation 3, stride 2": layer("b (2*i+3*k-1) c, k c o -> b i o", (1, 21, 3), (3, 3, 4)),
    "a flipped kernel": layer("b (i-k+2) c, k c o -> b i o", (1, 10, 3), (3, 3, 4), i=8),
    "the full convolution": layer("(i-k) c, k c o -> i o", (9, 3), (4, 3, 2), i=12),
    "asymmetric padding": layer("b (i+k-2) c, k c o -> b i o", (1, 7, 3), (3, 3, 4), i=8),
    "more padding than image": layer("b (i+k-9) c, k c o -> b i o", (1, 4, 3), (3, 3, 2), i=20),
    "cropping": layer("b (i+k+2) c, k c o -> b i o", (1, 14, 3), (3, 3, 2), i=9),
    "a row of taps, padded": layer("(i+k-1) (j+l-1) c, k l c o -> i j o", (5, 6, 3), (1, 3, 3, 4)),
    "a column of taps, padded": layer(
        "(i+k-1) (j+l-1) c, k l c o -> i j o", (5, 6, 3), (3, 1, 3, 4)
    ),
    "groups": layer("b (i+k) g c, k g c o -> b i g o", (2, 8, 2, 3), (3, 2, 3, 2)),
    "depthwise": layer("b (i+k) c, k c -> b i c", (2, 9, 5), (3, 5)),
    "depthwise, stride 2": layer("b (2*i+k-1) c, k c -> b i c", (2, 15, 5), (5, 5)),
    "depthwise, stride 2, no channels": layer("b (2*i+k), k -> b i", (2, 15), (4,)),
    "depthwise, channels first": layer("b c (i+k), c k -> b c i", (2, 5, 9), (5, 3)),
    "depthwise, 2-D": layer("(i+k-1) (j+l-1) c, k l c -> i j c", (6, 7, 5), (3, 3, 5)),
    "depthwise with a multiplier": layer("b (i+k) c, k c o -> b i c o", (1, 9, 3), (3, 3, 2)),
    "transposed": layer("b i c, k c o -> b (i+k) o", (2, 7, 3), (3, 3, 4)),
    "transposed, stride 2": layer("b i c, k c o -> b (2*i+k) o", (1, 7, 3), (4, 3, 4)),
    "transposed, stride 2, padded": layer("b i c, k c o -> b (2*i+k-1) o", (1, 7, 3), (3, 3, 4)),
    "transposed, stride 2, 2-D": layer(
        "i j c, k l c o -> (2*i+k) (2*j+l) o", (3, 3, 2), (4, 4, 2, 2)
    ),
    "weight gradient": layer("b (i+k) c, b i o -> k c o", (2, 11, 3), (2, 9, 4)),
    "weight gradient, channels first": layer(
        "b c (i+k-1), b o i -> o c k", (2, 3, 9), (2, 4, 9), k=3
    ),
    "weight gradient, 2-D": layer(
        "(i+k-1) (j+l-1) c, i j o -> k l c o", (5, 6, 2), (5, 6, 3), k=3, l=3
    ),
    "weight gradient, stride 2": layer("(2*i+k) c, i o -> k c o", (15, 3), (7, 4), k=3),
    "a kernel longer than the result": layer("(i+k) c, k c o -> i o", (9, 3), (7, 3, 2)),
    "axes of size 1": layer("b (i+k-1) c, k c o -> b i o", (1, 4, 1), (3, 1, 1)),
    "data backwards along the channels": layer(
        "(i+k-1) (4-c), k c o -> i o", (8, 5), (3, 5, 3), c=5
    ),
    "every second channel": layer("(i+k-1) (2*c), k c o -> i o", (8, 9), (3, 5, 3), c=5),
    "results apart": layer("b (i+k) c, k c o -> b i (5*o)", (1, 10, 3), (3, 3, 7)),
    "results apart, stride 2": layer("b (2*i+k) c, k c o -> b i (2*o)", (1, 15, 3), (5, 3, 7)),
    "results backwards": layer("b (i+k) c, k c o -> b i (6-o)", (1, 10, 3), (3, 3, 7)),
    "an unfolded axis beside the window": layer(
        "(m+n-1) (i+k) c, k c o -> m n i o", (4, 7, 2), (3, 2, 3), m=4, n=3
    ),
    "two windows of which one is empty": layer(
        "(i+k) (j+l-3) c, k l c o -> i j o", (6, 2, 2), (3, 2, 2, 2), j=5
    ),
}
WITHOUT_WINDOWS = {
    "matrices": layer("i k, k j -> i j", (5, 7), (7, 19)),
    "matrices, turned": layer("k i, j k -> j i", (7, 5), (19, 7)),
    "many matrices": layer("b i k, b k j -> b i j", (3, 4, 5), (3, 5, 6)),
    "batch last": layer("i k b, k j b -> i j b", (3, 4, 5), (4, 6, 5)),
    "a dense layer on an image": layer("b h w c, h w c o -> b o", (2, 3, 4, 5), (3, 4, 5, 6)),
    "rows": layer("b i, b i -> b", (4, 9), (4, 9)),
    "a number": layer("i, i ->", (9,), (9,)),
    "an outer product": layer("i, j -> i j", (4,), (5,)),
    "a diagonal": layer("i i k, k j -> i j", (4, 4, 3), (3, 5)),
}
EVERY = LAYERS | WITHOUT_WINDOWS

# A result, or the gradient of an operand, in which no window of several taps meets several results:
# taps jump over each other, so that each phase of them is one tap; or an index is summed that only
# one operand has, which no tile can do.
NOTHING_FAST = {
    ("stride 4, longer than the kernel", "toom-cook", None),
    ("stride 4, longer than the kernel", "toom-cook", 0),
    ("stride 4, longer than the kernel", "toom-cook", 1),
    ("stride 4, longer than the kernel", "fft", 0),
    ("an unfolded axis beside the window", "toom-cook", 0),
    ("an unfolded axis beside the window", "fft", 0),
}


@cache
def expected(name: str, operand: int | None) -> Array:
    """What the oracle says of a result, or of the gradient of an operand."""
    problem = EVERY[name]
    operands, shape = problem.operands(1), problem.output_shape
    if operand is None:
        return evaluate(problem.spec, operands, problem.extents, shape)
    cotangent = problem.cotangent(1)
    return gradient(problem.spec, operand, cotangent, operands, problem.extents, shape)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What computes: compiled kernels, or numpy."""
    return use(request.param, monkeypatch)


def use(engine: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let kernels compute, or numpy: as it goes about large arrays, or ``"at once"``."""
    monkeypatch.setenv("CONTRACTCONV_KERNELS", "llvm" if engine == "llvm" else "numpy")
    if engine == "llvm" and not native.available():
        pytest.skip("there is no compiler")
    if engine == "numpy":
        monkeypatch.setattr(few_points, "_FEW", 0)
    if engine != "llvm":
        cc.clear_caches()  # what is ready for small arrays goes another way
    return engine


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    few = few_points._FEW
    yield
    if few != few_points._FEW:
        monkeypatch.undo()
        cc.clear_caches()


# --- what is asked for -----------------------------------------------------------------------


def compiled(problem: Problem, dtype: str, algorithm: Algorithm) -> Any:
    contraction = cc.Contraction(problem.spec)
    return contraction.compile(
        *problem.shapes, dtype=dtype, algorithm=algorithm, output_shape=problem.output_shape,
        **problem.extents,
    )  # fmt: skip


def tolerance(plan: Any, factors: tuple[Array, Array], algorithm: Algorithm) -> float:
    """The error that a plan admits, for factors of these sizes; never one that hides an integer."""
    if algorithm == "direct":
        assert all(step.choice.chosen.algorithm == algorithm for step in plan.steps)
        return 0.0
    (step,) = (s for s in plan.steps if s.choice.chosen.algorithm == algorithm)
    summed = prod(step.problem.extents[name] for name in step.problem.reduced)
    largest = prod(int(np.abs(factor).max(initial=0)) for factor in factors)
    return float(min(step.choice.chosen.bound * largest * summed, 0.25))


def assert_within(result: Array, wanted: Array, error: float, dtype: str) -> None:
    assert result.shape == wanted.shape
    assert result.dtype == dtype
    np.testing.assert_allclose(result, wanted, rtol=0, atol=error)


# What the compiler has many kernels for is compiled in single precision everywhere, in double
# precision for these alone: compiling takes time.
IN_BOTH_PRECISIONS = {
    "1-D", "2-D", "wide", "one signal", "stride 2", "depthwise", "depthwise, stride 2",
    "transposed, stride 2", "weight gradient", "results apart", *WITHOUT_WINDOWS,
}  # fmt: skip


def cases() -> Iterator[Any]:
    """Every layer, by what computes it, in which precision, by which algorithm, for what."""
    for name in EVERY:
        ways = [("llvm", "float32"), *((e, "float64") for e in ("numpy", "at once", "llvm"))]
        for engine, dtype in ways if name in IN_BOTH_PRECISIONS else ways[:3]:
            for algorithm in ALGORITHMS if name in LAYERS and engine != "at once" else ("direct",):
                for operand in (None, 0, 1):
                    if (name, algorithm, operand) not in NOTHING_FAST:
                        yield engine, dtype, name, algorithm, operand


@pytest.mark.parametrize(("engine", "dtype", "name", "algorithm", "operand"), list(cases()))
def test_every_layer_by_every_algorithm(
    engine: str,
    dtype: str,
    name: str,
    algorithm: Algorithm,
    operand: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(engine, monkeypatch)
    problem = EVERY[name]
    operands, cotangent = problem.operands(1), problem.cotangent(1)
    run, rounded = compiled(problem, dtype, algorithm), [x.astype(dtype) for x in operands]
    if operand is None:
        result, plan, factors = run(*rounded), run.plan, operands
    else:
        result = run.vjp(operand, cotangent.astype(dtype), *rounded)
        plan, factors = run.vjp_plan(operand), (cotangent, operands[1 - operand])
    error = tolerance(plan, (factors[0], factors[1]), algorithm)
    assert_within(result, expected(name, operand), error, dtype)


# Cuts of panels, tiles and channels into the smallest parts, as for layers that fill the memory.
PARTS = {
    "result_scheme._CUTS": ((3, 64),),
    "result_scheme._DEEP_CUTS": ((2, 3, 1),),
    "weight_gradient_scheme._CUTS": ((3, 64),),
    "weight_gradient_scheme._WIDE": 64,
}


@pytest.fixture(params=["panels", "tiles"])
def _in_parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything is worked on in parts: panels of the kernel, or tiles of the data."""
    use("llvm", monkeypatch)
    for name, cuts in PARTS.items():
        monkeypatch.setattr(f"contractconv.engines.llvm.tile_kernels.{name}", cuts)
    monkeypatch.setattr(scheme.Scheme, "room", 1 << 60)
    by_tiles = request.param == "tiles"
    monkeypatch.setattr(result_scheme.Deep, "pays", property(lambda deep: by_tiles and deep.fits))
    cc.clear_caches()
    yield
    cc.clear_caches()


@pytest.mark.usefixtures("_in_parts")
@pytest.mark.parametrize("operand", [None, 0, 1])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_in_parts(name: str, operand: int | None) -> None:
    if (name, "toom-cook", operand) in NOTHING_FAST:
        return
    problem = LAYERS[name]
    operands, cotangent = problem.operands(1), problem.cotangent(1)
    run = compiled(problem, "float32", "toom-cook")
    rounded = [x.astype("float32") for x in operands]
    if operand is None:
        result, steps, factors = run(*rounded), run.plan, operands
    else:
        result = run.vjp(operand, cotangent.astype("float32"), *rounded)
        steps, factors = run.vjp_plan(operand), (cotangent, operands[1 - operand])
    error = tolerance(steps, (factors[0], factors[1]), "toom-cook")
    assert_within(result, expected(name, operand), error, "float32")


@pytest.mark.parametrize(
    ("data", "columns", "deep"),
    [
        # The kernel stays in cache; it does not, and tiles do; neither does.
        ((1, 96, 40), 64, False),
        ((2, 64, 512), 512, True),
        ((4, 100, 256), 256, True),
        ((256, 256, 64), 2048, False),
    ],
)
def test_a_kernel_passes_through_memory_only_if_it_must(
    data: Shape, columns: int, deep: bool
) -> None:
    """Whether tiles or the transformed kernel are read again depends on what stays in cache."""
    problem = resolve(parse("b (i+k) c, k c o -> b i o"), [data, (5, data[2], columns)])
    strides = contiguous(problem, 4)
    found = Layer.of(
        problem, windows_of(problem), (6,), (strides[0], strides[1], strides[2]), "float32"
    )
    assert found is not None
    for threads in (1, 2, 8):
        assert result_scheme.Deep(found, False, threads, RAW).pays is deep


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [1, 7, 8, 17, 24, 40, 64, 72, 88, 130])
def test_weight_gradients_of_any_width(
    columns: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns go into parts, and these into panels, of which the last ones may be narrower."""
    use("llvm", monkeypatch)
    problem = layer("b (i+k-1) c, k c o -> b i o", (2, 30, 5), (3, 5, columns))
    (x, w), cotangent = problem.operands(1), problem.cotangent(1)
    run = compiled(problem, dtype, "toom-cook")
    result = run.vjp(1, cotangent.astype(dtype), x.astype(dtype), w.astype(dtype))
    error = tolerance(run.vjp_plan(1), (cotangent, x), "toom-cook")
    exact = cc.Contraction("b (i+k-1) c, b i o -> k c o")(x, cotangent, k=3)
    assert_within(result, exact, error, dtype)


@pytest.mark.parametrize(("name", "algorithm", "operand"), sorted(NOTHING_FAST, key=str))
def test_where_there_is_one_tap_at_a_time_nothing_is_fast(
    name: str, algorithm: Algorithm, operand: int | None
) -> None:
    problem = EVERY[name]
    if operand is None:
        with pytest.raises(cc.AlgorithmError, match="has nothing to work on"):
            compiled(problem, "float32", algorithm)
        return
    gradient_of = cc.Contraction(problem.spec).grad(operand)
    operands = problem.operands(1, dtype="float32")
    with pytest.raises(cc.AlgorithmError, match="has nothing to work on"):
        gradient_of(problem.cotangent(1, dtype="float32"), *operands, algorithm=algorithm,
                    **problem.extents)  # fmt: skip


@pytest.mark.parametrize("algorithm", ["auto", "direct", "measure"])
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
@pytest.mark.parametrize("name", ["2-D", "stride 2", "transposed, stride 2", "weight gradient"])
def test_integers_are_exact_and_wrap_around(name: str, dtype: str, algorithm: Algorithm) -> None:
    problem = LAYERS[name]
    operands = [x.astype(dtype) for x in problem.operands(1)]
    result = cc.contract(problem.spec, *operands, algorithm=algorithm, **problem.extents)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, expected(name, None).astype(dtype))


@pytest.mark.parametrize("algorithm", [*FAST, "auto", "measure"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", ["2-D", "stride 2", "transposed, stride 2", "weight gradient"])
def test_complex_numbers(name: str, dtype: str, algorithm: Algorithm) -> None:
    problem = LAYERS[name]
    operands = [
        (x + 1j * y).astype(dtype)
        for x, y in zip(problem.operands(1), problem.operands(2), strict=True)
    ]
    result = cc.contract(problem.spec, *operands, algorithm=algorithm, **problem.extents)
    exact = [x.astype("complex128") for x in operands]
    wanted = evaluate(problem.spec, exact, problem.extents, problem.output_shape)
    assert_within(result, wanted, 1e-3 if dtype == "complex64" else 1e-11, dtype)


@pytest.mark.parametrize("algorithm", [*FAST, "auto", "measure"])
def test_a_mean_is_divided_afterwards(algorithm: Algorithm, engine: str) -> None:
    problem = LAYERS["2-D"]
    operands = problem.operands(1)
    result = cc.contract(
        problem.spec, *(x.astype("float64") for x in operands), reduce="mean", algorithm=algorithm
    )
    wanted = evaluate(problem.spec, operands, problem.extents, problem.output_shape, "mean")
    assert_within(result, wanted, 1e-12, "float64")


# --- layouts ---------------------------------------------------------------------------------


def everywhere(part: slice, array: Array) -> Any:
    """The same slice on every axis; the dots keep a scalar an array."""
    return (..., *[part] * array.ndim)


def backwards(array: Array) -> Array:
    turned = everywhere(slice(None, None, -1), array)
    return np.asarray(np.ascontiguousarray(array[turned])[turned])


def backwards_along_the_last(array: Array) -> Array:
    return np.ascontiguousarray(array[..., ::-1])[..., ::-1]


def with_gaps(array: Array) -> Array:
    wide = np.full([2 * size for size in array.shape], np.nan, array.dtype)
    view: Array = wide[everywhere(slice(None, None, 2), array)]
    view[...] = array
    return view


def frozen(array: Array) -> Array:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def unaligned(array: Array) -> Array:
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.flags.aligned
    return view


def in_a_record(array: Array) -> Array:
    """Strides that are no multiple of the size of a number."""
    record = np.zeros(array.shape, [("before", "i1"), ("value", array.dtype)])
    record["value"] = array
    return record["value"]


def big_endian(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder(">"))


LAYOUTS: Mapping[str, Callable[[Array], Array]] = {
    "plain": np.array,
    "fortran": np.asfortranarray,
    "backwards": backwards,
    "backwards along the last": backwards_along_the_last,
    "with gaps": with_gaps,
    "frozen": frozen,
    "unaligned": unaligned,
    "in a record": in_a_record,
    "big-endian": big_endian,
}

# --- random contractions ---------------------------------------------------------------------


@given(
    problem=st.one_of(problems(), windows(), problems(empty=True)),
    seed=seeds(),
    dtype=st.sampled_from(DTYPES),
)
def test_direct_sums_are_exact(problem: Problem, seed: int, dtype: str) -> None:
    operands = problem.operands(seed)
    result = cc.contract(
        problem.spec, *(x.astype(dtype) for x in operands), algorithm="direct",
        output_shape=problem.output_shape, **problem.extents,
    )  # fmt: skip
    wanted = evaluate(problem.spec, operands, problem.extents, problem.output_shape)
    assert_within(result, wanted, 0.0, dtype)


@given(
    problem=st.one_of(problems(), windows()),
    seed=seeds(),
    dtype=st.sampled_from(DTYPES),
    n=st.integers(0, 2),
)
def test_direct_gradients_are_exact(problem: Problem, seed: int, dtype: str, n: int) -> None:
    operands, cotangent = problem.operands(seed), problem.cotangent(seed)
    n %= len(operands)
    result = cc.Contraction(problem.spec).grad(n)(
        cotangent.astype(dtype), *(x.astype(dtype) for x in operands), algorithm="direct",
        **problem.extents,
    )  # fmt: skip
    wanted = gradient(problem.spec, n, cotangent, operands, problem.extents, problem.output_shape)
    assert_within(result, wanted, 0.0, dtype)


@st.composite
def tiles(draw: Callable[[Any], Any]) -> Problem:
    """A layer of four results and three taps, its axes in any order: transforms stay the same."""
    step, offset, size = draw(st.sampled_from("+-")), draw(st.integers(-3, 2)), draw(SIDES)
    small, wide = draw(st.permutations(["c", "o"]))
    extents = {"b": draw(BATCH), "g": draw(BATCH), small: draw(BATCH), wide: draw(WIDE)}
    axis = f"(i{step}k{offset:+d})" if offset else f"(i{step}k)"
    data, taps, result = (
        [axis if name == "y" else name for name in term.split()]
        for term in draw(st.sampled_from(KINDS))
    )
    terms = [draw(st.permutations(term)) for term in (data, taps, result)]
    extents |= {"i": 4, "k": 3, axis: size}
    shapes = [tuple(extents[name] for name in term) for term in terms]
    used = {n: extents[n] for term in terms for n in term if n != axis} | {"i": 4, "k": 3}
    spec = f"{' '.join(terms[0])}, {' '.join(terms[1])} -> {' '.join(terms[2])}"
    return Problem(spec, (shapes[0], shapes[1]), used, shapes[2])


SIDES, BATCH, WIDE = st.integers(2, 8), st.integers(1, 2), st.sampled_from([1, 3, 17])
KINDS = (
    ("b y c", "k c o", "b i o"),
    ("b y c", "k c", "b i c"),
    ("b y g c", "k g c o", "b i g o"),
    ("b y c", "k c", "b i"),
    ("b y c", "b i o", "k c o"),
    ("b i c", "k c o", "b y o"),
)


@given(problem=tiles(), seed=seeds(), layout=st.sampled_from(sorted(LAYOUTS)))
def test_compiled_tiles(problem: Problem, seed: int, layout: str) -> None:
    if not native.available():
        pytest.skip("there is no compiler")
    operands, extents = problem.operands(seed), problem.extents
    laid_out = [LAYOUTS[layout](x.astype("float32")) for x in operands]
    result = fast_or_nothing(
        lambda: cc.contract(
            problem.spec,
            *laid_out,
            output_shape=problem.output_shape,
            algorithm="toom-cook",
            **extents,
        )
    )
    if result is None:
        return
    wanted = evaluate(problem.spec, operands, extents, problem.output_shape)
    assert_within(result, wanted, ERRORS["toom-cook"], "float32")


def fast_or_nothing(call: Callable[[], Array]) -> Array | None:
    """What a fast algorithm makes of it, or that there is nothing to work on."""
    try:
        return call()
    except cc.AlgorithmError:
        return None


@pytest.mark.parametrize("algorithm", FAST)
@given(
    problem=windows(layers=["conv", "depthwise", "kernel", "transposed"]),
    seed=seeds(),
    n=st.sampled_from([None, 0, 1]),
)
def test_fast_layers_by_numpy(
    algorithm: Algorithm, problem: Problem, seed: int, n: int | None
) -> None:
    operands, cotangent = problem.operands(seed), problem.cotangent(seed)
    shape, extents = problem.output_shape, problem.extents
    rounded = [x.astype("float64") for x in (cotangent, *operands)]
    contraction = cc.Contraction(problem.spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTRACTCONV_KERNELS", "numpy")
        if n is None:
            wanted = evaluate(problem.spec, operands, extents, shape)
            result = fast_or_nothing(
                lambda: contraction(
                    *rounded[1:], output_shape=shape, algorithm=algorithm, **extents
                )
            )
        else:
            wanted = gradient(problem.spec, n, cotangent, operands, extents, shape)
            result = fast_or_nothing(
                lambda: contraction.grad(n)(*rounded, algorithm=algorithm, **extents)
            )
    if result is not None:
        # Sums of fewer than 2^8 products of numbers up to 4, amplified by less than 2^10.
        assert_within(result, wanted, 2**-53 * 2**8 * 4**2 * 2**10, "float64")


# --- layouts of hand-made layers --------------------------------------------------------------


OF_LAYOUTS = ("2-D", "channels first", "wide", "depthwise", "transposed, stride 2",
              "weight gradient", "stride 2")  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", OF_LAYOUTS)
def test_layouts_do_not_matter(name: str, algorithm: Algorithm, layout: str, engine: str) -> None:
    problem, contraction = LAYERS[name], cc.Contraction(LAYERS[name].spec)
    arrays = [problem.cotangent(1), *problem.operands(1)]
    given_ = [LAYOUTS[layout](x.astype("float32")) for x in arrays]
    kept = [x.copy() for x in given_]
    for operand in (None, 0, 1):
        call = contraction if operand is None else contraction.grad(operand)
        factors = given_[1:] if operand is None else given_
        result = call(*factors, algorithm=algorithm, **problem.extents)
        assert_within(result, expected(name, operand), ERRORS[algorithm], "float32")
        assert result.flags.c_contiguous
        assert result.flags.writeable
        assert not any(np.may_share_memory(result, x) for x in given_)
    for before, after in zip(kept, given_, strict=True):
        np.testing.assert_array_equal(after, before, err_msg="an operand was written to")


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_operands_that_repeat_without_a_stride(
    algorithm: Algorithm, axis: int, engine: str
) -> None:
    problem = LAYERS["1-D"]
    shapes = [tuple(1 if n == axis else size for n, size in enumerate(s)) for s in problem.shapes]
    x, w = (
        np.broadcast_to(np.arange(1.0, prod(s) + 1).reshape(s) % 5 - 2, full)
        for s, full in zip(shapes, problem.shapes, strict=True)
    )
    assert x.strides[axis] == w.strides[axis] == 0
    result = cc.contract(problem.spec, x, w, algorithm=algorithm)
    wanted = evaluate(problem.spec, [x.copy(), w.copy()], problem.extents, problem.output_shape)
    assert_within(result, wanted, 0.0 if algorithm == "direct" else 1e-12, "float64")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_operands_that_overlap_themselves(algorithm: Algorithm, engine: str) -> None:
    line = np.arange(20.0) % 7 - 3
    x = as_strided(line, (2, 9, 3), (8, 8, 16))
    w = as_strided(line[3:], (3, 3, 4), (8, 8, 8))
    problem = LAYERS["1-D"]
    result = cc.contract(problem.spec, x, w, algorithm=algorithm)
    wanted = evaluate(problem.spec, [x.copy(), w.copy()], problem.extents, problem.output_shape)
    assert_within(result, wanted, 0.0 if algorithm == "direct" else 1e-12, "float64")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_array_in_both_places(algorithm: Algorithm, engine: str) -> None:
    x = np.arange(1.0, 26.0).reshape(5, 5) % 7
    result = cc.contract("(i+k) c, k c -> i", x, x[:2], algorithm=algorithm)
    wanted = evaluate("(i+k) c, k c -> i", [x, x[:2]], {"i": 4, "k": 2, "c": 5}, (4,))
    assert_within(result, wanted, 0.0 if algorithm == "direct" else 1e-12, "float64")


# --- memory that holds anything --------------------------------------------------------------

# Numbers that are none, and are signalled by whoever computes with them.
ANYTHING = {"f4": 0x7FA00000, "f8": 0x7FF4000000000000}


def with_anything(array: Array) -> Array:
    """Fill an array of floats, or of bytes that may become floats."""
    name = array.dtype.str[1:] if array.dtype.kind == "f" else "f4"
    if array.dtype.kind in "fu" and array.flags.c_contiguous:
        whole = array.nbytes // int(name[1]) * int(name[1])
        flat = array.reshape(-1).view(np.uint8)[:whole]
        flat.view(f"u{name[1]}")[...] = ANYTHING.get(name, 0)
    return array


@pytest.fixture
def _anything(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What nobody has written to yet holds the worst."""
    empty, empty_like = np.empty, np.empty_like
    monkeypatch.setattr(np, "empty", lambda *a, **k: with_anything(empty(*a, **k)))
    monkeypatch.setattr(np, "empty_like", lambda *a, **k: with_anything(empty_like(*a, **k)))
    monkeypatch.setattr(memory, "_free", {})
    cc.set_num_threads(2)
    yield
    cc.set_num_threads(None)


@pytest.mark.usefixtures("_anything")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", LAYERS)
def test_nobody_reads_what_was_never_written(name: str, algorithm: Algorithm, engine: str) -> None:
    problem, contraction = LAYERS[name], cc.Contraction(LAYERS[name].spec)
    given_ = [x.astype("float32") for x in (problem.cotangent(1), *problem.operands(1))]
    for operand in (None, 0, 1):
        if (name, algorithm, operand) in NOTHING_FAST:
            continue
        call = contraction if operand is None else contraction.grad(operand)
        factors = given_[1:] if operand is None else given_
        result = call(*factors, algorithm=algorithm, **problem.extents)
        assert_within(result, expected(name, operand), ERRORS[algorithm], "float32")


# --- nothing, and too little -----------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["auto", "direct", "measure"])
@pytest.mark.parametrize("empty", ["b", "c", "o"])
def test_empty_axes(empty: str, algorithm: Algorithm, engine: str) -> None:
    sizes = {"b": 2, "c": 3, "o": 4} | {empty: 0}
    x = np.ones((sizes["b"], 9, sizes["c"]), np.float32)
    w = np.ones((3, sizes["c"], sizes["o"]), np.float32)
    result = cc.contract("b (i+k) c, k c o -> b i o", x, w, algorithm=algorithm)
    assert_within(result, np.zeros((sizes["b"], 7, sizes["o"])), 0.0, "float32")


@pytest.mark.parametrize("algorithm", FAST)
def test_an_empty_batch_by_a_fast_algorithm(algorithm: Algorithm) -> None:
    x, w = np.ones((0, 9, 3), np.float32), np.ones((3, 3, 4), np.float32)
    assert cc.contract("b (i+k) c, k c o -> b i o", x, w, algorithm=algorithm).shape == (0, 7, 4)


NOTHING = (
    "algorithm {!r} has nothing to work on: it needs a sum of products over a window such as "
    "(i+k), of more than one point, and there is none in '{}'"
)


@pytest.mark.parametrize("algorithm", FAST)
@pytest.mark.parametrize(
    ("spec", "shapes"),
    [
        ("i k, k j -> i j", [(3, 4), (4, 5)]),
        ("(i+k) c, k c -> i", [(9, 2), (1, 2)]),
        ("(i+k), i k -> i", [(9,), (7, 3)]),
    ],
)
def test_without_a_window_nothing_is_fast(
    spec: str, shapes: list[Shape], algorithm: Algorithm
) -> None:
    with pytest.raises(cc.AlgorithmError) as error:
        cc.contract(spec, *(np.ones(shape) for shape in shapes), algorithm=algorithm)
    assert str(error.value) == NOTHING.format(algorithm, spec)


@pytest.mark.parametrize("algorithm", FAST)
@pytest.mark.parametrize("reduce", ["max", "min", "prod", "logsumexp"])
def test_other_reductions_are_never_fast(reduce: Reduction, algorithm: Algorithm) -> None:
    with pytest.raises(cc.AlgorithmError, match="it needs a sum of products over a window"):
        cc.contract("(i+k), k -> i", np.ones(9), np.ones(3), reduce=reduce, algorithm=algorithm)


def of_integers(ask: str, algorithm: Algorithm) -> Any:
    contraction, x, w = cc.Contraction("(i+k), k -> i"), np.ones(9, "int32"), np.ones(3, "int32")
    asked: dict[str, Callable[[], Any]] = {
        "contract": lambda: cc.contract("(i+k), k -> i", x, w, algorithm=algorithm),
        "call": lambda: contraction(x, w, algorithm=algorithm),
        "plan": lambda: contraction.plan((9,), (3,), dtype="int32", algorithm=algorithm),
        "compile": lambda: contraction.compile((9,), (3,), dtype="int32", algorithm=algorithm),
        "gradient": lambda: contraction.grad(1)(np.ones(7, "int32"), x, w, algorithm=algorithm),
    }
    return asked[ask]()


@pytest.mark.parametrize("ask", ["contract", "call", "plan", "compile", "gradient"])
@pytest.mark.parametrize("algorithm", FAST)
def test_integers_are_not_rounded(ask: str, algorithm: Algorithm) -> None:
    with pytest.raises(cc.AlgorithmError) as error:
        of_integers(ask, algorithm)
    assert str(error.value) == (
        f"algorithm {algorithm!r} rounds, and int32 is exact: choose 'direct', or convert the "
        "operands"
    )


@pytest.mark.parametrize("ask", ["contract", "call", "plan", "compile", "gradient"])
@pytest.mark.parametrize("algorithm", ["", "winograd", "FFT", None, 3])
def test_unknown_algorithms(ask: str, algorithm: Any) -> None:
    with pytest.raises(cc.AlgorithmError) as error:
        of_integers(ask, algorithm)
    assert str(error.value) == (
        f"unknown algorithm {algorithm!r}: choose one of auto, direct, toom-cook, fft, measure"
    )


@pytest.mark.parametrize("algorithm", [*FAST, "measure"])
def test_a_memory_limit_goes_with_direct_sums(algorithm: Algorithm) -> None:
    with pytest.raises(cc.AlgorithmError, match=r"^memory_limit goes with 'auto' or 'direct', not"):
        cc.contract("(i+k), k -> i", np.ones(9), np.ones(3), algorithm=algorithm, memory_limit=999)


@pytest.mark.parametrize("dtype", ["float16", "longdouble"])
def test_other_precisions_are_refused_for_a_reason_that_holds(dtype: str) -> None:
    with pytest.raises(cc.AlgorithmError) as error:
        cc.contract("(i+k), k -> i", np.ones(9, dtype), np.ones(3, dtype), algorithm="fft")
    assert "is exact" not in str(error.value)


def test_long_windows_are_refused_for_a_reason_that_holds() -> None:
    with pytest.raises(cc.AlgorithmError) as error:
        cc.contract("(i+k), k -> i", np.ones(40), np.ones(20), algorithm="toom-cook")
    assert "there is none in '(i+k), k -> i'" not in str(error.value)


# --- what "auto" and "measure" choose --------------------------------------------------------

LARGE = {
    "stride 2": ("(2*i+k) (2*j+l) c, k l c o -> i j o", (41, 43, 16), (5, 5, 16, 24)),
    "depthwise, stride 2": ("(2*i+k-1) (2*j+l-1) c, k l c -> i j c", (60, 61, 40), (5, 5, 40)),
    "same": ("(i+k-1) (j+l-1) c, k l c o -> i j o", (21, 22, 16), (3, 3, 16, 40)),
    "one signal, stride 2": ("(2*i+k), k -> i", (9001,), (801,)),
}  # fmt: skip


@pytest.mark.parametrize("algorithm", ["auto", "measure", "direct"])
@pytest.mark.parametrize("name", LARGE)
def test_large_layers_agree_with_integers(name: str, algorithm: Algorithm, engine: str) -> None:
    spec, *shapes = LARGE[name]
    operands = Problem(spec, tuple(shapes), {}, ()).operands(3)
    wanted = cc.contract(spec, *operands, algorithm="direct")
    result = cc.contract(spec, *(x.astype("float32") for x in operands), algorithm=algorithm)
    # What is promised of "auto"; "measure" may take what rounds more.
    error = {"auto": 1e-4, "measure": 1e-3, "direct": 0.0}[algorithm] * np.abs(wanted).max()
    assert_within(result, wanted, error, "float32")


def test_the_gradient_of_an_unfolded_axis_beside_windows() -> None:
    spec = "(m+n-1) (i+k) (j+l) c, k l c o -> m n i j o"
    extents: dict[str, Any] = {"m": 4, "n": 3}
    x, w = (np.ones(shape, np.float32) for shape in ((4, 34, 34, 32), (3, 3, 32, 32)))
    g = np.ones((4, 3, 32, 32, 32), np.float32)
    result = cc.Contraction(spec).grad(0)(g, x, w, **extents)
    wanted = cc.Contraction(spec).grad(0)(g, x, w, algorithm="direct", **extents)
    assert_within(result, wanted, 1e-4 * float(np.abs(wanted).max()), "float32")
