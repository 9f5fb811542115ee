"""What a value may be that no gradient is: a Hessian times vectors, or a Gauss-Newton matrix.

Nothing in a program says which it is, so each of those that fit its axes and its inputs is tried:
results whose inputs move along two directions at once change by the derivative by both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product, zip_longest

from contractconv.programs.nodes import Input, Node, in_order
from contractconv.verification.programs.claims import Claim, Claims, changing_inputs
from contractconv.verification.programs.evaluation import Array, aligned, as_array
from contractconv.verification.programs.trials import Ends, Move, Trial

# Derivatives that are tried, and of large programs fewer: so many points are gone through for them.
_MOST, _LEAST, _POINTS = 64, 8, 2_000_000
# Vectors along which one derivative is taken after the other: each doubles the work.
_MOST_MOVES = 3

Moves = tuple[tuple[Move, ...], str]
"""How inputs move, each time that is differentiated, and the same in words."""


@dataclass(frozen=True, slots=True)
class Derivative:
    """What a value may be: a gradient, or how one changes, if inputs move.

    Attributes:
        results: whose gradient it is.
        ends: the same, as nodes.
        at: by which it is the gradient.
        moves: how inputs move, each time that it is differentiated again.
        along: the same in words.
        through: the value through which a Gauss-Newton matrix is seen, with its name.
    """

    results: tuple[str, ...]
    ends: Ends
    at: Node
    moves: tuple[Move, ...]
    along: str
    through: tuple[Node, str] | None = None

    @property
    def order(self) -> int:
        """How often the results are differentiated."""
        return len(self.moves) + 1

    @property
    def meaning(self) -> str:
        """What it is, in words."""
        if not self.moves:
            return f"what comes back to {self.at.label}, if that is {self.along}"
        matrix = "Hessian"
        if self.through is not None:
            matrix = f"Gauss-Newton matrix through {self.through[1]}"
        alone = [list(move) for move in self.moves] == [[self.at]]
        along = self.along.partition(" for ")[0] if alone else self.along
        return f"the {matrix} by {self.at.label} times {along}"

    def holds(self, trial: Trial, node: Node) -> bool:
        """Whether a value is that."""
        direction = trial.direction(self.at)
        moves: list[Move] = [{self.at: direction}, *self.moves]
        if self.through is not None:
            seen, _ = self.through
            moves = [{seen: trial.tangent(seen, move)} for move in moves]
        change = trial.change(self.ends, moves)
        return trial.agrees(node, self.at, direction, change, self.order)


class SecondDerivatives:
    """The second derivatives of a program's results, and higher ones along several vectors.

    Attributes:
        tried: the first one that was tried last, in words.
    """

    def __init__(self, trial: Trial, claims: Claims) -> None:
        self._trial, self._claims = trial, claims
        points = sum(problem.points for problem in trial.program.problems.values())
        self._most = max(_LEAST, min(_MOST, _POINTS // max(points, 1)))
        self.tried, self._all_tried = "", False

    def find(self, claim: Claim) -> Derivative | None:
        """Find what a value is; ``None`` if it is nothing that was tried."""
        self.tried, self._all_tried = "", False
        if not self._claims.may_be_second(claim):
            return None
        for number, one in enumerate(self._derivatives(claim)):
            if number == self._most:
                return None
            self.tried = self.tried or one.meaning
            if one.holds(self._trial, claim.node):
                return one
        self._all_tried = True
        return None

    def vanishes(self, claim: Claim) -> bool:
        """Whether a value depends on vectors, and is nothing where they are."""
        vectors = self._claims.vectors(claim.node)
        try:
            return bool(vectors) and self._trial.vanishes(claim.node, vectors)
        except (ArithmeticError, TypeError, ValueError):
            return False

    def are_known(self, claim: Claim) -> bool:
        """Whether a value that depends on vectors has to be one of those that were tried.

        They were all that there are; it vanishes with the vectors; and it is said to come back to
        an input, or is made of what comes back to values on the way.
        """
        if not self.tried or not self._all_tried or not self.vanishes(claim):
            return False
        return claim not in self._claims.guesses or self._claims.is_of_gradients(claim.node)

    def _derivatives(self, claim: Claim) -> Iterator[Derivative]:
        """What a value may be, what is most likely first."""
        vectors = self._claims.vectors(claim.node)
        if vectors and claim in self._claims.guesses and not self.vanishes(claim):
            return
        found = []
        for one in self._hessians(claim):
            found.append(one)
            yield one
        if vectors:
            yield from self._backward(claim, vectors)
            # The nearest to its results first, of each.
            for column in zip_longest(*map(self._through, found)):
                yield from (one for one in column if one is not None)

    def _hessians(self, claim: Claim) -> Iterator[Derivative]:
        for results, ends in self._claims.choices.items():
            inputs = changing_inputs([node for node, _ in ends])
            for moves, along in self._moves(claim, inputs):
                for at in claim.at:
                    if isinstance(at, Input):
                        yield Derivative(results, ends, at, moves, along)

    def _through(self, one: Derivative) -> Iterator[Derivative]:
        """The same derivative, seen through each value between inputs that move and results."""
        for node in _between(one):
            if node in self._claims.names:
                yield replace(one, through=(node, self._claims.names[node]))

    def _backward(self, claim: Claim, vectors: Sequence[Input]) -> Iterator[Derivative]:
        """What comes back to an input, if a vector comes back to a value."""
        for vector in vectors if len(vectors) == 1 else ():
            for node, name in self._claims.names.items():
                if node in self._claims.whole and self._is_like(node, vector):
                    along = f"{vector.name} for {name}"
                    for at in claim.at:
                        yield Derivative((name,), [(node, vector)], at, (), along)

    def _moves(self, claim: Claim, inputs: Sequence[Input]) -> Iterator[Moves]:
        """How inputs may move: along vectors; if there are none, along gradients, or all by one."""
        vectors = self._claims.vectors(claim.node)
        if vectors:
            yield from self._along(inputs, vectors)
            return
        values, names = self._trial.values, self._claims.names
        for given in inputs:
            for node in self._claims.gradients_in(claim.node):
                if self._is_like(node, given):
                    array = aligned(values[node], node, given)
                    yield ({given: array},), f"{names[node]} for {given.name}"
            if claim not in self._claims.guesses:
                ones = as_array(values[given].shape, [1] * values[given].size)
                yield ({given: ones},), f"1 for {given.name}"

    def _is_like(self, node: Node, given: Input) -> bool:
        """Whether a value has the axes of an input, and their sizes."""
        first, second = (
            dict(zip(n.axes, self._trial.values[n].shape, strict=True)) for n in (node, given)
        )
        return first == second

    def _along(self, inputs: Sequence[Input], vectors: Sequence[Input]) -> Iterator[Moves]:
        """Inputs that move along vectors, all of them together or one after the other."""
        after_another = 1 < len(vectors) <= _MOST_MOVES
        for chosen in product(*(self._fitting(vector, inputs, vectors) for vector in vectors)):
            pairs = list(zip(chosen, vectors, strict=True))
            told = [f"{vector.name} for {given.name}" for given, vector in pairs]
            if len(set(chosen)) == len(chosen):
                yield (dict(map(self._move, pairs)),), " and ".join(told)
            if after_another:
                yield tuple(dict([self._move(pair)]) for pair in pairs), ", then ".join(told)

    def _move(self, pair: tuple[Input, Input]) -> tuple[Node, Array]:
        """An input, and the vector along which it moves."""
        given, vector = pair
        return given, aligned(self._trial.values[vector], vector, given)

    def _fitting(
        self, vector: Input, inputs: Sequence[Input], vectors: Sequence[Input]
    ) -> list[Input]:
        """The inputs that may move along a vector; first those that its name and its place say."""
        alike = [given for given in inputs if self._is_like(vector, given)]
        place = [other for other in vectors if set(other.axes) == set(vector.axes)].index(vector)

        def far(given: Input) -> tuple[int, int]:
            said = len(given.name) if given.name in vector.name else 0
            return -said, abs(alike.index(given) - place)

        return sorted(alike, key=far)


def _between(one: Derivative) -> Iterator[Node]:
    """The values between inputs that move and results, those that are nearest to these first."""
    moving = {one.at, *(node for move in one.moves for node in move)}
    ends = [node for node, _ in one.ends]
    order, active = in_order(ends, references=False), set(moving)
    for node in order:
        if any(source in active for source in node.sources):
            active.add(node)
    return (node for node in reversed(order) if node in active - moving - set(ends))
