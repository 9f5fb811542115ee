"""Dicts within dicts, and flat ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str, ...]
"""Names, one within the other."""


def nested(entries: Mapping[Any, Any]) -> dict[str, Any]:
    """Put arrays into dicts within dicts.

    Args:
        entries: arrays by path, ``("conv", "W")`` or ``"conv/W"``.

    Example:
        >>> nested({"params/Dense_0/kernel": 1, "params/Dense_0/bias": 2})
        {'params': {'Dense_0': {'kernel': 1, 'bias': 2}}}
    """
    found: dict[str, Any] = {}
    for name, value in entries.items():
        *outer, last = name.split("/") if isinstance(name, str) else name
        inner = found
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return found


def flat(tree: Mapping[Any, Any], before: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Go through dicts within dicts.

    Example:
        >>> dict(flat({"conv": {"W": 1}, "bias": 2}))
        {('conv', 'W'): 1, ('bias',): 2}
    """
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, (*before, str(name)))
        else:
            yield (*before, str(name)), value
