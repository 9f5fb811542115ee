"""What a program is made of: immutable nodes over the nodes that they read.

Every node has *named axes*. Contractions read their operands by position, as a string says; maps
align by name. A node is equal to another one if it says the same of equal nodes, in this process
and in any other: its :attr:`~Node.key` is a digest of that, so what is written twice is one value.
What a node is *called* is not part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Self

from contractconv.lazy import remembered
from contractconv.notation.spec import Spec
from contractconv.programs.sizes import Size

Axes = tuple[str, ...]
Sizes = tuple[tuple[str, Size], ...]
Scalar = bool | int | float | complex


@dataclass(frozen=True, eq=False, repr=False)
class Node:
    """A value of a program.

    Attributes:
        axes: the names of its axes, all different.
        label: what it is called, if somebody said so.
        cotangent_of: the node of which it is the cotangent; it is called after that one.
        key: a digest of what it is; equal nodes have equal ones.
        open_axes: those whose sizes follow from what the node meets, and from nothing else.
    """

    axes: Axes
    key: bytes = field(init=False, default=b"")
    open_axes: frozenset[str] = field(init=False, default=frozenset())
    label: str | None = field(default=None, kw_only=True)
    cotangent_of: Node | None = field(default=None, kw_only=True)

    @property
    def sources(self) -> tuple[Node, ...]:
        """The nodes whose values it reads."""
        return ()

    @property
    def sizes_read(self) -> tuple[Size, ...]:
        """The sizes that it is told, as expressions."""
        return ()

    @property
    def said(self) -> tuple[Any, ...]:
        """What it says beside its sources; texts and numbers, the same in every process."""
        return ()

    def over(self, sources: tuple[Node, ...], change: Mapping[Node, Node]) -> Self:
        """The same node of other sources, which have the same axes.

        Args:
            sources: what it reads instead.
            change: the nodes that are others now, of which it may know sizes.
        """
        raise NotImplementedError

    @remembered
    def references(self) -> tuple[Node, ...]:
        """The nodes of which it reads a size, and no values."""
        return tuple(node for size in self.sizes_read for node in size.nodes)

    def __post_init__(self) -> None:
        # At once: a graph is as deep as a recurrence is long, and Python's stack is not.
        digest = blake2b(digest_size=16)
        digest.update(repr((type(self).__name__, self.axes, self.said)).encode())
        for source in self.sources:
            digest.update(source.key)
        object.__setattr__(self, "key", digest.digest())
        object.__setattr__(self, "open_axes", self._open_axes())

    def _open_axes(self) -> frozenset[str]:
        """The axes that no source closes."""
        return frozenset(
            name
            for name in self.axes
            if all(name in s.open_axes for s in self.sources if name in s.axes)
        )

    def called(self, label: str | None) -> Self:
        """The same node under another name."""
        return self if label == self.label else replace(self, label=label)

    def as_cotangent_of(self, node: Node) -> Self:
        """The same node, which is called after the one whose cotangent it is."""
        if self.label is not None or self.cotangent_of is not None or self == node:
            return self
        return replace(self, cotangent_of=node)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Node) and self.key == other.key)

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        name = f" {self.label}" if self.label else ""
        return f"<{type(self).__name__.lower()}{name} {' '.join(self.axes)}>".replace(" >", ">")


@dataclass(frozen=True, eq=False, repr=False)
class Input(Node):
    """An array that a program is given.

    Attributes:
        name: what it is called.
        dtype: the numbers that it has; ``None`` for those that a program is compiled for.
    """

    name: str = ""
    dtype: str | None = None

    @property
    def said(self) -> tuple[Any, ...]:
        """Its name and its numbers."""
        return self.name, self.dtype

    def _open_axes(self) -> frozenset[str]:
        return frozenset()

    def over(self, sources: tuple[Node, ...], change: Mapping[Node, Node]) -> Self:
        """It reads nothing."""
        return self


@dataclass(frozen=True, eq=False, repr=False)
class Number(Node):
    """A number that stands in a program; it never widens the numbers that it meets."""

    value: Scalar = 0

    @property
    def said(self) -> tuple[Any, ...]:
        """The number, and which kind of number it is."""
        return type(self.value).__name__, repr(self.value)

    def over(self, sources: tuple[Node, ...], change: Mapping[Node, Node]) -> Self:
        """It reads nothing."""
        return self


@dataclass(frozen=True, eq=False, repr=False)
class Length(Node):
    """A size, as a number without axes."""

    size: Size = field(default_factory=lambda: Size(()))

    @property
    def sizes_read(self) -> tuple[Size, ...]:
        """The size."""
        return (self.size,)

    @property
    def said(self) -> tuple[Any, ...]:
        """The size."""
        return (self.size.key,)

    def over(self, sources: tuple[Node, ...], change: Mapping[Node, Node]) -> Self:
        """The same of other nodes' sizes."""
        return replace(self, size=self.size.mapped(change))


