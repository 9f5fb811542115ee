"""A derivation, told in the steps that were taken.

Nothing is worked out here: every step shows an equation that the derivation passed through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contractconv.calculus.backward import Formulas, derive, forward_formula, spoken
from contractconv.calculus.deltas import Elimination
from contractconv.calculus.derived_strings import Recipe, jvp
from contractconv.calculus.equation import Divides, Equation, Guard, Inside
from contractconv.calculus.letters import cotangent, result, said, tangent
from contractconv.calculus.local_derivative import local_name
from contractconv.calculus.local_formula import LocalFormula, local_formula
from contractconv.calculus.symbols import DOTS, in_words
from contractconv.notation.spec import Dots, Spec, Term
from contractconv.reductions.table import REDUCTIONS


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a derivation.

    Attributes:
        name: what is done: sum, differentiate, eliminate, congruence, range, ...
        equation: what the derivation has arrived at.
        sentence: what was done and why, in words.
        string: the contraction that is read off the equation, if one is.
        local: what the local derivative in it is, where it comes in.
    """

    name: str
    equation: Equation
    sentence: str
    string: Spec | None = None
    local: LocalFormula | None = None

    @property
    def spoken(self) -> Spec:
        """The string, whose operands are called as the equation calls them."""
        return spoken(self.string or self.equation.spec, self.equation)


def steps(formulas: Formulas) -> tuple[Step, ...]:
    """Tell a derivation from the loss to the strings."""
    return tuple(_tell(formulas))


def recipe_steps(recipe: Recipe, forward: Spec, n: int) -> tuple[Step, ...]:
    """Tell how a contraction was derived that is not a gradient."""
    return tuple(_of_recipe(recipe, forward, n))


def _of_recipe(recipe: Recipe, forward: Spec, n: int) -> Iterator[Step]:
    name, string = forward.called[n], recipe.said
    words = {"name": name, "V": said(tangent(forward, name)), "G": said(cotangent(forward))}
    first, *others = (sentence.format(**words) for sentence in _RECIPES[recipe.result])
    yield Step("write", forward_formula(forward), first)
    if recipe.result in ("HV", "D"):
        yield Step("differentiate", jvp(forward, n).equation, others[0])
        yield Step("transpose", derive(forward, n).placed, others[1])
    yield Step(_DONE[recipe.result], string, others[-1], local=_local(recipe, forward))
    yield Step("read off", string, "The axes say it as a string.", recipe.spec)
    if recipe.equation != string:
        yield Step("solve", recipe.equation, _of_solving(string, recipe.equation))


def _local(recipe: Recipe, forward: Spec) -> LocalFormula | None:
    local = local_formula(forward)
    return local if local is not None and local.left.name in recipe.roles else None


_DONE = {"JV": "differentiate", "J": "differentiate", "HV": "put together", "D": "square",
         "A": "average", "B": "average"}  # fmt: skip
_ITSELF, _LAYER = "The contraction itself.", "The layer itself."
_CHANGE = (
    "A small change {V} of {name} changes each product by {V} in the place of {name}, times the "
    "local derivative if the reduction has one: that is the Jacobian times {V}."
)
_TRANSPOSED = "The gradient of a cotangent {G} is the Jacobian's transpose times {G}."
_READ = (
    "By one element of {name}: only terms that read it count. An index that result and operand "
    "share, and an axis that is computed, leave a delta."
)
_COMPOSED = (
    "The change, through the Hessian of the loss, takes the place of {G}. Examples do not "
    "interact, so both copies share their indices; those of the second copy have a prime."
)
_SQUARED = (
    "An element of the diagonal is the square of a column of the Jacobian, with the Hessian of the "
    "loss in between: what stands beside {name}, taken twice."
)
_WINDOWS = (
    "What multiplies {name}, taken twice: outer products over the indices of {name} that are "
    "summed."
)
_COTANGENTS = (
    "The cotangent, taken twice: outer products over the indices that {name} alone gives to the "
    "result."
)
_RECIPES: dict[str, tuple[str, ...]] = {
    "JV": (_ITSELF, _CHANGE),
    "J": (_ITSELF, _READ),
    "HV": (_LAYER, _CHANGE, _TRANSPOSED, _COMPOSED),
    "D": (_LAYER, _CHANGE, _TRANSPOSED, _SQUARED),
    "A": (_LAYER, _WINDOWS),
    "B": (_LAYER, _COTANGENTS),
}


def _tell(formulas: Formulas) -> Iterator[Step]:
    yield _loss(formulas)
    yield _differentiated(formulas)
    renamed = [e for e in formulas.eliminations if e.renames]
    scattered = renamed[-1].equation if renamed else formulas.derivative
    if renamed:
        sentences = [_of_renaming(renamed), *broadcast_words(formulas)]
        yield Step("eliminate", scattered, " ".join(sentences))
    if scattered.deltas:
        yield Step("read off", scattered, _of_scatter(scattered), formulas.scatter)
    yield from _eliminations([e for e in formulas.eliminations if not e.renames])
    yield from _simplified(formulas)
    yield _end(formulas, scattered)
    if formulas.collected != formulas.gathered:
        said = _of_solving(formulas.gathered, formulas.collected)
        yield Step("solve", formulas.collected, said)


