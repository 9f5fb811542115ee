"""The table of a network as HTML; names of parts in a block are indented."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from contractconv.markup.parts import Column, code, note, row, table
from contractconv.networks.display.groups import Group, grouped
from contractconv.networks.display.table import HEAD, cells, does, sentences, title, total
from contractconv.networks.summary import Row, Summary

_NAME, *_FIGURES = HEAD
_COLUMNS = (Column(_NAME), Column("does"), *(Column(figure, number=True) for figure in _FIGURES))


def summary_parts(summary: Summary) -> Iterator[str]:
    """The parts of a page that sums up a network."""
    yield f"<p>{code(title(summary))}</p>"
    name, *counts = map(escape, total(summary))
    rows = (_row(one, depth) for depth, one in grouped(summary.rows))
    yield table(_COLUMNS, rows, row(_COLUMNS, [name, "", *counts]))
    yield note(" ".join(sentences(summary)))


def _row(one: Row | Group, depth: int) -> str:
    name, *counts = map(escape, cells(one))
    strings = "<br/>".join(map(code, does(one)))
    kind = "cc-block" if isinstance(one, Group) else ""
    return row(_COLUMNS, [name, strings, *counts], kind, 1.2 * depth)
