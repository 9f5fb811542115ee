"""Source code takes what a call takes: extents, a shape of the result, symbols, any numbers.

The right values come from the oracle, from the library, and from other libraries' own layers.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracle import evaluate
from oracle import gradient as true_gradient
from strategies import Problem, problems, seeds, windows

import contractconv as cc
from contractconv.notation.spec import REDUCTIONS

pytestmark = pytest.mark.usefixtures("double_precision")

Array = NDArray[Any]
Function = Callable[..., Array]

LIBRARIES = ("numpy", "torch", "jax")


def arrays_of(library: str) -> Callable[[Array], Any]:
    """How a library makes its arrays of numpy's, or a skipped test."""
    if library == "numpy":
        return np.asarray
    pytest.importorskip(library)
    library = {"jax": "jax.numpy"}.get(library, library)
    convert: Callable[[Array], Any] = importlib.import_module(library).asarray
    return convert


def function(source: str, library: str, name: str = "forward") -> Function:
    """The function that a source defines, from numpy's arrays to numpy's."""
    convert = arrays_of(library)
    namespace: dict[str, Any] = {}
    exec(compile(source, "<source>", "exec"), namespace)
    found = namespace[name]

    def called(*operands: Array, **given: Any) -> Array:
        return np.asarray(found(*map(convert, operands), **given))

    called.__signature__ = inspect.signature(found)  # type: ignore[attr-defined]
    return called


def required(found: Function) -> list[str]:
    """What a function must be given by keyword."""
    parameters = inspect.signature(found).parameters.values()
    return [p.name for p in parameters if p.kind == p.KEYWORD_ONLY and p.default is p.empty]


def close(result: Array, expected: Array) -> bool:
    expected = np.asarray(expected, np.float64)
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
    return result.shape == expected.shape and np.allclose(
        result.astype(np.float64), expected, rtol=0, atol=1e-9 * scale, equal_nan=True
    )


# --- any extents, any numbers ------------------------------------------------------------------

NUMBERS = ("real", "few", "lowest", "uint8", "int64", "nan", "bool")


def filled(problem: Problem, seed: int, numbers: str, reduce: Any) -> list[Array]:
    """Operands: real ones, or a few values of which many are what stands outside."""
    real = [np.asarray(a) for a in problem.operands(seed, dtype="float64")]
    few = [np.asarray(a) for a in problem.operands(seed, bound=1)]
    if numbers == "few" or (reduce not in ("max", "min") and numbers != "real"):
        return [array.astype(np.float64) for array in few]
    if numbers == "bool":
        return [array > 0 for array in few]
    if numbers == "uint8":
        most = 0 if reduce == "max" else 255
        return [np.where(array > 0, 7, most).astype(np.uint8) for array in few]
    if numbers in ("lowest", "int64", "nan") and len(real) == 1:
        kind = np.int64 if numbers == "int64" else np.float64
        bound: Any = np.iinfo(np.int64).min if numbers == "int64" else -np.inf
        beyond = bound if reduce == "max" else ~bound if numbers == "int64" else np.inf
        lowest = np.nan if numbers == "nan" else beyond
        return [np.where(few[0] > 0, few[0].astype(kind), np.array(lowest, kind))]
    return real


def check(problem: Problem, reduce: Any, seed: int, numbers: str, library: str) -> None:
    """Compare the sources of a contraction and its gradients, given all extents and sizes."""
    contraction = cc.Contraction(problem.spec, reduce)
    operands = filled(problem, seed, numbers, reduce)
    given: dict[str, Any] = {**problem.extents, "output_shape": problem.output_shape}
    result = function(contraction.code(library, **given), library)(*operands)
    with np.errstate(all="ignore"):
        expected = contraction(*operands, **given)
        assert close(result, expected)
    if numbers in ("real", "few"):
        extents, shape = problem.extents, problem.output_shape
        assert close(result, evaluate(problem.spec, operands, extents, shape, reduce))
    mixed = len(operands) > 1 and operands[0].dtype.kind in "iu"
    if numbers == "bool" or (library == "torch" and mixed):
        return  # truth values have no gradient; torch multiplies numbers of one kind only
    cotangent = np.asarray(problem.cotangent(seed, dtype="float64"))
    for n in range(len(operands)):
        source = contraction.grad(n).code(library, **given)
        derived = function(source, library, "gradient")(cotangent, *operands)
        with np.errstate(all="ignore"):
            assert close(derived, contraction.grad(n)(cotangent, *operands, **problem.extents))