def _loss(formulas: Formulas) -> Step:
    forward = formulas.forward
    record = REDUCTIONS[forward.reduce]
    back, made = said(cotangent(forward)), said(result(forward))
    if record.linear:
        written = f", with {made} written out"
        written += ": a mean is a sum, divided by the number of its points" * record.averages
        sentence = (
            f"{back} says how the loss changes with each element of {made}, so it is enough to "
            f"differentiate L = Σ {back}·{made}{written}."
        )
        local = local_formula(forward) if record.averages else None
        return Step("sum", formulas.loss, sentence, local=local)
    letter = local_name(forward)
    sentence = (
        f"When a point that is reduced changes a little, the result changes {letter} times as "
        f"much, {record.local.meaning}; with {letter} held fixed, the loss changes as this plain "
        f"sum does, δL."
    )
    return Step("linearise", formulas.loss, sentence, local=local_formula(forward))


def _differentiated(formulas: Formulas) -> Step:
    equation, target = formulas.derivative, formulas.derivative.left
    name = said(formulas.forward.called[formulas.operand])
    if not target.axes:
        sentence = f"By {name}, which has no axes: it is a factor of every term."
        return Step("differentiate", equation, sentence)
    at = ", ".join(_said(position, equation) for position in target.axes)
    sentence = (
        f"By one element of {name}, at [{at}]: only terms that read it count, so each axis leaves "
        f"a delta, 1 where its two sides agree and 0 elsewhere"
    )
    replaced = len(formulas.loss.guards) - len(equation.guards)
    place = f", which takes the place of the condition{'s' * (replaced > 1)}"
    sentence += f"{place * bool(replaced)}."
    return Step("differentiate", equation, sentence)


def _of_renaming(renamed: list[Elimination]) -> str:
    names = listed([_name(e.index.name) for e in renamed])
    if len(renamed) == 1:
        return (
            f"{names} stands alone on its axis: its sum keeps one term, and the prime is dropped."
        )
    return (
        f"{names} stand alone on their axes: each of their sums keeps one term, "
        f"and the primes are dropped."
    )


def broadcast_words(formulas: Formulas) -> Iterator[str]:
    """Say what becomes of axes of an ellipsis that the operand need not have."""
    forward, n = formulas.forward, formulas.operand
    others = [m for m, term in enumerate(forward.inputs) if m != n and _has_dots(term)]
    if others and _has_dots(forward.inputs[n]):
        name = forward.called[n]
        yield f"Axes in the place of … that {name} lacks, or has with size 1, are summed as well."


def _has_dots(term: Term) -> bool:
    return any(isinstance(axis, Dots) for axis in term)


def _of_scatter(scattered: Equation) -> str:
    tied = listed(
        [f"{_said(d.position, scattered)} = {_said(d.expression, scattered)}"
         for d in scattered.deltas]
    )  # fmt: skip
    return f"Seen from a product, it is added where {tied}: that is the scatter form."


def _eliminations(eliminations: Sequence[Elimination]) -> Iterator[Step]:
    """What is new in its own steps; those that only say it of another axis, in one."""
    told = set[type]()
    alike: list[Elimination] = []
    for number, elimination in enumerate(eliminations):
        kinds = set(map(type, elimination.guards))
        if number and kinds <= told:
            alike.append(elimination)
            continue
        if alike:
            yield _likewise(alike)
        alike = []
        told |= kinds
        yield from _elimination(elimination)
    if alike:
        yield _likewise(alike)


def _likewise(eliminations: Sequence[Elimination]) -> Step:
    """The same as before, of other axes."""
    said = listed([_of_solution(elimination) for elimination in eliminations])
    return Step("eliminate", eliminations[-1].equation, f"Likewise, {said}.")


def _of_solution(elimination: Elimination) -> str:
    tied, index, solution = _solved(elimination)
    whole = "a whole number " * any(isinstance(g, Divides) for g in elimination.guards)
    must = f", which has to be {whole}in the range of {index}" * bool(elimination.guards)
    return f"{tied} holds only for {index} = {solution}{must}"


def _solved(elimination: Elimination) -> tuple[str, str, str]:
    """What was solved, for which index, and what that is then."""
    equation, delta = elimination.equation, elimination.delta
    tied = f"{_said(delta.position, equation)} = {_said(delta.expression, equation)}"
    return tied, _name(elimination.index.name), _said(elimination.solution, equation)


def _elimination(elimination: Elimination) -> Iterator[Step]:
    """Solve for an index, then say what the solution must fulfil, one condition at a time."""
    equation, guards = elimination.equation, elimination.guards
    kept = len(equation.guards) - len(guards)
    tied, index, solution = _solved(elimination)
    yield Step(
        "eliminate",
        replace(equation, guards=equation.guards[:kept]),
        f"Seen from the element, {tied} holds only for {index} = {solution}, so the sum over "
        f"{index} keeps at most one term.",
    )
    for number, guard in enumerate(guards, kept + 1):
        name = "congruence" if isinstance(guard, Divides) else "range"
        part = replace(equation, guards=equation.guards[:number])
        yield Step(name, part, _of_guard(guard, equation, index))


