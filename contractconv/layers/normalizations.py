"""Normalisations: what is averaged over is a string, scales and shifts are parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from contractconv import functions as F
from contractconv.errors import ParameterError, ShapeError
from contractconv.layers.initialisers import ONES, ZEROS
from contractconv.layers.options import check_count, check_number
from contractconv.layers.part import Part
from contractconv.layers.products import along
from contractconv.programs.build import as_axes

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.layers.records import Parameter
    from contractconv.layers.trace import Trace


class Normalization(Part):
    """Something is normalised; then it is scaled and shifted along some of its axes."""

    scale: bool
    shift: bool = False
    epsilon: float

    @abstractmethod
    def _averaged(self) -> str:
        """The string of what the statistics are of."""

    def _statistics(self) -> str:
        return "mean and variance"

    @property
    def string(self) -> str:
        """What the statistics are of, and what is done then."""
        ends = (" * scale" if self.scale else "") + (" + shift" if self.shift else "")
        whole = f"{self._averaged()}, normalize by {self._statistics()}"
        return f"{whole},{ends}" if ends else whole

    def _adapting(
        self, trace: Trace, x: Tensor, axes: Sequence[str]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Scale and shift, where they are wanted."""
        return (
            along(trace, x, axes, "scale", ONES).tensor.named(axes) if self.scale else None,
            along(trace, x, axes, "shift", ZEROS).tensor.named(axes) if self.shift else None,
        )


@dataclass(frozen=True, eq=False, repr=False)
class BatchNorm(Normalization):
    """Normalise each channel over the batch; afterwards, by what the batches had on average.

    In training a running mean and a running variance follow those of the batches. They are
    parameters that are not trained; :meth:`contractconv.Network.statistics` moves them on.

    Args:
        momentum: how far running statistics move to those of a batch.
        epsilon: keeps the root from zero.
        scale: whether channels are multiplied by something that is learnt.
        shift: whether something that is learnt is added to them.
        name: what it is called in its network.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> str(BatchNorm())
        '... c -> c, normalize by mean and variance, * scale + shift'

    Source: Ioffe and Szegedy, "Batch normalization", ICML (2015). The running variance is of
    unbiased estimates, divided by one less than there are numbers.
    """

    kind: ClassVar[str] = "batch_norm"
    momentum: float = 0.1
    epsilon: float = 1e-5
    scale: bool = True
    shift: bool = True
    name: str | None = None

    def __post_init__(self) -> None:
        check_number(self.epsilon, "epsilon", 0)
        check_number(self.momentum, "momentum", 0, 1)

    def _averaged(self) -> str:
        return "... c -> c"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = self._only(tensors)
        _check_rank(x, 2, "each channel is averaged over the other axes")
        axes = x.axes[-1:]
        adapting = self._adapting(trace, x, axes)
        mean = along(trace, x, axes, "mean", ZEROS, trained=False)
        variance = along(trace, x, axes, "variance", ONES, trained=False)
        if not trace.training:
            known = F.Statistics(mean.tensor.named(axes), variance.tensor.named(axes))
            return F.batch_norm(x, x.axes[:-1], *adapting, self.epsilon, known)[0]
        made, found = F.batch_norm(x, x.axes[:-1], *adapting, self.epsilon)
        count = _count(trace, x)
        if count:
            self._moved(trace, mean, found.mean)
            self._moved(trace, variance, found.variance * (count / (count - 1)))
        return made

    def _moved(self, trace: Trace, running: Parameter, found: Tensor) -> None:
        before = trace.latest(running).named(found.axes)
        trace.becomes(running, before + self.momentum * (found - before))


@dataclass(frozen=True, eq=False, repr=False)
class LayerNorm(Normalization):
    """Normalise each item by itself, over its last axis, or over several.

    Args:
        over: names for the last axes that are averaged over, as many as are; ``"c"`` for the last.
        epsilon: keeps the root from zero.
        scale: whether the result is multiplied by something that is learnt, along these axes.
        shift: whether something that is learnt is added to it.
        name: what it is called in its network.

    Example:
        >>> str(LayerNorm())
        '... c -> ..., normalize by mean and variance, * scale + shift'

    Source: Ba, Kiros and Hinton, "Layer normalization", arXiv:1607.06450 (2016).
    """

    kind: ClassVar[str] = "layer_norm"
    over: str | Sequence[str] = "c"
    epsilon: float = 1e-5
    scale: bool = True
    shift: bool = True
    name: str | None = None

    def __post_init__(self) -> None:
        check_number(self.epsilon, "epsilon", 0)
        _check_over(self.over)

    def _averaged(self) -> str:
        return f"... {' '.join(as_axes(self.over))} -> ..."

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = self._only(tensors)
        axes = _last(x, self.over)
        return F.layer_norm(x, axes, *self._adapting(trace, x, axes), self.epsilon)


