"""Two operands that meet along windows: a convolution, whichever of its three terms is the result.

Every window relates an axis of each term, by steps that are whole numbers of any sign::

    a*first + b*second + c*result = offset

The image, the places of a window and its taps, ``image = s*place + d*tap - p``, stand in any two
operands and the result: so a layer is described, and the gradients by its input and by its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any, NamedTuple

from contractconv.engines.portable.divisions import Division, Meeting
from contractconv.lazy import Value, remembered
from contractconv.notation.problem import Accesses, Problem, Shape
from contractconv.planning.roles import Labels, Roles, roles

FIRST, SECOND, RESULT = TERMS = (0, 1, 2)


class Window(NamedTuple):
    """An axis of each term, and how they are related.

    Attributes:
        name: what it is called in all of them.
        sizes: how long the axis is in each.
        steps: what the position on each is multiplied by.
        offset: what these add up to where the terms meet.
    """

    name: str
    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    offset: int

    def turned(self, terms: Sequence[int]) -> Window:
        """The same, with the positions in some terms counted from the end."""
        steps = tuple(-s if n in terms else s for n, s in enumerate(self.steps))
        moved = sum(self.steps[n] * (self.sizes[n] - 1) for n in terms)
        return self._replace(steps=steps, offset=self.offset - moved)

    def solved(self, term: int) -> Window:
        """The same, with the step of a term above zero."""
        if self.steps[term] > 0:
            return self
        return self._replace(steps=tuple(-s for s in self.steps), offset=-self.offset)


@dataclass(frozen=True)
class Convolution(Value):
    """A sum of products along windows.

    Attributes:
        terms: the names of the axes of both operands and of the result, as they lie.
        windows: the axes that are related.
        extents: the extents of the others.
    """

    terms: tuple[Labels, Labels, Labels]
    windows: tuple[Window, ...]
    extents: tuple[tuple[str, int], ...]

    @remembered
    def sizes(self) -> tuple[dict[str, int], ...]:
        """For each term the sizes of its axes by name."""
        return tuple(
            dict(self.extents) | {window.name: window.sizes[n] for window in self.windows}
            for n in TERMS
        )

    @remembered
    def roles(self) -> Roles:
        """What the other indices do; those of the batch are groups."""
        names = [name for name, _ in self.extents]
        return roles(self.terms[FIRST], self.terms[SECOND], self.terms[RESULT], names)

    @property
    def groups(self) -> int:
        """How many convolutions of their own there are."""
        return prod(self.sizes[RESULT][name] for name in self.roles.batch)

    def span(self, term: int) -> int:
        """How many elements of a term the windows relate."""
        return prod(window.sizes[term] for window in self.windows)

    def volume(self, term: int) -> int:
        """How many elements a term has."""
        return prod(self.sizes[term][name] for name in self.terms[term])

    def shared(self, one: int, other: int) -> Labels:
        """The indices that two terms have, and not the third one."""
        found = {
            (FIRST, RESULT): self.roles.rows,
            (SECOND, RESULT): self.roles.columns,
            (FIRST, SECOND): self.roles.summed,
        }
        return found[min(one, other), max(one, other)]

    def exchanged(self) -> Convolution:
        """The same with the second operand as the first one."""
        first, second, result = self.terms
        windows = tuple(
            w._replace(sizes=_exchanged(w.sizes), steps=_exchanged(w.steps)) for w in self.windows
        )
        return Convolution((second, first, result), windows, self.extents)

    def turned(self, image: int) -> Turned:
        """The same with such axes reversed that an image is read forwards, place by place.

        Args:
            image: the term whose steps shall be above zero where those of the others are below.
        """
        chosen = [min(_turns(w, image), key=self._moved) for w in self.windows]
        windows = tuple(
            w.turned(t).solved(image) for w, t in zip(self.windows, chosen, strict=True)
        )
        named = [(w.name, terms) for w, terms in zip(self.windows, chosen, strict=True)]
        flips = tuple(tuple(name for name, terms in named if n in terms) for n in TERMS)
        return Turned(windows, flips, sum(map(self._moved, chosen)))

    def _moved(self, terms: Sequence[int]) -> int:
        """Elements that are moved if some terms are reversed."""
        return sum(map(self.volume, terms))


class Turned(NamedTuple):
    """Windows of which an image is read forwards.

    Attributes:
        windows: as they are then.
        flips: for each term which of its axes are reversed.
        moved: elements that are moved by that.
    """

    windows: tuple[Window, ...]
    flips: tuple[Labels, ...]
    moved: int


def _exchanged(three: tuple[int, ...]) -> tuple[int, ...]:
    first, second, result = three
    return second, first, result


def _turns(window: Window, image: int) -> list[tuple[int, ...]]:
    """The terms to reverse: one way, and the other way round."""
    ways = (terms for count in range(4) for terms in combinations(TERMS, count))
    return [terms for terms in ways if _reads(window.turned(terms).solved(image), image)]


def _reads(window: Window, image: int) -> bool:
    return all(step < 0 for n, step in enumerate(window.steps) if n != image)


# --- recognition -----------------------------------------------------------------------------


def convolution(division: Division) -> Convolution:
    """The convolution that the product of a divided contraction of two operands is.

    Example:
        >>> from contractconv.engines.portable.divisions import divided
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("b (2*i+k-1) c, k c o -> b i o"), [(8, 9, 3), (3, 3, 4)])
        >>> found = convolution(divided(problem, 3))
        >>> found.roles
        Roles(batch=(), rows=('b',), columns=('o',), summed=('c',))
        >>> found.windows[0].sizes, found.windows[0].steps, found.windows[0].offset
        ((9, 3, 5), (1, -1, -2), -1)
    """
    product = division.product
    renamed = {name: m.name for m in division.meetings for name in m.access.names}
    first, second = (_labels(term, renamed) for term in product.operands)
    result = _labels(product.output, renamed)
    extents = tuple((name, size) for name, size in product.sizes if name not in renamed)
    windows = tuple(_window(product, meeting) for meeting in division.meetings)
    return Convolution((first, second, result), windows, extents)


def _labels(term: Accesses, renamed: dict[str, str]) -> Labels:
    return tuple(renamed.get(access.names[0], access.names[0]) for access in term)


def _window(product: Problem, meeting: Meeting) -> Window:
    access = meeting.access
    sizes, steps = dict[int, int](), dict[int, int]()
    sizes[meeting.term], steps[meeting.term] = access.size, access.divisor
    for (name, step), place in zip(access.terms, meeting.places, strict=True):
        assert place is not None
        sizes[place], steps[place] = product.extents[name], -step
    return Window(
        meeting.name,
        tuple(sizes[n] for n in TERMS),
        tuple(steps[n] for n in TERMS),
        access.offset,
    )


# --- layouts ---------------------------------------------------------------------------------


class Layout(NamedTuple):
    """An array with one axis for each role, where there were several, or none.

    Attributes:
        order: the axes in another order.
        apart: their sizes then.
        joined: the sizes of the roles' axes.
    """

    order: tuple[int, ...]
    apart: Shape
    joined: Shape

    @property
    def back(self) -> tuple[int, ...]:
        """How the axes are ordered that have been taken apart again."""
        return tuple(sorted(range(len(self.order)), key=self.order.__getitem__))

    @property
    def in_order(self) -> bool:
        """Whether the axes stay where they are."""
        return self.order == tuple(range(len(self.order)))

    @property
    def one_by_one(self) -> bool:
        """Whether every axis has a role of its own."""
        return self.apart == self.joined


def layout(term: Labels, sizes: dict[str, int], units: Sequence[Labels]) -> Layout:
    """How the axes of an array are joined, each time some of them, in the order that is given.

    Example:
        >>> layout(("b", "i", "c"), {"b": 2, "i": 3, "c": 4}, [("b", "c"), (), ("i",)])
        Layout(order=(0, 2, 1), apart=(2, 4, 3), joined=(8, 1, 3))
    """
    order = tuple(term.index(name) for unit in units for name in unit)
    apart = tuple(sizes[name] for unit in units for name in unit)
    joined = tuple(prod(sizes[name] for name in unit) for unit in units)
    return Layout(order, apart, joined)


Change = Callable[[Any], Any]


def in_turn(changes: Sequence[Change | None]) -> Change | None:
    """Changes of an array one after the other, those that are there; ``None`` if none is.

    Example:
        >>> in_turn([abs, None, str])(-2), in_turn([None])
        ('2', None)
    """
    done = [change for change in changes if change is not None]
    if len(done) < 2:
        return done[0] if done else None

    def change(array: Any) -> Any:
        for one in done:
            array = one(array)
        return array

    return change
