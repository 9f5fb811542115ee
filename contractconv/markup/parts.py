"""The parts of a page, and the page around them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from contractconv.markup.style import DOCUMENT_STYLE, MONOSPACE, STYLE

# Buttons are made by the script that they need; without one there are none. Some browsers give
# pages from files no clipboard, but all copy what is selected.
COPYING = """
const copied = (text) => {
  const field = document.createElement('textarea');
  field.value = text; document.body.append(field); field.select();
  document.execCommand('copy'); field.remove();
};
const known = {latex: 'LaTeX', python: 'Python'};
for (const place of document.querySelectorAll('.cc-copies')) {
  for (const [name, text] of Object.entries(place.dataset)) {
    const button = document.createElement('button'), title = 'copy ' + (known[name] ?? name);
    button.type = 'button'; button.textContent = title;
    button.onclick = () => {
      copied(text); button.focus(); button.textContent = 'copied';
      setTimeout(() => { button.textContent = title; }, 1200);
    };
    place.append(button);
  }
  place.hidden = false;
}
"""


# Pictures say how wide they are; of that they need at least a part to be legible.
_WIDTH = re.compile(r'<svg[^>]* width="([\d.]+)"')
_LEGIBLE = 0.6


class Column(NamedTuple):
    """A column of a table: its title, and whether numbers stand in it."""

    title: str
    number: bool = False


def document(title: str, body: str) -> str:
    """Return a complete HTML document around what shows something."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{DOCUMENT_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n<script>{COPYING}</script>\n</body>\n</html>\n"
    )


def article(parts: Iterable[str]) -> str:
    """What shows something, with its style: to stand in a page or in a notebook."""
    return f'<article class="cc-page"><style>{STYLE}</style>{"".join(parts)}</article>'


def section(title: str, parts: Iterable[str], anchor: str = "") -> str:
    """A part of a page with a title; the table of contents leads to its anchor, if it has one."""
    place = f' id="{escape(anchor)}"' if anchor else ""
    return f"<section{place}><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def contents(titles: Mapping[str, str]) -> str:
    """A table of contents of anchors and titles; nothing for fewer than two."""
    if len(titles) < 2:
        return ""
    links = (f'<li><a href="#{escape(a)}">{escape(t)}</a></li>' for a, t in titles.items())
    return f'<nav aria-label="Contents"><ul>{"".join(links)}</ul></nav>'


def copies(**texts: str) -> str:
    """Where the buttons stand that copy these texts, each called by its name."""
    given = "".join(f' data-{name}="{escape(text)}"' for name, text in texts.items() if text)
    return f'<p class="cc-copies" hidden=""{given}></p>' if given else ""


def note(text: str) -> str:
    """A sentence below what it is about; nothing if there is none."""
    return f'<p class="cc-note">{escape(text)}</p>' if text else ""


def code(content: object) -> str:
    """A string, which may be broken between axes but not inside one, unless it is long."""
    return f"<code>{' '.join(map(_word, escape(str(content)).split(' ')))}</code>"


def _word(word: str) -> str:
    return f"<span>{word}</span>" if len(word) < 30 else word


def definitions(pairs: Iterable[tuple[str, str]], kind: str = "") -> str:
    """Names and what they stand for, which is HTML already; nothing if there are none."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{text}</dd>" for name, text in pairs)
    named = f' class="{kind}"' if kind else ""
    return f"<dl{named}>{items}</dl>" if items else ""


def figure(drawing: str) -> str:
    """A picture; rather than that its letters get too small to be read, it scrolls."""
    drawn = _WIDTH.search(drawing)
    assert drawn is not None
    legible = _LEGIBLE * float(drawn.group(1))
    return f'<figure style="--cc-legible: {legible:.0f}px" tabindex="0">{drawing}</figure>'


def folded(title: str, content: str) -> str:
    """What is shown when somebody asks for it."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def table(head: Sequence[Column], rows: Iterable[str], foot: str = "") -> str:
    """A table of rows, see :func:`row`; what is too wide scrolls by itself."""
    titles = "".join(f"<th{_kind(c)}>{escape(c.title)}</th>" for c in head)
    below = f"<tfoot>{foot}</tfoot>" if foot else ""
    return (
        f'<div class="cc-wide" tabindex="0"><table><thead><tr>{titles}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody>{below}</table></div>"
    )


def row(head: Sequence[Column], cells: Iterable[str], kind: str = "", indent: float = 0) -> str:
    """A row of cells, which are HTML already; the first may be indented, in ems."""
    style = f' style="padding-left: {indent:g}em"' if indent else ""
    parts = [
        f"<td{_kind(column)}{_label(column)}{'' if n else style}>{cell}</td>"
        for n, (column, cell) in enumerate(zip(head, cells, strict=True))
    ]
    named = f' class="{kind}"' if kind else ""
    return f"<tr{named}>{''.join(parts)}</tr>"


def _kind(column: Column) -> str:
    return ' class="cc-number"' if column.number else ""


def _label(column: Column) -> str:
    return f' data-label="{escape(column.title)}"' if column.number else ""


def preformatted(text: str) -> str:
    """Return text whose columns stand below each other; what is too wide scrolls.

    Notebooks have rules for this element that an attribute overrides: a font of their own, and
    lines that are broken where the window ends.
    """
    style = (
        f"font-family: {MONOSPACE}; white-space: pre; overflow-x: auto; line-height: 1.35; "
        "text-align: left; font-variant-ligatures: none"
    )
    return f'<pre style="{style}">{escape(text)}</pre>'