def _of_guard(guard: Guard, equation: Equation, index: str) -> str:
    if isinstance(guard, Divides):
        divisor, number = _said(guard.divisor, equation), _said(guard.number, equation)
        return f"{index} is a whole number, so a term is there only if {divisor} divides {number}."
    return (
        f"{index} runs from 0 to {_size(guard)}−1, so a term is there only if "
        f"{_said(guard.position, equation)} is in that range."
    )


def _simplified(formulas: Formulas) -> Iterator[Step]:
    """Leave out the conditions that always hold, and say the others in fewer words."""
    before, within, after = formulas.eliminated, *_shorter(formulas)
    idle = [g for g in before.guards if g not in within.guards and isinstance(g, Inside)]
    if idle:
        said = listed([f"0 ≤ {_said(g.position, before)} < {_size(g)}" for g in idle])
        yield Step(
            "simplify",
            within,
            f"{said} always hold{'s' * (len(idle) == 1)}: "
            f"the extents are those for which the window stays inside.",
        )
    if after.empty:
        yield Step("simplify", after, "No point can fulfil this, so nothing is left to be added.")
    elif after != within:
        yield Step("simplify", after, _of_shortening(within, after))


def _shorter(formulas: Formulas) -> tuple[Equation, Equation]:
    return formulas.within(formulas.eliminated), formulas.gathered


def _of_shortening(before: Equation, after: Equation) -> str:
    lost = [g for g in before.guards if g not in after.guards and isinstance(g, Divides)]
    new = [g for g in after.guards if g not in before.guards and isinstance(g, Divides)]
    was = listed([_condition(guard, before) for guard in lost])
    if not new:
        return f"{was} follow{'s' * (len(lost) == 1)} from the other conditions."
    now = listed([_condition(guard, after) for guard in new])
    return f"{was} sa{'ys' if len(lost) == 1 else 'y'} no more than {now}."


def _condition(guard: Divides, equation: Equation) -> str:
    return f"{_said(guard.divisor, equation)} | {_said(guard.number, equation)}"


def _of_solving(before: Equation, after: Equation) -> str:
    """What was solved in a formula, whose conditions need no axis that says them."""
    left = [delta.position for delta in after.deltas]
    gone = [delta for delta in before.deltas if delta.position not in left]
    tied = listed([f"{_said(d.position, before)} = {_said(d.expression, before)}" for d in gone])
    lost = listed([_name(s.name) for s in before.summed if s not in after.summed])
    return (
        f"A formula can say more than a string: {tied} {'is' if len(gone) == 1 else 'are'} solved "
        f"for {lost}, and what must hold for that stands beside it."
    )


def _end(formulas: Formulas, scattered: Equation) -> Step:
    equation, string = formulas.gathered, formulas.gather
    if equation.empty:
        sentence = "The string says so as well: where nothing is met, nothing is added."
        return Step("read off", equation, sentence, string)
    if not all(elimination.sayable for elimination in formulas.eliminations):
        solved = listed([e.index.name for e in formulas.eliminations if not e.sayable])
        sentence = (
            f"{solved} stands alone on no axis that could say its range, so this is no string: "
            f"the scatter form is the only one."
        )
        return Step("stop", equation, sentence)
    if string == formulas.scatter:
        if scattered.deltas:
            return Step("stop", equation, _of_what_stays(scattered))
        sentence = "No delta is left, so scatter and gather are one form."
        return Step("read off", equation, sentence, string)
    if equation.deltas:
        sentence = (
            "This form collects along some axes and scatters along the others, whose delta no "
            "axis of another array could say."
        )
        return Step("read off", equation, sentence, string)
    sentence = "Now each element collects its own terms: that is the gather form"
    fraction = (
        ", in which a fraction counts only where it is a whole number inside its axis, "
        "as every index does"
    )
    divides = any(isinstance(guard, Divides) for guard in equation.guards)
    return Step("read off", equation, f"{sentence}{fraction * divides}.", string)


def _of_what_stays(equation: Equation) -> str:
    if all(delta.expression.is_Symbol for delta in equation.deltas):
        return (
            "Several axes hold one index, so nothing was read beside that diagonal: the delta "
            "stays, and the scatter form is the only string."
        )
    symbols = list(equation.parameters)
    whatever = f"whatever {listed(symbols)} may be, " if symbols else ""
    return (
        f"No axis of another array could say what the delta says, {whatever}so the delta stays, "
        f"and the scatter form is the only string."
    )


def _said(formula: Any, equation: Equation) -> str:
    """An expression in the notation, without the brackets around it."""
    return in_words(equation.written(formula))


def _size(guard: Inside) -> str:
    return _name(guard.size.name)


def _name(name: str) -> str:
    return name.replace(DOTS, "…").replace("'", "′")


def listed(names: list[str]) -> str:
    """Join names with commas and a last *and*."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
