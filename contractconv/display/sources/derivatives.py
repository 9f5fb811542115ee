"""Local derivatives of reductions that look at every point: the second operand of gradients."""

from __future__ import annotations

from collections.abc import Sequence

from contractconv.display.sources.printer import Array, Printer, Writer
from contractconv.engines.portable.nodes import Labels
from contractconv.engines.portable.translation import Contraction, points
from contractconv.notation.spec import SUM
from contractconv.reductions.record import Record
from contractconv.reductions.table import REDUCTIONS


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
    values = printer.masked(read, masks, labels, record).text
    name = printer.lines.names.fresh(local.letter)
    printer.lines.comment(f"{name} is {local.meaning}.")
    if record.needs_infinity and not (outside or masks):
        values = printer.lines.assign("values", printer.dialect.floating(values))
    source(PointWriter(printer, record, values, (out, reduced), masks, placed), values, name)
    return Array(name, labels)


class PointWriter(Writer):
    """What the record of a reduction writes the derivative by each point with.

    Args:
        printer: what else is written with.
        record: of the reduction.
        values: the variable of all points.
        labels: their indices, those that are kept and those that are reduced.
        masks: where points count, as far as the values do not say it.
        placed: where points land.

    Attributes:
        last: the reduced axes of ``values``, counted from the end.
        like: the array whose dtype the result gets.
    """

    def __init__(
        self,
        printer: Printer,
        record: Record,
        values: str,
        labels: tuple[Labels, Labels],
        masks: Sequence[Array],
        placed: Sequence[Array],
    ) -> None:
        super().__init__(printer, record)
        self.values, self.like = values, printer.like
        self._out, self._reduced = labels
        self.last = tuple(range(-len(self._reduced), 0))
        self._masks, self._placed = masks, placed

    def counted(self, condition: str) -> str:
        """A condition, and that a point counts."""
        return f"({condition}) & {self._mask(self._masks)}" if self._masks else condition

    def landed(self, variable: str) -> None:
        """Make a variable zero where a point lands nowhere."""
        if self._placed:
            mask = self._mask(self._placed)
            self.lines.assign(variable, self.dialect.call("where", mask, variable, "0"))

    def _mask(self, masks: Sequence[Array]) -> str:
        return self._printer.mask(masks, (*self._out, *self._reduced), self.values)

    def flat(self, array: str) -> str:
        """An array of all points with the reduced axes as one, the last."""
        if len(self._reduced) == 1:
            return array
        out, sizes = self._out, self._printer.sizes
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
