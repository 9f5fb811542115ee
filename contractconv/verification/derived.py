"""Certificates of what is derived beside gradients: forward derivatives, Jacobians, curvature.

The Jacobian is put together by brute force over the definition, one point at a time; what a recipe
should make follows from it by matrix algebra in exact integers. The recipe's formula, with the
numbers put in, and its string as it is run are compared with that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

import numpy as np

from contractconv.calculus.curvature_strings import Layer
from contractconv.calculus.derived_strings import ONES, ROOT, TANGENT, Recipe
from contractconv.calculus.equation import size
from contractconv.calculus.reads import OUTPUT, places
from contractconv.calculus.symbols import operand_names, split
from contractconv.execution.gradient import run_recipe
from contractconv.notation.problem import Problem, Shape, shape_of
from contractconv.notation.spec import Spec
from contractconv.planning.derived_problems import extents_of
from contractconv.reductions.table import REDUCTIONS
from contractconv.verification.brute import BruteForce, Place
from contractconv.verification.cases import Case, cases, spelled
from contractconv.verification.certificate import (
    TERMS,
    Certificate,
    Check,
    Report,
    elements,
    integers,
    magnitude,
    named_arrays,
    tally,
    tried,
)
from contractconv.verification.judge import Judge, numbers_of, sizes_of

_COLUMNS = 2  # of a root of a Hessian
# Where operands are taken twice, a formula has about as many terms as the square of this.
_POINTS_TWICE = 100
_COMPARED = "formula and string as it is run equal brute force over the definition"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be certified.

    Attributes:
        forward: the contraction.
        operand: the position of the operand that it is about.
        name: what it is, for messages.
        takes: the roles of what it is called with before the operands.
        derive: makes the recipe for a spec and an operand.
        batch: the indices that number examples; ``None`` for the result's first one.
        kind: of Kronecker factors.
    """

    forward: Spec
    operand: int
    name: str
    takes: tuple[str, ...]
    derive: Callable[[Spec, int], Recipe]
    batch: tuple[str, ...] | None = None
    kind: str = ""


