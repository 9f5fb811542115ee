"""Certificates of what is derived beside gradients: forward derivatives, Jacobians, curvature.

The Jacobian is put together by brute force over the definition, one point at a time; what a recipe
should make follows from it by matrix algebra in exact integers. The recipe's formula, with the
numbers put in, and its string as it is run are compared with that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.views import Array
from contractconv.calculus.curvature_strings import Layer
from contractconv.calculus.derived_strings import Recipe, Subject
from contractconv.calculus.equation import size
from contractconv.calculus.letters import COTANGENT, ONES, ROOT, TANGENT, role_letter
from contractconv.calculus.read_conditions import OUTPUT, places
from contractconv.calculus.symbols import split
from contractconv.execution.gradient import run_recipe
from contractconv.lazy import remembered
from contractconv.notation.carets import operand_label
from contractconv.notation.problem import Problem, Shape, shape_of
from contractconv.notation.spec import Term, operand_names
from contractconv.planning.derived_problems import extents_of
from contractconv.reductions.table import REDUCTIONS
from contractconv.verification.brute_force import BruteForce, Place, added
from contractconv.verification.cases import Case, cases, spelled
from contractconv.verification.certificate import TERMS, Certificate, tally, tried
from contractconv.verification.comparison import Check, Judge, sizes_of
from contractconv.verification.drawn_arrays import Drawn, elements

_COLUMNS = 2  # of a root of a Hessian
# Where operands are taken twice, a formula has about as many terms as the square of this.
_POINTS_TWICE = 100
_COMPARED = "formula and string as it is run equal brute force over the definition"


def certify_derived(subject: Subject, values: Mapping[str, int] | None = None) -> Certificate:
    """Check a recipe against the definition.

    Args:
        subject: what is derived.
        values: extents and parameters to use; the others are chosen, small and varied.

    Returns:
        The certificate.

    Raises:
        CertificateError: something disagrees; the message says what, where, and by how much.
        ShapeError: the extents make too many points for brute force.
    """
    forward = spelled(subject.forward)
    recipe = subject.derive(forward, subject.operand)
    twice = len(set(recipe.roles)) < len(recipe.roles)
    chosen = cases(forward, values or {}, _POINTS_TWICE if twice else None)
    checked = (_checks(subject, recipe, case, TERMS // len(chosen)) for case in chosen)
    checks = tally(checked)
    return Certificate(
        subject.forward, subject.operand, checks, tried(chosen), (), subject.name, _COMPARED
    )


def _checks(subject: Subject, recipe: Recipe, case: Case, terms: int) -> Iterator[Check]:
    problem, n = case.problem, subject.operand
    drawn = Drawn(case, power=2, most=3)
    whole = _Shapes(case.shapes[n], problem.result_shape)
    given = {role: drawn.integers(whole.of_roles[role], drawn.most) for role in subject.takes}
    expected = _Expected(subject, case, drawn.brute, given).of(recipe.result)

    extents = extents_of(recipe, problem)
    arrays = given | dict(zip(operand_names(len(drawn.operands)), drawn.operands, strict=True))
    here = subject.derive(case.forward.unnamed, n)
    shape = _Shapes.split(problem, n).like(recipe)
    if shape is None:
        shape = tuple(extents[axis.plain or ""] for axis in split(here.spec.output))
    exact = REDUCTIONS[case.forward.reduce].exact and not recipe.scale
    named = f"the {subject.name} of '{subject.forward}' by {operand_label(subject.forward, n)}"
    judge = Judge(named, case, expected, shape, exact)
    known = _sizes(recipe, case, extents, n, shape) | sizes_of(case, places(case.forward))
    ones = np.ones([extents[name] for name in recipe.ones], int)
    spoken = {role_letter(role, case.forward, n): array for role, array in given.items()}
    numbers = drawn.named(**spoken, **{ONES: ones})
    yield judge.formula("formula = brute force", recipe.equation, numbers, known, terms)
    made = run_recipe(here, problem, arrays, drawn.operands, n, whole.like(recipe))
    yield judge.array("string = brute force", made)


class _Shapes(NamedTuple):
    """The shapes of the operand and of the result, with compositions joined or split."""

    operand: Shape
    result: Shape

    @staticmethod
    def split(problem: Problem, n: int) -> _Shapes:
        return _Shapes(shape_of(problem.operands[n]), problem.output_sizes)

    @property
    def of_roles(self) -> dict[str, Shape]:
        """Those of a tangent, a cotangent and a root."""
        return {TANGENT: self.operand, COTANGENT: self.result, ROOT: (_COLUMNS, *self.result)}

    def like(self, recipe: Recipe) -> Shape | None:
        """That of what a recipe makes; ``None`` if its string says it all."""
        return sum((getattr(self, part) for part in recipe.like), ()) if recipe.like else None


def _sizes(
    recipe: Recipe, case: Case, extents: Mapping[str, int], n: int, shape: Shape
) -> dict[Any, int]:
    """The sizes that a recipe's formula speaks of: extents, and those of computed axes."""
    forward, problem = case.forward, case.problem
    known = {size(name): extent for name, extent in extents.items()}
    known |= {size(name): _COLUMNS for name in recipe.spec.indices if name not in extents}
    shapes = dict(zip(forward.called, map(shape_of, problem.operands), strict=True))
    of_roles = _Shapes.split(problem, n).of_roles
    shapes |= {role_letter(role, forward, n): sizes for role, sizes in of_roles.items()}
    shapes |= {ONES: tuple(extents[name] for name in recipe.ones)}
    shapes |= {role: () for role, _ in recipe.shares}
    linear = REDUCTIONS[problem.reduce].linear
    others = problem.output_sizes if linear else tuple(s for _, s in problem.sizes)
    named = places(recipe.spec)
    for term, role in enumerate(recipe.roles):
        sizes = shapes.get(role, others)
        known |= {size(p.name): s for p, s in zip(named[term], sizes, strict=True)}
    return known | {size(p.name): s for p, s in zip(named[OUTPUT], shape, strict=True)}


