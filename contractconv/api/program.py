"""Programs: some tensors that are wanted, each under a name, and the inputs that they need."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from contractconv.api.symbolic import grad
from contractconv.api.tensor import Tensor, as_node
from contractconv.cache_register import kept
from contractconv.errors import ProgramError
from contractconv.markup.shown import Printed
from contractconv.notation.problem import Shape, as_shape
from contractconv.programs.kinds import Kinds, is_differentiable
from contractconv.programs.nodes import Input
from contractconv.programs.program import Graph
from contractconv.programs.text import reader, writer
from contractconv.programs.text.words import close_to
from contractconv.tensor_types import are_of_torch

if TYPE_CHECKING:
    from contractconv.display.programs.explanation import ProgramExplanation
    from contractconv.execution.programs.compiled import CompiledProgram
    from contractconv.verification.programs.certificate import ProgramCertificate


class Program(Printed):
    """Contractions and maps from inputs to outputs; immutable, without sizes and numbers.

    ``str(p)`` is its text, which :func:`read` reads back. An output is an item, ``p["loss"]``, and
    an attribute, ``p.loss``, where the name is not one of the methods'.
    """

    __slots__ = ("__weakref__", "_graph", "_run")
    _graph: Graph
    _run: CompiledProgram  # where torch's compiler finds it

    def __init__(self, graph: Graph) -> None:
        writer.check(graph)
        object.__setattr__(self, "_graph", graph)

    # -- what it is ----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What it is called."""
        return self._graph.name

    @property
    def inputs(self) -> dict[str, Tensor]:
        """The arrays that it is given, by their names, in the order in which it takes them."""
        return {node.name: Tensor(node) for node in self._graph.inputs}

    @property
    def outputs(self) -> dict[str, Tensor]:
        """What it makes, by name."""
        return {name: Tensor(node) for name, node in self._graph.outputs}

    def tensor(self, name: str) -> Tensor:
        """Any value that has a name in the text: an output, an input, or one on the way.

        Raises:
            ProgramError: there is none of this name.
        """
        known = {**writer.names(self._graph), **dict(self._graph.outputs)}
        if name in known:
            return Tensor(known[name])
        raise ProgramError(f"{self.name} has no value {name!r}{close_to(name, known)}")

    def __getitem__(self, name: str) -> Tensor:
        outputs = self.outputs
        if name in outputs:
            return outputs[name]
        shown = ", ".join(outputs)
        raise ProgramError(f"{self.name} has no output {name!r}; it has: {shown}")

    def __getattr__(self, name: str) -> Tensor:
        if not name.startswith("_") and name in self.outputs:
            return self.outputs[name]
        raise AttributeError(f"{type(self).__name__!r} has no attribute and no output {name!r}")

    # -- what is derived from it ---------------------------------------------------------------

    def grad(self, output: str | None = None, wrt: str | Sequence[str] | None = None) -> Program:
        """Derive the program that makes an output, and its gradients.

        Args:
            output: which one, a number; by default the only one.
            wrt: names of what it is differentiated by, inputs or values on the way; by default
                every input whose numbers can change a little.

        Returns:
            A program of the same inputs, whose outputs are ``output`` and ``d_NAME`` for each of
            ``wrt`` (``d_d_NAME`` if something is called so already).

        Raises:
            ProgramError: there is no value of such a name.
            ShapeError: the output is not a number.

        Example:
            >>> import contractconv as cc
            >>> x, W = cc.tensor("x", "b i"), cc.tensor("W", "i o")
            >>> y = cc.contract("b i, i o -> b o", x, W).called("y")
            >>> p = cc.program(loss=cc.contract("b o, b o ->", y, y), name="layer")
            >>> print(p.grad(wrt="W"))
            def layer_grad(x: "b i", W: "i o"):
                y = contract("b i, i o -> b o", x, W)
                loss = contract("b o, b o ->", y, y)
                d_y = y + y
                d_W = contract("b o, b i -> i o", d_y, x)
                return loss, d_W
            <BLANKLINE>
        """
        loss = self._only() if output is None else output
        names = [wrt] if isinstance(wrt, str) else list(self._changing() if wrt is None else wrt)
        found = grad(self[loss], [self.tensor(name) for name in names])
        nodes = {loss: self[loss]._node}
        for name, tensor in zip(names, found, strict=True):
            nodes[_cotangent(name, {*nodes, *self.inputs})] = tensor._node
        return Program(Graph.of(nodes, self._graph.inputs, f"{self.name}_grad"))

    def _only(self) -> str:
        if len(self._graph.outputs) == 1:
            return self._graph.outputs[0][0]
        shown = ", ".join(self.outputs)
        raise ProgramError(f"which output of {self.name} is differentiated? it has: {shown}")

    def _changing(self) -> list[str]:
        kinds = Kinds()
        return [node.name for node in self._graph.inputs if is_differentiable(kinds[node])]

    # -- what it does --------------------------------------------------------------------------

    def compile(
        self,
        *,
        dtype: Any = None,
        memory_limit: Any = None,
        **shapes: Sequence[int | None],
    ) -> CompiledProgram:
        """Make the program ready to be called with arrays.

        Args:
            dtype: of the inputs that do not say theirs; by default that of the arrays of a call.
            memory_limit: bytes that a call may take beside its inputs. What does not fit is made
                again where it is read, with the same numbers, instead of being kept.
            **shapes: the shape of an input, by its name. A size that is ``None`` may be any, and
                what is not said is taken from the arrays of each call.

        Returns:
            What is called with arrays, in order or by name, and returns the output; a tuple of
            them, with names, if there are several. ``print(run.plan)`` says what it does, and
            ``run.profile(*arrays)`` how long each step takes.

        Raises:
            ProgramError: there is no input of such a name.
            ShapeError: shapes do not fit.
            MemoryLimitError: the program needs more memory than the limit; where shapes are taken
                from arrays, a call says so before it begins.

        Example:
            >>> import numpy as np, contractconv as cc
            >>> x, W = cc.tensor("x", "b i"), cc.tensor("W", "i o")
            >>> p = cc.program(y=cc.relu(cc.contract("b i, i o -> b o", x, W)))
            >>> run = p.compile(x=(2, 3), W=(3, 4), dtype="float32")
            >>> run(np.ones((2, 3)), np.ones((3, 4))).dtype
            dtype('float32')
        """
        from contractconv.api.compiling import enter_programs

        enter_programs()
        from contractconv.execution.programs.compiled import CompiledProgram

        given = {name: tuple(shape) for name, shape in shapes.items()}
        return CompiledProgram(self._graph, given, dtype, memory_limit=memory_limit)

    def __call__(self, /, *arrays: Any, **named: Any) -> Any:
        """Carry the program out; what is compiled for such arrays is kept for the next call.

        Args:
            *arrays: the inputs, in order.
            **named: the same by name.

        Returns:
            The output; a tuple of them, with names, if there are several.
        """
        if are_of_torch((*arrays, *named.values())):
            from contractconv.api.torch_calls import make_ready

            make_ready(self)
            return self._run(*arrays, **named)
        return compiled(self)(*arrays, **named)

    # -- what there is to say of it ------------------------------------------------------------

    def explain(
        self, *, wrt: str | Sequence[str] | None = None, **shapes: Sequence[int]
    ) -> ProgramExplanation:
        """Tell it as formulas, line by line, with what comes back to each value beside it.

        Args:
            wrt: names of what it is differentiated by, if it has no gradients yet. What comes back
                to an output ``y`` that is no number is called ``d_y``.
            **shapes: the shape of each input, by name; without them sizes stay symbols.

        Returns:
            What prints, has ``latex()`` and ``html()``, and shows itself in a notebook.

        Raises:
            ProgramError: there is no value of such a name.
            ShapeError: shapes do not fit, or one is missing.

        Example:
            >>> import contractconv as cc
            >>> x, W = cc.tensor("x", "b i"), cc.tensor("W", "i o")
            >>> p = cc.program(y=cc.contract("b i, i o -> b o", x, W), name="f")
            >>> print(p.explain())
            f(x, W) -> y
            <BLANKLINE>
            given
              x[b, i]
              W[i, o]
            <BLANKLINE>
            computed
              y[b, o] = Σ_{i} x[b, i] · W[i, o]
                  i is not in the result, so it is summed.
        """
        from contractconv.display.programs.explanation import explain_program  # sympy is slow

        names = [wrt] if isinstance(wrt, str) else list(wrt or ())
        return explain_program(self._graph, self._shapes(shapes), names)

    def verify(self, **shapes: Sequence[int]) -> ProgramCertificate:
        """Check its contractions, the maps in it, and its gradients, each against its definition.

        Args:
            **shapes: shapes of inputs with which gradients are compared; the others are chosen,
                small.

        Returns:
            The certificate. Of a program without gradients, those by all its inputs are derived.
            Of what it returns beside them, it says what are Hessians, or Gauss-Newton matrices,
            times vectors.

        Raises:
            CertificateError: something does not hold; the message says on which line.
            ShapeError: shapes do not fit, or make too many points to go through one by one.

        Example:
            >>> import contractconv as cc
            >>> x, W = cc.tensor("x", "b i"), cc.tensor("W", "i o")
            >>> p = cc.program(y=cc.contract("b i, i o -> b o", x, W), name="layer")
            >>> print(p.verify().summary)
            verified: layer, 3 contractions, 0 maps and 2 gradients
        """
        from contractconv.verification.programs.certificate import verify_program  # sympy is slow

        return verify_program(self._graph, self._shapes(shapes))

    def _shapes(self, given: Mapping[str, Sequence[int]]) -> dict[str, Shape]:
        inputs = self.inputs
        for name in given:
            if name not in inputs:
                raise ProgramError(f"{self.name} has no input {name!r}{close_to(name, inputs)}")
        return {name: as_shape(shape) for name, shape in given.items()}

    # -- being a value, and showing it ---------------------------------------------------------

    def __str__(self) -> str:
        return writer.write(self._graph)

    def __repr__(self) -> str:
        inputs, outputs = (", ".join(names) for names in (self.inputs, self.outputs))
        return f"<program {self.name}({inputs}) -> {outputs}>"

    def _repr_html_(self) -> str:
        from contractconv.display.programs.page import card

        return card(self._graph)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self._graph == other._graph

    def __hash__(self) -> int:
        return hash(self._graph)

    def __reduce__(self) -> tuple[Any, ...]:
        # Nodes may be deeper than pickle's stack; the text never is.
        return read, (str(self),)

    def __setattr__(self, *given: object) -> NoReturn:
        raise AttributeError("a program is immutable")


