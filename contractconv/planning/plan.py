"""Plans: the steps of a contraction, what each costs, and how it will be carried out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import prod
from typing import NamedTuple

from contractconv.cache_register import Shelf, kept
from contractconv.errors import AlgorithmError
from contractconv.lazy import Value, remembered
from contractconv.markup.parts import article
from contractconv.markup.shown import Printed
from contractconv.notation.problem import Accesses, Problem, Shape, shape_of
from contractconv.notation.spec import SUM
from contractconv.planning.choice import Choice, choose
from contractconv.planning.cost import flops, labels_of
from contractconv.planning.einsum import arranged
from contractconv.planning.lowerings import Lowering, described, gradient_lowering, lowering_of
from contractconv.planning.merges import Merge, merge
from contractconv.planning.orders.search import contraction_order
from contractconv.planning.path import AUTO, NO_ORDER, Order, Pair, Search, checked_path
from contractconv.planning.piece import Piece
from contractconv.planning.report import data, report
from contractconv.planning.result_coverage import complete, disjoint
from contractconv.planning.setting import DIRECT, FAST, Setting
from contractconv.planning.strided_leaves import is_leaf, is_tight, leaves
from contractconv.planning.tilings import far_apart, long_windows
from contractconv.planning.trimming import trimmed
from contractconv.reductions.table import REDUCTIONS
from contractconv.tiles.decomposition import Decomposition, Tiles


@dataclass(frozen=True)
class Step(Value):
    """One step: take operands out of the list, contract them, append the result.

    Attributes:
        positions: which operands of the current list it takes, ascending.
        problem: the step, itself a contraction.
        setting: what algorithms are chosen by.
        ready: what execution keeps for operands that lie in memory as earlier ones did.
    """

    positions: Pair
    problem: Problem
    setting: Setting
    ready: Shelf = field(default_factory=Shelf, init=False, repr=False, compare=False)

    @property
    def flops(self) -> int:
        """Floating-point operations of the step."""
        return flops(self.problem)

    @remembered
    def is_leaf(self) -> bool:
        """Whether the step is one piece that makes every element of its result."""
        return is_leaf(self.problem)

    @remembered
    def is_tight(self) -> bool:
        """Whether it is one such piece as it stands: nothing is left out, little is padded."""
        return is_tight(self.problem)

    @remembered
    def choice(self) -> Choice:
        """The algorithms that were considered, and the one that was chosen."""
        return choose(self.problem, self.setting)

    @remembered
    def disjoint(self) -> bool:
        """Whether no two pieces write the same element of the result."""
        return disjoint(self._listed) if self._listed else False

    @remembered
    def complete(self) -> bool:
        """Whether the pieces write every element of the result, each of them once."""
        return self.disjoint and complete(self._listed)

    @property
    def _listed(self) -> list[Problem]:
        return [piece.problem for piece in self.choice.chosen.pieces]

    def pieces(self) -> Iterable[Piece]:
        """What the step is carried out in, each with its algorithm."""
        listed = self.choice.chosen.pieces
        return listed or map(Piece, leaves(self.problem))

    @property
    def decompositions(self) -> Iterator[Decomposition]:
        """What the windows of its tiles are decomposed into, axis by axis."""
        for piece in self.choice.chosen.pieces:
            if piece.algorithm == "toom-cook":
                yield from (tile for tile in piece.decompositions if tile.outputs > 1)

    def leaves(self) -> Iterable[Problem]:
        """The pieces as contractions that strided views can express."""
        return (piece.problem for piece in self.pieces())

    @remembered
    def making(self) -> Lowering | None:
        """What makes the result as a new array; ``None`` if it is put together from pieces."""
        pieces = self.choice.chosen.pieces
        found = lowering_of(pieces[0], self.setting) if len(pieces) == 1 else None
        return found if found is not None and found.makes is not None else None

    @property
    def lowering(self) -> str:
        """How the step is carried out, in words."""
        pieces = self.choice.chosen.pieces or tuple(islice(self.pieces(), 1))
        return described(self.problem, self.choice.phases, pieces, self.setting)


class Parts(NamedTuple):
    """How a contraction is cut such that its temporary arrays fit a limit.

    Attributes:
        limit: bytes that temporary arrays may take.
        number: how many parts there are, about; each goes through all steps.
        sizes: for each index that is cut how many values a part has of it.
        again: operations of all parts, over those of the whole.
    """

    limit: int
    number: int
    sizes: tuple[tuple[str, int], ...]
    again: float = 1.0


@dataclass(frozen=True, repr=False)
class Plan(Printed, Value):
    """How one contraction of arrays of known shapes is executed.

    ``print(plan)`` lists the steps, each of them a contraction of the same language, and says why
    they are carried out as they are.

    Attributes:
        problem: the whole contraction.
        steps: the steps in order.
        setting: what algorithms are chosen by.
        forward: the contraction of which this is the gradient, if its reduction has a local
            derivative, which comes first.
        order: in which its operands meet, and where that comes from.
        parts: how it is cut, if there is a memory limit.
        ready: what execution keeps for operands that lie in memory as earlier ones did.
    """

    problem: Problem
    steps: tuple[Step, ...]
    setting: Setting
    forward: Problem | None = None
    order: Order = NO_ORDER
    parts: Parts | None = None
    ready: Shelf = field(default_factory=Shelf, init=False, repr=False, compare=False)

    @property
    def flops(self) -> int:
        """Floating-point operations of all steps."""
        return sum(step.flops for step in self.steps)

    @remembered
    def is_product(self) -> bool:
        """Whether it is one sum of products of two arrays, neither empty nor split or joined."""
        problem = self.problem
        joined = problem.result_shape != problem.output_sizes
        summed = REDUCTIONS[problem.reduce].is_sum
        alone = len(self.steps) == 1 and len(problem.operands) == 2 and summed
        return alone and not joined and problem.points > 0 and 0 not in problem.output_sizes

    @remembered
    def is_reduction(self) -> bool:
        """Whether it is one reduction of one array, neither empty nor split or joined."""
        problem = self.problem
        joined = problem.result_shape != problem.output_sizes
        alone = len(self.steps) == 1 and len(problem.operands) == 1 and self.steps[0].is_leaf
        empty = 0 in (problem.points, *problem.output_sizes, *(n for s in self.shapes for n in s))
        return alone and not joined and not empty

    @remembered
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of the operands, compositions split."""
        return tuple(map(shape_of, self.problem.operands))

    @property
    def missed(self) -> str | None:
        """The algorithm that was asked for, if it has nothing to work on."""
        asked = self.setting.algorithm
        return asked if _misses(self.steps, asked) else None

    @remembered
    def at_once(self) -> Lowering | None:
        """What carries out a gradient at once, local derivative and steps; ``None`` if nothing."""
        return None if self.forward is None else gradient_lowering(self.forward, self.setting)

    @property
    def largest_intermediate(self) -> int:
        """Elements of the largest intermediate result; zero if there is none."""
        return max((prod(step.problem.output_sizes) for step in self.steps[:-1]), default=0)

    @property
    def tiles(self) -> Tiles:
        """The decompositions of windows that its steps use, each once; ``print`` them."""
        used = (tile for step in self.steps for tile in step.decompositions)
        return Tiles(dict.fromkeys(used))

    def to_json(self) -> str:
        """The plan as JSON: what it contracts, and for each step all that was considered.

        Example:
            >>> import json
            >>> from contractconv.notation.extents import resolve
            >>> from contractconv.notation.parser import parse
            >>> steps = plan(resolve(parse("i k, k j -> i j"), [(2, 3), (3, 4)], {}))
            >>> json.loads(steps.to_json())["operations"]
            48
        """
        return json.dumps(data(self), indent=2, ensure_ascii=False)

    def _repr_html_(self) -> str:
        from contractconv.planning.report_page import plan_parts

        return article(plan_parts(self))

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return report(self)


