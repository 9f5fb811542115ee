"""What is worked out, or imported, when it is first asked for.

What follows from an immutable value is remembered. Threads share such values. So there is no lock
to be held while a process forks, and nothing that is remembered may be the only owner of memory to
which an address leads: two threads that ask at once may both work it out, and get equal values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, Generic, TypeVar, overload

Owner = TypeVar("Owner")
Made = TypeVar("Made")


class remembered(Generic[Owner, Made]):
    """An attribute that follows from the others, and from nothing else.

    Example:
        >>> class Square:
        ...     def __init__(self, side: int) -> None:
        ...         self.side = side
        ...
        ...     @remembered
        ...     def area(self) -> int:
        ...         return self.side**2
        >>> Square(3).area
        9
    """

    def __init__(self, work: Callable[[Owner], Made]) -> None:
        self._work, self._name = work, work.__name__
        self.__doc__ = work.__doc__

    @overload
    def __get__(self, owner: None, kind: type[Owner]) -> remembered[Owner, Made]: ...

    @overload
    def __get__(self, owner: Owner, kind: type[Owner] | None = None) -> Made: ...

    def __get__(
        self, owner: Owner | None, kind: type[Owner] | None = None
    ) -> remembered[Owner, Made] | Made:
        """Work it out; from then on the object's own dictionary answers."""
        if owner is None:
            return self
        made: Made = owner.__dict__.setdefault(self._name, self._work(owner))
        return made


class Value:
    """A dataclass that is pickled and copied as what it was made of, and made anew from that.

    What was remembered stays behind: hashes of strings differ from process to process, and what
    execution keeps leads into memory.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        given = (field.name for field in fields(self) if field.init)  # type: ignore[arg-type]
        return type(self), tuple(getattr(self, name) for name in given)


@dataclass(frozen=True, slots=True)
class late:
    """A function ``module:name`` whose module is imported when it is called.

    Example:
        >>> late("math:sqrt")(9)
        3.0
    """

    reference: str

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself."""
        module, _, name = self.reference.partition(":")
        function: Callable[..., Any] = getattr(import_module(module), name)
        return function

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Call it."""
        return self.function(*given, **named)
