"""How much is rounded: never more than a plan says, and by default no more than is promised.

A plan's bound is relative to the greatest magnitudes in both operands times the points summed.
Exact values come from a sum in wider numbers, by the definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from strategies import Array, Shape

import contractconv as cc
from contractconv import Algorithm

FAST: tuple[Algorithm, ...] = ("toom-cook", "fft")
ALGORITHMS: tuple[Algorithm, ...] = ("direct", *FAST)
DTYPES = ("float32", "float64")
PROMISED = {"float32": 1e-4, "float64": 2e-13}
WIDER = np.finfo(np.longdouble).eps < 2**-60
rng = np.random.default_rng(0)


class Layer(NamedTuple):
    """A contraction of two operands."""

    spec: str
    shapes: tuple[Shape, Shape]
    extents: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it

    def plan(self, dtype: str, algorithm: Algorithm) -> Any:
        """How it is carried out."""
        contraction = cc.Contraction(self.spec)
        return contraction.plan(*self.shapes, dtype=dtype, algorithm=algorithm, **self.extents)

    def __call__(self, algorithm: Algorithm, *operands: Array) -> Array:
        """The result by one algorithm."""
        return np.asarray(cc.contract(self.spec, *operands, algorithm=algorithm, **self.extents))

    def exact(self, *operands: Array) -> Array:
        """The result in wider numbers."""
        return self("direct", *(x.astype(np.longdouble) for x in operands))

    @property
    def points_summed(self) -> int:
        """How many points meet in an element of the result, at most."""
        return int(self("direct", *(np.ones(shape, np.int64) for shape in self.shapes)).max())


LAYERS = {
    "one signal": Layer("(i+k), k -> i", ((60,), (3,))),
    "five taps": Layer("(i+k) c, k c o -> i o", ((30, 4), (5, 4, 3))),
    "2-D": Layer("(i+k-1) (j+l-1) c, k l c o -> i j o", ((9, 8, 6), (3, 3, 6, 4))),
    "stride 2": Layer("(2*i+k) c, k c o -> i o", ((41, 6), (5, 6, 3))),
    "depthwise": Layer("(i+k) c, k c -> i c", ((30, 17), (3, 17))),
    "transposed": Layer("i c, k c o -> (2*i+k) o", ((14, 4), (4, 4, 3))),
    "weight gradient": Layer("(i+k) c, i o -> k c o", ((42, 4), (40, 3))),
}


# --- numbers ---------------------------------------------------------------------------------


def with_a_huge_one(shape: Shape) -> Array:
    numbers = rng.standard_normal(shape)
    numbers.flat[rng.integers(numbers.size)] = 1e6
    return numbers


def alternating(shape: Shape) -> Array:
    signs = (-1.0) ** np.indices(shape).sum(axis=0)
    return np.asarray(signs * (1 + 0.01 * rng.random(shape)))


NUMBERS: dict[str, Callable[[Shape], Array]] = {
    "normal": rng.standard_normal,
    "positive": rng.random,
    "signs": lambda shape: rng.choice([-1.0, 1.0], shape),
    "alternating": alternating,
    "a large mean": lambda shape: 1e4 + rng.standard_normal(shape),
    "a huge one": with_a_huge_one,
    "thirds": lambda shape: np.full(shape, 1 / 3),
    "sevenths": lambda shape: np.full(shape, 0.7),
    "many magnitudes": lambda shape: 10.0 ** rng.uniform(-6, 6, shape),
    "many magnitudes and signs": lambda shape: (
        10.0 ** rng.uniform(-6, 6, shape) * rng.choice([-1.0, 1.0], shape)
    ),
}


def draws(layer: Layer, dtype: str, count: int) -> Iterator[list[Array]]:
    """Operands of every kind of numbers, the kinds of both the same or not."""
    kinds = list(NUMBERS.values())
    for n in range(count):
        second = kinds[(n + n // len(kinds)) % len(kinds)]
        pair = kinds[n % len(kinds)], second
        yield [draw(s).astype(dtype) for draw, s in zip(pair, layer.shapes, strict=True)]


def largest(*arrays: Array) -> float:
    """The product of the greatest magnitudes."""
    return float(np.prod([np.abs(x).max(initial=0).astype(np.longdouble) for x in arrays]))


def error_in_bounds(layer: Layer, plan: Any, algorithm: Algorithm, operands: list[Array]) -> float:
    """The error of a result, in units of what its plan admits."""
    (step,) = plan.steps
    assert step.choice.chosen.algorithm == algorithm
    admitted = step.choice.chosen.bound * largest(*operands) * layer.points_summed
    error = float(np.abs(layer(algorithm, *operands) - layer.exact(*operands)).max())
    return float(error / admitted)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_errors_stay_within_the_bound(
    name: str, dtype: str, algorithm: Algorithm, engine: str
) -> None:
    if dtype == "float64" and not WIDER:
        pytest.skip("there are no wider numbers")
    layer = LAYERS[name]
    plan = layer.plan(dtype, algorithm)
    # 40 draws for 7 layers and 4 ways of computing: more than 1,000 for each algorithm.
    worst = max(error_in_bounds(layer, plan, algorithm, x) for x in draws(layer, dtype, 40))
    assert worst <= 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", ["2-D", "weight gradient"])
def test_a_bound_that_is_too_small_is_noticed(name: str, algorithm: Algorithm) -> None:
    layer = LAYERS[name]
    plan = layer.plan("float32", algorithm)
    worst = max(error_in_bounds(layer, plan, algorithm, x) for x in draws(layer, "float32", 40))
    # Bounds are for the worst of all numbers, but they are not out of this world.
    assert worst > 1e-5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_typical_errors_are_typical(name: str, dtype: str) -> None:
    layer = LAYERS[name]
    for algorithm in FAST:
        (step,) = layer.plan(dtype, algorithm).steps
        chosen = step.choice.chosen
        assert 0 < chosen.error < chosen.bound
        errors = []
        for _ in range(20):
            operands = [rng.uniform(-1, 1, shape).astype(dtype) for shape in layer.shapes]
            error = np.abs(layer(algorithm, *operands) - layer.exact(*operands)).max()
            errors.append(float(error) / layer.points_summed)
        # "About the greatest in a tile": the greatest of many tiles is some times that.
        assert np.median(errors) < 8 * chosen.error


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bound_of_a_scatter_tap_by_tap(dtype: str) -> None:
    layer = Layer("i j k, k j -> (i+j+k)", ((3, 40, 40), (40, 40)))
    thirds = [np.full(shape, 1 / 3, dtype) for shape in layer.shapes]
    assert error_in_bounds(layer, layer.plan(dtype, "direct"), "direct", thirds) <= 1


def test_the_bound_of_more_pieces_than_are_listed() -> None:
    (step,) = Layer("i j k, j k -> (i+j+k)", ((50, 40, 40), (40, 40))).plan("float32", "auto").steps
    assert step.choice.chosen.bound > 0


@pytest.mark.parametrize(
    "layer",
    [
        Layer("b (i+k) c, k c o -> b i o", ((1, 6, 20000), (3, 20000, 2))),
        Layer("b (i+k) c, b i o -> k c o", ((20000, 6, 1), (20000, 4, 1))),
    ],
)
def test_the_bound_of_transforms_of_many_channels(layer: Layer) -> None:
    plan = layer.plan("float32", "fft")
    for number in (0.1, 0.7):
        operands = [np.full(shape, number, np.float32) for shape in layer.shapes]
        assert error_in_bounds(layer, plan, "fft", operands) <= 1


# --- what is promised ------------------------------------------------------------------------

LARGE = {
    "2-D": Layer("b (i+k-1) (j+l-1) c, k l c o -> b i j o", ((1, 24, 24, 24), (3, 3, 24, 32))),
    "five taps, stride 2": Layer(
        "b (2*i+k) (2*j+l) c, k l c o -> b i j o", ((1, 45, 45, 16), (5, 5, 16, 32))
    ),
    "transposed": Layer("i j c, k l c o -> (2*i+k) (2*j+l) o", ((20, 20, 16), (4, 4, 16, 32))),
    "weight gradient": Layer(
        "b (i+k) (j+l) c, b i j o -> k l c o", ((2, 26, 26, 16), (2, 24, 24, 24))
    ),
    "long taps": Layer("(i+k) c, k c o -> i o", ((900, 8), (301, 8, 4))),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LARGE)
def test_auto_keeps_its_promise(name: str, dtype: str, engine: str) -> None:
    layer = LARGE[name]
    for operands in draws(layer, dtype, len(NUMBERS)):
        exact = layer("direct", *(x.astype("float64") for x in operands))
        reference = exact if dtype == "float32" else layer.exact(*operands)
        scale = float(np.abs(reference).max())
        assert np.abs(layer("auto", *operands) - reference).max() <= PROMISED[dtype] * scale


@pytest.mark.parametrize(
    "layer",
    [
        Layer("i k, k j -> i j", ((4, 100_000), (100_000, 16))),
        Layer("b h w c, b h w o -> c o", ((32, 56, 56, 8), (32, 56, 56, 8))),
    ],
)
def test_auto_keeps_its_promise_for_long_sums(layer: Layer) -> None:
    operands = [np.full(shape, 0.7, np.float32) for shape in layer.shapes]
    exact = layer.points_summed * float(np.float32(0.7)) ** 2
    assert np.abs(layer("auto", *operands) - exact).max() <= PROMISED["float32"] * exact


# --- the ends of the range -------------------------------------------------------------------


@pytest.mark.parametrize("shares", [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
@pytest.mark.parametrize("algorithm", FAST)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_nothing_overflows_long_before_the_sum_does(
    name: str, dtype: str, algorithm: Algorithm, shares: tuple[float, float], engine: str
) -> None:
    layer = LAYERS[name]
    plain = [rng.uniform(-1, 1, shape) for shape in layer.shapes]
    room = np.finfo(dtype).max / 1e6 / layer.points_summed
    operands = [(x * room**share).astype(dtype) for x, share in zip(plain, shares, strict=True)]
    result = layer(algorithm, *operands)
    assert np.isfinite(result).all()
    assert error_in_bounds(layer, layer.plan(dtype, algorithm), algorithm, operands) <= 1


@pytest.mark.parametrize("shares", [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", LAYERS)
def test_underflow_costs_no_more_than_its_own_size(
    name: str, algorithm: Algorithm, shares: tuple[float, float], engine: str
) -> None:
    layer, dtype = LAYERS[name], "float32"
    plain = [rng.uniform(-1, 1, shape) for shape in layer.shapes]
    info = np.finfo(dtype)
    tiny = float(info.smallest_normal)
    operands = [(x * tiny**share).astype(dtype) for x, share in zip(plain, shares, strict=True)]
    chosen = layer.plan(dtype, algorithm).steps[0].choice.chosen
    error = np.abs(layer(algorithm, *operands) - layer.exact(*operands)).max()
    # Each rounding that underflows is off by half of the smallest number, and is amplified as
    # often as rounding errors are: by the bound, in units of the unit roundoff.
    amplified = chosen.bound / (info.eps / 2) * layer.points_summed
    rounded = chosen.bound * largest(*operands) * layer.points_summed
    assert error <= rounded + amplified * float(info.smallest_subnormal) * 4


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", ["2-D", "depthwise", "weight gradient"])
def test_denormal_numbers_are_not_taken_for_zero(
    name: str, algorithm: Algorithm, engine: str
) -> None:
    layer = LAYERS[name]
    x = np.full(layer.shapes[0], np.finfo("float32").smallest_subnormal * 512, np.float32)
    w = np.ones(layer.shapes[1], np.float32)
    result, exact = layer(algorithm, x, w), layer.exact(x, w)
    assert (np.abs(result - exact) <= 0.25 * np.abs(exact).max()).all()


# --- what is no number -----------------------------------------------------------------------


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_what_is_not_finite_stays_so(
    name: str, which: int, algorithm: Algorithm, strange: float, engine: str
) -> None:
    layer = LAYERS[name]
    operands = [rng.uniform(1, 2, shape).astype("float32") for shape in layer.shapes]
    operands[which].flat[operands[which].size // 2] = strange
    result, exact = layer(algorithm, *operands), layer.exact(*operands)
    assert not np.isfinite(exact).all()
    assert not np.isfinite(result[~np.isfinite(exact)]).any()
    if algorithm == "direct" and "-1" not in layer.spec:
        np.testing.assert_array_equal(np.isnan(result), np.isnan(exact))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")
def test_a_sum_that_overflows_is_not_finite(algorithm: Algorithm, engine: str) -> None:
    layer = LAYERS["2-D"]
    operands = [np.full(shape, 1e20, np.float32) for shape in layer.shapes]
    assert not np.isfinite(layer(algorithm, *operands)).any()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_zeros_give_zeros(algorithm: Algorithm, engine: str) -> None:
    layer = LAYERS["2-D"]
    x, w = (np.zeros(shape, np.float32) for shape in layer.shapes)
    assert not layer(algorithm, x, w + 1e30).any()
    assert not layer(algorithm, x + 1e30, w).any()
