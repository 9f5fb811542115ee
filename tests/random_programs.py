"""Random programs: every kind of node, shared and not, and names that make trouble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import Any

from hypothesis import strategies as st

from contractconv.maps.table import MAPS
from contractconv.notation.parser import parse
from contractconv.programs.build import apply, contract, named, sizes_of
from contractconv.programs.kinds import DTYPES
from contractconv.programs.nodes import Cast, Contract, Input, Length, Node, Number, Position
from contractconv.programs.program import Graph
from contractconv.programs.sizes import Extent, Size

Draw = Callable[[st.SearchStrategy[Any]], Any]

AXES = ["b", "i", "o", "lambda", "reduce", "channels"]
INPUTS = ["x", "W", "max", "size", "d_x", "y", "labels_é", "value"]
OUTPUTS = ["loss", "exp", "d_W", "y_2", "contract", "a", "b"]
LABELS = ["z", "lambda", "exp", "inf", "x", "d_x", "total", "total", "loss", "ﬁ", "²", "index", "y"]
NUMBERS = [
    0, 1, -1, 2, 10**40, True, False, 0.0, -0.0, 0.5, -2.5, 1e-300, 1e16, inf, -inf, nan, 1j, -1j,
    1 + 2j, complex(-0.0, 0.0), complex(nan, -inf), complex(0.0, -0.0), -(2**63),
]  # fmt: skip
REDUCTIONS = ["sum", "max", "min", "prod", "mean", "logsumexp"]


@dataclass
class Workshop:
    """Values that are there already, and how more of them are made."""

    draw: Draw
    made: list[Node]

    def any(self) -> Node:
        """One of the values."""
        node: Node = self.one_of(self.made)
        return node

    def one_of(self, choices: Sequence[Any]) -> Any:
        """One of several."""
        return choices[self.draw(st.integers(0, len(choices) - 1))]

    def size(self) -> Size:
        """A sum of sizes of what is there."""
        whole = Size.of(self.one_of([0, 0, 3, -2]))
        for _ in range(self.draw(st.integers(0, 2))):
            extent = self.extent()
            if extent is not None:
                whole = whole + Size.of(extent) * self.one_of([1, 1, 2, -1, -3])
        return whole

    def extent(self) -> Extent | None:
        """The size of an axis, or the extent of an index, of a value."""
        node = self.any()
        windows = isinstance(node, Contract) and not node.local and node.spec.indices
        if windows and self.draw(st.booleans()):
            return Extent(node, self.one_of([*windows]), of_index=True)
        return Extent(node, self.one_of([*node.axes])) if node.axes else None

    # -- one kind of node each -------------------------------------------------------------------

    def number(self) -> Node:
        """A number."""
        return Number((), value=self.one_of(NUMBERS))

    def length(self) -> Node:
        """A length."""
        return Length((), size=self.size())

    def position(self) -> Node:
        """A position."""
        return Position((self.one_of(AXES),), size=self.one_of([None, None, self.size()]))

    def map(self) -> Node:
        """A map."""
        record = self.one_of([*MAPS.values()])
        return apply(record.name, *(self.any() for _ in range(record.arity)))

    def named(self) -> Node:
        """Other names for axes."""
        node = self.any()
        return named(node, tuple(self.draw(st.permutations(AXES))[: len(node.axes)]))

    def cast(self) -> Node:
        """A conversion."""
        node = self.any()
        dtype, like = self.one_of([(None, None), (None, self.any()), (self.one_of(DTYPES), None)])
        return Cast(node.axes, source=node, dtype=dtype, like=like)

    def contraction(self) -> Node:
        """Operands whose axes are windows here and there."""
        operands = [self.any() for _ in range(self.draw(st.integers(1, 3)))]
        inputs = [[self.axis(name) for name in node.axes] for node in operands]
        names = list(dict.fromkeys(n for node in operands for n in node.axes))
        kept = self.draw(st.permutations(names))[: self.draw(st.integers(0, len(names)))]
        output = [self.axis(name) for name in kept] + self.one_of([[], [], ["( new )"]])
        text = ", ".join(map(" ".join, inputs)) + " -> " + " ".join(output)
        parameters = "s" * ("s*" in text)
        spec = parse(text, self.one_of(REDUCTIONS), parameters)
        given = {name: self.size() for name in spec.indices if self.one_of([True, False, False])}
        given |= {"s": Size.of(2)} if parameters else {}
        return self.told(spec, operands, given)

    def axis(self, name: str) -> str:
        """An axis on which an index stands alone, or in a window."""
        # A blank says that a name may have several letters.
        tap = "k" if name != "k" else "l"
        windows = [f"( 2*{name}+{tap}-1 )", f"( s*{name}-1 )", f"( ({name}-{tap})/2 )", "( 0 )"]
        axis: str = self.one_of([f"( {name} )"] * 6 + windows)
        return axis

    def told(self, spec: Any, operands: list[Node], given: dict[str, Size]) -> Node:
        """A contraction whose result has the sizes that it has, or others."""
        alike = [node for node in self.made if len(node.axes) == len(spec.output)]
        shape = self.one_of([None, None, [self.size() for _ in spec.output]])
        if alike and shape is None:
            like = self.one_of([None, self.one_of(alike)])
            if like is not None and self.draw(st.booleans()):
                return contract(spec, operands, given, sizes_of(like))
            return contract(spec, operands, given, like=like)
        local = spec.reduce != "sum" and self.draw(st.booleans())
        return contract(spec, operands, given, shape, local)


@st.composite
def programs(draw: Draw) -> Graph:
    """Any program."""
    names = draw(st.lists(st.sampled_from(INPUTS), min_size=1, max_size=3, unique=True))
    made: list[Node] = [draw(_inputs(name)) for name in names]
    shop = Workshop(draw, made)
    kinds = [
        shop.map, shop.map, shop.map, shop.contraction, shop.contraction, shop.number, shop.length,
        shop.position, shop.named, shop.cast,
    ]  # fmt: skip
    for _ in range(draw(st.integers(0, 12))):
        node = shop.one_of(kinds)()
        if len(node.axes) <= len(AXES):
            label = shop.one_of([None, None, None, *LABELS])
            made.append(node.called(label).as_cotangent_of(shop.any()))
    wanted = draw(st.lists(st.sampled_from(OUTPUTS), min_size=1, max_size=3, unique=True))
    last = made[-3:]
    return Graph.of({name: shop.one_of(last) for name in wanted}, name=shop.one_of(["p", "exp"]))


def _inputs(name: str) -> st.SearchStrategy[Input]:
    axes = st.lists(st.sampled_from(AXES), max_size=3, unique=True).map(tuple)
    dtypes = st.sampled_from([*[None] * len(DTYPES), *DTYPES])
    return st.builds(lambda a, d: Input(a, name=name, dtype=d, label=name), axes, dtypes)
