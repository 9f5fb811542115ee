"""The maps of a group as straight-line code: what is done with the elements at one place.

Maps that others define are written out, numbers are converted to what meets them, and what is there
twice is done once. The code knows no sizes and no layouts, so one kernel does for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from math import isfinite

from contractconv.engines.llvm.maps.idioms import COMMUTATIVE, meant, table_numbers
from contractconv.maps.expression import evaluate
from contractconv.maps.record import ARGUMENTS
from contractconv.maps.table import record_of
from contractconv.maps.unfolding import unfolded
from contractconv.planning.programs.fusion import Fused
from contractconv.programs.nodes import Cast, Contract, Map, Node, Number, Position, Scalar

TRUTH = "bool"
# Of two, numbers of the later one are meant where both meet.
_ORDER = (TRUTH, "int32", "int64", "float16", "float32", "float64")
OUTSIDE = ("leaf", "position", "told")
GIVEN = (*OUTSIDE, "constant", "convert")
COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
CONNECTIVES = ("logical_and", "logical_or", "logical_not")
# Of other numbers in a program a kernel is told when it is called, so that it does for all of them.
_KNOWN = {-1, 0, 0.5, 1, 2}
# The greatest power that is a product, if it needs a root or a reciprocal.
_MOST_FACTORS = 4

Knows = Callable[[str, str], bool]


class UnknownMapError(Exception):
    """There is no machine code for something; numpy does it."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """What makes one value.

    Attributes:
        does: a map; or ``"leaf"``, ``"position"``, ``"told"`` for what is given from outside,
            ``"constant"``, ``"convert"``.
        dtype: of what it works with; of what it makes, unless that is a truth value.
        given: the numbers of the values that it is applied to.
        value: the number as a text, or which of the leaves, positions or told numbers it is.
    """

    does: str
    dtype: str
    given: tuple[int, ...] = ()
    value: int | str = 0

    @property
    def made(self) -> str:
        """The dtype of what it makes."""
        return TRUTH if self.does in COMPARISONS or self.does in CONNECTIVES else self.dtype

    def moved(self, place: Mapping[int, int]) -> Instruction:
        """The same of values that have other numbers."""
        return replace(self, given=tuple(place[value] for value in self.given))


@dataclass(frozen=True, slots=True)
class Code:
    """Straight-line code.

    Attributes:
        instructions: each makes a value, whose number is its place among them.
        outputs: the numbers of the values that are written.
        stored: the dtypes in which they are.
        sums: for each sum over rows the numbers of the values whose product is added up.
        leaves, positions, told: how many there are of each.
        rooms: arrays in which a kernel keeps something for itself.
    """

    instructions: tuple[Instruction, ...]
    outputs: tuple[int, ...]
    stored: tuple[str, ...]
    sums: tuple[tuple[int, ...], ...]
    leaves: int
    positions: int
    told: int
    rooms: int = 0

    @property
    def summed(self) -> tuple[str, ...]:
        """The dtypes of the sums."""
        return tuple(self.instructions[first].made for first, *_ in self.sums)


@dataclass(frozen=True)
class Translated:
    """A group as code, and what the code says nothing of.

    Attributes:
        positions: the indices that are values, in their order.
        told: the numbers, in their order, that the kernel is given.
    """

    code: Code
    positions: tuple[Position, ...]
    told: tuple[float | int, ...]


def translated(group: Fused, dtypes: Mapping[Node, str], knows: Knows) -> Translated:
    """Write the maps of a group as code.

    Args:
        group: the maps.
        dtypes: the dtype of every node.
        knows: whether there is machine code for what an instruction does, in a dtype.

    Raises:
        UnknownMapError: there is none for one of them.
    """
    writer = Writer(dtypes, knows)
    for node in group.leaves:
        writer.leaf(node)
    for node in group.nodes:
        writer.add(node)
    return writer.finish(group)


@dataclass
class Writer:
    """Writes nodes as instructions, each behind those that it reads.

    Attributes:
        dtypes: the dtype of every node.
        knows: whether there is machine code for what an instruction does, in a dtype.
        places: the number of each instruction.
        values: the number of the value of each node.
        listed: the instructions.
        leaves, positions, told: what is given from outside, in order.
    """

    dtypes: Mapping[Node, str]
    knows: Knows
    places: dict[Instruction, int] = field(default_factory=dict)
    values: dict[Node, int] = field(default_factory=dict)
    listed: list[Instruction] = field(default_factory=list)
    leaves: list[Node] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    told: dict[tuple[type, float | int], int] = field(default_factory=dict)

    def finish(self, group: Fused) -> Translated:
        """The code, with a group's outputs and sums."""
        outputs = [self.values[node] for node in group.outputs]
        sums = [[self.values[node] for node in one.factors] for one in group.sums]
        kept = _needed(self.listed, [*outputs, *chain.from_iterable(sums)])
        place = {number: n for n, number in enumerate(kept)}
        code = Code(
            tuple(self.listed[number].moved(place) for number in kept),
            tuple(place[value] for value in outputs),
            tuple(self.dtypes[node] for node in group.outputs),
            tuple(tuple(place[value] for value in factors) for factors in sums),
            len(self.leaves), len(self.positions), len(self.told),
        )  # fmt: skip
        return Translated(code, tuple(self.positions), tuple(value for _, value in self.told))

    def leaf(self, node: Node) -> None:
        """Let the next array be that of a node."""
        self.values[node] = self._put("leaf", self.dtypes[node], value=len(self.leaves))
        self.leaves.append(node)

    def add(self, node: Node) -> None:
        """Write one node of the group."""
        dtype = self.dtypes[node]
        if isinstance(node, Cast):
            self.values[node] = self._converted(self._of(node.source, dtype), dtype)
        elif isinstance(node, Map):
            self.values[node] = self._map(node, dtype)
        else:
            raise UnknownMapError(type(node).__name__)

    def reduction(self, node: Contract, count: int) -> None:
        """Write a reduction of rows of so many elements."""
        kind, dtype = node.spec.reduce, self.dtypes[node]
        given = tuple(self.values[factor] for factor in node.operands)
        value = self._put(f"row {'sum' if kind == 'mean' else kind}", dtype, given)
        if kind == "mean":
            value = self._put("divide", dtype, (value, self._number(float(count), dtype)))
        self.values[node] = value

    def _put(self, does: str, dtype: str, given: tuple[int, ...] = (), value: int | str = 0) -> int:
        if not self.knows(does, dtype):
            raise UnknownMapError(f"{does} of {dtype}")
        given = tuple(sorted(given)) if does in COMMUTATIVE else given
        found = meant(self.listed, does, given)
        if found and self.knows(found[0], dtype):
            does, given = found[0], found[1:]
        instruction = Instruction(does, dtype, given, value)
        place = self.places.setdefault(instruction, len(self.listed))
        if place == len(self.listed):
            self.listed.append(instruction)
        return place

    def _converted(self, value: int, dtype: str) -> int:
        known = self.listed[value]
        return value if known.made == dtype else self._put("convert", dtype, (value,))

    def _of(self, node: Node, dtype: str) -> int:
        """The value of a node; a number is one of this dtype."""
        if node in self.values:
            return self.values[node]
        if isinstance(node, Position):
            self.values[node] = self._put("position", "int64", value=len(self.positions))
            self.positions.append(node)
            return self.values[node]
        if not isinstance(node, Number):
            raise UnknownMapError(type(node).__name__)
        return self._number(node.value, dtype)

    def _number(self, value: Scalar, dtype: str) -> int:
        number = _fitting(value, dtype)
        known = number in _KNOWN or number in table_numbers()
        if dtype == TRUTH or known or not isfinite(number):
            return self._constant(value, dtype)
        which = self.told.setdefault((type(number), number), len(self.told))
        return self._put("told", dtype, value=which)

    def _constant(self, value: Scalar, dtype: str) -> int:
        # As a text, because zeros of both signs are equal, and what is not a number is not.
        return self._put("constant", dtype, value=repr(_fitting(value, dtype)))

    def _map(self, node: Map, dtype: str) -> int:
        function, works_in = node.function, self._working(node, dtype)
        if function == "power" and isinstance(node.arguments[1], Number):
            return self._power(self._argument(node, 0, works_in), node.arguments[1].value, dtype)
        given = tuple(self._argument(node, n, works_in) for n in range(len(node.arguments)))
        return self._apply(function, works_in, given)

    def _argument(self, node: Map, n: int, dtype: str) -> int:
        source = node.arguments[n]
        if n < record_of(node.function).conditions:
            return self._truth(self._of(source, self.dtypes[source]))
        return self._converted(self._of(source, dtype), dtype)

    def _truth(self, value: int) -> int:
        return self._converted(value, TRUTH)

    def _working(self, node: Map, dtype: str) -> str:
        """The dtype in which a map works: that of what it makes, or that of what it compares."""
        if node.function not in COMPARISONS:
            return dtype
        whole = [source for source in node.arguments if source.axes]
        known = whole or [s for s in node.arguments if not isinstance(s, Number)] or node.arguments
        return max((self.dtypes[source] for source in known), key=_rank)

    def _apply(self, function: str, dtype: str, given: tuple[int, ...]) -> int:
        """A map in maps that no others define."""
        return evaluate(
            unfolded(function),
            dict(zip(ARGUMENTS, given, strict=False)),
            lambda number: self._constant(number, dtype),
            lambda name, parts: self._put(name, dtype, parts),
        )

    def _power(self, base: int, exponent: Scalar, dtype: str) -> int:
        """A power: a product, or a root, or neither."""
        if exponent == 0.5:
            return self._put("sqrt", dtype, (base,))
        if isinstance(exponent, complex) or not _few_factors(exponent, dtype):
            return self._put("power", dtype, (base, self._number(exponent, dtype)))
        if exponent < 0:
            base = self._apply("reciprocal", dtype, (base,))
        whole, rest = divmod(abs(exponent), 1)
        base = self._unsigned(base, dtype) if rest else base
        root = [self._put("sqrt", dtype, (base,))] if rest else []
        return self._product([base] * int(whole) + root, dtype)

    def _product(self, factors: Sequence[int], dtype: str) -> int:
        if not factors:
            return self._constant(1, dtype)
        if len(factors) == 1:
            return factors[0]
        half = (len(factors) + 1) // 2
        pair = self._product(factors[:half], dtype), self._product(factors[half:], dtype)
        return self._put("multiply", dtype, pair)

    def _unsigned(self, base: int, dtype: str) -> int:
        """The same number, but for -0 and minus infinity, of which powers have no sign."""
        low, high = (self._constant(float(text), dtype) for text in ("-inf", "inf"))
        least = self._put("equal", dtype, (base, low))
        chosen = self._put("where", dtype, (least, high, base))
        return self._put("add", dtype, (chosen, self._constant(0.0, dtype)))


