"""A program that is ready to be called with arrays."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from keyword import iskeyword
from operator import index as as_integer
from typing import Any

import numpy as np

from contractconv.arrays.conversion import as_dtype, fitted
from contractconv.arrays.operands import as_operand
from contractconv.arrays.views import Array
from contractconv.cache_register import Shelf
from contractconv.engines.portable.libraries import has_foreign
from contractconv.errors import OperandError, ProgramError, ShapeError
from contractconv.execution.foreign.inputs import taken_inputs
from contractconv.execution.foreign.programs import evaluated
from contractconv.execution.programs.runner import Runner
from contractconv.machine import memory
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.planning.options import as_bytes
from contractconv.planning.programs.costs import cost_of
from contractconv.planning.programs.report import ProgramPlan
from contractconv.planning.programs.shared_products import sized_and_shared
from contractconv.programs.build import contract, named
from contractconv.programs.dtypes import Typed, typed
from contractconv.programs.gradients import gradients
from contractconv.programs.nodes import Input
from contractconv.programs.program import Graph
from contractconv.programs.rewrites.driver import rewritten
from contractconv.programs.rewrites.table import passes
from contractconv.programs.text.reader import read
from contractconv.programs.text.writer import write
from contractconv.tensor_types import are_of_torch

FreeShape = tuple[int | None, ...]

# Bytes that a node of a program takes, about.
_NODE = 2048


class CompiledProgram:
    """A program for inputs of some shapes; what is not said is taken from the arrays of a call.

    Args:
        graph: the program.
        shapes: the shape of each input, by name; a size that is ``None`` may be any.
        dtype: of the inputs that do not say theirs; by default what those of a call meet in.
        single: whether a call returns its only output, and not a tuple of one.
        memory_limit: bytes that a call may take beside its inputs.
    """

    def __init__(
        self,
        graph: Graph,
        shapes: Mapping[str, FreeShape] | None = None,
        dtype: Any = None,
        single: bool | None = None,
        memory_limit: float | None = None,
    ) -> None:
        self.graph = graph
        self._single = len(graph.outputs) == 1 if single is None else single
        self._results = None if self._single else _named_tuple(graph)
        self._shapes = _checked(graph, shapes or {})
        self._dtype = None if dtype is None else as_dtype(dtype, ())
        self._limit = None if memory_limit is None else as_bytes(memory_limit)
        self._runners = Shelf()
        self._programs = Shelf()  # for arrays of other libraries
        self._pool = memory.Pool()
        self._names = [node.name for node in graph.inputs]
        if self._dtype is not None and self._are_known():
            self._runner({n: _whole(self._shapes[n]) for n in self._names}, self._dtype)

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """Carry the program out.

        Args:
            *arrays: the inputs, in order.
            **named: the same by name.

        Returns:
            The output; a tuple of them, with names, if there are several.

        Raises:
            OperandError: an input is missing, superfluous, or not an array of its numbers.
            ShapeError: shapes do not fit.
            MemoryLimitError: more memory is needed for them than the limit.
        """
        given = self._bound(arrays, named)
        if are_of_torch(given.values(), self._limit):
            from contractconv.execution.torch.calls import called  # it carries programs out by us

            return self._returned(called(self, given))
        if has_foreign(given.values()):
            return self._returned(self.evaluated(given))
        runner, taken = self._ready(given)
        return self._returned(runner(taken))

    def profile(self, *arrays: Any, **named: Any) -> ProgramPlan:
        """The plan, with the time that each step took; the inputs are as in a call."""
        runner, taken = self._ready(self._bound(arrays, named))
        return runner.profile(taken)

    @property
    def plan(self) -> ProgramPlan:
        """What is done for the shapes that it is compiled for; ``print`` it.

        Raises:
            ShapeError: a shape is not known yet.
        """
        return self.runner().plan

    def _ready(self, inputs: Mapping[str, Any]) -> tuple[Runner, dict[str, Array]]:
        """What carries a call out, and the arrays that it takes."""
        given = {name: as_operand(array, name) for name, array in inputs.items()}
        dtype = self._dtype or _meeting(self.graph.inputs, given)
        shapes = {name: np.shape(array) for name, array in given.items()}
        runner = self._runner(shapes, dtype)
        taken = {
            node.name: fitted(
                given[node.name], node.name, shapes[node.name],
                np.dtype(node.dtype) if node.dtype else dtype, "compiled for",
            )
            for node in self.graph.inputs
        }  # fmt: skip
        return runner, taken

    def evaluated(self, given: Mapping[str, Any]) -> list[Any]:
        """Carry the program out on arrays of another library, by its own operations.

        Args:
            given: the inputs by name.
        """
        if self._limit is not None:
            raise OperandError(
                "a memory limit holds for numpy arrays alone: compile the program without one"
            )
        library, arrays, dtype = taken_inputs(self.graph.inputs, given, self._dtype)
        shapes = {name: tuple(array.shape) for name, array in arrays.items()}
        key = (library.name, dtype, *shapes.values())
        program: Typed | None = self._programs.get(key)
        if program is None:
            self.check_shapes(shapes)
            program = _prepared(self.graph, shapes, dtype)
            self._programs.put(key, program, _NODE * len(program.graph.nodes))
        return evaluated(program, arrays)

    def runner(self, **shapes: Sequence[int]) -> Runner:
        """What carries the program out for inputs of some shapes."""
        whole = {name: shapes.get(name, self._shapes.get(name)) for name in self._names}
        dtype = self._dtype or np.dtype(np.float64)
        return self._runner({n: _whole(_given(n, shape)) for n, shape in whole.items()}, dtype)

    def _runner(self, shapes: Mapping[str, Shape], dtype: np.dtype[Any]) -> Runner:
        key = (dtype, *(shapes[name] for name in self._names))
        known: Runner | None = self._runners.get(key)
        if known is None:
            self.check_shapes(shapes)
            known = Runner(_prepared(self.graph, shapes, dtype.name), self._pool, self._limit)
            self._runners.put(key, known, known.size)
        return known

    @property
    def dtype(self) -> str | None:
        """The dtype of the inputs that do not say theirs, if it is settled."""
        return None if self._dtype is None else self._dtype.name

    def _are_known(self) -> bool:
        return all(None not in self._shapes.get(name, (None,)) for name in self._names)

    def check_shapes(self, shapes: Mapping[str, Shape]) -> None:
        """Refuse inputs of other shapes than those that it is compiled for.

        Raises:
            ShapeError: one has another one.
        """
        for name, wanted in self._shapes.items():
            found = shapes[name]
            if len(found) != len(wanted) or any(
                w is not None and w != f for w, f in zip(wanted, found, strict=True)
            ):
                raise ShapeError(f"{name} has shape {found}, compiled for {wanted}")

    def _bound(self, arrays: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs by name."""
        if len(arrays) > len(self._names):
            raise OperandError(f"{self._signature()} is called with {len(arrays)} arrays")
        given = dict(zip(self._names, arrays, strict=False))
        for name, array in named.items():
            if name not in self._names or name in given:
                what = "twice" if name in given else "which it does not have"
                raise OperandError(f"{self._signature()} is given {name}, {what}")
            given[name] = array
        missing = [name for name in self._names if name not in given]
        if missing:
            raise OperandError(f"{self._signature()} is called without {', '.join(missing)}")
        return {name: given[name] for name in self._names}

    def _signature(self) -> str:
        return f"{self.graph.name}({', '.join(self._names)})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Nodes may be deeper than pickle's stack; the text never is. What is ready is made anew.
        return _again, (write(self.graph), self._shapes, self.dtype, self._single, self._limit)

    def _returned(self, made: Sequence[Array]) -> Any:
        return made[0] if self._results is None else self._results(*made)

    def __repr__(self) -> str:
        return f"<compiled {self._signature()}>"


