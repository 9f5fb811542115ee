"""The plan of a program in a notebook or on a page: a table of its steps."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from contractconv.markup.parts import Column, code, row, table
from contractconv.planning.programs.report import Line, in_bytes
from contractconv.planning.report import quantity, time

if TYPE_CHECKING:
    from contractconv.planning.programs.report import ProgramPlan

_FIGURES = tuple(Column(name, number=True) for name in ("expected", "operations", "moved"))
_WORDS = (Column("makes"), Column("how"), Column("what"))
_TAKEN = (Column("taken", number=True),)


def plan_parts(plan: ProgramPlan) -> Iterator[str]:
    """The parts of the plan of a program."""
    head = (*_WORDS[:1], *_TAKEN * bool(plan.seconds), *_FIGURES, *_WORDS[1:])
    yield f"<p>{escape(plan._whole())}</p>"
    yield table(head, (row(head, cells) for cells in _rows(plan)))


def _rows(plan: ProgramPlan) -> Iterator[list[str]]:
    taken = [[time(seconds)] for seconds in plan.seconds] or [[]] * len(plan.lines)
    for line, spent in zip(plan.lines, taken, strict=True):
        yield [escape(line.makes), *spent, *_cells(line)]


def _cells(line: Line) -> list[str]:
    again = "again: " if line.again else ""
    figures = [time(line.predicted), quantity(line.operations), in_bytes(line.moved)]
    return [*figures, escape(line.way), again + code(line.does)]
