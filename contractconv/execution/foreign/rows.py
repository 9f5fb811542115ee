"""Rows that labels choose, and sums over rows of equal labels, on arrays of any library.

A label that is no place chooses zeros, and what has it is left out. Libraries that cannot choose by
arrays do it with one-hot codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from string import ascii_letters
from typing import Any

from contractconv.engines.portable.libraries import Library
from contractconv.execution.foreign.numbers import accumulator
from contractconv.notation.problem import Shape
from contractconv.programs.gathering import AddedRows, TakenRows
from contractconv.programs.nodes import Axes, Node

Work = Callable[[Sequence[Any], Any], Any]
Turn = Callable[[Any], Any]


def taken_rows(library: Library, node: TakenRows, shapes: Mapping[Node, Shape], dtype: str) -> Work:
    """What takes rows of a table at labels."""
    sizes = _sizes(node.sources, shapes)
    size, rows = sizes[node.axis], library.rows
    if rows is None or not size:
        return _by_codes(library, node, size, dtype)
    held, labels = node.table.axes, node.labels.axes
    shared = tuple(name for name in labels if name in held)
    new = tuple(name for name in labels if name not in held)
    rest = tuple(name for name in held if name not in (*shared, node.axis))
    table = _turned(library, held, (*shared, node.axis, *rest))
    placed = _places(library, labels, (*shared, *new), [sizes[name] for name in shared], size)
    width, made = prod(sizes[name] for name in rest), (*shared, *new, *rest)
    held_rows = size * prod(sizes[name] for name in shared), width
    whole, back = tuple(sizes[name] for name in made), _turned(library, made, node.axes)

    def work(given: Sequence[Any], like: Any) -> Any:
        places, inside = placed(given[1])
        matrix, zero = table(given[0]).reshape(held_rows), library.number(0, dtype, like)
        found = rows(matrix, library.where(inside, places, 0 * places))
        inside = inside.reshape((*inside.shape, 1))
        return back(library.where(inside, found, zero).reshape(whole))

    return work


def added_rows(library: Library, node: AddedRows, shapes: Mapping[Node, Shape], dtype: str) -> Work:
    """What adds rows up that have one label."""
    added = library.added
    if added is None or not node.size:
        return _by_codes(library, node, node.size, dtype)
    sizes, labels = _sizes(node.sources, shapes), node.labels.axes
    order = (*node.kept, *(name for name in labels if name not in node.kept))
    rest = tuple(name for name in node.rows.axes if name not in labels)
    rows = _turned(library, node.rows.axes, (*order, *rest))
    placed = _places(library, labels, order, [sizes[name] for name in node.kept], node.size)
    shape = prod(sizes[name] for name in order), prod(sizes[name] for name in rest)
    count = node.size * prod(sizes[name] for name in node.kept)
    numbers = accumulator(dtype)

    def work(given: Sequence[Any], like: Any) -> Any:
        places, inside = placed(given[1])
        matrix = library.cast(rows(given[0]), numbers).reshape(shape)
        # What is no place goes to a row behind the others.
        last = library.number(count, "int64", like)
        made = added(matrix, library.where(inside, places, last), count + 1)[:count]
        return library.cast(made.reshape(shapes[node]), dtype)

    return work


def _places(
    library: Library, labels: Axes, order: Axes, tables: Sequence[int], size: int
) -> Callable[[Any], tuple[Any, Any]]:
    """From labels to the rows of all tables together that they stand for, and which do."""
    turned, count = _turned(library, labels, order), prod(tables)

    def placed(given: Any) -> tuple[Any, Any]:
        every = prod(given.shape)
        found = library.cast(turned(given), "int64").reshape((every,))
        inside = (found >= 0) & (found < size)
        if count in (0, 1):
            return found, inside
        first = (library.positions(count, given) * size).reshape((count, 1))
        return (found.reshape((count, every // count)) + first).reshape((every,)), inside

    return placed


def _by_codes(library: Library, node: TakenRows | AddedRows, size: int, dtype: str) -> Work:
    """The same by a code for each label: one at its place, zero elsewhere."""
    codes, first = (*node.labels.axes, node.axis), node.sources[0]
    names = dict.fromkeys((*codes, *first.axes, *node.axes))
    letter = dict(zip(names, ascii_letters, strict=False))
    words = ["".join(letter[name] for name in axes) for axes in (codes, first.axes, node.axes)]
    string, numbers = f"{words[0]},{words[1]}->{words[2]}", accumulator(dtype)

    def work(given: Sequence[Any], like: Any) -> Any:
        places = library.positions(size, like)
        code = library.cast(given[1].reshape((*given[1].shape, 1)) == places, numbers)
        return library.cast(library.einsum(string, code, library.cast(given[0], numbers)), dtype)

    return work


def _turned(library: Library, axes: Axes, wanted: Axes) -> Turn:
    order = [axes.index(name) for name in wanted]
    return (lambda array: array) if axes == wanted else lambda a: library.transposed(a, order)


def _sizes(sources: Sequence[Node], shapes: Mapping[Node, Shape]) -> dict[str, int]:
    pairs = (zip(source.axes, shapes[source], strict=True) for source in sources)
    return {name: size for found in pairs for name, size in found}
