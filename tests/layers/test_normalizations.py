"""Normalisations are torch's, in training and afterwards."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch_layers import (
    agree,
    channels_first,
    channels_last,
    numbers,
    random_parameters,
    torch,
)

from contractconv import Network
from contractconv.api.tensor import Tensor
from contractconv.errors import OperandError, ParameterError, ShapeError
from contractconv.layers import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, Part, RMSNorm

truths = st.booleans()
epsilons = st.sampled_from([1e-5, 0.1])
images = st.lists(st.integers(1, 4), max_size=3).map(tuple)


@settings(max_examples=settings().max_examples // 10)
@given(images, st.sampled_from([0, 2, 3]), truths, truths, truths, epsilons)
def test_batch_norm(
    image: tuple[int, ...], batch: int, scale: bool, shift: bool, training: bool, epsilon: float
) -> None:
    def theirs(w: Any, x: Any) -> Any:
        running = w["mean"].clone(), w["variance"].clone()
        made = torch.nn.functional.batch_norm(
            channels_first(x), *running, w.get("scale"), w.get("shift"), training, eps=epsilon
        )
        return channels_last(made)

    part = BatchNorm(epsilon=epsilon, scale=scale, shift=shift)
    agree(part, theirs, numbers(batch, *image, 3), training=training)


@pytest.mark.parametrize("image", [(), (4,), (2, 3), (1, 2, 2)])
@pytest.mark.parametrize("momentum", [0.1, 0.4, 1.0, 0.0])
def test_running_statistics_over_several_batches(image: tuple[int, ...], momentum: float) -> None:
    network = Network(BatchNorm(momentum=momentum))
    kind = [torch.nn.BatchNorm1d, torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d]
    module = kind[len(image)](3, momentum=momentum).double()
    params = network.init(0, (2, *image, 3), dtype="float64")
    for batch in (2, 5, 0, 3):
        x = numbers(batch, *image, 3, seed=batch) * 2 + 1
        params = network.statistics(params, x)
        module(channels_first(torch.tensor(x)))
    np.testing.assert_allclose(params["mean"], module.running_mean, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(params["variance"], module.running_var, rtol=1e-12)
    made = module.eval()(channels_first(torch.tensor(x)))
    np.testing.assert_allclose(network(params, x), channels_last(made).detach(), rtol=1e-10)


def test_a_shared_batch_norm_moves_twice_whatever_axes_are_called() -> None:
    norm = BatchNorm()

    def twice(x: Tensor, y: Tensor) -> Tensor:
        return norm(norm(x) + norm(y.named("n d")).named(x.axes))

    network = Network(twice)
    x, y = numbers(4, 3), numbers(4, 3, seed=1)
    params = network.init(0, x, y, dtype="float64")
    moved = network.statistics(params, x, y)["batch_norm_1"]
    module = torch.nn.BatchNorm1d(3).double()
    module(module(torch.tensor(x)) + module(torch.tensor(y)))
    np.testing.assert_allclose(moved["mean"], module.running_mean, rtol=1e-12)
    np.testing.assert_allclose(moved["variance"], module.running_var, rtol=1e-12)


def test_statistics_are_parameters_that_are_not_trained() -> None:
    network = Network([BatchNorm()])
    params = network.init(0, (4, 3))
    assert list(params["batch_norm_1"]) == ["scale", "shift", "mean", "variance"]
    assert params["batch_norm_1"]["variance"].tolist() == [1, 1, 1]
    _, grads = network.loss_and_grad(params, np.ones((4, 3), "f"), np.ones((4, 3), "f"), loss="mse")
    assert list(grads["batch_norm_1"]) == ["scale", "shift"]


@settings(max_examples=settings().max_examples // 12)
@given(images, st.integers(0, 3), st.integers(1, 3), truths, truths, epsilons)
def test_layer_norm(
    image: tuple[int, ...], batch: int, count: int, scale: bool, shift: bool, epsilon: float
) -> None:
    x = numbers(batch, *image, 3)
    count = min(count, x.ndim - 1)

    def theirs(w: Any, x: Any) -> Any:
        shape = x.shape[x.ndim - count :]
        return torch.nn.functional.layer_norm(x, shape, w.get("scale"), w.get("shift"), epsilon)

    over = "abc"[:count]
    agree(LayerNorm(list(over), epsilon=epsilon, scale=scale, shift=shift), theirs, x)


@settings(max_examples=settings().max_examples // 12)
@given(images, st.integers(0, 3), st.integers(1, 3), truths, st.sampled_from([1e-6, 0.1]))
def test_rms_norm(
    image: tuple[int, ...], batch: int, count: int, scale: bool, epsilon: float
) -> None:
    x = numbers(batch, *image, 3)
    count = min(count, x.ndim - 1)

    def theirs(w: Any, x: Any) -> Any:
        return torch.nn.functional.rms_norm(x, x.shape[x.ndim - count :], w.get("scale"), epsilon)

    agree(RMSNorm(list("abc"[:count]), epsilon=epsilon, scale=scale), theirs, x)


@settings(max_examples=settings().max_examples // 12)
@given(images, st.integers(0, 3), st.sampled_from([1, 2, 3, 6]), truths, truths, epsilons)
def test_group_norm(
    image: tuple[int, ...], batch: int, groups: int, scale: bool, shift: bool, epsilon: float
) -> None:
    def theirs(w: Any, x: Any) -> Any:
        ones = torch.ones(6).double() if shift else None  # torch has no shift without a scale
        scale = w.get("scale") if w.get("scale") is not None else ones
        made = torch.nn.functional.group_norm(
            channels_first(x), groups, scale, w.get("shift"), epsilon
        )
        return channels_last(made)

    assume(batch * prod(image) * 6 // groups != 1)  # which torch refuses
    part = GroupNorm(groups, epsilon=epsilon, scale=scale, shift=shift)
    agree(part, theirs, numbers(batch, *image, 6))


@settings(max_examples=settings().max_examples // 12)
@given(
    st.lists(st.integers(2, 4), min_size=1, max_size=3), st.integers(1, 3), truths, truths, epsilons
)
def test_instance_norm(
    image: list[int], batch: int, scale: bool, shift: bool, epsilon: float
) -> None:
    def theirs(w: Any, x: Any) -> Any:
        scales = w.get("scale"), w.get("shift")
        made = torch.nn.functional.instance_norm(
            channels_first(x), None, None, *scales, eps=epsilon
        )
        return channels_last(made)

    part = InstanceNorm(epsilon=epsilon, scale=scale, shift=shift)
    agree(part, theirs, numbers(batch, *image, 3))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_numbers_of_other_sizes(dtype: str) -> None:
    network = Network([BatchNorm(), GroupNorm(2), LayerNorm(), RMSNorm(), InstanceNorm()])
    x = numbers(3, 4, 4, 6)
    wide = random_parameters(network, x)
    narrow = {k: {n: a.astype(dtype) for n, a in v.items()} for k, v in wide.items()}
    found = network(narrow, x.astype(dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, network(wide, x), atol=5e-2 if dtype == "float16" else 1e-5)


STRINGS = {
    "... c -> c, normalize by mean and variance, * scale + shift": BatchNorm(),
    "... c -> c, normalize by mean and variance": BatchNorm(scale=False, shift=False),
    "... h w c -> ..., normalize by mean and variance, * scale": LayerNorm("h w c", shift=False),
    "b ... (g c) -> b g, normalize by mean and variance, + shift": GroupNorm(2, scale=False),
    "b ... c -> b c, normalize by mean and variance": InstanceNorm(),
    "... c -> ..., normalize by mean square, * scale": RMSNorm(),
}


@pytest.mark.parametrize("string", STRINGS)
def test_strings(string: str) -> None:
    assert str(STRINGS[string]) == string


def test_options_are_shown() -> None:
    assert repr(BatchNorm(momentum=0.2, name="bn")) == "BatchNorm(momentum=0.2, name='bn')"


@pytest.mark.parametrize(
    ("wrong", "options"),
    [
        (BatchNorm, {"momentum": 1.5}),
        (BatchNorm, {"epsilon": -1}),
        (BatchNorm, {"epsilon": float("nan")}),
        (BatchNorm, {"momentum": None}),
        (LayerNorm, {"over": ""}),
        (LayerNorm, {"epsilon": "small"}),
        (GroupNorm, {"groups": 0}),
        (GroupNorm, {"groups": 2.0}),
        (RMSNorm, {"over": []}),
        (InstanceNorm, {"epsilon": -1e-9}),
    ],
)
def test_wrong_options(wrong: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        wrong(**options)


@pytest.mark.parametrize(
    ("part", "shape", "said"),
    [
        (BatchNorm(), (3,), "at least 2 axes"),
        (InstanceNorm(), (3, 4), "at least 3 axes"),
        (GroupNorm(3), (2, 4, 8), "8 channels are no multiple of groups=3"),
        (LayerNorm("h w c"), (2, 4), "over='h w c' averages over 3 axes, but only 'b c' come in"),
    ],
)
def test_wrong_shapes(part: Part, shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        Network([part]).init(0, shape)


def test_one_number_has_no_variance() -> None:
    network = Network([BatchNorm()])
    network(network.init(0, (1, 3)), np.ones((1, 3)))
    with pytest.raises(ShapeError, match="batch_norm_1: a single number of each channel"):
        network.traced((1, 3), training=True)


def test_one_tensor_comes_in() -> None:
    norm = BatchNorm()

    def two(x: Tensor) -> Tensor:
        return norm(x, x)

    with pytest.raises(OperandError, match="2 tensors come into a batch_norm"):
        Network(two).init(0, (2, 3))
