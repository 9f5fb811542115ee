"""The library against PyTorch: results and the gradient by every operand.

PyTorch computes with float64 where the library computes with int64, so those agree exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from conformance.cases import (
    ALIKE,
    CONVS,
    LARGE_CONVS,
    LARGE_POOLS,
    LAYERS,
    POOLS,
    TRANSPOSED,
    UNEVEN,
    VJP,
    Array,
    Conv,
    Pool,
    Pullback,
    Way,
    bound,
    called,
    check,
    compiled,
    gathered,
    scattered,
)

import contractconv as cc

torch: Any = pytest.importorskip("torch")
F: Any = torch.nn.functional

Tensor = Any
Reference = Callable[..., Tensor]

EVERY_CONV = [*CONVS, *TRANSPOSED, *UNEVEN, *ALIKE]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Keep torch's threads from fighting with those of numpy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def vjp(reference: Reference) -> VJP:
    """A function of tensors as one of arrays, with its pullback."""

    def run(operands: Sequence[Array]) -> tuple[Array, Pullback]:
        tensors = [torch.tensor(operand, requires_grad=True) for operand in operands]
        result = reference(*tensors)

        def pullback(cotangent: Array) -> list[Array]:
            gradients = torch.autograd.grad(result, tensors, torch.tensor(cotangent))
            return [gradient.numpy() for gradient in gradients]

        return result.detach().numpy(), pullback

    return run


# --- convolutions ----------------------------------------------------------------------------


def padded(x: Tensor, padding: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """Pad the last axes, or crop them where the padding is negative."""
    flat = [amount for pair in reversed(padding) for amount in pair]
    return F.pad(x, flat, value=value) if any(flat) else x


def convolved(conv: Conv) -> Reference:
    """What the string of a convolution means, in torch's words."""

    def reference(x: Tensor, w: Tensor) -> Tensor:
        x = conv.channels_to_front(x, torch.permute)
        w = conv.canonical_kernel(w, torch.permute)
        y = _transposed(conv, x, w) if conv.transposed else _convolved(conv, x, w)
        return conv.as_written(y, torch.permute)

    return reference


def _convolved(conv: Conv, x: Tensor, w: Tensor) -> Tensor:
    function = (F.conv1d, F.conv2d, F.conv3d)[len(conv.windows) - 1]
    even = all(window.even for window in conv.windows)
    x = x if even else padded(x, conv.padding)
    padding = tuple(before if even else 0 for before, _ in conv.padding)
    kernel = w.transpose(1, 2).flatten(0, 1)
    return function(
        x, kernel, stride=conv.strides, padding=padding, dilation=conv.dilations,
        groups=conv.channels[0],
    )  # fmt: skip


def _transposed(conv: Conv, x: Tensor, w: Tensor) -> Tensor:
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(conv.windows) - 1]
    even = all(window.even for window in conv.windows)
    y = function(
        x, w.flatten(0, 1), stride=conv.strides, dilation=conv.dilations, groups=conv.channels[0],
        padding=tuple(before if even else 0 for before, _ in conv.padding),
        output_padding=tuple(window.spare for window in conv.windows),
    )  # fmt: skip
    # What pads a convolution crops its transpose.
    return y if even else padded(y, [(-before, -after) for before, after in conv.padding])


def with_dtypes(windowed: Sequence[Any]) -> list[Any]:
    """Each convolution or reduction over windows with each dtype."""
    return [
        pytest.param(item, dtype, id=f"{item.case()}-{dtype}")
        for item in windowed
        for dtype in item.case().dtypes
    ]


@pytest.mark.parametrize(("conv", "dtype"), with_dtypes(CONVS))
def test_convolution(conv: Conv, dtype: str) -> None:
    check(conv.case(), dtype, vjp(convolved(conv)))


@pytest.mark.parametrize(("conv", "dtype"), with_dtypes(TRANSPOSED))
def test_transposed_convolution(conv: Conv, dtype: str) -> None:
    check(conv.case(), dtype, vjp(convolved(conv)))


@pytest.mark.parametrize(("conv", "dtype"), with_dtypes(UNEVEN))
def test_asymmetric_padding_and_cropping(conv: Conv, dtype: str) -> None:
    check(conv.case(), dtype, vjp(convolved(conv)))


