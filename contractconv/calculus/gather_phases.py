"""Splitting the divisions of a gather into phases: contractions without division.

A fraction ``((h-k+1)/2)`` contributes where 2 divides ``h-k+1``. With ``h = 2*h+r`` and
``k = 2*k+t`` (new indices under the old names) that holds everywhere or nowhere, and the fraction
is ``(h-k+c)`` without a division. Each residue ``r`` with the tap residue ``t`` that belongs to it
is a *phase*: a smaller contraction, dense in the cotangent, which reads every second tap and
writes every second element. Together the phases meet each contributing point exactly once.

In general all fractions together hold on a coset of a lattice. Its indices are divided into
*blocks*, output indices apart from reduced ones; the parts of the lattice on one block each span a
coarser lattice, and its cosets are the phases. Indices share a block only if the fractions have
independent columns for them: the positions of a coupled window ``((2*h-w)/3) ((2*w-h)/3)``,
which a common basis ``h = h, w = 3*w-h`` serves with fewer phases than one step for each. Then
some values of ``3*w-h`` lie outside, and an axis on which ``w`` stands alone drops them; an index
without such an axis has a block to itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from contractconv.calculus.lattice import Congruence, Coset, Lattice, Vector, independent, solve
from contractconv.errors import (
    ContractionError,
    ParameterError,
    ReductionError,
    with_carets,
)
from contractconv.notation.affine import LARGEST_INTEGER, ZERO, Affine, Polynomial
from contractconv.notation.carets import axes, marks
from contractconv.notation.spec import (
    Axis,
    Composition,
    Spec,
    composed_names,
    lone_names,
    unique_names,
)
from contractconv.reductions.table import REDUCTIONS

# Every phase is a contraction of its own to plan and to run: a stride of thousands must not start
# as many of them unasked.
MOST_PHASES = 4096

Substitution = dict[str, Affine]


@dataclass(frozen=True, slots=True)
class Phase:
    """One residue class of a gather: a contraction without division.

    Attributes:
        residues: what each index that is split stood for, in terms of the indices of ``spec``,
            which have the same names: ``("h", (2*h+1))``.
        spec: the contraction, with operands as the gather has them.
    """

    residues: tuple[tuple[str, Affine], ...]
    spec: Spec

    @property
    def meaning(self) -> str:
        """The residues as one reads them: ``h = 2*h+1, k = 2*k``."""
        return ", ".join(f"{name} = {str(place)[1:-1]}" for name, place in self.residues)

    def extents(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Return the extents of the phase's indices.

        Args:
            sizes: the extents of the gather's indices. One that plays no part in a division may
                be missing; it is missing in the result then.

        Returns:
            An extent, which may be 0, for each index given. Every index starts at 0.

        Example:
            >>> from contractconv.notation.parser import parse
            >>> even, odd = phases(parse("((h-k)/2), k -> h"))
            >>> odd.extents({"h": 9, "k": 3})
            {'h': 4, 'k': 1}
        """
        found = {name: sizes[name] for name in self.spec.indices if name in sizes}
        for name, place in self.residues:
            found[name] = _count(name, place, found)
        return found

    def __str__(self) -> str:
        return str(self.spec)


def phases(gather: Spec) -> tuple[Phase, ...]:
    """Split the divisions of a contraction into phases.

    Run with the same operands, the same ``output_shape`` and the extents of
    :meth:`Phase.extents`, the phases add up to the contraction (for ``max``, ``min``, ``prod``
    and ``logsumexp``, their results combine as the contributions do).

    Args:
        gather: a contraction whose divisions have no unbound parameters.

    Returns:
        The phases that have points, in the order of their residues; the contraction itself if it
        has no division; nothing if its divisions are nowhere whole together.

    Raises:
        ParameterError: a division has an unbound parameter.
        ReductionError: the reduction is a mean, which counts the points left out by a division.
        ContractionError: an index to be split stands in a composition, which only takes whole
            indices (the scatter form has no division); or there are more than 4096 phases, or
            numbers of more than 18 digits in them.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> for phase in phases(parse("((h-k+1)/2), k -> h")):
        ...     print(f"{str(phase):32} {phase.meaning}")
        (h-k), (2*k+1) -> (2*h)          h = 2*h, k = 2*k+1
        (h-k+1), (2*k) -> (2*h+1)        h = 2*h+1, k = 2*k
    """
    fractions = _fractions(gather)
    if not fractions:
        return (Phase((), gather),)
    splitting = _Splitting.of(gather, fractions)
    part = splitting.part()
    solutions = _solutions(gather, splitting, part)
    residues = () if solutions is None else sorted(solutions.split(part))
    return tuple(splitting.phase(gather, residue, part) for residue in residues)


