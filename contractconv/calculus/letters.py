"""One meaning a letter: what formulas call what is no operand.

A letter keeps what it means and whose it is, so that a gradient may be written ``dW`` or ``∂L/∂W``
when it is shown. An operand's own name goes first: where one is called ``G``, the cotangent is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal
from unicodedata import normalize

from contractconv.errors import ParameterError
from contractconv.notation.spec import Spec

COTANGENT, RESULT, LOSS = "G", "Y", "L"
TANGENT, ROOT, ONES, CHANGE = "V", "R", "1", "Q"
# One over a number of points, the same for every element, where that is an operand.
SHARE = "M"


class Letter(str):
    """A name in formulas that means something.

    Attributes:
        meaning: ``"gradient"``, ``"cotangent"``, ``"tangent"``, ``"change"`` or ``"second"``.
        of: the name of the array that it belongs to.
        pair: of a second derivative, what was differentiated: a tangent and a gradient, multiplied.

    Example:
        >>> gradient("W"), gradient("W").of
        ('dW', 'W')
    """

    __slots__ = ("meaning", "of", "pair")
    meaning: str
    of: str
    pair: tuple[Letter, ...]

    def __new__(cls, text: str, meaning: str, of: str, pair: tuple[Letter, ...] = ()) -> Letter:
        """Make a name that remembers what it means."""
        made = super().__new__(cls, text)
        made.meaning, made.of, made.pair = meaning, of, pair
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        return str(self), self.meaning, self.of, self.pair


def gradient(name: str) -> Letter:
    """What the gradient of a loss by an array is called."""
    return Letter(f"d{name}", "gradient", name)


def second(spec: Spec, name: str, by: str) -> Letter:
    """What the derivative by an array of the gradient by ``name``, times its tangent, is called."""
    pair = tangent(spec, name), gradient(name)
    return Letter(f"∂⟨{pair[0]}, {pair[1]}⟩/∂{by}", "second", by, pair)


def result(spec: Spec) -> str:
    """What the result of a contraction is called."""
    return spec.result or unused(spec, RESULT, "Z")


def cotangent(spec: Spec) -> Letter:
    """What comes back to the result: a gradient of a loss, or a tangent if the result is one."""
    made, letter = result(spec), unused(spec, COTANGENT, TANGENT, "U")
    if isinstance(made, Letter) and made.meaning == "gradient":
        return Letter(letter, "tangent", made.of)
    return Letter(letter, "cotangent", made)


def tangent(spec: Spec, name: str) -> Letter:
    """How an operand changes: a tangent of it, and what comes back to its gradient."""
    wishes = (wish for wish in (TANGENT, "U", "Z") if wish != cotangent(spec))
    return Letter(unused(spec, *wishes), "tangent", name)


def change(spec: Spec, name: str) -> Letter:
    """How the result changes with an operand: its Jacobian times the tangent."""
    return Letter(f"J{tangent(spec, name)}", "change", result(spec))


def unused(spec: Spec, *wishes: str) -> str:
    """The first letter that no array of a contraction has for its name."""
    numbered = (f"{wishes[0]}_{number}" for number in range(1, 1 + len(spec.names)))
    taken = {*spec.names, spec.result}
    return next((wish for wish in (*wishes, *numbered) if wish not in taken), wishes[0])


def role_letter(role: str, spec: Spec, n: int) -> str:
    """What formulas of a contraction call the cotangent, a root, or a tangent of operand ``n``."""
    if role == TANGENT:
        return tangent(spec, spec.called[n])
    return cotangent(spec) if role == COTANGENT else unused(spec, role)


def array_of(name: str) -> str:
    """The array whose shape a name has: a tangent and a gradient are as large as what they are of.

    Example:
        >>> array_of(gradient("W")), array_of("W")
        ('W', 'W')
    """
    sized = isinstance(name, Letter) and name.meaning in ("gradient", "tangent")
    return name.of if isinstance(name, Letter) and sized else name


Meaning = tuple["Meaning", ...] | str


def meanings(spec: Spec) -> tuple[Meaning, ...]:
    """What the names of a contraction mean: equal names may be written otherwise.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> dense = replace(parse("i ->"), names=(cotangent(parse("b i, i -> b")),))
        >>> meanings(dense)
        (('cotangent', 'Y'), '')
    """
    return tuple(map(_meaning, (*spec.names, spec.result)))


def _meaning(name: str) -> Meaning:
    if not isinstance(name, Letter):
        return name
    return name.meaning, *map(_meaning, (name.of, *name.pair))


# -- how they are written --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Letters:
    """How formulas write what is no operand; each as it is written of ``W``, or of ``Y``.

    Attributes:
        gradient: of a loss by an array: ``"dW"`` or ``"∂L/∂W"``.
        tangent: of an array, and how the result changes with it: ``"V"`` and ``JV``, or ``"Ẇ"``,
            or ``"δW"``.
        cotangent: the gradient of a loss by the result: ``"G"`` or ``"Ȳ"``.
    """

    gradient: str = "dW"
    tangent: str = "V"
    cotangent: str = "G"


# What may be chosen, the default first.
CHOICES = {
    "gradient": ("dW", "∂L/∂W"),
    "tangent": ("V", "Ẇ", "δW"),
    "cotangent": ("G", "Ȳ"),
}
DEFAULT = Letters()
_chosen = [DEFAULT]


def chosen() -> Letters:
    """The letters that formulas are written with."""
    return _chosen[0]


class letters:
    """Choose how formulas write gradients, tangents and cotangents, in every script.

    It holds from then on, in all threads; as a context manager, until the end of the block. What is
    not said stays as it is. Names of operands, strings, programs and sources stay as they are.

    Args:
        gradient: of a loss by ``W``: ``"dW"`` or ``"∂L/∂W"``.
        tangent: of ``W``: ``"V"``, with ``JV`` for how the result changes; or ``"Ẇ"``; or ``"δW"``.
        cotangent: what comes back to the result ``Y``: ``"G"`` or ``"Ȳ"``.

    Raises:
        ParameterError: a letter that is none of these.

    Example:
        >>> import contractconv as cc
        >>> dense = cc.Contraction("b i, i o -> b o", names="x W -> y")
        >>> with cc.letters(gradient="∂L/∂W", cotangent="Ȳ", tangent="Ẇ"):
        ...     print(dense.grad("W").formula)
        ...     print(dense.jvp("W").formula)
        ∂L/∂W[i, o] = Σ_{b} ȳ[b, o] · x[b, i]
        ẏ[b, o] = Σ_{i} x[b, i] · Ẇ[i, o]
        >>> print(dense.grad("W").formula)
        dW[i, o] = Σ_{b} G[b, o] · x[b, i]
    """

    def __init__(
        self,
        gradient: Literal["dW", "∂L/∂W"] | None = None,
        tangent: Literal["V", "Ẇ", "δW"] | None = None,
        cotangent: Literal["G", "Ȳ"] | None = None,
    ) -> None:
        given = {"gradient": gradient, "tangent": tangent, "cotangent": cotangent}
        said = {
            name: _checked(name, letter) for name, letter in given.items() if letter is not None
        }
        self._before = chosen()
        _chosen[0] = replace(self._before, **said)

    def __enter__(self) -> Letters:
        return chosen()

    def __exit__(self, *error: object) -> None:
        _chosen[0] = self._before

    def __repr__(self) -> str:
        return repr(chosen()).lower()


def _checked(name: str, letter: object) -> str:
    found = normalize("NFC", letter) if isinstance(letter, str) else letter
    if isinstance(found, str) and found in CHOICES[name]:
        return found
    known = " or ".join(map(repr, CHOICES[name]))
    raise ParameterError(f"{name}={letter!r}: formulas write {known}")


_MARKS = {"dot": "\N{COMBINING DOT ABOVE}", "bar": "\N{COMBINING MACRON}"}


def marked(name: str, mark: str) -> str:
    """A name whose first letter has a dot or a bar above it."""
    return normalize("NFC", f"{name[:1]}{_MARKS[mark]}{name[1:]}")


def said(name: str, written: Callable[[str], str] = str) -> str:
    """A letter as sentences write it.

    Args:
        name: the letter.
        written: how names are written that are no fractions.
    """
    if not isinstance(name, Letter):
        return written(name)
    letters, of = chosen(), name.of
    if name.meaning == "second":
        moved, slope = (said(part, written) for part in name.pair)
        return f"∂⟨{moved}, {slope}⟩/∂{said(of, written)}"
    if name.meaning == "gradient":
        plain = f"d{said(of)}" if isinstance(of, Letter) else str(name)  # of programs it is d_W
        usual = letters.gradient == DEFAULT.gradient
        return written(plain) if usual else f"∂L/∂{said(of, written)}"
    if name.meaning == "cotangent":
        usual = letters.cotangent == DEFAULT.cotangent
        return written(str(name) if usual else marked(said(of), "bar"))
    return _said_tangent(name, written)


def _said_tangent(name: Letter, written: Callable[[str], str]) -> str:
    kind = chosen().tangent
    if kind == DEFAULT.tangent:
        return written(str(name))
    return f"δ{said(name.of, written)}" if kind == "δW" else written(marked(said(name.of), "dot"))