@pytest.mark.parametrize(("conv", "dtype"), with_dtypes(ALIKE))
def test_one_window_on_every_axis(conv: Conv, dtype: str) -> None:
    check(conv.case(), dtype, vjp(convolved(conv)))


@pytest.mark.parametrize(("conv", "dtype"), with_dtypes(LARGE_CONVS))
def test_large_convolution(conv: Conv, dtype: str) -> None:
    check(conv.case(), dtype, vjp(convolved(conv)))


@pytest.mark.parametrize("way", [called, bound, compiled], ids=lambda way: way.__name__)
@pytest.mark.parametrize("conv", EVERY_CONV, ids=lambda conv: str(conv.case(symbolic=True)))
def test_convolution_with_parameters(conv: Conv, way: Way) -> None:
    check(conv.case(symbolic=True), "int64", vjp(convolved(conv)), way)


@pytest.mark.parametrize("way", [scattered, gathered], ids=lambda way: way.__name__)
@pytest.mark.parametrize("conv", EVERY_CONV[::2], ids=lambda conv: str(conv.case()))
def test_printed_gradients_of_convolutions(conv: Conv, way: Way) -> None:
    check(conv.case(), "int64", vjp(convolved(conv)), way)


@pytest.mark.parametrize("dtype", CONVS[0].case().dtypes)
def test_a_wrong_result_is_noticed(dtype: str) -> None:
    conv = CONVS[0]
    right = convolved(conv)
    with pytest.raises(AssertionError):
        check(conv.case(), dtype, vjp(lambda x, w: right(x, w).flip(1)))


@pytest.mark.parametrize("dtype", CONVS[0].case().dtypes)
@pytest.mark.parametrize("operand", [0, 1])
def test_a_wrong_gradient_of_a_right_result_is_noticed(operand: int, dtype: str) -> None:
    conv = CONVS[0]

    def half_as_steep(*tensors: Tensor) -> Tensor:
        faulty = tensors[operand]
        halves = (faulty + faulty.detach()) / 2
        return convolved(conv)(*tensors[:operand], halves, *tensors[operand + 1 :])

    with pytest.raises(AssertionError):
        check(conv.case(), dtype, vjp(half_as_steep))


# --- pooling ---------------------------------------------------------------------------------


def pooled(pool: Pool) -> Reference:
    """What the string of a reduction over windows means, in torch's words."""
    over_space = {"max": _max_pool, "min": _min_pool, "mean": _mean_pool,
                  "logsumexp": _logsumexp_pool, "prod": _prod_pool}[pool.reduce]  # fmt: skip

    def reference(x: Tensor) -> Tensor:
        if pool.channels_first:
            return over_space(pool, x)
        return over_space(pool, x.movedim(-1, 1)).movedim(1, -1)

    return reference


def _native_padding(pool: Pool) -> bool:
    """Whether torch's pooling takes the padding: even, and at most half of the window."""
    return all(window.even and 2 * window.before <= window.kernel for window in pool.windows)


def _max_pool(pool: Pool, x: Tensor) -> Tensor:
    function = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(pool.windows) - 1]
    native = _native_padding(pool)
    x = x if native else padded(x, pool.padding, -math.inf)
    padding = tuple(before if native else 0 for before, _ in pool.padding)
    return function(x, pool.kernel, pool.strides, padding, pool.dilations)


def _min_pool(pool: Pool, x: Tensor) -> Tensor:
    return -_max_pool(pool, -x)


def _mean_pool(pool: Pool, x: Tensor) -> Tensor:
    if set(pool.dilations) != {1}:
        return _unfolded(pool, x, 0).mean(_tap_axes(pool))
    function = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(pool.windows) - 1]
    native = _native_padding(pool)
    x = x if native else padded(x, pool.padding)
    padding = tuple(before if native else 0 for before, _ in pool.padding)
    return function(x, pool.kernel, pool.strides, padding, count_include_pad=True)


def _logsumexp_pool(pool: Pool, x: Tensor) -> Tensor:
    return _unfolded(pool, x, -math.inf).logsumexp(_tap_axes(pool))


def _prod_pool(pool: Pool, x: Tensor) -> Tensor:
    return _unfolded(pool, x, 1).flatten(-len(pool.windows)).prod(-1)


def _tap_axes(pool: Pool) -> tuple[int, ...]:
    return tuple(range(-len(pool.windows), 0))


