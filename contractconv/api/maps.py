"""Maps as functions: of symbolic tensors and numbers, aligned by the names of axes."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from contractconv.api.tensor import Tensor, applied
from contractconv.cache_register import kept
from contractconv.maps.record import MapRecord
from contractconv.maps.table import MAPS


def map_function(name: str) -> Callable[..., Tensor] | None:
    """The function that applies a map; ``None`` if there is none, or an operator for it.

    Example:
        >>> relu = map_function("relu")
        >>> print(relu.__doc__)
        relu(a), element by element.
        <BLANKLINE>
        Its derivative is zero at zero.
        >>> map_function("add") is None
        True
    """
    record = MAPS.get(name)
    return None if record is None or record.operator else _function(name)


def map_names() -> list[str]:
    """The names of maps that can be imported without hiding something of Python's."""
    functions = (name for name in MAPS if not MAPS[name].operator)
    return sorted(name for name in functions if not hasattr(builtins, name))


@kept(most=256)
def _function(name: str) -> Callable[..., Tensor]:
    def mapped(*arguments: Any) -> Tensor:
        return applied(name, *arguments)

    record = MAPS[name]
    mapped.__name__ = mapped.__qualname__ = name
    mapped.__module__ = "contractconv"
    mapped.__doc__ = _described(record)
    parts = [Parameter(given, Parameter.POSITIONAL_ONLY) for given in record.variables]
    mapped.__signature__ = Signature(parts)  # type: ignore[attr-defined]
    return mapped


def _described(record: MapRecord) -> str:
    said = f"{record.name}({', '.join(record.variables)}), element by element."
    return f"{said}\n\nIts derivative is {record.note}." if record.note else said