@dataclass(frozen=True, eq=False, repr=False)
class Position(Node):
    """An index as a value: along its only axis it holds 0, 1, 2, ...

    Attributes:
        size: of its axis; ``None`` if that follows from what it meets.
    """

    size: Size | None = None

    @property
    def sizes_read(self) -> tuple[Size, ...]:
        """The size, if it is given."""
        return () if self.size is None else (self.size,)

    @property
    def said(self) -> tuple[Any, ...]:
        """The size."""
        return (None if self.size is None else self.size.key,)

    def _open_axes(self) -> frozenset[str]:
        return frozenset(self.axes if self.size is None else ())

    def over(self, sources: tuple[Node, ...], change: Mapping[Node, Node]) -> Self:
        """The same of other nodes' sizes."""
        return replace(self, size=None if self.size is None else self.size.mapped(change))


@dataclass(frozen=True, eq=False, repr=False)
class Contract(Node):
    """A contraction of nodes, as a string says.

    Attributes:
        spec: the string, without an ellipsis.
        operands: one node for each term.
        extents: extents of indices, and values of parameters, that are given.
        shape: the sizes of the result, where the rules should not choose them.
        local: whether it is not the contraction that is meant, but the local derivative of its
            reduction, with the axes that :func:`~contractconv.calculus.local_derivative.local_term`
            says: how the result changes with each of its contributions.
    """

    spec: Spec = field(default_factory=lambda: Spec((), ()))
    operands: tuple[Node, ...] = ()
    extents: Sizes = ()
    shape: tuple[Size, ...] | None = None
    local: bool = False

    @property
    def sources(self) -> tuple[Node, ...]:
        """The operands."""
        return self.operands

    @property
    def sizes_read(self) -> tuple[Size, ...]:
        """What is given of extents and of the result."""
        return (*(size for _, size in self.extents), *(self.shape or ()))

    @property
    def said(self) -> tuple[Any, ...]:
        """The string, and what is given beside it."""
        shape = None if self.shape is None else tuple(size.key for size in self.shape)
        given = tuple(sorted((name, size.key) for name, size in self.extents))
        return str(self.spec), self.spec.reduce, self.spec.parameters, given, shape, self.local

    def _open_axes(self) -> frozenset[str]:
        """Those of indices that stand alone on open axes, and nowhere else."""
        if self.shape is not None or not any(operand.open_axes for operand in self.operands):
            return frozenset()
        closed = {name for name, _ in self.extents}
        for term, operand in zip(self.spec.inputs, self.operands, strict=True):
            named = zip(operand.axes, term, strict=True)
            closed |= {a.plain for n, a in named if a.plain and n not in operand.open_axes}
        found = zip(self.axes, self.spec.output, strict=False)
        return frozenset(name for name, axis in found if axis.plain and axis.plain not in closed)

    def over(self, sources: tuple[Node, ...], change: Mapping[Node, Node]) -> Self:
        """The same contraction of other operands."""
        shape = None if self.shape is None else tuple(size.mapped(change) for size in self.shape)
        extents = tuple((name, size.mapped(change)) for name, size in self.extents)
        return replace(self, operands=sources, extents=extents, shape=shape)


