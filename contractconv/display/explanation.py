"""Everything there is to say about a contraction, gathered once and shown in several ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contractconv.calculus.backward import Formulas, derive, forward_formula
from contractconv.calculus.derivation_steps import Step, steps
from contractconv.calculus.equation import Equation
from contractconv.calculus.gradient_derivatives import Second, second_derivatives
from contractconv.calculus.local_formula import LocalFormula
from contractconv.calculus.symbols import operand_names
from contractconv.display.algorithms import Fast, fast
from contractconv.display.equations import write, write_local, write_second
from contractconv.notation.ellipsis import expand_dots
from contractconv.notation.extents import bind, check_values, resolve
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.planning.derived_problems import backward, simplified
from contractconv.planning.plan import Plan, plan
from contractconv.planning.report import data
from contractconv.planning.setting import COMMON, Setting
from contractconv.verification.certificate import Certificate, Report, certify


@dataclass(frozen=True, slots=True)
class Gradient:
    """What there is to say about the gradient by one operand.

    Attributes:
        formulas: the derivation.
        steps: the derivation, told.
        seconds: its own derivatives.
        certificate: the proof; ``None`` if none was asked for.
        plan: how it is executed, if shapes are known.
        simplified: its scatter form for these shapes, if they make it simpler.
    """

    formulas: Formulas
    steps: tuple[Step, ...]
    seconds: tuple[Second, ...]
    certificate: Certificate | None
    plan: Plan | None = None
    simplified: Spec | None = None

    @property
    def name(self) -> str:
        """The operand's name."""
        return self.formulas.derivative.left.name.removeprefix("d")


@dataclass(frozen=True, slots=True)
class Explanation:
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
    gradients: tuple[Gradient, ...]

    @property
    def fast(self) -> Fast | None:
        """The fast algorithms that its plans use; ``None`` if there are none."""
        return fast(self)

    def html(self) -> str:
        """Return a page of its own: formulas in MathML, diagrams in SVG, nothing to load."""
        from contractconv.display.html_page import page

        return page(self)

    def save(self, path: str | Path) -> None:
        """Write the page to a file."""
        Path(path).write_text(self.html(), encoding="utf-8")

    def as_dict(self) -> dict[str, Any]:
        """Return everything as dictionaries, lists, strings and numbers, fit for JSON."""
        quick = self.fast
        return {
            "spec": str(self.spec),
            "reduce": self.spec.reduce,
            "parameters": list(self.spec.parameters),
            "operands": list(operand_names(len(self.spec.inputs))),
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

    def _repr_html_(self) -> str:
        from contractconv.display.html_page import fragment

        return fragment(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


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
        wrt: the operand to differentiate by; ``None`` for each of them.
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
    wanted = tuple(range(len(spec.inputs))) if wrt is None else (wrt,)
    formulas = [derive(bound, n) for n in wanted]
    proofs = [
        certify(f, report=_part(report, place, len(wanted))) if proof else None
        for place, f in enumerate(formulas)
    ]
    return Explanation(
        bound,
        forward_formula(bound),
        sized,
        None if problem is None else _planned(problem),
        tuple(
            _explained(found, proved, sized, problem)
            for found, proved in zip(formulas, proofs, strict=True)
        ),
    )


def _part(report: Report | None, place: int, count: int) -> Report | None:
    """Tell of one proof of several, each of about as many cases."""
    if report is None:
        return None
    return lambda done, total: report(place * total + done, count * total)


def _explained(
    formulas: Formulas,
    proof: Certificate | None,
    shapes: tuple[Shape, ...],
    problem: Problem | None,
) -> Gradient:
    spec, n = formulas.forward, formulas.operand
    found = Gradient(formulas, steps(formulas), second_derivatives(formulas), proof)
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
    return plan(problem, Setting("float32", "auto", COMMON))


def _scripts(equation: Equation) -> dict[str, str]:
    return {script: write(equation, script) for script in ("text", "latex", "mathml")}


def _local(local: LocalFormula) -> dict[str, str]:
    return {script: write_local(local, script) for script in ("text", "latex", "mathml")}


def _gradient(gradient: Gradient) -> dict[str, Any]:
    formulas, certificate = gradient.formulas, gradient.certificate
    return {
        "operand": formulas.operand,
        "name": gradient.name,
        "scatter": str(formulas.scatter),
        "gather": str(formulas.gather),
        "simplified": None if gradient.simplified is None else str(gradient.simplified),
        "formula": _scripts(formulas.collected) | {"sympy": str(formulas.collected.sympy)},
        "steps": [
            {
                "name": step.name,
                "sentence": step.sentence,
                "sympy": str(step.equation.sympy),
                "string": None if step.string is None else str(step.string),
                "local": None if step.local is None else _local(step.local),
            }
            | _scripts(step.equation)
            for step in gradient.steps
        ],
        "again": [
            {
                "by": second.by,
                "strings": [str(part.spec) for part in second.parts],
                "is": str(second),
                "formula": write_second(second, formulas.forward),
            }
            for second in gradient.seconds
        ],
        "verified": None
        if certificate is None
        else [
            {"statement": c.statement, "numbers": c.numbers, "of": c.of, "exact": c.exact}
            for c in certificate.checks
        ],
        "plan": None if gradient.plan is None else data(gradient.plan),
    }
