"""Products whose indices both operands keep: depthwise sums, which no matrix speeds up.

The innermost loop runs along a *lane*: the index whose elements lie side by side in the larger
operand, and the one that follows it in memory. Where the smaller operand does not have the latter,
it is repeated; where the result does not have it, it is summed in the end. Short rows of a window
are one lane with what lies between them, of which the results are left out in the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, product
from math import prod

import numpy as np

from contractconv.arrays.index_boxes import Range, boxes, within
from contractconv.arrays.summation import TERMS, added, summed
from contractconv.arrays.views import Array, Labelled, Labels, put
from contractconv.engines.numpy.short_rows import short_rows
from contractconv.machine.work_sharing import carried_out, evenly, portions
from contractconv.planning.roles import roles

# Elements of a lane at which a loop costs little beside its multiplications.
_LANE = 1 << 12
# Elements of what is repeated, or summed in the end; and of a result that are made at once.
BESIDE = 1 << 16
# How many times longer a multiplication takes than in matrix products.
_SLOWNESS = 4
# Terms of a sum that is elementwise although one operand has nothing along the lane.
_MOST_TERMS = 64


def is_elementwise(left: Labelled, right: Labelled, labels: Labels) -> bool:
    """Whether matrices would be vectors, along which nothing is summed."""
    found = roles(left.labels, right.labels, labels, labels)
    if (found.rows and found.columns) or not found.batch:
        return False
    big, small = _by_size(left, right)
    lane = _lane(big, small, labels)
    if lane not in labels or lane in small.labels:
        return lane in labels
    terms = prod(size for n, size in big.sizes.items() if n not in labels)
    return terms <= _MOST_TERMS and 16 * terms <= big.array.size // terms


def add_elementwise(left: Labelled, right: Labelled, out: Labelled, accumulate: bool) -> None:
    """Write sums of products, or add them to what is there."""
    big, small = _by_size(left, right)
    lane = _lane(big, small, out.labels)
    name, most = _joined(lane, big, small, out)
    if name in out.labels:
        for part, other, target in _lanes(big, small, out, (name, lane), most):
            _add_blocks(part, other, target, accumulate)
        return
    labels = _in_order(big, out.labels)
    place = out.arranged(labels)
    total = added(
        _sum(part, other, labels, lane, place.shape)
        for part, other, _ in _lanes(big, small, out, (name, lane), most)
    )
    put(total, place, accumulate)


def _lanes(
    big: Labelled, small: Labelled, out: Labelled, joined: tuple[str, str], most: int
) -> Iterator[tuple[Labelled, Labelled, Labelled]]:
    """Both operands and the result, some values at a time of what lengthens the lane."""
    name, lane = joined
    for start in range(0, big.sizes[name], most):
        box = [(name, start, min(start + most, big.sizes[name]))]
        part, other, target = (within(view, box) for view in (big, small, out))
        if name != lane:
            other = _repeated(other, part, name, lane)
            part, other, target = (view.joined(name, lane) for view in (part, other, target))
        yield part, other, target


def _by_size(left: Labelled, right: Labelled) -> tuple[Labelled, Labelled]:
    return (left, right) if left.array.size >= right.array.size else (right, left)


def _lane(view: Labelled, small: Labelled, labels: Labels) -> str:
    """The index along which elements are neighbours; of several, the longest one.

    If that is one of few taps, which jump: the nearest of results.
    """
    sizes, steps = view.sizes, view.steps

    def nearest(names: Sequence[str]) -> str:
        return min(names, key=lambda n: (sizes[n] == 1, abs(steps[n]), -sizes[n]))

    found = nearest(view.labels)
    kept = [n for n in view.labels if n in labels and n not in small.labels]
    terms = prod(size for n, size in sizes.items() if n not in labels)
    return nearest(kept) if kept and found not in labels and terms <= _MOST_TERMS else found


def _joined(lane: str, big: Labelled, small: Labelled, out: Labelled) -> tuple[str, int]:
    """The index that lengthens the lane, and how many of its values are taken at once."""
    sizes, views = big.sizes, (big, small, out)
    following = [n for n in big.labels if all(_follows(n, lane, view) for view in views)]
    name = max(following, key=sizes.__getitem__, default=lane)
    beside = [view.array.size for view in (small, out) if name not in view.labels]
    room = min(_LANE // sizes[lane], BESIDE // max(beside, default=1), sizes[name])
    return (name, room) if name != lane and room > 1 else (lane, sizes[lane])


def _follows(name: str, lane: str, view: Labelled) -> bool:
    """Whether elements along two indices are those of one index, as far as a view has them."""
    steps = view.steps
    if name == lane or name not in steps:
        return name != lane
    return lane in steps and steps[name] == steps[lane] * view.sizes[lane]


def _repeated(small: Labelled, big: Labelled, name: str, lane: str) -> Labelled:
    """A copy that is constant along an index, just outside of the lane; or the view as it is."""
    if name in small.labels or lane not in small.labels:
        return small
    labels = (*(n for n in small.labels if n != lane), name, lane)
    sizes = small.sizes | {name: big.sizes[name]}
    copy = np.empty([sizes[n] for n in labels], small.array.dtype)
    copy[...] = small.arranged(labels)
    return Labelled(copy, labels)


def _add_blocks(big: Labelled, small: Labelled, out: Labelled, accumulate: bool) -> None:
    """Make a result block by block, each in one sweep."""
    labels = _in_order(big, out.labels)
    points = _SLOWNESS * big.array.size
    shape = [out.sizes[n] for n in labels]
    most = min(BESIDE, -(-out.array.size // portions(points)))

    def work(run: Sequence[tuple[Range, ...]]) -> None:
        for box in run:
            part, other, target = (within(view, box) for view in (big, small, out))
            _add_block(part, other, target, labels, accumulate)

    carried_out(work, list(boxes(shape, labels, most)), points)


def _add_block(
    big: Labelled, small: Labelled, out: Labelled, labels: Labels, accumulate: bool
) -> None:
    target, rows = out.arranged(labels), short_rows(_lane(big, small, labels), big, small, labels)
    if rows is not None:
        names = tuple(n for n in labels if n != rows.rows)
        made = Labelled(_swept(rows.as_lane(big), small, names), names)
        put(rows.as_rows(made).arranged(labels), target, accumulate)
    elif accumulate:
        np.add(target, _swept(big, small, labels), out=target)
    else:
        _swept(big, small, labels, target)


def _sum(
    big: Labelled, small: Labelled, labels: Labels, lane: str, shape: tuple[int, ...]
) -> Array:
    """Make a short result of long sums, of which the lane has several, part by part."""
    gone, sizes = [n for n in big.labels if n not in labels], big.sizes
    longest = max(gone, key=sizes.__getitem__, default=lane)
    points = _SLOWNESS * big.array.size
    parts = 1 if longest == lane else portions(points)
    ranges = [(longest, some.start, some.stop) for some in evenly(sizes[longest], parts)]

    def work(run: Sequence[Range]) -> list[Array]:
        return [_swept(within(big, [box]), within(small, [box]), labels) for box in run]

    sums = added(chain(*carried_out(work, ranges, points if parts > 1 else 0)))
    place = labels.index(lane)
    return summed(sums.reshape((*sums.shape[:place], -1, *shape[place:])), (place,))


def _in_order(big: Labelled, labels: Labels) -> Labels:
    """Some indices as they lie in an operand, behind those that it does not have."""
    return (*(n for n in labels if n not in big.labels), *(n for n in big.by_stride if n in labels))


def _swept(big: Labelled, small: Labelled, labels: Labels, out: Array | None = None) -> Array:
    """Sums of products in sweeps over memory, in which each product is added at once."""
    sizes = {**small.sizes, **big.sizes}
    gone = [n for n in sizes if n not in labels]
    terms = prod(sizes[n] for n in gone)
    if terms <= TERMS or big.array.dtype.kind not in "fc":
        return _at_once(big, small, labels, out)
    total = added(_sums_of_blocks(big, small, gone, labels))
    if out is None:
        return total
    np.copyto(out, total)
    return out


def _sums_of_blocks(
    big: Labelled, small: Labelled, gone: Sequence[str], labels: Labels
) -> Iterator[Array]:
    """Sums of many blocks of few products each, some of them at a time."""
    sizes, room = {**small.sizes, **big.sizes}, TERMS
    *others, longest = sorted(gone, key=sizes.__getitem__)
    beside: list[str] = []
    for name in others:
        if sizes[name] <= room:
            room //= sizes[name]
        else:
            beside.append(name)
    results = prod(sizes[n] for n in (*beside, *labels))
    most = room * max(1, BESIDE // results)
    for start in range(0, sizes[longest], most):
        stop = min(start + most, sizes[longest])
        # What does not make up a block is one of its own.
        whole = start + (stop - start) // room * room
        for box, size in (((longest, start, whole), room), ((longest, whole, stop), stop - whole)):
            if box[1] < box[2]:
                one, two = (within(view, [box]).opened(longest, size) for view in (big, small))
                outer = (f"blocks of {longest}", *beside)
                yield summed(_at_once(one, two, (*outer, *labels)), tuple(range(len(outer))))


def _at_once(big: Labelled, small: Labelled, labels: Labels, out: Array | None = None) -> Array:
    """Sums of products in one sweep, or one for each tap that lies nearer than the lane."""
    near = _nearer(big, small, labels)
    if not near:
        return _einsum(big, small, labels, out)
    total, term = out, None
    for number, values in enumerate(product(*(range(big.sizes[n]) for n in near))):
        tap = dict(zip(near, values, strict=True))
        factors = big.at(tap), small.at(tap)
        if number == 0 or total is None:
            total = _einsum(*factors, labels, total)
        else:
            term = _einsum(*factors, labels, term)
            np.add(total, term, out=total)
    assert total is not None, "there is at least one tap"
    return total


def _nearer(big: Labelled, small: Labelled, labels: Labels) -> list[str]:
    """Few indices that are summed, along which numpy would run instead of along the lane."""
    steps, sizes, lane = big.steps, big.sizes, _lane(big, small, labels)
    near = [n for n in big.labels if n not in labels and abs(steps[n]) <= abs(steps[lane])]
    few = prod(sizes[n] for n in near) <= TERMS
    return [n for n in near if sizes[n] > 1] if few and lane in labels else []


def _einsum(big: Labelled, small: Labelled, labels: Labels, out: Array | None) -> Array:
    numbers = {name: n for n, name in enumerate(dict.fromkeys((*big.labels, *small.labels)))}
    one, two, kept = ([numbers[n] for n in names] for names in (big.labels, small.labels, labels))
    made: Array = np.einsum(big.array, one, small.array, two, kept, out=out)
    return made
