"""Explanations of programs as HTML: formulas in MathML, a picture in SVG, and nothing to load."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from contractconv.display.html_formulas import Sides, formula
from contractconv.display.programs.diagram import diagram
from contractconv.display.programs.explanation import ProgramExplanation, explain_program
from contractconv.display.programs.lines import Line
from contractconv.display.programs.sentences import letters, shape_words, words
from contractconv.markup.parts import (
    article,
    code,
    contents,
    copies,
    figure,
    note,
    preformatted,
    section,
)
from contractconv.programs.nodes import Contract, Node
from contractconv.programs.program import Graph
from contractconv.programs.text.writer import write

# A picture of more values than these shows nothing any more.
_MOST_VALUES = 80


def explanation_parts(explanation: ProgramExplanation, alone: bool) -> Iterator[str]:
    """The parts of a page that explains a program."""
    top = explanation.lines.top
    told = {
        "Given": [line for line in top if line.is_input],
        "Computed": [line for line in top if not line.is_input],
    }
    yield f"<h1>{code(_signature(explanation))}</h1>"
    if alone:
        yield contents({title.lower(): title for title, lines in told.items() if lines})
    yield copies(LaTeX=explanation.latex(), Python=write(explanation.graph))
    yield _picture(explanation)
    for title, lines in told.items():
        if lines:
            values = (_told(explanation, line) for line in lines)
            yield section(title, values, title.lower() if alone else "")
    yield note(" ".join(letters(explanation)))


def card(graph: Graph) -> str:
    """Return the text of a program and its picture."""
    return article([preformatted(write(graph)), _picture(explain_program(graph))])


def line_formula(explanation: ProgramExplanation, line: Line) -> str:
    """The formula of a line."""
    return formula(Sides(*explanation.formulas("mathml").written(line)))


def _signature(explanation: ProgramExplanation) -> str:
    graph = explanation.graph
    given = ", ".join(node.name for node in graph.inputs)
    return f"{graph.name}({given}) → {', '.join(name for name, _ in graph.outputs)}"


def _picture(explanation: ProgramExplanation) -> str:
    if sum(1 for _ in explanation.lines.all()) > _MOST_VALUES:
        return note(f"There are more than {_MOST_VALUES} values: too many for a picture.")
    return figure(diagram(explanation))


def _told(explanation: ProgramExplanation, line: Line, owner: Line | None = None) -> str:
    """A value, what is known of it, and what comes back to it."""
    back = "".join(_told(explanation, one, line) for one in line.back)
    size = shape_words(explanation, line, owner)
    said = " ".join(filter(None, [f"{size}." if size else "", words(explanation, line, owner)]))
    string = "" if line.is_other else _string(line.node)
    inner = f"{line_formula(explanation, line)}{string}{note(said)}{back}"
    return f'<div class="cc-told" data-name="{escape(line.name)}">{inner}</div>'


def _string(node: Node) -> str:
    """The string of a contraction."""
    if not isinstance(node, Contract) or node.local:
        return ""
    return f"<p>{code(node.spec)}</p>"
