"""Layouts as they are written in a table, and the strings of the language that they stand for.

A layout names the roles that axes have in a layer: whatever the axes of a layer are called, its
string is written with these names. ``"(G O) (C) K"`` is ``(g o) c k l`` for a kernel ``k l g c o``.

====== =============================================================================
``G``  groups: in the input, in the kernel and in the result
``O``  what the kernel adds to the result: output channels, units
``C``  what is summed over beside the window: input channels, features
``K``  the window's positions, each an axis
``~K`` the same, counted from the other end: kernels of true convolutions
``U``  an axis of size one for each position of the window
``~``  what runs against the kernels of frameworks already
``A``  all axes of a parameter: biases, scales
``N``  what parts a recurrence or an attention: gates, heads
``D``  features that are met, ``H`` those that are made
====== =============================================================================

In parentheses, axes are one; ``1/3`` is the second of three parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from contractconv.programs.build import unused

Roles = Mapping[str, tuple[str, ...]]
"""The names of the axes that have a role."""

_WORDS = re.compile(r"\([^()]*\)|\S+")
_PART = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True)
class Side:
    """One side of a layout: a term of the language, with the size of each axis.

    Attributes:
        axes: what stands on each axis.
        shape: how long each axis is.
        names: the indices, each once.
    """

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    names: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.axes)


@dataclass(frozen=True)
class Layout:
    """How the elements of a neighbour's array lie in one of ours.

    Attributes:
        theirs: the neighbour's side.
        ours: our side.
        extents: the sizes of the indices.

    Example:
        >>> roles = {"O": ("o",), "C": ("c",), "K": ("k", "l"), "A": ("k", "l", "c", "o")}
        >>> print(layout("(G O) (C) K", "A", roles, {"o": 16, "c": 3, "k": 5, "l": 5}))
        o c k l -> k l c o
    """

    theirs: Side
    ours: Side
    extents: Mapping[str, int]

    def __str__(self) -> str:
        return f"{self.theirs} -> {self.ours}"

    @property
    def back(self) -> str:
        """What is done when they are exported."""
        return f"{self.ours} -> {self.theirs}"

    @property
    def homeless(self) -> tuple[str, ...]:
        """The indices for which the neighbour has no place."""
        return tuple(name for name in self.ours.names if name not in self.theirs.names)


def layout(theirs: str, ours: str | Side, roles: Roles, extents: Mapping[str, int]) -> Layout:
    """Write the two sides of a layout for the axes of a parameter.

    Args:
        theirs: the neighbour's side, in roles.
        ours: our side, in roles, or as it is.
        roles: the names of the axes that have a role.
        extents: their sizes.

    Returns:
        The layout.
    """
    zero = unused("zero", extents)
    own = side(ours, roles, extents, zero) if isinstance(ours, str) else ours
    return Layout(side(theirs, roles, extents, zero), own, {**extents, zero: 1})


def side(template: str, roles: Roles, extents: Mapping[str, int], zero: str) -> Side:
    """Write one side; the index ``zero`` has one value."""
    words = _WORDS.findall(template)
    axes = [axis for word in words for axis in _axes(word, roles, extents, zero)]
    texts, sizes, names = zip(*axes, strict=True) if axes else ((), (), ())
    return Side(texts, sizes, tuple(name for group in names for name in group))


Axis = tuple[str, int, tuple[str, ...]]
"""What stands on it, how long it is, and its indices."""


def _axes(word: str, roles: Roles, extents: Mapping[str, int], zero: str) -> Iterator[Axis]:
    """The axes for which a word stands."""
    if word.startswith("(") or _PART.fullmatch(word):
        yield _joined(word.strip("()").split(), roles, extents, zero)
    elif word == "U":
        yield from (("(0)", 1, ()) for _ in roles.get("U", ()))
    else:
        for name in _named(word.removeprefix("~"), roles):
            turned = word.startswith("~") != (name in roles.get("~", ()))
            yield _turned(name, extents) if turned else (name, extents[name], (name,))


def _turned(name: str, extents: Mapping[str, int]) -> Axis:
    """An axis that is counted from its other end."""
    return f"({extents[name] - 1}-{name})", extents[name], (name,)


def _joined(words: list[str], roles: Roles, extents: Mapping[str, int], zero: str) -> Axis:
    """Several axes as one, or a part of one."""
    part = _PART.fullmatch(words[0]) if words else None
    rest = words[1:] if part else words
    names = tuple(name for word in rest for name in _named(word, roles))
    sizes = [extents[name] for name in names]
    if part is None:
        return _composed(names), prod(sizes), names
    number, count = map(int, part.groups())
    return _shifted(names, sizes, number, zero), count * prod(sizes), names


def _composed(names: tuple[str, ...]) -> str:
    if not names:
        return "(0)"
    return names[0] if len(names) == 1 else f"({' '.join(names)})"


def _shifted(names: tuple[str, ...], sizes: list[int], number: int, zero: str) -> str:
    """A row-major composition behind so many of its kind."""
    steps = [prod(sizes[n + 1 :]) for n in range(len(sizes))]
    summands = [
        name if step == 1 else f"{step}*{name}" for name, step in zip(names, steps, strict=True)
    ]
    offset = number * prod(sizes)
    if offset or not names:
        summands.append(str(offset))
    elif len(names) == 1:
        # Alone, the index would have to be as long as the axis.
        summands.append(zero)
    return f"({'+'.join(summands)})"


def _named(word: str, roles: Roles) -> tuple[str, ...]:
    """The axes that have a role; any other word is the name of an axis itself."""
    return tuple(roles.get(word, ())) if word.isupper() and len(word) == 1 else (word,)
