"""Networks whose weights other libraries have, too: recurrences, attention and normalisations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import contractconv as cc
from contractconv import functions as F
from contractconv.layers.initialisers import ZEROS
from contractconv.layers.part import Part
from contractconv.networks.network import Network

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.layers.trace import Trace

Array = NDArray[Any]


class Asking(Part):
    """A part that asks for parameters along axes of known sizes."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = sizes

    def ask(self, trace: Trace, role: str, axes: str, **sizes: int) -> Tensor:
        """A parameter."""
        names = axes.split()
        shape = tuple((self.sizes | sizes)[name] for name in names)
        return trace.parameter(role, names, shape, ZEROS).tensor


class Lstm(Asking):
    """A long short-term memory over all steps; the last output."""

    kind: ClassVar[str] = "lstm"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = tensors[0].named("b t d")
        W_x = self.ask(trace, "W_x", "d gate h", gate=4)
        W_h = self.ask(trace, "W_h", "r gate h", gate=4, r=self.sizes["h"])
        bias = self.ask(trace, "bias", "gate h", gate=4)
        h = c = 0 * cc.contract("b t d, d gate h -> b h", x, W_x)
        for n in range(trace.shape(x)[1]):
            h, c = F.lstm_cell(x.at(t=n), h, c, W_x, W_h, bias)
        return h


class Gru(Asking):
    """A gated recurrent unit over all steps; the last output."""

    kind: ClassVar[str] = "gru"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = tensors[0].named("b t d")
        W_x = self.ask(trace, "W_x", "d gate h", gate=3)
        W_h = self.ask(trace, "W_h", "r gate h", gate=3, r=self.sizes["h"])
        biases = [self.ask(trace, f"bias_{n}", "gate h", gate=3) for n in "xh"]
        h = 0 * cc.contract("b t d, d gate h -> b h", x, W_x)
        for n in range(trace.shape(x)[1]):
            h = F.gru_cell(x.at(t=n), h, W_x, W_h, *biases)
        return h


class Attention(Asking):
    """Attention of all steps to all steps, with a bias for each projection."""

    kind: ClassVar[str] = "attention"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = tensors[0].named("b t d")
        q, k, v = (self._projected(trace, x, n) for n in "qkv")
        seen = F.attention(q, k.named("b s n h"), v.named("b s n h"), over="s", feature="h")
        W_o, bias_o = self.ask(trace, "W_o", "n h d"), self.ask(trace, "bias_o", "d")
        return cc.contract("b t n h, n h d -> b t d", seen, W_o) + bias_o

    def _projected(self, trace: Trace, x: Tensor, name: str) -> Tensor:
        W, bias = self.ask(trace, f"W_{name}", "d n h"), self.ask(trace, f"bias_{name}", "n h")
        return cc.contract("b t d, d n h -> b t n h", x, W) + bias


class Norm(Asking):
    """Normalisations of the last axis, as they are after training."""

    def __init__(self, kind: str, epsilon: float, **sizes: int) -> None:
        super().__init__(**sizes)
        self.kind = kind  # type: ignore[misc]  # a class of parts for each kind would say no more
        self.epsilon = epsilon

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        scale, shift = (self.ask(trace, role, "c") for role in ("scale", "shift"))
        if self.kind == "layer_norm":
            return F.layer_norm(x, "c", scale, shift, self.epsilon)
        found = F.Statistics(*(self.ask(trace, role, "c") for role in ("mean", "variance")))
        return F.batch_norm(x, x.axes[:-1], scale, shift, self.epsilon, found)[0]


class Table(Asking):
    """Vectors of tokens."""

    kind: ClassVar[str] = "embedding"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        (tokens,) = tensors
        return F.embedding(tokens, self.ask(trace, "W", "v c"), "v")


def tokens_network(parts: Sequence[Any]) -> Network:
    """A network of integers."""
    return Network(parts, inputs=cc.tensor("x", "b t", "int64"))


def channels_last(array: Array) -> Array:
    """An array of images whose channels come first, as they lie here."""
    return np.moveaxis(np.asarray(array), 1, -1)


def same_bits(first: Any, second: Any) -> bool:
    """Whether two nested dicts hold the same bytes of the same dtypes."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(
            same_bits(first[name], second[name]) for name in first
        )
    first, second = np.asarray(first), np.asarray(second)
    same = first.dtype == second.dtype and first.shape == second.shape
    return same and first.tobytes() == second.tobytes()
