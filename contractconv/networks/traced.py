"""A network for inputs of known shapes: what it makes, and what it needs for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contractconv.api.symbolic import grad
from contractconv.api.tensor import Tensor
from contractconv.errors import ProgramError
from contractconv.layers.records import Call, Mask, Parameter, Path
from contractconv.layers.trace import Trace
from contractconv.lazy import remembered
from contractconv.networks.composed import one_tensor

if TYPE_CHECKING:
    from contractconv.networks.losses import Loss

Shape = tuple[int, ...]


@dataclass(frozen=True)
class InputKind:
    """What an input is.

    Attributes:
        name: what it is called.
        axes: the names of its axes.
        shape: their sizes.
        dtype: its numbers; ``None`` for those of the parameters.
    """

    name: str
    axes: tuple[str, ...]
    shape: Shape
    dtype: str | None


@dataclass(frozen=True, eq=False)
class Traced:
    """A network that was called with symbolic tensors of some shapes.

    Attributes:
        inputs: what comes in.
        output: what it makes.
        trace: what its parts asked for.
    """

    inputs: tuple[Tensor, ...]
    output: Tensor
    trace: Trace

    @remembered
    def sizes(self) -> Shape:
        """The sizes of the axes of what it makes."""
        return self.trace.shape(self.output)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What it has, in the order in which it is met."""
        return tuple(self.trace.parameters.values())

    @property
    def trained(self) -> tuple[Parameter, ...]:
        """The parameters that have gradients."""
        return tuple(p for p in self.parameters if p.trained)

    @property
    def calls(self) -> tuple[Call, ...]:
        """Its parts, in order."""
        return tuple(self.trace.calls)

    @property
    def masks(self) -> tuple[Mask, ...]:
        """The chance that is drawn for each call."""
        return tuple(self.trace.masks)

    @property
    def updates(self) -> Mapping[Path, Tensor]:
        """What running statistics become."""
        return self.trace.updates


def traced(
    function: Callable[..., Any], kinds: Sequence[InputKind], training: bool, name: str
) -> Traced:
    """Call a network with symbolic tensors.

    Raises:
        ProgramError: it makes no tensor.
        ShapeError: something in it does not fit; the message says in which part.
    """
    trace = Trace(training)
    inputs = tuple(trace.input(k.name, k.axes, k.shape, k.dtype) for k in kinds)
    with trace.entered():
        made = function(trace, *inputs)
    output = one_tensor(made, name)
    trace.shape(output)
    return Traced(inputs, output, trace)


@dataclass(frozen=True, eq=False)
class Objective:
    """A network with a loss: what training needs.

    Attributes:
        traced: the network, as it is in training.
        target: what is wanted of it, an input.
        loss: how far off it is, a number.
        classes: how many classes there are, if what is wanted are labels.
    """

    traced: Traced
    target: Tensor
    loss: Tensor
    classes: int | None = None

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What comes in: data, target, and chance."""
        return *self.traced.inputs, self.target, *(mask.tensor for mask in self.traced.masks)

    @remembered
    def gradients(self) -> dict[Path, Tensor]:
        """The gradient of the loss by each parameter that has one."""
        trained = self.traced.trained
        found = grad(self.loss, [parameter.tensor for parameter in trained])
        return {p.path: slope for p, slope in zip(trained, found, strict=True)}


def objective(
    network: Traced, target: InputKind, loss: Loss, classes: int | None = None
) -> Objective:
    """Put a loss behind a network; labels are of so many classes."""
    wanted = network.trace.input(target.name, target.axes, target.shape, target.dtype)
    with network.trace.entered():
        made = loss(network.output, wanted)
    if not isinstance(made, Tensor) or made.ndim:
        raise ProgramError("a loss is a number: reduce it over all axes, as cc.functions.mse does")
    return Objective(network, wanted, made.called("loss"), classes)
