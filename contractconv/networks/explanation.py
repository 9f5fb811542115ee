"""A network explained, part by part: how values are connected, and what comes back through them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from contractconv.display.programs.explanation import ProgramExplanation, explain_program
from contractconv.display.programs.lines import Line
from contractconv.layers.records import Parameter, Path, Product
from contractconv.markup.shown import Paged
from contractconv.networks.connections import Connection, connections
from contractconv.networks.regions import Region, Regions, cut, innermost, paths_of, string_of
from contractconv.networks.traced import Traced
from contractconv.networks.work import Work, work_of
from contractconv.notation.problem import Shape
from contractconv.programs.build import unused
from contractconv.programs.nodes import Contract, Input, Map, Node
from contractconv.programs.program import Graph
from contractconv.programs.text.lines import BACK

# Of what has more values than these the formulas say nothing any more.
_MOST_VALUES = 120


@dataclass(frozen=True)
class Back:
    """What comes back to a value.

    Attributes:
        to: what the value is called; empty for what is made on the way.
        line: the formula; ``None`` if formulas are left out.
        string: the contraction that it is, as a string, if a string was differentiated.
        said: what that means, in a sentence.
    """

    to: str
    line: Line | None
    string: str = ""
    said: str = ""


@dataclass(frozen=True)
class Told:
    """What there is to say about a part.

    Attributes:
        path: what it is called, after the parts that it is in.
        string: what it does.
        given: what comes in, and its parameters, each with the sizes of its axes.
        makes: what it makes, likewise.
        program: the part alone, as a program with its gradients; ``None`` if it has so many
            values, as an unrolled recurrence has, that its formulas are left out.
        lines: the formulas of what it makes, in order.
        said: sentences about them.
        backs: what comes back: to its parameters, and to what comes in, if something is trained
            before it.
        work: its multiply-adds.
        like: the path of a part before it, of whose kind it is: the others are that one's.
    """

    path: Path
    string: str
    given: tuple[tuple[str, str], ...]
    makes: tuple[str, str]
    program: ProgramExplanation | None
    lines: tuple[Line, ...]
    said: tuple[str, ...]
    backs: tuple[Back, ...]
    work: Work
    like: Path | None = None


@dataclass(frozen=True)
class NetworkExplanation(Paged):
    """What a network does, part by part; ``print`` it.

    Attributes:
        name: the network's.
        inputs: what comes in, with the sizes of its axes.
        parts: its parts in order.
    """

    name: str
    inputs: tuple[tuple[str, str], ...]
    parts: tuple[Told, ...]

    def latex(self) -> str:
        """Return the formulas of all parts in LaTeX, below each other."""
        shown = (part.program for part in self.parts if part.program and not part.like)
        return "\n\n".join(f"\\[{program.latex()}\\]" for program in shown)

    def __str__(self) -> str:
        from contractconv.networks.display.explanation_text import as_text

        return as_text(self)

    def __repr__(self) -> str:
        return f"<explanation of the network {self.name}>"

    @property
    def _page_title(self) -> str:
        return self.name

    def _page_parts(self, *, alone: bool) -> Iterable[str]:
        from contractconv.networks.display.explanation_page import explanation_parts

        return explanation_parts(self, alone)


def explained(network: Traced, name: str) -> NetworkExplanation:
    """Explain a network.

    Args:
        network: the network.
        name: what it is called.
    """
    regions = Regions(network)
    parts = _Parts(regions)
    all_of_them = zip(regions.all, paths_of(regions), work_of(regions), strict=True)
    told = [parts.told(*each) for each in all_of_them if each[0].nodes]
    given = ((str(x.label), _sizes(x.axes, network.trace.shape(x))) for x in network.inputs)
    return NetworkExplanation(name, tuple(given), tuple(told))


class _Parts:
    """Explains parts, each kind of them once."""

    def __init__(self, regions: Regions) -> None:
        self._regions = regions
        self._parameters = {regions.made(p.tensor): p for p in regions.network.parameters}
        self._names = _names(regions)
        self._known: dict[Any, Told] = {}

    def told(self, region: Region, path: Path, work: Work) -> Told:
        """Explain a part."""
        part = _Part(region, self._regions, self._parameters, self._names)
        known = self._known.get(part.key)
        if known is not None:
            return replace(known, path=path, work=work, like=known.path)
        return self._known.setdefault(part.key, part.told(path, work))


class _Part:
    """A part as a program of its own, whose inputs are called as in the network."""

    def __init__(
        self,
        region: Region,
        regions: Regions,
        parameters: Mapping[Node, Parameter],
        names: Mapping[Node, str],
    ) -> None:
        self._region, self._regions, self._parameters = region, regions, parameters
        self._output_name = names[region.output]
        self._values = [
            node for node in region.read if isinstance(node, Input) or node in regions.trained
        ]
        self._names = list(self._called(names))

    @property
    def key(self) -> Any:
        """Equal for parts of which the same is to be said."""
        region, regions = self._region, self._regions
        roles = [self._parameters[n].path[-1] for n in self._values if n in self._parameters]
        names = [f"value {n}" for n in range(len(self._values))]
        output, _ = cut(region, regions, self._values, names)
        sizes = [(regions.shape(n), n in regions.trained) for n in self._values]
        return output.key, str(sizes), str(roles), string_of(region, regions)

    def told(self, path: Path, work: Work) -> Told:
        """Explain it."""
        program = self._program() if len(self._region.nodes) <= _MOST_VALUES else None
        forward, backs = (
            ([], list(dict.fromkeys(self._strings()))) if program is None else self._told(program)
        )
        given = zip(self._names, map(self._size, self._values), strict=True)
        return Told(
            path, string_of(self._region, self._regions), tuple(given),
            (self._output_name, self._size(self._region.output)), program, tuple(forward),
            tuple(self._said()), tuple(backs), work,
        )  # fmt: skip

    # -- the program -----------------------------------------------------------------------------

    def _called(self, names: Mapping[Node, str]) -> Iterator[str]:
        """What the values are called that it reads: parameters by their roles."""
        taken: list[str] = [self._output_name]
        for node in self._values:
            known = self._parameters.get(node)
            name = known.path[-1] if known else names.get(node) or node.label or "x"
            taken.append(unused(name, taken))
            yield taken[-1]

    def _program(self) -> ProgramExplanation:
        output, inputs = cut(self._region, self._regions, self._values, self._names, self._labels())
        graph = Graph.of({self._output_name: output}, inputs, self._output_name)
        shapes = {i.name: self._regions.shape(v) for i, v in zip(inputs, self._values, strict=True)}
        return explain_program(graph, shapes, self._wanted())

    def _wanted(self) -> list[str]:
        if self._region.output not in self._regions.trained:
            return []
        pairs = zip(self._names, self._values, strict=True)
        return [name for name, value in pairs if value in self._regions.trained]

    def _labels(self) -> dict[Node, str]:
        """Names for what is on the way: a contraction with weights, and that with a bias."""
        results = [self._regions.made(product.result) for product in self._products]
        if len(results) != 1:
            return {}
        (z,) = results
        sums = [n for n in self._region.nodes if isinstance(n, Map) and z in n.arguments]
        named = {innermost(z): "z"} | {n: "s" for n in sums if n.function == "add"}
        return {n: name for n, name in named.items() if n != self._region.output}

    def _size(self, node: Node) -> str:
        return _sizes(node.axes, self._regions.shape(node))

    # -- what is said ----------------------------------------------------------------------------

    @property
    def _products(self) -> tuple[Product, ...]:
        return () if self._region.call is None else self._region.call.products

    def _connections(self, product: Product) -> list[Connection]:
        node = innermost(self._regions.made(product.result))
        assert isinstance(node, Contract)
        return connections(product, node.spec, self._regions.sized.problems[node].extents)

    def _said(self) -> list[str]:
        """Sentences about its contractions, each once, and how often it holds."""
        said = Counter(sentence for product in self._products for sentence in self._about(product))
        return [s if n == 1 else f"{s} So it is {n} times." for s, n in said.items()]

    def _about(self, product: Product) -> Iterator[str]:
        for link in self._connections(product):
            yield " ".join(link.sentences())
        if product.bias is not None:
            axes = " ".join(_spoken(product, axis) for axis in product.bias.axes)
            yield f"{product.bias.path[-1]} is one number for each {axes}."

    def _told(self, program: ProgramExplanation) -> tuple[list[Line], list[Back]]:
        """The formulas of what is made, and of what comes back."""
        forward, back = _lines(program)
        said = {one.to: one for one in self._strings()}
        names = [line.name.removeprefix(BACK) for line in back]
        targets = [name if name in self._names else "" for name in names]
        backs = [
            replace(said.get(to, Back(to, line)), line=line)
            for to, line in zip(targets, back, strict=True)
        ]
        return forward, backs

    def _strings(self) -> Iterator[Back]:
        """What comes back to the operands of contractions with weights, in the notation."""
        for name in self._wanted():
            value = self._values[self._names.index(name)]
            for product in self._products:
                operands = [self._regions.made(operand) for operand in product.operands]
                if value in operands:
                    position = operands.index(value)
                    string = str(product.contraction.grad(position))
                    yield Back(name, None, string, self._meaning(product, position, name))

    def _meaning(self, product: Product, position: int, name: str) -> str:
        links = self._connections(product)
        weight = product.weights.get(position)
        if weight is not None:
            return next(link.learnt() for link in links if link.weight is weight)
        return links[0].back(name) if links else ""


def _names(regions: Regions) -> dict[Node, str]:
    """What the results of regions are called; those without a name of their own ``y``."""
    outputs = [region.output for region in regions.all]
    found = {node: node.label for node in outputs if node.label is not None}
    for node in outputs:
        if node not in found:
            found[node] = unused("y", found.values())
    return found


def _lines(program: ProgramExplanation) -> tuple[list[Line], list[Line]]:
    """What is made, and what comes back, each in the order in which it is worked out."""
    top = program.lines.top
    forward = [line for line in top if not line.is_input and not line.is_back]
    back = [one for line in top for one in line.all() if line.is_back or one is not line]
    order = {node: n for n, node in enumerate(program.lines.names)}
    back = [line for line in back if not line.is_input]
    return forward, sorted(back, key=lambda line: order[line.node])


def _spoken(product: Product, axis: str) -> str:
    """What the string calls an axis of the result."""
    return str(product.contraction._spec.output[product.result.axes.index(axis)])


def _sizes(axes: tuple[str, ...], shape: Shape) -> str:
    return " ".join(f"{a}={n}" for a, n in zip(axes, shape, strict=True)) or "a number"
