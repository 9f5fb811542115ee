"""Which points of a contraction land where another one does.

Points ``p`` and ``q`` land on one element of the result if each of its axes says the same of both.
Most indices of ``q`` follow from that: an index that an axis names alone is the same, and one of
``2*i+k`` is a fraction, ``i' = (2*i+k-k')/2``, which the notation reads where it is whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.spec import Composition, Term

Equation = tuple[tuple[str, Polynomial], ...]
"""Indices with coefficients: the sum of their products is the same for two points."""


@dataclass(frozen=True, slots=True)
class Landing:
    """The points that land where a point does.

    Attributes:
        places: each of their indices, by its name: the same one, a fraction, or a copy.
        copies: what the indices are called that may be anything, by those that they copy.
        conditions: what has to be the same for both beside that.
    """

    places: Mapping[str, Affine]
    copies: Mapping[str, str]
    conditions: tuple[Equation, ...]

    @property
    def is_plain(self) -> bool:
        """Whether every index is one by itself."""
        return all(place.plain for place in self.places.values())


def landing(output: Term, names: Sequence[str]) -> Landing:
    """Find the points that land where a point does.

    Args:
        output: the axes of the result, without an ellipsis.
        names: the indices.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> found = landing(parse("b i, k -> b (2*i+k-1)").output, ["b", "i", "k"])
        >>> [f"{name}: {place}" for name, place in found.places.items()]
        ['b: b', 'i: ((2*i+k-k_)/2)', 'k: k_']
    """
    kept = _kept(output)
    equations = list(dict.fromkeys(_equations(output, kept)))
    uses = Counter(name for equation in equations for name, _ in equation)
    solved = {n: (pivot, equation) for n, equation in enumerate(equations)
              if (pivot := _pivot(equation, uses)) is not None}  # fmt: skip
    pivots = dict(solved.values())
    copies = {n: _fresh(n, names) for n in names if n not in kept and n not in pivots}
    places = {name: Affine.index(copies.get(name, name)) for name in names}
    places |= {pivot: _solution(pivot, equation, copies) for pivot, equation in pivots.items()}
    left = tuple(equation for n, equation in enumerate(equations) if n not in solved)
    return Landing(places, copies, left)


def _kept(output: Term) -> set[str]:
    """The indices that are the same for all points that land on one element."""
    kept = {name for axis in output if isinstance(axis, Composition) for name in axis.names}
    size = -1
    while size < len(kept):
        size = len(kept)
        for axis in output:
            others = set(axis.names) - kept
            kept |= others if len(others) == 1 else set()
    return kept


def _equations(output: Term, kept: set[str]) -> Iterator[Equation]:
    for axis in output:
        if isinstance(axis, Affine):
            terms = tuple((name, c) for name, c in axis.terms if name not in kept)
            if terms:
                yield terms


def _pivot(equation: Equation, uses: Mapping[str, int]) -> str | None:
    """The index to solve for: one that no other equation has, with the greatest coefficient.

    The others stay as they are; those of windows have small coefficients, and small extents.
    """
    sizes = {
        name: (len(c.terms[0][0]), abs(c.terms[0][1]))
        for name, c in equation
        if uses[name] == 1 and len(c.terms) == 1
    }
    return max(sizes, key=lambda name: sizes[name], default=None)


def _solution(pivot: str, equation: Equation, copies: Mapping[str, str]) -> Affine:
    others = [(copies[name], -c) for name, c in equation if name != pivot]
    return Affine.of([*equation, *others], divisor=dict(equation)[pivot])


def _fresh(name: str, taken: Sequence[str]) -> str:
    copy = f"{name}_"
    while copy in taken:
        copy += "_"
    return copy
