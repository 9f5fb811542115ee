"""Caffe's models, read as the protocol buffers that they are: layers, and the blobs of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contractconv.errors import WeightsError
from contractconv.weights.formats.damage import damage, damaged
from contractconv.weights.formats.entries import Entries
from contractconv.weights.formats.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Field,
    check,
    fields,
    text,
    varints,
)

Array = NDArray[Any]

# Numbers of fields in caffe.proto: of a net, ...
_LAYERS_V1, _LAYERS = 2, 100
# ... of a blob, ...
_SIZES, _DATA, _SHAPE, _DOUBLE_DATA = (1, 2, 3, 4), 5, 7, 8
_DIMENSION = 1
# ... and of a layer, as it is now and as it was: name, type, what goes in and out, and blobs.
_NOW = {1: "name", 2: "type", 3: "bottom", 4: "top", 7: "blobs"}
_V1 = {1: "oldest", 2: "bottom", 3: "top", 4: "name", 5: "type", 6: "blobs"}
_TYPES_V1 = {4: "Convolution", 14: "InnerProduct", 39: "Deconvolution"}

_MOST_AXES = 32
_LARGEST = 2**62


@dataclass
class Layer:
    """A layer with blobs.

    Attributes:
        at: where in the file it is.
        name, type, bottom, top: as its net says.
        blobs: its arrays.
    """

    at: int
    name: str = ""
    type: str = ""
    bottom: list[str] = field(default_factory=list)
    top: list[str] = field(default_factory=list)
    blobs: list[Array] = field(default_factory=list)


def read(path: Path) -> Entries:
    """Read a model.

    Returns:
        Blobs as ``conv1.0``, ``conv1.1``, in the order of layers. Statistics of a normalisation
        are divided by the number that Caffe keeps beside them, and the blobs of the scale behind
        it are called ``bn1.scale.0``.

    Raises:
        WeightsError: it is damaged; the error says where.
    """
    with damage(str(path)):
        found = layers(path.read_bytes())
        if not found:
            raise WeightsError("there is no layer with weights in it")
        return Entries(_entries(found))


def layers(data: bytes) -> list[Layer]:
    """The layers with blobs of a net.

    Raises:
        WeightsError: the bytes are none.
    """
    found, names = [], set[str]()
    for each in fields(data, 0, len(data)):
        if each.number in (_LAYERS, _LAYERS_V1):
            layer = _layer(data, each, _NOW if each.number == _LAYERS else _V1)
            if layer.blobs and layer.name in names:
                raise damaged(each.begin, f"two layers are called {layer.name!r}")
            if layer.blobs:
                names.add(layer.name)
                found.append(layer)
    return found


def _layer(data: bytes, message: Field, known: dict[int, str]) -> Layer:
    check(message, BYTES)
    layer, blobs = Layer(message.begin), list[Field]()
    for each in fields(data, message.begin, message.end):
        what = known.get(each.number)
        if what == "blobs":
            blobs.append(each)
        elif what == "oldest":
            hint = "upgrade_net_proto_binary of Caffe makes a newer one of it"
            raise WeightsError(f"this net is older than Caffe's second format: {hint}")
        elif what == "type" and known is _V1:
            check(each, VARINT)
            layer.type = _TYPES_V1.get(each.value, "")
        elif what in ("name", "type"):
            setattr(layer, what, text(data, each))
        elif what is not None:
            getattr(layer, what).append(text(data, each))
    layer.blobs = [_blob(data, each, n, layer.type) for n, each in enumerate(blobs)]
    return layer


def _blob(data: bytes, message: Field, number: int, kind: str) -> Array:
    """An array of a layer."""
    check(message, BYTES)
    sizes, shape = dict.fromkeys(_SIZES, 0), None
    numbers: dict[int, list[bytes]] = {_DATA: [], _DOUBLE_DATA: []}
    for each in fields(data, message.begin, message.end):
        if each.number in numbers:
            numbers[each.number].append(_numbers(data, each))
        elif each.number == _SHAPE:
            shape = _shape(data, each)
        elif each.number in sizes:
            check(each, VARINT)
            sizes[each.number] = each.value
    flat = _joined(numbers)
    whole = _without_ones(tuple(sizes.values()), number, kind) if shape is None else shape
    if shape is None and not any(sizes.values()):
        whole = flat.shape
    if prod(whole) != len(flat):
        raise damaged(message.begin, f"{len(flat)} numbers are there for the shape {whole}")
    return flat.reshape(whole)


def _numbers(data: bytes, found: Field) -> bytes:
    """The bytes of numbers, packed or one by one."""
    single, size = (FIXED32, 4) if found.number == _DATA else (FIXED64, 8)
    check(found, BYTES, single)
    if (found.end - found.begin) % size:
        raise damaged(found.begin, f"{found.end - found.begin} bytes are no numbers of {size}")
    return data[found.begin : found.end]


def _joined(numbers: dict[int, list[bytes]]) -> Array:
    """All numbers of a blob; those of double precision count if there are any."""
    double = bool(numbers[_DOUBLE_DATA])
    whole = b"".join(numbers[_DOUBLE_DATA if double else _DATA])
    # In the machine's own order of bytes, and a copy that one may write to.
    return np.frombuffer(whole, "<f8" if double else "<f4").astype("f8" if double else "f4")


def _shape(data: bytes, message: Field) -> tuple[int, ...]:
    check(message, BYTES)
    found = fields(data, message.begin, message.end)
    sizes = tuple(n for each in found if each.number == _DIMENSION for n in varints(data, each))
    if len(sizes) > _MOST_AXES or any(size > _LARGEST for size in sizes):
        raise damaged(message.begin, "no array has such a shape")
    return sizes


def _without_ones(sizes: tuple[int, ...], number: int, kind: str) -> tuple[int, ...]:
    """The shape of a blob from the time when all had four axes."""
    axes = 1 if number else 2 if kind == "InnerProduct" else 4
    lead, rest = sizes[: 4 - axes], sizes[4 - axes :]
    return rest if all(size == 1 for size in lead) else sizes


# -- names ---------------------------------------------------------------------------------------


def _entries(found: Sequence[Layer]) -> Iterator[tuple[str, Array]]:
    normalisations: dict[str, str] = {}
    for layer in found:
        blobs, name = layer.blobs, layer.name
        if layer.type == "BatchNorm":
            blobs = _statistics(layer)
            normalisations |= dict.fromkeys(layer.top, name)
        elif layer.type == "Scale" and layer.bottom and layer.bottom[0] in normalisations:
            name = f"{normalisations[layer.bottom[0]]}.scale"
        yield from ((f"{name}.{n}", blob) for n, blob in enumerate(blobs))


def _statistics(layer: Layer) -> list[Array]:
    """Mean and variance: what is kept are sums, and their weight."""
    if len(layer.blobs) != 3 or layer.blobs[2].size != 1:
        raise damaged(layer.at, f"{layer.name!r} normalises, and has not three blobs")
    mean, variance, weight = layer.blobs
    factor = weight.reshape(())
    share = factor.dtype.type(0) if factor == 0 else 1 / factor
    with np.errstate(over="ignore", invalid="ignore"):
        return [mean * share, variance * share]
