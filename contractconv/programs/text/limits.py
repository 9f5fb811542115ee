"""What a text has to keep to before Python's parser sees it, which deep nests can bring down."""

from __future__ import annotations

import re
from keyword import kwlist

from contractconv.errors import ProgramError
from contractconv.programs.text.source import Source

_MOST_CHARACTERS = 2**22
_MOST_LINES = 100_000
_DEEPEST_BRACKETS = 60
# Of one statement: each may be a level of the tree that is made of it.
_MOST_OPERATORS = 500

_WORDS = frozenset({"def", "return", "True", "False"})
_HINTS = {
    "and": "truth values are combined by &",
    "or": "truth values are combined by |",
    "not": "a truth value is turned by ~",
    "if": "choose between values with where(condition, a, b)",
    "else": "choose between values with where(condition, a, b)",
}
_LEXEME = re.compile(
    r"""(?P<formatted>\b(?:[rR]?[fF]|[fF][rR])["'])
    |(?P<string>'''(?:[^\\]|\\.)*?(?:'''|\Z)|\"""(?:[^\\]|\\.)*?(?:\"""|\Z)
        |'(?:[^'\\\n]|\\.)*'?|"(?:[^"\\\n]|\\.)*"?)
    |(?P<comment>\#[^\n]*)|(?P<joined>\\\n)
    |(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<line>\n)
    |(?P<operator>==|!=|[-+*/%@~<>&|^.])|(?P<word>\b(?:WORDS)\b)""".replace(
        "WORDS", "|".join(word for word in kwlist if word not in _WORDS)
    ),
    re.VERBOSE | re.DOTALL,
)


def checked(text: object) -> Source:
    """A text that Python's parser can be given.

    Raises:
        ProgramError: it is none, too long, nested too deeply, or has other words of Python in it.
    """
    if isinstance(text, str) and len(text) > _MOST_CHARACTERS:
        most = f"the most is {_MOST_CHARACTERS:,}"
        raise ProgramError(f"a program of {len(text):,} characters: {most}")
    source = Source.of(text)
    if len(source.lines) > _MOST_LINES:
        raise source.refused(
            f"a program of {len(source.lines):,} lines: the most is {_MOST_LINES:,}"
        )
    found = re.search("[\0\ud800-\udfff]", source.text)
    if found:
        raise source.at(found.span(), f"{found.group()!r} is no character of a text")
    _check_lexemes(source)
    return source


def _check_lexemes(source: Source) -> None:
    """Look at every word, and count brackets and operators statement by statement."""
    depth = operators = 0
    for match in _LEXEME.finditer(source.text):
        kind = match.lastgroup
        if kind in {"word", "formatted"}:
            raise _refused(source, match)
        depth += (kind == "open") - (kind == "close" and depth > 0)
        operators += kind == "operator"
        if kind == "line" and not depth:
            operators = 0
        if depth > _DEEPEST_BRACKETS or operators > _MOST_OPERATORS:
            message = "this statement is nested too deeply: give its parts lines of their own"
            raise source.at(match.span(), message)


def _refused(source: Source, match: re.Match[str]) -> Exception:
    if match.lastgroup == "formatted":
        return source.at(match.span(), "a string is written out: nothing is put into it")
    word = match.group()
    return source.at(match.span(), f"{word!r} has no place in a program", _HINTS.get(word, ""))
