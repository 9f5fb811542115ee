"""A plan in a notebook or on a page: what it makes, its steps as a table, its tiles on request."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from contractconv.markup.parts import Column, code, definitions, folded, row, table
from contractconv.planning.report import facts, notes

if TYPE_CHECKING:
    from contractconv.planning.plan import Plan, Step

_HEAD = (Column("contraction"), Column("operations", number=True), Column("how"))


def plan_parts(plan: Plan) -> Iterator[str]:
    """The parts of a plan."""
    yield f"<p>{code(plan.problem)} [{plan.problem.reduce}]</p>"
    yield definitions((name, escape(said)) for name, said in facts(plan))
    if plan.at_once is None:
        yield steps_table(plan)
    if plan.tiles:
        names = ", ".join(tile.name for tile in plan.tiles)
        yield folded(f"Tiles: {names}", "".join(plan.tiles._page_parts()))


def steps_table(plan: Plan) -> str:
    """The steps of a plan, each with what was chosen for it, and what was not."""
    return table(_HEAD, (row(_HEAD, _cells(step)) for step in plan.steps))


def _cells(step: Step) -> tuple[str, str, str]:
    said = definitions(((about, escape(text)) for about, text in notes(step)), "cc-notes")
    return code(step.problem), f"{step.flops:,}", escape(step.lowering) + said
