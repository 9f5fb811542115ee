"""What a network is made of: parts, which are called with symbolic tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from contractconv.errors import OperandError
from contractconv.layers.trace import Trace, current

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor


class Part(ABC):
    """Something with parameters of its own that makes of tensors another one.

    A part is called while a network is traced: in the function of a :class:`contractconv.Network`,
    or by the network, if it stands in its list. What is called twice shares its parameters.

    Attributes:
        kind: what it is, in a word; parts without a name are called after it.
        name: what it is called in its network; by default its kind, with a number.
        is_block: whether it is there for the parts in it, and does nothing itself.
        takes_integers: whether integers come in, where nothing else is said of them.
    """

    kind: ClassVar[str] = "part"
    is_block: ClassVar[bool] = False
    takes_integers: bool = False
    name: str | None = None

    def __call__(self, *tensors: Tensor) -> Tensor:
        """Put the part behind tensors.

        Args:
            *tensors: what comes in.

        Returns:
            What it makes of them.

        Raises:
            ProgramError: no network is being traced.
            ShapeError: they do not fit; the message says which part it is.
        """
        return current(self).called(self, tensors)

    @abstractmethod
    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        """Make of tensors what the part makes of them; parameters are asked of the trace."""

    def _only(self, tensors: Sequence[Tensor]) -> Tensor:
        """The tensor that comes into a part that takes one."""
        if len(tensors) != 1:
            raise OperandError(f"{len(tensors)} tensors come into a {self.kind}, which takes one")
        return tensors[0]

    @property
    def string(self) -> str:
        """What it does, in the notation."""
        return ""

    def __str__(self) -> str:
        return self.string or repr(self)

    def __repr__(self) -> str:
        said = []
        options: tuple[Any, ...] = fields(self) if is_dataclass(self) else ()
        for option in options:
            value = getattr(self, option.name)
            if option.default is MISSING:
                said.append(repr(value))
            elif value is not option.default and value != option.default:
                said.append(f"{option.name}={value!r}")
        return f"{type(self).__name__}({', '.join(said)})"
