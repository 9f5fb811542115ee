"""Which shapes say what: how each extent is found, and which ones must be arguments.

The rules are those of the notation, applied without any number: an index that stands alone has its
axis's size, a composition with one unknown factor divides, a window with one unknown index counts
its places. Whatever is given says what the operands leave open, or how far a window really goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from contractconv.notation.affine import Affine
from contractconv.notation.places import axes
from contractconv.notation.spec import Axis, Composition, Place, Spec

RESULT = -1  # the number of the result among the terms, as in the notation


@dataclass(frozen=True, slots=True)
class Found:
    """Where the extent of an index is read: on an axis, or on any one of several windows."""

    axis: Axis
    places: tuple[Place, ...]


Axes = Sequence[tuple[Place, Axis]]
Known = dict[str, Found | None]
"""Where extents are read; ``None`` for those that are arguments."""


@dataclass(frozen=True)
class Solution:
    """How each extent is known.

    Attributes:
        arguments: the indices whose extents are given, or must be, as no shape determines them.
        found: the others.
        dynamic: whether numbers that are put into symbols at run time decide what an axis says.
    """

    arguments: tuple[str, ...]
    found: dict[str, Found]
    dynamic: bool

    @property
    def windows(self) -> frozenset[Place]:
        """The axes on which the extent of an index was chosen such that the window fits."""
        fitting = (f for f in self.found.values() if window(f.axis) and not self.dynamic)
        return frozenset(place for found in fitting for place in found.places)


def solve(spec: Spec, given: Iterable[str] = (), result: Iterable[str] = ()) -> Solution:
    """Determine the extents of a contraction from shapes.

    Args:
        spec: the contraction.
        given: the indices whose extents are given by name.
        result: the indices of which the shape of the result may tell.
    """
    arguments = [*given]
    rules = _Rules(spec, frozenset(result))
    while True:
        found = rules.found(arguments)
        missing = [n for n in spec.indices if n not in found and n not in arguments]
        if not missing:
            ordered = tuple(sorted(arguments, key=spec.indices.index))
            return Solution(ordered, found, rules.dynamic)
        arguments += _asked(spec, missing)


def only_in_result(spec: Spec) -> list[str]:
    """The indices of which no operand can tell: the shape of a cotangent tells of them alone."""
    read = {name for place, axis in axes(spec) if place[0] != RESULT for name in axis.names}
    return [name for name in spec.indices if name not in read]


def plain(axis: Axis) -> str | None:
    """The index that stands alone on an axis, if one does."""
    return axis.plain if isinstance(axis, Affine) else None


def window(axis: Axis) -> bool:
    """Whether more than an index stands on an axis, or less."""
    return isinstance(axis, Affine) and not axis.plain


class _Rules:
    """What follows from what, in the order in which the notation applies its rules."""

    def __init__(self, spec: Spec, told: Collection[str]) -> None:
        self._inputs = [(p, a) for p, a in axes(spec) if p[0] != RESULT]
        self._result = [(p, a) for p, a in axes(spec) if p[0] == RESULT and told]
        self._unread = only_in_result(spec)
        self._told = told
        self.dynamic = any(isinstance(a, Affine) and a.parameters for _, a in self._inputs)

    def found(self, arguments: Collection[str]) -> dict[str, Found]:
        """The extents that follow, beside those that are arguments."""
        stated = {n: f for n, f in _alone(self._result).items() if n in self._told}
        said: Known = {**stated, **dict.fromkeys(arguments)}
        known: Known = {**_alone(self._inputs), **{n: said[n] for n in said if n in self._unread}}
        self._follow(known, said, self._inputs)
        known |= {name: None for name in arguments if name not in known}
        self._follow(known, stated, self._inputs)
        known |= {name: found for name, found in stated.items() if name not in known}
        self._follow(known, {}, [*self._inputs, *self._result])
        return {n: f for n, f in known.items() if f is not None and n not in arguments}

    def _follow(self, known: Known, said: Mapping[str, Found | None], sized: Axes) -> None:
        while more := _composed(sized, known, self._told) or self._fitting(known):
            known |= {name: said.get(name, place) for name, place in more.items()}

    def _fitting(self, known: Collection[str]) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for place, axis in self._inputs:
            if isinstance(axis, Affine) and not axis.fractional:
                unknown = _unknown(axis, known)
                if len(unknown) == 1:
                    before = found.setdefault(unknown[0], Found(axis, ()))
                    found[unknown[0]] = Found(before.axis, (*before.places, place))
        return found


def _alone(sized: Axes) -> dict[str, Found]:
    """The indices that have an axis to themselves, each on the first one."""
    found: dict[str, Found] = {}
    for place, axis in sized:
        if name := plain(axis):
            found.setdefault(name, Found(axis, (place,)))
    return found


def _composed(sized: Axes, known: Collection[str], told: Collection[str]) -> dict[str, Found]:
    for place, axis in sized:
        unknown = _unknown(axis, known) if isinstance(axis, Composition) else []
        if len(unknown) == 1 and (place[0] != RESULT or unknown[0] in told):
            return {unknown[0]: Found(axis, (place,))}
    return {}


def _unknown(axis: Axis, known: Collection[str]) -> list[str]:
    return [name for name in dict.fromkeys(axis.names) if name not in known]


def _asked(spec: Spec, missing: Collection[str]) -> list[str]:
    """What to ask for: of a window its taps, of a composition all factors but the last."""
    kept = {name for axis in spec.output for name in axis.names}
    for place, axis in axes(spec):
        unknown = [name for name in dict.fromkeys(axis.names) if name in missing]
        if place[0] == RESULT or len(unknown) < 2:
            continue
        if isinstance(axis, Composition):
            return unknown[:-1]
        if isinstance(axis, Affine) and not axis.fractional:
            solved = next((name for name in unknown if name in kept), unknown[0])
            return [name for name in unknown if name != solved]
    return [next(iter(missing))]
