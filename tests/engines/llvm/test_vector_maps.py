"""Maps on vectors: against mpmath over all of their range, and against numpy at every extreme."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from map_oracles import EXACT, columns, extremes, points
from map_ways import Array, assert_alike, by_kernels, by_numpy
from mpmath import mp

import contractconv as cc
from contractconv.api.tensor import applied
from contractconv.maps.table import MAPS

FLOATS = ("float32", "float64")
# Units in the last place by which results may differ from the exact ones.
MOST = {
    "exp": 1.1, "expm1": 2.1, "log": 1.0, "log1p": 1.0, "tanh": 2.2, "erf": 1.2, "erfc": 4.0,
    "sqrt": 0.5, "sigmoid": 2.5, "softplus": 2.0, "rsqrt": 1.5,
}  # fmt: skip
# Those that numpy alone carries out.
OTHERS: set[str] = set()


def tensors(name: str, dtype: str) -> list[cc.Tensor]:
    """As many inputs as a map has arguments."""
    record = MAPS[name]
    return [
        cc.tensor("abc"[n], "i", "bool" if n < record.conditions else dtype)
        for n in range(record.arity)
    ]


def by_both(name: str, dtype: str, given: tuple[Array, ...]) -> tuple[Array, Array]:
    arrays = dict(zip("abc", given, strict=False))
    output = [applied(name, *tensors(name, dtype))]
    return by_kernels(output, **arrays)[0], by_numpy(output, **arrays)[0]


def everywhere(dtype: str) -> Array:
    """Numbers of both signs and of every magnitude."""
    ends = np.finfo(dtype)
    random = np.random.default_rng(3)
    exponents = random.uniform(np.log2(float(ends.smallest_subnormal)), ends.maxexp - 0.01, 300)
    near = [random.uniform(-reach, reach, 200) for reach in (1, 6, 30, 100, 720)]
    one_side = np.concatenate([2.0**exponents, *near, [float(ends.max), float(ends.tiny)]])
    with np.errstate(over="ignore"):
        return np.concatenate([-one_side, one_side]).astype(dtype)


def exact(name: str, a: Any) -> Any:
    # Beyond that nothing changes any more, and mpmath would count on for very long.
    bounded = name not in ("log", "log1p", "sqrt", "rsqrt", "softplus")
    return EXACT[name](mpmath.mpf(float(min(max(a, -800), 800) if bounded else a)))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", MOST)
def test_elementary_functions_are_exact_to_the_last_digits(name: str, dtype: str) -> None:
    given = everywhere(dtype)
    if name in ("log", "sqrt", "rsqrt"):
        given = given[given > 0]
    # Where its exponential has no number, the sigmoid is zero by definition.
    low = {"log1p": -1, "sigmoid": -0.99 * np.log(np.finfo(dtype).max)}
    given = given[given > low.get(name, -np.inf)]
    found = by_kernels([applied(name, cc.tensor("a", "i"))], a=given)[0]
    ends = np.finfo(dtype)
    with mp.workdps(40):
        for a, y in zip(given, found, strict=True):
            wanted = exact(name, a)
            if abs(wanted) > float(ends.max):
                assert np.isinf(y), a
                continue
            power = mp.frexp(wanted)[1] - 1 - ends.nmant
            unit = 2.0 ** max(power, ends.minexp - ends.nmant)
            assert abs(mpmath.mpf(float(y)) - wanted) <= MOST[name] * unit, (a, y, wanted)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", sorted(MAPS.keys() - OTHERS))
def test_extremes_are_numpys(name: str, dtype: str) -> None:
    given = columns(name, extremes(name), dtype)
    found, wanted = by_both(name, dtype, given)
    assert_alike(found, wanted, 64)
    if found.dtype.kind == "f" and name not in ("max", "min", "relu", "sign"):
        known = ~np.isnan(wanted)
        assert np.array_equal(np.signbit(found[known]), np.signbit(wanted[known]))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", sorted(MAPS.keys() - OTHERS))
def test_values_are_numpys(name: str, dtype: str) -> None:
    given = columns(name, points(name, 100), dtype)
    assert_alike(*by_both(name, dtype, given), 64)


WHOLE = (
    "add", "subtract", "multiply", "negative", "max", "min", "abs", "sign", "square", "where",
    "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "relu", "divide", "exp",
    "logical_and", "logical_or", "logical_not", "conj", "real", "stop_gradient",
)  # fmt: skip
NOT_OF_TRUTH = {"negative", "sign", "subtract", "relu", "conj", "stop_gradient"}


@pytest.mark.parametrize("dtype", ["int32", "int64", "bool"])
@pytest.mark.parametrize("name", WHOLE)
def test_integers_and_truth_values(name: str, dtype: str) -> None:
    if dtype == "bool" and name in NOT_OF_TRUTH:
        pytest.skip("numpy knows none of truth values")
    random = np.random.default_rng(1)
    record = MAPS[name]
    ends = [0, 1] if dtype == "bool" else [np.iinfo(dtype).min, np.iinfo(dtype).max, 0, -1, 1]
    numbers = [
        np.concatenate([random.permutation(ends), random.integers(-5, 5, 60)]).astype(dtype)
        for _ in range(record.arity)
    ]
    given = [n > 0 if k < record.conditions else n for k, n in enumerate(numbers)]
    assert_alike(*by_both(name, dtype, tuple(given)), 2)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("exponent", [-4, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4])
def test_powers_that_are_products_and_roots(exponent: float, dtype: str) -> None:
    # Of minus infinity numpy takes the root 0.5 once as a power, and once as a root.
    low = [-np.inf] if exponent != 0.5 else []
    given = np.array([*everywhere(dtype), 0.0, -0.0, np.inf, *low, np.nan], dtype)
    power = [cc.tensor("a", "i") ** exponent]
    found, wanted = by_kernels(power, a=given)[0], by_numpy(power, a=given)[0]
    # Of what has not all its digits, the inverse has not either.
    whole = ~(np.abs(given) < 4 * np.finfo(dtype).tiny)
    assert_alike(found[whole], wanted[whole], 8)


@pytest.mark.parametrize("name", sorted(MAPS.keys() - OTHERS))
def test_half_precision(name: str) -> None:
    given = columns(name, points(name, 100), "float16")
    assert_alike(*by_both(name, "float16", given), 16)
    # Between two maps nothing is rounded, so what is infinite to numpy in between may be a number.
    found, _ = by_both(name, "float16", columns(name, extremes(name), "float16"))
    assert found.dtype in ("float16", "bool")


CAST = ("float16", "float32", "float64", "int32", "int64", "bool")


@pytest.mark.parametrize("target", CAST)
@pytest.mark.parametrize("source", CAST)
def test_conversions(source: str, target: str) -> None:
    random = np.random.default_rng(2)
    given = random.uniform(-100, 100, 77).astype(source)
    x = cc.tensor("a", "i", source)
    output = [applied("where", x.cast("bool"), x, x).cast(target)]
    assert_alike(by_kernels(output, a=given)[0], by_numpy(output, a=given)[0], 0)
