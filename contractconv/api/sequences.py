"""Tuples of what a derivation has several of, which show themselves as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from contractconv.markup.shown import Listed

if TYPE_CHECKING:
    from contractconv.api.derivation import Phase, Step
    from contractconv.api.second_derivative import Second

    OfSteps = Listed[Step]
    OfPhases = Listed[Phase]
    OfSeconds = Listed[Second]
else:  # what they are tuples of is defined by those who make them
    OfSteps = OfPhases = OfSeconds = Listed


class Steps(OfSteps):
    """The steps of a derivation in order; in a notebook each shows only what is new in it."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(f"{number}. {step}" for number, step in enumerate(self, 1))

    def _page_parts(self) -> Iterator[str]:
        from contractconv.display.html_steps import steps_list

        yield steps_list([step._found for step in self])


class Phases(OfPhases):
    """The phases of a strided gradient, which add up to it."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(f"{phase}   where {phase.meaning}" for phase in self)

    def _page_parts(self) -> Iterator[str]:
        for phase in self:
            yield from phase._page_parts()


class Seconds(OfSeconds):
    """The derivatives of a gradient, one for each array that it is made of."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(f"by {second.by}: {second}" for second in self)

    def _page_parts(self) -> Iterator[str]:
        from contractconv.display.html_sequences import second_parts

        for second in self:
            yield from second_parts(second._found, second.forward._named)
