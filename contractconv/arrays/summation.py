"""Long sums in blocks, so that what is rounded grows with their depth, not with their length.

numpy adds pairwise along the axis whose numbers are neighbours, and one after the other along all
others; a BLAS likewise, in lines of some hundred products. In float32 a sum of ten million equal
terms then loses every digit. Here no number has more than some hundred terms added to it in turn:
sums of blocks are summed as numbers themselves are. How blocks are cut depends on shapes and
strides alone, so that the same sum is rounded the same way every time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

import numpy as np

from contractconv.arrays.matrix_products import matrix_product
from contractconv.arrays.views import Array
from contractconv.cache_register import kept

# Terms that are added one after the other.
TERMS = 64
# Numbers in a row that numpy adds to another row at full speed.
_ROW = 512
# Elements that are summed in one go, and those of the sums of blocks that are kept meanwhile.
_LARGE, _PARTIAL = 1 << 22, 1 << 18
# Products that a BLAS is given at once: of two vectors it adds up many lanes at a time
# (and of longer ones in threads, which wait for each other longer than they add), of a vector
# and a matrix line by line, of small matrices all in one line, and of large ones in blocks.
_DOT, _VECTOR, _SMALL, _LARGE_MATRIX = 1 << 13, 1024, 512, 2048
# Elements of a small matrix.
_FEW = 1 << 12


def summed(array: Array, axes: tuple[int, ...]) -> Array:
    """The sum over some axes.

    Args:
        array: numbers of any dtype; integers wrap around.
        axes: its axes that are summed, ascending, not negative.

    Returns:
        An array without these axes, of the same dtype.

    Example:
        >>> x = np.full((1 << 22, 2), 0.1, np.float32)
        >>> bool(abs(summed(x, (0,))[0] / (1 << 22) - 0.1) < 1e-6), bool(x.mean(axis=0)[0] < 0.097)
        (True, True)
    """
    terms = 1
    for axis in axes:
        terms *= array.shape[axis]
    if terms <= TERMS or array.dtype.kind not in "fc":
        return np.asarray(np.add.reduce(array, axis=axes, dtype=array.dtype))
    still = [axis for axis in axes if not array.strides[axis] and array.shape[axis] > 1]
    if still:
        # Of a number that is repeated the sum is a product.
        repeats = prod(array.shape[axis] for axis in still)
        once = array[tuple(slice(1) if n in still else slice(None) for n in range(array.ndim))]
        return np.asarray(summed(once, axes) * array.dtype.type(repeats))
    for axis in axes[:0:-1]:
        if array.strides[axis - 1] == array.strides[axis] * array.shape[axis] and axis - 1 in axes:
            return summed(_joined(array, axis), tuple(n - (n >= axis) for n in axes if n != axis))
    lines = _lines(array, axes)
    if prod(array.shape[axis] for axis in lines) <= TERMS:
        return np.asarray(np.add.reduce(array, axis=axes))
    if array.size > _LARGE:
        return _in_parts(array, axes)
    made = _with_longer_rows(array, axes)
    return _in_blocks(array, axes, lines) if made is None else made


def multiplied(left: Array, right: Array, out: Array | None = None) -> Array:
    """The product of matrices, or of stacks of them, as ``np.matmul`` makes it.

    Args:
        left: of shape ``(..., rows, depth)``.
        right: of shape ``(..., depth, columns)``.

    Example:
        >>> multiplied(np.ones((1, 9000), np.float32), np.ones((9000, 1), np.float32))
        array([[9000.]], dtype=float32)
    """
    depth = left.shape[-1]
    block = even_block(depth, terms_at_once(left.shape[-2], right.shape[-1]))
    if depth <= block or left.dtype.kind not in "fc":
        return matrix_product(left, right, out)
    blocks = depth // block
    lefts = _first(_split(left, left.ndim - 1, block), left.ndim - 1)
    rights = _first(_split(right, right.ndim - 2, block), right.ndim - 2)
    size = prod(left.shape[:-1]) * right.shape[-1]
    most = max(1, _PARTIAL // max(size, 1))
    total = added(
        summed(matrix_product(lefts[n : n + most], rights[n : n + most]), (0,))
        for n in range(0, blocks, most)
    )
    rest: Array | int = 0
    if blocks * block < depth:
        rest = matrix_product(left[..., blocks * block :], right[..., blocks * block :, :])
    return np.add(total, rest, out=out)


def _first(array: Array, axis: int) -> Array:
    """One axis before all others; numpy's own function takes as long as a small product."""
    return array.transpose((axis, *range(axis), *range(axis + 1, array.ndim)))


def terms_at_once(rows: int, columns: int) -> int:
    """Products of which a BLAS may make each number of a matrix in one go."""
    if rows == columns == 1:
        return _DOT
    if rows == 1 or columns == 1:
        return _VECTOR
    return _SMALL if rows * columns <= _FEW else _LARGE_MATRIX


def even_block(size: int, most: int) -> int:
    """The largest block of so many numbers at most that divides them, if it is not too small.

    Example:
        >>> even_block(6, 8), even_block(12, 8), even_block(17, 8)
        (6, 6, 8)
    """
    return size if size <= most else _even_block(size, most)


