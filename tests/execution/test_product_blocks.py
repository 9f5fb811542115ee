"""How products made by numpy are cut: every point once, nothing read again for little."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import pytest

from contractconv.arrays.index_boxes import Range
from contractconv.arrays.views import Labelled
from contractconv.engines.numpy.product_blocks import BLOCK, Blocks, of_packed, of_result


def unread(**sizes: int) -> Labelled:
    """A view of which only the form matters."""
    return Labelled(np.empty([*sizes.values()], np.int8), tuple(sizes))


def points(box: tuple[Range, ...], sizes: dict[str, int]) -> int:
    cut = {name: stop - start for name, start, stop in box}
    return prod({**sizes, **cut}.values())


@pytest.mark.parametrize("parts", [1, 4, 8])
@pytest.mark.parametrize(
    "sizes",
    [
        {"b": 8, "i": 28, "j": 28, "k": 3, "l": 3, "c": 24},
        {"b": 2, "i": 4, "j": 4, "k": 7, "l": 7, "c": 384},
        {"b": 1, "i": 1, "j": 1, "k": 1, "l": 1, "c": 5000},
        {"b": 3, "i": 101, "j": 7, "k": 1, "l": 1, "c": 1},
    ],
)
@pytest.mark.parametrize("columns", [1, 16, 512])
def test_blocks_cover_every_point_once(sizes: dict[str, int], columns: int, parts: int) -> None:
    summed = ("k", "l", "c")
    other = unread(**{n: sizes[n] for n in summed}, o=columns)
    out = unread(**{n: sizes[n] for n in "bij"}, o=columns)
    found = of_packed(unread(**sizes), other, out, summed, parts)
    whole = prod(sizes.values())
    assert sum(points((*r, *d), sizes) for r, d in product(found.rows, found.depth)) == whole
    assert max(points((*r, *d), sizes) for r, d in product(found.rows, found.depth)) <= BLOCK
    for boxes, names in ((found.rows, "bij"), (found.depth, summed)):
        assert len({*boxes}) == len(boxes)
        assert {name for box in boxes for name, _, _ in box} <= {*names}


def test_a_large_kernel_is_not_read_for_a_few_rows() -> None:
    # 128 rows of 18,816 numbers each, times 384 columns: eight parts of 16 rows would read
    # 28 MB each.
    sizes = {"b": 8, "i": 4, "j": 4, "k": 7, "l": 7, "c": 384}
    kernel, out = unread(k=7, l=7, c=384, o=384), unread(b=8, i=4, j=4, o=384)
    found = of_packed(unread(**sizes), kernel, out, ("k", "l", "c"), 8)
    assert found.sums
    assert found.rows == [()]
    assert len(found.depth) >= 8
    # Parts of their own do not read it again: each reads another one.
    kernels = unread(b=8, k=7, l=7, c=384, o=384)
    assert not of_packed(unread(**sizes), kernels, out, ("k", "l", "c"), 8).sums


def test_parts_of_a_result_are_of_about_one_size() -> None:
    found = of_result(unread(i=1000, o=3), 8)
    assert found == Blocks([(("i", n, n + 125),) for n in range(0, 1000, 125)], [()], False)
    sizes = [points(box, {"i": 15, "o": 3}) for box in of_result(unread(i=15, o=3), 4).rows]
    assert sum(sizes) == 45
    assert max(sizes) - min(sizes) <= 3
