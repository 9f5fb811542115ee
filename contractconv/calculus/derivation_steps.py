"""A derivation, told in the steps that were taken.

Nothing is worked out here: every step shows an equation that the derivation passed through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contractconv.calculus.backward import Formulas, derive, forward_equation, spoken
from contractconv.calculus.deltas import Elimination
from contractconv.calculus.derived_strings import Recipe, jvp
from contractconv.calculus.equation import Divides, Equation, Guard, Inside
from contractconv.calculus.letters import cotangent, result, said, tangent
from contractconv.calculus.local_derivative import local_name
from contractconv.calculus.symbols import DOTS
from contractconv.notation.spec import Spec
from contractconv.reductions.table import REDUCTIONS


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a derivation.

    Attributes:
        name: what is done: sum, differentiate, eliminate, congruence, range, ...
        equation: what the derivation has arrived at.
        sentence: what was done and why, in words.
        string: the contraction that is read off the equation, if one is.
    """

    name: str
    equation: Equation
    sentence: str
    string: Spec | None = None

    @property
    def spoken(self) -> Spec:
        """The string, whose operands are called as the equation calls them."""
        return spoken(self.string or self.equation.spec, self.equation)


def steps(formulas: Formulas) -> tuple[Step, ...]:
    """Tell a derivation from the loss to the strings."""
    return tuple(_tell(formulas))


def recipe_steps(recipe: Recipe, forward: Spec, n: int) -> tuple[Step, ...]:
    """Tell how a contraction was derived that is not a gradient."""
    name = forward.called[n]
    words = {"name": name, "V": said(tangent(forward, name)), "G": said(cotangent(forward))}
    told = [sentence.format(**words) for sentence in _RECIPES[recipe.result]]
    first = Step("write", forward_equation(forward), told[0])
    last = Step("read off", recipe.equation, "The axes say it as a string.", recipe.spec)
    return (first, *_between(recipe, forward, n, told[1:]), last)


def _between(recipe: Recipe, forward: Spec, n: int, said: Sequence[str]) -> Iterator[Step]:
    if recipe.result in ("HV", "D"):
        yield Step("differentiate", jvp(forward, n).equation, said[0])
        gradient = derive(forward, n).placed
        yield Step("transpose", gradient, said[1])
    yield Step(_DONE[recipe.result], recipe.equation, said[-1])


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
        yield Step("eliminate", scattered, _of_renaming(renamed))
    if scattered.deltas:
        yield Step("read off", scattered, _of_scatter(scattered), formulas.scatter)
    for elimination in formulas.eliminations:
        if not elimination.renames:
            yield from _elimination(elimination)
    yield from _simplified(formulas)
    yield _end(formulas, scattered)


def _loss(formulas: Formulas) -> Step:
    forward = formulas.forward
    record = REDUCTIONS[forward.reduce]
    back, made = said(cotangent(forward)), result(forward)
    if record.is_sum:
        sentence = (
            f"{back} says how the loss changes with each element of {made}, so it is enough to "
            f"differentiate L = Σ {back}·{made}, with {made} written out."
        )
        return Step("sum", formulas.loss, sentence)
    sentence = (
        f"The result changes with each point it reduces by {local_name(forward)}, "
        f"{record.local.meaning}; held fixed, and with the cotangent {back} in front, that makes "
        f"the loss a plain sum."
    )
    return Step("linearise", formulas.loss, sentence)


def _differentiated(formulas: Formulas) -> Step:
    equation, target = formulas.derivative, formulas.derivative.left
    name = target.name.removeprefix("d")
    if not target.axes:
        sentence = f"By {name}, which has no axes: it is a factor of every term."
        return Step("differentiate", equation, sentence)
    at = ", ".join(_said(position, equation) for position in target.axes)
    sentence = (
        f"By one element of {name}, at [{at}]: only terms that read it count, so each axis leaves "
        f"a delta, 1 where its two sides agree and 0 elsewhere"
    )
    replaced = len(equation.guards) < len(formulas.loss.guards)
    sentence += ", which takes the place of the condition." if replaced else "."
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


def _of_scatter(scattered: Equation) -> str:
    tied = listed(
        [f"{_said(d.position, scattered)} = {_said(d.expression, scattered)}"
         for d in scattered.deltas]
    )  # fmt: skip
    return f"Seen from a product, it is added where {tied}: that is the scatter form."


def _elimination(elimination: Elimination) -> Iterator[Step]:
    """Solve for an index, then say what the solution must fulfil, one condition at a time."""
    equation, guards = elimination.equation, elimination.guards
    kept = len(equation.guards) - len(guards)
    delta, index = elimination.delta, _name(elimination.index.name)
    tied = f"{_said(delta.position, equation)} = {_said(delta.expression, equation)}"
    yield Step(
        "eliminate",
        replace(equation, guards=equation.guards[:kept]),
        f"Seen from the element, {tied} holds only for {index} = "
        f"{_said(elimination.solution, equation)}, so the sum over {index} keeps at most one term.",
    )
    for number, guard in enumerate(guards, kept + 1):
        name = "congruence" if isinstance(guard, Divides) else "range"
        part = replace(equation, guards=equation.guards[:number])
        yield Step(name, part, _of_guard(guard, equation, index))


def _of_guard(guard: Guard, equation: Equation, index: str) -> str:
    if isinstance(guard, Divides):
        divisor, number = _said(guard.divisor, equation), _said(guard.number, equation)
        return (
            f"{index} is a whole number, so the term is there only if {divisor} divides {number}."
        )
    return (
        f"{index} runs from 0 to {_size(guard)}-1, so the term is there only if "
        f"{_said(guard.position, equation)} is in that range."
    )


def _simplified(formulas: Formulas) -> Iterator[Step]:
    before, after = formulas.eliminated, formulas.collected
    idle = [g for g in before.guards if g not in after.guards and isinstance(g, Inside)]
    if idle:
        said = listed([f"0 ≤ {_said(g.position, before)} < {_size(g)}" for g in idle])
        yield Step(
            "simplify",
            after,
            f"{said} always hold{'s' * (len(idle) == 1)}: "
            f"the extents are those for which the window stays inside.",
        )


def _end(formulas: Formulas, scattered: Equation) -> Step:
    equation, string = formulas.collected, formulas.gather
    if string == formulas.scatter:
        if scattered.deltas:
            return Step("stop", equation, _of_what_stays(equation))
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
            "stays, and the scatter form is the only one."
        )
    symbols = list(equation.parameters)
    whatever = f"whatever {listed(symbols)} may be, " if symbols else ""
    return (
        f"No axis of another array could say what the delta says, {whatever}so the delta stays, "
        f"and the scatter form is the only one."
    )


def _said(formula: Any, equation: Equation) -> str:
    """An expression in the notation, without the brackets around it."""
    text = str(equation.written(formula))
    return _name(text[1:-1] if text.startswith("(") else text)


def _size(guard: Inside) -> str:
    return _name(guard.size.name)


def _name(name: str) -> str:
    return name.replace(DOTS, "…")


def listed(names: list[str]) -> str:
    """Join names with commas and a last *and*."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
