"""Weights by name, as readers give and writers take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contractconv.errors import WeightsError
from contractconv.layers.nesting import flattened
from contractconv.notices import say

Array = NDArray[Any]


class Entries(dict[str, Array]):
    """Arrays by name.

    Args:
        pairs: names and arrays.
        ordered: whether their order is that of the layers.
    """

    def __init__(self, pairs: Iterable[tuple[str, Array]] = (), ordered: bool = True) -> None:
        super().__init__(pairs)
        self.ordered = ordered


def as_entries(source: Any) -> Entries:
    """Read weights of whatever has some.

    Args:
        source: a path; a dict of arrays or tensors, which may be nested (then its order is that
            of nothing); a model with ``state_dict()``, or with ``weights`` that have paths.

    Raises:
        WeightsError: it has none, or the file is damaged.
    """
    if isinstance(source, Entries):
        return source
    if isinstance(source, (str, PathLike)):
        from contractconv.weights.formats.files import read

        return read(source)
    if isinstance(source, Mapping):
        return _of_mapping(source)
    weights = getattr(source, "weights", None)
    # Before torch: models of Keras may be modules of torch, which call weights otherwise.
    if isinstance(weights, list) and all(hasattr(weight, "path") for weight in weights):
        return Entries((weight.path, as_array(weight, weight.path)) for weight in weights)
    if callable(getattr(source, "state_dict", None)):
        return _of_mapping(source.state_dict())
    raise WeightsError(
        f"a {type(source).__name__} has no weights that can be read: give a path, a dict of "
        "arrays, or a model"
    )


def _of_mapping(source: Mapping[Any, Any]) -> Entries:
    within = any(isinstance(value, Mapping) for value in source.values())
    pairs = (("/".join(map(str, path)), value) for path, value in flattened(source))
    return Entries(((name, as_array(value, name)) for name, value in pairs), ordered=not within)


def as_array(value: Any, name: str) -> Array:
    """An array of what is one in another library.

    Raises:
        WeightsError: it holds no numbers.
    """
    value = _unwrapped(value)
    for method in ("detach", "cpu"):
        if callable(getattr(value, method, None)):
            value = getattr(value, method)()
    if "bfloat16" in str(getattr(value, "dtype", "")):
        _say_widened()
        tensor = callable(getattr(value, "float", None))
        value = value.float() if tensor else np.asarray(value).astype(np.float32)
    if callable(getattr(value, "numpy", None)):
        value = value.numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise WeightsError(f"{name!r} holds no numbers, but {array.dtype}")
    return array


def _unwrapped(variable: Any) -> Any:
    """The array in a variable of Theano, Flax or Keras; TensorFlow's has ``numpy()``."""
    if callable(getattr(variable, "get_value", None)):
        return variable.get_value()
    inner = getattr(variable, "value", variable)
    return variable if callable(inner) else inner


def from_bfloat16(bits: Array) -> Array:
    """The numbers of which 16 bits each are given: the upper half of a ``float32``."""
    _say_widened()
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _say_widened() -> None:
    say("bfloat16", "weights in bfloat16 are read as float32, which has all of its numbers")
