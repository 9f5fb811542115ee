"""Maps of arrays of any library: by the library's own function, or in simpler maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from contractconv.engines.portable.libraries import Library
from contractconv.execution.foreign.numbers import is_complex
from contractconv.maps.expression import evaluate
from contractconv.maps.record import ARGUMENTS, MapRecord
from contractconv.maps.table import record_of
from contractconv.maps.unfolding import expanded
from contractconv.notation.problem import Shape
from contractconv.programs.dtypes import Typed
from contractconv.programs.kinds import Kinds, is_weak, kind
from contractconv.programs.nodes import Axes, Map, Node

Align = Callable[[Any], Any]
Mapped = Callable[[Sequence[Any], Any], Any]
"""From what a map is applied to, and an array beside which others are made, to what it makes."""


def mapped(program: Typed, library: Library, node: Map) -> Mapped:
    """What carries out a map whose arguments have the dtypes of :func:`argument_dtypes`."""
    record, dtype, shape = record_of(node.function), program.dtypes[node], program.shapes[node]
    numbers = [_computed(library, record, name) for name in argument_dtypes(program, node)]
    aligned = [
        _aligned(library, source.axes, program.shapes[source], node.axes)
        for source in node.arguments
    ]

    def work(given: Sequence[Any], like: Any) -> Any:
        arguments = tuple(
            library.cast(align(array), name)
            for align, array, name in zip(aligned, given, numbers, strict=True)
        )
        made = library.cast(applied(library, record, arguments, numbers[-1], like), dtype)
        return made if tuple(made.shape) == shape else library.broadcast(made, shape)

    return work


def _computed(library: Library, record: MapRecord, dtype: str) -> str:
    """In which numbers a map is carried out: functions of numbers are asked no truth values."""
    if dtype == "bool" and record.kind == "same" and not record.conditions:
        return "uint8"
    return library.substitutes.get(dtype, dtype)


def argument_dtypes(program: Typed, node: Map) -> list[str]:
    """In which dtypes a map takes its arguments: numbers in the program become such."""
    dtype = program.dtypes[node]
    if node.function == "where":
        return ["bool", dtype, dtype]
    if record_of(node.function).kind in ("bool", "real"):
        dtype = _meeting(program, node.arguments)
    return [dtype] * len(node.arguments)


def _meeting(program: Typed, sources: Sequence[Node]) -> str:
    """In which dtype sources meet, all of which have it that are no bare numbers."""
    kinds = Kinds()
    strong = [program.dtypes[source] for source in sources if not is_weak(kinds[source])]
    return strong[0] if strong else max((program.dtypes[s] for s in sources), key=kind)


def applied(
    library: Library, record: MapRecord, arguments: tuple[Any, ...], dtype: str, like: Any
) -> Any:
    """A map of arrays that have as many axes each, or fewer.

    Args:
        library: whose arrays they are.
        record: the map.
        arguments: the arrays.
        dtype: of numbers that meet them in simpler maps.
        like: an array beside which others are made.
    """
    function = library.function(record)
    if function is not None:
        return function(*arguments)
    return evaluate(
        expanded(record.unfolded),
        dict(zip(ARGUMENTS, arguments, strict=False)),
        lambda number: library.number(number, dtype, like),
        lambda name, given: applied(library, record_of(name), given, dtype, like),
    )


def converted(library: Library, given: str, wanted: str) -> Align:
    """What converts numbers of one dtype to those of another; of complex ones the real part."""
    if is_complex(given) and not is_complex(wanted):
        return lambda array: library.cast(library.real(array), wanted)
    return lambda array: library.cast(array, wanted)


def _aligned(library: Library, axes: Axes, shape: Shape, wanted: Axes) -> Align:
    """What gives an array the wanted axes, in their order; those that it lacks have size one."""
    if axes == wanted[len(wanted) - len(axes) :]:  # arrays meet at their last axes
        return lambda array: array
    order = [axes.index(name) for name in wanted if name in axes]
    sizes = dict(zip(axes, shape, strict=True))
    whole = tuple(sizes.get(name, 1) for name in wanted)
    if order == sorted(order):
        return lambda array: array.reshape(whole)
    return lambda array: library.transposed(array, order).reshape(whole)
