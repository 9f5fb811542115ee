"""What follows where one array stands in several places: axes that have one size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from contractconv.notation.affine import Affine
from contractconv.notation.problem import Shape
from contractconv.notation.spec import Axis, Composition, Dots, Spec


def same_axes(spec: Spec) -> Iterator[tuple[Axis, Axis]]:
    """Two axes of terms that are one axis of an array; the first of them is always the same."""
    first = spec.array_terms
    for name, term in zip(spec.called, spec.inputs, strict=True):
        if len(term) == len(first[name]):
            yield from zip(first[name], term, strict=True)


def same_extents(spec: Spec) -> dict[str, str]:
    """For each index that has the extent of another one, the first of these.

    Example:
        >>> from contractconv.notation.names import named
        >>> from contractconv.notation.parser import parse
        >>> same_extents(named(parse("i, i j, j ->"), "x A x"))
        {'j': 'i'}
    """
    found: dict[str, str] = {}

    def first_of(name: str) -> str:
        while name in found:
            name = found[name]
        return name

    for one, other in same_axes(spec):
        if one.plain and other.plain:
            kept, lost = first_of(one.plain), first_of(other.plain)
            if kept != lost:
                found[lost] = kept
    return {name: first_of(name) for name in found}


def tied_shapes(spec: Spec, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """Shapes as one array has them: where a window may have any size, that of another place.

    Args:
        spec: the contraction, without an ellipsis.
        shapes: one for each term.
    """
    sizes: dict[tuple[str, int], int] = {}
    for settled in (False, True):
        for name, term, shape in zip(spec.called, spec.inputs, shapes, strict=True):
            for number, (axis, size) in enumerate(zip(term, shape, strict=True)):
                if settled == _has_any_size(axis):
                    before = sizes.get((name, number), 0)
                    fixed = not settled or not before
                    sizes[name, number] = size if fixed else before
    return tuple(
        tuple(sizes[name, number] for number in range(len(shape)))
        for name, shape in zip(spec.called, shapes, strict=True)
    )


def tied_extents(
    spec: Spec, extents: Mapping[str, int], given: Mapping[str, int]
) -> dict[str, int]:
    """Extents as arrays in several places leave them; what is given counts first."""
    found, first = dict(extents), same_extents(spec)
    groups: dict[str, list[str]] = {}
    for name in spec.indices:
        groups.setdefault(first.get(name, name), []).append(name)
    for names in groups.values():
        told = [given[name] for name in names if name in given]
        found |= dict.fromkeys(names, (told or [extents[names[0]]])[0])
    for one, other in same_axes(spec):
        if isinstance(one, Composition) and isinstance(other, Composition):
            for kept, lost in zip(one.names, other.names, strict=True):
                found[lost] = found[kept]
    return found


def _has_any_size(axis: Axis) -> bool:
    """Whether an axis may be longer than what is read of it."""
    return isinstance(axis, Affine) and not axis.plain and not isinstance(axis, Dots)
