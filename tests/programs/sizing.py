"""Sizes of contractions, worked out again from the rules of the notation."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from oracle import Affine, Axis, Composition, Spec, axis_texts, natural_size, read_axis

Sizes = tuple[int | None, ...]
_WORD = re.compile(r"[A-Za-z_]\w*")


class TooLarge(ValueError):
    """A window is larger than its axis."""


class Unresolved(ValueError):
    """A size does not follow from what is known."""


def read(text: str, parameters: Mapping[str, int]) -> Spec:
    """Read a contraction in the style with blanks, its parameters replaced by numbers."""
    bound = _WORD.sub(lambda m: f"({parameters[m[0]]})" if m[0] in parameters else m[0], text)
    left, _, right = bound.partition("->")
    terms = [tuple(map(read_axis, axis_texts(t, False))) for t in (*left.split(","), right)]
    return Spec(tuple(terms[:-1]), terms[-1])


def alone(axis: Axis) -> str | None:
    """The index of an axis that is nothing else."""
    if isinstance(axis, Affine) and not axis.offset and len(axis.coefficients) == 1:
        name, coefficient = axis.coefficients[0]
        return name if coefficient == 1 else None
    return None


def extents_of(
    spec: Spec, shapes: Sequence[Sizes], given: Mapping[str, int], shape: Sizes | None
) -> dict[str, int]:
    """The extent of every index.

    Args:
        spec: the contraction.
        shapes: of the operands; ``None`` where an axis is open.
        given: extents that are given.
        shape: of the result, if it is given.

    Raises:
        Unresolved: an extent does not follow.
        ValueError: two sizes disagree.
    """
    read_axes = [
        pair for term, sizes in zip(spec.inputs, shapes, strict=True)
        for pair in zip(term, sizes, strict=True)
    ]  # fmt: skip
    written = list(zip(spec.output, shape, strict=True)) if shape is not None else []
    known: dict[str, int] = {}
    _hear(known, read_axes, _of_plain)
    for name, size in given.items():
        _agree(known, name, size)
    _hear(known, written, _of_plain)
    while (
        _hear(known, read_axes, _of_affine)
        or _hear(known, read_axes, _of_composition)
        or _hear(known, written, _of_composition)
    ):
        pass
    missing = [name for name in spec.indices if name not in known]
    if missing:
        raise Unresolved(f"{missing} of {spec}")
    return known


def result_shape(spec: Spec, extents: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of a result that nobody chose."""
    return tuple(natural_size(axis.resolve(extents), extents) for axis in spec.output)


Rule = Callable[[Axis, int, Mapping[str, int]], tuple[str, int] | None]


def _hear(known: dict[str, int], axes: Sequence[tuple[Axis, int | None]], rule: Rule) -> bool:
    """Let every axis say what it says; whether any said something new."""
    news = False
    for axis, size in axes:
        said = rule(axis, size, known) if size is not None else None
        if said is not None:
            news = news or said[0] not in known
            _agree(known, *said)
    return news


def _agree(known: dict[str, int], name: str, size: int) -> None:
    if known.setdefault(name, size) != size:
        raise ValueError(f"{name} is {known[name]}, and {size}")


def _of_plain(axis: Axis, size: int, known: Mapping[str, int]) -> tuple[str, int] | None:
    name = alone(axis)
    return None if name is None else (name, size)


def _unknown(axis: Axis, known: Mapping[str, int]) -> str | None:
    names = [name for name in axis.names if name not in known]
    return names[0] if len(names) == 1 else None


def _of_affine(axis: Axis, size: int, known: Mapping[str, int]) -> tuple[str, int] | None:
    """As many as stay inside, with as many below zero as past the end."""
    name = _unknown(axis, known)
    if name is None or not isinstance(axis, Affine) or alone(axis) is not None:
        return None
    parts = [axis.offset, *(c for _, c in axis.coefficients)]
    if any(part.denominator != 1 for part in parts):
        return None
    step = dict(axis.coefficients)[name]
    reach = [(c, known[n] - 1) for n, c in axis.coefficients if n != name]
    if any(most < 0 for _, most in reach):
        raise Unresolved("a window without taps")
    least = axis.offset + sum(min(0 * c, c * top) for c, top in reach)
    most = axis.offset + sum(max(0 * c, c * top) for c, top in reach)
    if step < 0:  # the same, seen from the other end of the axis
        least, most = size - 1 - most, size - 1 - least
    count = math.floor((size - 1 + max(Fraction(0), -least) - most) / abs(step)) + 1
    if count < 0 or (reach and not count):
        raise TooLarge("a window that is larger than its axis")
    return name, count


def _of_composition(axis: Axis, size: int, known: Mapping[str, int]) -> tuple[str, int] | None:
    name = _unknown(axis, known)
    if name is None or not isinstance(axis, Composition):
        return None
    others = math.prod(known[n] for n in axis.names if n != name)
    if not others or size % others:
        raise Unresolved("a composition that does not divide")
    return name, size // others
