"""The layers of a neighbour against those of a network, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from contractconv.errors import WeightsError
from contractconv.weights.bindings import Binding, bindings, name_of, with_layout
from contractconv.weights.layouts import Flatten, Framework
from contractconv.weights.messages import ambiguous, lacking, left_over, misfit, nothing_left
from contractconv.weights.shelf import Shelf, canonical, joined, stem

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.layers.records import Call


class Shapes(Protocol):
    """What knows the shape of each tensor of a network."""

    def shape(self, value: Tensor) -> tuple[int, ...]:
        """The sizes of its axes."""


class Traced(Protocol):
    """A network for inputs of a known shape: ``net.traced(shape)``."""

    @property
    def calls(self) -> Sequence[Call]:
        """Its parts, in order."""

    @property
    def trace(self) -> Shapes:
        """What knows shapes."""


@dataclass(frozen=True)
class Match:
    """A layer of the network, and the entries that it was found to have.

    Attributes:
        call: the layer.
        bindings: how each of its parameters lies.
        names: the name of the entry of each binding.
    """

    call: Call
    bindings: Sequence[Binding]
    names: Sequence[str]


Ways = list[list[Binding]]


def own_calls(network: Traced) -> list[Call]:
    """The layers that have parameters, each once."""
    seen: dict[tuple[tuple[str, ...], ...], Call] = {}
    for call in network.calls:
        if call.parameters:
            seen.setdefault(tuple(p.path for p in call.parameters), call)
    return list(seen.values())


def ways_of(
    network: Traced,
    framework: Framework,
    flatten: Flatten | None,
    layouts: Mapping[str, Mapping[str, str]],
) -> list[tuple[Call, Ways]]:
    """Each layer with the ways in which a neighbour may keep it.

    Raises:
        WeightsError: it is no network for inputs of a known shape.
    """
    if not hasattr(network, "calls"):
        raise WeightsError(
            "which weights a network has follows from what comes in: give net.traced(shape), "
            f"not a {type(network).__name__}"
        )
    shape_of = network.trace.shape
    ways = [(call, bindings(call, framework, shape_of, flatten)) for call in own_calls(network)]
    check_names([call for call, _ in ways], layouts)
    return [(call, _told(call, found, layouts)) for call, found in ways]


def _told(call: Call, ways: Ways, layouts: Mapping[str, Mapping[str, str]]) -> Ways:
    """The ways of a layer, with layouts that somebody says."""
    said = layouts.get(name_of(call), {})
    return [[with_layout(b, said) for b in way] for way in ways]


def matched(
    layers: Sequence[tuple[Call, Ways]], shelf: Shelf, names: Mapping[str, str]
) -> list[Match]:
    """Find the entries of each layer.

    Args:
        layers: the layers with parameters.
        shelf: the entries.
        names: the layer of the neighbour for some layers of the network.

    Returns:
        A match for each layer.

    Raises:
        WeightsError: a layer has no entries, or they do not fit; or entries are left over.
    """
    check_names([call for call, _ in layers], names)
    told = {
        name_of(call): _at(call, ways, shelf, canonical(names[name_of(call)]))
        for call, ways in layers
        if name_of(call) in names
    }
    found = [
        told[name_of(call)] if name_of(call) in told else _next(call, ways, shelf)
        for call, ways in layers
    ]
    if shelf.left:
        raise left_over(shelf, [name_of(call) for call, _ in layers])
    return found


def check_names(calls: Sequence[Call], names: Mapping[str, object]) -> None:
    """Refuse names of layers that the network does not have.

    Raises:
        WeightsError: there is one.
    """
    known = [name_of(call) for call in calls]
    for name in names:
        if name not in known:
            raise WeightsError(
                f"the network has no layer {name!r} with parameters: there are {', '.join(known)}"
            )


def _next(call: Call, ways: Ways, shelf: Shelf) -> Match:
    if shelf.numbered:
        return _counted(call, ways, shelf)
    wanted = [entry for way in ways for b in way for entry in b.row.entries]
    if not shelf.ordered:
        return _fitting(call, ways, shelf, wanted)
    prefix = shelf.first_prefix(wanted)
    if prefix is None:
        raise nothing_left(call, ways[0], shelf)
    return _at(call, ways, shelf, prefix)


def _at(call: Call, ways: Ways, shelf: Shelf, prefix: str) -> Match:
    """The entries of a layer whose name is known."""
    for way in ways:
        names = _entries(way, shelf, prefix)
        if names is not None and _fit(way, names, shelf):
            return _taken(call, way, names, shelf)
    present = [way for way in ways if _entries(way, shelf, prefix) is not None]
    if not present:
        raise lacking(call, ways[0], shelf, prefix)
    names = _entries(present[0], shelf, prefix)
    assert names is not None
    raise misfit(call, present[0], names, shelf)


def _fitting(call: Call, ways: Ways, shelf: Shelf, wanted: Sequence[str]) -> Match:
    """The first layer that fits, where their order is not known."""
    prefixes = shelf.prefixes(wanted)
    fitting = [prefix for prefix in prefixes if _fits_whole(ways, shelf, prefix)]
    if len({stem(prefix) for prefix in fitting}) > 1:
        raise ambiguous(call, fitting)
    if fitting:
        return _at(call, ways, shelf, fitting[0])
    whole = [p for p in prefixes if any(_entries(way, shelf, p) for way in ways)]
    if not whole:
        raise nothing_left(call, ways[0], shelf)
    return _at(call, ways, shelf, whole[0])


def _fits_whole(ways: Ways, shelf: Shelf, prefix: str) -> bool:
    """Whether a layer of the neighbour fits, and has nothing beside."""
    for way in ways:
        names = _entries(way, shelf, prefix)
        if names and {*names} == shelf.below(prefix) and _fit(way, names, shelf):
            return True
    return False


def _counted(call: Call, ways: Ways, shelf: Shelf) -> Match:
    """The next arrays, where they have no names."""
    entries = list(dict.fromkeys(b.row.entry for b in ways[0]))
    first = list(shelf.left)[: len(entries)]
    if len(first) < len(entries):
        raise nothing_left(call, ways[0], shelf)
    place = dict(zip(entries, first, strict=True))
    for way in ways:
        names = [place[b.row.entry] for b in way]
        if _fit(way, names, shelf):
            return _taken(call, way, names, shelf)
    raise misfit(call, ways[0], [place[b.row.entry] for b in ways[0]], shelf)


def _taken(call: Call, way: list[Binding], names: list[str], shelf: Shelf) -> Match:
    full = dict(zip(dict.fromkeys(names), shelf.take(dict.fromkeys(names)), strict=True))
    return Match(call, way, [full[name] for name in names])


def _entries(way: Sequence[Binding], shelf: Shelf, prefix: str) -> list[str] | None:
    """The name of the entry of each binding, if all are there."""
    found = []
    for binding in way:
        names = [joined(prefix, entry) for entry in binding.row.entries]
        there = [name for name in names if name in shelf.left]
        if not there:
            return None
        found.append(there[0])
    return found


def _fit(way: Sequence[Binding], names: Sequence[str], shelf: Shelf) -> bool:
    pairs = zip(way, names, strict=True)
    return all(shelf.shape(name) == binding.layout.theirs.shape for binding, name in pairs)
