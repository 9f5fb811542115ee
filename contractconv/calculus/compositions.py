"""Windows that do not overlap: where stride equals kernel, an axis is a plain composition.

If ``k`` runs over ``0 ... s-1``, every ``h`` is ``s*i+k`` for exactly one ``i`` and ``k``: quotient
and remainder. No condition is left, and the axis is ``(i k)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from contractconv.notation.affine import Affine
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Axis, Composition, Spec, Term
from contractconv.reductions.table import REDUCTIONS


def composed(spec: Spec, problem: Problem, shapes: tuple[Shape, ...]) -> Spec:
    """Write windows that neither overlap nor leave gaps as compositions.

    Args:
        spec: a contraction without parameters or an ellipsis.
        problem: the contraction with its shapes.
        shapes: the shape of each operand.

    Returns:
        The same contraction for these shapes; a scatter or window that is a composition is one.
    """
    extents = problem.extents
    # Among equal extremes the first point counts, and what is first the order of indices says.
    inputs = tuple(_term(t, s, extents) for t, s in zip(spec.inputs, shapes, strict=True))
    simple = replace(spec, inputs=inputs, output=_term(spec.output, problem.result_shape, extents))
    return spec if REDUCTIONS[spec.reduce].chooses and simple.indices != spec.indices else simple


def _term(term: Term, shape: Shape, extents: Mapping[str, int]) -> Term:
    return tuple(_axis(axis, size, extents) for axis, size in zip(term, shape, strict=True))


def _axis(axis: Axis, size: int, extents: Mapping[str, int]) -> Axis:
    if not isinstance(axis, Affine) or axis.fractional or axis.offset or len(axis.terms) < 2:
        return axis
    # An index of a single value may stand anywhere: innermost it does not break the chain.
    pairs = sorted((number.constant or 0, extents[name], name) for name, number in axis.terms)
    names = tuple(name for _, _, name in reversed(pairs))
    stride = 1
    for coefficient, _, name in pairs:
        if coefficient != stride:
            return axis
        stride *= extents[name]
    return Composition(names) if stride == size else axis