@dataclass(frozen=True, eq=False, repr=False)
class RMSNorm(Normalization):
    """Divide each item by the root of its mean square, over its last axis, or over several.

    Args:
        over: names for the last axes that are averaged over, as many as are.
        epsilon: keeps the root from zero.
        scale: whether the result is multiplied by something that is learnt, along these axes.
        name: what it is called in its network.

    Example:
        >>> str(RMSNorm())
        '... c -> ..., normalize by mean square, * scale'

    Source: Zhang and Sennrich, "Root mean square layer normalization", NeurIPS (2019).
    """

    kind: ClassVar[str] = "rms_norm"
    over: str | Sequence[str] = "c"
    epsilon: float = 1e-6
    scale: bool = True
    name: str | None = None

    def __post_init__(self) -> None:
        check_number(self.epsilon, "epsilon", 0)
        _check_over(self.over)

    def _averaged(self) -> str:
        return f"... {' '.join(as_axes(self.over))} -> ..."

    def _statistics(self) -> str:
        return "mean square"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = self._only(tensors)
        axes = _last(x, self.over)
        scale, _ = self._adapting(trace, x, axes)
        return F.rms_norm(x, axes, scale, self.epsilon)


@dataclass(frozen=True, eq=False, repr=False)
class GroupNorm(Normalization):
    """Normalise groups of neighbouring channels of each item, over channels and positions.

    Args:
        groups: how many groups there are.
        epsilon: keeps the root from zero.
        scale: whether channels are multiplied by something that is learnt.
        shift: whether something that is learnt is added to them.
        name: what it is called in its network.

    Example:
        >>> print(GroupNorm(4))
        b ... (g c) -> b g, normalize by mean and variance, * scale + shift

    Source: Wu and He, "Group normalization", ECCV (2018).
    """

    kind: ClassVar[str] = "group_norm"
    groups: int
    epsilon: float = 1e-5
    scale: bool = True
    shift: bool = True
    name: str | None = None

    def __post_init__(self) -> None:
        check_number(self.epsilon, "epsilon", 0)
        check_count(self.groups, "groups")

    def _averaged(self) -> str:
        return "b ... (g c) -> b g"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = self._only(tensors)
        _check_rank(x, 2, "groups of channels are averaged over")
        channels = trace.shape(x)[-1]
        if channels % self.groups:
            raise ShapeError(f"{channels} channels are no multiple of groups={self.groups}")
        axes = x.axes[-1:]
        adapting = self._adapting(trace, x, axes)
        return F.group_norm(x, x.axes[1:-1], axes[0], self.groups, *adapting, self.epsilon)


@dataclass(frozen=True, eq=False, repr=False)
class InstanceNorm(Normalization):
    """Normalise each channel of each item, over positions.

    Args:
        epsilon: keeps the root from zero.
        scale: whether channels are multiplied by something that is learnt.
        shift: whether something that is learnt is added to them.
        name: what it is called in its network.

    Example:
        >>> print(InstanceNorm())
        b ... c -> b c, normalize by mean and variance

    Source: Ulyanov, Vedaldi and Lempitsky, "Instance normalization", arXiv:1607.08022 (2016).
    """

    kind: ClassVar[str] = "instance_norm"
    epsilon: float = 1e-5
    scale: bool = False
    shift: bool = False
    name: str | None = None

    def __post_init__(self) -> None:
        check_number(self.epsilon, "epsilon", 0)

    def _averaged(self) -> str:
        return "b ... c -> b c"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = self._only(tensors)
        _check_rank(x, 3, "each channel is averaged over what is between batch and channels")
        adapting = self._adapting(trace, x, x.axes[-1:])
        return F.instance_norm(x, x.axes[1:-1], *adapting, self.epsilon)


def _count(trace: Trace, x: Tensor) -> int:
    """How many numbers of each channel there are: none, or enough to have a variance."""
    count = prod(trace.shape(x)[:-1])
    if count == 1:
        raise ShapeError(
            "a single number of each channel has no variance to be normalised by: train with more "
            "than one item in a batch"
        )
    return count


def _last(x: Tensor, over: str | Sequence[str]) -> tuple[str, ...]:
    names = as_axes(over)
    if len(names) > x.ndim:
        raise ShapeError(
            f"over='{' '.join(names)}' averages over {len(names)} axes, but only "
            f"'{' '.join(x.axes)}' come in"
        )
    return x.axes[-len(names) :]


def _check_over(over: str | Sequence[str]) -> None:
    if not as_axes(over):
        raise ParameterError(f"over={over!r}: names of axes are wanted")


def _check_rank(x: Tensor, least: int, why: str) -> None:
    if x.ndim < least:
        shown = " ".join(x.axes)
        raise ShapeError(f"{why}: at least {least} axes are wanted, '{shown}' comes in")
