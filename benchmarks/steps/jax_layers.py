"""Layers that jax leaves to others, for images with channels last."""

from __future__ import annotations

from typing import Any


def convolved(
    jax: Any, x: Any, kernel: Any, stride: int = 1, padding: int = 0, groups: int = 1
) -> Any:
    """A convolution with a kernel ``k l c o``."""
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), [(padding, padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups,
    )  # fmt: skip


def max_pooled(jax: Any, x: Any, size: int, stride: int) -> Any:
    """The maxima of windows."""
    window, strides = (1, size, size, 1), (1, stride, stride, 1)
    return jax.lax.reduce_window(x, -jax.numpy.inf, jax.lax.max, window, strides, "VALID")


def batch_normalized(jax: Any, x: Any, scale: Any, shift: Any) -> Any:
    """Each channel normalised over the batch."""
    return jax.nn.standardize(x, axis=(0, 1, 2), epsilon=1e-5) * scale + shift


def cross_entropy(jax: Any, logits: Any, labels: Any) -> Any:
    """The mean of the negative logarithms of the labels' probabilities; classes are last."""
    chances = jax.nn.log_softmax(logits)
    return -jax.numpy.mean(jax.numpy.take_along_axis(chances, labels[..., None], -1))
