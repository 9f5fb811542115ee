"""What there is to say about the gradient by an array that stands in several places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contractconv.calculus.collected import Collected
from contractconv.calculus.derivation_steps import Step
from contractconv.calculus.gradient_derivatives import Second, seconds_of
from contractconv.calculus.letters import gradient, said
from contractconv.calculus.summed_steps import collected_gradient, summed_steps
from contractconv.display.diagram import diagram
from contractconv.display.diagram_sum import side_by_side
from contractconv.display.matrix_form import matrix_form
from contractconv.notation.spec import Spec
from contractconv.planning.plan import Plan

if TYPE_CHECKING:
    from contractconv.display.explanation import Gradient
    from contractconv.verification.certificate import Certificate


@dataclass(frozen=True, slots=True)
class SummedGradient:
    """The gradient by an array: the sum of those by its places.

    Attributes:
        parts: what there is to say about each of them.
        certificate: the proof; ``None`` if none was asked for.
    """

    parts: tuple[Gradient, ...]
    certificate: Certificate | None

    @property
    def name(self) -> str:
        """The array's name."""
        return self.parts[0].name

    @property
    def formula(self) -> Collected:
        """The sum, collected."""
        return collected_gradient([part.formulas for part in self.parts])

    @property
    def forms(self) -> list[tuple[str, Spec]]:
        """The strings of the parts, each behind what it is called."""
        found = []
        for number, part in enumerate(self.parts, 1):
            (_, first), *others = part.forms
            found += [(f"part {number}", first), *((f"  {name}", spec) for name, spec in others)]
        return found

    @property
    def steps(self) -> tuple[Step, ...]:
        """The derivation, told."""
        return summed_steps([part.formulas for part in self.parts])

    @property
    def seconds(self) -> tuple[Second, ...]:
        """Its own derivatives."""
        formulas = [part.formulas for part in self.parts]
        return seconds_of(formulas[0].forward, tuple(part.operand for part in formulas))

    @property
    def plans(self) -> Iterator[tuple[str, Plan]]:
        """How each part is executed, if shapes are known."""
        for number, part in enumerate(self.parts, 1):
            if part.plan is not None:
                yield f"part {number} of {said(gradient(self.name))}", part.plan

    @property
    def matrix(self) -> str | None:
        """The sum as products of matrices, if it is that."""
        return matrix_form(self.formula, "text")

    @property
    def sentence(self) -> str:
        """Say why there are parts, and what they are in matrices."""
        return f"{self.reason} In matrices: {self.matrix}." if self.matrix else self.reason

    @property
    def reason(self) -> str:
        """Say why there are parts."""
        name, count = said(self.name), len(self.parts)
        return f"{name} stands in {count} places, so its gradient is the sum of {count} parts."

    def picture(self) -> str:
        """The diagrams of the parts, side by side."""
        return side_by_side([_drawn(part) for part in self.parts])


def _drawn(part: Gradient) -> str:
    equation = part.formulas.collected
    names = [said(factor.name) for factor in equation.factors]
    return diagram(part.formulas.gather, names, said(equation.left.name))
