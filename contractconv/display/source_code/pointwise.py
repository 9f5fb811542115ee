"""Reductions that look at every point, and their local derivatives: the records write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contractconv.display.source_code.positions import Array
from contractconv.engines.portable.nodes import Labels
from contractconv.engines.portable.translation import Contraction, points
from contractconv.notation.spec import SUM
from contractconv.reductions.record import Record
from contractconv.reductions.table import REDUCTIONS

if TYPE_CHECKING:
    from contractconv.display.source_code.printer import Printer


def local_derivative(printer: Printer, contraction: Contraction) -> Array:
    """The derivative of a result by each point, with an axis for each index.

    The indices of the result come first, a position for each axis on which products are put.
    """
    record = REDUCTIONS[contraction.reduce]
    local = record.local
    source = record.asked(local.source, "source of its derivative")
    # A point outside must not be chosen, even where one inside holds the identity.
    single = len(contraction.operands) == 1 and not record.chooses
    factors, outside = points(contraction, record.name if single else SUM)
    out = printer.out(contraction.output)
    reduced = tuple(name for name in printer.sizes.spec.indices if name not in out)
    printer.positions.order = labels = (*out, *reduced)
    printer.asked(() if single else outside)
    read = [each for factor in factors for each in printer.factors(factor.node)]
    placed = printer.landing(contraction.output)
    masks = [*printer.inside(outside), *placed]
    values = printer.masked(read, masks, labels, record)
    name = printer.lines.names.fresh(local.letter)
    printer.lines.comment(f"{name} is {local.meaning}.")
    if record.needs_infinity and not (outside or masks):
        floating = printer.dialect.floating(values.text)
        values = Array(printer.lines.assign("values", floating), labels)
    source(Writer(printer, record, values, reduced, masks, placed), values.text, name)
    return Array(name, labels)


class Writer:
    """What the record of a reduction writes with.

    Attributes:
        dialect: the library's words.
        lines: what is written.
        values: the variable of all points, or of what is reduced.
        last: its reduced axes, counted from the end, if they are the last ones.
        like: the array whose dtype the result gets.
    """

    def __init__(
        self,
        printer: Printer,
        record: Record,
        values: Array,
        reduced: Labels = (),
        masks: Sequence[Array] = (),
        placed: Sequence[Array] = (),
    ) -> None:
        self.dialect, self.lines = printer.dialect, printer.lines
        self.values, self.like = values.text, printer.like
        self.last = tuple(range(-len(reduced), 0))
        self._printer, self._record = printer, record
        self._labels, self._reduced, self._masks, self._placed = (
            values.labels,
            reduced,
            masks,
            placed,
        )

    def extreme(self, name: str, array: str, axes: Sequence[int], keep: bool = False) -> str:
        """The ``"max"`` or ``"min"`` along some axes; the identity where there is nothing."""
        identity = self._printer.identity(self._record, array)
        return self.dialect.extreme(name, array, axes, identity, keep)

    def counted(self, condition: str) -> str:
        """A condition, and that a point counts."""
        return f"({condition}) & {self._mask(self._masks)}" if self._masks else condition

    def landed(self, variable: str) -> None:
        """Make a variable zero where a point lands nowhere."""
        if self._placed:
            mask = self._mask(self._placed)
            self.lines.assign(variable, self.dialect.call("where", mask, variable, "0"))

    def _mask(self, masks: Sequence[Array]) -> str:
        return self._printer.mask(masks, self._labels, self.values)

    def flat(self, array: str) -> str:
        """An array of all points with the reduced axes as one, the last."""
        if len(self._reduced) == 1:
            return array
        sizes = self._printer.sizes
        out = self._labels[: len(self._labels) - len(self._reduced)]
        kept = sizes.extents(out) if len(out) < 2 else f"*{array}.shape[:{len(out)}]"
        shape = filter(None, [kept, sizes.extents(self._reduced)])
        return self.lines.new("flat", f"{array}.reshape({', '.join(shape)})")

    def spread(self, variable: str, *chain: str) -> None:
        """Give a variable what was flat, with methods behind it, on all axes."""
        back = [f".reshape({self.values}.shape)"] * (len(self._reduced) != 1)
        self.lines.chain(variable, *chain, *back)

    def diagonal(self, flat: str) -> str:
        """Booleans for pairs of flat points, true where both are the same."""
        return self.dialect.diagonal(self._printer.sizes.extents(self._reduced), flat)