everything = st.one_of(problems(), windows(), problems(empty=True))
reductions = st.sampled_from(REDUCTIONS)
numbers_of_a_kind = st.sampled_from(NUMBERS)


@settings(max_examples=60, deadline=None)
@given(problem=everything, reduce=reductions, seed=seeds(), numbers=numbers_of_a_kind)
def test_any_extents_and_numbers_in_numpy(
    problem: Problem, reduce: Any, seed: int, numbers: str
) -> None:
    check(problem, reduce, seed, numbers, "numpy")


@settings(max_examples=40, deadline=None)
@given(problem=everything, reduce=reductions, seed=seeds(), numbers=numbers_of_a_kind)
def test_any_extents_and_numbers_in_torch(
    problem: Problem, reduce: Any, seed: int, numbers: str
) -> None:
    check(problem, reduce, seed, numbers, "torch")


@settings(max_examples=2, deadline=None)
@given(problem=everything, reduce=reductions, seed=seeds(), numbers=numbers_of_a_kind)
def test_any_extents_and_numbers_in_jax(
    problem: Problem, reduce: Any, seed: int, numbers: str
) -> None:
    check(problem, reduce, seed, numbers, "jax")


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("spec", ["(2*i+k), k -> i", "(2*i-k), k -> i", "(i-3*k), k -> i"])
def test_nothing_is_read_beyond_an_axis(spec: str, library: str) -> None:
    x, w = np.arange(1.0, 7.0), np.array([1.0, 10.0])
    source = cc.Contraction(spec).code(library, i=7)
    expected = evaluate(spec, [x, w], {"i": 7, "k": 2}, (7,))
    assert close(function(source, library)(x, w), expected)


LOWEST = [
    ("max", "float64", -np.inf), ("min", "float64", np.inf), ("max", "uint8", 0),
    ("min", "uint8", 255), ("max", "int64", np.iinfo("int64").min),
    ("min", "int64", np.iinfo("int64").max),
]  # fmt: skip


# jax compiles every call for a second.
WINDOWS = [
    ("(2*i+k-1) -> i", "numpy"), ("(2*i+k-1) -> i", "torch"), ("(2*i+k-1) -> i", "jax"),
    ("(i-k) -> i", "numpy"), ("(i-k) -> i", "torch"), ("((i+k)/2) -> i", "numpy"),
    ("((i+k)/2) -> i", "torch"), ("k -> (2*k)", "numpy"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "library"), WINDOWS)
@pytest.mark.parametrize(("reduce", "dtype", "lowest"), LOWEST)
def test_an_extremum_is_a_point_inside(
    spec: str, reduce: Any, dtype: str, lowest: Any, library: str
) -> None:
    x = np.full(6, lowest, dtype)
    given: dict[str, Any] = {"i": 3, "k": 3} if "i" in spec else {}
    contraction = cc.Contraction(spec, reduce)
    extents = contraction.extents(x.shape, **given)
    cotangent = np.arange(1.0, 1 + contraction.output_shape(x.shape, **given)[0])
    gradient = function(contraction.grad(0).code(library, **given), library, "gradient")
    zeros = np.zeros(6)  # no element differs from another: the first point inside is chosen
    expected = true_gradient(spec, 0, cotangent, [zeros], extents, cotangent.shape, reduce)
    assert close(gradient(cotangent, x), expected)


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_weights_of_a_softmax_sum_to_one(library: str) -> None:
    x = np.array([1e6, 1e6, 1e6 + 0.5, 1e6], np.float32)
    gradient = function(cc.Contraction("i ->", "logsumexp").grad(0).code(library), library,
                        "gradient")  # fmt: skip
    weights = gradient(np.ones((), np.float32), x)
    exact = np.exp(x.astype(np.float64) - 1e6)
    np.testing.assert_allclose(weights, exact / exact.sum(), rtol=1e-6)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_reduced_axes_without_an_element(reduce: Any, library: str) -> None:
    contraction = cc.Contraction("b i k -> b i", reduce)
    x = np.ones((2, 3, 0))
    with np.errstate(all="ignore"):
        expected = contraction(x)
    assert close(function(contraction.code(library), library)(x), expected)
    gradient = function(contraction.grad(0).code(library), library, "gradient")
    assert gradient(np.ones((2, 3)), x).shape == x.shape