class _Expected:
    """What a recipe should make, from the Jacobian."""

    def __init__(
        self, subject: Subject, case: Case, brute: BruteForce, given: Mapping[str, Array]
    ) -> None:
        self.subject, self.problem, self.spec = subject, case.problem, case.forward
        self.jacobian = brute.jacobian(subject.operand)
        shapes = _Shapes.split(case.problem, subject.operand).of_roles
        self.given = {r: elements(array.reshape(shapes[r])) for r, array in given.items()}

    def of(self, result: str) -> dict[Place, Any]:
        """The elements by position, those that are missing being zero."""
        make: dict[str, Callable[[], dict[Place, Any]]] = {
            "JV": self._moved,
            "J": lambda: {(*out, *at): value for (out, at), value in self.jacobian.items()},
            "HV": self._product,
            "D": self._diagonal,
            "A": self._input_factor,
            "B": self._output_factor,
        }
        return make[result]()

    def _moved(self) -> dict[Place, Any]:
        tangent = self.given[TANGENT]
        return added((out, value * tangent[at]) for (out, at), value in self.jacobian.items())

    @remembered
    def _layer(self) -> Layer:
        return Layer(self.spec, self.subject.operand, self.subject.batch)

    @remembered
    def _example(self) -> Callable[[Place], Place]:
        return _picked(self._layer.batch, self._layer.spec.output)

    def _columns(self) -> list[Mapping[Place, Any]]:
        root = self.given[ROOT]
        return [{at[1:]: v for at, v in root.items() if at[0] == r} for r in range(_COLUMNS)]

    def _product(self) -> dict[Place, Any]:
        moved = self._moved()
        if ROOT in self.given:
            moved = added(self._through_hessian(moved))
        return added((at, v * moved.get(out, 0)) for (out, at), v in self.jacobian.items())

    def _through_hessian(self, moved: Mapping[Place, Any]) -> Iterator[tuple[Place, Any]]:
        """``Σ_r R_r R_rᵀ u``, where examples have nothing to do with each other."""
        for column in self._columns():
            inner = added((self._example(out), column[out] * v) for out, v in moved.items())
            yield from ((out, v * inner.get(self._example(out), 0)) for out, v in column.items())

    def _diagonal(self) -> dict[Place, Any]:
        entries = self.jacobian.items()
        if ROOT not in self.given:
            return added((at, value * value) for (_, at), value in entries)
        inner = [
            added(((at, self._example(out)), column[out] * v) for (out, at), v in entries)
            for column in self._columns()
        ]
        return added((at, v * v) for column in inner for (at, _), v in column.items())

    # -- Kronecker factors -----------------------------------------------------------------------

    def _input_factor(self) -> dict[Place, Any]:
        """Outer products of what multiplies the weight in one element that it makes."""
        target, where = self._layer.target, self._where()
        key, first, group = (_picked(names, target) for names in self._layer.weight_indices)
        rows = added(
            ((group(at), where(out), key(at)), value)
            for (out, at), value in self.jacobian.items()
            if not any(first(at))
        )
        reduces = self.subject.kind == "reduce"
        count = self._count(self._layer.example_indices[1]) if reduces else 1
        return _outer(rows, Fraction(1, count * count or 1))

    def _output_factor(self) -> dict[Place, Any]:
        """Outer products of cotangents."""
        output, where = self._layer.spec.output, self._where()
        key, group = (_picked(names, output) for names in self._layer.weight_indices[1:])
        entries = self.given[COTANGENT].items()
        rows = added(((group(out), where(out), key(out)), value) for out, value in entries)
        return _outer(rows, Fraction(1, self._count(self._apart) or 1))

    @property
    def _apart(self) -> list[str]:
        """What keeps contributions apart: the example, and the place unless places are added."""
        batch, spots = self._layer.example_indices
        return [*batch, *(spots if self.subject.kind == "expand" else [])]

    def _where(self) -> Callable[[Place], Place]:
        return _picked(self._apart, self._layer.spec.output)

    def _count(self, names: Sequence[str]) -> int:
        return prod(_picked(names, self._layer.spec.output)(self.problem.output_sizes))


def _picked(names: Sequence[str], term: Term) -> Callable[[Place], Place]:
    """What some indices are at a position of the axes of a term."""
    held = [axis.plain for axis in split(term)]
    chosen = [held.index(name) for name in names]
    return lambda place: tuple(place[c] for c in chosen)


def _outer(entries: Mapping[tuple[Place, Place, Place], Any], scale: Fraction) -> dict[Place, Any]:
    """The sum of the outer products of rows: entries are by group, row, and place in the row."""
    rows: defaultdict[tuple[Place, Place], list[tuple[Place, Any]]] = defaultdict(list)
    for (group, where, name), value in entries.items():
        rows[group, where].append((name, value))
    return added(
        ((*group, *one, *other), a * b * scale)
        for (group, _), row in rows.items()
        for (one, a), (other, b) in product(row, repeat=2)
    )
