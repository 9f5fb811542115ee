"""The explanation of a network as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from contractconv.display.programs.lines import Line
from contractconv.display.programs.sentences import words
from contractconv.display.terminal import fitted, glued, wrapped
from contractconv.networks.display.wording import LETTERS, length, likeness, title, work
from contractconv.networks.explanation import Back, NetworkExplanation, Told

_INDENT = "  "


def as_text(explanation: NetworkExplanation) -> str:
    """Write an explanation as lines of at most about 100 characters."""
    return "\n".join(short for line in _lines(explanation) for short in fitted(line.rstrip()))


def _lines(explanation: NetworkExplanation) -> Iterator[str]:
    yield from wrapped(title(explanation), _INDENT, "")
    for part in explanation.parts:
        yield ""
        yield from _part(part)
    yield ""
    yield from wrapped(" ".join(LETTERS), "")


def _part(part: Told) -> Iterator[str]:
    yield ".".join(part.path)
    for string in part.string.splitlines():
        yield from wrapped(string, _INDENT * 4, _INDENT * 2)
    if part.like is not None:
        yield from wrapped(likeness(part), _INDENT)
        return
    name, sizes = part.makes
    for given, size in part.given:
        yield f"{_INDENT}{given}: {size}"
    yield f"{_INDENT}-> {name}: {sizes}"
    for line in part.lines:
        yield from _formula(part, line)
    for sentence in (*part.said, length(part), work(part)):
        yield from wrapped(sentence, _INDENT)
    for back in part.backs:
        yield from _back(part, back)


def _back(part: Told, back: Back) -> Iterator[str]:
    if back.to:
        yield f"{_INDENT}what comes back to {back.to}{': ' * bool(back.string)}{back.string}"
    if back.line is not None:
        yield from _formula(part, back.line)
    yield from wrapped(back.said, _INDENT * 2)


def _formula(part: Told, line: Line) -> Iterator[str]:
    assert part.program is not None
    left, right, conditions = part.program.formulas("text").written(line)
    yield from wrapped(glued(f"{left} = {right}", "[{]}"), _INDENT * 4, _INDENT * 2)
    if conditions:
        yield from wrapped(f"where {', '.join(conditions)}", _INDENT * 5, _INDENT * 4)
    yield from wrapped(words(part.program, line, line), _INDENT * 4)
