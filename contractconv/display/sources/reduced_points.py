"""Reductions that look at every point: all but sums and means.

The products of all points are computed, those that do not count are replaced by the identity of
the reduction, and the reduced axes are the last ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contractconv.display.sources.body import Body, Factor, Slot
from contractconv.display.sources.positions import Indices
from contractconv.display.sources.solving import RESULT
from contractconv.display.sources.text import operators
from contractconv.notation.spec import Spec
from contractconv.reductions.record import Record
from contractconv.reductions.table import REDUCTIONS


@dataclass(frozen=True, slots=True)
class Points:
    """The index space of a reduction.

    Attributes:
        record: the reduction.
        factors: the operands, read at every point.
        slots: the axes of the result.
        out: the indices of the result, a position for each axis on which products are put.
        reduced: the others, in row-major order.
        masks: where points count, as far as the factors do not say it.
        placed: where points land, as arrays of booleans.
    """

    record: Record
    factors: list[Factor]
    slots: list[Slot]
    out: Indices
    reduced: Indices
    masks: list[Factor]
    placed: list[Factor]

    @property
    def indices(self) -> Indices:
        """All indices, in the order of the axes of all products."""
        return (*self.out, *self.reduced)

    @property
    def last(self) -> tuple[int, ...]:
        """The reduced axes, counted from the end."""
        return tuple(range(-len(self.reduced), 0))


def points(
    body: Body, spec: Spec, operands: Sequence[str], natural: bool, apart: bool = False
) -> Points:
    """Read the operands of a reduction at every point.

    Args:
        body: where to write.
        spec: the contraction.
        operands: their variables.
        natural: whether the result has the shape that it asks for.
        apart: whether to tell a point outside from one that holds what stands outside.
    """
    slots = body.slots(RESULT, spec.output, natural)
    out = tuple(slot.index for slot in slots if slot.index is not None)
    rest = tuple(name for name in spec.indices if name not in out)
    body.positions.order = (*out, *rest)
    # One operand can hold the identity itself; in a product it would be multiplied.
    record = REDUCTIONS[spec.reduce]
    single = len(operands) == 1 and not (apart and record.chooses)
    body.fill, body.masks = (record, None) if single else (None, [])
    terms = zip(operands, spec.inputs, strict=True)
    factors = [body.read(array, n, term) for n, (array, term) in enumerate(terms)]
    placed = body.place(slots)
    return Points(record, factors, slots, out, rest, [*(body.masks or []), *placed], placed)


def reduce_points(body: Body, found: Points) -> str:
    """Reduce the products of all points, as an expression.

    Raises:
        ReductionError: the reduction has no source.
    """
    source = found.record.asked(found.record.source, "source")
    axes = _axes_as_they_are(found)
    array = _values(body, found) if axes is None else found.factors[0].text
    axes = found.last if axes is None else axes
    if not axes and found.record.keeps_one:
        return array
    return str(source(Writer(body, found, array, array), array, axes))


def _axes_as_they_are(found: Points) -> tuple[int, ...] | None:
    """The axes to reduce of a single operand that needs no rearranging."""
    factor, *others = found.factors
    kept = tuple(name for name in factor.indices if name not in found.reduced)
    once = len(factor.indices) == len(found.indices)
    if others or found.masks or kept != found.out or not once:
        return None
    return tuple(n for n, name in enumerate(factor.indices) if name in found.reduced)


def _values(body: Body, found: Points) -> str:
    """The products of all points; the identity where one does not count."""
    # A mask that has an index of its own repeats the products along it.
    own = {name for mask in found.masks for name in mask.indices}
    own -= {name for factor in found.factors for name in factor.indices}
    present = tuple(name for name in found.indices if name not in own)
    product = body.contracted(found.factors, present, found.factors[0].text)
    plain = product.isidentifier()
    values = product if plain else body.lines.new("values", product)
    if not found.masks:
        return values
    identity = body.identity(found.record, values)
    mask = _mask(body, found.masks, found.indices, values)
    repeated = Factor(values, present).among(found.indices)
    masked = body.dialect.call("where", mask, repeated, identity)
    return body.lines.new("values", masked) if plain else body.lines.assign(values, masked)


def _mask(body: Body, masks: Sequence[Factor], indices: Indices, like: str) -> str:
    text = " & ".join(mask.among(indices) for mask in masks)
    if operators(text):
        text = body.lines.once("inside", text)
    return body.dialect.mask(text, like)


def local_derivative(body: Body, found: Points, like: str) -> Factor:
    """The derivative of the result by each point: the second operand of the gradient.

    Args:
        body: where to write.
        found: the points.
        like: the array whose dtype the gradient gets.
    """
    record, local = found.record, found.record.local
    source = record.asked(local.source, "source of its derivative")
    values = _values(body, found)
    name = body.lines.names.fresh(local.letter)
    body.lines.comment(f"{name} is {local.meaning}.")
    if record.needs_infinity and not (body.outside or found.masks):
        values = body.lines.assign("values", body.dialect.floating(values))
    source(Writer(body, found, values, like), values, name)
    return Factor(name, found.indices)


class Writer:
    """What the record of a reduction writes with.

    Args:
        body: where to write.
        found: the points.
        values: the variable of all points, or of what is reduced.
        like: the array whose dtype the result gets.

    Attributes:
        dialect: the library's words.
        lines: what is written.
        last: the reduced axes of ``values``, counted from the end.
    """

    def __init__(self, body: Body, found: Points, values: str, like: str) -> None:
        self.dialect, self.lines, self.last = body.dialect, body.lines, found.last
        self.values, self.like = values, like
        self._body, self._found = body, found

    def extreme(self, name: str, array: str, axes: Sequence[int], keep: bool = False) -> str:
        """The ``"max"`` or ``"min"`` along some axes; the identity where there is nothing."""
        identity = self._body.identity(self._found.record, array)
        return self.dialect.extreme(name, array, axes, identity, keep)

    def counted(self, condition: str) -> str:
        """A condition, and that a point counts."""
        masks = self._found.masks
        return f"({condition}) & {self._mask(masks)}" if masks else condition

    def landed(self, variable: str) -> None:
        """Make a variable zero where a point lands nowhere."""
        if self._found.placed:
            mask = self._mask(self._found.placed)
            self.lines.assign(variable, self.dialect.call("where", mask, variable, "0"))

    def _mask(self, masks: Sequence[Factor]) -> str:
        return _mask(self._body, masks, self._found.indices, self.values)

    def flat(self, array: str) -> str:
        """An array of all points with the reduced axes as one, the last."""
        found, sizes = self._found, self._body.sizes
        if len(found.reduced) == 1:
            return array
        out = found.out
        kept = sizes.extents(out) if len(out) < 2 else f"*{array}.shape[:{len(out)}]"
        shape = filter(None, [kept, sizes.extents(found.reduced)])
        return self.lines.new("flat", f"{array}.reshape({', '.join(shape)})")

    def spread(self, variable: str, *chain: str) -> None:
        """Give a variable what was flat, with methods behind it, on all axes."""
        back = [f".reshape({self.values}.shape)"] * (len(self._found.reduced) != 1)
        self.lines.chain(variable, *chain, *back)

    def diagonal(self, flat: str) -> str:
        """Booleans for pairs of flat points, true where both are the same."""
        return self.dialect.diagonal(self._body.sizes.extents(self._found.reduced), flat)
