"""The summary of a network as a table, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from contractconv.display.diagram_lettering import shortened
from contractconv.display.terminal import wrapped
from contractconv.networks.display.groups import Group, grouped
from contractconv.networks.summary import Row, Summary
from contractconv.notation.problem import Shape
from contractconv.planning.programs.report import in_bytes

HEAD = ("part", "makes", "parameters", "multiply-adds", "backward", "bytes")
_INDENT = "  "

Cells = tuple[str, ...]


def as_text(summary: Summary) -> str:
    """Write a summary as lines of about 100 characters."""
    return "\n".join(line.rstrip() for line in _lines(summary))


def _lines(summary: Summary) -> Iterator[str]:
    yield from wrapped(title(summary), _INDENT, "")
    yield ""
    told = [(depth, one, cells(one, depth)) for depth, one in grouped(summary.rows)]
    end = total(summary)
    widths = _widths([HEAD, end, *(row for _, _, row in told)])
    yield _line(HEAD, widths)
    for depth, one, row in told:
        yield _line(row, widths)
        for line in does(one):
            yield from wrapped(line, _INDENT * (depth + 3), _INDENT * (depth + 2))
    yield _line(end, widths)
    yield ""
    for sentence in sentences(summary):
        yield from wrapped(sentence, "")


def title(summary: Summary) -> str:
    """What the network is called, and what comes in."""
    given = ", ".join(f"{name}: {' '.join(axes)} {sizes(s)}" for name, axes, s in summary.inputs)
    return f"{summary.name}({given})"


def sizes(shape: Shape) -> str:
    """A shape, as ``1×28×28×6``."""
    return "×".join(map(str, shape)) or "a number"


def cells(one: Row | Group, depth: int = 0) -> Cells:
    """What the table says of a row, or of a block, below each other's titles."""
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


def total(summary: Summary) -> Cells:
    """What the table says of the network, at its end."""
    counts = (summary.parameters, summary.multiply_adds, summary.backward)
    return "all", "", *(f"{count:,}" for count in counts), in_bytes(summary.made)


def does(one: Row | Group) -> list[str]:
    """What a row does, line by line; nothing is said of a block."""
    if isinstance(one, Group):
        return []
    return (one.string + ("" if one.is_used else " (nothing depends on it)")).splitlines()


def sentences(summary: Summary) -> Iterator[str]:
    """What is said below the table."""
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