def _unfolded(pool: Pool, x: Tensor, outside: float) -> Tensor:
    """Every window spelled out: (batch, channels, positions..., taps...)."""
    x = padded(x, pool.padding, outside)
    for axis, window in enumerate(pool.windows, start=2):
        x = x.unfold(axis, window.span, window.stride)[..., :: window.dilation]
    return x


@pytest.mark.parametrize(("pool", "dtype"), with_dtypes(POOLS))
def test_pooling(pool: Pool, dtype: str) -> None:
    check(pool.case(), dtype, vjp(pooled(pool)))


@pytest.mark.parametrize(("pool", "dtype"), with_dtypes(LARGE_POOLS))
def test_large_pooling(pool: Pool, dtype: str) -> None:
    check(pool.case(), dtype, vjp(pooled(pool)))


@pytest.mark.parametrize("pool", POOLS[::4], ids=lambda pool: str(pool.case()))
def test_compiled_pooling(pool: Pool) -> None:
    check(pool.case(), "float64", vjp(pooled(pool)), compiled)


TIED = [
    ("b (i+k) (j+l) c -> b i j c", 3, 1, 0),
    ("b (i+k-1) (j+l-1) c -> b i j c", 3, 1, 1),
    ("b (2*i+k-1) (2*j+l-1) c -> b i j c", 3, 2, 1),
    ("b (3*i+k) (3*j+l) c -> b i j c", 2, 3, 0),
]


@pytest.mark.parametrize("levels", [1, 2], ids=["constant", "two values"])
@pytest.mark.parametrize(("spec", "kernel", "stride", "padding"), TIED)
def test_the_first_of_equal_maxima_takes_the_gradient(
    spec: str, kernel: int, stride: int, padding: int, levels: int
) -> None:
    x = np.random.default_rng(kernel).integers(0, levels, (2, 8, 7, 3)).astype(float)
    pool = cc.Contraction(spec, reduce="max")

    def reference(image: Tensor) -> Tensor:
        y = F.max_pool2d(image.movedim(-1, 1), kernel, stride, padding)
        return y.movedim(1, -1)

    expected, pullback = vjp(reference)([x])
    cotangent = np.random.default_rng(1).integers(1, 9, expected.shape).astype(float)
    np.testing.assert_array_equal(pool(x, k=kernel, l=kernel), expected)
    result = pool.grad(0)(cotangent, x, k=kernel, l=kernel)
    np.testing.assert_array_equal(result, pullback(cotangent)[0])


def test_the_greatest_of_infinities_and_nan() -> None:
    x = np.array([[-np.inf, -np.inf, -np.inf, 3.0, np.inf, np.nan, 1.0, np.inf, np.inf]])
    pool = cc.Contraction("b (i+k-1) -> b i", reduce="max")
    expected, pullback = vjp(lambda tensor: F.max_pool1d(tensor, 3, 1, 1))([x])
    np.testing.assert_array_equal(pool(x, k=3), expected)
    without_nan = np.where(np.isnan(x), 0, x)
    _, pullback = vjp(lambda tensor: F.max_pool1d(tensor, 3, 1, 1))([without_nan])
    cotangent = np.arange(1.0, 10).reshape(1, 9)
    result = pool.grad(0)(cotangent, without_nan, k=3)
    np.testing.assert_array_equal(result, pullback(cotangent)[0])


# --- other layers ----------------------------------------------------------------------------


