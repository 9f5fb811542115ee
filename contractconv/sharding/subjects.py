"""What can be sharded: contractions, their gradients, and programs; each as a program of nodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from contractconv.api.contraction import Contraction
from contractconv.api.derivation import Derivation
from contractconv.api.program import Program
from contractconv.engines.portable.libraries import library_of
from contractconv.errors import OperandError
from contractconv.execution.foreign.numbers import result_name
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.programs.build import contract, named, result_axes
from contractconv.programs.dtypes import Typed, typed
from contractconv.programs.gradients import gradients
from contractconv.programs.nodes import Contract, Input, Node, in_order
from contractconv.programs.program import Graph
from contractconv.programs.rewrites.driver import Pass, rewritten
from contractconv.programs.rewrites.one_hots import without_code
from contractconv.programs.sizing import sized
from contractconv.sharding.spelled import without_locals

Extents = Mapping[str, Any]
# Others would rename indices, by which it is said what is divided.
_PASSES = (Pass("one-hot codes", without_code),)


class Subject(ABC):
    """Something that is sharded."""

    names: tuple[str, ...]

    @abstractmethod
    def told(
        self, arrays: Sequence[Any], given: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Extents]:
        """What is given for each input, and extents."""

    @abstractmethod
    def graph(self, shapes: tuple[Shape, ...], extents: Extents) -> Graph:
        """The program."""

    def taken(
        self, arrays: Sequence[Any], given: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Extents]:
        """The arrays of a call, as jax's, and extents."""
        import jax.numpy as jnp

        found, extents = self.told(arrays, given)
        return [jnp.asarray(array) for array in found], extents

    def typed(self, shapes: tuple[Shape, ...], dtype: str, extents: Extents) -> Typed:
        """The program with all sizes and dtypes, without local derivatives."""
        graph = self.graph(shapes, extents)
        nodes = without_locals(graph.wanted)
        names = [name for name, _ in graph.outputs]
        whole = Graph(tuple(zip(names, nodes, strict=True)), graph.inputs, graph.name)
        by_name = dict(zip((node.name for node in graph.inputs), shapes, strict=True))
        return rewritten(typed(sized(whole, by_name), dtype), _PASSES)

    def dtype(self, arrays: Sequence[Any]) -> str:
        """The dtype of inputs that do not say theirs."""
        library, _ = library_of(arrays)
        return library.promoted(arrays)

    def returned(self, made: Sequence[Any]) -> Any:
        """What a call returns."""
        return made[0] if len(made) == 1 else tuple(made)


class OfContraction(Subject):
    """A contraction."""

    def __init__(self, forward: Contraction) -> None:
        self.forward = forward
        self.names = forward._spec.indices

    def told(
        self, arrays: Sequence[Any], given: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Extents]:
        """Arrays come in order, extents by name."""
        count = len(self.inputs)
        if len(arrays) != count:
            raise OperandError(f"{self} is called with {count} arrays, not with {len(arrays)}")
        return arrays, given

    def dtype(self, arrays: Sequence[Any]) -> str:
        """In what operands meet; integers whose reduction is no integer are floats at once."""
        return result_name(self.forward.reduce, super().dtype(arrays))

    @property
    def inputs(self) -> tuple[str, ...]:
        """What it takes."""
        named = self.forward._named.names
        return self.forward.arrays if named else tuple(f"operand_{n}" for n in range(self._count))

    @property
    def _count(self) -> int:
        return len(self.forward.arrays)

    def graph(self, shapes: tuple[Shape, ...], extents: Extents) -> Graph:
        """One contraction."""
        _, operands, made = self._nodes(shapes, extents)
        return Graph.of({"result": made}, operands)

    def _nodes(
        self, shapes: Sequence[Shape], extents: Extents, cotangent: Shape | None = None
    ) -> tuple[Problem, list[Input], Contract]:
        problem, spec = self._resolved(shapes, extents, cotangent)
        terms = dict(zip(self.forward.names, spec.inputs, strict=True))
        operands = [
            Input(result_axes(term), name=name)
            for term, name in zip(terms.values(), self.inputs[-self._count :], strict=True)
        ]
        taken = self.forward._spread(operands)
        return problem, operands, contract(spec, taken, problem.extents, problem.result_shape)

    def _resolved(
        self, shapes: Sequence[Shape], extents: Extents, cotangent: Shape | None
    ) -> tuple[Problem, Spec]:
        told = dict(extents)
        options = self.forward._options(
            "shard", told, None, output_shape=told.pop("output_shape", None)
        )
        shapes = self.forward._spread(shapes)
        problem = self.forward._problem(shapes, options, cotangent)
        return problem, self.forward._concrete(shapes, options, problem.result_shape)

    def __str__(self) -> str:
        return f"'{self.forward}'"


class OfGradient(OfContraction):
    """The gradient of a contraction by one operand."""

    def __init__(self, gradient: Derivation) -> None:
        super().__init__(gradient.forward)
        self.operand = gradient.operand

    @property
    def inputs(self) -> tuple[str, ...]:
        """The cotangent, and all operands."""
        return ("cotangent", *super().inputs)

    def graph(self, shapes: tuple[Shape, ...], extents: Extents) -> Graph:
        """What brings a cotangent back to one operand."""
        _, operands, forward = self._nodes(shapes[1:], extents, shapes[0])
        cotangent = Input(forward.axes, name="cotangent")
        (found,) = gradients([forward], [cotangent], [operands[self.operand]])
        made = named(found, operands[self.operand].axes)
        return Graph.of({"gradient": made}, [cotangent, *operands])

    def __str__(self) -> str:
        return f"gradient {self.operand} of '{self.forward}'"


class OfProgram(Subject):
    """A program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = tuple(dict.fromkeys(_names(program._graph.wanted)))

    def told(
        self, arrays: Sequence[Any], given: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Extents]:
        """Inputs come in order, or by name."""
        inputs = [node.name for node in self.program._graph.inputs]
        found = dict(zip(inputs, arrays, strict=False))
        twice = [name for name in given if name in found or name not in inputs]
        if len(arrays) > len(inputs) or twice or len(found) + len(given) < len(inputs):
            known = ", ".join(inputs)
            raise OperandError(f"{self} is called with each of its inputs once: {known}")
        found |= given
        return [found[name] for name in inputs], {}

    def graph(self, shapes: tuple[Shape, ...], extents: Extents) -> Graph:
        """It is one."""
        return self.program._graph

    def dtype(self, arrays: Sequence[Any]) -> str:
        """What inputs of no declared dtype meet in; integers do as floating-point numbers."""
        inputs = zip(self.program._graph.inputs, arrays, strict=True)
        told = [array for node, array in inputs if node.dtype is None]
        found = super().dtype(told) if told else "float64"
        return found if "float" in found or "complex" in found else "float64"

    def __str__(self) -> str:
        return self.program.name


def subject_of(what: Any) -> Subject:
    """What is sharded.

    Raises:
        OperandError: it is nothing of the kind.
    """
    match what:
        case Contraction():
            return OfContraction(what)
        case Derivation():
            return OfGradient(what)
        case Program():
            return OfProgram(what)
    raise OperandError(
        f"a contraction, a gradient or a program is sharded, and no {type(what).__name__}"
    )


def _names(wanted: Sequence[Node]) -> list[str]:
    nodes = in_order(wanted)
    axes = [name for node in nodes for name in node.axes]
    return axes + [n for node in nodes if isinstance(node, Contract) for n in node.spec.indices]
