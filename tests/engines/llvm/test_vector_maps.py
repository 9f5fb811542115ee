"""Maps on vectors: against mpmath over all of their range, and against numpy at every extreme."""

from __future__ import annotations

import math
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
    "exp": 1.1, "expm1": 2.1, "log": 1.0, "log1p": 1.0, "tanh": 2.4, "erf": 1.2, "erfc": 4.0,
    "sqrt": 0.5, "sigmoid": 2.5, "softplus": 2.0, "rsqrt": 1.2, "sin": 2.0, "cos": 2.2, "tan": 3.0,
    "arctan": 2.0, "sinh": 2.0, "cosh": 1.5, "gelu": 4.0, "silu": 2.5,
}  # fmt: skip
TURNS = ("sin", "cos", "tan")


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


def angles(dtype: str) -> Array:
    """Numbers next to multiples of a quarter turn, and those that are nearest to one (Muller)."""
    random = np.random.default_rng(4)
    limit = 2.0**18 if dtype == "float32" else 2.0**45
    turns = np.concatenate([random.integers(1, 1 << 20, 100), 2.0 ** random.uniform(1, 300, 100)])
    near = [np.round(turns) * (np.pi / 2), [limit, np.nextafter(limit, 0), 2 * limit]]
    with np.errstate(over="ignore"):
        found = np.concatenate([*near, [16367173 * 2.0**72, 6381956970095103 * 2.0**797]])
        there = found.astype(dtype)
    found = np.concatenate([np.nextafter(there, -np.inf), there, np.nextafter(there, np.inf)])
    numbers: Array = found[np.isfinite(found)].astype(dtype)
    return numbers


def exact(name: str, a: Any) -> Any:
    if name in TURNS:
        with mp.workdps(400):
            return EXACT[name](mpmath.mpf(float(a)))
    # Beyond that nothing changes any more, and mpmath would count on for very long.
    bounded = name not in ("log", "log1p", "sqrt", "rsqrt", "softplus", "arctan", "gelu", "silu")
    return EXACT[name](mpmath.mpf(float(min(max(a, -800), 800) if bounded else a)))


def domain(name: str, dtype: str) -> Array:
    """Numbers of which a map is to be exact."""
    given = everywhere(dtype)
    if name in TURNS:
        given = np.concatenate([given, angles(dtype)])
    # Where its exponential has no number, the sigmoid is zero by definition; and where a
    # probability has few digits, so has what it is multiplied by.
    end = -0.99 * np.log(np.finfo(dtype).max)
    tail = -13.0 if dtype == "float32" else -37.5
    low = {"log1p": -1, "sigmoid": end, "silu": end, "gelu": tail}
    low |= dict.fromkeys(("log", "sqrt", "rsqrt"), 0)
    numbers: Array = given[given > low.get(name, -np.inf)]
    return numbers


def units(found: Any, wanted: Any, dtype: str) -> float:
    """By how many units in the last place of an exact result a number differs from it."""
    ends = np.finfo(dtype)
    if abs(wanted) > float(ends.max):
        return 0.0 if np.isinf(found) and (found > 0) == (wanted > 0) else np.inf
    power = mp.frexp(wanted)[1] - 1 - ends.nmant
    unit = mpmath.mpf(2) ** max(power, int(ends.minexp) - ends.nmant)
    return float(abs(mpmath.mpf(float(found)) - wanted) / unit)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", MOST)
def test_elementary_functions_are_exact_to_the_last_digits(name: str, dtype: str) -> None:
    given = domain(name, dtype)
    found = by_kernels([applied(name, cc.tensor("a", "i"))], a=given)[0]
    with mp.workdps(40):
        for a, y in zip(given, found, strict=True):
            assert units(y, exact(name, a), dtype) <= MOST[name], (a, y)


def normal(a: Any) -> tuple[Any, Any]:
    """What is meant by two expressions: a normal variable is less, and its density."""
    return 0.5 * applied("erfc", a * -0.7071067811865476), 0.3989422804014327 * applied(
        "exp", -0.5 * a * a
    )


@pytest.mark.parametrize("dtype", FLOATS)
def test_normal_variables(dtype: str) -> None:
    given = everywhere(dtype)
    given = given[abs(given) < 40]
    probability, density = by_kernels([*normal(cc.tensor("a", "i"))], a=given)
    with mp.workdps(40):
        for a, *found in zip(given, probability, density, strict=True):
            x = mpmath.mpf(float(a))
            assert units(found[0], mp.erfc(-x / mp.sqrt(2)) / 2, dtype) <= 4.0, a
            assert units(found[1], mp.npdf(x), dtype) <= 2.0, a


@pytest.mark.parametrize("dtype", FLOATS)
def test_what_comes_back_through_gelu(dtype: str) -> None:
    given = everywhere(dtype)
    given = given[(given > -12) & (given < 100)]
    x, g = cc.tensor("x", "i"), cc.tensor("g", "i")
    change = cc.grad(cc.contract("i, i ->", g, applied("gelu", x)), x)
    found = by_kernels([change], x=given, g=np.ones_like(given))[0]
    eps = float(np.finfo(dtype).eps)
    with mp.workdps(40):
        for a, y in zip(given, found, strict=True):
            x_ = mpmath.mpf(float(a))
            parts = mp.erfc(-x_ / mp.sqrt(2)) / 2, x_ * mp.npdf(x_)
            scale = abs(parts[0]) + abs(parts[1])
            assert abs(mpmath.mpf(float(y)) - sum(parts)) <= 4 * eps * scale, a


