"""What is derived from the text of a program, as a text again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from contractconv.cache_register import kept
from contractconv.programs import derived_programs
from contractconv.programs.batched import batched
from contractconv.programs.derived_programs import Derived, Taken
from contractconv.programs.program import Graph
from contractconv.programs.text import reader, writer

# Texts of which something is kept: those of a few networks, with all that was derived of them.
_MOST = 2048

Flags = tuple[bool, ...]


class DerivedText(NamedTuple):
    """A program that was derived from another one.

    Attributes:
        text: the program; empty if it makes nothing.
        takes: its inputs.
        makes: of which inputs it makes cotangents, or of which results tangents.
    """

    text: str
    takes: tuple[Taken, ...]
    makes: tuple[int, ...]


@kept(most=_MOST)
def graph_of(text: str) -> Graph:
    """The program that a text is."""
    return reader.read(text)


@kept(most=_MOST)
def changing_inputs(text: str) -> Flags:
    """Which inputs hold numbers that can change a little."""
    return derived_programs.changing_inputs(graph_of(text))


@kept(most=_MOST)
def changing_results(text: str) -> Flags:
    """Which results hold numbers that can change a little."""
    return derived_programs.changing_results(graph_of(text))


@kept(most=_MOST)
def saving(text: str, wrt: Flags) -> str:
    """The program, which also makes what its gradients by some inputs read."""
    graph = graph_of(text)
    whole = derived_programs.saving(graph, both(wrt, changing_inputs(text)))
    return text if whole is graph else writer.write(whole)


@kept(most=_MOST)
def pullback(text: str, wrt: Flags, given: Flags) -> DerivedText:
    """What brings cotangents of some results back to some inputs, as far as these can change."""
    wanted, comes = both(wrt, changing_inputs(text)), both(given, changing_results(text))
    return _written(derived_programs.pullback(graph_of(text), wanted, comes))


@kept(most=_MOST)
def read_back(text: str, wrt: Flags) -> tuple[Taken, ...]:
    """What of inputs and results is read by whatever brings cotangents back to some inputs."""
    takes = pullback(text, wrt, changing_results(text)).takes
    return tuple(taken for taken in takes if taken.what != "change")


@kept(most=_MOST)
def pushforward(text: str, moving: Flags) -> DerivedText:
    """What makes the tangents of results of those of some inputs, as far as these can change."""
    moves = both(moving, changing_inputs(text))
    return _written(derived_programs.pushforward(graph_of(text), moves))


@kept(most=_MOST)
def for_many(text: str, inputs: Flags) -> tuple[str, Flags]:
    """The program with one more axis, which some inputs have first; and which results have it."""
    graph = graph_of(text)
    names = {node.name for node, has in zip(graph.inputs, inputs, strict=True) if has}
    whole, found = batched(graph, names)
    return writer.write(whole), tuple(found)


def both(first: Flags, second: Flags) -> Flags:
    """What is in two sets."""
    return tuple(a and b for a, b in zip(first, second, strict=True))


def flags(values: Sequence[object]) -> Flags:
    """Which of some values are there."""
    return tuple(value is not None for value in values)


def _written(derived: Derived) -> DerivedText:
    text = writer.write(derived.graph) if derived.makes else ""
    return DerivedText(text, derived.takes, derived.makes)
