"""The explanation of a network as HTML: formulas in MathML, and nothing to load."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from contractconv.display.programs.lines import Line
from contractconv.display.programs.page import line_formula
from contractconv.display.programs.sentences import words
from contractconv.markup.parts import code, contents, copies, definitions, note, section
from contractconv.networks.display.wording import LETTERS, length, likeness, title, work
from contractconv.networks.explanation import Back, NetworkExplanation, Told


def explanation_parts(explanation: NetworkExplanation, alone: bool) -> Iterator[str]:
    """The parts of a page that explains a network."""
    yield f"<h1>{code(title(explanation))}</h1>"
    if alone:
        yield contents({name: name for name in map(_name, explanation.parts)})
    yield copies(LaTeX=explanation.latex())
    for part in explanation.parts:
        yield section(_name(part), _part(part), _name(part) if alone else "")
    yield note(" ".join(LETTERS))


def _name(part: Told) -> str:
    return ".".join(part.path)


def _part(part: Told) -> Iterator[str]:
    yield from (f"<p>{code(line)}</p>" for line in part.string.splitlines())
    if part.like:
        yield note(likeness(part))
    else:
        yield from _told(part)


def _told(part: Told) -> Iterator[str]:
    sizes = [*part.given, (f"→ {part.makes[0]}", part.makes[1])]
    yield definitions((name, escape(size)) for name, size in sizes)
    yield from (_formula(part, line) for line in part.lines)
    yield from map(note, (*part.said, length(part), work(part)))
    yield from (_back(part, one) for one in part.backs)


def _back(part: Told, back: Back) -> str:
    head = f"<h3>What comes back to {escape(back.to)}</h3>" if back.to else ""
    string = f"<p>{code(back.string)}</p>" if back.string else ""
    formula = "" if back.line is None else _formula(part, back.line)
    return f"{head}{string}{formula}{note(back.said)}"


def _formula(part: Told, line: Line) -> str:
    assert part.program is not None
    return line_formula(part.program, line) + note(words(part.program, line, line))
