"""The library against JAX: results and the gradient by every operand.

JAX compiles each shape anew, so it sees a sample of what PyTorch sees; but its operations pad
unevenly, crop and put zeros between elements by themselves, where PyTorch needs a detour.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conformance.cases import (
    CONVS,
    LAYERS,
    POOLS,
    TRANSPOSED,
    UNEVEN,
    VJP,
    Array,
    Case,
    Conv,
    Pool,
    Pullback,
    assert_agrees,
    check,
)

from contractconv import Reduction

jax: Any = pytest.importorskip("jax")
jnp: Any = pytest.importorskip("jax.numpy")
lax: Any = jax.lax

Tensor = Any
Reference = Callable[..., Tensor]

pytestmark = pytest.mark.usefixtures("double_precision")


def vjp(reference: Reference) -> VJP:
    """A function of jax's arrays as one of numpy's, with its pullback."""

    def run(operands: Sequence[Array]) -> tuple[Array, Pullback]:
        result, pull = jax.vjp(reference, *map(jnp.asarray, operands))

        def pullback(cotangent: Array) -> list[Array]:
            return [np.asarray(gradient) for gradient in pull(jnp.asarray(cotangent))]

        return np.asarray(result), pullback

    return run


def sampled(items: Sequence[Any], step: int, make: Callable[[Any], Case]) -> list[Any]:
    """Every ``step``-th item with one dtype, the dtypes taking turns."""
    turns = itertools.count()
    return [
        pytest.param(item, dtype, id=f"{make(item)}-{dtype}")
        for item in items[::step]
        for dtype in [make(item).dtypes[next(turns) % len(make(item).dtypes)]]
    ]


# --- convolutions ----------------------------------------------------------------------------


def convolved(conv: Conv) -> Reference:
    """What the string of a convolution means, in the words of ``conv_general_dilated``."""

    def reference(x: Tensor, w: Tensor) -> Tensor:
        x = conv.channels_to_front(x, jnp.transpose)
        w = conv.canonical_kernel(w, jnp.transpose)
        groups, channels, filters = conv.channels
        kernel = jnp.swapaxes(w, 1, 2).reshape((groups * filters, channels, *conv.kernel))
        y = _transposed(conv, x, kernel) if conv.transposed else _convolved(conv, x, kernel)
        return conv.as_written(y, jnp.transpose)

    return reference


def _convolved(conv: Conv, x: Tensor, kernel: Tensor) -> Tensor:
    return lax.conv_general_dilated(
        x, kernel, conv.strides, conv.padding, rhs_dilation=conv.dilations,
        feature_group_count=conv.channels[0],
    )  # fmt: skip


def _transposed(conv: Conv, x: Tensor, kernel: Tensor) -> Tensor:
    flipped = jnp.flip(kernel, tuple(range(2, kernel.ndim)))
    around = [
        (window.span - 1 - window.before, window.span - 1 - window.after + window.spare, step - 1)
        for window, step in zip(conv.windows, conv.strides, strict=True)
    ]
    return lax.conv_general_dilated(
        _padded(x, (0, 0, 0), (0, 0, 0), *around), flipped, (1,) * len(around), "VALID",
        rhs_dilation=conv.dilations, feature_group_count=conv.channels[0],
    )  # fmt: skip


def _padded(x: Tensor, *config: tuple[int, int, int]) -> Tensor:
    """Zeros before, after and between the elements of each axis; negative: elements dropped."""
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def roomy(conv: Conv) -> Conv:
    """The same convolution of a larger input.

    Where an input is smaller than its kernel, XLA swaps the two, and aborts the whole process on
    some that have zeros between their elements (jaxlib 0.10.2).
    """
    windows = (replace(window, count=window.count + 4) for window in conv.windows)
    return replace(conv, windows=tuple(windows))


@pytest.mark.parametrize(("conv", "dtype"), sampled([*map(roomy, CONVS)], 13, Conv.case))
def test_convolution(conv: Conv, dtype: str) -> None:
    check(conv.case(), dtype, vjp(convolved(conv)))


@pytest.mark.parametrize(("conv", "dtype"), sampled([*map(roomy, TRANSPOSED)], 13, Conv.case))
def test_transposed_convolution(conv: Conv, dtype: str) -> None:
    check(conv.case(), dtype, vjp(convolved(conv)))


@pytest.mark.parametrize(("conv", "dtype"), sampled([*map(roomy, UNEVEN)], 13, Conv.case))
def test_asymmetric_padding_and_cropping(conv: Conv, dtype: str) -> None:
    check(conv.case(), dtype, vjp(convolved(conv)))


# The distance between positions, between taps and between input elements; then the padding.
FRACTIONAL = [(1, 1, 2, 0), (2, 1, 3, 1), (3, 2, 2, 3), (1, 3, 2, 2), (2, 3, 5, 0), (4, 1, 3, 5)]


@pytest.mark.parametrize(("step", "tap", "divisor", "padding"), FRACTIONAL)
def test_convolution_of_a_dilated_input(step: int, tap: int, divisor: int, padding: int) -> None:
    count = (divisor * 5 + 2 * padding - 2 * tap) // step + 1
    case = Case(
        f"b (({step}*i+{tap}*k-{padding})/{divisor}) c, k c o -> b i o",
        ((2, 6, 3), (3, 3, 2)),
        {"i": count},
    )

    layout = ("NHC", "HIO", "NHC")

    def stuffed(x: Tensor, w: Tensor) -> Tensor:
        wide = _padded(x, (0, 0, 0), (padding, padding, divisor - 1), (0, 0, 0))
        return lax.conv_general_dilated(
            wide, w, (step,), "VALID", rhs_dilation=(tap,), dimension_numbers=layout
        )

    check(case, "int64", vjp(stuffed))
    x, w = case.arrays("float64")
    expected = lax.conv_general_dilated(
        x, w, (step,), [(padding, padding)], lhs_dilation=(divisor,), rhs_dilation=(tap,),
        dimension_numbers=layout,
    )  # fmt: skip
    assert_agrees(case.contraction(x, w, **case.extents), np.asarray(expected), "float64")


# --- pooling ---------------------------------------------------------------------------------


def pooled(pool: Pool) -> Reference:
    """What the string of a reduction over windows means, in the words of ``reduce_window``."""

    def over(x: Tensor, start: float, combine: Any) -> Tensor:
        return lax.reduce_window(
            x, start, combine, _spatial(pool, pool.kernel, 1), _spatial(pool, pool.strides, 1),
            _spatial(pool, pool.padding, (0, 0)), None, _spatial(pool, pool.dilations, 1),
        )  # fmt: skip

    return {
        "max": lambda x: over(x, -math.inf, lax.max),
        "min": lambda x: over(x, math.inf, lax.min),
        "mean": lambda x: over(x, 0.0, lax.add) / math.prod(pool.kernel),
        "logsumexp": lambda x: jnp.log(over(jnp.exp(x), 0.0, lax.add)),
    }[pool.reduce]


def _spatial(pool: Pool, values: Sequence[Any], elsewhere: Any) -> tuple[Any, ...]:
    channels_first = (elsewhere, elsewhere, *values)
    return channels_first if pool.channels_first else (elsewhere, *values, elsewhere)


def _has_gradient(pool: Pool) -> bool:
    """Whether jax derives it: no products, and no extrema of dilated or cropped windows."""
    plain = set(pool.dilations) == {1} and min(map(min, pool.padding)) >= 0
    return pool.reduce in ("mean", "logsumexp") or (pool.reduce in ("max", "min") and plain)


@pytest.mark.parametrize(
    ("pool", "dtype"), sampled([pool for pool in POOLS if _has_gradient(pool)], 4, Pool.case)
)
def test_pooling(pool: Pool, dtype: str) -> None:
    check(pool.case(), dtype, vjp(pooled(pool)))


@pytest.mark.parametrize("reduce", ["max", "min", "sum"])
@pytest.mark.parametrize(("step", "tap", "divisor", "padding"), FRACTIONAL)
def test_pooling_of_a_dilated_input(
    reduce: Reduction, step: int, tap: int, divisor: int, padding: int
) -> None:
    start, combine = {"max": (-math.inf, lax.max), "min": (math.inf, lax.min),
                      "sum": (0.0, lax.add)}[reduce]  # fmt: skip
    count = (divisor * 5 + 2 * padding - 2 * tap) // step + 1
    axis = f"(({step}*i+{tap}*k-{padding})/{divisor})"
    case = Case(f"b {axis} -> b i", ((2, 6),), {"i": count, "k": 3}, reduce)
    (x,) = case.arrays("float64")
    around = ((0, 0), (padding, padding))
    expected = lax.reduce_window(
        jnp.asarray(x), start, combine, (1, 3), (1, step), around, (1, divisor), (1, tap)
    )
    result = case.contraction(x, **case.extents)
    assert_agrees(result, np.asarray(expected), "float64")


# --- other layers ----------------------------------------------------------------------------


def _conv(x: Tensor, w: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """Channels last: ``b h w c, k l c o``."""
    return lax.conv_general_dilated(
        x, w, (stride,) * 2, [(padding,) * 2] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _low_rank_conv(*options: int) -> Reference:
    def reference(x: Tensor, *factors: Tensor) -> Tensor:
        return _conv(x, jnp.einsum("kr,lr,cr,or->klco", *factors), *options)

    return reference


def _local(x: Tensor, width: int) -> Tensor:
    reach = width // 2
    wide = jnp.pad(x, ((0, 0), (reach, reach), (0, 0)))
    return jnp.stack([wide[:, n : n + x.shape[1]] for n in range(width)], axis=-1)


def _einsum(spec: str) -> Reference:
    return lambda *operands: jnp.einsum(spec, *operands)


REFERENCES: dict[str, Reference] = {
    "dense on a grid": _einsum("bhwc,hwco->bo"),
    "batched matmul": jnp.matmul,
    "broadcast matmul": jnp.matmul,
    "attention scores": _einsum("bqhd,bkhd->bhqk"),
    "weighted values": _einsum("bhqk,bkhd->bqhd"),
    "linear attention": _einsum("bqhd,bkhd,bkhe->bqhe"),
    "local scores": lambda q, k: jnp.einsum("bqd,bqdk->bqk", q, _local(k, 5)),
    "local values": lambda a, v: jnp.einsum("bqk,bqdk->bqd", a, _local(v, 5)),
    "outer": jnp.outer,
    "bilinear": _einsum("bi,oij,bj->bo"),
    "gram matrix": _einsum("bhwc,bhwd->bcd"),
    "mixture of experts": _einsum("te,edf,td->tf"),
    "polynomial product": jnp.convolve,
    "moving sum": lambda x: jnp.cumsum(x, axis=1),
    "kernel of rank r": _low_rank_conv(),
    "strided kernel of rank r": _low_rank_conv(2, 1),
    "kernel with a core": lambda x, c, core, o: _conv(
        x, jnp.einsum("cp,klpq,oq->klco", c, core, o)
    ),
    "separable": lambda x, *factors: _conv(x, jnp.einsum("kc,lc,co->klco", *factors), 1, 1),
    "pixel shuffle": lambda x: x.reshape(2, 3, 4, 3, 2, 2).transpose(0, 1, 4, 2, 5, 3)
                               .reshape(2, 6, 8, 3),
    "repeat": lambda x: jnp.broadcast_to(x[:, None], (2, 4, 3)),
    "nearest upsampling": lambda x: jnp.repeat(jnp.repeat(x, 2, 2), 3, 3),
    "zero stuffing": lambda x: _padded(x, (0, 0, 0), (0, 0, 2), (0, 0, 0)),
    "crop and pad": lambda x: _padded(x, (0, 0, 0), (2, 1, 0), (-1, -1, 0), (0, 0, 0)),
    "diagonal": _einsum("bii->bi"),
    "trace": jnp.trace,
    "unfold": lambda x: lax.conv_general_dilated_patches(
        x, (3, 2), (2, 1), ((1, 1), (0, 0)), rhs_dilation=(1, 2)
    ).reshape(2, 18, 16),
    "global mean": lambda x: x.mean((2, 3)),
    "global logsumexp": lambda x: jax.nn.logsumexp(x, (1, 2)),
    "logsumexp of scores": lambda q, k: jax.nn.logsumexp(q[:, :, None] * k[:, None], 2),
}  # fmt: skip


@pytest.mark.parametrize(("name", "dtype"), sampled(list(REFERENCES), 1, lambda name: LAYERS[name]))
def test_layer(name: str, dtype: str) -> None:
    check(LAYERS[name], dtype, vjp(REFERENCES[name]))