def _local(x: Tensor, width: int, dilation: int = 1) -> Tensor:
    """What each position of ``b t d`` sees around it: ``b t d k``."""
    reach = dilation * (width // 2)
    return F.pad(x, (0, 0, reach, reach)).unfold(1, 2 * reach + 1, 1)[..., ::dilation]


def _image(x: Tensor) -> Tensor:
    return x.movedim(-1, 1)


def _grid(x: Tensor) -> Tensor:
    return x.movedim(1, -1)


def _cost_volume(x: Tensor, y: Tensor) -> Tensor:
    near = F.pad(y, (0, 0, 2, 2, 1, 1)).unfold(1, 3, 1).unfold(2, 5, 1)
    return (x[..., None, None] * near).sum(3)


def _low_rank_conv(*options: Any) -> Reference:
    def reference(x: Tensor, k: Tensor, l: Tensor, c: Tensor, o: Tensor) -> Tensor:  # noqa: E741
        kernel = torch.einsum("kr,lr,cr,or->ockl", k, l, c, o)
        return _grid(F.conv2d(_image(x), kernel, None, *options))

    return reference


def _tucker_conv(x: Tensor, c: Tensor, core: Tensor, o: Tensor) -> Tensor:
    return _grid(F.conv2d(_image(x), torch.einsum("cp,klpq,oq->ockl", c, core, o)))


def _separable(x: Tensor, k: Tensor, l: Tensor, point: Tensor) -> Tensor:  # noqa: E741
    depth = torch.einsum("kc,lc->ckl", k, l)[:, None]
    return _grid(F.conv2d(_image(x), depth, padding=1, groups=3)) @ point


def _locally_connected(x: Tensor, w: Tensor) -> Tensor:
    near = x.unfold(1, 2, 1).unfold(2, 3, 1)
    return (near[..., None] * w.permute(0, 1, 4, 2, 3, 5)).sum((3, 4, 5))


def _causal(x: Tensor, w: Tensor) -> Tensor:
    kernel = w.flip(0).T[:, None]
    return F.conv1d(F.pad(x.mT, (3, 0)), kernel, groups=3).mT


def _resampled(x: Tensor, w: Tensor) -> Tensor:
    """Twice as long, with zeros between; three steps a position, two a tap."""
    stuffed = torch.zeros((2, 13, 3), dtype=x.dtype).index_copy(1, torch.arange(0, 13, 2), x)
    y = F.conv1d(F.pad(stuffed.mT, (4, 10)), w.permute(2, 1, 0), stride=3, dilation=2)
    return y.mT[:, :5]


def _weighted_min(x: Tensor, w: Tensor) -> Tensor:
    # What lies outside does not contribute, whatever the sign of its weight.
    inside = F.pad(torch.ones_like(x), (0, 0, 1, 1)).unfold(1, 4, 2) > 0
    products = F.pad(x, (0, 0, 1, 1)).unfold(1, 4, 2) * w.T
    return -F.max_pool1d(_flat(-products.masked_fill(~inside, math.inf)), 4).reshape(2, -1, 3)


def _weighted_max(x: Tensor, w: Tensor) -> Tensor:
    taps, channels = w.shape
    return F.max_pool1d(_flat(x.unfold(1, taps, 1) * w.T), taps).reshape(2, -1, channels)


def _flat(windows: Tensor) -> Tensor:
    # Only pooling says which of equal maxima it chooses.
    return windows.reshape(1, 1, -1)


REFERENCES: dict[str, Reference] = {
    "dense": lambda x, w: F.linear(x, w.T),
    "dense on a grid": lambda x, w: F.linear(x.flatten(1), w.flatten(0, 2).T),
    "batched matmul": torch.bmm,
    "broadcast matmul": torch.matmul,
    "attention scores": lambda q, k: q.transpose(1, 2) @ k.permute(0, 2, 3, 1),
    "weighted values": lambda a, v: (a @ v.transpose(1, 2)).transpose(1, 2),
    "linear attention": lambda q, k, v: torch.einsum("bqhd,bhde->bqhe", q,
                                                     torch.einsum("bkhd,bkhe->bhde", k, v)),
    "local scores": lambda q, k: (q[..., None] * _local(k, 5)).sum(2),
    "local values": lambda a, v: (a[:, :, None] * _local(v, 5)).sum(3),
    "dilated scores": lambda q, k: (q[..., None] * _local(k, 5, 3)).sum(2),
    "cost volume": _cost_volume,
    "outer": torch.outer,
    "batched outer": lambda x, y: x[:, :, None] * y[:, None],
    "bilinear": lambda x, w, y: F.bilinear(x, y, w),
    "gram matrix": lambda x, y: x.flatten(1, 2).mT @ y.flatten(1, 2),
    "channel gate": lambda x, g: x * g[:, None, None],
    "mixture of experts": lambda g, w, x: (g[:, :, None] * torch.matmul(x, w).movedim(0, 1)).sum(1),
    "polynomial product": lambda x, y: F.conv1d(F.pad(x, (5, 5))[None], y.flip(0)[None, None])[0],
    "causal filter": _causal,
    "moving sum": lambda x: x.cumsum(1),
    "dynamic filter": lambda x, w: (_local(x, 3) * w[:, :, None]).sum(3),
    "locally connected": _locally_connected,
    "kernel of rank r": _low_rank_conv(),
    "strided kernel of rank r": _low_rank_conv(2, 1),
    "kernel with a core": _tucker_conv,
    "separable": _separable,
    "quadratic filter": lambda x, y, w: torch.einsum("bik,bil,kl->bi", x.unfold(1, 3, 1)[:, :5],
                                                     y.unfold(1, 4, 1), w),
    "torch's depthwise kernel": lambda x, w: F.conv2d(x, w, None, (2, 1), (0, 1), 1, 3),
    "patches": lambda x, w: _grid(F.conv2d(_image(x), w.permute(3, 2, 0, 1), stride=(3, 2))),
    "pixel shuffle": lambda x: _grid(F.pixel_shuffle(_image(x), 2)),
    "pixel shuffle, channels first": lambda x: F.pixel_shuffle(x, 3),
    "pixel unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "channel shuffle": lambda x: F.channel_shuffle(x, 2),
    "transposition": lambda x: x.permute(0, 3, 1, 2),
    "merged heads": lambda x: x.flatten(2),
    "split heads": lambda x: x.unflatten(2, (3, 5)).transpose(1, 2),
    "repeat": lambda x: x[:, None].repeat(1, 4, 1),
    "nearest upsampling": lambda x: F.interpolate(x, scale_factor=(2, 3), mode="nearest"),
    "zero stuffing": lambda x: F.pad(x[:, :, None], (0, 0, 0, 2)).flatten(1, 2)[:, :-2],
    "subsampling": lambda x: x[:, 1::2],
    "crop and pad": lambda x: F.pad(x, (0, 0, -1, -1, 2, 1)),
    "flip": lambda x: x.flip(1),
    "first token": lambda x, w: x[:, 0] @ w,
    "diagonal": lambda x: x.diagonal(dim1=1, dim2=2),
    "diagonal embedding": torch.diag_embed,
    "trace": torch.trace,
    "unfold": lambda x: F.unfold(x, (3, 2), (1, 2), (1, 0), (2, 1)),
    "fold": lambda x: F.fold(x, (7, 6), (3, 2), (1, 2), (1, 0), (2, 1)),
    "cropped start": lambda x, w: F.conv1d(x[:, 2:].mT, w.permute(2, 1, 0), stride=2).mT,
    "kernel of a result": lambda x, g: torch.nn.grad.conv1d_weight(
        x.mT, (2, 3, 3), g.mT, stride=2, padding=1
    ).permute(2, 1, 0),
    "resampling": _resampled,
    "global maximum": lambda x: F.adaptive_max_pool2d(_image(x), 1)[..., 0, 0],
    "global mean": lambda x: F.adaptive_avg_pool2d(x, 1)[..., 0, 0],
    "global logsumexp": lambda x: x.logsumexp((1, 2)),
    "block maximum": lambda x: _grid(F.max_pool2d(_image(x), (2, 3))),
    "block mean": lambda x: _grid(F.avg_pool2d(_image(x), (2, 3))),
    "logsumexp of scores": lambda q, k: (q[:, :, None] * k[:, None]).logsumexp(2),
    "weighted maximum": _weighted_max,
    "wide weighted maximum": _weighted_max,
    "padded weighted minimum": _weighted_min,
}  # fmt: skip


def test_every_layer_has_a_reference() -> None:
    assert REFERENCES.keys() == LAYERS.keys()


@pytest.mark.parametrize(
    ("name", "dtype"), [(name, dtype) for name, case in LAYERS.items() for dtype in case.dtypes]
)
def test_layer(name: str, dtype: str) -> None:
    check(LAYERS[name], dtype, vjp(REFERENCES[name]))


@pytest.mark.parametrize("name", LAYERS)
def test_compiled_layer(name: str) -> None:
    check(LAYERS[name], "float64", vjp(REFERENCES[name]), compiled)


# An ellipsis that broadcast has no string: only the call knows which axes it has to add up.
PRINTED = [name for name, case in LAYERS.items() if case.reduce == "sum" and "..." not in case.spec]


@pytest.mark.parametrize("way", [scattered, gathered], ids=lambda way: way.__name__)
@pytest.mark.parametrize("name", PRINTED)
def test_printed_gradients_of_layers(name: str, way: Way) -> None:
    check(LAYERS[name], "int64", vjp(REFERENCES[name]), way)