# --- sizes that do not agree ---------------------------------------------------------------------

WRONG: list[tuple[str, dict[str, Any], Sequence[tuple[int, ...]], tuple[int, ...], str]] = [
    ("i j, j k -> i k", {}, [(2, 3), (4, 5)], (2, 5), "j is 3, but also 4"),
    ("i j, j k -> i k", {}, [(2, 3), (1, 5)], (2, 5), "j is 3, but also 1"),
    ("i j, j k -> i k", {}, [(2, 1), (3, 5)], (2, 5), "j is 1, but also 3"),
    ("b c, b c -> b", {}, [(2, 3), (1, 3)], (2,), "b is 2, but also 1"),
    ("i i -> i", {}, [(3, 1)], (3,), "i is 3, but also 1"),
    ("b (n d), n -> b d", {}, [(2, 7), (3,)], (2, 2), "n[*]d is 6, but also 7"),
    ("b (n d) -> b n d", {"n": 2, "d": 4}, [(2, 6)], (2, 2, 4), "n[*]d is 8, but also 6"),
    ("i, i -> i", {"i": 4}, [(4,), (3,)], (4,), "i is 4, but also 3"),
    ("(i+k), k -> i", {}, [(3,), (5,)], (1,), "no place on an axis of 3"),
    ("(2*i-k+9), k -> i", {}, [(3,), (2,)], (1,), "no place on an axis of 3"),
    ("(i+k), (i+l), k, l -> i", {}, [(5,), (6,), (2,), (2,)], (4,), "i is 4, but also 5"),
    ("i k, k -> i", {}, [(3, 2, 1), (2,)], (3,), "does not fit the shape"),
]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("spec", "given", "shapes", "result", "message"), WRONG)
def test_sizes_that_disagree_are_refused(
    spec: str,
    given: dict[str, Any],
    shapes: Sequence[tuple[int, ...]],
    result: tuple[int, ...],
    message: str,
    library: str,
) -> None:
    contraction = cc.Contraction(spec)
    operands = [np.ones(shape) for shape in shapes]
    with pytest.raises(ValueError, match=message):
        function(contraction.code(library, **given), library)(*operands)
    gradient = function(contraction.grad(0).code(library, **given), library, "gradient")
    with pytest.raises(ValueError, match=message):
        gradient(np.ones(result), *operands)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("spec", "shapes", "cotangent", "message"),
    [
        ("b (i+k) c, k c o -> b i o", [(1, 5, 1), (3, 1, 1)], (1, 5, 1), "i is 3, but also 5"),
        ("b (i+k) c, k c o -> b i o", [(2, 5, 1), (3, 1, 1)], (1, 3, 1), "b is 2, but also 1"),
        ("b h c -> b (h c)", [(2, 3, 2)], (2, 5), "h[*]c is 6, but also 5"),
        ("i j -> i", [(2, 3)], (3,), "i is 2, but also 3"),
        ("(2*i+k), (2-k) -> i", [(8,), (3,)], (4,), "i is 3, but also 4"),
    ],
)
def test_a_wrong_cotangent_is_refused(
    spec: str,
    shapes: Sequence[tuple[int, ...]],
    cotangent: tuple[int, ...],
    message: str,
    library: str,
) -> None:
    operands = [np.ones(shape) for shape in shapes]
    for n in range(len(shapes)):
        gradient = function(cc.Contraction(spec).grad(n).code(library), library, "gradient")
        with pytest.raises(ValueError, match=message):
            gradient(np.ones(cotangent), *operands)


