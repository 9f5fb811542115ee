"""The tokens of a contraction string."""

from __future__ import annotations

import re
from typing import NamedTuple
from unicodedata import category

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

# opt_einsum numbers its symbols through everything from À on, letters or not. Digits could be meant
# for numbers, and signs of punctuation and mathematics, from U+2000 on, for signs of the notation.
_FIRST_MARK, _PUNCTUATION = "À", "\u2000"
_NO_MARKS = frozenset({"Nd", "No", "Zs", "Cc", "Cf"})

# Limits that no sensible contraction meets; they keep an absurd string from costing time.
_LONGEST_STRING = 65_536
_LONGEST_NUMBER = 18


class Token(NamedTuple):
    """A piece of the string; ``kind`` is the group of the tokenizer that matched.

    A *mark* is a sign that is no letter and may be an index all the same: opt_einsum's symbols
    are not only letters.
    """

    kind: str
    text: str
    start: int
    end: int


def is_mark(ch: str) -> bool:
    """Whether a sign that is no letter may be an index."""
    if ch < _PUNCTUATION:
        return ch >= _FIRST_MARK and category(ch) not in _NO_MARKS
    return ch.isalpha()


def is_index(ch: str) -> bool:
    """Whether a sign may be an index by itself."""
    return ch.isidentifier() or is_mark(ch)


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
            if not is_mark(match.group()):
                raise unknown_character(text, match.start())
            kind = "mark"
        if kind == "name" and not match.group().isidentifier():
            for n, ch in enumerate(match.group()):
                if not (is_index(ch) if n == 0 else f"_{ch}".isidentifier() or is_mark(ch)):
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
    if text[at].isnumeric():
        hint = "numbers are written with the digits 0 to 9, and a name begins with a letter"
    if text[at] == ".":
        around = text[max(0, at - 1) : at + 2]
        if any(ch.isdigit() for ch in around):
            hint = "coefficients and offsets are integers"
        elif ".." in around or not any(ch.isalpha() for ch in around):
            hint = "an ellipsis is three dots: ..."
    return spec_error(f"unknown character {text[at]!r}", text, (at, at + 1), hint=hint)