def count_phases(gather: Spec) -> int:
    """How many phases there are, without making them.

    Raises:
        ContractionError: as for :func:`phases`, but for the length of numbers.
    """
    fractions = _fractions(gather)
    if not fractions:
        return 1
    splitting = _Splitting.of(gather, fractions)
    part = splitting.part()
    solutions = _solutions(gather, splitting, part)
    return 0 if solutions is None else solutions.count(part)


def _solutions(gather: Spec, splitting: _Splitting, part: Lattice) -> Coset | None:
    """Where the divisions of a contraction are whole together; ``None`` if they never are."""
    if REDUCTIONS[gather.reduce].averages:
        raise ReductionError(
            f"a mean divides by all its points, those that the divisions of '{gather}' leave out "
            "too: its phases do not add up"
        )
    solutions = solve(splitting.congruences, len(splitting.names))
    if solutions is not None:
        _check_compositions(gather, splitting.names, part)
        _check_count(gather, solutions, part)
    return solutions


def _fractions(spec: Spec) -> list[Affine]:
    """The distinct fractional axes, which must not have parameters."""
    found = [(p, a) for p, a in axes(spec) if isinstance(a, Affine) and a.fractional]
    unbound = [(place, axis) for place, axis in found if axis.parameters]
    if unbound:
        names = sorted(set[str]().union(*(axis.parameters for _, axis in unbound)))
        message = f"unbound in a division: the parameter{'s' * (len(names) > 1)} {', '.join(names)}"
        give = ", ".join(f"{name}=..." for name in names)
        where = marks(spec, [place for place, _ in unbound])
        hint = f"only numbers have residues: bind first with .bind({give})"
        raise ParameterError(with_carets(message, *where, hint))
    return list(dict.fromkeys(axis for _, axis in found))


@dataclass(frozen=True, slots=True)
class _Splitting:
    """The indices of some fractions, in blocks, and the congruences on them in this order."""

    fractions: tuple[Affine, ...]
    blocks: tuple[tuple[str, ...], ...]

    @staticmethod
    def of(spec: Spec, fractions: Sequence[Affine]) -> _Splitting:
        divided = {name for axis in fractions for name in axis.names}
        kept, composed = set(unique_names((spec.output,))), composed_names(spec.terms)
        # The first index of a block is the most likely one to stay whole.
        names = sorted(divided, key=lambda name: (name not in composed, spec.indices.index(name)))
        sides = ([n for n in names if n in kept], [n for n in names if n not in kept])
        alone = lone_names(spec.terms)  # whose own axis is as long as their extent
        blocks = [block for side in sides for block in _blocks(side, alone, fractions)]
        return _Splitting(tuple(fractions), tuple(blocks))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for block in self.blocks for name in block)

    @property
    def congruences(self) -> list[Congruence]:
        columns = [_column(name, self.fractions) for name in self.names]
        rows = list(zip(*columns, strict=True)) or [()] * len(self.fractions)
        return [
            Congruence(row, axis.offset.number, axis.divisor.number)
            for row, axis in zip(rows, self.fractions, strict=True)
        ]

    def part(self) -> Lattice:
        """The lattice made of the solutions on one block each."""
        parts, start = [], 0
        for block in self.blocks:
            coordinates = range(start, start + len(block))
            steps = solve([c.on(coordinates) for c in self.congruences], len(block))
            assert steps is not None, "zero is a solution where there are no offsets"
            parts.append(steps.lattice)
            start += len(block)
        return Lattice.direct_sum(parts)

    def phase(self, spec: Spec, residue: Vector, part: Lattice) -> Phase:
        """The phase of one residue class."""
        places = dict(zip(self.names, _places(self.names, residue, part), strict=True))
        # An index that comes to stand alone would claim the size of that axis. It begins one
        # step earlier instead, outside the axis, where nothing contributes.
        while alone := self._standing_alone(places):
            places = {name: _substituted(place, alone) for name, place in places.items()}
        split = tuple((n, place) for n, place in places.items() if place.plain is None)
        return Phase(split, _substituted_everywhere(spec, dict(split)))

    def _standing_alone(self, places: Substitution) -> Substitution:
        """Each index that is a whole fraction by itself, and where it is one step earlier."""
        whole = {_substituted(axis, places).plain for axis in self.fractions}
        one = Polynomial.of(1)
        return {name: Affine.of([(name, one)], -one) for name in whole if name is not None}


