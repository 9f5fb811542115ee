"""Dicts within dicts, and flat ones whose names have slashes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contractconv.layers import nesting


def nested(entries: Mapping[Any, Any]) -> nesting.Nested:
    """Put arrays into dicts within dicts.

    Args:
        entries: arrays by path, ``("conv", "W")`` or ``"conv/W"``.

    Example:
        >>> nested({"params/Dense_0/kernel": 1, "params/Dense_0/bias": 2})
        {'params': {'Dense_0': {'kernel': 1, 'bias': 2}}}
    """
    return nesting.nested({_path(name): array for name, array in entries.items()})


def _path(name: Any) -> tuple[str, ...]:
    return tuple(name.split("/") if isinstance(name, str) else name)
