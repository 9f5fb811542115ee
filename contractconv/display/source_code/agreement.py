"""Which sizes of a call must agree, and what numbers in the place of symbols decide, as calls."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import TYPE_CHECKING

from contractconv.display.source_code.solving import RESULT, plain
from contractconv.display.source_code.text import multiples, total, tupled
from contractconv.notation.affine import Affine
from contractconv.notation.carets import axes
from contractconv.notation.spec import Axis, Composition, Place

if TYPE_CHECKING:
    from contractconv.display.source_code.sizes import Sizes


def agreement(sizes: Sizes) -> list[str]:
    """The call that compares the sizes of all axes, if there is anything to compare."""
    terms = [[_word(axis) for axis in sizes.spec.terms[n]] for n in sizes.shapes]
    words = [word for term in terms for word in term if word != "."]
    known = {w: text for w in dict.fromkeys(words) if (text := _computed(sizes, w)) is not None}
    if not known and len({*words}) == len(words):
        return []
    string = ", ".join(map(" ".join, terms))
    parts = [f'"{string}"', *sizes.shapes.values(), *_by_name(known)]
    return [f"agree({', '.join(parts)})"]


def _word(axis: Axis) -> str:
    """What is said of an axis: an index, a product of indices, or nothing."""
    if isinstance(axis, Composition):
        return "*".join(axis.names)
    return plain(axis) or "."


def _computed(sizes: Sizes, word: str) -> str | None:
    """What an axis must measure, if that is not just read on another one."""
    if "*" in word:
        return sizes.extents(word.split("*"))
    found = sizes.solution.found.get(word)
    return None if found and plain(sizes.axis(found[0])) else sizes.extent(word)


def _by_name(values: Mapping[str, str]) -> list[str]:
    """Arguments by name, whether or not Python allows the names."""
    allowed = {n: v for n, v in values.items() if n.isidentifier() and not keyword.iskeyword(n)}
    rest = {name: value for name, value in values.items() if name not in allowed}
    named = [f"{name}={value}" for name, value in allowed.items()]
    return [*named, f"**{_mapping(rest)}"] if rest else named


def _mapping(values: Mapping[str, str]) -> str:
    items = ", ".join(f'"{name}": {value}' for name, value in values.items())
    return f"{{{items}}}"


def fitted(sizes: Sizes) -> str:
    """The call that finds the extents which depend on numbers in the place of symbols."""
    others = [(p, a) for p, a in axes(sizes.spec) if p[0] != RESULT and not plain(a)]
    names = dict.fromkeys(name for _, axis in others for name in axis.names)
    told = {n for n, found in sizes.solution.found.items() if found[0][0] == RESULT}
    given = {n: sizes.extent(n) for n in names if n in told.union(sizes.solution.arguments)}
    alone = {plain(axis) for place, axis in axes(sizes.spec) if place[0] != RESULT}
    known = {name: sizes.extent(name) for name in names if name in alone}
    calls = [_axis(sizes, place, axis) for place, axis in others]
    return f"fitted({', '.join([_mapping(known), _mapping(given), *calls])})"


def _axis(sizes: Sizes, place: Place, axis: Axis) -> str:
    if not isinstance(axis, Affine):
        factors = tupled([f'"{name}"' for name in axis.names])
        return f"({sizes.shapes[place[0]]}[{place[1]}], {factors})"
    size = sizes.size(place)
    terms = {name: total(multiples(c, sizes.rename)) for name, c in axis.terms}
    offset, divisor = (total(multiples(p, sizes.rename)) for p in (axis.offset, axis.divisor))
    return f"({size}, {_mapping(terms)}, {offset}, {divisor})"
