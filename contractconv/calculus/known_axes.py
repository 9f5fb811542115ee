"""What derived strings know of their axes: which of them no point leaves.

Whether a condition always holds depends on what determines the extents. In the string of a
gradient, of a Jacobian, of a second derivative some operands are missing, and indices of their
own may have been split; so such a string is told by the contraction that it was derived from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from contractconv.calculus.letters import ROOT, array_of, cotangent, unused
from contractconv.calculus.local_derivative import local_name, local_term
from contractconv.calculus.read_conditions import OUTPUT, never_left
from contractconv.notation.spec import Axis, Spec


def knowing(
    spec: Spec,
    roles: Sequence[str],
    forward: Spec,
    operand: int | None = None,
    copies: Sequence[tuple[str, str]] = (),
) -> Spec:
    """A string that knows which of its axes no point leaves, as the forward contraction does.

    What determines an extent there need not be an operand here, so the string itself cannot tell.

    Args:
        spec: the derived string; an index that the forward contraction has keeps its extent.
        roles: what each of its operands is.
        forward: the contraction.
        operand: the operand that the result is a gradient by, if it is one.
        copies: indices that run over the range of another one.
    """
    known, originals = _known_axes(forward), dict(copies)
    made = [] if operand is None else [(forward.called[operand], OUTPUT)]
    places = [*zip(map(array_of, roles), range(len(roles)), strict=True), *made]
    inside = frozenset(
        (term, at)
        for role, term in places
        for at, axis in enumerate(spec.terms[term])
        if (role, at, axis.renamed(originals)) in known
    )
    return replace(spec, inside=inside)


def _known_axes(forward: Spec) -> frozenset[tuple[str, int, Axis]]:
    """The axes of each role that no point leaves; a root has one more in front."""
    roles: dict[int, list[tuple[str, int]]] = {
        OUTPUT: [(cotangent(forward), 0), (unused(forward, ROOT), 1)]
    }
    local = local_term(forward)
    if local == forward.output:
        roles[OUTPUT].append((local_name(forward), 0))
    return frozenset(
        (role, at + before, forward.terms[term][at])
        for term, at in never_left(forward)
        for role, before in roles.get(term, [(forward.called[term], 0)])
    )
