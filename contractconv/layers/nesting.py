"""Nested dicts of arrays, and the flat ones that programs take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from contractconv.layers.records import Path

Nested = dict[str, Any]
"""Arrays by name; a dict within a dict for what belongs together."""


def nested(flat: Mapping[Path, Any]) -> Nested:
    """Put arrays into dicts within dicts.

    Example:
        >>> nested({("conv", "W"): 1, ("conv", "bias"): 2})
        {'conv': {'W': 1, 'bias': 2}}
    """
    found: Nested = {}
    for path, value in flat.items():
        inner = found
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    return found


def flattened(given: Mapping[str, Any], before: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Go through arrays in dicts within dicts.

    Example:
        >>> dict(flattened({"conv": {"W": 1, "bias": 2}}))
        {('conv', 'W'): 1, ('conv', 'bias'): 2}
    """
    for name, value in given.items():
        if isinstance(value, Mapping):
            yield from flattened(value, (*before, name))
        else:
            yield (*before, name), value


def by_name(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays in dicts within dicts, by their paths as one word.

    Example:
        >>> by_name({"conv": {"W": 1, "bias": 2}})
        {'conv.W': 1, 'conv.bias': 2}
    """
    return {".".join(path): array for path, array in flattened(given)}


def from_names(given: Mapping[str, Any]) -> Nested:
    """What :func:`by_name` was given.

    Example:
        >>> from_names({"conv.W": 1, "conv.bias": 2})
        {'conv': {'W': 1, 'bias': 2}}
    """
    return nested({tuple(name.split(".")): array for name, array in given.items()})
