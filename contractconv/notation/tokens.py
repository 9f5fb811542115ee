"""The tokens of a contraction string."""

from __future__ import annotations

import re
from typing import NamedTuple

from contractconv.errors import SpecError, spec_error

NAME = re.compile(r"[^\W\d]\w*")
_TOKEN = re.compile(
    r"(?P<arrow>->)|(?P<dots>\.\.\.)|(?P<number>[0-9]+)|(?P<name>[^\W\d]\w*)"
    r"|(?P<symbol>[()+\-*/,])|(?P<blank>\s+)|(?P<unknown>.)"
)
_LOOKALIKES = {
    "→": "'->'", ">": "'->'", "=": "'->'", "−": "'-'", "–": "'-'", "×": "'*'",
    "·": "'*'", "∗": "'*'", "[": "'('", "]": "')'", "{": "'('", "}": "')'", ";": "','",
    "…": "'...'", "⋅": "'*'", "⟶": "'->'", "⇒": "'->'",
}  # fmt: skip

# opt_einsum's first thousand symbols, which start at À, hold these among the letters.
_MARKS = frozenset(ch for ch in map(chr, range(0xC0, 0x500)) if not ch.isidentifier())

# Limits that no sensible contraction meets; they keep an absurd string from costing time.
_LONGEST_STRING = 65_536
_LONGEST_NUMBER = 18


class Token(NamedTuple):
    """A piece of the string; ``kind`` is the group of the tokenizer that matched.

    A *mark* is a sign that is no letter and may be an index all the same: from the 75th on,
    opt_einsum's symbols are not only letters.
    """

    kind: str
    text: str
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """Split a string into tokens, blanks included."""
    if len(text) > _LONGEST_STRING:
        raise spec_error(
            f"a contraction of {len(text)} characters: the most is {_LONGEST_STRING}", text, (0, 1)
        )
    tokens = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "unknown"
        if kind == "unknown":
            if match.group() not in _MARKS:
                raise unknown_character(text, match.start())
            kind = "mark"
        if kind == "name" and not match.group().isidentifier():
            for n, ch in enumerate(match.group()):
                if not f"_{ch}".isidentifier() and ch not in _MARKS:
                    raise unknown_character(text, match.start() + n)
        if kind == "number" and len(match.group()) > _LONGEST_NUMBER:
            message = f"a number of more than {_LONGEST_NUMBER} digits"
            raise spec_error(message, text, match.span())
        tokens.append(Token(kind, match.group(), match.start(), match.end()))
    return tokens


def unknown_character(text: str, at: int) -> SpecError:
    """Build the error for a character that has no meaning where it stands."""
    meant = _LOOKALIKES.get(text[at])
    hint = f"write {meant} instead" if meant else "names are letters, digits and _"
    if text[at] == ".":
        around = text[max(0, at - 1) : at + 2]
        if any(ch.isdigit() for ch in around):
            hint = "coefficients and offsets are integers"
        elif ".." in around or not any(ch.isalpha() for ch in around):
            hint = "an ellipsis is three dots: ..."
    return spec_error(f"unknown character {text[at]!r}", text, (at, at + 1), hint=hint)
