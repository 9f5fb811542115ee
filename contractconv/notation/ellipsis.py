"""Spelling the ellipsis out, once the ranks of the operands are known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from contractconv.notation.affine import Affine
from contractconv.notation.carets import wrong_rank
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
    for number, (term, shape) in enumerate(zip(spec.inputs, shapes, strict=True)):
        if has_dots(term) and len(shape) < len(term) - 1:
            raise wrong_rank(spec, shapes, number)
    sizes = list(map(_dots_sizes, spec.inputs, shapes))
    names = _fresh(max(map(len, sizes), default=0), {*spec.indices, *spec.parameters})
    wide = {name for one in sizes for name, size in _aligned(names, one) if size != 1}

    def spelled(term: Term, sizes: Shape) -> Term:
        axes = [_broadcast(name, size, wide) for name, size in _aligned(names, sizes)]
        return _spelled(term, axes)

    output = _spelled(spec.output, [Affine.index(name) for name in names])
    if output_shape is not None:
        told = _dots_sizes(spec.output, tuple(output_shape))
        output = spelled(spec.output, told) if len(told) <= len(names) else output
    inputs = tuple(map(spelled, spec.inputs, sizes))
    return replace(spec, inputs=inputs, output=output, inside=None)


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


def _dots_sizes(term: Term, shape: Shape) -> Shape:
    """The sizes of the axes for which the ellipsis of a term stands."""
    start = next((n for n, axis in enumerate(term) if isinstance(axis, Dots)), len(shape))
    return tuple(shape[start : start + max(0, len(shape) - len(term) + 1)])


def _aligned(names: Sequence[str], sizes: Shape) -> Iterator[tuple[str, int]]:
    """The last names, one for each size."""
    return zip(names[len(names) - len(sizes) :], sizes, strict=True)


def _spelled(term: Term, axes: Sequence[Axis]) -> Term:
    spelled: list[Axis] = []
    for axis in term:
        spelled += axes if isinstance(axis, Dots) else [axis]
    return tuple(spelled)
