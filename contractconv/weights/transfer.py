"""Weights of a neighbour become parameters of a network, and the other way round."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from contractconv.errors import WeightsError
from contractconv.layers.nesting import flattened
from contractconv.weights.bindings import Binding, framework_of, name_of
from contractconv.weights.copying import Array, as_bits, as_numbers, copied
from contractconv.weights.formats.entries import as_entries
from contractconv.weights.formats.trees import nested
from contractconv.weights.layouts import Flatten, Framework
from contractconv.weights.matching import Match, Traced, matched, ways_of
from contractconv.weights.shelf import Shelf

Layouts = Mapping[str, Mapping[str, str]]
Named = tuple[str, Binding]
"""The name of an entry, and what of a parameter is in it."""


def load(
    network: Traced,
    source: Any,
    framework: str,
    *,
    flatten: Flatten | None = None,
    names: Mapping[str, str] | None = None,
    layouts: Layouts | None = None,
) -> dict[str, Any]:
    """Make parameters of a network of the weights of another library.

    Layers are met in order: those of the network that have parameters, and those of the source,
    which are told apart by the names of their entries. Where a source does not keep an order, the
    layer is taken that fits, and the next one of its name if there are several.

    Args:
        network: for inputs of a known shape, ``net.traced(shape)``.
        source: a path of a file (``.npz``, ``.safetensors``, ``.h5``, ``.keras``,
            ``.caffemodel``); a ``state_dict`` or a nested dict of arrays; or a model that has one.
        framework: ``"torch"``, ``"keras"``, ``"tensorflow"``, ``"flax"``, ``"caffe"``,
            ``"theano"``.
        flatten: in which order an image is flattened before a dense layer, ``"NCHW"`` or
            ``"NHWC"``; by default as the framework does.
        names: which of its layers a layer is, ``{"conv_1": "features.0"}``; the others are met in
            order.
        layouts: how arrays lie that lie in no usual way, ``{"conv_1": {"W": "k l o c"}}``: a term
            with the names of our axes.

    Returns:
        Parameters as ``net.init`` makes them, with the numbers and the dtypes of the source.

    Raises:
        WeightsError: something is missing, superfluous or of another shape; or the file is none.
        SpecError, ShapeError: a layout in ``layouts`` is none.

    Example:
        >>> import numpy as np, contractconv as cc
        >>> net = cc.Network([cc.layers.Conv(2, 3), cc.layers.Dense(4, over="h w c")])
        >>> theirs = {
        ...     "0.weight": np.ones((2, 3, 3, 3)), "0.bias": np.ones(2),
        ...     "2.weight": np.ones((4, 32)), "2.bias": np.ones(4),
        ... }
        >>> params = load(net.traced((1, 6, 6, 3)), theirs, "torch")
        >>> params["conv_1"]["W"].shape, params["dense_1"]["W"].shape
        ((3, 3, 3, 2), (4, 4, 2, 4))
    """
    entries = as_entries(source)
    found = _matches(network, entries, framework, flatten, names, layouts)
    return nested({path: array for match in found for path, array in _loaded(match, entries)})


def export(
    network: Traced,
    params: Mapping[str, Any],
    framework: str,
    *,
    flatten: Flatten | None = None,
    names: Mapping[str, str] | None = None,
    layouts: Layouts | None = None,
    like: Any = None,
) -> dict[str, Array]:
    """Write parameters of a network as another library keeps them.

    Args:
        network: for inputs of a known shape, ``net.traced(shape)``.
        params: its parameters.
        framework: see :func:`load`.
        flatten: see :func:`load`.
        names: what layers are called there; by default as here.
        layouts: see :func:`load`.
        like: weights of the library, as :func:`load` takes them, whose names are used, and from
            which everything is taken that is no weight.

    Returns:
        Arrays by name. For Flax :func:`nested` makes its dicts of them.

    Raises:
        WeightsError: parameters are missing, or do not fit; see :func:`load`, too.

    Example:
        >>> import contractconv as cc
        >>> net = cc.Network([cc.layers.Conv(2, 3)])
        >>> params = net.init(0, (1, 6, 6, 3))
        >>> found = export(net.traced((1, 6, 6, 3)), params, "torch", names={"conv_1": "0"})
        >>> {name: array.shape for name, array in found.items()}
        {'0.weight': (2, 3, 3, 3), '0.bias': (2,)}
    """
    arrays = dict(flattened(params))
    if like is None:
        found = _placed(network, framework_of(framework), flatten, names or {}, layouts or {})
        return _exported(found, arrays)
    entries = as_entries(like)
    matches = _matches(network, entries, framework, flatten, names, layouts)
    pairs = [pair for m in matches for pair in zip(m.names, m.bindings, strict=True)]
    return dict(entries) | _exported(pairs, arrays)


def _matches(
    network: Traced,
    entries: Any,
    framework: str,
    flatten: Flatten | None,
    names: Mapping[str, str] | None,
    layouts: Layouts | None,
) -> list[Match]:
    known = framework_of(framework)
    layers = ways_of(network, known, flatten, layouts or {})
    return matched(layers, Shelf(entries, known.ignored, entries.ordered), names or {})


# -- to here -------------------------------------------------------------------------------------


def _loaded(match: Match, entries: Mapping[str, Array]) -> Iterator[tuple[tuple[str, ...], Array]]:
    """The parameters of a layer."""
    for parameter in match.call.parameters:
        pairs = [
            (b, entries[name])
            for b, name in zip(match.bindings, match.names, strict=True)
            if b.parameter is parameter
        ]
        parts = [_part(b, array) for b, array in pairs if not b.row.added]
        more = [_part(b, array) for b, array in pairs if b.row.added == "load"]
        yield parameter.path, _put_together(parts, more)


def _part(binding: Binding, array: Array) -> Array:
    layout = binding.layout
    return copied(str(layout), array, layout.extents, layout.ours.shape)


# -- to there ------------------------------------------------------------------------------------


def _placed(
    network: Traced,
    framework: Framework,
    flatten: Flatten | None,
    names: Mapping[str, str],
    layouts: Layouts,
) -> list[Named]:
    """A name for each entry, in the likeliest way."""
    layers = ways_of(network, framework, flatten, layouts)
    return [
        (_name(binding, names.get(name_of(call), name_of(call)), framework), binding)
        for call, ways in layers
        for binding in ways[0]
    ]


def _name(binding: Binding, layer: str, framework: Framework) -> str:
    collection = framework.collections[0 if binding.parameter.trained else 1]
    entry = binding.row.entries[0].replace("/", framework.between)
    return f"{collection}{layer}{framework.between if layer else ''}{entry}"


def _exported(named: Sequence[Named], arrays: Mapping[tuple[str, ...], Any]) -> dict[str, Array]:
    found = {}
    for name in dict.fromkeys(name for name, _ in named):
        of_entry = [binding for other, binding in named if other == name]
        found[name] = _entry(of_entry, arrays)
    return found


def _entry(of_entry: Sequence[Binding], arrays: Mapping[tuple[str, ...], Any]) -> Array:
    """An entry, of all that is in it."""
    plain = [b for b in of_entry if not b.row.added]
    parts = [_back(b, arrays) for b in plain]
    more = [_back(b, arrays) for b in of_entry if b.row.added == "export"]
    if not parts:
        parts = [np.zeros_like(_back(b, arrays)) for b in of_entry]
    return _put_together(parts, more)


def _back(binding: Binding, arrays: Mapping[tuple[str, ...], Any]) -> Array:
    layout, parameter = binding.layout, binding.parameter
    array = np.asarray(arrays.get(parameter.path))
    if array.shape != parameter.shape:
        raise WeightsError(
            f"{parameter.name}: {'no array is given' if array.dtype == object else array.shape}, "
            f"{parameter.shape} along '{' '.join(parameter.axes)}' is wanted"
        )
    return copied(layout.back, array, layout.extents, layout.theirs.shape)


def _put_together(parts: Sequence[Array], more: Iterable[Array]) -> Array:
    """Parts that lie side by side, and what is added to them."""
    whole = parts[0]
    if len(parts) > 1:
        dtype = np.result_type(*parts)
        whole = as_numbers(np.add.reduce([as_bits(part.astype(dtype)) for part in parts]), dtype)
    for other in more:
        # Nothing is added to what meets a zero, not even to the sign of another zero.
        whole = np.where(other == 0, whole, whole + other)
    return whole
