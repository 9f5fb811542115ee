"""Names that calls have taken for themselves, so that an extent of that name needs a mapping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from contractconv.errors import ParameterError

# Every keyword of a call that takes extents.
KEYWORDS = frozenset({
    "activation", "algorithm", "bias", "casting", "dtype", "engines", "extents",
    "memory_limit", "minimize", "optimize", "out", "output_shape", "parameters", "path", "progress",
    "proof", "reduce", "wrt",
})  # fmt: skip

# What numpy's and opt_einsum's calls take besides, and what to do here.
FOREIGN = {
    "order": "a result is laid out row by row: pass out= an array of another layout",
    "backend": "arrays are numpy's: leave backend= out",
}

Casting = Literal["no", "equiv", "safe", "same_kind", "unsafe"]
"""What may be converted into what, as in numpy."""


def merged(extents: object, named: Mapping[str, int]) -> dict[str, int]:
    """The extents and parameters of a call, from its mapping and from its keywords.

    Args:
        extents: the mapping, or ``None``; names of any kind are possible in it.
        named: the keywords.

    Raises:
        ParameterError: the mapping is none, or a name is given twice, with different numbers.
    """
    if extents is None:
        return dict(named)
    if not isinstance(extents, Mapping):
        raise ParameterError(
            f"extents={extents!r} is no mapping of names to numbers, as in extents={{'i': 3}}"
        )
    for name in extents:
        if not isinstance(name, str):
            raise ParameterError(f"extents={extents!r} maps {name!r}, which is no name")
        if name in named and named[name] != extents[name]:
            twice = f"{extents[name]} in extents={{...}}, {named[name]} by keyword"
            raise ParameterError(f"{name} is given twice: {twice}")
    return {**extents, **named}


def meant(name: str, value: Any, indices: Iterable[str]) -> str:
    """What to add to the error for a keyword that was given a number: an index has its name."""
    if name not in indices or isinstance(value, bool) or not isinstance(value, int):
        return ""
    return f"\nthe extent of the index {name!r} is given by extents={{{name!r}: {value}}}"
