"""Sentences that a text and a page share: what letters mean, and what numbers come out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from math import prod

from contractconv.calculus.collected import Collected
from contractconv.calculus.derivation_steps import broadcast_words, listed
from contractconv.calculus.derived_strings import gathered
from contractconv.calculus.equation import Divides, Equation, Inside
from contractconv.calculus.gradient_derivatives import Second
from contractconv.calculus.letters import Letter, cotangent, result, tangent
from contractconv.calculus.letters import gradient as slope_of
from contractconv.calculus.letters import said as spelled
from contractconv.calculus.local_derivative import local_name
from contractconv.calculus.local_formula import local_formula
from contractconv.calculus.read_conditions import OUTPUT, axis_sizes, places
from contractconv.calculus.symbols import DOTS, in_words, split
from contractconv.display.equations import write_local
from contractconv.display.explanation import Explanation, Gradient
from contractconv.display.extent_words import extents_said
from contractconv.display.summed_gradient import SummedGradient
from contractconv.notation.affine import ONE, Affine
from contractconv.notation.problem import Problem
from contractconv.notation.spec import Spec
from contractconv.planning.plan import Plan
from contractconv.reductions.table import REDUCTIONS


def words(explanation: Explanation) -> str:
    """Say what happens to indices, and what the letters of a formula mean."""
    spec = explanation.spec
    said = [*reduced_words(spec, explanation.forward), *_sizes(explanation), *extents_said(spec)]
    return " ".join([*said, *_parameters(spec)])


def _parameters(spec: Spec) -> Iterator[str]:
    """Say which letters are numbers."""
    if spec.parameters:
        are = "are numbers" if len(spec.parameters) > 1 else "is a number"
        yield f"{listed([*spec.parameters])} {are}, given later."


def reduced_words(spec: Spec, equation: Equation) -> list[str]:
    """Say what happens to the indices that are not in a result."""
    said = []
    reduced = [i.name for i in equation.summed if i.name in spec.reduced or i.name == DOTS]
    if reduced:
        are, they = ("is", "it") if len(reduced) == 1 else ("are", "they")
        them = "them" if they == "they" else "it"
        treated = _treated(spec.reduce, f"{they} {are}", f"over {them}")
        named = listed([name.replace(DOTS, "…") for name in reduced])
        said.append(f"{named} {are} not in the result, so {treated}.")
    if any(len(axis.names) > 1 or axis.fractional for axis in scattered(spec)):
        treated = _treated(spec.reduce, "they are", "of them")
        said.append(f"Where several points land on one element, {treated}.")
    return said


def scattered(spec: Spec) -> list[Affine]:
    """The computed axes of the output."""
    return [axis for axis in spec.output if isinstance(axis, Affine) and axis.plain is None]


def _treated(reduce: str, they_are: str, over_them: str) -> str:
    record = REDUCTIONS[reduce]
    if record.verb:
        return f"{they_are} {record.verb}"
    return f"the {record.noun} {over_them} is taken"


def _sizes(explanation: Explanation) -> list[str]:
    """Say what positions and sizes are."""
    told = [step.equation for gradient in explanation.gradients for step in gradient.steps]
    return said_of_sizes(explanation.spec, [explanation.forward, *told])


def said_of_sizes(spec: Spec, equations: Iterable[Equation | Collected]) -> list[str]:
    """Say what the positions and sizes mean that formulas about a contraction have.

    Example:
        >>> from contractconv.calculus.backward import forward_formula
        >>> from contractconv.notation.parser import parse
        >>> spec = parse("b (2*i+k-1), k -> b i")
        >>> (said,) = said_of_sizes(spec, [forward_formula(spec)])
        >>> print(said.replace("\N{NO-BREAK SPACE}", " "))
        Each index runs through its extent, 0 ≤ k < N_k; h runs along X's axis 1, whose size is N_h.
    """
    shown, summed = set[str](), list[str]()
    for equation in equations:
        summed += [index.name for index in equation.summed if index.name != DOTS]
        free = {symbol for axis in equation.left.axes for symbol in axis.free_symbols}
        positions = {symbol.name.rstrip("'") for symbol in free}
        shown |= {f"N_{name}" for name in positions.difference(spec.indices)}
        shown |= {guard.size.name for guard in equation.guards if isinstance(guard, Inside)}
    said = [f"each index runs through its extent, {_range(name)}" for name in summed[:1]]
    said += _axes_said(spec, shown)
    return [f"{_capital('; '.join(said))}."] if said else []


def _range(name: str) -> str:
    """How far an index runs; it is not broken."""
    index, extent = (in_words(Affine.index(symbol)) for symbol in (name, f"N_{name}"))
    return f"0 ≤ {index} < {extent}".replace(" ", "\N{NO-BREAK SPACE}")


def _capital(said: str) -> str:
    """A sentence that begins with a word begins with a capital letter; a name stays as it is."""
    return said[:1].upper() + said[1:] if said.startswith("each ") else said


def _axes_said(spec: Spec, shown: Collection[str]) -> Iterator[str]:
    """What is said of each axis at a computed position of which formulas speak."""
    called, sizes = [*spec.called, result(spec)], axis_sizes(spec)
    for term, named in places(spec).items():
        for number, (position, axis) in enumerate(zip(named, split(spec.terms[term]), strict=True)):
            if axis.plain is None and f"N_{position.name}" in shown:
                own = f"N_{position.name}"
                length = own if term == OUTPUT else sizes[called[term], number].name
                yield (
                    f"{position.name} runs along {spelled(called[term])}'s axis {number}, whose "
                    f"size is "
                    f"{length}"
                )


def counts(explanation: Explanation, plan: Plan) -> str:
    """Say in numbers what a contraction does."""
    shapes = ", ".join(map(str, explanation.shapes))
    said = f"Shapes {shapes} make {plan.problem.result_shape}."
    # Of the places that a formula sums over few reach one element of a scatter.
    few = scattered(explanation.spec)
    each = "" if few else element_counts(plan.problem, explanation.forward)
    return f"{said} {each}" if each else said


def element_counts(problem: Problem, equation: Equation) -> str:
    """Say of how many points each element is made; nothing where that differs, or is one.

    Args:
        problem: the numbers.
        equation: the contraction as it is written; where that collects what the string of the
            problem scatters, windows may end before all of them are met.
    """
    record = REDUCTIONS[equation.reduce]
    reduced = [index.name for index in equation.summed]
    factors = [extent for name, extent in problem.sizes if name in reduced]
    if not factors or equation.deltas:
        return ""
    total = f" = {prod(factors):,}" if len(factors) > 1 else ""
    most = "at most " * (set(reduced) != set(problem.reduced))
    count = most + "·".join(map(str, factors)) + total
    elements = prod(problem.result_shape)
    which = "Its one element" if elements == 1 else f"Each of its {elements:,} elements"
    things = "products" if len(equation.factors) > 1 else "numbers"
    does = f"sums {count} {things}" if record.is_sum else f"is the {record.noun} of {count}"
    return f"{which} {does}."


def letters(gradient: Gradient) -> str:
    """Say what the letters beside the operands mean in a gradient, and what its conditions do."""
    forward = gradient.formulas.forward
    record = REDUCTIONS[forward.reduce]
    back = spelled(cotangent(forward))
    name, made = spelled(gradient.name), result(forward)
    slope = spelled(slope_of(gradient.name))
    meaning = "" if slope == f"∂L/∂{name}" else f" = ∂L/∂{name}"
    known = f"{back} = ∂L/∂{made} is the cotangent"
    if isinstance(made, Letter):  # a fraction below a fraction is hard to read
        known = f"{back} is the cotangent of {spelled(made)}"
    said = [
        f"{slope}{meaning} is the gradient of a loss L; {known}.",
        *broadcast_words(gradient.formulas),
    ]
    if not record.is_sum:
        local = local_formula(forward)
        formula = "" if local is None else f": {write_local(local, 'text')}"
        said.append(f"{local_name(forward)} is {record.local.meaning}{formula}.")
    return " ".join([*said, *conditions_said(gradient.formulas.collected)])


_ORDINALS = {2: "second", 3: "third", 4: "fourth", 5: "fifth", 6: "sixth", 7: "seventh",
             8: "eighth", 9: "ninth", 10: "tenth"}  # fmt: skip


def conditions_said(equation: Equation) -> Iterator[str]:
    """Say what the conditions of a gradient do.

    Example:
        >>> from contractconv.calculus.backward import derive
        >>> from contractconv.notation.parser import parse
        >>> print(*conditions_said(derive(parse("(2*i), i -> "), 0).collected))
        Only every second h receives anything. Nothing is received where h/2 is beyond N_i−1.
    """
    if equation.empty:
        yield "Nothing is received anywhere."
        return
    summed = {symbol.name for symbol in equation.summed}
    for guard in equation.guards:
        about = guard.number if isinstance(guard, Divides) else guard.position
        axis = equation.written(about)
        if isinstance(guard, Divides):
            yield _of_divisor(guard, axis, in_words(equation.written(guard.divisor)), summed)
        elif not summed.intersection(axis.names) and axis.names:
            rising = all(value > 0 for _, number in axis.terms for _, value in number.terms)
            where = "is beyond" if rising and not axis.offset else "is not among 0, …,"
            end = in_words(Affine.index(guard.size.name))
            yield f"Nothing is received where {in_words(axis)} {where} {end}−1."


def _of_divisor(guard: Divides, axis: Affine, divisor: str, summed: set[str]) -> str:
    number = int(guard.divisor) if guard.divisor.is_Integer else 0
    every = f"every {_ORDINALS.get(number, f'{divisor}-th')}"
    free = [name for name, number in axis.terms if number in (ONE, -ONE)]
    kept = [name for name in free if name not in summed]
    if not summed.intersection(axis.names) and kept:
        return f"Only {every} {kept[0]} receives anything."
    counted = [name for name in free if name in summed]
    if counted:
        rest = listed([name for name in axis.names if name != counted[0]])
        return (
            f"For each {rest}, only {every} {counted[0]} counts."
            if rest
            else (f"Only {every} {counted[0]} counts.")
        )
    return f"Only terms in which {divisor} divides {in_words(axis)} are there."


def again_words(name: str, forward: Spec) -> str:
    """Say what is differentiated where a gradient is differentiated again."""
    moved, slope = spelled(tangent(forward, name)), spelled(slope_of(name))
    product = f"⟨{moved}, {slope}⟩ = Σ {moved}·{slope}"
    return f"the derivatives of {product}, {moved} being the cotangent of {slope}"


def second_words(second: Second, forward: Spec) -> str:
    """Say what the derivative of a gradient is."""
    itself = " (the layer itself)" if second.same_as == result(forward) else ""
    return f"{second}{itself}"


def proof(gradient: Gradient | SummedGradient) -> str:
    """Say what was checked of a gradient."""
    if gradient.certificate is None:
        return "not verified: no proof was asked for."
    return gradient.certificate.sentence


def forward_forms(spec: Spec) -> list[tuple[str, Spec]]:
    """The other strings of a contraction whose output is a scatter."""
    other = gathered(spec)
    return [] if other is None or other == spec else [("gather", other)]
