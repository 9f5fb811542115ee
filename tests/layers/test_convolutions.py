"""Convolutions are torch's, whatever their options."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch_layers import agree, channels_first, channels_last, convolved, numbers, seen, torch
from window_strategies import WindowOptions, window_options

from contractconv import Network
from contractconv.errors import OperandError, ParameterError, ShapeError
from contractconv.layers import Conv, ConvTransposed, Depthwise, Local, Part

truths = st.booleans()


def _kernel(w: Any, groups: int) -> Any:
    """Of all output channels first, then the input channels of a group."""
    weight = w["W"]
    if groups == 1:
        return weight.movedim((-1, -2), (0, 1))
    return weight.movedim((-3, -1, -2), (0, 1, 2)).flatten(0, 1)


@settings(max_examples=settings().max_examples // 10)
@given(window_options(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), truths)
def test_conv(options: WindowOptions, groups: int, read: int, made: int, bias: bool) -> None:
    part = Conv(groups * made, groups=groups, bias=bias, map="tanh", **options.given)

    def theirs(w: Any, x: Any) -> Any:
        found = convolved(x, _kernel(w, groups), w.get("bias"), options, groups)
        return torch.tanh(found)

    agree(part, theirs, numbers(*options.shape, groups * read))


@settings(max_examples=settings().max_examples // 15)
@given(window_options(), st.integers(1, 3), st.integers(1, 3), truths)
def test_depthwise(options: WindowOptions, channels: int, multiplier: int, bias: bool) -> None:
    part = Depthwise(multiplier=multiplier, bias=bias, **options.given)

    def theirs(w: Any, x: Any) -> Any:
        weight = w["W"] if multiplier > 1 else w["W"][..., None]
        kernel = weight.movedim((-2, -1), (0, 1)).flatten(0, 1)[:, None]
        return convolved(x, kernel, w.get("bias"), options, channels)

    agree(part, theirs, numbers(*options.shape, channels))


@settings(max_examples=settings().max_examples // 15)
@given(window_options(), st.integers(1, 2), st.integers(1, 2), truths)
def test_local(options: WindowOptions, read: int, made: int, bias: bool) -> None:
    part = Local(made, bias=bias, **options.given)
    places, taps = "ijm"[: options.rank], "kln"[: options.rank]

    def theirs(w: Any, x: Any) -> Any:
        windows = seen(channels_first(x), options)
        found = torch.einsum(f"bc{places}{taps},{places}{taps}co->b{places}o", windows, w["W"])
        return found if w.get("bias") is None else found + w["bias"]

    agree(part, theirs, numbers(*options.shape, read))


@settings(max_examples=settings().max_examples // 10)
@given(
    window_options(paddings="number each pair"), st.data(), st.integers(1, 2), st.integers(1, 2),
    st.integers(1, 2), truths,
)  # fmt: skip
def test_conv_transposed(
    options: WindowOptions, data: Any, groups: int, read: int, made: int, bias: bool
) -> None:
    added = data.draw(st.tuples(*(st.integers(0, s - 1) for s in options.strides)))
    part = ConvTransposed(
        groups * made, groups=groups, bias=bias, output_padding=added, **options.given
    )
    each = options.shape[1:], options.kernel, options.strides, options.dilations
    lengths = zip(*each, strict=True)
    wholes = [(n - 1) * s + d * (k - 1) + 1 for n, k, s, d in lengths]
    assume(all(n >= sum(pads) for n, pads in zip(wholes, options.pads, strict=True)))
    # Here it is the result that windows reach out of.
    around = [
        n
        for (before, after), more in zip(options.pads[::-1], added[::-1], strict=True)
        for n in (-before, more - after)
    ]

    def theirs(w: Any, x: Any) -> Any:
        weight = w["W"] if groups > 1 else w["W"][..., None, :, :]
        kernel = weight.movedim((-3, -2, -1), (0, 1, 2)).flatten(0, 1).contiguous()
        transpose = getattr(torch.nn.functional, f"conv_transpose{options.rank}d")
        whole = transpose(
            channels_first(x), kernel, None, options.strides, 0, 0, groups, options.dilations
        )
        found = channels_last(torch.nn.functional.pad(whole, around))
        return found if w.get("bias") is None else found + w["bias"]

    agree(part, theirs, numbers(*options.shape, groups * read))


@pytest.mark.parametrize(("stride", "padding", "added"), [(2, 1, 1), (3, 0, 2), (1, 2, 0)])
def test_conv_transposed_as_torch_pads_it(stride: int, padding: int, added: int) -> None:
    def theirs(w: Any, x: Any) -> Any:
        kernel = w["W"].movedim((-2, -1), (0, 1)).contiguous()
        made = torch.nn.functional.conv_transpose2d(
            channels_first(x), kernel, w["bias"], stride, padding, added
        )
        return channels_last(made)

    part = ConvTransposed(3, 4, stride=stride, padding=padding, output_padding=added)
    agree(part, theirs, numbers(2, 4, 5, 2))


STRINGS: dict[str, Part] = {
    "b (i+k) (j+l) c, k l c o -> b i j o + bias": Conv(4, 3),
    "b (2*i+3*k-1) c, k c o -> b i o, relu": Conv(
        4, (3,), stride=2, dilation=3, padding=1, bias=False, map="relu"
    ),
    "b (2*i+k-p) (j+l-1) (m+n-1) (g c), k l n g c o -> b i j m (g o) + bias": Conv(
        4, (3, 3, 3), stride=(2, 1, 1), padding="same", groups=2
    ),
    "b (i+k) (j+l) c, k l c o -> b i j (c o) + bias": Depthwise(3, multiplier=2),
    "b (i+k) c, i k c o -> b i o + bias": Local(4, (3,)),
    "b i j (g c), k l g c o -> b (2*i+k-1) (2*j+l-1) (g o) + bias": ConvTransposed(
        4, 3, stride=2, padding=1, groups=2
    ),
}


@pytest.mark.parametrize("string", STRINGS)
def test_strings(string: str) -> None:
    assert str(STRINGS[string]) == string


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Conv(0, 3), "filters=0"),
        (lambda: Conv(4.0, 3), "filters=4.0"),  # type: ignore[arg-type]
        (lambda: Conv(True, 3), "filters=True"),
        (lambda: Conv(4, 0), "kernel=0"),
        (lambda: Conv(4, "three"), "kernel='three'"),  # type: ignore[arg-type]
        (lambda: Conv(4, 2.5), "kernel=2.5"),  # type: ignore[arg-type]
        (lambda: Conv(4, ()), "kernel=()"),
        (lambda: Conv(4, (1, 1, 1, 1)), "one, two or three axes"),
        (lambda: Conv(4, 3, stride=0), "stride=0"),
        (lambda: Conv(4, 3, stride=(1, 2, 3)), "stride="),
        (lambda: Conv(4, 3, dilation=None), "dilation=None"),  # type: ignore[arg-type]
        (lambda: Conv(4, 3, padding="full"), "padding='full'"),  # type: ignore[arg-type]
        (lambda: Conv(4, 3, padding=-1), "padding=-1"),
        (lambda: Conv(4, 3, padding=((1, 2, 3), 1)), "padding="),  # type: ignore[arg-type]
        (lambda: Conv(4, 3, padding=None), "padding=None"),  # type: ignore[arg-type]
        (lambda: Conv(4, 3, groups=3), "filters=4 is no multiple of groups=3"),
        (lambda: Conv(4, 3, map="reluu"), "map='reluu'"),
        (lambda: Conv(4, 3, init="hee"), "hee"),
        (lambda: Depthwise(3, multiplier=0), "multiplier=0"),
        (lambda: Local(4, 3, stride=-1), "stride=-1"),
        (lambda: ConvTransposed(4, 3, padding="same"), "padding='same'"),  # type: ignore[arg-type]
        (lambda: ConvTransposed(4, 3, output_padding=-1), "output_padding=-1"),
    ],
)
def test_wrong_options(wrong: Any, said: str) -> None:
    with pytest.raises(ParameterError) as caught:
        wrong()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("part", "shape", "said"),
    [
        (Conv(4, 3), (8, 8, 3), "kernel=(3,)"),
        (Conv(4, 5), (1, 4, 8, 3), "conv_1: a window of 5 does not fit the axis 'h' of 4"),
        (Conv(4, 5, padding=((0, 0), (0, 1))), (1, 8, 3, 3), "of 3 with 0 and 1 around it"),
        (Conv(4, 3, groups=2), (1, 8, 8, 3), "conv_1:"),
        (ConvTransposed(4, 3, groups=2), (1, 8, 8, 3), "transposed_1:"),
        (Depthwise(3), (1, 8, 8), "depthwise_1:"),
        (Local(4, (3,)), (1, 2, 3), "local_1:"),
    ],
)
def test_wrong_shapes(part: Part, shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Network([part]).init(0, shape)
    assert said in str(caught.value)


def test_two_tensors() -> None:
    conv = Conv(3, 3)
    with pytest.raises(OperandError, match="conv_1"):
        Network(lambda x: conv(x, x)).init(0, (1, 8, 8, 3))


def test_axes_keep_their_names() -> None:
    for part in (Conv(4, 3, padding=1), Depthwise(3), Local(4, 3), ConvTransposed(4, 3)):
        traced = Network(part, inputs="n y x f").traced((1, 5, 6, 3))
        assert traced.output.axes == ("n", "y", "x", "f"), part


def test_a_shared_conv_on_axes_of_other_names() -> None:
    conv = Conv(3, (3,))

    def twice(x: Any) -> Any:
        return conv(conv(x).named("n s f"))

    def theirs(w: Any, x: Any) -> Any:
        kernel = w["W"].movedim((-1, -2), (0, 1))
        x = channels_first(x)
        for _ in range(2):
            x = torch.nn.functional.conv1d(x, kernel, w["bias"])
        return channels_last(x)

    agree(Network(twice), theirs, numbers(2, 7, 3))
