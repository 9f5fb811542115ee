"""The explanation of a network as HTML: formulas in MathML, and nothing to load."""

from __future__ import annotations

from html import escape

from contractconv.display.html_page import article, code, document, note
from contractconv.display.programs.lines import Line
from contractconv.display.programs.sentences import words
from contractconv.networks.display.wording import LETTERS, length, likeness, title, work
from contractconv.networks.explanation import Back, NetworkExplanation, Told


def page(explanation: NetworkExplanation) -> str:
    """Return a complete HTML document."""
    return document(explanation.name, fragment(explanation))


def fragment(explanation: NetworkExplanation) -> str:
    """Return an explanation to stand in a page or a notebook."""
    head = f"<h1>{code(title(explanation))}</h1>"
    return article([head, *map(_part, explanation.parts), note(" ".join(LETTERS))])


def _part(part: Told) -> str:
    strings = "".join(f"<p>{code(line)}</p>" for line in part.string.splitlines())
    said = note(likeness(part)) if part.like else _told(part)
    return f"<section><h2>{escape('.'.join(part.path))}</h2>{strings}{said}</section>"


def _told(part: Told) -> str:
    sizes = [*part.given, (f"→ {part.makes[0]}", part.makes[1])]
    said = "".join(map(note, (*part.said, length(part), work(part))))
    forward = "".join(_formula(part, line) for line in part.lines)
    back = "".join(_back(part, one) for one in part.backs)
    return f"{_definitions(sizes)}{forward}{said}{back}"


def _definitions(pairs: list[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs)
    return f"<dl>{items}</dl>"


def _back(part: Told, back: Back) -> str:
    head = f"<h3>What comes back to {escape(back.to)}</h3>" if back.to else ""
    string = f"<p>{code(back.string)}</p>" if back.string else ""
    formula = "" if back.line is None else _formula(part, back.line)
    return f"{head}{string}{formula}{note(back.said)}"


def _formula(part: Told, line: Line) -> str:
    assert part.program is not None
    return part.program.formulas("mathml").equation(line) + note(words(part.program, line, line))
