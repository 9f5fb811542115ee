"""What the local derivative of a reduction is, element by element.

The record of the reduction says it in a template, about what is reduced at one point, at another
one, and the result: the softmax ``exp(X[b, i] - Y[b])`` of a logsumexp.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from contractconv.calculus.backward import element, forward_equation, shares_of
from contractconv.calculus.equation import Element, Equation, Guard
from contractconv.calculus.local_derivative import counted, local_name, local_term
from contractconv.calculus.read_conditions import OUTPUT, never_left, reads
from contractconv.notation.spec import Spec
from contractconv.reductions.record import Template
from contractconv.reductions.table import REDUCTIONS


@dataclass(frozen=True, slots=True)
class LocalFormula:
    """A local derivative, ready to be written.

    Attributes:
        left: its element.
        template: how it is written, in every script.
        point: what is reduced; its conditions are those under which the point is there.
        other: the same at another point, whose indices have a prime.
        result: the element of the result to which the point belongs.
        there: the conditions under which the point is there and lands inside the result.
    """

    left: Element
    template: Template
    point: Equation
    other: Equation
    result: Element
    there: tuple[Guard, ...]


def local_formula(forward: Spec) -> LocalFormula | None:
    """The local derivative of a contraction; ``None`` if there is nothing to be said of it."""
    term, template = local_term(forward), REDUCTIONS[forward.reduce].local.formula
    if term is None or template is None or counted(forward) is not None:
        return None  # one over an extent is written out where it stands
    point = forward_equation(forward)
    tied = {delta.position: delta.expression for delta in point.deltas}
    left = element(local_name(forward), term, shares_of(forward))
    if point.counts_points:  # the points that land on an element are counted, at its position
        left = replace(left, axes=point.left.axes)
    return LocalFormula(
        left,
        template,
        point,
        point.primed,
        point.left.substituted(tied),
        tuple(dict.fromkeys((*point.guards, *_landing(forward)))),
    )


def _landing(forward: Spec) -> Iterator[Guard]:
    """What must hold for a point to land inside the result."""
    inside = never_left(forward)
    found = (read for read in reads(forward) if read.term == OUTPUT and read.place not in inside)
    return (guard for read in found for guard in read.guards)
