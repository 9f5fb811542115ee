"""Which string of a contraction to write as code: the one that reads the least."""

from __future__ import annotations

from dataclasses import replace

from contractconv.calculus.backward import Formulas, derive
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Composition, Spec


def gathered(spec: Spec) -> Spec:
    """A sum whose result is collected, not placed, wherever an operand can say what there is.

    A contraction is the gradient of the one that has its result and its first operand exchanged.
    """
    if all(isinstance(axis, Composition) or _lands_alone(axis) for axis in spec.output):
        return spec
    exchanged = replace(spec, inputs=(spec.output, *spec.inputs[1:]), output=spec.inputs[0])
    formulas = derive(exchanged, 0)
    return formulas.gather if collects(formulas) else spec


def _lands_alone(axis: object) -> bool:
    return isinstance(axis, Affine) and (axis.plain is not None or not axis.terms)


def collects(formulas: Formulas) -> bool:
    """Whether collecting is better than placing: unless it reads more points than there are."""
    return _read_again(formulas.gather) <= _read_again(formulas.scatter)


def _read_again(spec: Spec) -> int:
    """How many axes, once an operand is read, repeat an index that another axis of it has."""
    names = [[n for axis in term for n in axis.names] for term in spec.inputs]
    return sum(len(read) - len(set(read)) for read in names)


def keeps_every_index(spec: Spec) -> bool:
    """Whether nothing is reduced, so that each element has one point at most."""
    kept: set[str] = set()
    for axis in spec.output:
        if isinstance(axis, Composition) or (isinstance(axis, Affine) and axis.plain):
            kept.update(axis.names)
    return kept >= set(spec.indices)


def parameters_in_order(spec: Spec) -> list[str]:
    """The parameters in the order in which the string has them."""
    found: dict[str, None] = {}
    for axis in (axis for term in spec.terms for axis in term):
        if isinstance(axis, Affine):
            numbers = (*(c for _, c in axis.terms), axis.offset, axis.divisor)
            found |= dict.fromkeys(n for p in numbers for names, _ in p.terms for n in names)
    return list(found)
