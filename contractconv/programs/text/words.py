"""The words of the language, and which names something can have in it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import count
from keyword import iskeyword
from unicodedata import normalize

from contractconv.errors import ProgramError
from contractconv.maps.table import MAPS

FORMS = frozenset({"contract", "local", "named", "cast", "size", "extent", "index", "complex"})
"""What is called beside maps."""
KEYWORDS = frozenset({"reduce", "parameters", "output_shape", "like", "extents"})
"""What a contraction is told by keyword; an index of such a name stands in ``extents={...}``."""
NUMBERS = {"inf": float("inf"), "nan": float("nan")}
"""Numbers that have names."""


def is_name(text: str) -> bool:
    """Whether something can be called so; Python reads letters in their compatible form."""
    plain = text.isidentifier() and not iskeyword(text) and text not in NUMBERS
    return plain and normalize("NFKC", text) == text


def checked_name(text: str, what: str) -> str:
    """Refuse a name that no text can have.

    Args:
        text: the name.
        what: has it, for the message.

    Raises:
        ProgramError: it is none.
    """
    if is_name(text):
        return text
    raise ProgramError(
        f"{what} cannot be called {text!r}: a name has letters, digits and _, and is no word of "
        "Python's and none of its numbers"
    )


def is_taken(name: str) -> bool:
    """Whether a name means something already, to Python or to the language."""
    return not is_name(name) or name in FORMS or name in MAPS


class Taken:
    """Names that are taken, and others like them that are not.

    Example:
        >>> taken = Taken(["x"])
        >>> taken.claim("x"), taken.claim("x"), taken.claim("exp"), taken.claim("y")
        ('x_2', 'x_3', 'exp_1', 'y')
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._next: dict[str, int] = {}

    def claim(self, wanted: str) -> str:
        """Take a name, or the first one like it that nothing has."""
        name = self._unused(wanted if is_name(f"{wanted}_1") else "value")
        self._names.add(name)
        return name

    def _unused(self, wanted: str) -> str:
        reserved = is_taken(wanted)
        if not reserved and wanted not in self._names:
            return wanted
        for n in count(self._next.get(wanted, 1 if reserved else 2)):
            name = f"{wanted}_{n}"
            if name not in self._names:
                self._next[wanted] = n + 1
                return name
        raise AssertionError


def close_to(name: str, known: Iterable[str], start: str = "; ") -> str:
    """A guess at what was meant by a name that nothing has, if there is one.

    Example:
        >>> close_to("rellu", ["relu", "exp"])
        "; did you mean 'relu'?"
    """
    found = get_close_matches(name, list(known), n=1)
    return f"{start}did you mean {found[0]!r}?" if found else ""
