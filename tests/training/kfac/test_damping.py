"""Damped inverses against numpy's inverses of Kronecker products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contractconv.errors import ParameterError
from contractconv.training.kfac.damping import METHODS, Method, damped_inverses, trace_ratio

Array = NDArray[Any]


def positive(groups: int, size: int, seed: int, dtype: Any = np.float64) -> Array:
    roots = np.random.default_rng(seed).standard_normal((groups, size, 2 * size))
    return (roots @ roots.mT).astype(dtype)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 2), (49, 97), (130, 4)])
def test_both_methods_invert_the_damped_factors(method: Method, n: int, m: int) -> None:
    left, right, damping = positive(2, n, 0), positive(2, m, 1), 0.3
    first, last = damped_inverses(left, right, damping, method)
    for g in range(2):
        pi = np.sqrt((np.trace(left[g]) / n) / (np.trace(right[g]) / m))
        a = left[g] + pi * np.sqrt(damping) * np.eye(n)
        b = right[g] + np.sqrt(damping) / pi * np.eye(m)
        np.testing.assert_allclose(first[g] @ a, np.eye(n), atol=1e-9)
        np.testing.assert_allclose(last[g] @ b, np.eye(m), atol=1e-9)
        if n * m < 10:
            inverse = np.linalg.inv(np.kron(a, b))
            np.testing.assert_allclose(np.kron(first[g], last[g]), inverse, rtol=1e-9)


def test_the_ratio_splits_damping_by_mean_eigenvalues() -> None:
    left = np.stack([np.diag([1.0, 7.0]), np.diag([8.0, 8.0])])
    right = np.stack([np.diag([1.0, 1.0, 1.0]), np.diag([0.5, 1.0, 0.0])])
    np.testing.assert_allclose(trace_ratio(left, right), [2.0, 4.0])


@pytest.mark.parametrize(("left", "right"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_a_factor_of_zeros_takes_its_share_of_the_damping(left: float, right: float) -> None:
    first, last = damped_inverses(np.full((1, 2, 2), left), np.full((1, 3, 3), right), 0.25)
    for inverse, value in ((first, left), (last, right)):
        wanted = np.linalg.inv(np.full(inverse.shape[1:], value) + 0.5 * np.eye(inverse.shape[1]))
        np.testing.assert_allclose(inverse[0], wanted, rtol=1e-12)


def test_what_rounding_made_indefinite_is_inverted_by_eigenvectors() -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    left = (turn * np.array([1.0, 0.5, -1e-3])) @ turn.T
    first, _ = damped_inverses(left[None], np.eye(2)[None], 1e-8)
    pi = np.sqrt(np.trace(left) / 3)
    wanted = (turn / (np.array([1.0, 0.5, 0.0]) + pi * 1e-4)) @ turn.T
    np.testing.assert_allclose(first[0], wanted, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inverses_have_the_numbers_of_the_factors(dtype: Any) -> None:
    made = damped_inverses(positive(1, 60, 0, dtype), positive(1, 2, 1, dtype), 1e-2)
    assert [inverse.dtype for inverse in made] == [dtype, dtype]
    assert all(np.array_equal(inverse, inverse.mT) for inverse in made)


@pytest.mark.parametrize("damping", [0.0, -1.0, float("nan")])
def test_damping_is_positive(damping: float) -> None:
    with pytest.raises(ParameterError, match="not positive"):
        damped_inverses(np.eye(2)[None], np.eye(2)[None], damping)


def test_an_unknown_method_is_refused() -> None:
    method: Any = "lu"
    with pytest.raises(ParameterError, match="choose one of cholesky, eigenvectors"):
        damped_inverses(np.eye(2)[None], np.eye(2)[None], 1.0, method)
