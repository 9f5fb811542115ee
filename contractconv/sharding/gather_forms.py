"""A scatter read as a gather: then halos of an operand are moved, and none of the result.

``b i o, k c o -> b (i+k-1) c`` scatters, and neighbours are owed what lands in their blocks, of as
many channels as ``c`` has. ``b (h-k+1) o, k c o -> b h c`` is the same; it reads what neighbours
have, of as many channels as ``o`` has. Whichever is less is moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contractconv.errors import ContractionError
from contractconv.notation.extents import bind, resolve
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.programs.nodes import Contract
from contractconv.reductions.table import REDUCTIONS


def gather_form(node: Contract, problem: Problem, shapes: Sequence[Shape]) -> Problem | None:
    """The same contraction as a gather; ``None`` if it has no such form.

    Args:
        node: the contraction.
        problem: the same with sizes.
        shapes: of the operands.
    """
    if not REDUCTIONS[problem.reduce].is_sum or all(a.plain for a in problem.output):
        return None
    from contractconv.calculus.derived_strings import gathered  # sympy is slow to import

    found = gathered(_bound(node))
    if found is None or any(axis.plain is None for axis in found.output):
        return None
    extents = {name: size for name, size in problem.sizes if name in found.indices}
    try:
        return resolve(found, [*shapes], extents, problem.result_shape)
    except ContractionError:  # an extent of the gather follows from nothing
        return None


def split_indices(
    problem: Problem, gather: Problem, along: Mapping[str, str], axes: Sequence[str | None]
) -> dict[str, str]:
    """Along which axes of a mesh the indices of a gather lie.

    Args:
        problem: the scatter.
        gather: the same as a gather.
        along: those of the indices of the scatter.
        axes: those of the axes of the result.
    """
    found = {a.plain: m for a, m in zip(gather.output, axes, strict=True) if a.plain and m}
    same = problem.reduced
    for name, axis in along.items():
        if name in gather.extents and name in same and axis not in found.values():
            found.setdefault(name, axis)
    return found


def _bound(node: Contract) -> Spec:
    numbers = {n: size.value(_unknown) for n, size in node.extents if n in node.spec.parameters}
    return bind(node.spec, numbers)


def _unknown(extent: object) -> int:
    raise AssertionError("the sizes of a typed program are numbers")
