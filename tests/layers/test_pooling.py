"""Pooling is torch's, whatever its options."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_layers import agree, channels_first, channels_last, numbers, padded, seen, torch
from window_strategies import WindowOptions, window_options

from contractconv import Network
from contractconv.errors import ParameterError, ReductionError, ShapeError
from contractconv.layers import AveragePool, GlobalPool, MaxPool, Part


def _added_up(x: Any, options: WindowOptions) -> Any:
    """The sum of each window, of each channel."""
    channels = x.shape[1]
    ones = torch.ones(channels, 1, *options.kernel).double()
    add = getattr(torch.nn.functional, f"conv{options.rank}d")
    steps = options.strides, 0, options.dilations
    return add(padded(x, options), ones, None, *steps, channels)


@settings(max_examples=settings().max_examples // 12)
@given(window_options(), st.integers(1, 3))
def test_max_pool(options: WindowOptions, channels: int) -> None:
    def theirs(w: Any, x: Any) -> Any:
        # Torch's own layer sends gradients of windows that see nothing to an element of the image.
        windows = seen(channels_first(x), options, float("-inf"))
        return channels_last(windows.amax(tuple(range(-options.rank, 0))))

    agree(MaxPool(**options.given), theirs, numbers(*options.shape, channels))


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(2, 1, 1), (1, 0, 2), (3, 1, 1)])
def test_max_pool_as_torch_has_it(stride: int, padding: int, dilation: int) -> None:
    def theirs(w: Any, x: Any) -> Any:
        pool = torch.nn.functional.max_pool2d
        return channels_last(pool(channels_first(x), 3, stride, padding, dilation))

    part = MaxPool(3, stride=stride, padding=padding, dilation=dilation)
    agree(part, theirs, numbers(2, 7, 9, 3))


@settings(max_examples=settings().max_examples // 12)
@given(window_options(), st.integers(1, 3), st.booleans())
def test_average_pool(options: WindowOptions, channels: int, count: bool) -> None:
    def theirs(w: Any, x: Any) -> Any:
        x = channels_first(x)
        ones = torch.ones(1, 1, *options.shape[1:]).double()
        counted = 1
        for size in options.kernel:
            counted *= size
        sizes = counted if count else _added_up(ones, options)
        return channels_last(_added_up(x, options) / sizes)

    part = AveragePool(count_padding=count, **options.given)
    agree(part, theirs, numbers(*options.shape, channels))


@pytest.mark.parametrize("count", [True, False])
def test_average_pool_as_torch_counts(count: bool) -> None:
    def theirs(w: Any, x: Any) -> Any:
        pool = torch.nn.functional.avg_pool2d
        return channels_last(pool(channels_first(x), 3, 2, 1, count_include_pad=count))

    part = AveragePool(3, stride=2, padding=1, count_padding=count)
    agree(part, theirs, numbers(2, 7, 9, 3))


@pytest.mark.parametrize("image", [(4,), (3, 5), (2, 3, 4)])
@pytest.mark.parametrize("reduce", ["mean", "max", "min", "sum", "logsumexp"])
@pytest.mark.parametrize("batch", [2, 0])
def test_global_pool(image: tuple[int, ...], reduce: Any, batch: int) -> None:
    def theirs(w: Any, x: Any) -> Any:
        axes = tuple(range(1, x.ndim - 1))
        return getattr(torch, {"max": "amax", "min": "amin"}.get(reduce, reduce))(x, axes)

    agree(GlobalPool(reduce, axes=len(image)), theirs, numbers(batch, *image, 3))


STRINGS = {
    "b (2*i+k) (2*j+l) c -> b i j c, reduce max": MaxPool(2),
    "b (i+2*k-1) c -> b i c, reduce max": MaxPool((3,), stride=1, dilation=2, padding=1),
    "b (3*i+k) (3*j+l) c -> b i j c, reduce mean": AveragePool(3),
    "b i j m c -> b c, reduce mean": GlobalPool(axes=3),
    "b i j c -> b c, reduce max": GlobalPool("max"),
}


@pytest.mark.parametrize("string", STRINGS)
def test_strings(string: str) -> None:
    assert str(STRINGS[string]) == string


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: MaxPool(0),
        lambda: MaxPool(2, stride=0),
        lambda: AveragePool((2, 2), padding=(1, 2, 3)),
        lambda: GlobalPool("median"),  # type: ignore[arg-type]
        lambda: GlobalPool(axes=0),
        lambda: GlobalPool(axes=4),
    ],
)
def test_wrong_options(wrong: Any) -> None:
    with pytest.raises((ParameterError, ReductionError)):
        wrong()


@pytest.mark.parametrize(
    ("part", "shape", "said"),
    [
        (MaxPool(2), (2, 4, 3), "max_pool_1: max_pool runs along 2 axes"),
        (MaxPool(5), (2, 4, 4, 3), "a window of 5 does not fit"),
        (GlobalPool(), (2, 4, 3), "say axes=1"),
    ],
)
def test_wrong_shapes(part: Part, shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Network([part]).init(0, shape)
    assert said in str(caught.value)
