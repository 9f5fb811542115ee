"""What the page shows: a contraction, explained as far as its fields allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contractconv.api.contraction import Contraction
from contractconv.display.explanation import Explanation
from contractconv.errors import ContractionError
from contractconv.notation.problem import Shape
from contractconv.playground.asked import Asked, of_shapes


@dataclass(frozen=True, slots=True)
class Subject:
    """A contraction and what is known of it.

    Attributes:
        contraction: the contraction.
        shapes: those of its operands, if all are known.
        given: what else a call says: extents, parameters, the shape of the result.
        explanation: everything there is to say, but proofs.
    """

    contraction: Contraction
    shapes: tuple[Shape, ...]
    given: Mapping[str, Any]
    explanation: Explanation

    @classmethod
    def of(cls, asked: Asked) -> Subject:
        """Explain what the fields say.

        Raises:
            FieldError: one of them is wrong.
        """
        contraction = asked.contraction()
        # Any: a checker takes what is given for a candidate of every keyword.
        given: dict[str, Any] = {
            "extents": asked.numbers(), "output_shape": asked.result_shape(),
        }  # fmt: skip
        shapes = asked.sizes([*contraction._named.array_terms.values()])
        try:
            explanation = contraction.explain(*shapes, **given, proof=False)
        except ContractionError as error:
            raise of_shapes(error) from None
        return cls(contraction, shapes, given, explanation)

    @property
    def parameters(self) -> dict[str, int]:
        """The numbers that are given for parameters."""
        names = self.contraction.parameters
        numbers = self.given["extents"]
        return {name: value for name, value in numbers.items() if name in names}
