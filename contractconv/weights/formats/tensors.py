"""Files of safetensors: names, shapes and bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contractconv.errors import WeightsError
from contractconv.weights.formats.damage import damage, needed
from contractconv.weights.formats.entries import Entries, as_array, from_bfloat16

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "C64": "<c8", "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
}  # fmt: skip


def read(path: Path) -> Entries:
    """Read a file, whose tensors lie by dtype and name and not in the order of layers."""
    try:
        from safetensors import SafetensorError, deserialize
    except ImportError:
        raise needed("safetensors", ".safetensors") from None
    with damage(str(path)):
        try:
            found = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
        except SafetensorError as error:
            raise ValueError(str(error)) from None
        pairs = ((name, _array(name, tensor)) for name, tensor in found)
        return Entries(pairs, ordered=False)


def _array(name: str, tensor: Mapping[str, Any]) -> NDArray[Any]:
    dtype = _DTYPES.get(tensor["dtype"])
    if dtype is None:
        raise WeightsError(f"{name!r} is in {tensor['dtype']}, which numpy does not have")
    # A copy: bytes are read-only.
    array = np.frombuffer(tensor["data"], dtype).reshape(tensor["shape"]).copy()
    return from_bfloat16(array) if tensor["dtype"] == "BF16" else as_array(array, name)


def write(path: Path, entries: Mapping[str, Any]) -> None:
    """Write a file."""
    try:
        from safetensors.numpy import save_file
    except ImportError:
        raise needed("safetensors", ".safetensors") from None
    # What is made contiguous has an axis at least.
    solid = {name: np.ascontiguousarray(a).reshape(np.shape(a)) for name, a in entries.items()}
    save_file(solid, path)
