"""Damped inverses of Kronecker factors."""

from __future__ import annotations

from math import sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contractconv.errors import ParameterError

Array = NDArray[Any]
Method = Literal["cholesky", "eigenvectors"]
METHODS = ("cholesky", "eigenvectors")
# From this size on, a triangle is inverted by halves: their products are for BLAS.
_SMALL = 48


def trace_ratio(left: Array, right: Array) -> Array:
    """The number ``π`` that splits damping between two factors, ``√(mean eigenvalues' ratio)``.

    Args:
        left: the input factor of each group, ``"g n n"``.
        right: the output factor of each group, ``"g m m"``.

    Returns:
        ``π`` for each group; one where a factor has no trace.

    Example:
        >>> trace_ratio(np.full((1, 1, 1), 9.0), np.eye(2)[None])
        array([3.])

    Source: Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate
    curvature", ICML (2015), section 6.3.
    """
    first, second = _mean_eigenvalue(left), _mean_eigenvalue(right)
    usable = (first > 0) & (second > 0)
    ones = np.ones_like(first)
    ratio = np.sqrt(np.where(usable, first, ones) / np.where(usable, second, ones))
    return np.asarray(ratio)


def damped_inverses(
    left: Array, right: Array, damping: float, method: Method = "cholesky"
) -> tuple[Array, Array]:
    """Invert both factors with Tikhonov damping, ``(A + π√λ 1)⁻¹`` and ``(B + √λ/π 1)⁻¹``.

    Args:
        left: the input factor of each group, ``"g n n"``.
        right: the output factor of each group, ``"g m m"``.
        damping: ``λ``, what is added to the whole matrix, about.
        method: how to invert; of a matrix that rounding has left without a Cholesky
            decomposition, eigenvectors are taken, and no eigenvalue below zero.

    Returns:
        Both inverses, of the same shapes.

    Raises:
        ParameterError: the damping is not positive, or the method unknown.
    """
    if not damping > 0:
        raise ParameterError(f"damping={damping!r} is not positive")
    if method not in METHODS:
        raise ParameterError(f"inverse={method!r}: choose one of {', '.join(METHODS)}")
    ratio, root = trace_ratio(left, right), sqrt(damping)
    invert = _by_cholesky if method == "cholesky" else _by_eigenvectors
    return invert(left, ratio * root), invert(right, root / ratio)


def _mean_eigenvalue(matrices: Array) -> Array:
    return np.asarray(np.trace(matrices, axis1=-2, axis2=-1) / matrices.shape[-1])


def _by_cholesky(matrices: Array, shift: Array) -> Array:
    try:
        factor = np.linalg.cholesky(matrices + shifted(matrices, shift))
    except np.linalg.LinAlgError:
        return _by_eigenvectors(matrices, shift)
    inverse = _triangle_inverse(factor)
    return np.asarray(inverse.mT @ inverse)


def _by_eigenvectors(matrices: Array, shift: Array) -> Array:
    values, vectors = np.linalg.eigh(matrices)
    damped = np.maximum(values, 0) + shift[:, None].astype(matrices.dtype)
    return np.asarray((vectors / damped[:, None, :]) @ vectors.mT)


def shifted(matrices: Array, shift: Array) -> Array:
    """A multiple of the unit matrix for each group, in the shape and numbers of some matrices."""
    unit = np.eye(matrices.shape[-1], dtype=matrices.dtype)
    return np.asarray(shift[:, None, None].astype(matrices.dtype) * unit)


def _triangle_inverse(lower: Array) -> Array:
    """The inverse of lower triangles, by halves."""
    size = lower.shape[-1]
    if size <= _SMALL:
        return np.linalg.inv(lower)
    half = size // 2
    inverse = np.zeros_like(lower)
    first = inverse[..., :half, :half] = _triangle_inverse(lower[..., :half, :half])
    last = inverse[..., half:, half:] = _triangle_inverse(lower[..., half:, half:])
    inverse[..., half:, :half] = -(last @ (lower[..., half:, :half] @ first))
    return inverse
