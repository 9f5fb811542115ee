"""A contraction with every number known: what planning and execution work on.

Compositions are split into their indices, the ellipsis is spelled out, parameters are bound,
so an axis is always an integer :class:`Access`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import gcd, prod
from operator import index as as_integer

from contractconv.errors import ShapeError
from contractconv.lazy import Value, remembered
from contractconv.notation.affine import Affine, join_signed
from contractconv.notation.reach import reach

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """An axis of ``size`` elements, met at ``(Σ coefficient*index + offset)/divisor``."""

    terms: tuple[tuple[str, int], ...]
    offset: int
    divisor: int
    size: int

    @staticmethod
    def along(name: str, size: int) -> Access:
        """Return the axis on which ``name`` stands alone."""
        return Access(((name, 1),), 0, 1, size)

    @staticmethod
    def by(axis: Affine, size: int) -> Access:
        """Return the access that an axis without parameters says."""
        if (alone := axis.plain) is not None:
            return Access.along(alone, size)
        terms = tuple((name, coefficient.number) for name, coefficient in axis.terms)
        return Access(terms, axis.offset.number, axis.divisor.number, size)

    @staticmethod
    def of(terms: Iterable[tuple[str, int]], offset: int, divisor: int, size: int) -> Access:
        """Return the access in lowest terms."""
        kept = tuple(terms)
        common = gcd(offset, divisor, *(coefficient for _, coefficient in kept))
        if common > 1:
            kept = tuple((name, coefficient // common) for name, coefficient in kept)
            offset, divisor = offset // common, divisor // common
        return Access(kept, offset, divisor, size)

    @property
    def plain(self) -> str | None:
        """The index, if it stands alone on the axis; otherwise ``None``."""
        if len(self.terms) == 1 and not self.offset and self.divisor == 1:
            name, coefficient = self.terms[0]
            return name if coefficient == 1 else None
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """The indices, in the order in which they are written."""
        return tuple(name for name, _ in self.terms)

    def reach(self, extents: Mapping[str, int]) -> tuple[int, int]:
        """The least and greatest numerator; no extent may be zero."""
        return reach(self.offset, ((c, extents[name] - 1) for name, c in self.terms))

    def along_progression(self, name: str, start: int, step: int) -> Access:
        """Return the access in terms of ``n``, where ``name = start + step*n``."""
        coefficient = dict(self.terms).get(name, 0)
        if not coefficient:
            return self
        terms = [(n, c * step if n == name else c) for n, c in self.terms]
        return Access.of(terms, self.offset + coefficient * start, self.divisor, self.size)

    def fixed(self, values: Mapping[str, int]) -> Access:
        """Return the access with some indices replaced by values."""
        if not any(name in values for name, _ in self.terms):
            return self
        terms = [(n, c) for n, c in self.terms if n not in values]
        moved = sum(c * values[n] for n, c in self.terms if n in values)
        return Access.of(terms, self.offset + moved, self.divisor, self.size)

    def __str__(self) -> str:
        if (name := self.plain) is not None:
            return name
        parts = [(c, n) for n, c in self.terms] + ([(self.offset, "")] if self.offset else [])
        body = join_signed(parts)
        return f"({body})" if self.divisor == 1 else f"(({body})/{self.divisor})"


Accesses = tuple[Access, ...]


def windowed(terms: Iterable[Accesses]) -> set[str]:
    """The indices that stand on an axis with others, added to them.

    Example:
        >>> row, column = Access((("i", 2), ("k", 1)), -1, 1, 9), Access.along("c", 3)
        >>> sorted(windowed([(row, column)]))
        ['i', 'k']
    """
    return {name for term in terms for a in term if len(a.terms) > 1 for name in a.names}


@dataclass(frozen=True)
class Problem(Value):
    """One contraction of arrays of known shapes.

    Attributes:
        operands: the axes of each operand, compositions split.
        output: the axes of the result, compositions split.
        sizes: every index with its extent: those of the output first, then the reduced ones.
        reduce: how contributions combine.
        result_shape: the shape of the result, compositions joined again.
    """

    operands: tuple[Accesses, ...]
    output: Accesses
    sizes: tuple[tuple[str, int], ...]
    reduce: str
    result_shape: Shape

    def __hash__(self) -> int:
        return self._hash

    @remembered
    def _hash(self) -> int:
        # Problems are keys of every cache on the way to a kernel.
        return hash((self.operands, self.output, self.sizes, self.reduce, self.result_shape))

    @remembered
    def extents(self) -> dict[str, int]:
        """The extent of every index."""
        return dict(self.sizes)

    @remembered
    def whole(self) -> tuple[tuple[str, ...] | None, ...]:
        """For each operand its indices, if it is read as it is: each axis whole, by its own one."""
        return tuple(self._whole(accesses) for accesses in self.operands)

    @remembered
    def whole_output(self) -> tuple[str, ...] | None:
        """The indices of the result, if each of its axes is written whole, by one of its own."""
        return self._whole(self.output)

    def _whole(self, accesses: Accesses) -> tuple[str, ...] | None:
        names = tuple(access.plain for access in accesses)
        known = tuple(name for name in names if name is not None)
        if len(set(known)) != len(names):
            return None
        sizes = tuple(self.extents[name] for name in known)
        return known if sizes == shape_of(accesses) else None

    @property
    def indices(self) -> tuple[str, ...]:
        """Every index: those of the output first, then the reduced ones."""
        return tuple(name for name, _ in self.sizes)

    @remembered
    def kept(self) -> frozenset[str]:
        """The indices that occur in the output."""
        return frozenset(name for access in self.output for name in access.names)

    @property
    def reduced(self) -> tuple[str, ...]:
        """The indices that do not occur in the output, in row-major order."""
        return tuple(name for name in self.indices if name not in self.kept)

    @remembered
    def points(self) -> int:
        """How many points the index space has."""
        return prod(size for _, size in self.sizes)

    @remembered
    def output_sizes(self) -> Shape:
        """The shape of the result before compositions are joined."""
        return shape_of(self.output)

    def restricted(self, name: str, start: int, count: int, step: int = 1) -> Problem:
        """The same problem with ``name`` taking only ``count`` values from ``start`` on.

        The arrays stay whole: a plain axis becomes an offset one.
        """
        sizes = tuple((n, count if n == name else size) for n, size in self.sizes)
        return self._with(sizes, lambda access: access.along_progression(name, start, step))

    def fixed(self, values: Mapping[str, int]) -> Problem:
        """The same problem with some indices held at one value each."""
        sizes = tuple((name, size) for name, size in self.sizes if name not in values)
        return self._with(sizes, lambda access: access.fixed(values))

    def _with(
        self, sizes: tuple[tuple[str, int], ...], change: Callable[[Access], Access]
    ) -> Problem:
        return Problem(
            tuple(tuple(map(change, accesses)) for accesses in self.operands),
            tuple(map(change, self.output)),
            sizes,
            self.reduce,
            self.result_shape,
        )

    def __str__(self) -> str:
        inputs = ", ".join(" ".join(map(str, accesses)) for accesses in self.operands)
        return f"{inputs.rstrip(' ')} -> {' '.join(map(str, self.output))}".strip()


def shape_of(accesses: Accesses) -> Shape:
    """The sizes of the axes."""
    return tuple(access.size for access in accesses)


def as_shape(shape: Sequence[int]) -> Shape:
    """Check a shape that a caller passed.

    Raises:
        ShapeError: it is not a sequence of sizes.
    """
    try:
        sizes = tuple(as_integer(size) for size in shape)
    except TypeError:
        raise ShapeError(f"{shape!r} is not a shape: a tuple of integers") from None
    if any(size < 0 for size in sizes):
        raise ShapeError(f"{sizes} is not a shape: it has a negative size")
    return sizes
