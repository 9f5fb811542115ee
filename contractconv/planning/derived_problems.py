"""Contractions that are derived from a forward one, with its shapes put in.

Which form of a gradient is run is decided here; running it takes nothing but the arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, TypeVar

from contractconv.cache_register import kept
from contractconv.notation.affine import Affine
from contractconv.notation.extents import resolve
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.planning.cost import is_direct, volume
from contractconv.planning.strided_leaves import MOST_TAPS, tap_indices
from contractconv.reductions.table import REDUCTIONS
from contractconv.uninterrupted import enter

if TYPE_CHECKING:
    from contractconv.calculus.backward import Formulas
    from contractconv.calculus.derived_strings import Recipe
    from contractconv.calculus.gather_phases import Phase

# However the numbers of a library are told.
Numbers = TypeVar("Numbers")


@kept(most=1024)
def backward(forward: Spec, operand: int, problem: Problem, shapes: tuple[Shape, ...]) -> Problem:
    """The backward contraction of one operand, in the form that is cheaper to run.

    Args:
        forward: the contraction, with parameters bound and the ellipsis spelled out.
        operand: the position of the operand to differentiate by.
        problem: the forward contraction with its shapes.
        shapes: the shapes of all forward operands.
    """
    # Deriving takes sympy, which takes as long to import as many a contraction takes to run.
    enter("contractconv.calculus.backward")
    from contractconv.calculus.backward import derive

    formulas = derive(forward, operand)
    scatter = backward_problem(formulas.scatter, formulas, problem, shapes)
    if volume(tap_indices(scatter), scatter.extents) > MOST_TAPS and not _divides(formulas.gather):
        return backward_problem(formulas.gather, formulas, problem, shapes)
    return scatter


def backward_problem(
    spec: Spec,
    formulas: Formulas,
    problem: Problem,
    shapes: Sequence[Shape],
    extents: Mapping[str, int] | None = None,
) -> Problem:
    """Put shapes into a backward string.

    Args:
        spec: the scatter or the gather form, or one derived from it.
        formulas: the derivation.
        problem: the forward contraction with its shapes.
        shapes: the shapes of all forward operands.
        extents: those of the string's indices, unless they are those of the forward contraction.
    """
    inputs = _taken(formulas, problem, shapes)
    known = _of_indices(spec, problem.extents) if extents is None else extents
    return resolve(spec, inputs, known, output_shape=shapes[formulas.operand])


def phase_problem(
    phase: Phase, formulas: Formulas, problem: Problem, shapes: Sequence[Shape]
) -> Problem:
    """Put shapes into one of the phases of a derivation's gather, without parameters."""
    whole = backward_problem(formulas.gather, formulas, problem, shapes)
    extents = phase.extents(whole.extents)
    return backward_problem(phase.spec, formulas, problem, shapes, extents)


def simplified(formulas: Formulas, problem: Problem, shapes: Sequence[Shape]) -> Spec:
    """The scatter for these shapes: where windows do not overlap, a composition."""
    from contractconv.calculus.compositions import composed

    scatter = backward_problem(formulas.scatter, formulas, problem, shapes)
    return composed(formulas.scatter, scatter, _taken(formulas, problem, shapes))


def recipe_problem(
    recipe: Recipe, problem: Problem, shapes: Sequence[Shape], output_shape: Shape | None
) -> Problem:
    """Put the shapes of what a recipe takes into its string."""
    known = _of_indices(recipe.spec, extents_of(recipe, problem))
    return resolve(recipe.spec, shapes, known, output_shape)


def extents_of(recipe: Recipe, problem: Problem) -> dict[str, int]:
    """The extents of a recipe's indices, from those of the forward contraction."""
    extents = dict(problem.sizes)
    extents |= {name: problem.result_shape[axis] for name, axis in recipe.result_axes}
    return extents | {copy: extents[original] for copy, original in recipe.copies}


def numbers_of(
    given: Iterable[str], own: Numbers, result: Numbers
) -> dict[str, tuple[Numbers, str]]:
    """In which numbers some roles have to come, and what messages call each.

    Args:
        given: the roles of what a recipe is given; others come as they like.
        own: the numbers of the operand that is differentiated by.
        result: those of the result.
    """
    from contractconv.calculus.letters import COTANGENT, ROOT, TANGENT

    told = (
        (TANGENT, own, "the tangent"),
        (COTANGENT, result, "the cotangent"),
        (ROOT, result, "the root"),
    )
    return {role: (numbers, f"{name} {role}") for role, numbers, name in told if role in given}


def examples_of(recipe: Recipe, extents: Mapping[str, int]) -> int:
    """By what a recipe divides; without examples nothing was added, and zero stays zero."""
    return prod(extents[name] for name in recipe.scale) or 1


def _of_indices(spec: Spec, extents: Mapping[str, int]) -> dict[str, int]:
    indices = set(spec.indices)
    return {name: size for name, size in extents.items() if name in indices}


def _taken(formulas: Formulas, problem: Problem, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """The shapes of what a backward string takes: cotangent, local derivative, other operands."""
    others = [shape for n, shape in enumerate(shapes) if n != formulas.operand]
    return (problem.result_shape, *_weights(problem), *others)


def _weights(problem: Problem) -> list[Shape]:
    record = REDUCTIONS[problem.reduce]
    if record.is_sum:
        return []
    if not record.linear:
        return [tuple(size for _, size in problem.sizes)]
    return [() if is_direct(problem) else problem.result_shape]


def _divides(spec: Spec) -> bool:
    axes = (axis for term in spec.terms for axis in term)
    return any(isinstance(axis, Affine) and axis.fractional for axis in axes)
