"""Everything there is to say about a contraction, gathered once and shown in several ways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from contractconv.calculus.backward import Formulas, derive, forward_formula
from contractconv.calculus.collected import Collected
from contractconv.calculus.derivation_steps import Step, steps
from contractconv.calculus.equation import Equation
from contractconv.calculus.gradient_derivatives import Second, second_derivatives
from contractconv.calculus.letters import gradient, said
from contractconv.calculus.local_formula import LocalFormula
from contractconv.display.algorithms import Fast, fast
from contractconv.display.equations import write, write_local, write_second
from contractconv.display.summed_gradient import SummedGradient
from contractconv.execution.entered import enter_engines
from contractconv.markup.shown import Paged
from contractconv.notation.ellipsis import expand_dots
from contractconv.notation.extents import bind, check_values, resolve
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.planning.derived_problems import backward, simplified
from contractconv.planning.plan import Plan, plan
from contractconv.planning.report import data
from contractconv.planning.setting import COMMON, Setting

if TYPE_CHECKING:
    from contractconv.verification.certificate import Certificate, Report


@dataclass(frozen=True, slots=True)
class Gradient:
    """What there is to say about the gradient by one operand.

    Attributes:
        formulas: the derivation.
        certificate: the proof; ``None`` if none was asked for.
        plan: how it is executed, if shapes are known.
        simplified: its scatter form for these shapes, if they make it simpler.
    """

    formulas: Formulas
    certificate: Certificate | None
    plan: Plan | None = None
    simplified: Spec | None = None

    @property
    def parts(self) -> tuple[Gradient, ...]:
        """What it is the sum of: itself."""
        return (self,)

    @property
    def formula(self) -> Equation:
        """The gradient as it is printed."""
        return self.formulas.collected

    @property
    def forms(self) -> list[tuple[str, Spec]]:
        """Its strings, by name."""
        scatter, gather = self.formulas.scatter, self.formulas.gather
        two = gather != scatter
        forms = [("scatter" if two else "string", scatter)]
        if two:
            forms.append(("gather", gather))
        if self.simplified is not None:
            forms.append(("here", self.simplified))
        return forms

    @property
    def steps(self) -> tuple[Step, ...]:
        """The derivation, told."""
        return steps(self.formulas)

    @property
    def seconds(self) -> tuple[Second, ...]:
        """Its own derivatives."""
        return second_derivatives(self.formulas)

    @property
    def plans(self) -> Iterator[tuple[str, Plan]]:
        """How it is executed, if shapes are known."""
        if self.plan is not None:
            yield said(gradient(self.name)), self.plan

    @property
    def name(self) -> str:
        """The operand's name."""
        return self.formulas.forward.called[self.formulas.operand]


