"""What a network is for inputs of some shapes, traced and compiled once for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from contractconv.api.compiling import compile as compile_program
from contractconv.api.tensor import Tensor
from contractconv.cache_register import Shelf
from contractconv.errors import OperandError, ParameterError
from contractconv.layers.chain import Chain
from contractconv.layers.part import Part
from contractconv.layers.records import Parameter
from contractconv.markup.shown import Printed
from contractconv.networks.composed import Composed
from contractconv.networks.inputs import (
    arguments,
    as_inputs,
    input_kind,
    looks,
    number_kind,
    shape_of,
)
from contractconv.networks.losses import as_loss, classes_of, target_kind
from contractconv.networks.traced import InputKind, Objective, Traced, objective, traced
from contractconv.programs.nodes import in_order as in_node_order

if TYPE_CHECKING:
    from contractconv.execution.programs.compiled import CompiledProgram

# Bytes that a node of a program takes, about.
_NODE = 2048


class Traceable(Printed):
    """Parts put together, which are called with symbolic tensors once for inputs of each shape.

    Args:
        parts: a list of parts, a part, or a function in which parts are called.
        inputs: what comes in.
        name: what programs are called.
    """

    def __init__(
        self,
        parts: Part | Callable[..., Tensor] | Iterable[Any],
        *,
        inputs: Any = None,
        name: str | None = None,
    ) -> None:
        self._part = _as_part(parts, name)
        self.name = name or _name_of(parts, "network")
        self._names = _names_of(self._part)
        self._inputs = as_inputs(inputs)
        # By what comes in; copied or pickled they are empty.
        self._traces, self._objectives, self._compiled = Shelf(), Shelf(), Shelf()

    @property
    def part(self) -> Part:
        """What the network is as a part of another one, where its parameters are in a dict."""
        return self._part

    def traced(self, *shapes: Any, training: bool = False) -> Traced:
        """What the network is for inputs of some shapes.

        Args:
            *shapes: the shape of each input, or an array.
            training: as it is in training, or afterwards.

        Raises:
            ShapeError: they do not fit; the message says in which part.
        """
        key = looks(shapes), training
        found: Traced | None = self._traces.get(key)
        if found is None:
            found = traced(self._called, self._kinds(shapes), training, self.name)
            self._traces.put(key, found, _weight(found.output))
        return found

    def objective(
        self, *data: Any, loss: Any = "cross_entropy", training: bool = True
    ) -> Objective:
        """The network with a loss behind it.

        Args:
            *data: arrays, or shapes: what comes in, then what is wanted.
            loss: what it is measured by; see :meth:`loss_and_grad`.
            training: as it is in training, or afterwards.

        Raises:
            OperandError: there are too few of them, or too many.
            ShapeError: shapes do not fit.
        """
        key = looks(data), training, loss
        found: Objective | None = self._objectives.get(key)
        if found is None:
            found = self._objective(data, loss, training)
            self._objectives.put(key, found, 2 * _weight(found.loss))
        return found

    def _objective(self, data: Sequence[Any], loss: Any, training: bool) -> Objective:
        if len(data) != len(self._names) + 1:
            listed = ", ".join((*self._names, "target"))
            raise OperandError(f"{self.name} and its loss take {listed}: {len(data)} were given")
        *inputs, target = data
        network = traced(self._called, self._kinds(inputs), training, self.name)
        wanted = target_kind(network, shape_of(target), number_kind(target, loss))
        made = as_loss(loss)
        return objective(network, wanted, made, classes_of(made, network, wanted))

    def parameters(self, *shapes: Any) -> list[Parameter]:
        """What parameters it has for inputs of some shapes: where, along which axes, how large."""
        return list(self.traced(*shapes).parameters)

    def _called(self, trace: Any, *tensors: Tensor) -> Any:
        if isinstance(self._part, Composed):
            return self._part.function(*tensors)
        return trace.called(self._part, tensors, ())

    def _kinds(self, shapes: Sequence[Any]) -> tuple[InputKind, ...]:
        if len(self._names) != len(shapes):
            listed = ", ".join(self._names)
            raise OperandError(
                f"{self.name} takes {len(self._names)} inputs ({listed}), not {len(shapes)}"
            )
        told = self._inputs or [None] * len(shapes)
        if len(told) != len(shapes):
            raise ParameterError(
                f"inputs= says {len(told)} inputs, {self.name} takes {len(shapes)}"
            )
        otherwise = "i" if self._part.takes_integers else "f"
        return tuple(
            input_kind(name, given, shape, otherwise)
            for name, given, shape in zip(self._names, told, shapes, strict=True)
        )

    def ready(self, outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> CompiledProgram:
        """What makes some tensors of others; it is kept for the next call."""
        key = (tuple(t._node for t in outputs), tuple(t._node for t in inputs))
        found: CompiledProgram | None = self._compiled.get(key)
        if found is None:
            named = {f"result_{n}": tensor for n, tensor in enumerate(outputs)}
            found = compile_program(named, inputs)
            self._compiled.put(key, found, _weight(*outputs))
        return found

    def __str__(self) -> str:
        return repr(self) if isinstance(self._part, Composed) else str(self._part)

    def __repr__(self) -> str:
        return f"<network {self.name}({', '.join(self._names)})>"


def _as_part(parts: Any, name: str | None) -> Part:
    """What a caller put together."""
    if isinstance(parts, Part):
        return parts
    return Composed(parts, name) if callable(parts) else Chain(parts, name)


def _names_of(part: Part) -> list[str]:
    """What comes into a part is called."""
    if isinstance(part, Composed):
        return arguments(part.function)
    count = getattr(part, "inputs", 1)
    return ["x"] if count == 1 else [f"x_{n + 1}" for n in range(count)]


def _weight(*outputs: Tensor) -> int:
    """Bytes that tensors take with all that they are made of, about."""
    return _NODE * len(in_node_order([output._node for output in outputs]))


def _name_of(parts: Any, otherwise: str) -> str:
    name = getattr(parts, "__name__", otherwise)
    return name if name.isidentifier() else otherwise
