"""The functions that numpy lacks, against mpmath over all of their range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpmath import erf as exact_erf
from mpmath import erfc as exact_erfc

from contractconv.maps.numbers import erf, erfc, rsqrt

Array = np.ndarray[Any, Any]


def spread(dtype: str) -> Array:
    """Numbers of both signs, from the least to where nothing changes any more."""
    ends = np.finfo(dtype)
    near = np.geomspace(float(ends.smallest_subnormal), 1, 300)
    far = np.linspace(0.01, 30, 500)
    one_side = np.concatenate([[0], near, far, [float(ends.max), np.inf]])
    return np.concatenate([-one_side, one_side]).astype(dtype)


@pytest.mark.parametrize(("dtype", "most"), [("float16", 1), ("float32", 3), ("float64", 3)])
def test_the_error_function_is_exact_to_the_last_digits(dtype: str, most: int) -> None:
    given = spread(dtype)
    found = erf(given)
    assert found.dtype == dtype
    exact = np.array([float(exact_erf(float(a))) for a in given])
    assert (abs(found - exact) <= most * np.spacing(abs(exact).astype(dtype))).all()
    assert np.array_equal(np.signbit(found), np.signbit(given))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_its_rest_is_exact_where_it_is_almost_zero(dtype: str) -> None:
    given = spread(dtype)
    found = erfc(given)
    assert found.dtype == dtype
    # Behind 100 nothing is left, and mpmath would count on for very long.
    exact = np.array([float(exact_erfc(min(float(a), 100))) for a in given])
    # What rounds the exponent moves the last digits of the result as often as that is large.
    share = 12 * (1 + np.minimum(np.maximum(given.astype(float), 0), 40) ** 2)
    allowed = share * np.spacing(abs(exact).astype(dtype))
    assert (abs(found - exact) <= allowed).all()


def test_no_number_stays_none() -> None:
    for function in (erf, erfc, rsqrt):
        assert np.isnan(function(np.array([np.nan]))).all()


def test_a_number_of_python_has_an_error_function_too() -> None:
    assert erf(0.5) == erf(np.float64(0.5))
    assert erfc(0.5) == erfc(np.float64(0.5))


def test_the_root_of_zero_is_infinite() -> None:
    with np.errstate(divide="ignore"):
        assert rsqrt(np.array([0.0, np.inf, 4.0])).tolist() == [np.inf, 0, 0.5]
