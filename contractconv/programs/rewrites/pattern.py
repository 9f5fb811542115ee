"""A rewrite as a pattern: both sides down to the nodes that both read, and small sizes for them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from random import Random
from typing import Any

from contractconv.notation.problem import Access, Accesses, Problem, Shape, shape_of
from contractconv.notation.spec import Axis, Composition, Term
from contractconv.programs.exact import Known, is_known
from contractconv.programs.nodes import Contract, Node, Number, Position
from contractconv.programs.small_sizes import Place, SizeClasses

# How far the old side is followed where the new side reads nothing.
_DEPTH = 8
_MOST_POINTS = 20_000


@dataclass(frozen=True)
class Pattern:
    """Two nodes that should be the same.

    Attributes:
        old, new: the nodes.
        order: what they are made of, each behind what it reads.
        leaves: those of these that may hold anything.
    """

    old: Node
    new: Node
    order: tuple[Node, ...]
    leaves: tuple[Node, ...]

    @staticmethod
    def of(old: Node, new: Node, fresh: Container[Node]) -> Pattern:
        """The pattern of a rewrite that made some fresh nodes."""
        made = list(_until(new, lambda node, depth: node in fresh))
        read = {source for node in made for source in node.sources if source not in fresh}
        read |= {new} - set(made)
        kept = list(_until(old, lambda node, depth: node not in read and depth < _DEPTH))
        inner = {node for node in (*made, *kept) if is_known(node)}
        order = _in_order([old, new], inner)
        leaves = (node for node in order if node not in inner and not _stands_alone(node))
        return Pattern(old, new, tuple(order), tuple(leaves))


def _stands_alone(node: Node) -> bool:
    return isinstance(node, (Number, Position))


def _until(node: Node, inside: Callable[[Node, int], bool]) -> Iterator[Node]:
    """A node and what it is made of, as long as that is inside."""
    waiting, seen = [(node, 0)], set[Node]()
    while waiting:
        one, depth = waiting.pop(0)
        if one in seen or not inside(one, depth):
            continue
        seen.add(one)
        yield one
        waiting += [(source, depth + 1) for source in one.sources]


def _in_order(outputs: Sequence[Node], inner: Container[Node]) -> list[Node]:
    """What nodes are made of, down to what is not inside, each behind what it reads."""
    found: dict[Node, None] = {}
    waiting = [(node, False) for node in reversed(outputs)]
    while waiting:
        node, ready = waiting.pop()
        if node in found:
            continue
        if ready or node not in inner:
            found[node] = None
            continue
        waiting.append((node, True))
        waiting += [(source, False) for source in reversed(node.sources)]
    return list(found)


# -- small sizes -----------------------------------------------------------------------------------


def shrunk(pattern: Pattern, known: Known) -> Known | None:
    """What is known of the nodes of a pattern if all sizes are small; ``None`` if they cannot be.

    Sizes that are equal because they have to be stay equal. So a rewrite that is right for small
    sizes only because others happen to be equal is refused.
    """
    classes = SizeClasses([node for node in pattern.order if node not in pattern.leaves], False)
    for one, two in zip(pattern.old.axes, pattern.new.axes, strict=True):
        classes.join((pattern.old, one, False), (pattern.new, two, False))
    if not _agree(pattern, known, classes):
        return None
    size = classes.drawn(Random(0), {})
    shapes = {
        node: tuple(size((node, name, False)) for name in node.axes) for node in pattern.order
    }
    problems: dict[Node, Problem] = {
        node: _problem(node, known.problems[node], shapes, size)
        for node in pattern.order
        if isinstance(node, Contract) and node not in pattern.leaves
    }
    fits = all(_fits(node, problem, shapes) for node, problem in problems.items())
    return Known(shapes, known.dtypes, problems) if fits else None


def _agree(pattern: Pattern, known: Known, classes: SizeClasses) -> bool:
    """Whether places that have to have one size have one."""
    sizes: dict[Place, int] = {}
    for node in pattern.order:
        places = {
            (node, name, False): n for name, n in zip(node.axes, known.shapes[node], strict=True)
        }
        if isinstance(node, Contract) and node not in pattern.leaves:
            places |= {(node, name, True): n for name, n in known.problems[node].sizes}
        for place, size in places.items():
            if sizes.setdefault(classes.root(place), size) != size:
                return False
    return True


def _problem(
    node: Contract, given: Problem, shapes: dict[Node, Shape], size: Callable[[Place], int]
) -> Problem:
    """A contraction with small sizes."""
    extents = {name: size((node, name, True)) for name in given.indices}
    terms = zip(node.spec.inputs, given.operands, node.operands, strict=True)
    operands = tuple(
        _accesses(term, held, shapes[operand], extents) for term, held, operand in terms
    )
    result = shapes[node] if not node.local else given.result_shape
    output = _accesses(node.spec.output, given.output, result, extents)
    return replace(
        given, operands=operands, output=output, sizes=tuple(extents.items()), result_shape=result
    )


def _accesses(term: Term, held: Accesses, shape: Shape, extents: dict[str, int]) -> Accesses:
    """The axes of a term, with other sizes; those of a composition are the extents."""
    found: list[Access] = []
    left = iter(held)
    for axis, size in zip(term, shape, strict=True):
        parts = [next(left) for _ in range(_count(axis))]
        alone = not isinstance(axis, Composition)
        found += [replace(part, size=size if alone else extents[part.names[0]]) for part in parts]
    return tuple(found)


def _count(axis: Axis) -> int:
    return len(axis.names) if isinstance(axis, Composition) else 1


def _fits(node: Node, problem: Problem, shapes: dict[Node, Shape]) -> bool:
    """Whether operands have as many elements as compositions of indices need, and not too many."""
    terms = zip(problem.operands, node.sources, strict=True)
    whole = all(prod(shape_of(term)) == prod(shapes[operand]) for term, operand in terms)
    local = isinstance(node, Contract) and node.local
    made = local or prod(problem.output_sizes) == prod(shapes[node])
    return whole and made and problem.points <= _MOST_POINTS


# -- what a pattern says, whatever its axes are called ---------------------------------------------


def written(pattern: Pattern, known: Known) -> str:
    """A pattern without names: equal patterns are judged once."""
    names: dict[str, int] = {}
    numbers = {node: n for n, node in enumerate(pattern.order)}
    rows: list[Any] = []
    for node in pattern.order:
        axes = tuple(names.setdefault(name, len(names)) for name in node.axes)
        row: list[Any] = [type(node).__name__, axes, known.dtypes[node]]
        if node not in pattern.leaves:
            row += [tuple(numbers[source] for source in node.sources), _said(node, names)]
        rows.append(row)
    return repr((rows, numbers[pattern.old], numbers[pattern.new]))


def _said(node: Node, names: dict[str, int]) -> Any:
    if isinstance(node, Position):
        return ()
    if isinstance(node, Contract):
        return _string(node)
    return tuple(names.get(part, part) if isinstance(part, str) else part for part in node.said)


def _string(node: Contract) -> Any:
    """A string without names of indices."""
    names: dict[str, str] = {}
    for name in node.spec.indices:
        names[name] = f"i{len(names)}"
    terms = tuple(tuple(str(axis.renamed(names)) for axis in term) for term in node.spec.terms)
    values = tuple((n, s.number) for n, s in node.extents if n in node.spec.parameters)
    return terms, node.spec.reduce, values, node.local