def all_gradients(spec: Spec, problem: Problem, dtype: np.dtype[Any]) -> CompiledProgram:
    """What brings a cotangent back to all operands of a contraction.

    Args:
        spec: the contraction, without parameters and ellipsis.
        problem: the same with sizes.
        dtype: of the operands and of the cotangent.

    Returns:
        A program of the operands in order, and the cotangent behind them.
    """
    axes = [tuple(f"a{n}" for n in range(len(term))) for term in spec.terms]
    *operands, cotangent = (Input(names, name=f"t{n}") for n, names in enumerate(axes))
    forward = contract(spec, operands, problem.extents, problem.result_shape)
    found = gradients([forward], [named(cotangent, forward.axes)], operands)
    outputs = {f"d_t{n}": node for n, node in enumerate(found)}
    return CompiledProgram(Graph.of(outputs, [*operands, cotangent]), dtype=dtype, single=False)


def _again(
    text: str,
    shapes: Mapping[str, FreeShape],
    dtype: str | None,
    single: bool,
    limit: int | None,
) -> CompiledProgram:
    """What was compiled, in another process."""
    return CompiledProgram(read(text), shapes, dtype, single, limit)


def _prepared(graph: Graph, shapes: Mapping[str, Shape], dtype: str) -> Typed:
    """A program with everything known, as it is carried out."""
    return rewritten(typed(sized_and_shared(graph, shapes), dtype), passes(cost_of))


def _checked(graph: Graph, shapes: Mapping[str, FreeShape]) -> dict[str, FreeShape]:
    inputs = {node.name: node for node in graph.inputs}
    for name in shapes:
        if name not in inputs:
            raise ProgramError(f"{graph.name} has no input {name!r}; it has: {', '.join(inputs)}")
    found: dict[str, FreeShape] = {}
    for name, shape in shapes.items():
        found[name] = tuple(None if size is None else as_integer(size) for size in shape)
        if len(found[name]) != len(inputs[name].axes):
            axes = " ".join(inputs[name].axes)
            raise ShapeError(f"{name} has the axes '{axes}', and no shape {found[name]}")
    return found


def _named_tuple(graph: Graph) -> Callable[..., Any]:
    """What makes a tuple of the outputs, under their names."""
    names = [name for name, _ in graph.outputs]
    wrong = [n for n in names if not n.isidentifier() or iskeyword(n) or n.startswith("_")]
    if wrong:
        raise ProgramError(f"an output cannot be called {wrong[0]!r}: choose a name of Python's")
    return namedtuple("Results", names)


def _whole(shape: FreeShape) -> Shape:
    return tuple(size for size in shape if size is not None)


def _given(name: str, shape: Sequence[int | None] | None) -> FreeShape:
    if shape is None or None in shape:
        raise ShapeError(f"the shape of {name} is missing: say it, as in {name}=(8, 28, 28, 1)")
    return tuple(shape)


def _meeting(inputs: Sequence[Input], given: Mapping[str, Any]) -> np.dtype[Any]:
    """What the inputs of no declared dtype meet in; integers do as floating-point numbers."""
    kinds = [given[node.name] for node in inputs if node.dtype is None]
    dtypes = [kind.dtype for kind in kinds if isinstance(kind, np.ndarray)]
    found = np.result_type(*dtypes) if dtypes else np.dtype(np.float64)
    return found if found.kind in "fc" else np.dtype(np.float64)
