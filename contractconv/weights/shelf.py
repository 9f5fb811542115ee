"""Entries of a neighbour by name, and which of them are a layer's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# torch numbers the layers of a recurrence within one module.
_FURTHER = re.compile(r"((?:weight|bias)_(?:ih|hh))_(l[1-9]\d*|l\d+_reverse)$")
_COLLECTIONS = ("params/", "batch_stats/")


def canonical(name: str) -> str:
    """A name as it is compared: with slashes, and without what only says where it is kept.

    Example:
        >>> canonical("features.0.weight"), canonical("conv2d/kernel:0"), canonical("w.bias_ih_l1")
        ('features/0/weight', 'conv2d/kernel', 'w/l1/bias_ih_l0')
    """
    text = name.removesuffix(":0").replace(".", "/")
    for collection in _COLLECTIONS:
        text = text.removeprefix(collection)
    return _FURTHER.sub(r"\2/\1_l0", text)


class Shelf:
    """Entries that are taken one layer after the other.

    Args:
        entries: arrays by name, in the neighbour's order.
        ignored: the last parts of names of what is no weight.
        ordered: whether the order is that of the layers.
    """

    def __init__(self, entries: Mapping[str, Array], ignored: Iterable[str], ordered: bool) -> None:
        self.entries = entries
        self.ordered = ordered
        self.names = {canonical(name): name for name in entries}
        self.left = {
            short: name
            for short, name in self.names.items()
            if not any(ends_with(short, what) for what in ignored)
        }

    @property
    def numbered(self) -> bool:
        """Whether nothing has a name: arrays are called ``arr_0``, ``arr_1``, ..."""
        return bool(self.left) and all(re.fullmatch(r"arr_\d+|\d+", name) for name in self.left)

    def shape(self, short: str) -> tuple[int, ...]:
        """The shape of an entry."""
        return tuple(np.shape(self.entries[self.names[short]]))

    def take(self, shorts: Iterable[str]) -> list[str]:
        """Take entries away, and return their full names."""
        return [self.left.pop(short) for short in shorts]

    def first_prefix(self, wanted: Iterable[str]) -> str | None:
        """The layer whose entry is the first one that is left, if it is a wanted one."""
        first = next(iter(self.left), "")
        return prefix_of(first, wanted)

    def prefixes(self, wanted: Iterable[str]) -> list[str]:
        """Every layer that has a wanted entry, in the order in which people count."""
        asked = list(wanted)
        found = {prefix_of(short, asked) for short in self.left}
        return sorted((prefix for prefix in found if prefix is not None), key=counted)

    def below(self, prefix: str) -> set[str]:
        """The entries of a layer that are left."""
        return {short for short in self.left if not prefix or short.startswith(f"{prefix}/")}


def ends_with(short: str, entry: str) -> bool:
    """Whether a name is that of an entry of some layer."""
    return short == entry or short.endswith(f"/{entry}")


def prefix_of(short: str, wanted: Iterable[str]) -> str | None:
    """The name of the layer of an entry, if it is a wanted one; the longest entry counts."""
    found = [entry for entry in wanted if ends_with(short, entry)]
    if not found:
        return None
    return short.removesuffix(max(found, key=len)).removesuffix("/")


def joined(prefix: str, entry: str) -> str:
    """The name of an entry of a layer."""
    return f"{prefix}/{entry}" if prefix else entry


def counted(name: str) -> list[tuple[int, str]]:
    """A key by which ``conv_10`` is behind ``conv_9``, and ``conv_1`` behind ``conv``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def stem(name: str) -> str:
    """A name without its numbers: what layers of one kind have in common."""
    return re.sub(r"_?\d+", "", name)
