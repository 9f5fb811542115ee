"""Parts one behind the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from contractconv.errors import ParameterError
from contractconv.layers.layer import map_name
from contractconv.layers.part import Part
from contractconv.layers.products import check_ending, ended

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.layers.trace import Trace

Link = Part | str | Callable[..., Any]
"""A part, a map by its name, or a function of a symbolic tensor."""


class Chain(Part):
    """Parts one behind the other.

    Args:
        parts: parts, names of maps (``"relu"``), functions of a symbolic tensor, and lists of
            them.
        name: what the chain is called in its network.

    Raises:
        ParameterError: something is none of these.

    Example:
        >>> from contractconv.layers import Conv
        >>> print(Chain([Conv(6, 5), "relu"]))
        b (i+k) (j+l) c, k l c o -> b i j o + bias
        relu
    """

    kind: ClassVar[str] = "chain"
    is_block: ClassVar[bool] = True

    def __init__(self, parts: Iterable[Link | Sequence[Link]], name: str | None = None) -> None:
        alone = isinstance(parts, str) or not isinstance(parts, Iterable)
        self.parts = tuple(map(as_link, [parts] if alone else parts))
        self.name = name
        if not self.parts:
            raise ParameterError("there is no part in the list")
        first = self.parts[0]
        self.takes_integers = isinstance(first, Part) and first.takes_integers

    @property
    def string(self) -> str:
        """The strings of its parts, one a line."""
        return "\n".join(_shown(part) for part in self.parts)

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        return self.through(self._only(tensors))

    def through(self, x: Tensor) -> Tensor:
        """What the parts make of a tensor, one after the other, where they are called."""
        for part in self.parts:
            x = ended(x, part)
        return x

    def __repr__(self) -> str:
        return f"Chain({list(self.parts)!r})"


def as_link(given: Any) -> Link:
    """What can stand in a list of parts.

    Raises:
        ParameterError: it cannot.
    """
    if isinstance(given, (list, tuple)):
        return Chain(given)
    given = getattr(given, "part", given)  # a network that stands in another one
    if isinstance(given, str):
        check_ending(given)
    elif isinstance(given, type):
        raise ParameterError(
            f"{given.__name__} is a class: give a part of it, {given.__name__}(...)"
        )
    elif not callable(given):
        raise ParameterError(
            f"{given!r} is no part: give layers, names of maps, or functions of a symbolic tensor"
        )
    result: Link = given
    return result


def _shown(part: Link) -> str:
    return str(part) if isinstance(part, Part) else map_name(part)
