"""The product of some terms of a contraction, with windows that stay closed while they can.

As long as no step needs the indices of ``(i+k)`` apart, the axis itself, of size H, is cheaper to
carry along than the I*K points of the window.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import prod

from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.planning.cost import labels_of, overlaps


@dataclass(frozen=True, slots=True)
class Merge:
    """The product of two terms, reduced to what is needed further on.

    Attributes:
        inputs: both terms; an axis that stays whole is a plain index named like the axis.
        output: the result's axes in the same terms.
        result: the result's axes as later steps see them.
        sizes: the extent of every index of the step, the result's first.
    """

    inputs: tuple[Accesses, ...]
    output: Accesses
    result: Accesses
    sizes: tuple[tuple[str, int], ...]

    @property
    def points(self) -> int:
        """Multiplications of the step."""
        return prod(size for _, size in self.sizes)


def merge(terms: tuple[Accesses, ...], needed: Collection[str], problem: Problem) -> Merge:
    """Contract some terms, keeping the indices that are ``needed`` elsewhere."""
    whole = _whole_axes(terms, needed, problem)
    inputs = tuple(
        tuple(Access.along(str(a), a.size) if a in whole else a for a in term) for term in terms
    )
    hidden = {name for access in whole for name in access.names}
    names = [n for n in labels_of(terms) if n in needed and n not in hidden]
    plain = tuple(Access.along(name, problem.extents[name]) for name in names)
    carried = tuple(Access.along(str(access), access.size) for access in whole)
    sizes = {access.names[0]: access.size for access in plain + carried}
    sizes |= {n: problem.extents[n] for n in labels_of(terms) if n not in hidden}
    return Merge(inputs, plain + carried, plain + tuple(whole), tuple(sizes.items()))


def _whole_axes(
    terms: tuple[Accesses, ...], needed: Collection[str], problem: Problem
) -> list[Access]:
    """The window axes that the step can and should leave alone.

    It can if nothing else in it uses their indices; it should if the axis has fewer elements
    than the window has points.
    """
    accesses = list(dict.fromkeys(access for term in terms for access in term))
    uses: dict[str, int] = {}
    for name in (name for access in accesses for name in access.names):
        uses[name] = uses.get(name, 0) + 1
    repeated = {a for term in terms for a in term if term.count(a) > 1}
    return [
        access
        for access in accesses
        if overlaps(access, problem.extents)
        and access not in repeated
        and all(uses[name] == 1 and name in needed for name in access.names)
    ]
