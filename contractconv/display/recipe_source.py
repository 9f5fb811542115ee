"""What is derived beside gradients as source code: a contraction, and a call with its roles.

The contraction is a function of its own, as :mod:`contractconv.display.sources` writes it. Around
it stands a function that is called as the derived object is: it passes each array to all the roles
that it plays, and divides by sizes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from contractconv.calculus.recipes import ONES, Recipe
from contractconv.calculus.rules import RULES
from contractconv.calculus.symbols import operand_names
from contractconv.display.sources import forward_source
from contractconv.errors import ContractionError
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Composition, Spec, Term

_KEYWORDS = re.compile(r"def forward\((.*?)\):", re.DOTALL)
_ONES = {
    "numpy": "np.ones(({0}), {1}.dtype)",
    "torch": "torch.ones(({0}), dtype={1}.dtype)",
    "jax": "jnp.ones(({0}), {1}.dtype)",
}


def recipe_source(
    recipe: Recipe, forward: Spec, n: int, takes: Sequence[str], name: str, library: str
) -> str:
    """Write a derived contraction as a Python module.

    Args:
        recipe: what was derived.
        forward: the contraction that it was derived from.
        n: the operand that it is about.
        takes: the roles of what it is called with before the forward operands.
        name: what the function is called.
        library: ``"numpy"``, ``"torch"`` or ``"jax"``.

    Returns:
        The text of the module, with the functions ``forward``, which is the contraction, and
        ``name``, which takes what the derived object is called with; by keyword it takes the
        extents that no shape determines.

    Raises:
        ContractionError: the library is unknown; the reduction has a local derivative for each
            point; or the result is a scatter into an operand, whose size no string says.
    """
    local = RULES[forward.reduce].local
    if local is not None and not recipe.shares:
        raise ContractionError(
            f"the {name.replace('_', ' ')} of '{forward}' meets a local derivative of its "
            f"reduction, {forward.reduce!r}, which has no source by itself; grad(n).code writes "
            f"the gradient with it"
        )
    placed = recipe.spec.output[-len(forward.inputs[n]) :] if forward.inputs[n] else ()
    if "operand" in recipe.like and not _whole(placed):
        raise ContractionError(
            f"'{recipe.spec}' puts products into an operand whose size no other shape says, so it "
            f"has no source that is right for every size"
        )
    return _Module(recipe, forward, n, takes, name, library).text()


def _whole(term: Term) -> bool:
    return all(isinstance(axis, Composition) or getattr(axis, "plain", None) for axis in term)


class _Module:
    """The two functions while they are written."""

    def __init__(
        self,
        recipe: Recipe,
        forward: Spec,
        n: int,
        takes: Sequence[str],
        name: str,
        library: str,
    ) -> None:
        shares = dict(recipe.shares)
        kept = [n for n, role in enumerate(recipe.roles) if role not in shares]
        self.roles = [recipe.roles[n] for n in kept] or [ONES]
        inputs = tuple(recipe.spec.inputs[n] for n in kept) or ((),)
        self.spec = replace(recipe.spec, inputs=inputs)
        divided = [i for role in recipe.roles for i in shares.get(role, ())]
        self.scale = [*recipe.scale, *divided]
        self.recipe, self.name, self.library = recipe, name, library
        operands = operand_names(len(forward.inputs))
        self.arguments = [*takes, *operands]
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
        unknown = [n for n in dict.fromkeys(self.scale) if self._extent(n) is None]
        unknown += [n for n in self.recipe.ones if self._extent(n) is None]
        unknown += [self._original(n) for n in taken if self._extent(self._original(n)) is None]
        keywords = list(dict.fromkeys(unknown))
        arguments = ", ".join([*self.arguments, *(["*", *keywords] if keywords else [])])
        passed = [self._array(role) for role in self.roles]
        passed += [f"{keyword}={self._size(self._original(keyword))}" for keyword in taken]
        value = f"forward({', '.join(passed)})"
        if self.scale:
            value += f" / ({' * '.join(map(self._size, self.scale))})"
        return (
            f"{self.inner}\n\ndef {self.name}({arguments}):\n"
            f'    """The {self.name.replace("_", " ")}: {self.recipe.spec}"""\n'
            f"    return {value}\n"
        )

    def _array(self, role: str) -> str:
        if role != ONES:
            return role
        shape = "".join(f"{self._size(name)}, " for name in self.recipe.ones)
        return _ONES[self.library].format(shape, self.arguments[0])

    def _original(self, name: str) -> str:
        """The index that another one is a copy of."""
        return dict(self.recipe.copies).get(name, name)

    def _size(self, name: str) -> str:
        return self._extent(name) or name

    def _extent(self, name: str) -> str | None:
        """The extent of an index as the size of an axis; ``None`` if no array has it alone."""
        for role, term in self.terms:
            for axis, entry in enumerate(term):
                alone = isinstance(entry, Affine) and entry.plain == name
                if alone and role in self.arguments:
                    return f"{role}.shape[{axis}]"
        return None
