"""A naive witness for programs: every node by its definition, one element at a time.

It shares with the library the nodes that say *what* is meant, and nothing of how that is sized or
carried out. Numbers are exact, or have 40 digits; ones that know how they change (``jets``) give
derivatives of any program, and the library's rules for derivatives are not asked.

What one can do:

- ``Evaluation``: the values of nodes for some inputs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

import mpmath as mp
import numpy as np
from oracle import Landing, Spec, landings_of
from programs.functions import FUNCTIONS, exp, log
from programs.jet_arrays import Array, each, exact
from programs.jets import Jet, compare, plain, plus, product, rounded, times, total, value_of
from programs.sizing import Sizes, Unresolved, alone, extents_of, read, result_shape

from contractconv.programs.nodes import (
    Cast,
    Contract,
    Input,
    Length,
    Map,
    Named,
    Node,
    Number,
    Position,
)
from contractconv.programs.sizes import Size

Made = Callable[[tuple[int, ...]], Array]


@dataclass(frozen=True)
class Value:
    """An array whose open axes have the size that somebody asks for.

    Attributes:
        sizes: of its axes; ``None`` for an open one.
        made: the array, for all its sizes.
        extents: those of the indices, of a contraction.
    """

    sizes: Sizes
    made: Made
    extents: Mapping[str, int]

    @property
    def array(self) -> Array:
        """The array, if no axis is open."""
        return self.made(_closed(self.sizes))


class Evaluation:
    """The values of nodes.

    Args:
        inputs: an array for each input, by its name; more of them may come later.
        instead: nodes that are not worked out, and their arrays.
    """

    def __init__(
        self, inputs: Mapping[str, Array], instead: Mapping[Node, Array] | None = None
    ) -> None:
        self._inputs = inputs
        self._known = {node: _whole(exact(array)) for node, array in (instead or {}).items()}

    def __call__(self, node: Node) -> Array:
        """The array that a node is.

        Raises:
            Unresolved: one of its sizes does not follow from what is known.
            Fragile: a decision hangs on a rounding.
        """
        return self.value(node).array

    def value(self, node: Node) -> Value:
        """The value of a node, whose axes may be open."""
        if node not in self._known:
            self._known[node] = self._worked_out(node)
        return self._known[node]

    def extent(self, node: Node, name: str, of_index: bool) -> int:
        """The size of an axis, or the extent of an index of a contraction."""
        value = self.value(node)
        size = value.extents[name] if of_index else value.sizes[node.axes.index(name)]
        if size is None:
            raise Unresolved(f"{name} of {node} is open")
        return size

    def _size(self, size: Size) -> int:
        terms = ((self.extent(e.node, e.name, e.of_index), c) for e, c in size.terms)
        return size.offset + sum(extent * c for extent, c in terms)

    def _worked_out(self, node: Node) -> Value:
        rules: dict[type[Node], Callable[[Any], Value]] = {
            Input: lambda node: _whole(exact(self._inputs[node.name])),
            Number: lambda node: _whole(exact(node.value)),
            Length: lambda node: _whole(exact(self._size(node.size))),
            Position: self._position,
            Named: lambda node: self.value(node.source),
            Cast: self._cast,
            Map: self._map,
            Contract: self._contraction,
        }
        return rules[type(node)](node)

    def _position(self, node: Position) -> Value:
        size = None if node.size is None else self._size(node.size)
        return Value((size,), lambda sizes: exact(np.arange(sizes[0])), {})

    def _cast(self, node: Cast) -> Value:
        source = self.value(node.source)
        return Value(source.sizes, lambda sizes: each(_as_kind(node), source.made(sizes)), {})

    def _map(self, node: Map) -> Value:
        values = [self.value(argument) for argument in node.arguments]
        if node.function == "divide" and isinstance(node.arguments[1], Length):
            # A mean over nothing is nothing: an empty axis counts as one where it divides.
            values[1] = _whole(exact(self._size(node.arguments[1].size) or 1))
        sizes: dict[str, int | None] = dict.fromkeys(node.axes)
        for argument, value in zip(node.arguments, values, strict=True):
            for name, size in zip(argument.axes, value.sizes, strict=True):
                if size is not None and sizes[name] not in (None, size):
                    raise ValueError(f"{name} is {sizes[name]}, and {size}")
                sizes[name] = sizes[name] if size is None else size
        found = Value(tuple(sizes.values()), partial(_mapped, node, values), {})
        return found if None in found.sizes else _whole(found.array)

    def _contraction(self, node: Contract) -> Value:
        values = [self.value(operand) for operand in node.operands]
        told = {name: self._size(size) for name, size in node.extents}
        spec = read(str(node.spec), {n: told[n] for n in node.spec.parameters})
        given = {name: size for name, size in told.items() if name not in node.spec.parameters}
        shape = None if node.shape is None else tuple(map(self._size, node.shape))
        extents = extents_of(spec, [value.sizes for value in values], given, shape)
        operands = [
            value.made(_filled(term, value.sizes, extents))
            for term, value in zip(spec.inputs, values, strict=True)
        ]
        work = partial(_local, bool(node.axes)) if node.local else _contracted
        array = work(spec, node.spec.reduce, operands, extents, shape)
        return Value(array.shape, lambda sizes: array, extents)


def _whole(array: Array) -> Value:
    return Value(array.shape, lambda sizes: array, {})


def _closed(sizes: Sizes) -> tuple[int, ...]:
    known = tuple(size for size in sizes if size is not None)
    if len(known) != len(sizes):
        raise Unresolved("an axis is open at the end")
    return known


# -- nodes -----------------------------------------------------------------------------------------


def _mapped(node: Map, values: Sequence[Value], sizes: tuple[int, ...]) -> Array:
    """A map of arrays, aligned by the names of axes."""
    known = dict(zip(node.axes, sizes, strict=True))
    spread = [
        _spread(value.made(tuple(known[name] for name in argument.axes)), argument.axes, node.axes)
        for argument, value in zip(node.arguments, values, strict=True)
    ]
    found = each(FUNCTIONS[node.function], *spread)
    return np.broadcast_to(found, sizes)


def _spread(array: Array, axes: Sequence[str], wanted: Sequence[str]) -> Array:
    order = [axes.index(name) for name in wanted if name in axes]
    shape = iter(array.transpose(order).shape)
    return array.transpose(order).reshape([next(shape) if n in axes else 1 for n in wanted])


def _as_kind(node: Cast) -> Callable[[Any], Any]:
    if node.like is not None or node.dtype is None:
        return plain
    if node.dtype == "bool":
        return lambda number: bool(value_of(number) != 0)
    if "int" in node.dtype:
        return lambda number: Fraction(int(value_of(number)))
    return lambda number: number if isinstance(number, Jet) else plain(number + 0)


def _filled(term: Sequence[Any], sizes: Sizes, extents: Mapping[str, int]) -> tuple[int, ...]:
    """The sizes of an operand, whose open axes are as long as their indices."""
    return _closed(tuple(
        extents.get(alone(axis) or "") if size is None else size
        for axis, size in zip(term, sizes, strict=True)
    ))  # fmt: skip


@lru_cache(maxsize=512)
def _landings(
    spec: Spec, shapes: tuple[Any, ...], extents: tuple[tuple[str, int], ...], shape: Any
) -> list[Landing]:
    return landings_of(spec, shapes, dict(extents), shape)


def _landed(
    spec: Spec, operands: Sequence[Array], extents: Mapping[str, int], shape: Any
) -> list[Landing]:
    shapes = tuple(operand.shape for operand in operands)
    return _landings(spec, shapes, tuple(extents.items()), tuple(shape))


def _contracted(
    spec: Spec, reduce: str, operands: Sequence[Array], extents: Mapping[str, int], shape: Any
) -> Array:
    """A contraction, as the one rule says."""
    wanted = result_shape(spec, extents) if shape is None else shape
    flats = [operand.ravel() for operand in operands]
    found = np.empty(math.prod(wanted), object)
    for place, landing in enumerate(_landed(spec, operands, extents, wanted)):
        found[place] = _REDUCED[reduce](_products(flats, landing), landing.points)
    return found.reshape(wanted)


def _products(flats: Sequence[Array], landing: Landing) -> list[Any]:
    return [
        product(flat[read] for flat, read in zip(flats, reads, strict=True))
        for reads in landing.reads
    ]


def _first(sign: int, values: Sequence[Any]) -> int:
    """The first place of the greatest value, or of the least one."""
    best = 0
    for place, value in enumerate(values):
        best = place if sign * compare(value, values[best]) > 0 else best
    return best


def _extreme(sign: int) -> Callable[[list[Any], int], Any]:
    nothing = mp.mpf("-inf") * sign
    return lambda values, points: values[_first(sign, values)] if values else nothing


def _log_sum_exp(values: list[Any], points: int) -> Any:
    finite = [rounded(value_of(value)) for value in values]
    top = max(finite, default=mp.mpf("-inf"))
    if top == mp.mpf("-inf"):
        return top
    return plus(log(total(exp(plus(value, -top)) for value in values)), top)


_REDUCED: dict[str, Callable[[list[Any], int], Any]] = {
    "sum": lambda values, points: total(values),
    "prod": lambda values, points: product(values),
    "mean": lambda values, points: times(total(values), Fraction(1, max(points, 1))),
    "max": _extreme(1),
    "min": _extreme(-1),
    "logsumexp": _log_sum_exp,
}


# -- local derivatives -----------------------------------------------------------------------------


def _local(
    varies: bool,
    spec: Spec,
    reduce: str,
    operands: Sequence[Array],
    extents: Mapping[str, int],
    shape: Any,
) -> Array:
    """How a result changes with each of its contributions."""
    wanted = result_shape(spec, extents) if shape is None else shape
    if reduce == "mean":
        return _shares(spec, operands, extents, wanted) if varies else _share(spec, extents)
    names = spec.indices
    sizes = tuple(extents[name] for name in names)
    found = np.full(sizes, Fraction(0), object)
    for point, reads in _grouped(spec, operands, extents, wanted):
        values = [
            product(o[read] for o, read in zip(operands, places, strict=True)) for places in reads
        ]
        for at, slope in zip(point, _slopes(reduce, values), strict=True):
            found[at] = slope
    return found


def _slopes(reduce: str, values: list[Any]) -> list[Any]:
    if reduce in ("max", "min"):
        chosen = _first(1 if reduce == "max" else -1, values)
        return [Fraction(int(place == chosen)) for place in range(len(values))]
    if reduce == "prod":
        return [product(values[:n] + values[n + 1 :]) for n in range(len(values))]
    top = _log_sum_exp(values, 0)
    if not isinstance(top, Jet) and top == mp.mpf("-inf"):
        return [Fraction(0)] * len(values)
    return [exp(plus(value, times(top, Fraction(-1)))) for value in values]


def _shares(spec: Spec, operands: Sequence[Array], extents: Mapping[str, int], shape: Any) -> Array:
    """One over how many points an element of a mean has."""
    points = [max(1, landing.points) for landing in _landed(spec, operands, extents, shape)]
    return exact([Fraction(1, number) for number in points]).reshape(shape)


def _share(spec: Spec, extents: Mapping[str, int]) -> Array:
    """The same where all elements have as many."""
    kept = {alone(axis) for axis in spec.output}
    number = math.prod(size for name, size in extents.items() if name not in kept)
    return exact(Fraction(1, max(1, number)))


Group = tuple[list[tuple[int, ...]], list[list[tuple[int, ...]]]]


def _grouped(
    spec: Spec, operands: Sequence[Array], extents: Mapping[str, int], shape: Any
) -> list[Group]:
    """The points that contribute to each element, and what each of them reads."""
    found: dict[tuple[int, ...], Group] = {}
    names = spec.indices
    for point in itertools.product(*(range(extents[name]) for name in names)):
        at = dict(zip(names, point, strict=True))
        places = [_place(term, at, extents) for term in (spec.output, *spec.inputs)]
        bounds = [shape, *(operand.shape for operand in operands)]
        if all(_is_inside(p, s) for p, s in zip(places, bounds, strict=True)):
            points, reads = found.setdefault(_whole_places(places[0]), ([], []))
            points.append(point)
            reads.append([_whole_places(place) for place in places[1:]])
    return list(found.values())


def _place(term: Any, at: Mapping[str, int], extents: Mapping[str, int]) -> list[Fraction]:
    axes = [axis.resolve(extents) for axis in term]
    return [axis.offset + sum(c * at[name] for name, c in axis.coefficients) for axis in axes]


def _is_inside(place: Sequence[Fraction], shape: Sequence[int]) -> bool:
    return all(
        at.denominator == 1 and 0 <= at < size for at, size in zip(place, shape, strict=True)
    )


def _whole_places(place: Sequence[Fraction]) -> tuple[int, ...]:
    return tuple(int(at) for at in place)
