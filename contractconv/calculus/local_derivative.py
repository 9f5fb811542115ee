"""The local derivative of a reduction as an operand of strings: its axes and its name."""

from __future__ import annotations

from contractconv.calculus.letters import unused
from contractconv.calculus.symbols import DOTS, is_plain, split
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Dots, Spec, Term, unique_names
from contractconv.reductions.table import REDUCTIONS


def local_term(spec: Spec) -> Term | None:
    """The axes of the local derivative of a contraction's reduction; ``None`` for a sum.

    Raises:
        ReductionError: the reduction has no derivative.
    """
    record = REDUCTIONS[spec.reduce]
    if record.is_sum:
        return None
    record.asked(record.local.meaning, "derivative")
    if not record.linear:
        terms = tuple(split(term) for term in (spec.output, *spec.inputs))
        dots = DOTS if spec.has_dots else None
        return tuple(Dots() if n == dots else Affine.index(n) for n in unique_names(terms))
    return () if counted(spec) is not None else spec.output


def local_name(spec: Spec) -> str:
    """What the local derivative is called: a letter, or one over the number of points."""
    over = counted(spec)
    if over is None:
        return unused(spec, REDUCTIONS[spec.reduce].local.letter)
    sizes = [f"N_{name}" for name in over] or ["1"]
    return f"1/{sizes[0]}" if len(sizes) == 1 else f"1/({'*'.join(sizes)})"


def counted(spec: Spec) -> tuple[str, ...] | None:
    """The indices whose extents are the number of points of a mean, the same for each element.

    Returns:
        ``None`` if it differs from element to element, or if the reduction is no mean.
    """
    if not REDUCTIONS[spec.reduce].averages or not is_plain(spec.output):
        return None
    kept = {axis.plain for axis in split(spec.output)}
    lost = (DOTS,) * (spec.has_dots and DOTS not in kept)
    return (*lost, *(name for name in spec.reduced if name not in kept))