def _blocks(
    names: Sequence[str], alone: Collection[str], fractions: Sequence[Affine]
) -> list[tuple[str, ...]]:
    blocks: list[tuple[str, ...]] = [(name,) for name in names if name not in alone]
    rest = [name for name in names if name in alone]
    while rest:
        columns = [_column(name, fractions) for name in rest]
        # At least one: an index that is in no fraction is not among the names.
        block = tuple(rest[n] for n in independent(columns))
        blocks.append(block)
        rest = [name for name in rest if name not in block]
    return blocks


def _column(name: str, fractions: Sequence[Affine]) -> Vector:
    return tuple(dict(axis.terms).get(name, ZERO).number for axis in fractions)


def _places(names: Sequence[str], residue: Vector, part: Lattice) -> Iterable[Affine]:
    """Each index in terms of the new ones, which count the vectors of the basis."""
    for n, start in enumerate(residue):
        order = [n, *range(n)]
        terms = [(names[v], Polynomial.of(part.basis[v][n])) for v in order]
        yield Affine.of(terms, Polynomial.of(start))


def _substituted(axis: Affine, places: Substitution) -> Affine:
    """The axis in terms of the new indices; those not in ``places`` stay."""
    total = Affine.of((), axis.offset)
    for name, coefficient in axis.terms:
        total += places.get(name, Affine.index(name)).scaled(coefficient)
    return total.over(axis.divisor)


def _substituted_everywhere(spec: Spec, places: Substitution) -> Spec:
    split = spec.mapped(lambda a: _substituted(a, places) if isinstance(a, Affine) else a)
    if any(axis.largest > LARGEST_INTEGER for axis in split.axes):
        raise ContractionError(f"a phase of '{spec}' has numbers of more than 18 digits")
    return split


def _check_compositions(spec: Spec, names: Sequence[str], part: Lattice) -> None:
    composed = composed_names(spec.terms)
    for name, step in zip(names, part.diagonal, strict=True):
        if step > 1 and name in composed:
            message = f"{name} must be split modulo {step}, but stands in a composition"
            places = [place for place, axis in axes(spec) if _ties(axis, name)]
            hint = "a composition takes whole indices; the scatter form needs no division"
            raise ContractionError(with_carets(message, *marks(spec, places), hint))


def _ties(axis: Axis, name: str) -> bool:
    return name in axis.names and (axis.fractional or isinstance(axis, Composition))


def _check_count(spec: Spec, solutions: Coset, part: Lattice) -> None:
    count = solutions.count(part)
    if count > MOST_PHASES:
        raise ContractionError(
            f"'{spec}' has {count} phases, the most is {MOST_PHASES}; "
            "the scatter form needs no division"
        )


def _count(name: str, place: Affine, extents: Mapping[str, int]) -> int:
    """How many values, from 0 on, an index needs to reach the end of what it stood for."""
    steps = {index: coefficient.number for index, coefficient in place.terms}
    step = steps.pop(name)
    room = extents[name] - 1 - place.offset.number
    # The other indices only take away: the more of them, the further this one goes.
    room -= sum(other * max(0, extents[index] - 1) for index, other in steps.items())
    return max(0, room // step + 1)
