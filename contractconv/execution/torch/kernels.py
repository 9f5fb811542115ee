"""What carries the text of a program out on tensors: our kernels, or torch's own operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from contractconv.arrays.views import Array
from contractconv.cache_register import Shelf, kept
from contractconv.engines.portable.libraries import record_of
from contractconv.engines.portable.libraries.torch_views import are_ours, as_array, as_tensor
from contractconv.execution.foreign import contractions
from contractconv.execution.foreign.side_by_side import are_windows
from contractconv.execution.programs.compiled import CompiledProgram
from contractconv.execution.ready import known_call
from contractconv.execution.run import first_call
from contractconv.execution.torch.constants import Tensor
from contractconv.execution.torch.texts import graph_of
from contractconv.notation.extents import resolved
from contractconv.notation.problem import Problem, Shape
from contractconv.programs.carried_sizes import Carried, CarriedSizes, carried_sizes
from contractconv.programs.dtypes import Typed, typed
from contractconv.programs.nodes import Contract
from contractconv.programs.program import Graph
from contractconv.programs.sizing import sized

# The numbers for which torch has windows of its own.
_WINDOWS = (torch.float32, torch.float64)
# What stands for a size that may be any.
_ANY = 7


class Kernel:
    """Carries out a program.

    Args:
        text: the program; inputs of no declared dtype have the same one in a call.
    """

    def __init__(self, text: str) -> None:
        self._text, self._graph = text, graph_of(text)
        self._names = [node.name for node in self._graph.inputs]
        self._lone = _lone(self._graph)
        self._windows: bool | None = None  # whether torch's own windows are faster
        self._compiled = CompiledProgram(self._graph, single=False)
        self._typed, self._ready = Shelf(), Shelf()

    def __call__(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Carry it out; results lie in order, and in memory of their own."""
        if not are_ours(tensors):
            return _apart(self.by_torch(tensors), tensors)
        if self._suits_torch(tensors):
            return _apart([self._windowed(tensors)], tensors)
        return self._by_kernels([as_array(tensor) for tensor in tensors])

    def by_torch(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Carry it out by torch's own operations."""
        return self._compiled.evaluated(dict(zip(self._names, tensors, strict=True)))

    def _windowed(self, tensors: Sequence[Tensor]) -> Tensor:
        """The only contraction, by torch's own windows."""
        key = tuple([(tensor.dtype, tensor.shape) for tensor in tensors])
        ready: Callable[[Sequence[Tensor]], Tensor] | None = self._ready.get(key)
        if ready is None:
            assert self._lone is not None
            problem = self._problem(self._lone, [tuple(tensor.shape) for tensor in tensors])
            ready = contractions.ready(problem, record_of("torch"), self._default(tensors), True)
            self._ready.put(key, ready, 0)
        return ready(tensors)

    def _sized(self, shapes: Sequence[Shape], dtype: str) -> Typed:
        """What is known of the program for inputs of some shapes."""
        key = (dtype, *shapes)
        found: Typed | None = self._typed.get(key)
        if found is None:
            named = dict(zip(self._names, shapes, strict=True))
            found = typed(sized(self._graph, named), dtype)
            self._typed.put(key, found, 2048 * len(found.graph.nodes))
        return found

    def fake(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Tensors like the results; sizes that are symbols are carried where a program does that.

        Where something is worked out of a size it becomes a number, and what torch compiles is for
        that number.
        """
        shapes, symbols = _numbers(tensors, carried(self._text).inputs)
        program = self._sized(shapes, self._default(tensors))
        pairs = zip(program.graph.wanted, carried(self._text).results, strict=True)
        return [
            tensors[0].new_empty(
                [symbols.get(n, size) for n, size in zip(axes, program.shapes[node], strict=True)],
                dtype=getattr(torch, program.dtypes[node]),
            )
            for node, axes in pairs
        ]

    def _by_kernels(self, arrays: Sequence[Array]) -> list[Tensor]:
        if self._lone is not None:
            return [as_tensor(self._contracted(self._lone, arrays))]
        made: dict[int, Array] = {}
        results = self._compiled(*arrays)
        return [as_tensor(r if made.setdefault(id(r), r) is r else r.copy()) for r in results]

    def _contracted(self, lone: Contract, arrays: Sequence[Array]) -> Array:
        known = known_call(self._text, arrays)
        if known is not None:
            return known(arrays)
        problem = self._problem(lone, [array.shape for array in arrays])
        return first_call(self._text, problem, arrays)

    def _problem(self, lone: Contract, shapes: Sequence[Shape]) -> Problem:
        extents = {name: size.offset for name, size in lone.extents}
        told = None if lone.shape is None else tuple(size.offset for size in lone.shape)
        return resolved(lone.spec, tuple(shapes), extents, told, None)

    def _suits_torch(self, tensors: Sequence[Tensor]) -> bool:
        """Whether it is one contraction whose windows run along what lies side by side."""
        if tensors[0].dtype not in _WINDOWS:
            return False
        if self._windows is None:
            lone = self._lone
            self._windows = lone is not None and are_windows(
                self._problem(lone, [tuple(tensor.shape) for tensor in tensors])
            )
        return self._windows

    def _default(self, tensors: Sequence[Tensor]) -> str:
        """The dtype of the inputs that do not say theirs."""
        pairs = zip(self._graph.inputs, tensors, strict=True)
        found = next((t.dtype for node, t in pairs if node.dtype is None), torch.float64)
        return str(found).removeprefix("torch.")


@kept(most=1024)
def kernel_of(text: str) -> Kernel:
    """What carries a program out; it is kept."""
    return Kernel(text)


@kept(most=1024)
def carried(text: str) -> CarriedSizes:
    """The sizes that a program carries from its inputs to its results."""
    return carried_sizes(graph_of(text))


def _numbers(tensors: Sequence[Tensor], axes: Carried) -> tuple[list[Shape], dict[int | None, Any]]:
    """Shapes in which carried sizes that are symbols are any number; and these symbols."""
    met: dict[int, list[Any]] = {}
    for tensor, numbers in zip(tensors, axes, strict=True):
        for size, number in zip(tensor.shape, numbers, strict=True):
            if number is not None:
                met.setdefault(number, []).append(size)
    free: dict[int | None, Any] = {}
    for number, (first, *others) in met.items():
        if not _is_number([first, *others]):
            free[number] = first
            for size in others:
                torch._check(size == first)
    shapes = [
        tuple(
            _ANY if n in free else int(size) for size, n in zip(tensor.shape, numbers, strict=True)
        )
        for tensor, numbers in zip(tensors, axes, strict=True)
    ]
    return shapes, free


def _is_number(sizes: Sequence[Any]) -> bool:
    return any(type(size) is int for size in sizes)


def _lone(graph: Graph) -> Contract | None:
    """The only node of a program that contracts what it is given, as it is given."""
    if len(graph.outputs) > 1:
        return None
    (node,) = graph.wanted
    if not isinstance(node, Contract) or node.local or node.operands != graph.inputs:
        return None
    sizes = (*(size for _, size in node.extents), *(node.shape or ()))
    return None if any(size.number is None for size in sizes) else node


def _apart(made: Sequence[Tensor], given: Sequence[Tensor]) -> list[Tensor]:
    """Results that lie in order, in memory that nothing else has."""
    taken = {tensor.untyped_storage().data_ptr() for tensor in given}
    found = []
    for tensor in made:
        whole = tensor.contiguous()
        if whole.untyped_storage().data_ptr() in taken:
            whole = whole.clone(memory_format=torch.contiguous_format)
        taken.add(whole.untyped_storage().data_ptr())
        found.append(whole)
    return found
