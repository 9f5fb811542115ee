"""A whole program on the arrays of one library, step by step, by the library's own functions.

What is known before there are arrays is worked out once: which function is called for a node, how
axes are turned before it, in which dtype it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from contractconv.cache_register import Shelf
from contractconv.engines.portable.libraries import Library, library_of
from contractconv.execution.foreign.contractions import contracted
from contractconv.execution.foreign.local_derivatives import local_derivative
from contractconv.execution.foreign.maps import argument_dtypes, converted, mapped
from contractconv.execution.foreign.rows import added_rows, taken_rows
from contractconv.programs.dtypes import Typed
from contractconv.programs.gathering import AddedRows, TakenRows
from contractconv.programs.nodes import (
    Cast,
    Contract,
    Input,
    Map,
    Named,
    Node,
    Number,
    Position,
)

Work = Callable[[Sequence[Any], Any], Any]
"""Carries a node out, of the arrays that it reads and of one beside which others are made."""


class _Line(NamedTuple):
    """A node as it is carried out; arrays have numbers."""

    reads: tuple[int, ...]
    work: Work
    makes: int


class Evaluator:
    """A program, ready for arrays of one library.

    Args:
        program: everything is known of it but the numbers in its arrays.
        library: how.
    """

    def __init__(self, program: Typed, library: Library) -> None:
        nodes = program.graph.nodes
        inputs = [node for node in nodes if isinstance(node, Input)]
        order = [node for node in nodes if not isinstance(node, Input | Number)]
        numbers: dict[Any, int] = {node: n for n, node in enumerate((*inputs, *order))}
        read = [_read(program, node) for node in order]
        returned = [_held(node, program.dtypes[node]) for node in program.graph.wanted]
        constants = dict.fromkeys(
            source for line in (*read, returned) for source in line if isinstance(source, _Constant)
        )
        numbers |= {constant: len(numbers) + n for n, constant in enumerate(constants)}
        self._inputs = [(node.name, program.dtypes[node]) for node in inputs]
        self._lines = [
            _Line((), _constant(library, constant), numbers[constant]) for constant in constants
        ]
        self._lines += [
            _Line(
                tuple(numbers[source] for source in sources),
                _RULES[type(node)](program, library, node),
                numbers[node],
            )
            for node, sources in zip(order, read, strict=True)
        ]
        self._returned = [numbers[source] for source in returned]
        self._gone = _gone(self._lines, self._returned)
        self._library = library
        self._run = library.compiled(self._carry_out)

    @property
    def size(self) -> int:
        """Bytes that it keeps, about."""
        return 1024 * len(self._lines)

    def __call__(self, arrays: Mapping[str, Any]) -> list[Any]:
        """Carry the program out; return its outputs in order.

        Args:
            arrays: its inputs by name, of the shapes that it is for.
        """
        _, like = library_of([*arrays.values()])
        cast = self._library.cast
        return list(self._run(like, *(cast(arrays[name], dtype) for name, dtype in self._inputs)))

    def _carry_out(self, like: Any, *given: Any) -> list[Any]:
        held: list[Any] = [*given, *(None for _ in self._lines)]
        for (reads, work, makes), gone in zip(self._lines, self._gone, strict=True):
            held[makes] = work([held[n] for n in reads], like)
            for n in gone:
                held[n] = None
        return [held[n] for n in self._returned]


class _Constant(NamedTuple):
    """A number of the program in the dtype that it has where it is read."""

    kind: type
    text: str
    dtype: str
    value: Any


def _held(node: Node, dtype: str) -> Node | _Constant:
    """What a node reads, or a number in its place."""
    if not isinstance(node, Number):
        return node
    return _Constant(type(node.value), repr(node.value), dtype, node.value)


def _read(program: Typed, node: Node) -> list[Node | _Constant]:
    """What a node reads; numbers take the dtype of what they meet."""
    dtypes = [program.dtypes[source] for source in node.sources]
    if isinstance(node, Map):
        dtypes = argument_dtypes(program, node)
    elif isinstance(node, Contract):
        dtypes = [program.dtypes[node]] * len(dtypes)
    return [_held(source, dtype) for source, dtype in zip(node.sources, dtypes, strict=True)]


def _constant(library: Library, constant: _Constant) -> Work:
    return lambda given, like: library.number(constant.value, constant.dtype, like)


def _gone(lines: Sequence[_Line], returned: Sequence[int]) -> list[list[int]]:
    """Behind each line the arrays that nothing reads any more."""
    seen, found = set(returned), []
    for line in reversed(lines):
        last = {*line.reads, line.makes} - seen
        seen |= last
        found.append(sorted(last))
    return found[::-1]


def evaluated(program: Typed, arrays: Mapping[str, Any]) -> list[Any]:
    """Carry out a program on arrays of one library; what is prepared for it is kept.

    Args:
        program: everything is known of it but the numbers in its arrays.
        arrays: its inputs by name, all of one library, of the shapes that it is for.

    Returns:
        Its outputs in order, arrays of that library.

    Raises:
        OperandError: the arrays are of several libraries.
    """
    library, _ = library_of([*arrays.values()])
    if library.program is not None:
        return library.program(program, arrays)
    return evaluator(program, library)(arrays)


def evaluator(program: Typed, library: Library) -> Evaluator:
    """What carries out a program on arrays of a library, made anew if it has been forgotten."""
    shapes = tuple(program.shapes[node] for node in program.graph.nodes if isinstance(node, Input))
    key = library.name, program.graph, shapes
    found: Evaluator | None = _evaluators.get(key)
    if found is None:
        found = Evaluator(program, library)
        _evaluators.put(key, found, found.size)
    return found


_evaluators = Shelf()


# --- one rule for each kind ------------------------------------------------------------------


def _contraction(program: Typed, library: Library, node: Contract) -> Work:
    problem, dtype = program.problems[node], program.dtypes[node]
    bare = [n for n, source in enumerate(node.operands) if program.dtypes[source] != dtype]

    def work(given: Sequence[Any], like: Any) -> Any:
        operands = [library.cast(a, dtype) if n in bare else a for n, a in enumerate(given)]
        if node.local:
            return library.cast(local_derivative(library, problem, operands, dtype), dtype)
        return library.cast(contracted(problem, operands), dtype)

    return work


def _map(program: Typed, library: Library, node: Map) -> Work:
    return mapped(program, library, node)


def _named(program: Typed, library: Library, node: Named) -> Work:
    return lambda given, like: given[0]


def _cast(program: Typed, library: Library, node: Cast) -> Work:
    convert = converted(library, program.dtypes[node.source], program.dtypes[node])
    return lambda given, like: convert(given[0])


def _position(program: Typed, library: Library, node: Position) -> Work:
    (size,) = program.shapes[node]
    return lambda given, like: library.positions(size, like)


def _taken(program: Typed, library: Library, node: TakenRows) -> Work:
    return taken_rows(library, node, program.shapes, program.dtypes[node])


def _added(program: Typed, library: Library, node: AddedRows) -> Work:
    return added_rows(library, node, program.shapes, program.dtypes[node])


_RULES: dict[type[Node], Callable[[Typed, Library, Any], Work]] = {
    Contract: _contraction,
    Map: _map,
    Named: _named,
    Cast: _cast,
    Position: _position,
    TakenRows: _taken,
    AddedRows: _added,
}
