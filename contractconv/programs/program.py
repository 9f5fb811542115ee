"""A program: some nodes that are wanted, each under a name, and the inputs that they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contractconv.errors import ProgramError
from contractconv.lazy import Value, remembered
from contractconv.programs.nodes import Input, Node, in_order


@dataclass(frozen=True)
class Graph(Value):
    """The outputs of a program by name, and its inputs in the order in which they are given.

    Attributes:
        outputs: what is wanted.
        inputs: the arrays that it is made of.
        name: what the program is called.
    """

    outputs: tuple[tuple[str, Node], ...]
    inputs: tuple[Input, ...]
    name: str = "program"

    @staticmethod
    def of(
        outputs: Mapping[str, Node], inputs: Sequence[Input] | None = None, name: str = "program"
    ) -> Graph:
        """Find the inputs of some outputs, or check those that are given.

        Raises:
            ProgramError: two inputs have one name, or one is missing among those given.
        """
        found = [node for node in in_order(outputs.values()) if isinstance(node, Input)]
        order = found if inputs is None else list(inputs)
        missing = [node.name for node in found if node not in order]
        if missing:
            raise ProgramError(f"{name} needs {', '.join(missing)}, too: list all its inputs")
        names = [node.name for node in order]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice is not None:
            raise ProgramError(f"two different inputs of {name} are called {twice!r}")
        return Graph(tuple(outputs.items()), tuple(order), name)

    @property
    def wanted(self) -> tuple[Node, ...]:
        """The nodes that are wanted."""
        return tuple(node for _, node in self.outputs)

    @remembered
    def nodes(self) -> tuple[Node, ...]:
        """Every node that has to be carried out, each behind what it reads."""
        return tuple(in_order(self.wanted, references=False))
