"""Every reduction in every dtype: one rounding of what is exact, and the dtype that was promised.

Exact values come from the oracle, in double precision of the numbers as they were given.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from oracle import evaluate, gradient
from strategies import Array, Shape

import contractconv as cc

EPSILONS = {
    "float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52,
    "complex64": 2.0**-23, "complex128": 2.0**-52,
}  # fmt: skip
SMALLEST = {"float16": 2.0**-24}
HALVES = ("float16", "bfloat16")
INTEGERS = ("int8", "int64", "uint8", "bool")
REDUCTIONS = ("sum", "mean", "max", "min", "prod", "logsumexp")


class Call(NamedTuple):
    """A contraction and the sizes that it is called with."""

    spec: str
    shapes: tuple[Shape, ...]
    extents: dict[str, Any]
    result: Shape

    @property
    def free(self) -> dict[str, Any]:
        """What has to be given."""
        return {n: size for n, size in self.extents.items() if "(" in self.spec.split("->")[0]}


CALLS = {
    "matrix product": Call("i k, k j -> i j", ((2, 5), (5, 3)), {"i": 2, "k": 5, "j": 3}, (2, 3)),
    "window": Call("(2*i+k-1) c -> i c", ((7, 2),), {"i": 4, "k": 3, "c": 2}, (4, 2)),
    "depthwise": Call("(i+k) c, k c -> i c", ((6, 2), (3, 2)), {"i": 4, "k": 3, "c": 2}, (4, 2)),
    "scatter": Call("i k -> (i+k)", ((3, 4),), {"i": 3, "k": 4}, (6,)),
    "three": Call("i k, k, k j -> i j", ((2, 3), (3,), (3, 2)), {"i": 2, "k": 3, "j": 2}, (2, 2)),
    "turned": Call("i j -> j i", ((2, 3),), {"i": 2, "j": 3}, (3, 2)),
}


def dtype_of(name: str) -> np.dtype[Any]:
    if name == "bfloat16":
        name = pytest.importorskip("ml_dtypes").bfloat16
    return np.dtype(name)


def numbers(shape: Shape, dtype: str, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    if dtype in INTEGERS:
        return rng.integers(0, 2 if dtype == "bool" else 3, shape).astype(dtype)
    drawn: Any = rng.uniform(0.25, 2, shape) * rng.choice([-1, 1], shape)
    if dtype.startswith("complex"):
        drawn = drawn + 1j * rng.uniform(-1, 1, shape)
    return np.asarray(drawn.astype(dtype_of(dtype)))


def wide(array: Array) -> Array:
    """The same numbers, in Python's own precision."""
    if array.dtype.kind == "c":
        return array.astype(complex)
    return array.astype(np.int64 if array.dtype.kind in "iub" else float)


def assert_rounded_once(made: Array, exact: Any, dtype: str, scale: float) -> None:
    """Within half a unit of the last place, and some units of the accumulator's."""
    exact = np.asarray(exact)
    assert made.dtype == dtype_of(dtype)
    assert made.shape == exact.shape
    sums = EPSILONS["float32" if dtype in HALVES else dtype]
    own = EPSILONS[dtype] * np.abs(exact) / 2 + SMALLEST.get(dtype, 0.0)
    error = np.abs(wide(made) - exact)
    assert (error <= own + 40 * sums * scale).all(), (error.max(), scale)


def cases() -> list[Any]:
    found = []
    for name in CALLS:
        for reduce in REDUCTIONS:
            for dtype in EPSILONS:
                ordered = reduce in ("max", "min", "logsumexp")
                if not (ordered and dtype.startswith("complex")):
                    found.append(pytest.param(name, reduce, dtype, id=f"{name}-{reduce}-{dtype}"))
    return found


@pytest.mark.parametrize(("name", "reduce", "dtype"), cases())
def test_everything_is_rounded_once(name: str, reduce: str, dtype: str, engine: str) -> None:
    del engine
    call = CALLS[name]
    contraction = cc.Contraction(call.spec, reduce=reduce)
    given = [numbers(shape, dtype, n) for n, shape in enumerate(call.shapes)]
    exact = [wide(array) for array in given]
    cotangent = numbers(call.result, dtype, 9)
    scale = 40.0 if name != "scatter" or reduce != "prod" else 400.0
    run = contraction.compile(*call.shapes, dtype=dtype_of(dtype), **call.free)
    wanted = evaluate(call.spec, exact, call.extents, call.result, reduce)
    assert_rounded_once(contraction(*given, **call.free), wanted, dtype, scale)
    assert_rounded_once(run(*given), wanted, dtype, scale)
    for n in range(len(given)):
        slopes = [
            gradient(call.spec, n, unit, exact, call.extents, call.result, reduce)
            for unit in np.eye(cotangent.size).reshape(-1, *call.result)
        ]
        wanted = np.tensordot(wide(cotangent).ravel(), np.array(slopes), 1)
        made = contraction.grad(n)(cotangent, *given, **call.free)
        assert_rounded_once(made, wanted, dtype, scale)
        assert_rounded_once(run.vjp(n, cotangent, *given), wanted, dtype, scale)
        tangent = numbers(call.shapes[n], dtype, 5)
        change = np.tensordot(np.array(slopes), wide(tangent), tangent.ndim).reshape(call.result)
        made = contraction.jvp(n)(tangent, *given, **call.free)
        assert_rounded_once(made, change, dtype, scale)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("reduce", ["mean", "logsumexp"])
