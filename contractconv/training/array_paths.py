"""Nested dicts of arrays as arrays by path, of numbers that every reader of safetensors knows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contractconv.errors import CheckpointError

Array = NDArray[Any]
Layout = list[tuple[str, str | None]]
"""Paths in their order, each with the dtype of its array if another one is stored."""

_STORED = frozenset({
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64",
})  # fmt: skip
_NUMBERS = "biufcmM"
_DTYPE = re.compile(rf"[<>|][{_NUMBERS}]\d+(\[\d*\w+\])?")
_NOTHING = "{}"  # in the place of a dtype: a dict in which nothing is


def packed(arrays: Mapping[str, Any]) -> tuple[dict[str, Array], Layout]:
    """Take a nested dict of arrays apart.

    Complex numbers are stored as pairs of real ones; numbers that safetensors lacks, as bytes.

    Args:
        arrays: arrays of numbers or of times, by names without dots; dicts of them; and so on.

    Returns:
        Contiguous arrays by path, and what else has to be known.

    Raises:
        CheckpointError: something is no array of numbers, or has a name that makes a path unclear.

    Example:
        >>> stored, layout = packed({"conv": {"W": np.ones(3, complex)}, "slots": {}})
        >>> stored["conv.W"].shape, layout
        ((3, 2), [('conv.W', '<c16'), ('slots', '{}')])
    """
    stored: dict[str, Array] = {}
    layout: Layout = []
    for path, leaf in _leaves(arrays, ()):
        name = ".".join(path)
        if leaf is None:
            layout.append((name, _NOTHING))
            continue
        stored[name], dtype = _plain(leaf)
        layout.append((name, dtype))
    return stored, layout


def unpacked(stored: Mapping[str, Array], layout: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Put a nested dict of arrays together again.

    Raises:
        ValueError: arrays and layout do not belong together.
    """
    paths = [path for path, dtype in layout if dtype != _NOTHING]
    if sorted(paths) != sorted(stored):
        raise ValueError("other arrays are there than are listed")
    whole: dict[str, Any] = {}
    for path, dtype in layout:
        *above, last = path.split(".")
        inner = whole
        for name in above:
            inner = inner.setdefault(name, {})
        inner[last] = {} if dtype == _NOTHING else _restored(stored[path], dtype)
    return whole


def _leaves(arrays: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Array | None]]:
    """The arrays in a nested dict; ``None`` for a dict that is empty, but for the outermost."""
    if not isinstance(arrays, Mapping):
        yield path, _checked(arrays, path)
    elif path and not arrays:
        yield path, None
    else:
        for name, inner in arrays.items():
            yield from _leaves(inner, (*path, _checked_name(name, path)))


def _checked_name(name: object, path: tuple[str, ...]) -> str:
    reserved = not path and name == "__metadata__"
    if reserved or not isinstance(name, str) or not name or "." in name:
        inside = f" in {'.'.join(path)!r}" if path else ""
        raise CheckpointError(
            f"{name!r}{inside} is no name of an array: paths are joined with dots, so a name is a "
            "string of which no part is one, neither empty nor '__metadata__'"
        )
    return name


def _checked(leaf: Any, path: tuple[str, ...]) -> Array:
    known = isinstance(leaf, np.ndarray | np.generic) and not isinstance(leaf, np.ma.MaskedArray)
    array = np.asarray(leaf) if known else None
    if array is None or array.dtype.kind not in _NUMBERS:
        kind = type(leaf).__name__ if array is None else f"an array of {array.dtype}"
        raise CheckpointError(
            f"{'.'.join(path)!r} is {kind}: checkpoints hold numpy arrays of numbers; what else "
            "there is belongs to the facts"
        )
    return array


def _plain(array: Array) -> tuple[Array, str | None]:
    """An array as it is stored, and its dtype if that is another one."""
    little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    note = None if little.dtype == array.dtype else array.dtype.str
    if array.dtype.name in _STORED:
        return little, note
    return little.reshape(*little.shape, 1).view(_parts(little.dtype)), array.dtype.str


def _parts(dtype: np.dtype[Any]) -> str:
    """Of what numbers a number is stored that has no name in the format."""
    reals = {"<c8": "<f4", "<c16": "<f8"}
    return reals.get(dtype.str, "|u1")


def _restored(array: Array, note: str | None) -> Array:
    own = array if array.flags.writeable else array.copy()
    if note is None:
        return own
    if not _DTYPE.fullmatch(note):
        raise ValueError(f"{note!r} is no dtype of numbers")
    dtype = np.dtype(note)
    if dtype.name not in _STORED:
        own = own.view(dtype.newbyteorder("<")).reshape(own.shape[:-1])
    return own.astype(dtype, copy=False)