def certify_derived(
    subject: Subject, values: Mapping[str, int] | None = None, report: Report | None = None
) -> Certificate:
    """Check a recipe against the definition.

    Args:
        subject: what is derived.
        values: extents and parameters to use; the others are chosen, small and varied.
        report: is told after each case how many of how many are done.

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
    checks = tally(checked, len(chosen), report)
    return Certificate(
        subject.forward, subject.operand, checks, tried(chosen), (), subject.name, _COMPARED
    )


def _checks(subject: Subject, recipe: Recipe, case: Case, terms: int) -> Iterator[Check]:
    problem, n = case.problem, subject.operand
    rng = np.random.default_rng(case.number)
    most = min(magnitude(problem, 2), 3)
    operands = [integers(rng, shape, most) for shape in case.shapes]
    shapes = {"V": case.shapes[n], "G": problem.result_shape}
    shapes["R"] = (_COLUMNS, *problem.result_shape)
    given = {role: integers(rng, shapes[role], most) for role in subject.takes}
    brute = BruteForce(problem, list(map(numbers_of, operands, problem.operands)))
    expected = _Expected(subject, case, brute, given).of(recipe.result)

    extents = extents_of(recipe, problem)
    names = operand_names(len(operands))
    arrays = given | dict(zip(names, operands, strict=True))
    here = subject.derive(case.forward, n)
    shape = tuple(
        axis_size for part in recipe.like for axis_size in _split_shape(part, problem, n)
    ) or tuple(extents[axis.plain or ""] for axis in split(here.spec.output))
    exact = REDUCTIONS[case.forward.reduce].exact and not recipe.scale
    judge = Judge(
        f"the {subject.name} of '{subject.forward}' by operand {n}", case, expected, shape, exact
    )
    known = sizes_of(case, {}) | _sizes(recipe, problem, extents, n, shape)
    numbers = named_arrays(case, brute, operands)
    numbers |= {role: elements(array) for role, array in given.items()}
    numbers[ONES] = elements(np.ones([extents[name] for name in recipe.ones], int))
    statement = "formula = brute force"
    yield Check(statement, *judge.formula(statement, recipe.equation, numbers, known, terms))
    whole = {"result": problem.result_shape, "operand": case.shapes[n]}
    wanted = sum((whole[part] for part in recipe.like), ()) if recipe.like else None
    made = run_recipe(here, problem, arrays, operands, n, wanted)
    yield Check("string = brute force", *judge.array("string = brute force", made))


def _split_shape(part: str, problem: Problem, n: int) -> Shape:
    return problem.output_sizes if part == "result" else shape_of(problem.operands[n])


def _sizes(
    recipe: Recipe, problem: Problem, extents: Mapping[str, int], n: int, shape: Shape
) -> dict[Any, int]:
    """The sizes that a recipe's formula speaks of: extents, and those of computed axes."""
    known = {size(name): extent for name, extent in extents.items()}
    known |= {size(name): _COLUMNS for name in recipe.spec.indices if name not in extents}
    parts = dict(zip(operand_names(len(problem.operands)), problem.operands, strict=True))
    shapes = {role: shape_of(parts[role]) for role in parts}
    shapes |= {ONES: tuple(extents[name] for name in recipe.ones)}
    shapes |= {"R": (_COLUMNS, *problem.output_sizes), "G": problem.output_sizes}
    shapes[TANGENT] = shape_of(problem.operands[n])
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
        self, subject: Subject, case: Case, brute: BruteForce, given: Mapping[str, Any]
    ) -> None:
        self.subject, self.problem = subject, case.problem
        self.jacobian = brute.jacobian(subject.operand)
        self.given = {
            role: numbers_of(array, case.problem.operands[subject.operand])
            for role, array in given.items()
            if role == TANGENT
        }
        self.given |= {
            role: elements(np.asarray(array).reshape([*lead, *case.problem.output_sizes]))
            for role, array, lead in ((r, a, [_COLUMNS] * (r == ROOT)) for r, a in given.items())
            if role != TANGENT
        }
        self.spec = case.forward

    def of(self, result: str) -> dict[Place, Any]:
        """The elements by position, those that are missing being zero."""
        make: dict[str, Callable[[], dict[Place, Any]]] = {
            "dY": lambda: self._moved(self.given[TANGENT]),
            "J": lambda: {(*out, *at): value for (out, at), value in self.jacobian.items()},
            "HV": self._product,
            "D": self._diagonal,
            "A": self._input_factor,
            "B": self._output_factor,
        }
        return make[result]()

    def _moved(self, tangent: Mapping[Place, Any]) -> dict[Place, Any]:
        total: defaultdict[Place, Any] = defaultdict(int)
        for (out, at), value in self.jacobian.items():
            total[out] += value * tangent[at]
        return dict(total)

    @property
    def _layer(self) -> Layer:
        return Layer(self.spec, self.subject.operand, self.subject.batch)

    def _coordinates(self, names: Sequence[str], of: Sequence[Any]) -> list[int]:
        """Where indices stand in a position of some axes."""
        held = [axis.plain for axis in of]
        return [held.index(name) for name in names]

    def _examples(self) -> Callable[[Place], Place]:
        layer = self._layer
        chosen = self._coordinates(layer.batch, split(layer.spec.output))
        return lambda out: tuple(out[c] for c in chosen)

    def _columns(self) -> list[Mapping[Place, Any]]:
        root = self.given[ROOT]
        return [{at[1:]: v for at, v in root.items() if at[0] == r} for r in range(_COLUMNS)]

    def _product(self) -> dict[Place, Any]:
        moved = self._moved(self.given[TANGENT])
        if ROOT in self.given:
            moved = self._through_hessian(moved)
        total: defaultdict[Place, Any] = defaultdict(int)
        for (out, at), value in self.jacobian.items():
            total[at] += value * moved.get(out, 0)
        return dict(total)

    def _through_hessian(self, moved: Mapping[Place, Any]) -> dict[Place, Any]:
        """``Σ_r R_r R_rᵀ u``, where examples have nothing to do with each other."""
        example, total = self._examples(), defaultdict[Place, Any](int)
        for column in self._columns():
            inner: defaultdict[Place, Any] = defaultdict(int)
            for out, value in moved.items():
                inner[example(out)] += column[out] * value
            for out, value in column.items():
                total[out] += value * inner[example(out)]
        return dict(total)

    def _diagonal(self) -> dict[Place, Any]:
        total: defaultdict[Place, Any] = defaultdict(int)
        if ROOT not in self.given:
            for (_, at), value in self.jacobian.items():
                total[at] += value * value
            return dict(total)
        example = self._examples()
        for column in self._columns():
            inner: defaultdict[tuple[Place, Place], Any] = defaultdict(int)
            for (out, at), value in self.jacobian.items():
                inner[at, example(out)] += column[out] * value
            for (at, _), value in inner.items():
                total[at] += value * value
        return dict(total)

    # -- Kronecker factors -----------------------------------------------------------------------

    def _input_factor(self) -> dict[Place, Any]:
        """Outer products of what multiplies the weight in one element that it makes."""
        layer = self._layer
        summed, made, groups = layer.weight_indices
        result, weight = split(layer.spec.output), split(layer.target)
        first = self._coordinates(made, weight)
        key = self._coordinates(summed, weight)
        rows: defaultdict[tuple[Place, Place], dict[Place, Any]] = defaultdict(dict)
        group = self._coordinates(groups, weight)
        where = self._where(layer, result)
        for (out, at), value in self.jacobian.items():
            if any(at[c] for c in first):
                continue
            row = rows[tuple(at[c] for c in group), where(out)]
            name = tuple(at[c] for c in key)
            row[name] = row.get(name, 0) + value
        count = self._count(layer.example_indices[1]) if self.subject.kind == "reduce" else 1
        return self._outer(rows, Fraction(1, count * count or 1))

    def _output_factor(self) -> dict[Place, Any]:
        """Outer products of cotangents."""
        layer = self._layer
        _, made, groups = layer.weight_indices
        result = split(layer.spec.output)
        group, key = self._coordinates(groups, result), self._coordinates(made, result)
        where = self._where(layer, result)
        rows: defaultdict[tuple[Place, Place], dict[Place, Any]] = defaultdict(dict)
        for out, value in self.given["G"].items():
            row = rows[tuple(out[c] for c in group), where(out)]
            name = tuple(out[c] for c in key)
            row[name] = row.get(name, 0) + value
        batch, spots = layer.example_indices
        count = self._count([*batch, *(spots if self.subject.kind == "expand" else [])])
        return self._outer(rows, Fraction(1, count or 1))

    def _where(self, layer: Layer, result: Sequence[Any]) -> Callable[[Place], Place]:
        """What keeps contributions apart: the example, and the place unless places are added."""
        batch, spots = layer.example_indices
        apart = self._coordinates(
            [*batch, *(spots if self.subject.kind == "expand" else [])], result
        )
        return lambda out: tuple(out[c] for c in apart)

    def _count(self, names: Sequence[str]) -> int:
        layer = self._layer
        chosen = self._coordinates(names, split(layer.spec.output))
        return prod(self.problem.output_sizes[c] for c in chosen)

    def _outer(
        self, rows: Mapping[tuple[Place, Place], Mapping[Place, Any]], scale: Fraction
    ) -> dict[Place, Any]:
        total: defaultdict[Place, Any] = defaultdict(int)
        for (group, _), row in rows.items():
            for (one, a), (other, b) in product(row.items(), repeat=2):
                total[*group, *one, *other] += a * b * scale
        return dict(total)
