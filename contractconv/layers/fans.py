"""How many products are added up in one element of a result, and how many an element goes into.

Initialisers of weights are scaled by these numbers: Glorot and Bengio, "Understanding the
difficulty of training deep feedforward neural networks" (2010); He et al., "Delving deep into
rectifiers" (2015). They follow from the string, boundary aside: along each axis the *position* is
the index that slides, ``i`` of ``(2*i+k-1)``, and what is counted is the mean over an axis on which
positions go on for ever. So a stride of 2 halves what an element of the input reaches.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from math import lcm
from typing import NamedTuple

from contractconv.errors import OperandError, ShapeError
from contractconv.layers.counting import points
from contractconv.notation.affine import Affine
from contractconv.notation.extents import split_values
from contractconv.notation.problem import Access, Problem
from contractconv.notation.spec import SUM, Spec, Term, composed_names, lone_names, unique_names
from contractconv.planning.roles import roles


class Fans(NamedTuple):
    """How many points of the index space an element meets, on average.

    Attributes:
        fan_in: an element of the result.
        fan_out: an element of the input.
    """

    fan_in: Fraction
    fan_out: Fraction


class Columns(NamedTuple):
    """The indices of a weight by what they do, each in the weight's order.

    As a matrix a weight has a column for all values of ``made``, a row for all of ``summed``; there
    are as many matrices as ``groups`` have values.

    Attributes:
        made: those that the weight alone gives to the result.
        summed: those that the result does not have.
        groups: those of the result that other operands have, too.
    """

    made: tuple[str, ...]
    summed: tuple[str, ...]
    groups: tuple[str, ...]


def fans(spec: Spec, extents: Mapping[str, int], inputs: Sequence[int] = (0,)) -> Fans:
    """Read fan-in and fan-out from a string.

    Args:
        spec: the contraction.
        extents: the extents of its indices, and the values of its parameters; those of positions
            are not needed. What an ellipsis stands for is of every term.
        inputs: which operands are no weights; fan-out is that of the first one.

    Raises:
        OperandError: there is no such operand.
        ParameterError: a parameter has no value.
        ShapeError: an extent is missing.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> conv = parse("b (2*i+k-2) (2*j+l-2) c, k l c o -> b i j o")
        >>> fan_in, fan_out = fans(conv, {"k": 5, "l": 5, "c": 3, "o": 16})
        >>> str(fan_in), str(fan_out)
        ('75', '100')
    """
    if not inputs or not set(inputs) <= set(range(len(spec.inputs))):
        raise OperandError(f"'{spec}' has no operands {tuple(inputs)} that could be inputs")
    bound, known = split_values(spec, extents)
    data = [bound.inputs[n] for n in inputs]
    weights = [term for n, term in enumerate(bound.inputs) if n not in inputs]
    rest = unique_names(tuple(weights))
    return Fans(
        _points_each(bound, bound.output, _alone(data), rest, known),
        _points_each(bound, data[0], _alone([bound.output]), rest, known),
    )


def columns(spec: Spec, weight: int) -> Columns:
    """Tell apart the indices of a weight, of which a matrix can be made.

    Args:
        spec: the contraction, as it is written: taps of a scatter are of the result.
        weight: the position of the weight.

    Raises:
        OperandError: there is no such operand.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> columns(parse("b (i+k) g c, k g c o -> b i g o"), 1)
        Columns(made=('o',), summed=('k', 'c'), groups=('g',))
    """
    if not 0 <= weight < len(spec.inputs):
        raise OperandError(f"'{spec}' has no operand {weight}")
    mine = unique_names((spec.inputs[weight],))
    others = unique_names(tuple(term for n, term in enumerate(spec.inputs) if n != weight))
    found = roles(mine, others, unique_names((spec.output,)), mine)
    return Columns(found.rows, found.summed, found.batch)


def _alone(terms: Sequence[Term]) -> frozenset[str]:
    """The indices that stand on no axis with others, or in a composition."""
    return composed_names(terms).union(lone_names(terms))


def _points_each(
    spec: Spec, term: Term, alone: Collection[str], weights: Collection[str],
    extents: Mapping[str, int],
) -> Fraction:  # fmt: skip
    """How many points one element of a term meets.

    Args:
        spec: the contraction.
        term: one of its terms.
        alone: the indices that have axes of their own on the other side.
        weights: the indices of the weights.
        extents: of the indices.
    """
    positions, density = set(_alone([term])), Fraction(1)
    for axis in term:
        if isinstance(axis, Affine) and axis.terms and axis.plain is None:
            # A tap may stand on the other side as well: weights have taps, too.
            where = {n: (n in positions, n not in alone, n in weights) for n in axis.names}
            name = min(axis.names, key=where.__getitem__)
            step = dict(axis.terms)[name].number
            density *= Fraction(axis.divisor.number, abs(step))
            positions.add(name)
    return density * _points_at(spec, positions, extents)


def _points_at(spec: Spec, positions: set[str], extents: Mapping[str, int]) -> Fraction:
    """How many points have the same positions, on average: fractions are whole at some of them."""
    sizes = {name: _extent(spec, name, extents) for name in spec.indices if name not in positions}
    fractions = [axis for axis in spec.axes if isinstance(axis, Affine) and axis.fractional]
    period = lcm(*(axis.divisor.number for axis in fractions))
    met = positions.intersection(name for axis in fractions for name in axis.names)
    sizes |= dict.fromkeys(met, period)
    if 0 in sizes.values():
        return Fraction(0)
    accesses = tuple(_endless(axis, sizes) for axis in fractions)
    whole = points(Problem((accesses,), (), tuple(sizes.items()), SUM, ()))
    return Fraction(whole, period ** len(met))


def _extent(spec: Spec, name: str, extents: Mapping[str, int]) -> int:
    if name not in extents:
        raise ShapeError(f"the extent of {name} is missing for the fans of '{spec}'")
    return extents[name]


def _endless(axis: Affine, sizes: Mapping[str, int]) -> Access:
    """An axis with as many elements as are met, and begun so far below zero; it still divides."""
    met = Access.by(axis, 0)
    low, high = met.reach(sizes)
    moved = -(min(low, 0) // met.divisor) * met.divisor
    return Access(met.terms, met.offset + moved, met.divisor, (high + moved) // met.divisor + 1)