def pairs(dtype: str) -> tuple[Array, Array]:
    """Bases and exponents of powers of every magnitude: of any bases, and of those near one."""
    ends, random = np.finfo(dtype), np.random.default_rng(5)
    log = random.uniform(-ends.maxexp, ends.maxexp, 400)
    total = random.uniform(-1.1, 1.05, 400) * ends.maxexp
    near = 2.0 ** -random.uniform(1, ends.nmant, 400) * random.choice([-1, 1], 400)
    bases = np.concatenate([2.0**log, 1 + near, random.uniform(0, 10, 400)])
    some = random.uniform(-1, 1, 400) * ends.maxexp * np.log(2) / np.log1p(near)
    exponents = np.concatenate([total / log, some, random.uniform(-5, 5, 400)])
    known = (bases > 0) & (bases < float(ends.max)) & (abs(exponents) < float(ends.max))
    return bases[known].astype(dtype), exponents[known].astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
def test_powers_are_exact_to_the_last_digits(dtype: str) -> None:
    given = pairs(dtype)
    a, b = (cc.tensor(name, "i") for name in "ab")
    found = by_kernels([a**b], a=given[0], b=given[1])[0]
    with mp.workdps(40):
        for x, y, power in zip(*given, found, strict=True):
            wanted = mp.power(mpmath.mpf(float(x)), mpmath.mpf(float(y)))
            assert units(power, wanted, dtype) <= 1.6, (x, y)


def special(dtype: str) -> Array:
    """Numbers at which powers and remainders change their mind."""
    ends = np.finfo(dtype)
    odd = 2.0 ** (ends.nmant + 1) - 1
    found = [0, 0.5, 1, 2, 2.5, 3, odd, odd + 1, 4 * odd, np.inf, np.nan, 1 + ends.eps, 1e-3]
    one_side = np.array([*found, ends.max, ends.tiny, ends.smallest_subnormal], dtype)
    return np.concatenate([one_side, -one_side])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["power", "mod"])
def test_special_numbers_of_two(name: str, dtype: str) -> None:
    given = np.meshgrid(special(dtype), special(dtype))
    found, wanted = by_both(name, dtype, tuple(part.ravel() for part in given))
    assert_alike(found, wanted, 2 if name == "power" else 0)
    known = ~np.isnan(wanted)
    assert np.array_equal(np.signbit(found[known]), np.signbit(wanted[known]))


@pytest.mark.parametrize("dtype", FLOATS)
def test_remainders_are_exact(dtype: str) -> None:
    random, kind = np.random.default_rng(6), np.dtype(dtype)
    bits = random.integers(0, 256, (2, 2000 * kind.itemsize)).astype(np.uint8).view(kind)
    many = np.concatenate([bits[0], 100 * random.standard_normal(500).astype(kind)])
    few = np.concatenate([bits[1], random.standard_normal(500).astype(kind)])
    known = np.isfinite(many) & np.isfinite(few) & (few != 0)
    many, few = many[known], few[known]
    found = by_kernels([cc.tensor("a", "i") % cc.tensor("b", "i")], a=many, b=few)[0]
    for a, b, y in zip(many, few, found, strict=True):
        rest = kind.type(math.fmod(a, b))  # exact
        wanted = rest + b if rest and (rest < 0) != (b < 0) else math.copysign(rest, b)
        assert y == wanted, (a, b)
        assert np.signbit(y) == np.signbit(b), (a, b)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", sorted(MAPS))
def test_extremes_are_numpys(name: str, dtype: str) -> None:
    given = columns(name, extremes(name), dtype)
    found, wanted = by_both(name, dtype, given)
    assert_alike(found, wanted, 64)
    if found.dtype.kind == "f" and name not in ("max", "min", "relu", "sign"):
        known = ~np.isnan(wanted)
        assert np.array_equal(np.signbit(found[known]), np.signbit(wanted[known]))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", sorted(MAPS))
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
@pytest.mark.parametrize(
    "exponent", [-4, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 7, 8]
)
def test_powers_that_are_products_and_roots(exponent: float, dtype: str) -> None:
    # Of minus infinity numpy takes the root 0.5 once as a power, and once as a root.
    low = [-np.inf] if exponent != 0.5 else []
    given = np.array([*everywhere(dtype), 0.0, -0.0, np.inf, *low, np.nan], dtype)
    power = [cc.tensor("a", "i") ** exponent]
    found, wanted = by_kernels(power, a=given)[0], by_numpy(power, a=given)[0]
    # Of what has not all its digits, the inverse has not either.
    whole = ~(np.abs(given) < 4 * np.finfo(dtype).tiny)
    assert_alike(found[whole], wanted[whole], 8)


@pytest.mark.parametrize("name", sorted(MAPS))
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