def program(
    outputs: Mapping[str, Any] | None = None,
    /,
    *,
    inputs: Sequence[Tensor] | None = None,
    name: str = "program",
    **named: Any,
) -> Program:
    """Make a program of what it should make.

    Args:
        outputs: tensors, or numbers, by name.
        inputs: the arrays that it takes, in this order; by default in the order in which they are
            met.
        name: what it is called.
        **named: outputs by keyword.

    Raises:
        ProgramError: there is no output, something has a name that no text can have, or an input
            is missing.

    Example:
        >>> import contractconv as cc
        >>> x, W, bias = cc.tensor("x", "b i"), cc.tensor("W", "i o"), cc.tensor("bias", "o")
        >>> z = cc.contract("b i, i o -> b o", x, W).called("z")
        >>> print(program(a=cc.relu(z + bias), name="layer"))
        def layer(x: "b i", W: "i o", bias: "o"):
            z = contract("b i, i o -> b o", x, W)
            a = relu(z + bias)
            return a
        <BLANKLINE>
    """
    wanted = {str(key): as_node(value) for key, value in {**(outputs or {}), **named}.items()}
    given = None if inputs is None else [_input(tensor) for tensor in inputs]
    return Program(Graph.of(wanted, given, name))


def read(text: str, name: str | None = None) -> Program:
    """Read the text of a program; it is never executed.

    Args:
        text: a function in a small subset of Python, as ``str(program)`` writes it; or several,
            each of which may call those before it.
        name: which of them is the program; the last one by default.

    Returns:
        The program, in which calls are what the functions make: its own text is one function.

    Raises:
        ProgramError: it is no program; the message points at the line and the place.

    Example:
        >>> p = read('''
        ... def layer(x: "b i", W: "i o", bias: "o"):
        ...     z = contract("b i, i o -> b o", x, W)
        ...     a = max(z + bias, 0)
        ...     return a
        ... ''')
        >>> p
        <program layer(x, W, bias) -> a>
        >>> p.a.axes
        ('b', 'o')
    """
    return Program(reader.read(text, name))


@kept(most=64)
def compiled(program: Program) -> CompiledProgram:
    """A program ready for arrays of any shapes; it is kept."""
    return program.compile()


def _cotangent(name: str, taken: Container[str]) -> str:
    found = f"d_{name}"
    while found in taken:
        found = f"d_{found}"
    return found


def _input(tensor: Any) -> Input:
    node = getattr(tensor, "_node", None)
    if isinstance(node, Input):
        return node
    raise ProgramError(f"{tensor!r} is no input: inputs are made by cc.tensor")
