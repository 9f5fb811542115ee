"""Pointing at places of a spec, for messages about operands and shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import index as as_integer
from typing import SupportsIndex

from contractconv.errors import OperandError, ShapeError, Span, with_carets
from contractconv.notation.keywords import KEYWORDS
from contractconv.notation.problem import Shape
from contractconv.notation.spec import Axis, Place, Spec, has_dots, render


def axes(spec: Spec) -> Iterable[tuple[Place, Axis]]:
    """Every axis with its place, the output's last."""
    for number, term in [*enumerate(spec.inputs), (-1, spec.output)]:
        for position, axis in enumerate(term):
            yield (number, position), axis


def marks(spec: Spec, places: Iterable[Place]) -> tuple[str, list[Span]]:
    """The canonical string of a spec, and the spans of some places in it."""
    text, spans = render(spec)
    return text, [spans[place] for place in places if place in spans]


def relabelled(spec: Spec, labels: Mapping[str, str]) -> Spec:
    """A spec as messages show it: with other names for some indices."""
    return spec.mapped(lambda axis: axis.renamed(labels)) if labels else spec


def give(names: Iterable[str], between: str = ", ") -> str:
    """How a call gives extents: ``i=...``, or in a mapping if the name is a keyword of calls."""
    return between.join(
        f"extents={{{name!r}: ...}}" if name in KEYWORDS else f"{name}=..." for name in names
    )


def operand_label(spec: Spec, number: int) -> str:
    """What messages call an operand: by its name, or by its position."""
    return spec.names[number] if spec.names else f"operand {number}"


def wrong_count(spec: Spec, given: int) -> OperandError:
    """Build the error for a number of operands that is not that of the terms."""
    if spec.is_tied:
        return _wrong_arrays(spec, spec.arrays, given)
    terms = len(spec.inputs)
    message = f"{terms} term{'s' * (terms != 1)} but {given} operand{'s' * (given != 1)}"
    # Those without an operand, or all of them if there are operands without a term.
    extra = [(number, None) for number in range(given if given < terms else 0, terms)]
    empty = any(not term for term in spec.inputs)
    hint = "an empty term stands for a scalar operand" * empty
    return OperandError(with_carets(message, *marks(spec, extra), hint))


def _wrong_arrays(spec: Spec, arrays: Sequence[str], given: int) -> OperandError:
    """The same, where one array stands in several places."""
    needed = f"{len(arrays)} array{'s' * (len(arrays) != 1)}, {', '.join(arrays)}"
    message = f"{needed}, but {given} operand{'s' * (given != 1)}"
    text, spans = marks(spec, [(number, None) for number in range(len(spec.inputs))])
    hint = f"its operands are called {' '.join(spec.names)}, and equal names are one array"
    return OperandError(with_carets(message, text, spans, hint))


def wrong_rank(spec: Spec, shapes: Sequence[Shape], number: int) -> ShapeError:
    """Build the error for an operand that has not as many axes as its term."""
    term, rank = spec.inputs[number], len(shapes[number])
    wanted = f"at least {len(term) - 1}" if has_dots(term) else str(len(term))
    label = operand_label(spec, number)
    message = f"{label} has {rank} ax{'i' if rank == 1 else 'e'}s, but its term has {wanted}"
    long = [name for axis in term for name in axis.names if len(name) > 1]
    meant = [f"{name!r} is one index, as some term has a blank inside" for name in long[:1]]
    hint = "\n".join([*meant, shapes_line(shapes)])
    return ShapeError(with_carets(message, *marks(spec, [(number, None)]), hint))


def shapes_line(shapes: Sequence[Shape]) -> str:
    """List the operands' shapes for the end of a message."""
    listed = ", ".join(str(tuple(shape)) for shape in shapes)
    return f"shapes: {listed}" if shapes else ""


def operand_position(spec: Spec, n: object) -> int:
    """Check which of its arrays is meant, by its position or by its name.

    Raises:
        OperandError: there is none at that position, or of that name.
    """
    arrays, count = spec.arrays, len(spec.arrays)
    if isinstance(n, str) and n in arrays:
        return arrays.index(n)
    if isinstance(n, SupportsIndex) and not isinstance(n, bool) and 0 <= as_integer(n) < count:
        return as_integer(n)
    called = f", called {', '.join(arrays)}" if spec.names or isinstance(n, str) else ""
    raise OperandError(
        f"there is no operand {n!r} in '{spec}': it has {count} "
        f"operand{'s' * (count != 1)}, counted from 0{called}"
    )
