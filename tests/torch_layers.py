"""Layers compared with torch's: values, and gradients by what comes in and by all parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from window_strategies import WindowOptions

import contractconv as cc
from contractconv.api.symbolic import grad
from contractconv.layers.nesting import flattened, nested
from contractconv.networks.masks import drawn_masks
from contractconv.networks.network import Network
from contractconv.networks.traced import Traced


class _Late:
    """Torch, where it is used: without it a test is skipped."""

    def __getattr__(self, name: str) -> Any:
        return getattr(pytest.importorskip("torch"), name)


torch: Any = _Late()

Array = NDArray[Any]
Path = tuple[str, ...]


class Weights:
    """The parameters of a layer as torch's tensors, by their roles."""

    def __init__(self, tensors: Mapping[Path, Any]) -> None:
        self.tensors = dict(tensors)

    def __getitem__(self, role: str) -> Any:
        (found,) = [tensor for path, tensor in self.tensors.items() if path[-1] == role]
        return found

    def get(self, role: str) -> Any:
        """One that a layer may not have."""
        return self[role] if any(path[-1] == role for path in self.tensors) else None


def agree(
    part: Any,
    theirs: Callable[..., Any],
    *inputs: Array,
    training: bool = False,
    rng: int = 0,
    tolerance: float = 1e-9,
) -> None:
    """Compare a layer, or a network, with torch's.

    Args:
        part: a layer, a list of them, or a network.
        theirs: makes the same of torch's tensors: of weights in our layouts, of what comes in, and
            of masks.
        inputs: what comes in.
        training: as it is in training, or afterwards.
        rng: a seed.
        tolerance: relative to the greatest number in a result.
    """
    network = part if isinstance(part, Network) else Network(part)
    traced = network.traced(*inputs, training=training)
    params = random_parameters(network, *inputs)
    masks = drawn_masks(traced, rng)
    found = _ours(traced, params, inputs, masks)
    wanted = _theirs(theirs, traced, params, inputs, masks)
    for (name, a), b in zip(found.items(), wanted, strict=True):
        assert a.shape == b.shape, (name, a.shape, b.shape)
        bound = tolerance * (1 + np.abs(b[np.isfinite(b)]).max(initial=0))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=bound, err_msg=name)


def random_parameters(network: Network, *inputs: Any, seed: int = 1) -> dict[str, Any]:
    """Parameters in double precision, none of which is zero; variances are positive."""
    rng = np.random.default_rng(seed)
    drawn = network.init(seed, *inputs, dtype="float64")
    moved = {
        path: np.abs(array + 0.3 * rng.standard_normal(array.shape)) + 0.1
        if path[-1] == "variance"
        else array + 0.3 * rng.standard_normal(array.shape)
        for path, array in flattened(drawn)
    }
    return nested(moved)


def numbers(*shape: int, seed: int = 0) -> Array:
    """Random numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


def channels_first(x: Any) -> Any:
    """An image as torch has it."""
    return x.movedim(-1, 1)


def channels_last(x: Any) -> Any:
    """An image as we have it."""
    if x.requires_grad:
        # What comes back is laid out anew: torch's normalisations misread what is not.
        x.register_hook(lambda back: back.contiguous())
    return x.movedim(1, -1)


def padded(x: Any, options: WindowOptions, value: float = 0.0) -> Any:
    """An image, channels first, with what windows reach outside."""
    around = [n for pair in options.pads[::-1] for n in pair]
    return torch.nn.functional.pad(x, around, value=value)


def seen(x: Any, options: WindowOptions, value: float = 0.0) -> Any:
    """What each window of an image, channels first, sees; the places in it are the last axes."""
    found = padded(x, options, value)
    for n, (k, s, d) in enumerate(
        zip(options.kernel, options.strides, options.dilations, strict=True)
    ):
        found = found.unfold(n + 2, d * (k - 1) + 1, s)[..., ::d]
    return found


def convolved(x: Any, kernel: Any, bias: Any, options: WindowOptions, groups: int = 1) -> Any:
    """A convolution, channels last, with a kernel of torch."""
    convolve = getattr(torch.nn.functional, f"conv{options.rank}d")
    made = convolve(
        padded(channels_first(x), options), kernel, bias, options.strides, 0, options.dilations,
        groups,
    )  # fmt: skip
    return channels_last(made)


def _ours(
    traced: Traced, params: Mapping[str, Any], inputs: Sequence[Array], masks: Sequence[Array]
) -> dict[str, Array]:
    back = cc.tensor("back", traced.output.axes)
    moving = [t for t, array in zip(traced.inputs, inputs, strict=True) if array.dtype.kind == "f"]
    wrt = [*moving, *(p.tensor for p in traced.trained)]
    slopes = grad(traced.output, wrt, back)
    flat = dict(flattened(params))
    parameters = [p.tensor for p in traced.parameters]
    outputs = {f"result_{n}": tensor for n, tensor in enumerate([traced.output, *slopes])}
    given = [*traced.inputs, *(m.tensor for m in traced.masks), *parameters, back]
    arrays = [*inputs, *masks, *(flat[p.path] for p in traced.parameters)]
    made = cc.compile(outputs, given)(*arrays, cotangent(traced.trace.shape(traced.output)))
    names = ["value", *(f"gradient by {t.label}" for t in wrt)]
    return dict(zip(names, map(np.asarray, made), strict=True))


def _theirs(
    theirs: Callable[..., Any], traced: Traced, params: Mapping[str, Any],
    inputs: Sequence[Array], masks: Sequence[Array],
) -> list[Array]:  # fmt: skip
    taken = [torch.tensor(array) for array in inputs]
    flat = {path: torch.tensor(array) for path, array in flattened(params)}
    moving = [t.requires_grad_() for t in taken if t.is_floating_point()]
    trained = [flat[p.path].requires_grad_() for p in traced.trained]
    made = theirs(Weights(flat), *taken, *map(torch.tensor, masks))
    back = torch.tensor(cotangent(tuple(made.shape)))
    wrt = [*moving, *trained]
    slopes = torch.autograd.grad(made, wrt, back, allow_unused=True) if made.requires_grad else []
    slopes = slopes or [None] * len(wrt)
    filled = [torch.zeros_like(w) if s is None else s for s, w in zip(slopes, wrt, strict=True)]
    return [t.detach().numpy() for t in (made, *filled)]


def cotangent(shape: tuple[int, ...]) -> Array:
    """What comes back to a result."""
    return np.random.default_rng(99).standard_normal(shape)


def module(kind: Callable[..., Any], state: Mapping[str, Any], x: Any, *more: Any) -> Any:
    """What a module of torch makes with some parameters, which keep their gradients."""
    whole = kind().double()
    given = {name: tensor for name, tensor in state.items() if tensor is not None}
    return torch.func.functional_call(whole, given, (x, *more))
