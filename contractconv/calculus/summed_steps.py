"""The gradient by an array that stands in several places: collected, and told step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

from contractconv.cache_register import kept
from contractconv.calculus.backward import Formulas, derive
from contractconv.calculus.collected import Collected, collected
from contractconv.calculus.derivation_steps import Step, steps
from contractconv.calculus.derived_strings import Recipe
from contractconv.calculus.equation import Equation
from contractconv.calculus.gradient_derivatives import Second
from contractconv.calculus.letters import meanings, said
from contractconv.notation.spec import Spec


def collected_gradient(parts: Sequence[Formulas]) -> Collected:
    """The sum of the gradients by each place of an array, as one formula."""
    return _collected_gradient(tuple(parts), meanings(parts[0].forward))


@kept(most=256)
def _collected_gradient(parts: tuple[Formulas, ...], _written: object) -> Collected:
    return collected([part.collected for part in parts], parts[0].forward)


def collected_recipes(recipes: Sequence[Recipe], forward: Spec) -> Collected:
    """The sum of what recipes make, as one formula."""
    return collected([recipe.equation for recipe in recipes], forward)


def second_equation(second: Second, forward: Spec) -> Equation | Collected:
    """What a second derivative is; what it is made of is collected."""
    if not second.parts:  # by an operand, of an extreme
        left = derive(forward, forward.called.index(second.by)).collected.left
        return Equation(replace(left, name=second.called), (), (), empty=True)
    alone = len(second.parts) == 1 and not forward.is_tied
    made = second.parts[0].equation if alone else collected_recipes(second.parts, forward)
    return replace(made, left=replace(made.left, name=second.called))


def summed_steps(parts: Sequence[Formulas]) -> tuple[Step, ...]:
    """Tell the derivation: the product rule, each place, and the sum."""
    return tuple(_told(parts))


def _told(parts: Sequence[Formulas]) -> Iterator[Step]:
    forward, count = parts[0].forward, len(parts)
    name = said(forward.called[parts[0].operand])
    first = steps(parts[0])[0]
    rule = (
        f" {name} stands in {count} places: by the product rule its gradient is the sum of those "
        f"by each place, with the others held fixed."
    )
    yield replace(first, sentence=first.sentence + rule)
    for number, part in enumerate(parts, 1):
        for place, step in enumerate(steps(part)[1:]):
            where = f"Place {number} of {count}. " * (not place)
            yield replace(step, sentence=where + step.sentence)
    yield added(collected_gradient(parts), count)


def added(total: Collected, count: int) -> Step:
    """The last step: everything is put together."""
    several = len(total.terms) > 1
    how = "what they have in common stands in front" if several else "they are the same"
    # A sum is shown, and worked out, as an equation is.
    return Step("add", cast("Equation", total), f"The {count} parts are added: {how}.")
