"""What the operands of a contraction are called, and its result.

Equal names are one array: the contraction is called with one array a name, in the order in which
the names first appear. Names say nothing about extents and plans; they stand in formulas, sources,
pictures and errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from contractconv.errors import Span, SpecError, spec_error
from contractconv.notation.carets import marks, wrong_count
from contractconv.notation.spec import Axis, Composition, Dots, Spec, Term, has_dots
from contractconv.notation.tokens import NAME

Given = TypeVar("Given")

_WORD = re.compile(r"[^\s,]+")
_ARROW = "->"
_EXAMPLE = "names are blank-separated, one for each operand: names='x W'"


def named(spec: Spec, names: str | Iterable[str] | None) -> Spec:
    """Give names to the operands of a contraction.

    Args:
        spec: the contraction.
        names: one name for each operand, as in ``"x A x"``, or several names; what the result is
            called may follow behind an arrow, ``"x A x -> y"``.

    Raises:
        SpecError: the names do not fit; the message points at the one that is wrong.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> named(parse("i, i j, j ->"), "x A x").names
        ('x', 'A', 'x')
    """
    if names is None:
        return spec
    text = _text(names)
    words = [(match.group(), match.span()) for match in _WORD.finditer(text)]
    operands, result = _split(text, words)
    _check_count(spec, text, operands)
    for name, span in (*operands, *result):
        _check_name(spec, text, name, span)
    _check_apart(text, operands, result)
    told = tuple(name for name, _ in operands)
    _check_places(spec, told)
    return replace(spec, names=told, result=result[0][0] if result else "")


def names_text(spec: Spec) -> str:
    """The names of a contraction as they are given."""
    return " ".join([*spec.names, *([_ARROW, spec.result] if spec.result else [])])


def spread(spec: Spec, given: Sequence[Given]) -> tuple[Given, ...]:
    """What was given for each array, once for each operand that it is.

    Raises:
        OperandError: there is not one for each.
    """
    arrays = spec.arrays
    if len(given) != len(arrays):
        raise wrong_count(spec, len(given))
    found = dict(zip(arrays, given, strict=True))
    return tuple(found[name] for name in spec.called)


def _text(names: str | Iterable[str]) -> str:
    if isinstance(names, str):
        return names
    found = tuple(names) if isinstance(names, Iterable) else None
    if found is None or not all(isinstance(name, str) for name in found):
        raise SpecError(f"names={names!r}: {_EXAMPLE}")
    broken = [name for name in found if not _WORD.fullmatch(name)]
    if broken:
        raise SpecError(f"{broken[0]!r} is not a name: {_EXAMPLE}")
    return " ".join(found)


Word = tuple[str, Span]


def _split(text: str, words: list[Word]) -> tuple[list[Word], list[Word]]:
    """The names of the operands, and that of the result, if there is one."""
    arrows = [n for n, (word, _) in enumerate(words) if word == _ARROW]
    if not arrows:
        return words, []
    operands, result = words[: arrows[0]], words[arrows[0] + 1 :]
    if len(result) != 1:
        raise spec_error(
            "one name of the result stands behind the arrow", text, words[arrows[0]][1],
            *(span for _, span in result),
        )  # fmt: skip
    return operands, result


def _check_count(spec: Spec, text: str, operands: list[Word]) -> None:
    count, given = len(spec.inputs), len(operands)
    if given != count:
        spans = [span for _, span in operands[count:]] or [(len(text), len(text))]
        message = (
            f"{given} name{'s' * (given != 1)} for the {count} operand{'s' * (count != 1)} of "
            f"'{spec}'"
        )
        raise spec_error(message, text, *spans, hint=_EXAMPLE)


def _check_name(spec: Spec, text: str, name: str, span: Span) -> None:
    if not NAME.fullmatch(name) or not name.isidentifier():
        hint = "a name is a letter or _, then letters, digits and _"
        raise spec_error(f"{name!r} is not a name", text, span, hint=hint)
    taken = {**dict.fromkeys(spec.parameters, "parameter"), **dict.fromkeys(spec.indices, "index")}
    if name in taken:
        message = f"{name!r} is {'an' if taken[name] == 'index' else 'a'} {taken[name]} of '{spec}'"
        hint = f"call the array otherwise, as {_otherwise(name)}, or rename the {taken[name]}"
        raise spec_error(message, text, span, hint=hint)
    if name.startswith("N_"):
        hint = f"N_i is the extent of an index i in formulas: call it otherwise, as {name[2:]}"
        raise spec_error(f"{name!r} is the name of a size", text, span, hint=hint)


def _otherwise(name: str) -> str:
    return name.upper() if name.upper() != name else f"{name}_1"


def _check_apart(text: str, operands: list[Word], result: list[Word]) -> None:
    """Refuse what formulas could not tell apart: a gradient, the result, an operand."""
    known = {name for name, _ in operands}
    for name, span in result:
        if name in known:
            hint = "an operand and the result are two arrays: give them two names"
            raise spec_error(f"{name!r} is an operand and the result", text, span, hint=hint)
    for name, span in (*operands, *result):
        if name.startswith("d") and name[1:] in known | {name for name, _ in result}:
            hint = f"the gradient by {name[1:]} is called so: call the array otherwise"
            raise spec_error(f"{name!r} is the gradient by {name[1:]!r}", text, span, hint=hint)


def _check_places(spec: Spec, names: Sequence[str]) -> None:
    """One array has the same axes wherever it stands."""
    first: dict[str, int] = {}
    for number, (name, term) in enumerate(zip(names, spec.inputs, strict=True)):
        before = first.setdefault(name, number)
        wrong = _difference(spec.inputs[before], term)
        if wrong:
            written, spans = marks(spec, [(before, None), (number, None)])
            hint = "equal names are one array: call the operands by two names to pass two"
            raise spec_error(f"{name} {wrong}", written, *spans, hint=hint)


def _difference(one: Term, other: Term) -> str:
    """Why two terms cannot be of one array; nothing if they can."""
    if has_dots(one) != has_dots(other) or (has_dots(one) and _dots(one) != _dots(other)):
        return "has an ellipsis in one place, and none, or it elsewhere, in another"
    if len(one) != len(other):
        return f"has {len(one)} axes in one place, and {len(other)} in another"
    if any(_parts(a) != _parts(b) for a, b in zip(one, other, strict=True)):
        return "has an axis that is composed in one place, and not, or of others, in another"
    return ""


def _dots(term: Term) -> int:
    return next(n for n, axis in enumerate(term) if isinstance(axis, Dots))


def _parts(axis: Axis) -> int:
    return len(axis.names) if isinstance(axis, Composition) else 1
