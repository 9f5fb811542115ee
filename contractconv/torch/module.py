"""A network as a module of PyTorch: its parameters are torch's, its program is our operator."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import torch

from contractconv.errors import ParameterError, ProgramError, ShapeError
from contractconv.execution.torch.constants import Tensor, constant
from contractconv.execution.torch.operator import run
from contractconv.layers.records import Parameter, Path
from contractconv.networks.inputs import shape_of
from contractconv.networks.network import Network
from contractconv.torch.drawing import drawn, generator_of
from contractconv.torch.plans import Look, Plan, plan_of


class Module(torch.nn.Module):
    """A network whose parameters are PyTorch's.

    What runs is one operator, whose gradient is the derived program. In training running statistics
    move along, and chance is drawn by torch.

    Args:
        parts: a :class:`contractconv.Network`, or what one is made of.
        *shapes: the shape of each input. Without them parameters are made at the first call: an
            optimiser is made behind that, and weights are loaded.
        seed: what draws the first parameters: a number, or a generator of torch or of numpy; by
            default torch's own.
        dtype: of the parameters; by default torch's.
        device: where they are.

    Attributes:
        network: the network.
        shapes: those of inputs for which the parameters were made.

    Raises:
        ShapeError: the shapes do not fit.

    Example:
        >>> import contractconv as cc
        >>> net = Module([cc.layers.Dense(8, map="tanh"), cc.layers.Dense(2)], (1, 4), seed=0)
        >>> {name: tuple(value.shape) for name, value in net.named_parameters()}["dense_1.W"]
        (4, 8)
        >>> net(torch.ones(3, 4)).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        parts: Any,
        *shapes: Sequence[int],
        seed: Any = None,
        dtype: torch.dtype | None = None,
        device: Any = None,
    ) -> None:
        super().__init__()
        self.network = parts if isinstance(parts, Network) else Network(parts)
        self._seed, self._dtype, self._device = seed, dtype, device
        self._looks: tuple[Any, ...] = ()  # what the parameters were made for
        self.shapes: tuple[tuple[int, ...], ...] = ()
        if shapes:
            self.make(*shapes)

    def make(self, *shapes: Any) -> None:
        """Make the parameters, for inputs of some shapes.

        Args:
            *shapes: the shape of each input, or a tensor.

        Raises:
            ShapeError: the shapes do not fit.
            ProgramError: there are parameters already.
        """
        if self.is_made:
            raise ProgramError("the parameters are made already: reset_parameters() draws them")
        looks = tuple(map(Look.of, shapes))
        dtype = self._dtype or torch.get_default_dtype()
        if not dtype.is_floating_point:
            raise ParameterError(f"dtype={dtype}: parameters are floating-point numbers")
        generator = generator_of(self._seed)
        for parameter in self.network.parameters(*looks):
            self._put(parameter, drawn(parameter, generator).to(self._device, dtype))
        self._looks, self.shapes = looks, tuple(map(shape_of, looks))

    @property
    def is_made(self) -> bool:
        """Whether there are parameters."""
        return bool(self._looks)

    def reset_parameters(self) -> None:
        """Draw the parameters again, by torch's own generator."""
        generator = generator_of(None)
        with torch.no_grad():
            for parameter in self.network.parameters(*self._looks):
                self.tensor(parameter.path).copy_(drawn(parameter, generator))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Carry the network out: as in training, or as afterwards, as the module is set.

        Args:
            *inputs: what comes in. Floating-point numbers become those of the parameters.

        Raises:
            ShapeError: shapes do not fit; the message says in which part.
        """
        if not self.is_made:
            self.make(*inputs)
        plan = self._plan(self._seen(inputs), self.training)
        own = [self.tensor(path) for path in plan.paths]
        like = own[0] if own else inputs[0]
        given = [x.to(like.dtype) if x.is_floating_point() else x for x in inputs]
        chance = [
            torch.rand(shape, dtype=torch.float32, device=like.device) < kept
            for shape, kept in plan.masks
        ]
        made, *moved = run([*given, *chance, *own], plan.text)[: 1 + len(plan.moved)]
        for path, value in zip(plan.moved, moved, strict=True):
            self.tensor(path).copy_(value.detach())
        return made

    def tensor(self, path: Path) -> Tensor:
        """A parameter, or a running statistic, by where it is in the network."""
        holder: Any = self
        for name in path:
            holder = getattr(holder, name)
        found: Tensor = holder
        return found

    def extra_repr(self) -> str:
        """The strings."""
        return str(self.network)

    def _seen(self, inputs: Sequence[Tensor]) -> list[tuple[tuple[int, ...], str]]:
        """What the plan depends on.

        A network is traced for numbers, so what is compiled is for these sizes.
        """
        return [(tuple([index(size) for size in x.shape]), str(x.dtype)) for x in inputs]

    def _put(self, parameter: Parameter, value: Tensor) -> None:
        holder: torch.nn.Module = self
        for name in parameter.path[:-1]:
            if name not in holder._modules:
                holder.add_module(name, torch.nn.Module())
            holder = holder.get_submodule(name)
        name = parameter.path[-1]
        if parameter.trained:
            holder.register_parameter(name, torch.nn.Parameter(value))
        else:
            holder.register_buffer(name, value)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *given: Any) -> None:
        if not self.is_made and any(name.startswith(prefix) for name in state_dict):
            raise ShapeError(
                "these parameters are made at the first call: call the module once, or say the "
                "shapes of what comes in, before weights are loaded"
            )
        super()._load_from_state_dict(state_dict, prefix, *given)

    @constant
    def _plan(self, looks: Sequence[tuple[tuple[int, ...], str]], training: bool) -> Plan:
        return plan_of(self.network, tuple(looks), training)
