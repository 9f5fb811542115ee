"""Everything there is to say about a program, gathered once and shown in several ways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contractconv.display.programs.formulas import Formulas
from contractconv.display.programs.known_sizes import KnownSizes, known_sizes
from contractconv.display.programs.lines import Line, Lines, lines_of
from contractconv.lazy import Value
from contractconv.markup.shown import Paged
from contractconv.notation.problem import Shape
from contractconv.programs.differentiated import differentiated, with_cotangent_shapes
from contractconv.programs.nodes import Contract
from contractconv.programs.program import Graph
from contractconv.programs.text.writer import write


@dataclass(frozen=True)
class ProgramExplanation(Paged, Value):
    """A program as formulas, with what comes back to each value beside it.

    Attributes:
        lines: the values that its text names.
        sizes: what is known of their sizes.
    """

    lines: Lines
    sizes: KnownSizes

    @property
    def graph(self) -> Graph:
        """The program."""
        return self.lines.graph

    def formulas(self, script: str) -> Formulas:
        """What writes the lines as ``"text"``, ``"latex"`` or ``"mathml"``."""
        return Formulas(self.lines, self.sizes, script)

    def latex(self) -> str:
        """Return the formulas below each other, aligned where they are defined."""
        written = map(self.formulas("latex").aligned, self._told())
        return "\\begin{aligned}\n" + " \\\\\n".join(written) + "\n\\end{aligned}"

    def latex_lines(self) -> list[str]:
        """Return the formulas in LaTeX, each by itself."""
        return [self.formulas("latex").equation(line) for line in self._told()]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as dictionaries, lists, strings and numbers, fit for JSON."""
        return {
            "name": self.graph.name,
            "text": write(self.graph),
            "inputs": [node.name for node in self.graph.inputs],
            "outputs": [name for name, _ in self.graph.outputs],
            "values": [self._line(line) for line in self.lines.top],
        }

    def _told(self) -> list[Line]:
        """The lines that say more than that something is given."""
        return [line for line in self.lines.all() if not line.is_input]

    def _line(self, line: Line) -> dict[str, Any]:
        node = line.node
        shape = self.sizes.shapes.get(node)
        scripts = ("text", "latex", "mathml")
        return {
            "name": line.name,
            "axes": list(node.axes),
            "shape": None if shape is None else list(shape),
            "string": str(node.spec) if isinstance(node, Contract) else None,
            "formula": {script: self.formulas(script).equation(line) for script in scripts},
            "back": [self._line(back) for back in line.back],
        }

    def __str__(self) -> str:
        from contractconv.display.programs.terminal import as_text

        return as_text(self)

    def __repr__(self) -> str:
        return f"<explanation of the program {self.graph.name}>"

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    @property
    def _page_title(self) -> str:
        return self.graph.name

    def _page_parts(self, *, alone: bool) -> Iterable[str]:
        from contractconv.display.programs.page import explanation_parts

        return explanation_parts(self, alone)


def explain_program(
    graph: Graph,
    shapes: Mapping[str, Shape] | None = None,
    wrt: Sequence[str] = (),
) -> ProgramExplanation:
    """Explain a program.

    Args:
        graph: the program.
        shapes: the shape of each input, by name; without them sizes stay symbols. What comes back
            to an output has its shape.
        wrt: the names of values whose gradients are derived, and explained, too.

    Returns:
        What prints, and shows itself in a notebook.

    Raises:
        ShapeError: shapes do not fit, or some are missing.
        ProgramError: there is no value of a name.
    """
    whole = differentiated(graph, wrt) if wrt else graph
    lines = lines_of(whole)
    known = with_cotangent_shapes(whole, shapes) if shapes else None
    return ProgramExplanation(lines, known_sizes(lines.graph, known))
