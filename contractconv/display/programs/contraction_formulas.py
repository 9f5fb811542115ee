"""Contractions in formulas of programs: their operands and axes are called as in the program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from contractconv.calculus.backward import forward_equation
from contractconv.calculus.conditions import simplified
from contractconv.calculus.derived_strings import gathered
from contractconv.calculus.equation import Element, Equation, Guard, Inside, size
from contractconv.calculus.local_derivative import local_term
from contractconv.calculus.read_conditions import places
from contractconv.display.equations import Writer
from contractconv.display.formula_writers import Hand
from contractconv.display.names import element as written
from contractconv.display.programs.known_reads import Read, bound, inside
from contractconv.notation.spec import Composition, Spec, lone_names
from contractconv.programs.nodes import Contract, Node
from contractconv.programs.sizes import Extent

Factor = Callable[[Node, Sequence[str]], str]
"""Writes an operand at positions, one for each of its axes."""


@dataclass(frozen=True, slots=True)
class Contraction:
    """A contraction of a program, ready to be written.

    Attributes:
        node: the contraction.
        spec: its string: axes of the result hold an index where they can, called as its axes are,
            and numbers stand in the place of parameters.
        equation: the formula, whose factors are called by their positions.
        ends: for each size in a condition, of which axis it is.
    """

    node: Contract
    spec: Spec
    equation: Equation
    ends: Mapping[str, Extent]

    @property
    def reduced(self) -> tuple[str, ...]:
        """The indices that are reduced."""
        return tuple(index.name for index in self.equation.summed)

    def written(self, hand: Hand, factor: Factor, sizes: Callable[[Extent], str]) -> _Written:
        """What writes it.

        Args:
            hand: knows the script.
            factor: writes an operand.
            sizes: writes the size of an axis.
        """
        return _Written(self, hand, factor, sizes)


def contraction_of(node: Contract, known: frozenset[Read] = frozenset()) -> Contraction:
    """Find the formula of a contraction.

    Args:
        node: the contraction.
        known: what is read inside of its array at every point, as other lines know.
    """
    typed = bound(node)
    spec = (not node.local and gathered(typed)) or typed
    spec = _called(replace(spec, inside=inside(node, spec, known)), node)
    names = [str(n) for n in range(len(node.operands))]
    equation = forward_equation(spec, "", names)
    ends = _ends(node, spec)
    guards = tuple(dict.fromkeys(_named(guard, spec, ends) for guard in equation.guards))
    equation = simplified(replace(equation, guards=guards))
    told = {f"N_{n}.{extent.name}": extent for (n, _), extent in ends.items()}
    return Contraction(node, spec, equation, told)


def _called(spec: Spec, node: Contract) -> Spec:
    """The string with the names of the result's axes as indices, where these are free."""
    if node.local or len(spec.output) != len(node.axes):
        return spec
    taken = {*spec.indices, *spec.parameters}
    wanted = {
        axis.plain: name
        for axis, name in zip(spec.output, node.axes, strict=True)
        if axis.plain is not None
    }
    free = {old: new for old, new in wanted.items() if new not in taken or wanted.get(new) == new}
    return spec.mapped(lambda axis: axis.renamed(free))


def _ends(node: Contract, spec: Spec) -> dict[tuple[int, str], Extent]:
    """For each computed position of an operand, by its name in conditions, the axis it is on."""
    return {
        (n, position): Extent(operand, name)
        for n, operand in enumerate(node.operands)
        for position, name in zip(_positions(spec, n), operand.axes, strict=True)
    }


def _positions(spec: Spec, n: int) -> Iterator[str]:
    """What the position on each axis of an operand is called; compositions have several."""
    split = iter(places(spec)[n])
    for axis in spec.inputs[n]:
        names = [next(split).name for _ in (axis.names if isinstance(axis, Composition) else "1")]
        yield names[0]


def _named(guard: Guard, spec: Spec, ends: Mapping[tuple[int, str], Extent]) -> Guard:
    """A condition about the size of an axis, which is called after its operand's."""
    if not isinstance(guard, Inside):
        return guard
    called = guard.size.name.removeprefix("N_")
    n, extent = next((n, extent) for (n, name), extent in ends.items() if name == called)
    return replace(guard, size=size(f"{n}.{extent.name}"))


class _Written(Writer):
    """Writes the parts of a contraction's formula."""

    def __init__(
        self, source: Contraction, hand: Hand, factor: Factor, sizes: Callable[[Extent], str]
    ) -> None:
        super().__init__(source.equation, hand)
        self._contraction, self._factor, self._sizes = source, factor, sizes

    def factors(self) -> list[Element]:
        """All operands, which are called by their positions."""
        return list(self.source.factors)

    def element(self, element: Element) -> str:
        """An operand at its positions."""
        node = self._contraction.node.operands[int(element.name)]
        return self._factor(node, self.positions(element))

    def left(self, name: str) -> str:
        """The element that is defined, of an array of some name."""
        node, spec = self._contraction.node, self._contraction.spec
        if not node.local:
            return written(self.hand, name, self.positions(self.source.left))
        term = local_term(spec) or ()
        return written(self.hand, name, [self.hand.symbol(a) for a in lone_names([term])])

    def size(self, name: str) -> str:
        """The size of an operand's axis."""
        return self._sizes(self._contraction.ends[name])

    def sizes(self, names: list[str]) -> str:
        """The extents of indices, to divide by."""
        whole = replace(self._contraction.node, local=False)
        return self.hand.sizes([self._sizes(Extent(whole, n, of_index=True)) for n in names])
