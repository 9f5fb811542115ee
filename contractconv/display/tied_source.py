"""Source code of contractions in which one array stands in several places.

What stands for itself is written as if each place had an array of its own, ``x_1 A x_2``. Around it
stands a function that is called as the contraction is, ``(x, A)``, and passes the array on; of a
gradient it adds up what comes back to each place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from contractconv.calculus.derived_strings import Recipe
from contractconv.display.recipe_source import recipe_source, snake
from contractconv.display.source_code.functions import Given, forward_source, gradient_source
from contractconv.display.source_code.naming import USED, in_python, python_name
from contractconv.display.source_code.wrapping import docstring, wrapped
from contractconv.notation.spec import Spec


def numbered(spec: Spec) -> tuple[str, ...]:
    """A name for each operand: those of an array in several places get numbers.

    Example:
        >>> from contractconv.notation.names import named
        >>> from contractconv.notation.parser import parse
        >>> numbered(named(parse("i, i j, j ->"), "x A x"))
        ('x_1', 'A', 'x_2')
    """
    taken = {*spec.called, *spec.indices, *spec.parameters, *USED}
    found: list[str] = []
    for n, name in enumerate(spec.called):
        several = spec.called.count(name) > 1
        wish = f"{name}_{spec.called[: n + 1].count(name)}" if several else python_name(name)
        while several and wish in taken:
            wish += "_"
        taken.add(wish)
        found.append(wish)
    return tuple(found)


def contraction_source(spec: Spec, library: str, given: Given) -> str:
    """Write a contraction as a module whose last function, ``forward``, takes one array a name."""
    if not spec.is_tied:
        return forward_source(spec, library, in_python(spec).called, given)
    part = _Part(forward_source(spec, library, numbered(spec), given), "forward", "of_places")
    return _module([part], spec, "forward", f"{spec}, of {' '.join(spec.called)}")


def derivation_source(spec: Spec, places: Sequence[int], library: str, given: Given) -> str:
    """Write the gradient by an array, the sum over its places, as a function ``gradient``."""
    if not spec.is_tied:
        return gradient_source(spec, places[0], library, in_python(spec).called, given)
    names = numbered(spec)
    texts = [gradient_source(spec.unnamed, n, library, names, given) for n in places]
    called = [f"gradient_{n}" for n in range(1, len(places) + 1)] if places[1:] else ["of_places"]
    parts = [_Part(text, "gradient", name) for text, name in zip(texts, called, strict=True)]
    return _module(parts, spec, "gradient", f"The gradient of {spec} by {spec.called[places[0]]}")


def summed_recipe_source(
    recipes: Sequence[Recipe], spec: Spec, places: Sequence[int], takes: Sequence[str],
    title: str, library: str,
) -> str:  # fmt: skip
    """Write what is derived by an array, the sum over its places."""
    parts = [
        _Part(recipe_source(recipe, spec, place, takes, title, library), snake(title),
              f"{snake(title)}_{number}", f"forward_{number}")
        for number, (recipe, place) in enumerate(zip(recipes, places, strict=True), 1)
    ]  # fmt: skip
    return _module(parts, spec, snake(title), f"The {title} of {spec} by {spec.called[places[0]]}")


@dataclass(frozen=True, slots=True)
class _Part:
    """The module of one place.

    Attributes:
        text: the module.
        function: its last function.
        called: what that is called where there are several.
        inner: likewise, the function ``forward`` that it calls.
    """

    text: str
    function: str
    called: str
    inner: str = ""

    @property
    def blocks(self) -> list[str]:
        """What stands at the top of the module: imports and functions."""
        text = re.sub(rf"\b{self.function}\(", f"{self.called}(", self.text)
        if self.inner:
            text = re.sub(r"\bforward\(", f"{self.inner}(", text)
        return [block.strip("\n") for block in text.split("\n\n\n")]

    @property
    def arguments(self) -> tuple[list[str], list[str]]:
        """The arrays that the function takes, and its keywords."""
        found = re.search(rf"^def {self.function}\((.*?)\):", self.text, re.DOTALL | re.MULTILINE)
        assert found is not None, "the function is there"
        arrays, _, words = found.group(1).partition("*,")
        return _listed(arrays), _listed(words)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in re.split(r",(?![^(]*\))", text) if part.strip()]


def _module(parts: Sequence[_Part], spec: Spec, name: str, doc: str) -> str:
    """The modules of the places, and the function that is called."""
    blocks = list(dict.fromkeys(block for part in parts for block in part.blocks))
    original = dict(zip(numbered(spec), map(python_name, spec.called), strict=True))
    arrays = dict.fromkeys(original.get(a, a) for part in parts for a in part.arguments[0])
    words = dict.fromkeys(word for part in parts for word in part.arguments[1])
    head = f"def {name}({', '.join([*arrays, *(['*', *words] if words else [])])}):"
    calls = []
    for part in parts:
        own, keywords = part.arguments
        passed = [original.get(array, array) for array in own]
        passed += [f"{word.partition('=')[0]}={word.partition('=')[0]}" for word in keywords]
        calls.append(f"{part.called}({', '.join(passed)})")
    lines = [*docstring([doc], "    "), *wrapped(f"    return {' + '.join(calls)}")]
    return "\n\n\n".join([*blocks, "\n".join([*wrapped(head), *lines])]) + "\n"
