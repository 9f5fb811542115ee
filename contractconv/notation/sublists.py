"""numpy's other way to say a contraction: ``einsum(a, [0, 1], b, [1, 2], [0, 2])``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contractconv.errors import SpecError
from contractconv.notation.affine import Affine
from contractconv.notation.parser import as_reduction, implicit_output
from contractconv.notation.spec import Axis, Dots, Reduction, Spec, Term


def from_sublists(arguments: Sequence[Any], reduce: Reduction) -> tuple[Spec, tuple[Any, ...]]:
    """Read operands that alternate with lists of indices.

    Args:
        arguments: operand, list, operand, list, ..., and the list of the output if wanted: any
            sequence, an array of integers, or a string of letters. An index is any hashable
            object; ``...`` is the ellipsis.
        reduce: how contributions combine.

    Returns:
        The contraction and the operands.

    Raises:
        SpecError: a list of indices is missing.
    """
    as_reduction(reduce)
    pairs, rest = len(arguments) // 2, arguments[2 * (len(arguments) // 2) :]
    lists = [_labels(given) for given in (*arguments[1 : 2 * pairs : 2], *rest)]
    if not pairs or None in lists:
        raise SpecError(
            "a contraction starts with a string; numpy's other form alternates operands with "
            "lists of indices: contract(a, [0, 1], b, [1, 2], [0, 2])"
        )
    known = [labels for labels in lists if labels is not None]
    labels = [label for labels in known for label in labels if label is not Ellipsis]
    names = _names(labels, ordered=not rest)
    terms = [_term(labels, names) for labels in known]
    inputs = tuple(terms[:pairs])
    output = terms[pairs] if rest else implicit_output(inputs)
    return Spec(inputs, output, reduce), tuple(arguments[0 : 2 * pairs : 2])


def _labels(given: Any) -> list[Any] | None:
    """The indices of one list; ``None`` if it is none."""
    if isinstance(given, str):
        first, *others = given.replace(" ", "").split("...")
        return [*first, *(label for rest in others for label in (Ellipsis, *rest))]
    if isinstance(given, (list, tuple, range)):
        return list(given)
    # Arrays, without the import of a library of arrays.
    if getattr(given, "ndim", None) == 1 and getattr(given, "dtype", None) is not None:
        return list(given.tolist()) if given.dtype.kind in "iu" or not given.size else None
    return None


def _names(labels: list[Any], ordered: bool) -> dict[Any, str]:
    try:
        distinct = list(dict.fromkeys(labels))
        if ordered:
            distinct.sort()  # an implicit output has numpy's order
    except TypeError as error:
        raise SpecError(
            f"indices must be hashable, and comparable where no list for the output is given: "
            f"{error}"
        ) from None
    width = len(str(len(distinct)))
    if len(distinct) <= 26:
        return {label: chr(ord("a") + n) for n, label in enumerate(distinct)}
    return {label: f"i{n:0{width}}" for n, label in enumerate(distinct)}


def _term(labels: Sequence[Any], names: dict[Any, str]) -> Term:
    axes: list[Axis] = [Dots() if n is Ellipsis else Affine.index(names[n]) for n in labels]
    if sum(isinstance(axis, Dots) for axis in axes) > 1:
        raise SpecError("a list of indices has at most one ellipsis")
    return tuple(axes)