def test_means_of_integers_are_doubles(reduce: str, dtype: str, engine: str) -> None:
    del engine
    call = CALLS["window"]
    contraction = cc.Contraction(call.spec, reduce=reduce)
    x = numbers(call.shapes[0], dtype, 0)
    run = contraction.compile(*call.shapes, dtype=dtype, **call.free)
    wanted = evaluate(call.spec, [wide(x)], call.extents, call.result, reduce)
    assert_rounded_once(run(x), wanted, "float64", 1.0)
    # What comes out can be put in again.
    g = run(x)
    wanted = gradient(call.spec, 0, g, [wide(x)], call.extents, call.result, reduce)
    assert_rounded_once(run.vjp(0, g, x), wanted, "float64", 1.0)
    assert_rounded_once(contraction.grad(0)(g, x, **call.free), wanted, "float64", 1.0)


# --- many numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*HALVES, "float32"])
@pytest.mark.parametrize("shape", [(20_000, 2), (2, 20_000), (300, 300)])
@pytest.mark.parametrize("spec", ["i j -> j", "i j -> i", "i j ->"])
def test_a_mean_of_ones_is_one(spec: str, shape: Shape, dtype: str, engine: str) -> None:
    del engine
    kind = dtype_of(dtype)
    x = np.ones(shape, kind)
    contraction = cc.Contraction(spec, reduce="mean")
    made = contraction(x)
    assert made.dtype == kind
    assert (made == 1).all()
    count = x.size // made.size
    slope = contraction.grad(0)(np.ones(made.shape, kind), x)
    assert (slope == np.asarray(1 / count, np.float64).astype(kind)).all()


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(
    ("spec", "shapes"),
    [
        ("i k, k j -> i j", ((3, 5000), (5000, 4))),
        ("i, i ->", ((5000,), (5000,))),
        ("i c, i c -> c", ((5000, 3), (5000, 3))),
        ("i j -> j", ((5000, 3),)),
        ("i k, k l, l j -> i j", ((3, 300), (300, 200), (200, 4))),
    ],
)
def test_sums_of_halves_are_longer_than_halves(
    spec: str, shapes: tuple[Shape, ...], dtype: str, engine: str
) -> None:
    del engine
    kind = dtype_of(dtype)
    rng = np.random.default_rng(0)
    given = [(rng.random(shape) / 8).astype(kind) for shape in shapes]
    exact = np.einsum(spec.replace(" ", ""), *(x.astype(float) for x in given))
    made = cc.contract(spec, *given)
    assert_rounded_once(made, exact, dtype, float(exact.max()) / 40)


@pytest.mark.parametrize("dtype", HALVES)
def test_products_of_all_operands_are_rounded_once(dtype: str) -> None:
    kind = dtype_of(dtype)
    # Each intermediate alone would be too large, or too small, for half precision.
    big, small = np.full(4, 60_000, kind), np.full(4, 2.0**-14, kind)
    made = cc.contract("i, i, i, i -> i", big, big, small, small)
    assert (made == np.float64(float(big[0]) ** 2 * 2.0**-28).astype(kind)).all()


def test_counts_beyond_the_digits_of_single_precision() -> None:
    # 2**24 + 2 windows of which none is lost; the array itself is one number, repeated.
    x = np.broadcast_to(np.float32(1), (2**24 + 2, 1))
    assert cc.contract("i j -> j", x, reduce="mean") == 1
    slope = cc.Contraction("i j -> j", reduce="mean").grad(0)(np.ones(1, np.float32), x)
    assert slope[0, 0] == np.float32(1 / (2**24 + 2))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["float32", "int16", "bool", "int64", "float16", "float64"])
def test_brain_floats_meet_other_numbers(name: str, seed: int) -> None:
    kind = dtype_of("bfloat16")
    x, w = numbers((3, 4), "bfloat16", seed), numbers((4, 2), name, seed + 1)
    made = cc.contract("i k, k j -> i j", x, w)
    expected = {"float32": "float32", "int16": "float32", "bool": kind, "int64": "float64",
                "float16": "float32", "float64": "float64"}[name]  # fmt: skip
    assert made.dtype == expected
    assert np.allclose(made.astype(float), x.astype(float) @ w.astype(float), rtol=2.0**-8)
    assert cc.contract("i k, -> i k", x, 2.5).dtype == kind