@dataclass(frozen=True, slots=True)
class Explanation(Paged):
    """A contraction and its gradients, explained.

    Attributes:
        spec: the contraction.
        forward: the contraction as an equation.
        shapes: the shapes of the operands, if known.
        plan: how it is executed, if shapes are known.
        gradients: the gradients that were asked for.
    """

    spec: Spec
    forward: Equation
    shapes: tuple[Shape, ...]
    plan: Plan | None
    gradients: tuple[Gradient | SummedGradient, ...]

    @property
    def fast(self) -> Fast | None:
        """The fast algorithms that its plans use; ``None`` if there are none."""
        return fast(self)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as dictionaries, lists, strings and numbers, fit for JSON."""
        quick = self.fast
        return {
            "spec": str(self.spec),
            "reduce": self.spec.reduce,
            "parameters": list(self.spec.parameters),
            "operands": list(self.spec.called),
            "indices": list(self.spec.indices),
            "reduced": list(self.spec.reduced),
            "formula": _scripts(self.forward),
            "shapes": [list(shape) for shape in self.shapes],
            "plan": None if self.plan is None else data(self.plan),
            "gradients": [_gradient(gradient) for gradient in self.gradients],
            "fast": None if quick is None else quick.as_dict(),
        }

    def __str__(self) -> str:
        from contractconv.display.terminal import as_text

        return as_text(self)

    def __repr__(self) -> str:
        return f"<explanation of {str(self.spec)!r}>"

    @property
    def _page_title(self) -> str:
        return str(self.spec)

    def _page_parts(self, *, alone: bool) -> Iterable[str]:
        from contractconv.display.html_page import explanation_parts

        return explanation_parts(self, alone)


def explain(
    spec: Spec,
    shapes: Sequence[Shape] = (),
    values: Mapping[str, int] | None = None,
    wrt: int | None = None,
    output_shape: Sequence[int] | None = None,
    proof: bool = True,
    report: Report | None = None,
) -> Explanation:
    """Gather everything there is to say about a contraction.

    Args:
        spec: the contraction.
        shapes: the shapes of the operands, if plans are wanted.
        values: extents of indices and values of parameters.
        wrt: the array to differentiate by; ``None`` for each of them.
        output_shape: the shape of the result, where the rules should not choose it.
        proof: whether to verify the gradients.
        report: is told how many cases of how many have been verified.
    """
    given = dict(values or {})
    known = {name: given.pop(name) for name in spec.parameters if name in given}
    bound = bind(spec, known) if known else spec
    sized = tuple(tuple(shape) for shape in shapes)
    problem = resolve(bound, sized, given, output_shape) if sized else None
    check_values(bound, given)  # with or without shapes
    wanted = tuple(range(len(spec.arrays))) if wrt is None else (wrt,)
    formulas = [tuple(derive(bound, place) for place in spec.places_of(n)) for n in wanted]
    proofs = _proofs(formulas, report) if proof else [None] * len(formulas)
    return Explanation(
        bound,
        forward_formula(bound),
        sized,
        None if problem is None else _planned(problem),
        tuple(
            _explained_parts(found, proved, sized, problem)
            for found, proved in zip(formulas, proofs, strict=True)
        ),
    )


def _proofs(
    arrays: Sequence[Sequence[Formulas]], report: Report | None
) -> list[Certificate | None]:
    """A proof for each array, which may stand in several places."""
    from contractconv.verification.certificate import certify  # it runs engines, by numpy
    from contractconv.verification.summed import certify_sum

    reports = (_part(report, number, len(arrays)) for number in range(len(arrays)))
    return [
        certify_sum(parts, report=told) if parts[1:] else certify(parts[0], report=told)
        for parts, told in zip(arrays, reports, strict=True)
    ]


def _part(report: Report | None, place: int, count: int) -> Report | None:
    """Tell of one proof of several, each of about as many cases."""
    if report is None:
        return None
    return lambda done, total: report(place * total + done, count * total)


def _explained_parts(
    parts: Sequence[Formulas],
    proof: Certificate | None,
    shapes: tuple[Shape, ...],
    problem: Problem | None,
) -> Gradient | SummedGradient:
    """The gradient by an array, which may stand in several places."""
    if not parts[1:]:
        return _explained(parts[0], proof, shapes, problem)
    return SummedGradient(tuple(_explained(part, None, shapes, problem) for part in parts), proof)


def _explained(
    formulas: Formulas,
    proof: Certificate | None,
    shapes: tuple[Shape, ...],
    problem: Problem | None,
) -> Gradient:
    spec, n = formulas.forward, formulas.operand
    found = Gradient(formulas, proof)
    if problem is None:
        return found
    concrete = expand_dots(spec, shapes, problem.result_shape)
    here = derive(concrete, n)
    simple = simplified(here, problem, shapes)
    return replace(
        found,
        plan=_planned(backward(concrete, n, problem, shapes)),
        simplified=simple if simple != here.scatter else None,
    )


def _planned(problem: Problem) -> Plan:
    """The plan on a machine like many, by whatever ways there are on this one."""
    enter_engines()
    return plan(problem, Setting("float32", "auto", COMMON))


def _scripts(equation: Equation | Collected) -> dict[str, str]:
    return {script: write(equation, script) for script in ("text", "latex", "mathml")}


def _local(local: LocalFormula) -> dict[str, str]:
    return {script: write_local(local, script) for script in ("text", "latex", "mathml")}


def _gradient(gradient: Gradient | SummedGradient) -> dict[str, Any]:
    if isinstance(gradient, SummedGradient):
        return _summed(gradient)
    formulas = gradient.formulas
    return {
        "operand": formulas.operand,
        "name": gradient.name,
        "scatter": str(formulas.scatter),
        "gather": str(formulas.gather),
        "simplified": None if gradient.simplified is None else str(gradient.simplified),
        "formula": _scripts(formulas.collected) | {"sympy": str(formulas.collected.sympy)},
        "steps": _steps(gradient.steps),
        "again": _again(gradient.seconds, formulas.forward),
        "verified": _verified(gradient.certificate),
        "plan": None if gradient.plan is None else data(gradient.plan),
    }


def _summed(gradient: SummedGradient) -> dict[str, Any]:
    forward, formula = gradient.parts[0].formulas.forward, gradient.formula
    return {
        "operand": forward.arrays.index(gradient.name),
        "name": gradient.name,
        "formula": _scripts(formula) | {"sympy": str(formula.sympy)},
        "matrices": gradient.matrix,
        "again": _again(gradient.seconds, forward),
        "verified": _verified(gradient.certificate),
        "parts": [_gradient(part) for part in gradient.parts],
        "steps": _steps(gradient.steps),
    }


def _steps(steps: Sequence[Step]) -> list[dict[str, Any]]:
    return [
        {
            "name": step.name,
            "sentence": step.sentence,
            "sympy": str(step.equation.sympy),
            "string": None if step.string is None else str(step.string),
            "local": None if step.local is None else _local(step.local),
        }
        | _scripts(step.equation)
        for step in steps
    ]


def _again(seconds: Sequence[Second], forward: Spec) -> list[dict[str, Any]]:
    return [
        {
            "by": second.by,
            "strings": [str(part.spec) for part in second.parts],
            "is": str(second),
            "formula": write_second(second, forward),
        }
        for second in seconds
    ]


def _verified(certificate: Certificate | None) -> list[dict[str, Any]] | None:
    if certificate is None:
        return None
    return [
        {"statement": c.statement, "numbers": c.numbers, "of": c.of, "exact": c.exact}
        for c in certificate.checks
    ]
