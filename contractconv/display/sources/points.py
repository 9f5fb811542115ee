"""Reductions that look at every point: maximum, minimum, product, logsumexp.

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
    single = len(operands) == 1 and not (apart and spec.reduce in ("max", "min"))
    body.fill, body.masks = (spec.reduce, None) if single else (None, [])
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
    if reduce == "prod":
        return body.dialect.reduced(reduce, array, axes)
    return _extreme(body, reduce, array, axes)


def _extreme(body: Body, reduce: str, array: str, axes: tuple[int, ...], keep: bool = False) -> str:
    return body.dialect.extreme(reduce, array, axes, body.identity(reduce, array), keep)


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
    values = _values(body, found)
    symbol, meaning = _LOCAL[found.reduce]
    name = body.lines.names.fresh(symbol)
    body.lines.comment(f"{name} is {meaning}.")
    _DERIVED[found.reduce](body, found, values, name, like)
    return Factor(name, found.indices)


def _selected(body: Body, found: Points, values: str, name: str, like: str) -> None:
    """One at the first extremum of the points that count, zero elsewhere."""
    best = body.lines.new("best", _extreme(body, found.reduce, values, found.last, keep=True))
    hits = f"({values} == {best}) | ({values} != {values})"
    if found.masks:
        mask = _mask(body, found.masks, found.indices, values)
        hits = f"({hits}) & {mask}"
    hits = body.lines.new("hits", hits)
    flat = _flat(body, found, hits)
    first = f"{flat} & ({flat}.cumsum(-1) == 1)"
    body.lines.chain(name, body.dialect.truths(first, like), *_unflattened(found, values))


def _others(body: Body, found: Points, values: str, name: str, like: str) -> None:
    """The product of all other points; zero where a point does not land."""
    flat = _flat(body, found, values)
    diagonal = body.dialect.diagonal(body.sizes.extents(found.reduced), flat)
    others = body.dialect.call("where", diagonal, "1", f"{flat}[..., None, :]")
    product = body.dialect.reduced("prod", "", (-1,)) + body.dialect.cast(like)
    body.lines.chain(name, others, product, *_unflattened(found, values))
    if found.placed:
        mask = _mask(body, found.placed, found.indices, values)
        body.lines.assign(name, body.dialect.call("where", mask, name, "0"))


def _softmax(body: Body, found: Points, values: str, name: str, like: str) -> None:
    """Exponentials over their sum, shifted such that the greatest is one."""
    if not (body.outside or found.masks):
        values = body.lines.assign("values", body.dialect.floating(values))
    lowest = body.identity("logsumexp", values)
    top = body.dialect.extreme("max", values, found.last, lowest, keep=True)
    top = body.lines.new("top", top)
    body.lines.assign(top, body.dialect.call("where", body.dialect.call("isfinite", top), top, "0"))
    body.lines.assign(name, body.dialect.call("exp", f"{values} - {top}"))
    total = body.lines.new("total", body.dialect.reduced("sum", name, found.last, keep=True))
    some = body.dialect.call("where", f"{total} == 0", "1", total)
    body.lines.assign(name, f"{name} / {some}")


_DERIVED = {"max": _selected, "min": _selected, "prod": _others, "logsumexp": _softmax}


def _flat(body: Body, found: Points, values: str) -> str:
    """An array with all reduced axes as one, the last."""
    if len(found.reduced) == 1:
        return values
    out = found.out
    kept = body.sizes.extents(out) if len(out) < 2 else f"*{values}.shape[:{len(out)}]"
    sizes = filter(None, [kept, body.sizes.extents(found.reduced)])
    return body.lines.new("flat", f"{values}.reshape({', '.join(sizes)})")


def _unflattened(found: Points, values: str) -> list[str]:
    return [f".reshape({values}.shape)"] * (len(found.reduced) != 1)