# --- weights of logsumexp --------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.0, 1e3, 1e4, -3e4])
@pytest.mark.parametrize("dtype", [*HALVES, "float32", "float64"])
def test_the_weights_of_a_logsumexp_add_up_to_one(dtype: str, level: float, engine: str) -> None:
    del engine
    kind = dtype_of(dtype)
    x = (level + np.random.default_rng(0).standard_normal((3, 7)) * abs(level) / 500).astype(kind)
    soft = cc.Contraction("i j -> i", reduce="logsumexp")
    weights = soft.grad(0)(np.ones(3, kind), x).astype(float)
    exact = np.exp(x.astype(float) - x.astype(float).max(axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    own = EPSILONS[dtype] / 2 if dtype in HALVES else 8 * EPSILONS[dtype]
    # A difference of two numbers of a dtype may need one more rounding.
    assert (np.abs(weights - exact) <= own * exact + 4 * SMALLEST.get(dtype, 0) + 1e-6 * own).all()


def test_the_weights_of_infinite_rows() -> None:
    inf, nan = np.inf, np.nan
    x = np.array([[-inf, -inf], [inf, 0.0], [nan, 1.0], [-inf, 1.0]])
    soft = cc.Contraction("i j -> i", reduce="logsumexp")
    slope = soft.grad(0)(np.ones(4), x)
    # As in torch, but that nothing comes of a row in which there is nothing.
    wanted = np.array([[0.0, 0.0], [nan, 0.0], [nan, nan], [0.0, 1.0]])
    np.testing.assert_array_equal(slope, wanted)


def test_infinite_rows_as_in_torch() -> None:
    torch = pytest.importorskip("torch")
    inf, nan = np.inf, np.nan
    x = np.array([[inf, 0.0, 800.0], [inf, inf, 1.0], [nan, 1.0, 2.0], [-inf, 1.0, 1.0]])
    given = torch.tensor(x, requires_grad=True)
    torch.logsumexp(given, 1).sum().backward()
    slope = cc.Contraction("i j -> i", reduce="logsumexp").grad(0)(np.ones(4), x)
    np.testing.assert_allclose(slope, given.grad.numpy(), rtol=1e-15)


# --- the dtype of a gradient -----------------------------------------------------------------


@pytest.mark.parametrize(
    "cotangent", [1.0, 1, np.float64(1), np.ones((), np.float64), np.float32(1), np.int8(1)]
)
@pytest.mark.parametrize("dtype", [*HALVES, "float32", "float64", "complex64"])
def test_numbers_without_axes_do_not_widen_a_gradient(dtype: str, cotangent: Any) -> None:
    kind = dtype_of(dtype)
    x = np.ones(6, kind)
    for reduce in ("sum", "mean", "prod"):
        slope = cc.Contraction("i ->", reduce=reduce).grad(0)(cotangent, x)
        assert slope.dtype == kind


FLOATS = ("float16", "float32", "float64")


@pytest.mark.parametrize("given", [*FLOATS, "int64"])
@pytest.mark.parametrize("second", FLOATS)
@pytest.mark.parametrize("first", FLOATS)
@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "logsumexp"])
def test_a_gradient_has_the_dtype_of_its_operand(
    reduce: str, first: str, second: str, given: str, engine: str
) -> None:
    del engine
    contraction = cc.Contraction("b (i+k) c, k c o -> b i o", reduce=reduce)
    x, w = numbers((2, 6, 3), first, 0), numbers((3, 3, 2), second, 1)
    g = (4 * numbers((2, 4, 2), "float64", 2)).astype(given)
    for n, operand in enumerate((x, w)):
        assert contraction.grad(n)(g, x, w).dtype == operand.dtype
        assert contraction.jvp(n)(operand.astype(given), x, w).dtype == np.result_type(x, w)


def test_integers_have_gradients_in_the_numbers_of_the_cotangent() -> None:
    contraction = cc.Contraction("i k, k j -> i j")
    x, w = np.ones((2, 3), np.int32), np.ones((3, 4), np.float32)
    g = np.full((2, 4), 0.5)
    assert contraction.grad(0)(g, x, w).dtype == np.float64
    assert contraction.grad(1)(g, x, w).dtype == np.float32
    assert contraction.grad(0)(g.astype(int), x, x.T.repeat(2, 1)).dtype.kind == "i"


def test_real_results_have_real_cotangents() -> None:
    contraction = cc.Contraction("i k, k j -> i j")
    x, w, g = np.ones((2, 3)), np.ones((3, 4)), np.full((2, 4), 1j)
    with pytest.raises(cc.OperandError, match="the cotangent is complex, but it belongs to"):
        contraction.grad(0)(g, x, w)
    with pytest.raises(cc.OperandError, match="the tangent V is complex, but it belongs to"):
        contraction.jvp(0)(x * 1j, x, w)
    with pytest.raises(cc.OperandError, match="the cotangent is complex128"):
        contraction.compile((2, 3), (3, 4)).vjp(0, g, x, w)


def test_a_real_operand_among_complex_ones_has_a_real_gradient() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3))
    w, g = (rng.standard_normal(s) + 1j * rng.standard_normal(s) for s in ((3, 4), (2, 4)))
    slope = cc.Contraction("i k, k j -> i j").grad(0)(g, x, w)
    given = torch.tensor(x, requires_grad=True)
    # torch conjugates, we do not.
    (given.to(torch.complex128) @ torch.tensor(w)).backward(torch.tensor(g.conj()))
    assert slope.dtype == x.dtype
    np.testing.assert_allclose(slope, given.grad.numpy(), rtol=1e-12)
