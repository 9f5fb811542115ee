"""An ellipsis in a printed formula, spelled out: aligned at the right, broadcast as numpy does.

The axes are called ``…1``, ``…2`` and so on from the right. One of size 1 is read at its only
element, whatever the others do; and what the left side lacks, or has with size 1, is summed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from printed_formulas import (
    Big,
    Condition,
    Element,
    Formula,
    Name,
    Node,
    Number,
    Operation,
    Together,
    walk,
)  # fmt: skip

Dots = dict[str, int]
_DOTS, _PRIMED = Name("…"), Name("…′")


def shape_of(array: Any) -> list[int]:
    """The sizes of an array."""
    sizes = []
    while isinstance(array, list):
        sizes.append(len(array))
        array = array[0]
    return sizes


def spelled(
    formula: Formula, arrays: Mapping[str, Any], shape: Sequence[int]
) -> tuple[Formula, Dots]:
    """The formula without an ellipsis, and how long its axes are; ``…`` is how many points."""
    left = _sizes(formula.axes, shape)
    extents = _extents(formula, arrays, left)
    whole = _Speller(arrays, extents, left).formula(formula, shape)
    points = 1
    for extent in extents.values():
        points *= extent
    return whole, {**extents, "…": points}


def _sizes(axes: Sequence[Node], shape: Sequence[int]) -> list[int]:
    """The sizes that an ellipsis on some axes has, from the right."""
    for place, axis in enumerate(axes):
        if axis in (_DOTS, _PRIMED):
            return [*shape[place : place + len(shape) - len(axes) + 1]][::-1]
    return []


def _extents(formula: Formula, arrays: Mapping[str, Any], left: list[int]) -> Dots:
    """How far each axis of the ellipsis runs, the farthest left first."""
    found = {f"…{number}": size for number, size in enumerate(left, 1)}
    for node in walk(formula.body):
        if isinstance(node, Element):
            sizes = _sizes(node.axes, shape_of(arrays.get(node.array)))
            for number, size in enumerate(sizes, 1):
                found[f"…{number}"] = max(size, found.get(f"…{number}", 1))
    return dict(sorted(found.items(), reverse=True))


@dataclass(frozen=True)
class _Speller:
    """What the ellipsis stands for: extents, and the sizes on the left side, from the right."""

    arrays: Mapping[str, Any]
    extents: Dots
    left: list[int]

    def formula(self, formula: Formula, shape: Sequence[int]) -> Formula:
        """The whole formula."""
        body = self.node(formula.body)
        axes = tuple(self.axes(formula.axes, shape))
        bound = {name for node in walk(body) if isinstance(node, Big) for name in node.indices}
        known = bound | {axis.text for axis in axes if isinstance(axis, Name)}
        used = {node.text for node in walk(body) if isinstance(node, Name)}
        missing = tuple(name for name in self.extents if name in used - known)
        whole = Big("Σ", missing, body) if missing else body
        return Formula(formula.name, axes, whole, formula.otherwise)

    def axes(self, axes: Sequence[Node], shape: Sequence[int]) -> Iterator[Node]:
        """Axes with an ellipsis among them, if there is one."""
        sizes = _sizes(axes, shape)
        for axis in axes:
            if axis not in (_DOTS, _PRIMED):
                yield self.node(axis)
                continue
            for number in range(len(sizes), 0, -1):
                prime = "′" if axis == _PRIMED else ""
                wide = sizes[number - 1] == self.extents.get(f"…{number}", 1)
                yield Name(f"…{number}{prime}") if wide else Number(0)

    def node(self, node: Node) -> Node:
        """An expression."""
        if isinstance(node, Element):
            return Element(
                node.array, tuple(self.axes(node.axes, shape_of(self.arrays.get(node.array))))
            )
        if isinstance(node, Big):
            conditions = tuple(self.condition(condition) for condition in node.conditions)
            return Big(node.sign, self.names(node.indices), self.node(node.body), conditions)
        if isinstance(node, Together):
            return Together(self.names(node.names))
        if isinstance(node, Operation) and node.parts == (_PRIMED, _DOTS):
            return Operation("·", tuple(self.deltas()))
        if isinstance(node, Operation):
            return Operation(node.sign, tuple(self.node(part) for part in node.parts))
        return node

    def condition(self, condition: Condition) -> Condition:
        """A condition, in which positions may be compared."""
        return Condition(tuple(map(self.node, condition.parts)), condition.relations)

    def names(self, names: Sequence[str]) -> tuple[str, ...]:
        """Indices, with those of the ellipsis among them."""
        dots = {"…" + prime: [name + prime for name in self.extents] for prime in ("", "′")}
        return tuple(known for name in names for known in dots.get(name, [name]))

    def deltas(self) -> Iterator[Node]:
        """One delta for each axis that the left side has in full length."""
        for number, size in enumerate(self.left, 1):
            if size == self.extents[f"…{number}"]:
                yield Operation("δ", (Name(f"…{number}′"), Name(f"…{number}")))
