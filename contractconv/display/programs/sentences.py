"""Sentences about a program that a text and a page share."""

from __future__ import annotations

from collections.abc import Iterator

from contractconv.calculus.derivation_steps import listed
from contractconv.display.programs.contraction_formulas import contraction_of
from contractconv.display.programs.explanation import ProgramExplanation
from contractconv.display.programs.lines import Line
from contractconv.display.sentences import element_counts, reduced_words
from contractconv.programs.nodes import Contract


def shape_words(explanation: ProgramExplanation, line: Line, owner: Line | None = None) -> str:
    """Say how large a value is, axis by axis.

    Args:
        explanation: knows the sizes.
        line: the value.
        owner: the line to which it belongs; of what is as large as that, nothing is said.
    """
    shape = explanation.sizes.shapes.get(line.node)
    if not shape or (owner is not None and set(owner.node.axes) >= set(line.node.axes)):
        return ""
    return " ".join(f"{axis}={size}" for axis, size in zip(line.node.axes, shape, strict=True))


def words(explanation: ProgramExplanation, line: Line, owner: Line | None = None) -> str:
    """Say how many points a contraction adds up; and why, where it belongs to no other line."""
    node = line.node
    if not isinstance(node, Contract) or node.local or line.is_other:
        return ""
    found = contraction_of(node)
    said = reduced_words(found.spec, found.equation) if owner is None else []
    problem = explanation.sizes.problems.get(node)
    counts = "" if problem is None else element_counts(problem, found.equation)
    return " ".join([*said, counts] if counts else said)


def letters(explanation: ProgramExplanation) -> list[str]:
    """Say what the letters mean that no line defines."""
    return list(_letters(explanation))


def _letters(explanation: ProgramExplanation) -> Iterator[str]:
    lines = list(explanation.lines.all())
    if any(line.is_back for line in lines):
        yield f"d_a is what comes back to a: the gradient of {_loss(explanation)} by a."
        yield "These lines are worked out from the last one up."
    texts = [explanation.formulas("text").equation(line) for line in lines]
    if any("0 ≤ " in text for text in texts):
        yield "What would be read outside of an array does not count."
    if any("N_" in text for text in texts):
        yield "N_i is the size of the axis, or the extent of the index, i."


def _loss(explanation: ProgramExplanation) -> str:
    back = {line.name for line in explanation.lines.all() if line.is_back}
    ends = [name for name, node in explanation.graph.outputs if name not in back]
    return listed(ends) if ends else "what the program ends in"
