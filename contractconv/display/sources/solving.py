"""Which shapes say what: how each extent is found, and which ones must be arguments.

The rules are those of the notation, applied without any number: an index that stands alone has
its axis's size, a composition with one unknown factor divides, a window with one unknown index
counts its places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from contractconv.notation.affine import Affine
from contractconv.notation.spec import Axis, Composition, Place, Spec

Axes = Sequence[tuple[Place, Axis]]


@dataclass(frozen=True, slots=True)
class Found:
    """Where the extent of an index can be read: on any one of some axes of one kind."""

    axis: Axis
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Solution:
    """How each extent is known.

    Attributes:
        arguments: the indices whose extents no shape determines.
        found: the others.
    """

    arguments: tuple[str, ...]
    found: dict[str, Found]

    @property
    def windows(self) -> frozenset[Place]:
        """The axes on which the extent of an index was chosen such that the window fits."""
        affine = (f for f in self.found.values() if isinstance(f.axis, Affine))
        return frozenset(p for f in affine for p in f.places if not _plain(f.axis))


def solve(spec: Spec) -> Solution:
    """Determine the extents of a contraction from the shapes of its operands."""
    axes = list(_input_axes(spec))
    arguments: list[str] = []
    while True:
        found = _closure(axes, axes, arguments)
        missing = [n for n in spec.indices if n not in found and n not in arguments]
        if not missing:
            return Solution(_sorted(arguments, spec), found)
        arguments += _asked(spec, axes, missing)


def solve_with_result(spec: Spec) -> Solution:
    """Determine the extents from the shapes of the operands and of the result.

    They are the same as forward, but the result has some of them at hand. An affine axis of the
    result says nothing: it may end anywhere.
    """
    forward = solve(spec)
    result: Axes = [((-1, n), axis) for n, axis in enumerate(spec.output)]
    plain = {n: f for n, f in forward.found.items() if _plain(f.axis)}
    at_hand = _closure(result, [], []) | plain
    arguments: list[str] = []
    for name in forward.arguments:
        if name not in _closure([*_input_axes(spec), *result], [], arguments):
            arguments.append(name)
    whole = _closure([*_input_axes(spec), *result], [], arguments)
    return Solution(tuple(arguments), whole | forward.found | at_hand)


def _input_axes(spec: Spec) -> Iterator[tuple[Place, Axis]]:
    for number, term in enumerate(spec.inputs):
        for position, axis in enumerate(term):
            yield (number, position), axis


def _sorted(arguments: Iterable[str], spec: Spec) -> tuple[str, ...]:
    return tuple(sorted(arguments, key=spec.indices.index))


def _plain(axis: Axis) -> str | None:
    return axis.plain if isinstance(axis, Affine) else None


def _closure(axes: Axes, windows: Axes, arguments: Sequence[str]) -> dict[str, Found]:
    """Everything that follows from the sizes of the axes and the arguments."""
    found: dict[str, Found] = {}
    for place, axis in axes:
        if (name := _plain(axis)) and name not in arguments:
            found.setdefault(name, Found(axis, (place,)))
    while more := _composed(axes, {*found, *arguments}) or _fitting(windows, {*found, *arguments}):
        found |= more
    return found


def _composed(axes: Axes, known: set[str]) -> dict[str, Found]:
    for place, axis in axes:
        if isinstance(axis, Composition) and len(unknown := _unknown(axis, known)) == 1:
            return {unknown[0]: Found(axis, (place,))}
    return {}


def _fitting(windows: Axes, known: set[str]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for place, axis in windows:
        if isinstance(axis, Affine) and not axis.fractional:
            unknown = _unknown(axis, known)
            if len(unknown) == 1:
                before = found.setdefault(unknown[0], Found(axis, ()))
                found[unknown[0]] = Found(before.axis, (*before.places, place))
    return found


def _unknown(axis: Axis, known: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(axis.names) if name not in known]


def _asked(spec: Spec, axes: Axes, missing: Sequence[str]) -> list[str]:
    """What to ask for: of a window its taps, of a composition all factors but the last."""
    kept = {name for axis in spec.output for name in axis.names}
    for _, axis in axes:
        unknown = [name for name in dict.fromkeys(axis.names) if name in missing]
        if len(unknown) > 1 and not (isinstance(axis, Affine) and axis.fractional):
            if isinstance(axis, Composition):
                return unknown[:-1]
            solved = next((name for name in unknown if name in kept), unknown[0])
            return [name for name in unknown if name != solved]
    return [missing[0]]
