"""An explanation of a program as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from contractconv.display.programs.explanation import ProgramExplanation
from contractconv.display.programs.formulas import Formulas
from contractconv.display.programs.lines import Line
from contractconv.display.programs.sentences import letters, shape_words, words
from contractconv.display.terminal import fitted, glued, wrapped

_INDENT, _BACK = "  ", "← "


def as_text(explanation: ProgramExplanation) -> str:
    """Write an explanation as lines of at most about 100 characters."""
    return "\n".join(short for line in _lines(explanation) for short in fitted(line.rstrip()))


def _lines(explanation: ProgramExplanation) -> Iterator[str]:
    graph, top = explanation.graph, explanation.lines.top
    given = ", ".join(node.name for node in graph.inputs)
    yield f"{graph.name}({given}) -> {', '.join(name for name, _ in graph.outputs)}"
    yield from _section(explanation, "given", [line for line in top if line.is_input])
    yield from _section(explanation, "computed", [line for line in top if not line.is_input])
    said = letters(explanation)
    if said:
        yield ""
        yield from wrapped(" ".join(said), _INDENT)


def _section(explanation: ProgramExplanation, title: str, lines: list[Line]) -> Iterator[str]:
    formulas = explanation.formulas("text")
    if lines:
        yield ""
        yield title
    for line in lines:
        yield from _told(explanation, formulas, line, _INDENT)


def _told(
    explanation: ProgramExplanation,
    formulas: Formulas,
    line: Line,
    indent: str,
    owner: Line | None = None,
) -> Iterator[str]:
    """A line, what is known of it, and what comes back to it."""
    left, right, conditions = formulas.written(line)
    size = shape_words(explanation, line, owner)
    beside = f"   {size}" if size and not right else ""
    inner = f"{indent}    "
    formula = glued(f"{left} = {right}", "[{]}") if right else left + beside
    yield from wrapped(formula, inner, indent + _BACK * (owner is not None))
    if conditions:
        yield from wrapped(f"where {', '.join(conditions)}", inner + _INDENT, inner)
    said = [f"{size}." if size and right else "", words(explanation, line, owner)]
    yield from wrapped(" ".join(filter(None, said)), inner)
    for back in line.back:
        yield from _told(explanation, formulas, back, indent + _INDENT, line)