def test_a_gradient_needs_the_extents_that_the_call_needs() -> None:
    pool = cc.Contraction("b (2*i+k) c -> b i c", "max")
    gradient = function(pool.grad(0).code("numpy"), "numpy", "gradient")
    assert required(gradient) == ["k"]
    with pytest.raises(TypeError, match="'k'"):
        gradient(np.ones((1, 2, 1)), np.ones((1, 5, 1)))


# --- numbers in the place of symbols --------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("s", "t", "extent"), [(1, 1, 6), (1, 2, 4), (2, 1, 6), (2, 2, 4)])
def test_an_index_that_stands_alone_only_in_a_run(
    s: int, t: int, extent: int, library: str
) -> None:
    # Alone, an index takes its axis whole; else it goes as far as the windows agree on.
    contraction = cc.Contraction("(s*i+k), (t*i), k -> i", parameters="s t")
    forward = function(contraction.code(library), library)
    sizes = {6: (6 if t == 1 else 7), 4: 7}
    x, v = np.arange(1.0, 1 + s * (extent - 1) + 2), np.arange(1.0, 1 + sizes[extent])
    w = np.array([1.0, 10.0])
    spec = f"({s}*i+k), ({t}*i), k -> i"
    expected = evaluate(spec, [x, v, w], {"i": extent, "k": 2}, (extent,))
    assert close(forward(x, v, w, s=s, t=t), expected)
    if t == 1:  # a window that fits differently does not count
        short = evaluate(spec, [x[:-1], v, w], {"i": extent, "k": 2}, (extent,))
        assert close(forward(x[:-1], v, w, s=s, t=t), short)


AXES = (
    "(s*i+k)", "(t*i)", "k", "i", "(s*i+t*k-p)", "(k-p)", "(s*i-k)", "(i+k-1)", "((t*i)/s)", "j",
)  # fmt: skip
RESULTS = ("i", "k", "(s*i+k-p)", "(i-k)", "j", "((i+k-p)/t)")


@st.composite
def symbolic(draw: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[Any, ...]:
    """A contraction with symbols, sizes that fit its plain axes, and numbers of any sign."""
    term = st.lists(st.sampled_from(AXES), min_size=1, max_size=2)
    inputs = draw(st.lists(term, min_size=1, max_size=3))
    output = draw(st.lists(st.sampled_from(RESULTS), max_size=2))
    extents = {name: draw(st.integers(0, 4)) for name in "ijk"}
    size = st.integers(0, 8)
    shapes = [tuple(extents[a] if a in extents else draw(size) for a in axes) for axes in inputs]
    numbers = st.sampled_from([1, 2, 3, 0, -1, -2])
    spec = f"{', '.join(map(' '.join, inputs))} -> {' '.join(output)}"
    return spec, shapes, extents, {name: draw(numbers) for name in "stp"}


@settings(max_examples=100, deadline=None)
@given(problem=symbolic(), reduce=st.sampled_from(["sum", "max"]))
def test_any_numbers_in_the_place_of_symbols(problem: tuple[Any, ...], reduce: Any) -> None:
    spec, shapes, extents, numbers = problem
    contraction = cc.Contraction(spec, reduce, "s t p")
    forward = function(contraction.code("numpy"), "numpy")
    given: dict[str, Any] = {name: (numbers | extents)[name] for name in required(forward)}
    operands = [np.arange(1.0, 1 + np.prod(shape)).reshape(shape) % 7 for shape in shapes]
    try:
        sizes: dict[str, Any] = contraction.extents(*shapes, **{**numbers, **given})
        expected = contraction(*operands, **numbers, **sizes)
    except ValueError:
        return  # whatever the library refuses may be refused, in other words
    try:
        result = forward(*operands, **given)
    except ValueError:
        assert 0 in numbers.values()  # a division by zero that the library avoids
        return
    assert close(result, expected)


# --- what layers are given ----------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
def test_as_long_as_the_operand(library: str) -> None:
    x, w = np.arange(8.0) ** 2, np.array([1.0, -2.0, 3.0, 5.0])
    forward = function(cc.Contraction("(i+k-1), k -> i").code(library, i=8), library)
    padded = np.pad(x, (1, 2))
    assert close(forward(x, w), np.correlate(padded, w, "valid"))


@pytest.mark.parametrize("reduce", ["max", "mean"])
def test_a_pooling_in_ceil_mode(reduce: Any) -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(1, 2, 7))
    contraction = cc.Contraction("b c (2*i+k) -> b c i", reduce)
    forward = function(contraction.code("torch", i=4, k=2), "torch")
    pools = {"max": torch.nn.functional.max_pool1d, "mean": torch.nn.functional.avg_pool1d}
    whole = pools[reduce](torch.asarray(x), 2, ceil_mode=True)
    expected = np.asarray(whole) * ([1, 1, 1, 0.5] if reduce == "mean" else 1)
    assert close(forward(x), expected)  # a mean counts points outside; torch does not at the end


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_transposed_convolution_with_output_padding(library: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 5)), rng.normal(size=(3, 4, 3))
    layer = cc.Contraction("b c i, c o k -> b o (2*i+k-1)")
    expected = torch.nn.functional.conv_transpose1d(
        torch.asarray(x), torch.asarray(w), stride=2, padding=1, output_padding=1
    )
    shape = tuple(expected.shape)
    forward = function(layer.code(library, output_shape=shape), library)
    assert close(forward(x, w), np.asarray(expected))
    cotangent = rng.normal(size=shape)
    for n in range(2 * (library != "jax")):
        source = layer.grad(n).code(library, output_shape=shape)
        derived = function(source, library, "gradient")(cotangent, x, w)
        assert close(derived, layer.grad(n)(cotangent, x, w))