def plan(problem: Problem, setting: Setting = DIRECT, search: Search = AUTO) -> Plan:
    """Plan a contraction; equal problems share one plan.

    Args:
        problem: the contraction.
        setting: what algorithms are chosen by.
        search: who chooses the order, see :func:`order_of`.
    """
    if isinstance(search.optimize, Hashable):
        return _plan(problem, setting, search)
    return plan_afresh(problem, setting, order_of(problem, search))


@kept(most=1024)
def _plan(problem: Problem, setting: Setting, search: Search) -> Plan:
    return plan_afresh(problem, setting, order_of(problem, search))


def plan_afresh(problem: Problem, setting: Setting = DIRECT, order: Order | None = None) -> Plan:
    """Plan a contraction that will hardly come again, without remembering the plan.

    Args:
        problem: the contraction.
        setting: what algorithms are chosen by.
        order: in which its operands meet, as :func:`order_of` says; the best one if not given.
    """
    order = order_of(problem) if order is None else order
    steps = tuple(Step(positions, part, setting) for positions, part in _steps(problem, order))
    _check(problem, steps, setting)
    return Plan(problem, steps, setting, order=order)


def _check(problem: Problem, steps: tuple[Step, ...], setting: Setting) -> None:
    """An algorithm that is asked for must carry out a step at least."""
    asked = setting.algorithm
    if trimmed(problem) is None or setting.measured or setting.lenient:
        return
    if not _misses(steps, asked):
        return
    listed = ", ".join(f"'{step.problem}'" for step in steps)
    reason = (
        "it needs a sum of products over a window such as (i+k), of more than one point, and "
        f"there is none in {listed}"
    )
    if any(long_windows(piece.problem) for step in steps for piece in step.pieces()):
        reason = f"the windows of {listed} have more taps than its tiles: choose 'fft'"
    elif any(far_apart(piece.problem) for step in steps for piece in step.pieces()):
        reason = f"strides would split {listed} into too many parts: choose 'direct'"
    raise AlgorithmError(f"algorithm {asked!r} has nothing to work on: {reason}")


