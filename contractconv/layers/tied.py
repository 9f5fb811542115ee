"""Layers of contractions whose operands are called by names: what comes in, and in which places."""

from __future__ import annotations

from dataclasses import dataclass, replace

from contractconv.api.contraction import Contraction
from contractconv.errors import OperandError, with_carets
from contractconv.notation.carets import marks


@dataclass(frozen=True, slots=True)
class Arranged:
    """A contraction in which what comes in stands in front.

    Attributes:
        contraction: it, whose operands have no names.
        copies: which of the arrays that come in each of its first operands is.
        roles: what the weights are called, if they have names.
    """

    contraction: Contraction
    copies: tuple[int, ...]
    roles: tuple[str, ...] | None = None


def arranged_for(contraction: Contraction, inputs: int) -> Arranged:
    """Put the operands in front that are one of the first arrays.

    Args:
        contraction: what the layer does.
        inputs: how many arrays come in.

    Raises:
        OperandError: a weight stands in several places.

    Example:
        >>> square = Contraction("b i, i j, b j -> b", names="x A x")
        >>> print(arranged_for(square, 1).contraction)
        b i, b j, i j -> b
    """
    named = contraction._named
    if not named.names:
        return Arranged(contraction, tuple(range(inputs)))
    coming = named.arrays[:inputs]
    first = [n for n, name in enumerate(named.names) if name in coming]
    others = [n for n in range(len(named.names)) if n not in first]
    roles = tuple(named.names[n] for n in others)
    _check_once(contraction, roles)
    spec = replace(contraction._spec, inputs=tuple(named.inputs[n] for n in (*first, *others)))
    copies = tuple(coming.index(named.names[n]) for n in first)
    return Arranged(Contraction._of(spec), copies, roles)


def _check_once(contraction: Contraction, roles: tuple[str, ...]) -> None:
    twice = [name for name in roles if roles.count(name) > 1]
    if twice:
        places = [(n, None) for n, name in enumerate(contraction.names) if name == twice[0]]
        raise OperandError(with_carets(
            f"the weight {twice[0]} stands in several places, and a layer draws one for each",
            *marks(contraction._named, places),
            "what comes in may stand in several places; a weight that does is a parameter of a "
            "function of symbolic tensors: see cc.Network",
        ))  # fmt: skip
