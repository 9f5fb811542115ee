"""Which shapes say what: how each extent is found, and which ones must be arguments.

The rules are those of the notation, applied without any number: of an extent, only the axes on
which it is read are known. Whatever is given says what the operands leave open, or how far a window
really goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from contractconv.notation.affine import Affine
from contractconv.notation.rules import Placed, Rules, Said
from contractconv.notation.spec import Axis, Composition, Place, Spec

RESULT = -1  # the number of the result among the terms, as in the notation

Places = tuple[Place, ...]
"""Where the extent of an index is read: on an axis, or on any one of several windows.

Arguments are read nowhere.
"""


@dataclass(frozen=True)
class Solution:
    """How each extent is known.

    Attributes:
        arguments: the indices whose extents are given, or must be, as no shape determines them.
        found: the others.
        dynamic: whether numbers that are put into symbols at run time decide what an axis says.
        windows: the axes on which the extent of an index was chosen such that the window fits.
    """

    arguments: tuple[str, ...]
    found: dict[str, Places]
    dynamic: bool
    windows: frozenset[Place]


def solve(spec: Spec, given: Iterable[str], shaped: bool, cotangent: bool) -> Solution:
    """Determine the extents of a contraction from shapes.

    Args:
        spec: the contraction.
        given: the indices whose extents are given by name.
        shaped: whether the shape of the result is given.
        cotangent: whether a cotangent has it, which tells of what no operand has.
    """
    arguments = [*given]
    rules = _Symbols(spec, shaped, cotangent)
    while True:
        found = rules.found(arguments)
        missing = rules.missing({*found, *arguments})
        if not missing:
            break
        arguments += _asked(rules, missing)
    ordered = tuple(sorted(arguments, key=spec.indices.index))
    dynamic = any(isinstance(a, Affine) and a.parameters for _, a in rules.inputs)
    windows = {place for place, _, _ in rules.windows} if not dynamic else set()
    chosen = windows.intersection(place for places in found.values() for place in places)
    return Solution(ordered, found, dynamic, frozenset(chosen))


def plain(axis: Axis) -> str | None:
    """The index that stands alone on an axis, if one does."""
    return axis.plain if isinstance(axis, Affine) else None


class _Symbols(Rules[Places]):
    """What follows from what, wherever that may be read."""

    def __init__(self, spec: Spec, shaped: bool, cotangent: bool) -> None:
        super().__init__(spec)
        self._shaped, self._cotangent = shaped, cotangent

    def hears(self, name: str) -> bool:
        return self._shaped or (self._cotangent and name not in self.read)

    def told(self, place: Place, axis: Axis, name: str, known: Mapping[str, Places]) -> Places:
        return (place,)

    def same(self, name: str, first: Said[Places], second: Said[Places]) -> Places:
        return tuple(dict.fromkeys((*first[0], *second[0])))

    def found(self, arguments: Collection[str]) -> dict[str, Places]:
        """The extents that follow, beside those that are arguments."""
        stated = {n: p for n, p in _alone(self.outputs).items() if self.hears(n)}
        given: dict[str, Places] = dict.fromkeys(arguments, ())
        said = stated | given
        known = {**_alone(self.inputs), **{n: said[n] for n in said if n not in self.read}}
        self.follow(known, said)
        known = given | known
        self.follow(known, stated)
        known = stated | known
        self.follow(known, {}, result=True)
        return {n: places for n, places in known.items() if n not in arguments}


def _alone(placed: Placed) -> dict[str, Places]:
    """The indices that have an axis to themselves, each on the first one."""
    return {name: (place,) for place, axis in reversed(placed) if (name := plain(axis))}


def _asked(rules: _Symbols, missing: Collection[str]) -> list[str]:
    """What to ask for: of a window its taps, of a composition all factors but the last."""
    kept = {name for _, axis in rules.outputs for name in axis.names}
    for _, axis in rules.inputs:
        unknown = [name for name in dict.fromkeys(axis.names) if name in missing]
        if len(unknown) < 2:
            continue
        if isinstance(axis, Composition):
            return unknown[:-1]
        if isinstance(axis, Affine) and not axis.fractional:
            solved = next((name for name in unknown if name in kept), unknown[0])
            return [name for name in unknown if name != solved]
    return [next(iter(missing))]