@kept(most=1024)
def _even_block(size: int, most: int) -> int:
    dividing = [n for n in range(most, most // 2, -1) if size % n == 0]
    # An even number of blocks is the same work for two threads, or four.
    return next((n for n in dividing if size // n % 2 == 0), max(dividing, default=most))


def added(terms: Iterable[Array]) -> Array:
    """The sum of arrays as they come, pairwise; they are overwritten.

    Example:
        >>> added(np.full(2, n) for n in range(5))
        array([10, 10])
    """
    waiting: list[Array] = []
    for number, term in enumerate(terms, 1):
        total = term
        # Of every two sums of as many terms one more is made: so few of them wait.
        for _ in range((number & -number).bit_length() - 1):
            total = np.add(waiting.pop(), total, out=total)
        waiting.append(total)
    total = waiting.pop()
    while waiting:
        total = np.add(waiting.pop(), total, out=total)
    return total


def _by_stride(array: Array) -> list[int]:
    """The axes in the order of memory, the innermost one last."""
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    return [axis for axis in order if array.shape[axis] > 1]


def _lines(array: Array, axes: tuple[int, ...]) -> list[int]:
    """The summed axes along which numpy adds number after number, not pairwise."""
    lines, inner = [], True
    follows = None
    for axis in reversed(_by_stride(array)):
        inner = inner and axis in axes and array.strides[axis] == (follows or array.strides[axis])
        follows = array.strides[axis] * array.shape[axis]
        if axis in axes and not inner:
            lines.append(axis)
    return lines


def _in_parts(array: Array, axes: tuple[int, ...]) -> Array:
    """Halves of a long sum, or parts of a large result: sums of blocks take little memory then."""
    axis = _by_stride(array)[0]
    size = array.shape[axis]
    if axis in axes:
        return summed(_part(array, axis, 0, size // 2), axes) + summed(
            _part(array, axis, size // 2, size), axes
        )
    kept = [n for n in range(array.ndim) if n not in axes]
    out = np.empty([array.shape[n] for n in kept], array.dtype)
    rows = max(1, _LARGE * size // array.size)
    for start in range(0, size, rows):
        made = summed(_part(array, axis, start, start + rows), axes)
        _part(out, kept.index(axis), start, start + rows)[...] = made
    return out


def _with_longer_rows(array: Array, axes: tuple[int, ...]) -> Array | None:
    """Short rows of a result several at a time; ``None`` if they do not lie in one line."""
    order = _by_stride(array)
    row, follows = 1, None
    for axis in reversed(order):
        adjoins = follows in (None, array.strides[axis])
        if axis in axes or not adjoins:
            break
        row *= array.shape[axis]
        follows = array.strides[axis] * array.shape[axis]
    else:
        return None
    size = array.shape[axis]
    together = min(_ROW // row, size // TERMS)
    if not (axis in axes and adjoins and follows) or together < 2:
        return None
    head, left = _split(array, axis, together), size % together
    # Of the two axes the inner one is kept for now.
    moved = tuple(n + (n > axis) for n in axes)
    partial = summed(head, moved)
    total = summed(partial, (sum(n not in axes for n in range(axis)),))
    return total + summed(_part(array, axis, size - left, size), axes) if left else total


def _in_blocks(array: Array, axes: tuple[int, ...], lines: list[int]) -> Array:
    """Sums of blocks of the longest axis, and then their sum."""
    axis = max(lines, key=lambda n: array.shape[n])
    size = array.shape[axis]
    others = prod(array.shape[n] for n in lines) // size
    whole = 2 * others <= TERMS
    block = min(size, TERMS // others if whole else TERMS)
    left = size % block
    moved = tuple(n + (n > axis) for n in axes if n != axis)
    first = (axis + 1, *moved) if whole else (axis + 1,)
    partial = np.add.reduce(_split(array, axis, block), axis=first)
    total = summed(partial, tuple(sorted(_after(first, (axis, *moved)))))
    return total + summed(_part(array, axis, size - left, size), axes) if left else total


def _after(gone: tuple[int, ...], axes: tuple[int, ...]) -> Iterator[int]:
    """Where some axes are when others are gone."""
    for axis in axes:
        if axis not in gone:
            yield axis - sum(n < axis for n in gone)


def _joined(array: Array, axis: int) -> Array:
    """An axis and the one before it, of which it is the continuation, as one."""
    shape = array.shape
    return array.reshape((*shape[: axis - 1], shape[axis - 1] * shape[axis], *shape[axis + 1 :]))


def _part(array: Array, axis: int, start: int, stop: int) -> Array:
    return array[(slice(None),) * axis + (slice(start, stop),)]


def _split(array: Array, axis: int, size: int) -> Array:
    """An axis as two, of which the inner one has some size; what is left over is left out."""
    shape, blocks = array.shape, array.shape[axis] // size
    whole = _part(array, axis, 0, blocks * size)
    return whole.reshape((*shape[:axis], blocks, size, *shape[axis + 1 :]))
