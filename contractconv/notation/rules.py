"""What determines extents, for numbers and for symbols.

An index that stands alone has its axis's size, a composition with one unknown factor divides, a
window with one unknown index counts its places.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Generic, TypeVar

from contractconv.notation.affine import Affine
from contractconv.notation.carets import axes
from contractconv.notation.spec import Axis, Composition, Place, Spec

Extent = TypeVar("Extent")
Placed = Sequence[tuple[Place, Axis]]
Said = tuple[Extent, Place]


class Rules(ABC, Generic[Extent]):
    """What follows from what; how extents are computed is another's affair.

    Args:
        spec: the contraction, the ellipsis spelled out.

    Attributes:
        inputs, outputs: the axes with their places.
        windows: those of the inputs on which more than an index stands, or less.
        read: the indices that operands have.
        sources: where an extent was first said.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        placed = [*axes(spec)]
        self.inputs: Placed = [(place, axis) for place, axis in placed if place[0] >= 0]
        self.outputs: Placed = [(place, axis) for place, axis in placed if place[0] < 0]
        self.windows = [
            (place, axis, axis.names)
            for place, axis in self.inputs
            if isinstance(axis, Affine) and not axis.fractional and not axis.plain
        ]
        self.read = {name for term in spec.inputs for axis in term for name in axis.names}
        self.sources: dict[str, Place] = {}

    @abstractmethod
    def hears(self, name: str) -> bool:
        """Whether the shape of the result may tell of an index."""

    @abstractmethod
    def told(
        self, place: Place, axis: Axis, name: str, known: Mapping[str, Extent]
    ) -> Extent | None:
        """What an axis says of the one index that is not known, if it says anything."""

    @abstractmethod
    def same(self, name: str, first: Said[Extent], second: Said[Extent]) -> Extent:
        """What two windows say of an index, which ought to be the same."""

    def missing(self, known: Collection[str]) -> list[str]:
        """The indices whose extents are not known."""
        return [name for name in self.spec.indices if name not in known]

    def follow(
        self, known: dict[str, Extent], said: Mapping[str, Extent], result: bool = False
    ) -> None:
        """Apply the rules as far as they go.

        Args:
            known: the extents so far; what follows is added.
            said: what is known from elsewhere as soon as it would follow, whatever would follow.
            result: whether compositions of the result may tell what is still free.
        """
        while (
            self._follow_compositions(known, said, self.inputs)
            or self._follow_windows(known, said)
            or (result and self._follow_compositions(known, said, self.outputs))
        ):
            pass

    def _follow_compositions(
        self, known: dict[str, Extent], said: Mapping[str, Extent], placed: Placed
    ) -> bool:
        before = len(known)
        for place, axis in placed:
            if not isinstance(axis, Composition):
                continue
            unknown = {name for name in axis.names if name not in known}
            if len(unknown) == 1 and (place[0] >= 0 or all(map(self.hears, unknown))):
                (name,) = unknown
                extent = said[name] if name in said else self.told(place, axis, name, known)
                if extent is not None:
                    known[name] = extent
                    self.sources.setdefault(name, place)
        return len(known) > before

    def _follow_windows(self, known: dict[str, Extent], said: Mapping[str, Extent]) -> bool:
        found: dict[str, Said[Extent]] = {}
        for place, axis, every in self.windows:
            unknown = [name for name in every if name not in known]
            if len(unknown) == 1:
                (name,) = unknown
                extent = said[name] if name in said else self.told(place, axis, name, known)
                assert extent is not None, "windows always tell"
                before = found.setdefault(name, (extent, place))
                found[name] = (self.same(name, before, (extent, place)), before[1])
        for name, (extent, place) in found.items():
            known[name] = extent
            self.sources.setdefault(name, place)
        return bool(found)