def _few_factors(exponent: float, dtype: str) -> bool:
    """Whether a power is a product of few numbers and roots, each of which rounds."""
    least = -_MOST_FACTORS if dtype.startswith("float") else 0
    most = _MOST_FACTORS if exponent % 1 else 2 * _MOST_FACTORS
    return least <= exponent <= most and exponent % 1 in (0, 0.5)


def _needed(listed: Sequence[Instruction], wanted: Sequence[int]) -> list[int]:
    """What values are made of, and all that is given from outside, in order."""
    needed = {*wanted, *(n for n, i in enumerate(listed) if i.does in OUTSIDE)}
    for number in reversed(range(len(listed))):
        if number in needed:
            needed.update(listed[number].given)
    return sorted(needed)


def _rank(dtype: str) -> int:
    if dtype not in _ORDER:
        raise UnknownMapError(dtype)
    return _ORDER.index(dtype)


def _fitting(value: Scalar, dtype: str) -> float | int:
    """A number as one of a dtype; one that an integer cannot be is for numpy to refuse."""
    if isinstance(value, complex):
        raise UnknownMapError("complex numbers")
    if dtype.startswith("float"):
        return float(value)
    if dtype == TRUTH:
        return int(bool(value))
    bound = 1 << (int(dtype.removeprefix("int")) - 1)
    if not -bound <= value < bound or value != int(value):
        raise UnknownMapError(f"{value} as {dtype}")
    return int(value)
