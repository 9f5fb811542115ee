"""Spelling the ellipsis out, once the ranks of the operands are known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from contractconv.notation.affine import Affine
from contractconv.notation.places import wrong_rank
from contractconv.notation.problem import Shape
from contractconv.notation.spec import Axis, Dots, Spec, Term, has_dots

_SPELLED = re.compile("_*dots[0-9]+")


def expand_dots(
    spec: Spec, shapes: Sequence[Shape], output_shape: Sequence[int] | None = None
) -> Spec:
    """Spell the ellipsis out; an axis of size one that numpy would broadcast becomes ``(0)``.

    In the output that means: what is broadcast is reduced again. So the gradient of a
    broadcast operand has a string too.
    """
    if not spec.has_dots:
        return spec
    counts = [
        len(shape) - len(term) + 1 if has_dots(term) else 0
        for term, shape in zip(spec.inputs, shapes, strict=True)
    ]
    for number, count in enumerate(counts):
        if count < 0:
            raise wrong_rank(spec, shapes, number)
    names = _fresh(max(counts, default=0), {*spec.indices, *spec.parameters})
    aligned = [
        list(zip(names[len(names) - count :], _dots_sizes(term, shape, count), strict=True))
        for term, shape, count in zip(spec.inputs, shapes, counts, strict=True)
    ]
    wide = {name for pairs in aligned for name, size in pairs if size != 1}
    inputs = tuple(
        _spelled(term, [_broadcast(name, size, wide) for name, size in pairs])
        for term, pairs in zip(spec.inputs, aligned, strict=True)
    )
    kept: Sequence[Axis] = [Affine.index(name) for name in names]
    if output_shape is not None and has_dots(spec.output):
        count = len(output_shape) - len(spec.output) + 1
        sizes = _dots_sizes(spec.output, tuple(output_shape), max(count, 0))
        if len(sizes) <= len(names):
            pairs = zip(names[len(names) - len(sizes) :], sizes, strict=True)
            kept = [_broadcast(name, size, wide) for name, size in pairs]
    output = _spelled(spec.output, kept)
    return replace(spec, inputs=inputs, output=output)


def dots_labels(spec: Spec, spelled: Spec) -> dict[str, str]:
    """What messages call the axes of an ellipsis that was spelled out: ``...[0]``."""
    known = {*spec.indices, *spec.parameters}
    names = sorted((name for name in spelled.indices if name not in known), key=_number)
    return {name: f"...[{_number(name)}]" for name in names}


def names_dots(name: str) -> bool:
    """Whether an axis of an ellipsis may be called so once it is spelled out."""
    return _SPELLED.fullmatch(name) is not None


def _number(name: str) -> int:
    return int(name.lstrip("_").removeprefix("dots"))


def _fresh(count: int, taken: set[str]) -> tuple[str, ...]:
    """Names for the axes of the ellipsis, which a string may have as well: ``dots0 dots1``."""
    lead = "dots"
    while any(name.startswith(lead) for name in taken):
        lead = f"_{lead}"
    return tuple(f"{lead}{n}" for n in range(count))


def _broadcast(name: str, size: int, wide: set[str]) -> Axis:
    return Affine.of(()) if size == 1 and name in wide else Affine.index(name)


def _dots_sizes(term: Term, shape: Shape, count: int) -> Shape:
    start = next((n for n, axis in enumerate(term) if isinstance(axis, Dots)), 0)
    return tuple(shape[start : start + count])


def _spelled(term: Term, axes: Sequence[Axis]) -> Term:
    spelled: list[Axis] = []
    for axis in term:
        spelled += axes if isinstance(axis, Dots) else [axis]
    return tuple(spelled)