def _misses(steps: tuple[Step, ...], asked: str) -> bool:
    """Whether an algorithm that was asked for carries out no step."""
    return asked in FAST and not any(step.choice.chosen.algorithm == asked for step in steps)


def order_of(problem: Problem, search: Search = AUTO) -> Order:
    """In which order the operands meet, once each is summed over what it alone has.

    Args:
        problem: the contraction.
        search: who chooses: a path of the operands, or what :func:`contraction_order` takes.

    Raises:
        AlgorithmError: it is no path of these operands, or there is no order to choose.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> order_of(resolve(parse("i j, j k, k -> i"), [(9, 9), (9, 9), (9,)], {})).pairs
        ((1, 2), (0, 1))
    """
    optimize = search.optimize
    if not REDUCTIONS[problem.reduce].linear:
        if optimize not in ("auto", "auto-hq"):
            raise AlgorithmError(
                f"reduce={problem.reduce!r} reads all operands at once: there is no order to choose"
            )
        return NO_ORDER
    if isinstance(optimize, tuple):
        return Order(checked_path(optimize, len(problem.operands), _places(problem)), "as given")
    choose = _chosen if isinstance(optimize, Hashable) else _chosen_afresh
    return choose(problem, search)


@kept(most=1024)
def _chosen(problem: Problem, search: Search) -> Order:
    return _chosen_afresh(problem, search)


def _chosen_afresh(problem: Problem, search: Search) -> Order:
    return contraction_order(reduced(problem), search)


def reduced(problem: Problem) -> Problem:
    """What is left when each operand is summed over what it alone has."""
    terms = _reduced_terms(problem)
    return problem if terms == problem.operands else _of_operands(problem, terms)


def steps_of(problem: Problem, order: Order) -> list[tuple[Pair, Problem]]:
    """Which operands are taken out of the list, and how they are contracted, in a given order."""
    return list(_steps(problem, order))


def _reduced_terms(problem: Problem) -> tuple[Accesses, ...]:
    """What is left of the operands when each is summed over what it alone has."""
    terms = list(problem.operands)
    for position, merged in _reductions_first(problem):
        terms = [*terms[:position], *terms[position + 1 :], merged.result]
    return tuple(terms)


def _places(problem: Problem) -> list[int]:
    """Where each operand is then."""
    numbers = list(range(len(problem.operands)))
    for position, _ in _reductions_first(problem):
        numbers.append(numbers.pop(position))
    return [numbers.index(n) for n in range(len(numbers))]


def _steps(problem: Problem, order: Order) -> Iterator[tuple[Pair, Problem]]:
    """Which operands are taken out of the list, and how they are contracted."""
    if not REDUCTIONS[problem.reduce].linear:
        yield tuple(range(len(problem.operands))), problem
        return
    for position, merged in _reductions_first(problem):
        yield (position,), _as_problem(merged)
    terms = list(_reduced_terms(problem))
    later = _summed_later(problem, terms, order)
    for positions, (needed, summed) in zip(order.pairs[:-1], later, strict=True):
        taken = tuple(terms[n] for n in positions)
        terms = [term for n, term in enumerate(terms) if n not in positions]
        merged = _arranged(merge(taken, needed, problem), summed)
        yield positions, _as_problem(merged)
        terms.append(merged.result)
    (last,) = order.pairs[-1:]
    yield from _last_steps(problem, last, tuple(terms[n] for n in last))


