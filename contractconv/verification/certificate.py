"""Certificates: a derived gradient is compared with its definition, in exact integers.

Four independent things must agree on small arrays: the definition (brute force over the index
space), the sympy formula with the numbers put in, and the two strings as they are run; and the
gradient must be the transpose of the forward map, ``⟨G, c(…, V, …)⟩ = ⟨d(G, …), V⟩``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import islice, product
from math import prod
from typing import Any

import numpy as np

from contractconv.calculus.derivation import COTANGENT, Formulas
from contractconv.calculus.equation import Equation
from contractconv.calculus.evaluation import evaluator
from contractconv.calculus.phases import phases
from contractconv.calculus.reads import places
from contractconv.calculus.rules import RULES
from contractconv.calculus.symbols import DOTS, operand_names
from contractconv.errors import CertificateError, ContractionError, ShapeError
from contractconv.execution.gradient import (
    backward_operands,
    backward_problem,
    gradient,
    phase_gradient,
)
from contractconv.execution.run import run
from contractconv.execution.views import Array
from contractconv.notation.affine import Affine
from contractconv.notation.extents import resolve, split_values
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Axis, Dots, Spec, Term
from contractconv.planning.plan import plan
from contractconv.verification.brute import BruteForce

# Brute force goes point by point: small problems show a fault as well as large ones.
_FEW, _MOST = 1_500, 300_000
_EXTENTS = ((3, 2), (2, 3), (4, 1))
# Strides, dilations and paddings that a formula with symbols is tried with.
_BINDINGS, _NUMBERS = 8, (1, 2, 3)
# What float64 may leave where a local derivative is a fraction or an exponential.
_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Check:
    """One statement that was checked.

    Attributes:
        statement: what was compared.
        numbers: how many numbers of each side were compared.
        exact: whether in integers; otherwise within 1e-12.
    """

    statement: str
    numbers: int
    exact: bool

    def __str__(self) -> str:
        how = "exact" if self.exact else f"within {_TOLERANCE:g}"
        return f"{self.statement:<42} {self.numbers:>7,} numbers, {how}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was checked of a derived gradient, all of it with success.

    Attributes:
        forward: the contraction.
        operand: the position of the operand it was differentiated by.
        checks: the statements that hold.
        cases: the extents and parameters that they were checked with.
    """

    forward: Spec
    operand: int
    checks: tuple[Check, ...]
    cases: tuple[tuple[tuple[str, int], ...], ...]

    @property
    def summary(self) -> str:
        """The certificate in a few words."""
        compared = sum(check.numbers for check in self.checks)
        exact = all(check.exact for check in self.checks)
        how = "exactly" if exact else f"within {_TOLERANCE:g}"
        return f"verified on {len(self.cases)} small cases, {compared:,} numbers {how}"

    @property
    def sentence(self) -> str:
        """The certificate with what was compared."""
        return (
            f"{self.summary}: formula, strings and computed gradient equal brute force over the "
            f"definition, and the gradient is the transpose of the forward map."
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

    def __str__(self) -> str:
        lines = [f"verified: the gradient of '{self.forward}' by operand {self.operand}"]
        lines += [f"  {check}" for check in self.checks]
        cases = [", ".join(f"{name}={value}" for name, value in case) for case in self.cases]
        return "\n".join([*lines, f"  with {'; '.join(cases[:3])}{'; ...' * (len(cases) > 3)}"])


def certify(formulas: Formulas, values: Mapping[str, int] | None = None) -> Certificate:
    """Check a derived gradient against the definition.

    Args:
        formulas: the derivation.
        values: extents and parameters to use; the others are chosen, small and varied.

    Returns:
        The certificate.

    Raises:
        CertificateError: something disagrees; the message says what, where, and by how much.
        ShapeError: the extents make too many points for brute force.
    """
    tally: dict[str, Check] = {}
    cases = []
    for case in _cases(_spelled(formulas), dict(values or {})):
        cases.append(tuple(case.values.items()))
        for check in _checks(case):
            before = tally.get(check.statement)
            total = check.numbers + (before.numbers if before else 0)
            tally[check.statement] = replace(check, numbers=total)
    return Certificate(formulas.forward, formulas.operand, tuple(tally.values()), tuple(cases))


# -- cases ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Case:
    """One choice of numbers.

    Attributes:
        formulas: the derivation, maybe with symbols.
        forward: the contraction with its parameters bound.
        problem: the contraction with its shapes.
        shapes: the shape of each operand.
        values: every extent and parameter.
        number: which case it is; it seeds the arrays.
    """

    formulas: Formulas
    forward: Spec
    problem: Problem
    shapes: tuple[Shape, ...]
    values: dict[str, int]
    number: int

    def bound(self, spec: Spec) -> Spec:
        return spec.bind({name: self.values[name] for name in spec.parameters})


def _cases(formulas: Formulas, values: dict[str, int]) -> Iterator[_Case]:
    number = 0
    for binding in _bindings(formulas.forward, values):
        forward, given = split_values(formulas.forward, {**values, **binding})
        for small in range(2 if binding else 3):
            extents = _extents(forward, given, small)
            shapes = tuple(
                tuple(_size(axis, extents, small) for axis in term) for term in forward.inputs
            )
            problem = resolve(forward, shapes, extents)
            known = {name: (values | binding)[name] for name in formulas.forward.parameters}
            yield _Case(formulas, forward, problem, shapes, {**extents, **known}, number)
            number += 1


def _bindings(spec: Spec, values: Mapping[str, int]) -> list[dict[str, int]]:
    """Numbers for the symbols that have none: all ones first, then a spread of the others."""
    free = [name for name in spec.parameters if name not in values]
    every = list(product(_NUMBERS, repeat=len(free)))
    chosen = islice(every, 0, None, max(1, -(-len(every) // _BINDINGS)))
    return [dict(zip(free, numbers, strict=True)) for numbers in chosen]


def _extents(spec: Spec, given: Mapping[str, int], number: int) -> dict[str, int]:
    """Small extents, as different as the number of points allows."""
    pair = _EXTENTS[number]
    extents = {n: given.get(n, pair[p % 2]) for p, n in enumerate(spec.indices)}
    free = [name for name in spec.indices if name not in given]
    for least in (2, 1):
        for name in reversed(free):
            if prod(extents.values()) > _FEW:
                extents[name] = least
    if prod(extents.values()) > _MOST:
        raise ShapeError(
            f"{prod(extents.values()):,} points are too many to go through one by one: "
            f"give smaller extents"
        )
    return extents


def _size(axis: Axis, extents: Mapping[str, int], number: int) -> int:
    """A size of an axis for these extents, different in each case.

    First the one that the notation's extent rule expects, as much being cut off at either end; then
    sizes with all of the reach, and with elements behind it that nothing may reach.
    """
    if not isinstance(axis, Affine):
        return prod(extents[name] for name in axis.names)
    if axis.plain is not None:
        return extents[axis.plain]
    low = high = axis.offset.constant or 0
    for name, coefficient in axis.terms:
        step = (coefficient.constant or 0) * (extents[name] - 1)
        low, high = low + min(0, step), high + max(0, step)
    divisor = axis.divisor.constant or 1
    cut = max(0, -(low // divisor)) if number == 0 else 0
    return max(2, high // divisor + 1 - cut + number)


def _spelled(formulas: Formulas) -> Formulas:
    """The ellipsis stands for any axes; one axis shows what there is to see."""
    specs = (formulas.forward, formulas.scatter, formulas.gather)
    forward, scatter, gather = (_without_dots(spec) for spec in specs)
    return replace(formulas, forward=forward, scatter=scatter, gather=gather)


def _without_dots(spec: Spec) -> Spec:
    def spelled(term: Term) -> Term:
        return tuple(Affine.index(DOTS) if isinstance(a, Dots) else a for a in term)

    return replace(spec, inputs=tuple(map(spelled, spec.inputs)), output=spelled(spec.output))


# -- checks --------------------------------------------------------------------------------------


def _checks(case: _Case) -> Iterator[Check]:
    formulas, n = case.formulas, case.formulas.operand
    rng = np.random.default_rng(case.number)
    operands = [_integers(rng, shape) for shape in case.shapes]
    cotangent = _integers(rng, case.problem.result_shape)
    split = list(map(_numbers, operands, case.problem.operands))
    brute = BruteForce(case.problem, split)
    expected = brute.gradient(n, _numbers(cotangent, case.problem.output))
    shape = tuple(access.size for access in case.problem.operands[n])
    judge = _Judge(case, expected, shape)

    arrays = _named_arrays(case, brute, split, cotangent)
    yield judge.formula("formula = brute force", formulas.collected, arrays)
    yield judge.formula("formula with deltas = brute force", formulas.placed, arrays)
    factors = backward_operands(n, case.problem, cotangent, operands)
    for form, spec in (("scatter", formulas.scatter), ("gather", formulas.gather)):
        problem = backward_problem(case.bound(spec), formulas, case.problem, case.shapes)
        yield judge.array(f"{form} string = brute force", run(plan(problem), factors))
    if parts := _phases(case, cotangent, operands):
        yield judge.array("sum of phases = brute force", sum(parts[1:], parts[0]))
    result = gradient(case.forward, n, case.problem, cotangent, operands)
    yield judge.array("gradient = brute force", result)
    tangent = _integers(rng, case.shapes[n])
    image = _image(case, brute, operands, tangent)
    yield judge.transposed(_numbers(cotangent, case.problem.output), image, result * tangent)


def _phases(case: _Case, cotangent: Array, operands: Sequence[Array]) -> list[Array]:
    """The parts of a gradient with a congruence; nothing if there is none, or no way to split."""
    here = replace(case.formulas, gather=case.bound(case.formulas.gather))
    try:
        found = phases(here.gather)
    except ContractionError:
        return []  # a composition is in the way, or the phases are too many
    if not any(phase.residues for phase in found):
        return []
    return [phase_gradient(phase, here, case.problem, cotangent, operands) for phase in found]


def _integers(rng: np.random.Generator, shape: Shape) -> Array:
    """Integers between -4 and 4 without zero, which would hide a fault."""
    return np.asarray(rng.integers(1, 5, shape) * rng.choice([-1, 1], shape))


def _numbers(array: Array, accesses: Sequence[Any]) -> dict[tuple[int, ...], Any]:
    split = np.asarray(array).reshape([access.size for access in accesses])
    return {place: value.item() for place, value in np.ndenumerate(split)}


def _named_arrays(
    case: _Case, brute: BruteForce, operands: Sequence[Mapping[Any, Any]], cotangent: Array
) -> dict[str, Mapping[Any, Any]]:
    names = operand_names(len(operands))
    arrays: dict[str, Mapping[Any, Any]] = dict(zip(names, operands, strict=True))
    arrays[COTANGENT] = _numbers(cotangent, case.problem.output)
    rule = RULES[case.forward.reduce]
    if rule is not None:
        arrays[rule.symbol] = _local(brute, rule.per_point)
    return arrays


def _local(brute: BruteForce, per_point: bool) -> dict[Any, Any]:
    """The local derivative by position: zero at points that do not contribute."""
    problem = brute.problem
    if per_point:
        return dict.fromkeys(np.ndindex(*(size for _, size in problem.sizes)), 0) | brute.local
    outputs = {out: brute.local[point] for point, out, _ in brute.points}
    everywhere = dict.fromkeys(np.ndindex(*problem.output_sizes), 0)
    return everywhere | outputs | {(): next(iter(brute.local.values()), 0)}


@dataclass(frozen=True, slots=True)
class _Judge:
    """Compares what a form says with what is expected."""

    case: _Case
    expected: Mapping[tuple[int, ...], Any]
    shape: Shape

    @property
    def exact(self) -> bool:
        return self.case.forward.reduce in ("sum", "max", "min", "prod")

    def formula(self, statement: str, equation: Equation, arrays: Mapping[str, Any]) -> Check:
        value = evaluator(equation.sympy, arrays)
        names = [symbol.name for symbol in equation.left.axes]
        known = self._known()

        def at(place: tuple[int, ...]) -> Any:
            try:
                return value({**known, **dict(zip(names, place, strict=True))})
            except KeyError as error:
                return f"an element that does not exist, at {error.args[0]}"

        return self._compare(statement, at)

    def array(self, statement: str, result: Array) -> Check:
        split = np.asarray(result).reshape(self.shape)
        return self._compare(statement, lambda place: split[place].item())

    def transposed(
        self, cotangent: Mapping[Any, Any], image: Mapping[Any, Any], products: Array
    ) -> Check:
        """The dot test: a gradient is the transpose of the forward map."""
        statement = "⟨G, c(…, V, …)⟩ = ⟨d(G, …), V⟩"
        forward = sum(cotangent[place] * value for place, value in image.items())
        self._expect(statement, products.sum().item(), forward, (), float(np.abs(products).sum()))
        return Check(statement, 1, self.exact)

    def _known(self) -> dict[str, int]:
        """Parameters, the extent of every index and the size of every computed axis."""
        case = self.case
        known = {f"N_{name}": value for name, value in case.values.items()} | case.values
        terms = [*case.problem.operands, case.problem.output]
        for term, positions in places(case.formulas.forward, case.formulas.operand).items():
            sizes = (access.size for access in terms[term])
            known |= {f"N_{p.name}": size for p, size in zip(positions, sizes, strict=True)}
        return known

    def _compare(self, statement: str, value: Callable[[tuple[int, ...]], Any]) -> Check:
        scale = max((abs(float(number)) for number in self.expected.values()), default=0.0)
        for place in np.ndindex(*self.shape):
            self._expect(statement, value(place), self.expected.get(place, 0), place, scale)
        return Check(statement, prod(self.shape), self.exact)

    def _expect(
        self, statement: str, found: Any, expected: Any, place: tuple[int, ...], scale: float
    ) -> None:
        if found == expected or (not self.exact and _close(found, expected, scale)):
            return
        formulas, numbers = self.case.formulas, self.case.values.items()
        where = f" at {place}" if place else ""
        raise CertificateError(
            f"the gradient of '{formulas.forward}' by operand {formulas.operand} does not hold: "
            f"{statement}{where}: found {found}, expected {expected}, "
            f"with {', '.join(f'{name}={number}' for name, number in numbers)}"
        )


def _close(found: Any, expected: Any, scale: float) -> bool:
    if isinstance(found, str):
        return False
    return abs(float(found) - float(expected)) <= _TOLERANCE * max(1.0, scale)


def _image(
    case: _Case, brute: BruteForce, operands: Sequence[Array], tangent: Array
) -> Mapping[tuple[int, ...], Any]:
    """How the result changes with the tangent: as it is computed if the contraction is linear."""
    n = case.formulas.operand
    if case.forward.reduce != "sum":
        return brute.directional(n, _numbers(tangent, case.problem.operands[n]))
    moved = [tangent if m == n else operand for m, operand in enumerate(operands)]
    return _numbers(run(plan(case.problem), moved), case.problem.output)
