"""The summary of a network as a table, in a notebook and on a page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from contractconv.display.html_page import PAGE, article, code, document, note
from contractconv.networks.display.groups import Group, grouped
from contractconv.networks.display.table import HEAD, cells, does, sentences, title, total
from contractconv.networks.summary import Row, Summary

_STYLE = """
.cc-page .cc-summary th.cc-number { text-align: right; }
.cc-page .cc-summary td.cc-number, .cc-page .cc-summary td:first-child { white-space: nowrap; }
.cc-page .cc-summary tr.cc-block td, .cc-page .cc-summary tfoot td { font-weight: 600; }
.cc-page .cc-summary tfoot td { border-bottom: none; }
""".replace(".cc-page", PAGE)


def page(summary: Summary) -> str:
    """Return a complete HTML document."""
    return document(summary.name, fragment(summary))


def fragment(summary: Summary) -> str:
    """Return a summary to stand in a page or a notebook."""
    first, *counts = HEAD
    head = _line(_cell(first, "th"), _cell("does", "th"), *_numbers(counts, "th"))
    rows = "".join(_row(one, depth) for depth, one in grouped(summary.rows))
    name, *counts = total(summary)
    foot = _line(_cell(name), _cell(""), *_numbers(counts))
    table = f"<thead>{head}</thead><tbody>{rows}</tbody><tfoot>{foot}</tfoot>"
    parts = [
        f"<style>{_STYLE}</style>",
        f"<p>{code(title(summary))}</p>",
        f'<div class="cc-summary"><table>{table}</table></div>',
        note(" ".join(sentences(summary))),
    ]
    return article(parts)


def _row(one: Row | Group, depth: int) -> str:
    name, *counts = cells(one)
    string = "<br>".join(map(code, does(one)))
    indented = f'<td style="padding-left: {1.2 * depth:g}em">{escape(name)}</td>'
    kind = ' class="cc-block"' if isinstance(one, Group) else ""
    return _line(indented, f"<td>{string}</td>", *_numbers(counts), kind=kind)


def _line(*cells: str, kind: str = "") -> str:
    return f"<tr{kind}>{''.join(cells)}</tr>"


def _numbers(texts: Iterable[str], tag: str = "td") -> list[str]:
    return [_cell(text, tag, ' class="cc-number"') for text in texts]


def _cell(text: str, tag: str = "td", kind: str = "") -> str:
    return f"<{tag}{kind}>{escape(text)}</{tag}>"
