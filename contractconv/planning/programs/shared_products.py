"""A contraction of many operands and its gradients, by one tree of pairs that all of them share.

Forward, the operands of a contraction meet in pairs, in the order that is planned for it. Backward,
one cotangent comes back to each pair, and from it to both of what met. So all gradients together
take about twice what the forward pass takes, where each by itself would take as much again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.problem import Access, Accesses, Problem, shape_of
from contractconv.notation.spec import SUM, Spec, Term
from contractconv.planning.plan import order_of, steps_of
from contractconv.programs.build import result_axes
from contractconv.programs.contraction_rules import MANY
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Contract, Node, Number
from contractconv.programs.program import Graph
from contractconv.programs.sizes import Size
from contractconv.reductions.table import REDUCTIONS


@dataclass(frozen=True)
class _Group:
    """A contraction of many operands, and those of its gradients that a program has.

    Attributes:
        forward: the contraction.
        problem: the same with sizes.
        cotangent: what comes back to it; ``None`` if that is one.
        gradients: the gradient by each operand, by its position.
    """

    forward: Contract
    problem: Problem
    cotangent: Node | None
    gradients: Mapping[int, Contract]


def shared(program: Typed) -> Typed:
    """The same program, in which contractions and their gradients share what can be shared."""
    groups = list(_groups(program))
    if not groups:
        return program
    splitting = _Splitting(program)
    for group in groups:
        splitting.split(group)
    return splitting.rebuilt()


def _groups(program: Typed) -> Iterator[_Group]:
    many = [n for n in program.graph.nodes if isinstance(n, Contract) and _is_many(n)]
    taken: set[Node] = set()
    for forward in many:
        if forward in taken:
            continue
        for cotangent, gradients in _gradients(forward, many, program).items():
            left = {n: node for n, node in gradients.items() if node not in taken}
            if left:
                taken |= {forward, *left.values()}
                yield _Group(forward, program.problems[forward], cotangent, left)


def _is_many(node: Contract) -> bool:
    """Whether at least three arrays meet in a sum, so that an order can be chosen."""
    arrays = sum(not isinstance(operand, Number) for operand in node.operands)
    return (
        len(node.operands) >= MANY - 1
        and arrays == len(node.operands)
        and REDUCTIONS[node.spec.reduce].is_sum
        and not node.local
    )


def _gradients(
    forward: Contract, many: Sequence[Contract], program: Typed
) -> dict[Node | None, dict[int, Contract]]:
    """The gradients of a contraction, for each cotangent that comes back to it."""
    found: dict[Node | None, dict[int, Contract]] = {}
    if len(forward.operands) < MANY:
        return found
    for n in range(len(forward.operands)):
        others = tuple(o for m, o in enumerate(forward.operands) if m != n)
        back = _back(program.problems[forward], n)
        for node in many:
            first = len(node.operands) - len(others)
            if first not in (0, 1) or node.operands[first:] != others or node is forward:
                continue
            given = program.problems[node]
            if _is_same(given, back, first):
                cotangent = node.operands[0] if first else None
                found.setdefault(cotangent, {})[n] = node
    return found


def _back(problem: Problem, n: int) -> Problem:
    """The contraction of a cotangent and all operands but one, back to that one."""
    others = tuple(term for m, term in enumerate(problem.operands) if m != n)
    target = problem.operands[n]
    kept = {name for access in target for name in access.names}
    first = tuple(pair for pair in problem.sizes if pair[0] in kept)
    rest = tuple(pair for pair in problem.sizes if pair[0] not in kept)
    terms = (problem.output, *others)
    return Problem(terms, target, (*first, *rest), SUM, shape_of(target))


def _is_same(given: Problem, back: Problem, first: int) -> bool:
    return (
        given.operands == back.operands[1 - first :]
        and (first == 1 or not back.operands[0])
        and given.output == back.output
        and given.extents == back.extents
    )


class _Splitting:
    """A program that is taken apart, and what its nodes become."""

    def __init__(self, program: Typed) -> None:
        self._program = program
        self._became: dict[Node, Node] = {}
        self._problems = dict(program.problems)
        self._shapes = dict(program.shapes)
        self._dtypes = dict(program.dtypes)

    def split(self, group: _Group) -> None:
        """Put a tree of pairs in the place of a contraction and its gradients."""
        tree = _Tree(group)
        if tree.points >= sum(_points(self._problems[n]) for n in tree.replaced):
            return
        dtype = self._dtypes[group.forward]
        for node, problem in tree.nodes:
            self._problems[node], self._shapes[node] = problem, problem.result_shape
            self._dtypes[node] = dtype
        self._became |= tree.became

    def rebuilt(self) -> Typed:
        """The program of what its nodes became."""
        made: dict[Node, Node] = {}
        for node in self._order():
            made[node] = self._rebuilt(node, made)
        outputs = tuple(
            (name, made[self._became.get(node, node)]) for name, node in self._program.graph.outputs
        )
        graph = Graph(outputs, self._program.graph.inputs, self._program.graph.name)
        return Typed(graph, self._shapes, self._dtypes, self._problems)

    def _order(self) -> list[Node]:
        """Every node that is needed, each behind what it reads."""
        found: dict[Node, None] = {}
        waiting = [(self._became.get(n, n), False) for n in reversed(self._program.graph.wanted)]
        while waiting:
            node, ready = waiting.pop()
            if node in found:
                continue
            if ready:
                found[node] = None
                continue
            waiting.append((node, True))
            waiting += [(self._became.get(s, s), False) for s in node.sources]
        return list(found)

    def _rebuilt(self, node: Node, made: Mapping[Node, Node]) -> Node:
        sources = tuple(made[self._became.get(source, source)] for source in node.sources)
        if all(new is old for new, old in zip(sources, node.sources, strict=True)):
            return node
        new = node.over(sources, {})
        self._shapes[new], self._dtypes[new] = self._shapes[node], self._dtypes[node]
        if node in self._problems:
            self._problems[new] = self._problems[node]
        return new


def _points(problem: Problem) -> int:
    """The multiplications of a contraction by itself, in the order that is best for it."""
    return sum(part.points for _, part in steps_of(problem, order_of(problem)))


class _Tree:
    """A contraction in pairs, and the cotangents that come back along them.

    Attributes:
        nodes: the contractions of pairs, with their problems.
        became: what stands for the contraction, and for each of its gradients.
    """

    def __init__(self, group: _Group) -> None:
        self.nodes: list[tuple[Contract, Problem]] = []
        self.became: dict[Node, Node] = {}
        self._group = group
        self._steps: list[tuple[Problem, list[int]]] = []
        self._values: list[Node] = list(group.forward.operands)
        self._forward()
        self._backward()

    @property
    def points(self) -> int:
        """Its multiplications."""
        return sum(problem.points for _, problem in self.nodes)

    @property
    def replaced(self) -> tuple[Contract, ...]:
        """The contractions in whose place it stands."""
        return (self._group.forward, *self._group.gradients.values())

    def _forward(self) -> None:
        forward, problem = self._group.forward, self._group.problem
        left = list(range(len(self._values)))
        steps = steps_of(problem, order_of(problem))
        for positions, part in steps:
            taken = [left.pop(n) for n in sorted(positions, reverse=True)][::-1]
            left.append(len(self._values))
            last = len(self._steps) == len(steps) - 1
            whole = replace(part, result_shape=problem.result_shape) if last else part
            self._steps.append((part, taken))
            values = tuple(self._values[n] for n in taken)
            self._values.append(self._made(whole, values, forward.axes if last else None))
        self.became[forward] = self._values[-1]

    def _backward(self) -> None:
        """Bring the cotangent back along the pairs, as far as a gradient is wanted."""
        count = len(self._group.forward.operands)
        wanted = self._wanted(count)
        cotangents: dict[int, Node | None] = {len(self._values) - 1: self._group.cotangent}
        for number in reversed(range(len(self._steps))):
            part, taken = self._steps[number]
            for place, child in enumerate(taken):
                if child in wanted:
                    cotangents[child] = self._pulled_back(
                        part, taken, place, cotangents[count + number]
                    )
        for n, gradient in self._group.gradients.items():
            made = cotangents[n]
            assert made is not None
            self.became[gradient] = made

    def _wanted(self, count: int) -> set[int]:
        """The values to which something has to come back."""
        wanted = set(self._group.gradients)
        for number, (_, taken) in enumerate(self._steps):
            if wanted.intersection(taken):
                wanted.add(count + number)
        return wanted

    def _pulled_back(
        self, part: Problem, taken: Sequence[int], place: int, cotangent: Node | None
    ) -> Node:
        """What comes back to one of what met."""
        back = _back(part, place)
        values = [self._values[n] for m, n in enumerate(taken) if m != place]
        if cotangent is not None:
            values = [cotangent, *values]
        elif values:
            back = replace(back, operands=back.operands[1:])
        else:
            values = [Number((), value=1)]
        gradient = self._group.gradients.get(taken[place])
        if gradient is None:
            return self._made(back, tuple(values), None)
        shape = tuple(size.offset for size in gradient.shape) if gradient.shape else None
        return self._made(
            replace(back, result_shape=shape or back.result_shape), tuple(values), gradient.axes
        )

    def _made(
        self, problem: Problem, operands: tuple[Node, ...], axes: tuple[str, ...] | None
    ) -> Node:
        inputs = tuple(map(_term, problem.operands))
        output = _term(problem.output)
        node = Contract(
            result_axes(output) if axes is None else axes,
            spec=Spec(inputs, output, SUM),
            operands=operands,
            extents=tuple((name, Size.of(size)) for name, size in problem.sizes),
            shape=tuple(map(Size.of, problem.result_shape)),
        )
        self.nodes.append((node, problem))
        return node


def _term(accesses: Accesses) -> Term:
    """The axes of an array, as a string says them."""
    return tuple(map(_axis, accesses))


def _axis(access: Access) -> Affine:
    terms = [(name, Polynomial.of(c)) for name, c in access.terms]
    return Affine.of(terms, Polynomial.of(access.offset), Polynomial.of(access.divisor))
