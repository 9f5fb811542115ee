"""Recognising a contraction under other names, and with its operands in another order.

The derivative of a derivative of a bilinear layer is one of the layer's own contractions again;
seeing that saves deriving, planning and explaining it once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations

from contractconv.calculus.derivation import RESULT, Formulas, derive
from contractconv.calculus.rules import RULES
from contractconv.calculus.symbols import operand_names, split
from contractconv.notation.spec import Spec

# Beyond this many operands or unnamed indices, trying every order takes too long.
_MOST = 6


def same_contraction(spec: Spec, known: Spec) -> tuple[int, ...] | None:
    """Find how a contraction is another one with renamed indices and reordered operands.

    Args:
        spec: a contraction.
        known: the contraction that it may be.

    Returns:
        For each operand of ``known`` the position of the operand of ``spec`` that takes its
        place; ``None`` if they are different contractions.
    """
    alike = len(spec.inputs) == len(known.inputs) and spec.reduce == known.reduce
    if not alike or len(spec.inputs) > _MOST:
        return None
    for order in permutations(range(len(spec.inputs))):
        arranged = replace(spec, inputs=tuple(spec.inputs[n] for n in order))
        if any(_renamed(arranged, names) == known for names in _renamings(arranged, known)):
            return order
    return None


def _renamings(spec: Spec, known: Spec) -> Iterator[dict[str, str]]:
    """Renamings that match every index that stands alone somewhere."""
    names: dict[str, str] = {}
    for mine, other in zip(spec.terms, known.terms, strict=True):
        left, right = split(mine), split(other)
        if len(left) != len(right):
            return
        for one, two in zip(left, right, strict=True):
            if (one.plain is None) != (two.plain is None):
                return
            if one.plain is not None and two.plain is not None:
                names.setdefault(one.plain, two.plain)
    if len(set(names.values())) < len(names):
        return
    rest = [name for name in spec.indices if name not in names]
    free = [name for name in known.indices if name not in names.values()]
    if len(rest) == len(free) <= _MOST:
        for order in permutations(free):
            yield names | dict(zip(rest, order, strict=True))


def _renamed(spec: Spec, names: dict[str, str]) -> Spec:
    return replace(
        spec,
        inputs=tuple(tuple(axis.renamed(names) for axis in term) for term in spec.inputs),
        output=tuple(axis.renamed(names) for axis in spec.output),
    )


@dataclass(frozen=True, slots=True, repr=False)
class Second:
    """The derivative of a gradient by one of its operands, recognised.

    Attributes:
        by: the operand's role in the gradient: ``G``, ``W``, ...
        spec: the string; its first operand is ``V``, the cotangent of the gradient.
        same_as: what it is, ``Y`` or ``dW``; ``None`` for a contraction of its own.
        roles: who plays which role in that, where it is not the same array: ``(("X", "V"),)``.
    """

    by: str
    spec: Spec
    same_as: str | None
    roles: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return f"<by {self.by}: {self}>"

    def __str__(self) -> str:
        if self.same_as is None:
            return str(self.spec)
        swapped = ", ".join(f"{new} in place of {old}" for old, new in self.roles)
        return f"{self.same_as} with {swapped}" if swapped else self.same_as


def second_derivatives(formulas: Formulas) -> tuple[Second, ...]:
    """Derive a gradient by each of its own operands, the cotangent first."""
    roles = [factor.name for factor in formulas.derivative.factors]
    return tuple(_second(formulas, roles, m) for m in range(len(roles)))


def _second(formulas: Formulas, roles: list[str], m: int) -> Second:
    again = derive(formulas.scatter, m)
    mine = ["V", *(role for n, role in enumerate(roles) if n != m)]
    found = list(_recognised(again, formulas.forward, roles[m], mine))
    # An attention score is a product of three, so it looks like itself in several ways.
    return min(found, key=lambda second: len(second.roles), default=Second(
        roles[m], again.scatter, None, ()
    ))  # fmt: skip


def _recognised(again: Formulas, forward: Spec, by: str, mine: list[str]) -> Iterator[Second]:
    for name, spec, theirs in _known(forward):
        for form in dict.fromkeys((again.scatter, again.gather)):
            order = same_contraction(form, spec)
            if order is not None:
                pairs = ((old, mine[n]) for old, n in zip(theirs, order, strict=True))
                swapped = tuple((old, new) for old, new in pairs if old != new)
                yield Second(by, form, name, swapped)


def _known(forward: Spec) -> Iterator[tuple[str, Spec, list[str]]]:
    names = list(operand_names(len(forward.inputs)))
    if RULES[forward.reduce] is None:
        yield RESULT, forward, names
    for n, name in enumerate(names):
        formulas = derive(forward, n)
        for spec in dict.fromkeys((formulas.scatter, formulas.gather)):
            roles = [factor.name for factor in formulas.derivative.factors]
            yield f"d{name}", spec, roles