@dataclass(frozen=True, eq=False, repr=False)
class Map(Node):
    """A function of numbers, element by element; what lacks an axis is repeated along it.

    Attributes:
        function: its name in the table of maps.
        arguments: the nodes that it is applied to.
    """

    function: str = ""
    arguments: tuple[Node, ...] = ()

    @property
    def sources(self) -> tuple[Node, ...]:
        """The arguments."""
        return self.arguments

    @property
    def said(self) -> tuple[Any, ...]:
        """The function."""
        return (self.function,)

    def over(self, sources: tuple[Node, ...], change: Mapping[Node, Node]) -> Self:
        """The same function of other arguments."""
        return replace(self, arguments=sources)


@dataclass(frozen=True, eq=False, repr=False)
class Named(Node):
    """The same array, whose axes have other names."""

    source: Node = field(default_factory=lambda: Number(()))

    @property
    def sources(self) -> tuple[Node, ...]:
        """The array."""
        return (self.source,)

    def _open_axes(self) -> frozenset[str]:
        pairs = zip(self.axes, self.source.axes, strict=True)
        return frozenset(name for name, inner in pairs if inner in self.source.open_axes)

    def over(self, sources: tuple[Node, ...], change: Mapping[Node, Node]) -> Self:
        """The same names for another array."""
        return replace(self, source=sources[0])


@dataclass(frozen=True, eq=False, repr=False)
class Cast(Node):
    """The same in other numbers.

    Attributes:
        source: what is converted.
        dtype: to what.
        like: a node whose numbers are meant, where no ``dtype`` is given.
    """

    source: Node = field(default_factory=lambda: Number(()))
    dtype: str | None = None
    like: Node | None = None

    @property
    def sources(self) -> tuple[Node, ...]:
        """What is converted."""
        return (self.source,)

    @remembered
    def references(self) -> tuple[Node, ...]:
        """The node whose numbers are meant."""
        return () if self.like is None else (self.like,)

    @property
    def said(self) -> tuple[Any, ...]:
        """What it is converted to."""
        return self.dtype, None if self.like is None else self.like.key

    def over(self, sources: tuple[Node, ...], change: Mapping[Node, Node]) -> Self:
        """The same conversion of another array."""
        like = None if self.like is None else change.get(self.like, self.like)
        return replace(self, source=sources[0], like=like)


# -- walking over them -------------------------------------------------------------------------


def in_order(
    outputs: Iterable[Node], references: bool = True, known: Container[Node] = ()
) -> list[Node]:
    """Every node that some nodes are made of, each once, behind what it is made of.

    Args:
        outputs: the nodes.
        references: whether nodes count of which only a size, or the kind of numbers, is read.
        known: nodes that are left out, with what they are made of.

    Graphs may be deep (a recurrence of a thousand steps), so nothing here calls itself.
    """
    found: dict[Node, None] = {}
    waiting = [(node, False) for node in reversed(list(outputs))]
    while waiting:
        node, ready = waiting.pop()
        if node in found or node in known:
            continue
        if ready:
            found[node] = None
            continue
        waiting.append((node, True))
        read = (*node.sources, *node.references) if references else node.sources
        waiting += [(source, False) for source in reversed(read) if source not in found]
    return list(found)


def rebuilt(outputs: Iterable[Node], change: Callable[[Node], Node]) -> list[Node]:
    """Change every node, those first that others are made of.

    Args:
        outputs: the nodes.
        change: makes of a node, whose sources are changed already, the one that replaces it; it
            must have the same axes.

    Returns:
        The outputs, changed.
    """
    wanted = list(outputs)
    made: dict[Node, Node] = {}
    for node in in_order(wanted):
        sources = tuple(made[source] for source in node.sources)
        moved = any(made[n] is not n for n in (*node.sources, *node.references))
        made[node] = change(node.over(sources, made) if moved else node)
    return [made[node] for node in wanted]


def readers(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """For every node of a list those of the list that read it, in order."""
    found: dict[Node, list[Node]] = {}
    for node in nodes:
        found.setdefault(node, [])
        for source in dict.fromkeys(node.sources):
            found.setdefault(source, []).append(node)
    return found


def inputs_of(outputs: Iterable[Node]) -> Iterator[Input]:
    """The arrays that some nodes are made of, in the order in which they are met."""
    return (node for node in in_order(outputs) if isinstance(node, Input))
