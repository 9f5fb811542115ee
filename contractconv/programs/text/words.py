"""The words of the language, and which names something can have in it."""

from __future__ import annotations

from collections.abc import Container
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


def unused(name: str, taken: Container[str]) -> str:
    """A name like another one that nothing else has.

    Example:
        >>> unused("x", {"x", "x_2"}), unused("exp", ())
        ('x_3', 'exp_1')
    """
    if not is_taken(name) and name not in taken:
        return name
    if not is_name(f"{name}_1"):
        return unused("value", taken)
    numbered = (f"{name}_{n}" for n in count(1 if is_taken(name) else 2))
    return next(found for found in numbered if found not in taken)
