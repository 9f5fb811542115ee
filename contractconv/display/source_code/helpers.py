"""Functions that generated code has in front of it, if it calls them: there, shapes are checked.

They apply the rules of the notation to numbers, as :mod:`solving` does without any. Only numbers
that are put into symbols at run time decide which axes an index has to itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_AGREE = '''\
def agree(string, /, *shapes, **extents):
    """Refuse shapes that give an index several extents; return the extents."""
    for term, shape in zip(string.split(","), shapes, strict=True):
        if len(term.split()) != len(shape):
            raise ValueError(f"'{term.strip()}' does not fit the shape {tuple(shape)}")
        for index, size in zip(term.split(), shape, strict=True):
            if index != "." and extents.setdefault(index, size) != size:
                raise ValueError(f"extents disagree: {index} is {extents[index]}, but also {size}")
    return extents
'''

_PLACES = '''\
def places(size, terms, offset, index, extents):
    """Count the values of an index with which a window stays inside; padded on both sides alike."""
    spans = [c * max(0, extents[n] - 1) for n, c in terms.items() if n != index]
    low = offset + sum(min(0, span) for span in spans)
    high = offset + sum(max(0, span) for span in spans)
    if terms[index] < 0:
        low, high = size - 1 - high, size - 1 - low
    count = (size - 1 + max(0, -low) - high) // abs(terms[index]) + 1
    if count < bool(spans):
        raise ValueError(f"window larger than its axis: it spans {high - low + 1} of {size}")
    return count
'''

_FREE_AXES = '''\
def free_axes(axes, extents):
    """Those of some axes that have one index whose extent is not known."""
    return [axis for axis in axes if len({*axis[1]} - extents.keys()) == 1]
'''

_FITTED = '''\
def fitted(extents, given, *axes):
    """Add the extents that axes determine.

    An axis is its size and the factors of a composition, or coefficients, an offset, a divisor.
    """
    composed, windows = [], []
    for size, terms, *numbers in axes:
        if not numbers:
            composed.append((size, terms))
            continue
        offset, divisor = numbers
        unit = math.gcd(divisor, offset, *terms.values()) * (1 if divisor > 0 else -1)
        terms = {index: factor // unit for index, factor in terms.items() if factor}
        if divisor == unit and not offset and [*terms.values()] == [1]:
            (index,) = terms
            extents |= agree(index, [size], **{index: (given | extents).get(index, size)})
        elif divisor == unit:
            windows.append((size, terms, offset // unit))
    for more in ({}, given):
        extents = more | extents
        while free := free_axes(composed, extents) or free_axes(windows, extents):
            found = {}
            for size, terms, *offset in free:
                (index,) = {*terms} - extents.keys()
                if index in given:
                    count = given[index]
                elif offset:
                    count = places(size, terms, *offset, index, extents)
                else:
                    others = math.prod(extents[name] for name in terms if name != index)
                    if not others:
                        raise ValueError(f"unknown extent: {index}, as its axis has size {size}")
                    count = round((size // others) ** (1 / terms.count(index)))
                agree(index, [count], **{index: found.setdefault(index, count)})
            extents |= found
    if missing := {index for _, terms, *_ in axes for index in terms} - extents.keys():
        raise ValueError(f"unknown extents: {', '.join(sorted(missing))}")
    return extents
'''

_REACHED = '''\
def reached(offset, divisor, *terms):
    """Count the elements from zero on that an axis meets; a term is a coefficient and an extent."""
    if any(factor and not extent for factor, extent in terms):
        return 0
    spans = [factor * (extent - 1) for factor, extent in terms]
    low = offset + sum(min(0, span) for span in spans)
    high = offset + sum(max(0, span) for span in spans)
    if divisor < 0:
        low, high, divisor = -high, -low, -divisor
    return max(0, high // divisor + 1 - max(0, -low // divisor))
'''

_HELPERS = {
    "agree": _AGREE,
    "reached": _REACHED,
    "places": _PLACES,
    "free_axes": _FREE_AXES,
    "fitted": _FITTED,
}

NAMES = frozenset({*_HELPERS, "math"})


def helpers(lines: Sequence[str]) -> list[str]:
    """The functions that some lines call, and those that these call."""
    text = "\n".join(lines)
    called: list[str] = []
    for name in reversed(_HELPERS):
        if re.search(rf"\b{name}\(", "\n".join([text, *called])):
            called.insert(0, _HELPERS[name])
    return called
