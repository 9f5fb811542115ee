"""The summary of a network, in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from contractconv.display.diagram_lettering import shortened
from contractconv.display.html_page import article, code, document, note
from contractconv.display.terminal import wrapped
from contractconv.networks.display.groups import Group, grouped
from contractconv.networks.summary import Row, Summary
from contractconv.notation.problem import Shape
from contractconv.planning.programs.report import in_bytes

_HEAD = ("part", "makes", "parameters", "multiply-adds", "backward", "bytes")
_STYLE = """
.cc-summary td.cc-number, .cc-summary th.cc-number { text-align: right; white-space: nowrap; }
.cc-summary tr.cc-block td { font-weight: 600; }
.cc-summary tfoot td { font-weight: 600; border-bottom: none; }
.cc-summary td:first-child { white-space: nowrap; }
"""
_INDENT = "  "

Cells = tuple[str, ...]


def as_text(summary: Summary) -> str:
    """Write a summary as lines of about 100 characters."""
    return "\n".join(line.rstrip() for line in _lines(summary))


def _lines(summary: Summary) -> Iterator[str]:
    yield from wrapped(_title(summary), _INDENT, "")
    yield ""
    told = [(depth, one, _cells(one, depth)) for depth, one in grouped(summary.rows)]
    total = _total(summary)
    widths = _widths([_HEAD, total, *(cells for _, _, cells in told)])
    yield _line(_HEAD, widths)
    for depth, one, cells in told:
        yield _line(cells, widths)
        for line in _does(one).splitlines():
            yield from wrapped(line, _INDENT * (depth + 3), _INDENT * (depth + 2))
    yield _line(total, widths)
    yield ""
    for sentence in _sentences(summary):
        yield from wrapped(sentence, "")


def _title(summary: Summary) -> str:
    given = ", ".join(f"{name}: {' '.join(axes)} {sizes(s)}" for name, axes, s in summary.inputs)
    return f"{summary.name}({given})"


def sizes(shape: Shape) -> str:
    """A shape, as ``1×28×28×6``."""
    return "×".join(map(str, shape)) or "a number"


def _cells(one: Row | Group, depth: int) -> Cells:
    name = _INDENT * depth + shortened(one.path[-1])
    if isinstance(one, Group):
        return name, "", f"{one.parameters:,}", *_costs(one.multiply_adds, one.backward), ""
    costs = _costs(one.multiply_adds, one.backward)
    return name, sizes(one.shape), _parameters(one), *costs, in_bytes(one.bytes)


def _costs(*counts: int) -> Cells:
    return tuple(f"{count:,}" if count else "-" for count in counts)


def _parameters(row: Row) -> str:
    if row.is_shared:
        return f"{row.parameters:,} + shared" if row.parameters else "shared"
    return f"{row.parameters:,}" if row.parameters else "-"


def _total(summary: Summary) -> Cells:
    counts = (summary.parameters, summary.multiply_adds, summary.backward)
    return "all", "", *(f"{count:,}" for count in counts), in_bytes(summary.made)


def _does(one: Row | Group) -> str:
    """What a row does; nothing is said of a block."""
    if isinstance(one, Group):
        return ""
    return one.string + ("" if one.is_used else " (nothing depends on it)")


def _sentences(summary: Summary) -> Iterator[str]:
    rest = summary.parameters - summary.trained
    of = f", of which {summary.trained:,} are trained and {rest:,} run along" if rest else ""
    size = f"{in_bytes(summary.bytes)} in {summary.dtype}"
    yield f"There are {summary.parameters:,} parameters{of}: {size}."
    yield "Multiply-adds are exact: what a boundary leaves out is not counted."


def _widths(rows: Sequence[Cells]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _line(cells: Cells, widths: Sequence[int]) -> str:
    left, right = zip(cells[:2], widths[:2], strict=True), zip(cells[2:], widths[2:], strict=True)
    return "  ".join([*(c.ljust(w) for c, w in left), *(c.rjust(w) for c, w in right)])


# -- pages -------------------------------------------------------------------------------------


def page(summary: Summary) -> str:
    """Return a complete HTML document."""
    return document(summary.name, fragment(summary))


def fragment(summary: Summary) -> str:
    """Return a summary to stand in a page or a notebook."""
    rows = "".join(_row(one, depth) for depth, one in grouped(summary.rows))
    head = _cells_of(("part", "does", *_HEAD[1:]), "th")
    foot = _cells_of(("all", "", *_total(summary)[1:]))
    table = (
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
        f"<tfoot><tr>{foot}</tr></tfoot></table>"
    )
    said = note(" ".join(_sentences(summary)))
    return article(
        [f"<style>{_STYLE}</style>", f"<p>{code(_title(summary))}</p>",
         f'<div class="cc-summary">{table}</div>', said]
    )  # fmt: skip


def _row(one: Row | Group, depth: int) -> str:
    name, *cells = _cells(one, 0)
    does = "<br>".join(map(code, _does(one).splitlines()))
    first = f'<td style="padding-left: {1.2 * depth:g}em">{escape(name)}</td><td>{does}</td>'
    kind = ' class="cc-block"' if isinstance(one, Group) else ""
    return f"<tr{kind}>{first}{_cells_of(('', '', *cells))[len('<td></td>') * 2 :]}</tr>"


def _cells_of(cells: Cells, tag: str = "td") -> str:
    """Cells, all but the first two of which are numbers."""
    classes = ["", ""] + [' class="cc-number"'] * (len(cells) - 2)
    pairs = zip(cells, classes, strict=True)
    return "".join(f"<{tag}{kind}>{escape(text)}</{tag}>" for text, kind in pairs)
