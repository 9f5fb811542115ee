"""A contraction of many operands and its gradients, by one tree of pairs that all of them share.

Forward, the operands of a contraction meet in pairs, in the order that is planned for it. Backward,
one cotangent comes back to each pair, and from it to both of what met. So all gradients together
take about twice what the forward pass takes, where each by itself would take as much again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import prod

from contractconv.cache_register import kept
from contractconv.errors import ContractionError
from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.problem import Access, Accesses, Problem, Shape
from contractconv.notation.reach import reached
from contractconv.notation.spec import SUM, Axis, Composition, Spec, Term, lone_names
from contractconv.notation.tokens import NAME
from contractconv.planning.plan import order_of, steps_of
from contractconv.programs.agreement import agree
from contractconv.programs.build import contract, named, repeated, sizes_of
from contractconv.programs.contraction_rules import MANY, extent_of, pullback, told_by
from contractconv.programs.nodes import Contract, Input, Named, Node, Number, in_order
from contractconv.programs.program import Graph
from contractconv.programs.sizes import Size
from contractconv.programs.sizing import Sized, sized
from contractconv.reductions.table import REDUCTIONS

Problems = Callable[[Contract], Problem]

# Extents by which an order is chosen where none is known: those of taps, and all others.
_TAPS, _OTHERS = 3, 16
# Points that are gone through to see that a tree makes what it stands for.
_MOST_POINTS = 4096


@dataclass(frozen=True)
class _Group:
    """A contraction of many operands, and gradients of it that a program has.

    Attributes:
        forward: the contraction.
        cotangent: what comes back to it.
        gradients: the gradient by each operand, by its position.
    """

    forward: Contract
    cotangent: Node
    gradients: Mapping[int, Node]


def sized_and_shared(graph: Graph, shapes: Mapping[str, Shape]) -> Sized:
    """A program whose sizes are numbers, in which products and their gradients share pairs.

    Args:
        graph: the program.
        shapes: the shape of each of its inputs, by name.

    Raises:
        ShapeError: shapes do not fit, or the size of an axis follows from nothing.
    """
    known = sized(graph, shapes)
    split = shared(graph.wanted, lambda node: known.problems[known.made[node]])
    if split == list(graph.wanted):
        return known
    names = (name for name, _ in graph.outputs)
    return sized(Graph(tuple(zip(names, split, strict=True)), graph.inputs, graph.name), shapes)


def shared(outputs: Sequence[Node], problems: Problems | None = None) -> list[Node]:
    """The same nodes, in which contractions and their gradients share what can be shared.

    Args:
        outputs: the nodes.
        problems: what contractions are, if their sizes are known.
    """
    became: dict[Node, Node] = {}
    for group in _groups(outputs):
        if _holds(group):
            became |= _Tree(group, _problem(group, problems)).became
    return _replaced(outputs, became) if became else list(outputs)


def _problem(group: _Group, problems: Problems | None) -> Problem:
    """The contraction with sizes, which a gradient of it has as well."""
    if problems is None:
        return nominal(group.forward.spec)
    (n, gradient), *_ = group.gradients.items()
    assert isinstance(gradient, Contract)
    back = problems(gradient)
    others = back.operands[len(back.operands) - len(group.forward.operands) + 1 :]
    operands = (*others[:n], back.output, *others[n:])
    output = back.operands[0] if len(back.operands) == len(operands) else ()
    kept = {name for access in output for name in access.names}
    sizes = sorted(back.sizes, key=lambda pair: pair[0] not in kept)
    shape = tuple(access.size for access in output)
    return Problem(operands, output, tuple(sizes), SUM, shape)


def _holds(group: _Group) -> bool:
    """Whether the tree makes what it stands for, exactly, at random points modulo a prime."""
    operands = tuple(
        Input(operand.axes, name=f"t{n}") for n, operand in enumerate(group.forward.operands)
    )
    back = Input(group.forward.axes, name="g")
    return _tree_holds(group.forward.spec, operands, back, tuple(sorted(group.gradients)))


@kept(most=512)
def _tree_holds(
    spec: Spec, operands: tuple[Input, ...], back: Input, wanted: tuple[int, ...]
) -> bool:
    """The same for operands that may be anything; it depends on the string alone."""
    small = nominal(spec, 2, 2)
    if small.points > _MOST_POINTS:
        # Nobody can go through the points of so long a product; without windows and diagonals its
        # order does not matter.
        return all(len(lone_names([term])) == len(set(term)) == len(term) for term in spec.terms)
    told = {name: Size.of(size) for name, size in small.sizes}
    shape = tuple(Size.of(size) for size in small.result_shape)
    forward = replace(contract(spec, operands, told, shape), axes=back.axes)
    gradients = {n: pullback(forward, n, back) for n in wanted}
    group = _Group(forward, back, {n: g for n, g in gradients.items() if g is not None})
    shapes = {
        operand.name: _shape(term, small.extents)
        for operand, term in zip(operands, spec.inputs, strict=True)
    }
    try:
        became = _Tree(group, small).became
        return all(
            agree(old, new, {**shapes, "g": small.result_shape}) for old, new in became.items()
        )
    except ContractionError:
        return False


def nominal(spec: Spec, taps: int = _TAPS, others: int = _OTHERS) -> Problem:
    """A contraction with sizes that are usual, where none is known: few taps, more of the rest."""
    alone = set(lone_names(spec.terms))
    inner = {n for axis in spec.axes for n in axis.names if len(axis.names) > 1}
    reduced = set(spec.reduced)
    sizes = {n: taps if n in inner & reduced & alone else others for n in spec.indices}
    *terms, output = (tuple(a for x in term for a in _accesses(x, sizes)) for term in spec.terms)
    inputs, shape = tuple(_told_apart(terms, output)), _shape(spec.output, sizes)
    return Problem(inputs, output, tuple(sizes.items()), spec.reduce, shape)


def _told_apart(terms: Iterable[Accesses], output: Accesses) -> Iterator[Accesses]:
    """Terms in which windows of several arrays have several sizes: nothing says that one fits all.

    A window is left whole only where the arrays that have it are equally large.
    """
    met = Counter(output)
    for term in terms:
        yield tuple(a if a.plain else replace(a, size=a.size + met[a]) for a in term)
        met.update(term)


def _shape(term: Term, sizes: Mapping[str, int]) -> Shape:
    return tuple(prod(access.size for access in _accesses(axis, sizes)) for axis in term)


def _accesses(axis: Axis, sizes: Mapping[str, int]) -> Iterator[Access]:
    if not isinstance(axis, Affine):
        yield from (Access.along(name, sizes[name]) for name in axis.names)
        return
    steps = ((c.number, sizes[name] - 1) for name, c in axis.terms)
    yield Access.by(axis, max(1, reached(axis.offset.number, axis.divisor.number, steps)))


def _groups(outputs: Sequence[Node]) -> Iterator[_Group]:
    order = in_order(outputs, references=False)
    many = [n for n in order if isinstance(n, Contract) and _is_many(n)]
    taken: set[Node] = set()
    for forward in (*many, *_not_there(many)):
        if forward in taken or len(forward.operands) < MANY or forward.spec.parameters:
            continue
        for cotangent, gradients in _gradients(forward, many).items():
            left = {n: node for n, node in gradients.items() if node not in taken}
            if left:
                taken |= {forward, *left.values()}
                yield _Group(forward, cotangent, left)


def _not_there(many: Sequence[Contract]) -> Iterator[Contract]:
    """Contractions whose gradients a program has, but not them themselves.

    What one gradient lacks of the operands is found in another one, with the same cotangent.
    """
    by_cotangent: dict[Node, list[Contract]] = {}
    for node in many:
        if len(node.operands) >= MANY and not node.spec.parameters:
            by_cotangent.setdefault(node.operands[0], []).append(node)
    for cotangent, nodes in by_cotangent.items():
        first, *others = nodes
        for other in others:
            lacked = [o for o in other.operands[1:] if o not in first.operands[1:]]
            if len(lacked) == 1 and len(other.operands) == len(first.operands):
                yield from _with_operand(first, lacked[0], cotangent)
                break


def _with_operand(gradient: Contract, lacked: Node, cotangent: Node) -> Iterator[Contract]:
    """Contractions of which a node may be the gradient by an operand, wherever that stands."""
    given, *terms = gradient.spec.inputs
    for place in range(len(terms) + 1):
        inputs = (*terms[:place], gradient.spec.output, *terms[place:])
        operands = (*gradient.operands[1 : place + 1], lacked, *gradient.operands[place + 1 :])
        spec = Spec(inputs, given, SUM)
        extents = {name: size for name, size in gradient.extents if name in spec.indices}
        fits = all(len(o.axes) == len(term) for o, term in zip(operands, inputs, strict=True))
        if fits and set(spec.indices) >= set(gradient.spec.indices):
            shape = sizes_of(cotangent)
            if len(shape) == len(given):
                yield replace(contract(spec, operands, extents, shape), axes=cotangent.axes)


def _is_many(node: Contract) -> bool:
    """Whether so many arrays meet in a sum that an order can be chosen, or in a gradient of one."""
    arrays = not any(isinstance(operand, Number) for operand in node.operands)
    summed = REDUCTIONS[node.spec.reduce].is_sum and not node.local
    return len(node.operands) >= MANY - 1 and arrays and summed


def _gradients(forward: Contract, many: Sequence[Contract]) -> dict[Node, dict[int, Contract]]:
    """The gradients of a contraction, for each cotangent that comes back to it."""
    found: dict[Node, dict[int, Contract]] = {}
    for n in range(len(forward.operands)):
        others = tuple(o for m, o in enumerate(forward.operands) if m != n)
        for node in many:
            first = len(node.operands) - len(others)
            if first not in (0, 1) or node.operands[first:] != others:
                continue
            cotangent = node.operands[0] if first else Number((), value=1)
            if (
                cotangent.axes == forward.axes
                and _stripped(pullback(forward, n, cotangent)) == node
            ):
                found.setdefault(cotangent, {})[n] = node
    return found


def _stripped(node: Node | None) -> Node | None:
    """A node under the names that its string gives it."""
    return node.source if isinstance(node, Named) else node


def _replaced(outputs: Sequence[Node], became: Mapping[Node, Node]) -> list[Node]:
    """The outputs, with other nodes in the place of some, which may read such nodes themselves."""
    made: dict[Node, Node] = {}
    meant = [became.get(node, node) for node in outputs]
    waiting = [(node, False) for node in meant]
    while waiting:
        node, ready = waiting.pop()
        sources = [became.get(source, source) for source in node.sources]
        if node in made:
            continue
        if not ready:
            waiting += [(node, True), *((source, False) for source in sources)]
            continue
        new = tuple(made[source] for source in sources)
        moved = any(a is not b for a, b in zip(new, node.sources, strict=True))
        made[node] = node.over(new, {}) if moved else node
    return [made[node] for node in meant]


class _Tree:
    """A contraction in pairs, and the cotangents that come back along them.

    Attributes:
        became: what stands for the contraction, and for each of its gradients.
    """

    def __init__(self, group: _Group, problem: Problem) -> None:
        self._group = group
        self._steps: list[tuple[Contract, list[int]]] = []
        self._values: list[Node] = list(group.forward.operands)
        self._terms: dict[int, Term] = dict(enumerate(group.forward.spec.inputs))
        self._orders: dict[int, list[int]] = {}
        self._forward(steps_of(problem, order_of(problem)))
        self.became: dict[Node, Node] = {group.forward: named(self._values[-1], group.forward.axes)}
        self._backward()

    def _forward(self, steps: Sequence[tuple[tuple[int, ...], Problem]]) -> None:
        left = list(range(len(self._values)))
        for positions, part in steps:
            taken = [left.pop(n) for n in sorted(positions, reverse=True)][::-1]
            left.append(len(self._values))
            last = len(left) == 1 and len(self._steps) == len(steps) - 1
            pair = self._pair(part, taken, last)
            self._steps.append((pair, taken))
            self._values.append(pair)

    def _pair(self, part: Problem, taken: Sequence[int], last: bool) -> Contract:
        """What some values make together."""
        forward, names = self._group.forward, _written(part)
        operands = [
            tuple(accesses[m] for m in self._orders.get(n, range(len(accesses))))
            for n, accesses in zip(taken, part.operands, strict=True)
        ]
        inputs = [
            _leaf(self._terms[n], accesses, names) if n in self._terms else _term(accesses, names)
            for n, accesses in zip(taken, operands, strict=True)
        ]
        order = _order(operands, part) if not last else list(range(len(part.output)))
        self._orders[len(self._values)] = order
        output = _term([part.output[m] for m in order], names)
        spec = Spec(tuple(inputs), forward.spec.output if last else output, SUM)
        values = [self._values[n] for n in taken]
        told = told_by(zip(inputs, values, strict=True))
        extents = {n: extent_of(forward, n) for n in spec.indices if n not in told}
        return contract(spec, values, extents, forward.shape if last else None)

    def _backward(self) -> None:
        """Bring the cotangent back along the pairs, as far as a gradient is wanted."""
        first = len(self._group.forward.operands)
        wanted = set(self._group.gradients)
        for number, (_, taken) in enumerate(self._steps):
            if wanted.intersection(taken):
                wanted.add(first + number)
        last = self._values[-1]
        # Its axes may have other names there.
        cotangents = {len(self._values) - 1: named(self._group.cotangent, last.axes)}
        for number in reversed(range(len(self._steps))):
            pair, taken = self._steps[number]
            for place, child in enumerate(taken):
                if child in wanted:
                    back = pullback(pair, place, cotangents[first + number])
                    assert back is not None
                    cotangents[child] = back
        for n, gradient in self._group.gradients.items():
            whole = repeated(cotangents[n], self._group.forward.operands[n])
            self.became[gradient] = named(whole, gradient.axes)


def _leaf(term: Term, accesses: Accesses, names: Mapping[str, str]) -> Term:
    """The term of an operand, in which windows may be left whole; compositions stay."""
    left = list(accesses)
    found: list[Axis] = []
    for axis in term:
        count = len(axis.names) if isinstance(axis, Composition) else 1
        met, left = left[:count], left[count:]
        opened = all(NAME.fullmatch(name) for access in met for name in access.names)
        found.append(axis if opened else _axis(met[0], names))
    return tuple(found)


def _order(operands: Sequence[Accesses], part: Problem) -> list[int]:
    """In which order a result with windows has its axes: as its largest operand has them.

    Where there are no windows, whoever planned the step has thought about it.
    """
    plain = all(a.plain and NAME.fullmatch(a.plain) for term in operands for a in term)
    if plain:
        return list(range(len(part.output)))
    largest = max(operands, key=lambda term: prod(access.size for access in term))
    mentioned = [name for term in (largest, *operands) for access in term for name in access.names]
    return sorted(range(len(part.output)), key=lambda n: mentioned.index(part.output[n].names[0]))


def _written(part: Problem) -> dict[str, str]:
    """Names that can be written for the indices of a step, in which windows may be left whole."""
    fresh = (f"p{n}" for n in count() if f"p{n}" not in part.extents)
    return {name: name if NAME.fullmatch(name) else next(fresh) for name in part.extents}


def _term(accesses: Iterable[Access], names: Mapping[str, str]) -> Term:
    """The axes of an array, as a string says them."""
    return tuple(_axis(access, names) for access in accesses)


def _axis(access: Access, names: Mapping[str, str]) -> Affine:
    terms = [(names[name], Polynomial.of(c)) for name, c in access.terms]
    return Affine.of(terms, Polynomial.of(access.offset), Polynomial.of(access.divisor))
