"""What is derived beside gradients as source code: a contraction, and a call with its roles.

The contraction is a function of its own, as :mod:`contractconv.display.source_code` writes it.
Around it stands a function that is called as the derived object is: it passes each array to all
the roles that it plays, and divides by sizes. Indices that no array has alone have the extents
of the forward contraction, not those that fit as well: an operand of ones says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from contractconv.calculus.derived_strings import Recipe
from contractconv.calculus.letters import ONES
from contractconv.display.source_code import forward_source
from contractconv.display.source_code.text import tupled
from contractconv.errors import ContractionError
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Composition, Spec, Term, lone_names
from contractconv.reductions.table import REDUCTIONS

_KEYWORDS = re.compile(r"def forward\((.*?)\):", re.DOTALL)
_ONES = {
    "numpy": ("import numpy as np", "np.ones({0}, {1}.dtype)"),
    "torch": ("import torch", "torch.ones({0}, dtype={1}.dtype)"),
    "jax": ("import jax.numpy as jnp", "jnp.ones({0}, {1}.dtype)"),
}


def recipe_source(
    recipe: Recipe, forward: Spec, n: int, takes: Sequence[str], title: str, library: str
) -> str:
    """Write a derived contraction as a Python module.

    Args:
        recipe: what was derived.
        forward: the contraction that it was derived from.
        n: the operand that it is about.
        takes: the roles of what it is called with before the forward operands.
        title: what it is, ``"Gauss-Newton product"``, which names the function.
        library: ``"numpy"``, ``"torch"`` or ``"jax"``.

    Returns:
        The text of the module, with the function ``forward``, which is the contraction, and one
        that is called as the derived object is, by keyword with extents that no shape determines.

    Raises:
        ContractionError: the library is unknown; the reduction has a local derivative for each
            point; or the result is a scatter into an operand, whose size no string says.
    """
    if not REDUCTIONS[forward.reduce].is_sum and not recipe.shares:
        raise ContractionError(
            f"the {title} of '{forward}' meets a local derivative of its "
            f"reduction, {forward.reduce!r}, which has no source by itself; grad(n).code writes "
            f"the gradient with it"
        )
    placed = recipe.spec.output[-len(forward.inputs[n]) :] if forward.inputs[n] else ()
    if "operand" in recipe.like and not _whole(placed):
        raise ContractionError(
            f"'{recipe.spec}' puts products into an operand whose size no other shape says, so it "
            f"has no source that is right for every size"
        )
    return _Module(recipe, forward, n, takes, title, library).text()


def _whole(term: Term) -> bool:
    return all(isinstance(axis, Composition) or axis.plain for axis in term)


def snake(title: str) -> str:
    """The name of a function, of what it does."""
    return title.lower().replace(" ", "_").replace("-", "_")


def _unsaid(spec: Spec, terms: Sequence[Term], said: Sequence[str]) -> list[str]:
    """The indices that stand alone on no axis of these terms."""
    alone = lone_names(terms)
    return [name for name in spec.indices if name not in alone and name not in said]


class _Module:
    """The two functions while they are written."""

    def __init__(
        self,
        recipe: Recipe,
        forward: Spec,
        n: int,
        takes: Sequence[str],
        title: str,
        library: str,
    ) -> None:
        shares = dict(recipe.shares)
        kept = [n for n, role in enumerate(recipe.roles) if role not in shares]
        terms = {n: recipe.spec.inputs[n] for n in kept if recipe.roles[n] != ONES}
        self.ones = (*recipe.ones, *_unsaid(recipe.spec, [*terms.values()], recipe.ones))
        self.roles = [recipe.roles[n] for n in terms]
        inputs = tuple(terms.values())
        if self.ones or not inputs:
            self.roles.append(ONES)
            inputs = (*inputs, tuple(map(Affine.index, self.ones)))
        self.spec = replace(recipe.spec, inputs=inputs)
        divided = [i for role in recipe.roles for i in shares.get(role, ())]
        self.scale = [*recipe.scale, *divided]
        self.recipe, self.title, self.library = recipe, title, library
        operands = forward.called
        self.arguments = [*takes, *forward.arrays]
        self.terms = [*zip(self.roles, inputs, strict=True)]
        self.terms += zip(operands, forward.inputs, strict=True)
        if recipe.like == ("operand",):
            self.terms.append((operands[n], recipe.spec.output))
        self.inner = forward_source(self.spec, library, self._names())

    def _names(self) -> list[str]:
        """The roles as names of arguments, each once."""
        counts: Counter[str] = Counter()
        names = []
        for role in self.roles:
            counts[role] += 1
            stem = "ones" if role == ONES else role
            names.append(stem if counts[role] == 1 else f"{stem}_{counts[role]}")
        return names

    def text(self) -> str:
        """The whole module."""
        found = _KEYWORDS.search(self.inner)
        signature = found.group(1) if found else ""
        taken = [part.strip() for part in signature.partition("*,")[2].split(",") if part.strip()]
        sizes = map(self._original, (*self.scale, *self.ones, *taken))
        keywords = [n for n in dict.fromkeys(sizes) if self._extent(n) is None]
        arguments = ", ".join([*self.arguments, *(["*", *keywords] if keywords else [])])
        passed = [self._array(role) for role in self.roles]
        passed += [f"{keyword}={self._size(keyword)}" for keyword in taken]
        value = f"forward({', '.join(passed)})"
        if self.scale:
            value += f" / ({' * '.join(map(self._size, self.scale))})"
        line = _ONES[self.library][0]
        missing = ONES in self.roles and line not in self.inner.splitlines()
        head = f"{line}\n\n\n" if missing else ""
        return (
            f"{head}{self.inner}\n\ndef {snake(self.title)}({arguments}):\n"
            f'    """The {self.title}: {self.recipe.spec}"""\n'
            f"    return {value}\n"
        )

    def _array(self, role: str) -> str:
        if role != ONES:
            return role
        return _ONES[self.library][1].format(tupled([*map(self._size, self.ones)]), self._like)

    @property
    def _like(self) -> str:
        """The array whose dtype ones have."""
        return next((role for role in self.roles if role != ONES), self.arguments[0])

    def _original(self, name: str) -> str:
        """The index that another one is a copy of."""
        return dict(self.recipe.copies).get(name, name)

    def _size(self, name: str) -> str:
        original = self._original(name)
        return self._extent(original) or original

    def _extent(self, name: str) -> str | None:
        """The extent of an index as the size of an axis; ``None`` if no array has it alone."""
        for role, term in self.terms:
            for axis, entry in enumerate(term):
                if entry.plain == name and role in self.arguments:
                    return f"{role}.shape[{axis}]"
        return None