def test_what_is_given_is_a_default() -> None:
    layer = cc.Contraction("(i+k-1), k -> i")
    forward = function(layer.code("numpy", i=8), "numpy")
    parameters = inspect.signature(forward).parameters
    assert parameters["i"].default == 8
    x, w = np.arange(8.0), np.ones(4)
    assert close(forward(x, w, i=5), layer(x, w, i=5))
    forward = function(cc.Contraction("i -> (2*i)").code("numpy", output_shape=(6,)), "numpy")
    assert close(forward(np.ones(3), output_shape=[4]), np.array([1.0, 0.0, 1.0, 0.0]))


def test_numbers_of_parameters_are_put_in() -> None:
    layer = cc.Contraction("(s*i+k-p), k -> i", parameters="s p")
    assert required(function(layer.code("numpy", s=2), "numpy")) == ["p"]
    x, w = np.arange(8.0), np.ones(3)
    forward = function(layer.code("numpy", s=2, p=1), "numpy")
    assert close(forward(x, w), layer(x, w, s=2, p=1))


def test_shapes_spell_an_ellipsis_out() -> None:
    layer = cc.Contraction("... (i+k), k -> ... i")
    shapes = [(2, 3, 8), (3,)]
    x, w = np.random.default_rng(0).normal(size=shapes[0]), np.ones(3)
    forward = function(layer.code("numpy", *shapes), "numpy")
    assert close(forward(x, w), layer(x, w))
    longer = np.random.default_rng(1).normal(size=(4, 1, 9))
    assert close(forward(longer, w), layer(longer, w))
    gradient = function(layer.grad(0).code("numpy", *shapes), "numpy", "gradient")
    cotangent = np.ones((2, 3, 6))
    assert close(gradient(cotangent, x, w), layer.grad(0)(cotangent, x, w))


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        ([], {"q": 3}, "no index or parameter called 'q'"),
        ([], {"i": -3}, "an extent is not negative"),
        ([], {"i": 2.5}, "not an integer"),
        ([], {"output_shape": (3, 3)}, "output_shape"),
        ([], {"output_shape": 3}, "is not a shape"),
        ([(3,), (5,)], {}, "window larger than its axis"),
        ([(3,)], {}, "2 terms but 1 operand"),
    ],
)
def test_what_no_call_takes_is_refused(
    arguments: Sequence[tuple[int, ...]], given: dict[str, Any], message: str
) -> None:
    layer = cc.Contraction("(i+k), k -> i")
    for written in (layer, layer.grad(1)):
        with pytest.raises(cc.ContractionError, match=message):
            written.code("numpy", *arguments, **given)
