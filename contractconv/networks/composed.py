"""A function in which parts are called, as a part."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from contractconv.api.tensor import Tensor
from contractconv.errors import ProgramError
from contractconv.layers.part import Part

if TYPE_CHECKING:
    from contractconv.layers.trace import Trace


class Composed(Part):
    """What a function of symbolic tensors makes of them.

    Args:
        function: it calls parts.
        name: what it is called in its network.
    """

    kind: ClassVar[str] = "network"
    is_block: ClassVar[bool] = True

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        self.function, self.name = function, name

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        return one_tensor(self.function(*tensors), getattr(self.function, "__name__", self.kind))

    def __repr__(self) -> str:
        return f"Network({getattr(self.function, '__name__', self.function)})"


def one_tensor(made: Any, name: str) -> Tensor:
    """What a network makes.

    Raises:
        ProgramError: it is no symbolic tensor.
    """
    if not isinstance(made, Tensor):
        raise ProgramError(
            f"{name} returns a {type(made).__name__}: a network makes one symbolic tensor"
        )
    return made
