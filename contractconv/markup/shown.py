"""How an object shows itself in a terminal, in IPython and in a notebook.

IPython asks the first class, from the object's own upwards, that has either ``__repr__`` or
``_repr_pretty_``: a class below these has to have the latter as well if it has the former.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from contractconv.markup.parts import article, document, preformatted

Item = TypeVar("Item")


class Printed:
    """Shows what ``print`` shows, wherever people look; in a notebook in letters of one width.

    Inside of a list, it shows its ``repr``.
    """

    __slots__ = ()

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "__repr__" in vars(cls) and "_repr_pretty_" not in vars(cls):
            cls._repr_pretty_ = cls._repr_pretty_  # type: ignore[method-assign]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        alone = not cycle and len(printer.stack) < 2
        printer.text(self._pretty() if alone else repr(self))

    def _pretty(self) -> str:
        """What a terminal shows where nothing stands around it."""
        return str(self).rstrip()

    def _repr_html_(self) -> str:
        return preformatted(str(self))


class Paged(Printed, ABC):
    """Shows itself in a notebook as a page would, and makes a page of its own."""

    __slots__ = ()

    @property
    @abstractmethod
    def _page_title(self) -> str:
        """What the page is called."""

    @abstractmethod
    def _page_parts(self, *, alone: bool) -> Iterable[str]:
        """The parts of the page, in HTML; ``alone`` if it is one, and others may lead into it."""

    def html(self) -> str:
        """Return a page of its own: formulas in MathML, pictures in SVG, nothing to load."""
        return document(self._page_title, article(self._page_parts(alone=True)))

    def save(self, path: str | Path) -> None:
        """Write the page to a file."""
        Path(path).write_text(self.html(), encoding="utf-8")

    def _repr_html_(self) -> str:
        return article(self._page_parts(alone=False))


class Listed(Printed, tuple[Item, ...], ABC):
    """A tuple that shows its items below each other; ``print`` writes them so as well."""

    __slots__ = ()

    @abstractmethod
    def _page_parts(self) -> Iterable[str]:
        """What a notebook shows, in HTML."""

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def _repr_html_(self) -> str:
        return article(self._page_parts())
