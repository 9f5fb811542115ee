"""How a matrix product is cut into blocks, of which each is packed and multiplied by itself.

A block has some rows of the operand that must be packed, and some of what they sum. Whatever is
read again for each block of rows is paid for by having many of them; what is added up for each
block of a sum, by having many terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from contractconv.arrays.index_boxes import Range, boxes
from contractconv.arrays.views import Labelled, Labels

# Elements of a packed block: 4 MiB of float32. Beside smaller ones, which a second-level cache
# would hold, what Python does for each of them takes too long.
BLOCK = 1 << 20
# Rows for which a BLAS lays out the other operand anew at little cost.
_ROWS = 64

Box = tuple[Range, ...]


class Blocks(NamedTuple):
    """The blocks of a product: every one of ``rows`` meets every one of ``depth``.

    Attributes:
        rows: boxes of indices that the result has.
        depth: boxes of those that are summed.
        sums: whether threads share what is summed, and not the results.
    """

    rows: list[Box]
    depth: list[Box]
    sums: bool


def of_result(out: Labelled, parts: int) -> Blocks:
    """So many parts of a result whose operands are multiplied as they lie."""
    order = out.by_stride
    shape = [out.sizes[label] for label in order]
    return Blocks(list(boxes(shape, order, -(-out.array.size // parts))), [()], False)


def of_packed(
    packed: Labelled, other: Labelled, out: Labelled, summed: Labels, parts: int
) -> Blocks:
    """Blocks of an operand that is packed, for so many parts of the work.

    Args:
        packed: the operand.
        other: what it is multiplied by.
        out: the result.
        summed: the indices that are summed.
        parts: how many threads may share the work at most.
    """
    order, sizes = packed.by_stride, packed.sizes
    kept, gone = ([n for n in order if (n in summed) == is_summed] for is_summed in (False, True))
    rows, depth = (prod(sizes[n] for n in names) for names in (kept, gone))

    def cut(names: Sequence[str], most: int) -> list[Box]:
        return list(boxes([sizes[n] for n in names], names, max(1, most)))

    shared = cut(kept, -(-rows // parts))
    if _read_again(shared, other) * other.array.size > 2 * parts * out.array.size:
        return Blocks([()], cut(gone, min(-(-depth // parts), BLOCK // rows)), True)
    most = min(-(-rows // parts), max(BLOCK // depth, _ROWS))
    return Blocks(cut(kept, most), cut(gone, BLOCK // most), False)


def _read_again(rows: Sequence[Box], other: Labelled) -> int:
    """How often boxes of rows read again what they need of the other operand."""
    parts = {tuple(range for range in box if range[0] in other.labels) for box in rows}
    return len(rows) // len(parts) - 1
