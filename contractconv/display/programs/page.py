"""Explanations of programs as HTML: formulas in MathML, a picture in SVG, and nothing to load."""

from __future__ import annotations

from html import escape

from contractconv.display.html_page import article, code, document, note
from contractconv.display.programs.diagram import diagram
from contractconv.display.programs.explanation import ProgramExplanation
from contractconv.display.programs.formulas import Formulas
from contractconv.display.programs.lines import Line
from contractconv.display.programs.sentences import letters, shape_words, words
from contractconv.programs.nodes import Contract, Node

_STYLE = """
.cc-values { margin: 0 0 1.5em; }
.cc-values .cc-told { margin: 1em 0; }
.cc-values .cc-told .cc-told { margin: .5em 0 .5em .4em; padding-left: 1em;
  border-left: 3px solid var(--cc-back); }
.cc-values p.cc-note { margin: .2em 0; }
.cc-values { --cc-back: #c2410c; }
@media (prefers-color-scheme: dark) { .cc-values { --cc-back: #fb923c; } }
"""
_MATH = '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{}</math>'
# A picture of more values than these shows nothing any more.
_MOST_VALUES = 80


def page(explanation: ProgramExplanation) -> str:
    """Return a complete HTML document."""
    return document(explanation.graph.name, fragment(explanation))


def fragment(explanation: ProgramExplanation) -> str:
    """Return an explanation to stand in a page or a notebook."""
    top = explanation.lines.top
    parts = [
        f"<style>{_STYLE}</style>",
        f"<h1>{code(_signature(explanation))}</h1>",
        _picture(explanation),
        _section(explanation, "Given", [line for line in top if line.is_input]),
        _section(explanation, "Computed", [line for line in top if not line.is_input]),
        note(" ".join(letters(explanation))),
    ]
    return article(parts)


def _signature(explanation: ProgramExplanation) -> str:
    graph = explanation.graph
    given = ", ".join(node.name for node in graph.inputs)
    return f"{graph.name}({given}) → {', '.join(name for name, _ in graph.outputs)}"


def _picture(explanation: ProgramExplanation) -> str:
    if sum(1 for _ in explanation.lines.all()) > _MOST_VALUES:
        return note(f"There are more than {_MOST_VALUES} values: too many for a picture.")
    return f"<figure>{diagram(explanation)}</figure>"


def _section(explanation: ProgramExplanation, title: str, lines: list[Line]) -> str:
    if not lines:
        return ""
    formulas = explanation.formulas("mathml")
    told = "".join(_told(explanation, formulas, line) for line in lines)
    return f'<h2>{title}</h2><div class="cc-values">{told}</div>'


def _told(
    explanation: ProgramExplanation, formulas: Formulas, line: Line, owner: Line | None = None
) -> str:
    """A value, what is known of it, and what comes back to it."""
    formula = formulas.equation(line)
    back = "".join(_told(explanation, formulas, one, line) for one in line.back)
    size = shape_words(explanation, line, owner)
    said = " ".join(filter(None, [f"{size}." if size else "", words(explanation, line, owner)]))
    shown = _MATH.format(formula) if line.is_input else formula
    inner = f"{shown}{'' if line.is_other else _string(line.node)}{note(said)}{back}"
    return f'<div class="cc-told" data-name="{escape(line.name)}">{inner}</div>'


def _string(node: Node) -> str:
    """The string of a contraction."""
    if not isinstance(node, Contract) or node.local:
        return ""
    return f"<p>{code(node.spec)}</p>"
