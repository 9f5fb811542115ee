"""Steps made ready for arrays that lie in memory in a certain way: nothing is left but arithmetic.

Indices that lie side by side are fused, and what a product reads is a view wherever a BLAS can read
it. What is returned is always a new array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from contractconv.arrays.matrix_products import matrix_product
from contractconv.arrays.summation import TERMS, even_block, multiplied, summed, terms_at_once
from contractconv.arrays.views import Array, Labelled, gapless
from contractconv.arrays.workspace import Making
from contractconv.engines.numpy.einsum import step_arithmetic
from contractconv.engines.numpy.einsum.operand_views import (
    Matrices,
    View,
    as_matrices,
    diagonal,
    follow,
    given_back,
    is_lent,
    is_readable,
    reshaped,
    then,
    transposed,
)
from contractconv.machine import memory
from contractconv.notation.problem import Problem
from contractconv.planning.einsum import BEGUN, CALL, Way, as_einsum, way
from contractconv.planning.roles import Labels, Roles, fused, roles
from contractconv.planning.workspace import Workspace

# From arrays to a new array.
Prepared = Callable[[Sequence[Array]], Array]
# Likewise, or to what is written where somebody says.
Multiplied = Callable[[Sequence[Array], Array | None], Array]
# Bytes between elements that fall on the same lines of a cache, and rows that are too many then.
_ALIASED, _MANY_ROWS = 1 << 10, 1 << 9
# Elements up to which a copy takes less time than a call for each line.
_COPIED = 1 << 13
# Axes of a batch that numpy goes through without much ado.
_MOST_BATCHES = 2


def prepared(problem: Problem, arrays: Sequence[Array]) -> Making | None:
    """Make a step ready for arrays that lie in memory as these do.

    Args:
        problem: the step.
        arrays: one or two operands, all of one dtype, compositions split.

    Returns:
        What makes an array of shape ``problem.output_sizes`` of such arrays; ``None`` if the step
        is no einsum of numpy's.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> x, w = np.arange(6.0).reshape(2, 3), np.ones((3, 1))
        >>> prepared(resolve(parse("i k, k j -> i j"), [(2, 3), (3, 1)], {}), (x, w)).work((x, w))
        array([[ 3.],
               [12.]])
    """
    step, how = as_einsum(problem), way(problem, compiled=False)
    if step is None or how is None:
        return None
    found = _Step(problem, step.terms, step.output, arrays)
    work = found.prepared(how)
    return Making(work, Workspace(beside=found.beside), found.lent)


class _Step:
    """A step whose indices are fused, on arrays that lie in memory in a certain way.

    What it prepares must not own the arrays.

    Attributes:
        sizes: the shape of the result.
        dtype: of operands and result.
        extents: the extent of each fused index, by the first of its indices.
        looks: for each operand how it is seen, with an axis for each fused index.
        views: what is seen.
        output: the fused indices of the result.
        beside: bytes of copies that are made.
        lent: whether the memory of the result is lent, if it is large.
    """

    def __init__(
        self, problem: Problem, terms: Sequence[Labels], output: Labels, arrays: Sequence[Array]
    ) -> None:
        self.sizes, self.dtype = problem.output_sizes, arrays[0].dtype
        self.beside, self.lent = 0, True
        long = {n for n in problem.indices if problem.extents[n] > 1}
        seen = [diagonal(t, a.shape, long) for t, a in zip(terms, arrays, strict=True)]
        apart = [Labelled(look(a), labels) for (look, labels), a in zip(seen, arrays, strict=True)]
        kept = tuple(n for n in output if n in long)
        runs = fused(
            [*(view.labels for view in apart), kept], lambda one, two: follow(one, two, apart)
        )
        self.extents = {run[0]: prod(problem.extents[n] for n in run) for run in runs}
        self.output = tuple(n for n in kept if n in self.extents)
        self.looks: list[View] = []
        self.views: list[Labelled] = []
        for (look, labels), view in zip(seen, apart, strict=True):
            left = tuple(n for n in labels if n in self.extents)
            join = reshaped(view.array.shape, self.shape(left))
            self.looks.append(then(look, join))
            self.views.append(Labelled(join(view.array), left))

    def shape(self, labels: Labels) -> tuple[int, ...]:
        """The extents of some fused indices."""
        return tuple(self.extents[n] for n in labels)

    def _bytes(self, labels: Labels) -> int:
        """Those of an array over some fused indices."""
        return prod(self.shape(labels)) * self.dtype.itemsize

    def _count_copies(self, *made: Matrices) -> None:
        """Count the operands that are copied before a BLAS can read them."""
        for view, matrices in zip(self.views, made, strict=True):
            self.beside += 0 if is_readable(view, matrices) else self._bytes(view.labels)

    def prepared(self, how: Way) -> Prepared:
        """What makes the result."""
        if how is Way.COPY:
            return self._copied()
        if how is Way.MULTIPLY:
            return self._multiplied()
        kept = tuple(n for n in self.output if any(n in view.labels for view in self.views))
        if kept != self.output:
            return self._repeated(how, kept)
        if how is Way.SUM:
            return self._summed()
        found = roles(self.views[0].labels, self.views[1].labels, self.output, self._in_order())
        return self._elementwise(found) if how is Way.ELEMENTWISE else self._product(found)

    def _in_order(self) -> Labels:
        """The indices of the result, then the summed ones as they lie in the larger operand."""
        larger = max(self.views, key=lambda view: view.array.size)
        return (*self.output, *(n for n in larger.by_stride if n not in self.output))

    def _repeated(self, how: Way, kept: Labels) -> Prepared:
        """A result that is constant along what no operand has."""
        sizes, full = self.sizes, self.shape(self.output)
        places = tuple(slice(None) if n in kept else None for n in self.output)
        self.output, self.sizes = kept, self.shape(kept)
        made = self.prepared(how)
        self.beside += self._bytes(self.output)
        self.lent = True

        def repeat(given: Sequence[Array]) -> Array:
            out = memory.empty(sizes, given[0].dtype)
            step_arithmetic.copied(out.reshape(full), np.broadcast_to(made(given)[places], full))
            return out

        return repeat

    # -- without a sum -------------------------------------------------------------------------

    def _copied(self) -> Prepared:
        look, sizes, full = self._spread(0), self.sizes, self.shape(self.output)
        copy = step_arithmetic.copied_by_columns if self._is_aliased() else step_arithmetic.copied

        def move(given: Sequence[Array]) -> Array:
            out = memory.empty(sizes, given[0].dtype)
            copy(out.reshape(full), look(given[0]))
            return out

        return move

    def _is_aliased(self) -> bool:
        """Whether what is written side by side is read from the same lines of a cache."""
        last = self.output[-1] if self.output else ""
        step = self.views[0].steps.get(last, 0)
        return step != 0 and step % _ALIASED == 0 and self.extents[last] >= _MANY_ROWS

    def _multiplied(self) -> Prepared:
        one, two = self._spread(0), self._spread(1)
        sizes, full = self.sizes, self.shape(self.output)
        whole = set(self.output) == {n for view in self.views for n in view.labels}
        if whole and full and self._is_small():
            made = reshaped(full, sizes)
            return lambda given: made(np.multiply(one(given[0]), two(given[1]), order="C"))

        def multiply(given: Sequence[Array]) -> Array:
            out = memory.empty(sizes, given[0].dtype)
            step_arithmetic.products(out.reshape(full), one(given[0]), two(given[1]))
            return out

        return multiply

    def _is_small(self) -> bool:
        """Whether the result may begin anywhere in memory."""
        return prod(self.sizes) * self.dtype.itemsize < memory.LARGE

    def _spread(self, number: int) -> View:
        """How an operand is seen with the axes of the result, of size one where it has none."""
        labels = self.views[number].labels
        axes = [labels.index(n) for n in self.output if n in labels]
        before = tuple(self.extents[labels[n]] for n in axes)
        shape = tuple(self.extents[n] if n in labels else 1 for n in self.output)
        first = next((n for n, size in enumerate(shape) if size > 1), len(shape))
        # numpy puts axes of size one before the others by itself.
        return then(self.looks[number], transposed(axes), reshaped(before, shape[first:]))

    # -- sums ----------------------------------------------------------------------------------

    def _summed(self) -> Prepared:
        view, look, sizes = self.views[0], self.looks[0], self.sizes
        axes = tuple(n for n, label in enumerate(view.labels) if label not in self.output)
        kept = tuple(n for n in view.labels if n in self.output)
        order = tuple(kept.index(n) for n in self.output)
        add = step_arithmetic.adding(view.array, axes)
        self.lent = False
        return lambda given: np.ascontiguousarray(add(look(given[0])).transpose(order)).reshape(
            sizes
        )

    def _elementwise(self, found: Roles) -> Prepared:
        """Products in long rows, as many added at once as leaves them their digits."""
        (one, two), sizes = self.looks, self.sizes
        numbers = {n: number for number, n in enumerate(self.extents)}
        first, second = ([numbers[n] for n in view.labels] for view in self.views)
        kept, full = [numbers[n] for n in self.output], self.shape(self.output)
        if prod(self.shape(found.summed)) > TERMS and self.dtype.kind in "fc":
            return self._elementwise_in_blocks(found, (first, second, kept))

        def add(given: Sequence[Array]) -> Array:
            out = memory.empty(sizes, given[0].dtype)
            np.einsum(one(given[0]), first, two(given[1]), second, kept, out=out.reshape(full))
            return out

        return add

    def _elementwise_in_blocks(
        self, found: Roles, numbers: tuple[list[int], list[int], list[int]]
    ) -> Prepared:
        """The longest sum in blocks, whose sums are summed as numbers are."""
        (one, two), sizes, (first, second, kept) = self.looks, self.sizes, numbers
        longest = max(found.summed, key=self.extents.__getitem__)
        others = [n for n in found.summed if n != longest]
        places = [view.labels.index(longest) for view in self.views]
        beside = [list(self.extents).index(n) for n in others]
        new = len(self.extents)
        opened = [
            [*labels[:n], new, *labels[n:]]
            for labels, n in zip((first, second), places, strict=True)
        ]
        size = self.extents[longest]
        self.lent = False
        self.beside += self._bytes((*found.summed, *self.output)) // TERMS
        block = even_block(size, TERMS)
        whole = size - size % block

        def add(given: Sequence[Array]) -> Array:
            left, right = one(given[0]), two(given[1])
            total: Any = 0
            if whole:
                heads = (
                    _blocks(a, n, whole, block) for a, n in zip((left, right), places, strict=True)
                )
                a, b = heads
                made = np.einsum(a, opened[0], b, opened[1], [new, *beside, *kept])
                total = summed(made, tuple(range(1 + len(beside))))
            if whole < size:
                a, b = (_rest(x, n, whole) for x, n in zip((left, right), places, strict=True))
                made = np.einsum(a, first, b, second, [*beside, *kept])
                total = total + summed(made, tuple(range(len(beside))))
            return np.ascontiguousarray(total).reshape(sizes)

        return add

    # -- matrix products -----------------------------------------------------------------------

    def _product(self, found: Roles) -> Prepared:
        found = self._in_blocks(found)
        batch, rows, columns, _ = found
        line = self._line(found)
        if line is not None:
            return self._line_by_line(found, line)
        one, two = self._matrices(found)
        self._count_copies(one, two)
        (high, deep), wide = one.shape[-2:], two.shape[-1]
        lead = tuple(map(max, one.shape[:-2], two.shape[:-2]))
        work: Any = matrix_product
        if self.dtype.kind in "biu":
            work = step_arithmetic.exactly_multiplied
        elif deep > terms_at_once(high, wide):
            work = step_arithmetic.dot if (high, wide, lead) == (1, 1, ()) else multiplied
        multiplied_to = self._multiplying((one, two), work)
        into = self._into(batch, rows, columns, (*lead, high, wide))
        if into is None:
            self.beside += self._bytes((*batch, *rows, *columns))
            return self._aside(multiplied_to, (*batch, *rows, *columns))
        sizes = self.sizes
        if self._is_small() and (*batch, *rows, *columns) == self.output:
            made = reshaped((*lead, high, wide), sizes)
            return lambda given: made(multiplied_to(given, None))

        def multiply(given: Sequence[Array]) -> Array:
            out = memory.empty(sizes, given[0].dtype)
            multiplied_to(given, into(out))
            return out

        return multiply

    def _multiplying(self, matrices: tuple[Matrices, Matrices], work: Any) -> Multiplied:
        """The operands as matrices, multiplied by some function."""
        first, second = map(as_matrices, self.views, self.looks, matrices)
        lent = [n for n, own in enumerate(map(is_lent, self.views, matrices)) if own]
        if not lent:
            return lambda given, out: work(first(given[0]), second(given[1]), out)

        def multiply(given: Sequence[Array], out: Array | None) -> Array:
            factors = first(given[0]), second(given[1])
            made: Array = work(*factors, out)
            for n in lent:
                given_back(factors[n])
            return made

        return multiply

    def _line(self, found: Roles) -> str | None:
        """The index that is summed first where two operands are no vectors without a copy."""
        batch, rows, columns, inner = found
        if rows or columns or len(inner) < 2 or self.dtype.kind not in "fc":
            return None
        if all(map(is_readable, self.views, self._matrices(found))):
            return None
        if prod(self.shape((*batch, *inner))) < _COPIED:
            return None
        return max(inner, key=self.extents.__getitem__)

    def _line_by_line(self, found: Roles, line: str) -> Prepared:
        """Products of lines, which are summed afterwards."""
        others = tuple(n for n in found.summed if n != line)
        lines = Roles((*found.batch, *others), (), (), (line,))
        matrices = self._matrices(lines)
        self._count_copies(*matrices)
        self.beside += self._bytes(lines.batch)
        self.lent = False
        multiplied_to = self._multiplying(matrices, multiplied)
        sizes, shape = self.sizes, self.shape(lines.batch)
        axes = tuple(range(len(found.batch), len(shape)))
        order = tuple(found.batch.index(n) for n in self.output)

        def add(given: Sequence[Array]) -> Array:
            made = multiplied_to(given, None).reshape(shape)
            return np.ascontiguousarray(summed(made, axes).transpose(order)).reshape(sizes)

        return add

    def _in_blocks(self, found: Roles) -> Roles:
        """The same, but for outer rows or columns in the batch if less has to be copied then."""
        blocks = [
            found._replace(batch=(*found.batch, *names[:n]), **{role: names[n:]})
            for role, names in (("rows", found.rows), ("columns", found.columns))
            for n in range(1, len(names))
        ]
        return min([found, *blocks], key=self._moved) if blocks else found

    def _moved(self, found: Roles) -> int:
        """Elements that are copied, and those that could be while a BLAS is called."""
        batch, rows, columns, _ = found
        moved = CALL * prod(self.shape(batch))
        one, two = self._matrices(found)
        for view, made in zip(self.views, (one, two), strict=True):
            moved += 0 if is_readable(view, made) else view.array.size + BEGUN
        shape = (*map(max, one.shape[:-2], two.shape[:-2]), one.shape[-2], two.shape[-1])
        if self._into(batch, rows, columns, shape) is None:
            moved += prod(shape) + BEGUN
        return moved

    def _matrices(self, found: Roles) -> tuple[Matrices, Matrices]:
        """Both operands as matrices; of what one of them lacks the batch has a single value."""
        batch, rows, columns, inner = found
        leads = [
            tuple(self.extents[n] if n in view.labels else 1 for n in batch) for view in self.views
        ]
        if len(batch) > _MOST_BATCHES and leads[0] == leads[1]:
            leads = [(prod(lead),) for lead in leads]
        high, deep, wide = (prod(self.shape(names)) for names in (rows, inner, columns))
        return (
            Matrices(batch, rows, inner, (*leads[0], high, deep)),
            Matrices(batch, inner, columns, (*leads[1], deep, wide)),
        )

    def _into(
        self, batch: Labels, rows: Labels, columns: Labels, shape: tuple[int, ...]
    ) -> View | None:
        """The result as matrices that a BLAS can write; ``None`` if it does not lie so."""
        full = self.shape(self.output)
        like = as_strided(np.empty(0, self.dtype), full, gapless(full, self.dtype.itemsize))
        view = Labelled(like, self.output)
        last = self.output[-1] if self.output else ""
        joined = [batch] if len(shape) - 2 < len(batch) else []
        if last in batch or not view.merges(rows, columns, *joined):
            return None
        axes = [self.output.index(n) for n in (*batch, *rows, *columns)]
        return then(
            reshaped(self.sizes, full), transposed(axes),
            reshaped(tuple(full[n] for n in axes), shape),
        )  # fmt: skip

    def _aside(self, multiplied_to: Multiplied, order: Labels) -> Prepared:
        """A product that is put in order afterwards."""
        sizes, full = self.sizes, self.shape(self.output)
        axes = tuple(order.index(n) for n in self.output)
        shape = self.shape(order)

        def multiply(given: Sequence[Array]) -> Array:
            made = multiplied_to(given, None).reshape(shape)
            out = memory.empty(sizes, given[0].dtype)
            step_arithmetic.copied(out.reshape(full), made.transpose(axes))
            return out

        return multiply


def _blocks(array: Array, axis: int, whole: int, block: int) -> Array:
    """An axis as blocks of as many terms as are added one after the other."""
    head = array[(slice(None),) * axis + (slice(whole),)]
    return head.reshape((*array.shape[:axis], -1, block, *array.shape[axis + 1 :]))


def _rest(array: Array, axis: int, whole: int) -> Array:
    return array[(slice(None),) * axis + (slice(whole, None),)]
