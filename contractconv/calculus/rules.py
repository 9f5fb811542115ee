"""How each reduction is differentiated: one entry each in one table.

The gradient of any reduction is a plain sum of products. A sum needs nothing but the
cotangent and the other operands; the other reductions meet one more operand, the *local
derivative* of the result by each contribution. An entry names it and says which indices it has.
"""

from __future__ import annotations

from dataclasses import dataclass

from contractconv.notation.affine import Affine
from contractconv.notation.spec import Dots, Spec, Term


@dataclass(frozen=True, slots=True)
class LocalDerivative:
    """The extra operand of a backward contraction.

    Attributes:
        symbol: its letter in formulas.
        meaning: what it holds, as a phrase.
        per_point: whether it has a value for each point (otherwise for each output element).
    """

    symbol: str
    meaning: str
    per_point: bool


RULES: dict[str, LocalDerivative | None] = {
    "sum": None,
    "mean": LocalDerivative("N", "one over the number of points averaged", per_point=False),
    "max": LocalDerivative("S", "one at the first maximum, else zero", per_point=True),
    "min": LocalDerivative("S", "one at the first minimum, else zero", per_point=True),
    "prod": LocalDerivative("P", "the product of all other points", per_point=True),
    "logsumexp": LocalDerivative("P", "the softmax over the reduced points", per_point=True),
}


def local_term(spec: Spec) -> Term | None:
    """The axes of the local derivative of a contraction's reduction; ``None`` if it has none."""
    rule = RULES[spec.reduce]
    if rule is None:
        return None
    if rule.per_point:
        dots = (Dots(),) * spec.has_dots
        return (*dots, *map(Affine.index, spec.indices))
    return () if _every_element_alike(spec) else spec.output


def _every_element_alike(spec: Spec) -> bool:
    names = [name for axis in spec.output for name in axis.names]
    plain = all(not isinstance(axis, Affine) or axis.plain for axis in spec.output)
    return plain and len(set(names)) == len(names)