def _summed_later(
    problem: Problem, terms: Sequence[Accesses], order: Order
) -> list[tuple[set[str], set[str]]]:
    """For each step but the last what is needed after it, and what of that is summed then."""
    alive = [set(labels_of([term])) for term in terms]
    uses = Counter(name for names in alive for name in names)
    uses.update(problem.kept)
    found: list[tuple[set[str], set[str]]] = []
    numbers = [-1] * len(terms)
    for positions in order.pairs:
        taken = [(numbers.pop(n), alive.pop(n)) for n in reversed(positions)]
        uses.subtract(name for _, names in taken for name in names)
        needed = {name for _, names in taken for name in names if uses[name]}
        for number, names in taken:
            if number >= 0:
                found[number][1].update(names - needed)
        numbers.append(len(found))
        alive.append(needed)
        uses.update(needed)
        found.append((needed, set()))
    return found[:-1]


def _arranged(merged: Merge, summed: Collection[str]) -> Merge:
    """The same with the axes of the result where little has to be moved, here and afterwards."""
    terms = [tuple(n for a in term if (n := a.plain) is not None) for term in merged.inputs]
    if merged.result != merged.output or sum(map(len, terms)) < sum(map(len, merged.inputs)):
        return _as_in_the_larger(merged)
    axes = {access.names[0]: access for access in merged.output}
    extents = dict(merged.sizes)
    names = arranged(terms, tuple(axes), summed, extents)
    output = tuple(axes[n] for n in names)
    sizes = {n: extents[n] for n in (*names, *extents)}
    return replace(merged, output=output, result=output, sizes=tuple(sizes.items()))


def _as_in_the_larger(merged: Merge) -> Merge:
    """The same with the axes in the order of the larger operand, new ones where some are summed."""
    large = max(merged.inputs, key=lambda term: prod(shape_of(term)))
    kept = {access.names[0] for access in merged.output}
    places = {name: n for n, access in enumerate(large) for name in access.names}
    gone = [n for n, access in enumerate(large) if not kept.intersection(access.names)]
    new = min(gone, default=len(large))
    pairs = sorted(
        zip(merged.output, merged.result, strict=True),
        key=lambda pair: places.get(pair[0].names[0], new),
    )
    output, result = (tuple(axes) for axes in zip(*pairs, strict=True)) if pairs else ((), ())
    return replace(merged, output=output, result=result)


def _reductions_first(problem: Problem) -> Iterator[tuple[int, Merge]]:
    """Sum every operand over the indices that no other operand and no output has.

    Yields:
        The operand's position in the list as it is by then, and what it becomes.
    """
    if len(problem.operands) < 2:
        return
    moved = 0
    uses = Counter(name for term in problem.operands for name in labels_of([term]))
    for number, term in enumerate(problem.operands):
        names = labels_of([term])
        needed = {name for name in names if name in problem.kept or uses[name] > 1}
        if len(needed) < len(names):
            yield number - moved, merge((term,), needed, problem)
            moved += 1


def _last_steps(
    problem: Problem, positions: Pair, taken: tuple[Accesses, ...]
) -> list[tuple[Pair, Problem]]:
    """The last contraction writes the output; windows it need not open are opened after it."""
    last = _of_operands(problem, taken)
    merged = merge(taken, problem.kept, problem)
    summed = set(labels_of(taken)).difference(problem.kept)
    if len(taken) == 1 or not summed or merged.points >= last.points:
        return [(positions, last)]
    opened = _of_operands(problem, (merged.result,))
    return [(positions, _as_problem(merged)), ((0,), opened)]


def _of_operands(problem: Problem, terms: tuple[Accesses, ...]) -> Problem:
    """The problem with other operands, without the indices that are summed already."""
    used = problem.kept.union(labels_of(terms))
    sizes = tuple((name, size) for name, size in problem.sizes if name in used)
    return replace(problem, operands=terms, sizes=sizes)


def _as_problem(merged: Merge) -> Problem:
    return Problem(merged.inputs, merged.output, merged.sizes, SUM, shape_of(merged.output))
