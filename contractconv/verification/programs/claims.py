"""What the text of a program says that its values are derivatives of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contractconv.programs.kinds import Kinds, is_differentiable
from contractconv.programs.nodes import Input, Node, in_order
from contractconv.programs.pairing import paired
from contractconv.programs.sizing import Sized
from contractconv.programs.text.lines import NamedLines
from contractconv.verification.programs.trials import Ends

Choices = Mapping[tuple[str, ...], Ends]
"""What may have been differentiated, by the names of the results."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A value that is said to come back to another one; or that may come back to one of several.

    Attributes:
        name: what it is called.
        node: the value, with its size.
        at: that to which it comes back.
        named: whether its name says so, ``d_W`` for ``W``.
    """

    name: str
    node: Node
    at: tuple[Node, ...]
    named: bool = False


class Claims:
    """The values of a program, and what they are said to be.

    Args:
        told: the program, and what comes back to what.
        program: the same with sizes.

    Attributes:
        names: what the values are called.
        choices: what may have been differentiated: each result alone, or all of them.
        whole: the values that these are made of.
        gradients: what may be a gradient; of several that come back to a value the first.
        returned: all that the program returns, and says to be derivatives.
        inner: derivatives by inputs of which what it returns is made.
        guesses: what it returns beside them, and may be a second derivative.
    """

    def __init__(self, told: NamedLines, program: Sized) -> None:
        self._told, self._program = told, program
        self._pairs = paired(told.graph, program.graph)
        pairs = self._pairs.items()
        self.names = {other: told.names[node] for node, other in pairs if node in told.names}
        self.choices: Choices = self._choices()
        ends = [node for every in self.choices.values() for node, _ in every]
        self.whole = set(in_order(ends, references=False))
        said = list(self._said())
        self._targets = {claim.node: claim.at[0] for claim in said}
        firsts = {claim.at: claim for claim in reversed(said)}
        self.gradients = [c for c in said if firsts.get(c.at) == c and self._is_first(c)]
        wanted = set(program.graph.wanted)
        self.returned = [c for c in said if c.node in wanted and self._is_first(c)]
        self.inner = [c for c in said if c.node not in wanted and isinstance(c.at[0], Input)]
        self.guesses = list(self._guessed())

    def vectors(self, node: Node) -> list[Input]:
        """The inputs that a value is made of, and that no result is."""
        backs = {back for every in self.choices.values() for _, back in every}
        found = changing_inputs([node])
        return [given for given in found if given not in self.whole and given not in backs]

    def gradients_in(self, node: Node) -> list[Node]:
        """What comes back to inputs, and a value is made of."""
        order = in_order(node.sources, references=False)
        return [inner for inner in order if isinstance(self._targets.get(inner), Input)]

    def may_be_second(self, claim: Claim) -> bool:
        """Whether a value is made of vectors, of gradients, or of what comes back to these."""
        inner = in_order([claim.node], references=False)
        higher = any(n in self._targets and not self._comes_first(self._targets[n]) for n in inner)
        if higher or self.vectors(claim.node):
            return True
        # What is returned and called a gradient is one.
        called = claim.named and claim in self.returned
        return not called and bool(self.gradients_in(claim.node))

    def is_of_gradients(self, node: Node) -> bool:
        """Whether a value is made of what comes back to values on the way, and not to inputs."""
        waiting, seen = [node], {node}
        while waiting:
            for source in waiting.pop().sources:
                target = self._targets.get(source)
                if target is not None and not isinstance(target, Input):
                    return True
                if target is None and source not in seen:
                    waiting.append(source)
                seen.add(source)
        return False

    def _choices(self) -> dict[tuple[str, ...], Ends]:
        numbers = Kinds()
        inputs = {node.name: node for node in self._program.graph.inputs}
        found: dict[str, tuple[Node, Node | None]] = {}
        for name, node in self._told.graph.outputs:
            if node in self._told.targets or not is_differentiable(numbers[node]):
                continue
            if not node.axes or f"d_{name}" in inputs:
                found[name] = (self._pairs[node], inputs.get(f"d_{name}"))
        every: dict[tuple[str, ...], Ends] = {(name,): [end] for name, end in found.items()}
        return every | {tuple(found): list(found.values())} if found else {}

    def _said(self) -> Iterator[Claim]:
        """Everything that comes back to a value, by its own name or by that of a result."""
        told = self._told
        lines = (
            (name, node, told.targets.get(node))
            for node, name in told.names.items()
            if not isinstance(node, Input)
        )
        others = (
            (name, node, told.target_of(name, node))
            for name, node in told.graph.outputs
            if told.names.get(node) != name  # one value may come back to several
        )
        for name, node, target in (*lines, *others):
            if target in self._pairs and node in self._pairs:
                named = told.target_of(name, node) is not None
                yield Claim(name, self._pairs[node], (self._pairs[target],), named)

    def _is_first(self, claim: Claim) -> bool:
        return self._comes_first(claim.at[0])

    def _comes_first(self, target: Node) -> bool:
        """Whether results are made of a value: what comes back to others is of another order."""
        return target in self.whole or isinstance(target, Input)

    def _guessed(self) -> Iterator[Claim]:
        """What has the axes of inputs of a result, and is made of vectors or of gradients."""
        numbers = Kinds()
        inputs = [n for n in changing_inputs(list(self.whole)) if n in self.whole]
        ends = {node for every in self.choices.values() for node, _ in every}
        for name, node in self._told.graph.outputs:
            made = self._pairs[node]
            at = tuple(n for n in inputs if set(n.axes) == set(made.axes))
            if made in ends or made in self._targets or isinstance(made, Input):
                continue
            if not is_differentiable(numbers[made]):
                continue
            if at and (self.vectors(made) or self.gradients_in(made)):
                yield Claim(name, made, at)


def changing_inputs(nodes: list[Node]) -> list[Input]:
    """The inputs that some nodes are made of, and that can change."""
    numbers = Kinds()
    order = in_order(nodes, references=False)
    return [n for n in order if isinstance(n, Input) and is_differentiable(numbers[n])]
