"""What role each axis of a weight has, as the string of its layer says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from contractconv.notation.affine import ONE, Affine
from contractconv.notation.spec import Spec, Term, unique_names
from contractconv.planning.roles import roles

Names = tuple[str, ...]


@dataclass(frozen=True)
class Weight:
    """A weight of a contraction.

    Attributes:
        kind: ``"conv"``, ``"transposed"``, ``"local"`` (weights of their own for each position) or
            ``"dense"``.
        roles: its axes by role; see :mod:`contractconv.weights.terms`.
        turned: the axes of its window that run against those of frameworks.
    """

    kind: str
    roles: Mapping[str, Names]
    turned: frozenset[str] = frozenset()


def weight_of(spec: Spec, position: int, inputs: int, transposed: bool = False) -> Weight:
    """Read the roles of the axes of a weight.

    Weights are met in their order: what comes before one has been contracted when it is met.

    Args:
        spec: the contraction.
        position: the operand that is the weight.
        inputs: how many operands come in.
        transposed: whether a window that is written as ``(h-k)`` is that of a transposed
            convolution, and not a kernel that is turned.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> weight_of(parse("b (i+k) (g c), k g c o -> b i (g o)"), 1, 1).roles
        {'K': ('k',), 'G': ('g',), 'O': ('o',), 'C': ('c',), 'A': ('k', 'g', 'c', 'o')}
    """
    own = unique_names((spec.inputs[position],))
    window = _window(spec, own, inputs)
    before = unique_names(spec.inputs[:position])
    after = unique_names((*spec.inputs[position + 1 :], spec.output))
    rest = tuple(name for name in own if name not in window)
    found = roles(before, own, after, rest)
    met = tuple(name for name in before if name in found.summed)
    named = {"K": window, "G": found.batch, "O": found.columns, "C": met, "A": own}
    return Weight(_kind(spec, named, inputs, transposed), named, _turned(spec, window, transposed))


def _kind(spec: Spec, named: Mapping[str, Names], inputs: int, transposed: bool) -> str:
    """What a neighbour calls a layer with such a weight."""
    window = named["K"]
    if not window:
        return "dense"
    placed = {name for axis in _shared(spec.inputs[:inputs]) for name in axis.names}
    if placed.intersection(named["G"]):
        return "local"
    scattered = transposed or any(_is_scattered(spec, name, inputs) for name in window)
    return "transposed" if scattered else "conv"


def _window(spec: Spec, own: Names, inputs: int) -> Names:
    """The indices of a weight that stand with another one on an axis of the data or the result.

    They are in the order of these axes, whatever their order in the weight.
    """
    data = spec.inputs[:inputs]
    both = {*unique_names(data)} & {*unique_names((spec.output,))}
    met = (name for axis in _shared([*data, spec.output]) for name in axis.names)
    return tuple(dict.fromkeys(name for name in met if name in own and name not in both))


def _shared(terms: Iterable[Term]) -> Iterator[Affine]:
    """The axes on which several indices stand."""
    for axis in (axis for term in terms for axis in term):
        if isinstance(axis, Affine) and len(axis.names) > 1:
            yield axis


def _is_scattered(spec: Spec, name: str, inputs: int) -> bool:
    """Whether an element of the data goes to many of the result: a window in the result says so."""
    read = _shared(spec.inputs[:inputs])
    divided = any(axis.divisor != ONE for axis in read if name in axis.names)
    return divided or any(name in axis.names for axis in _shared([spec.output]))


def _turned(spec: Spec, window: Names, transposed: bool) -> frozenset[str]:
    """The taps that count against their positions; in gather form, those that do not."""
    return frozenset(
        name
        for axis in _shared(spec.terms)
        for name in set(axis.names).intersection(window)
        if _runs_back(axis, name) != _is_gathered(spec, axis, transposed)
    )


def _is_gathered(spec: Spec, axis: Affine, transposed: bool) -> bool:
    """Whether a transposed convolution says from where each element of the result is read."""
    return axis.divisor != ONE or (transposed and axis not in spec.output)


def _runs_back(axis: Affine, name: str) -> bool:
    signs = {each: (value.constant or 1) < 0 for each, value in axis.terms}
    return signs.pop(name) != any(signs.values())
