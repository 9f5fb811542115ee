"""Weights that Keras keeps in HDF5: with layers by number, or, before Keras 3, by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from contractconv.errors import WeightsError
from contractconv.weights.formats.damage import damage, needed
from contractconv.weights.formats.entries import Entries, as_array, from_bfloat16

_DEEPEST = 64
# No filter of HDF5 makes less of its data than deflate does.
_BEST_RATIO = 1100


def read(path: Path) -> Entries:
    """Read a file."""
    with damage(str(path)), path.open("rb") as file:
        return from_file(file)


def from_file(file: BinaryIO, layers: Sequence[str] = ()) -> Entries:
    """Read an open file.

    Args:
        file: its bytes.
        layers: the names of layers in their order, if that is known.
    """
    with _opened(file, "r") as root:
        top = root.get("model_weights", root)
        if _attribute(top, "layer_names"):
            return Entries(_by_name(top))
        found = [each for each in _datasets(root) if not each[0].startswith("optimizer/")]
        places = {name: _place(root, name, layers) for name, _ in found}
        known = bool(layers) and None not in places.values()
        if known:
            found.sort(key=lambda each: places[each[0]] or 0)
        return Entries(((name, _array(name, d)) for name, d in found), ordered=known)


def write(path: Path, entries: Mapping[str, Any]) -> None:
    """Write a file; names are as in one that was read, ``layers/conv2d/vars/0``."""
    with path.open("w+b") as file, _opened(file, "w") as root:
        for name, array in entries.items():
            root.create_dataset(name, data=array)


def layers_of(config: str | bytes) -> list[str]:
    """The names of the layers in the description of a model, which is read as data."""
    model = json.loads(config)
    layers = model["config"]["layers"]
    names = [layer["config"]["name"] for layer in layers]
    return names if len(set(names)) == len(names) else []


def _opened(file: BinaryIO, mode: str) -> Any:
    try:
        import h5py
    except ImportError:
        raise needed("h5py", ".h5") from None
    return h5py.File(file, mode)


# -- by number -----------------------------------------------------------------------------------


def _datasets(root: Any) -> Iterator[tuple[str, Any]]:
    """Every dataset with its path, as people count."""
    left, seen = [("", root, 0)], set[Any]()
    while left:
        name, node, depth = left.pop()
        if not hasattr(node, "keys"):
            yield name, node
            continue
        if node.id in seen or depth > _DEEPEST:
            raise WeightsError(f"{name!r} contains itself, or too much within each other")
        seen.add(node.id)
        inner = [(f"{name}/{key}".strip("/"), _inner(node, key), depth + 1) for key in node]
        left += sorted(inner, key=lambda each: _counted(each[0]), reverse=True)


def _inner(node: Any, key: str) -> Any:
    """What lies in a group; what lies in another file is refused."""
    link = type(node.get(key, getlink=True)).__name__
    if link != "HardLink":
        raise WeightsError(f"{key!r} is no part of the file itself, but {link}")
    return node[key]


def _counted(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _place(root: Any, name: str, layers: Sequence[str]) -> int | None:
    """Where the layer of a dataset stands."""
    head = re.match(r"layers/[^/]+", name)
    if head is None or f"{head[0]}/vars" not in root:
        return None
    called = _text(root[f"{head[0]}/vars"].attrs.get("name", ""))
    return layers.index(called) if called in layers else None


def _array(name: str, dataset: Any) -> NDArray[Any]:
    """A dataset, if its file has what it says that it has."""
    if not hasattr(dataset, "nbytes"):
        raise WeightsError(f"{name!r} is a {type(dataset).__name__}, and no array")
    if dataset.external or dataset.is_virtual:
        raise WeightsError(f"{name!r} lies in another file")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > _BEST_RATIO * stored:
        raise WeightsError(f"{name!r} has {dataset.nbytes} bytes, of which {stored} are there")
    if _text(dataset.attrs.get("dtype", "")) == "bfloat16":
        return from_bfloat16(np.asarray(dataset[()]).view(np.uint16))
    return as_array(dataset[()], name)


# -- by name -------------------------------------------------------------------------------------


def _by_name(top: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    seen = set[str]()
    for layer in _attribute(top, "layer_names"):
        group = _inner(top, layer)
        for weight in _attribute(group, "weight_names"):
            name = f"{layer}/{weight}" if weight in seen else weight
            seen.add(name)
            yield name, _array(name, _at(group, weight))


def _at(group: Any, path: str) -> Any:
    for part in path.split("/"):
        group = _inner(group, part)
    return group


def _attribute(group: Any, name: str) -> list[str]:
    """Names in an attribute, which is in several if they are many."""
    if name in group.attrs:
        return [_text(each) for each in group.attrs[name]]
    parts = (f"{name}{n}" for n in range(len(group.attrs)))
    return [_text(each) for part in parts if part in group.attrs for each in group.attrs[part]]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
