"""Reductions that look at every point: maximum, minimum, product, logsumexp.

The products of all points are computed, those that do not count are replaced by the identity of
the reduction, and the reduced axes are the last ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contractconv.display.sources.body import Body, Factor, Slot
from contractconv.display.sources.positions import Indices
from contractconv.display.sources.sizes import RESULT
from contractconv.display.sources.wrapping import LINE
from contractconv.notation.spec import Spec

# What the local derivative is called, and what it is.
_LOCAL = {
    "max": ("S", "one at the first maximum, zero elsewhere"),
    "min": ("S", "one at the first minimum, zero elsewhere"),
    "prod": ("P", "the product of all other points"),
    "logsumexp": ("P", "the softmax over the reduced points"),
}


@dataclass(frozen=True, slots=True)
class Points:
    """The index space of a reduction.

    Attributes:
        reduce: the reduction.
        factors: the operands, read at every point.
        slots: the axes of the result.
        out: the indices of the result, a position for each axis on which products are put.
        reduced: the others, in row-major order.
        masks: where points count, as far as the factors do not say it.
        placed: where points land, as arrays of booleans.
    """

    reduce: str
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


def points(body: Body, spec: Spec, operands: Sequence[str]) -> Points:
    """Read the operands of a reduction at every point."""
    slots = body.slots(RESULT, spec.output, natural=True)
    out = tuple(slot.index for slot in slots if slot.index is not None)
    rest = tuple(name for name in spec.indices if name not in out)
    body.positions.order = (*out, *rest)
    # One operand can hold the identity itself; in a product it would be multiplied.
    body.fill, body.masks = (spec.reduce, None) if len(operands) == 1 else (None, [])
    terms = zip(operands, spec.inputs, strict=True)
    factors = [body.read(array, n, term) for n, (array, term) in enumerate(terms)]
    placed = body.place(slots)
    return Points(spec.reduce, factors, slots, out, rest, [*(body.masks or []), *placed], placed)


def reduce_points(body: Body, found: Points) -> str:
    """Reduce the products of all points, as an expression."""
    axes = _axes_as_they_are(found)
    if axes is not None:
        return _reduced(body, found.reduce, found.factors[0].text, axes)
    return _reduced(body, found.reduce, _values(body, found), found.last)


def _axes_as_they_are(found: Points) -> tuple[int, ...] | None:
    """The axes to reduce of a single operand that needs no rearranging."""
    factor, *others = found.factors
    kept = tuple(name for name in factor.indices if name not in found.reduced)
    once = len(factor.indices) == len(found.indices)
    if others or found.masks or kept != found.out or not once:
        return None
    return tuple(n for n, name in enumerate(factor.indices) if name in found.reduced)


def _reduced(body: Body, reduce: str, array: str, axes: tuple[int, ...]) -> str:
    if not axes:
        return array
    if reduce == "logsumexp":
        return body.dialect.logsumexp(array, axes)
    return body.dialect.reduced(reduce, array, axes)


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
    identity = body.identity(found.reduce, values)
    mask = _mask(body, found.masks, found.indices, values)
    repeated = Factor(values, present).among(found.indices)
    masked = body.dialect.call("where", mask, repeated, identity)
    return body.lines.new("values", masked) if plain else body.lines.assign(values, masked)


def _mask(body: Body, masks: Sequence[Factor], indices: Indices, like: str) -> str:
    text = " & ".join(mask.among(indices) for mask in masks)
    if len(text) > LINE // 2:
        text = body.lines.new("inside", text)
    return body.dialect.mask(text, like)


def local_derivative(body: Body, found: Points) -> Factor:
    """The derivative of the result by each point: the second operand of the gradient."""
    values = _values(body, found)
    symbol, meaning = _LOCAL[found.reduce]
    name = body.lines.names.fresh(symbol)
    derive = _softmax if found.reduce == "logsumexp" else _flat
    steps = derive(body, found, values)
    body.lines.comment(f"{name} is {meaning}.")
    body.lines.chain(name, *steps)
    if found.placed and found.reduce != "logsumexp":
        mask = _mask(body, found.placed, found.indices, values)
        never = "0" if found.reduce == "prod" else body.dialect.unselected
        body.lines.assign(name, body.dialect.call("where", mask, name, never))
    return Factor(name, found.indices)


def _flat(body: Body, found: Points, values: str) -> list[str]:
    """The derivative along all reduced axes as one, which are then taken apart again."""
    count = body.sizes.extents(found.reduced)
    if len(found.reduced) == 1:
        return _along_last(body, found.reduce, values, count)
    out = found.out
    kept = body.sizes.extents(out) if len(out) < 2 else f"*{values}.shape[:{len(out)}]"
    flat = body.lines.new("flat", f"{values}.reshape({', '.join(filter(None, [kept, count]))})")
    return [*_along_last(body, found.reduce, flat, count), f".reshape({values}.shape)"]


def _along_last(body: Body, reduce: str, flat: str, count: str) -> list[str]:
    if reduce == "prod":
        diagonal = body.dialect.diagonal(count, flat)
        others = body.dialect.call("where", diagonal, "1", f"{flat}[..., None, :]")
        return [others, body.dialect.reduced("prod", "", (-1,))]
    return [body.dialect.selected(f"arg{reduce}", flat, count)]


def _softmax(body: Body, found: Points, values: str) -> list[str]:
    total = body.dialect.logsumexp(values, found.last, keep=True)
    if body.outside or found.masks:  # there may be elements without a point
        total = body.lines.new("total", total)
        some = f"{total} > {body.dialect.identity(found.reduce, values)}"
        body.lines.assign(total, body.dialect.call("where", some, total, "0"))
    return [body.dialect.call("exp", f"{values} - {total}")]
