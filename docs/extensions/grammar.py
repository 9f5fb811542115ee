"""A grammar as a text, read: for its railroad diagrams, and to compare it with the parser.

The text is EBNF: ``{ a }`` is any number of them, ``[ a ]`` at most one, ``a | b`` a choice. What
stands in quotation marks stands for itself. Names without a rule are kinds of tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_PIECE = re.compile(r'\s*(?:"(?P<literal>[^"]+)"|(?P<name>\w+)|(?P<mark>[{}\[\]()|=]))')


@dataclass(frozen=True, slots=True)
class Literal:
    """A token that stands for itself."""

    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """A rule, or a kind of tokens."""

    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One behind the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Maybe:
    """One or none."""

    part: Node


@dataclass(frozen=True, slots=True)
class Many:
    """Any number, none included."""

    part: Node


Node = Literal | Name | Row | Choice | Maybe | Many


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a string: its text, and the kinds it is of."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Grammar:
    """Rules by name, in order."""

    rules: Mapping[str, Node]

    @classmethod
    def read(cls, text: str) -> Grammar:
        """Read the text of a grammar."""
        return cls(dict(_rules(text)))

    def accepts(self, tokens: Sequence[Token], start: str) -> bool:
        """Whether all tokens together are what a rule says."""
        return len(tokens) in _Matcher(self.rules, tokens).ends(Name(start), 0)


# -- reading ------------------------------------------------------------------------------------


def _rules(text: str) -> Iterator[tuple[str, Node]]:
    for rule in re.split(r"\n(?=\w)", text.strip()):
        name, _, body = rule.partition("=")
        reader = _Reader(
            [(m.lastgroup or "", m.group(m.lastgroup or 0)) for m in _PIECE.finditer(body)]
        )
        yield name.strip(), reader.choice()


class _Reader:
    def __init__(self, pieces: list[tuple[str, str]]) -> None:
        self.pieces = pieces

    def choice(self) -> Node:
        options = [self.row()]
        while self.pieces and self.pieces[0] == ("mark", "|"):
            self.pieces.pop(0)
            options.append(self.row())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def row(self) -> Node:
        parts: list[Node] = []
        while self.pieces and self.pieces[0] not in _ENDS:
            parts.append(self.part())
        return parts[0] if len(parts) == 1 else Row(tuple(parts))

    def part(self) -> Node:
        kind, text = self.pieces.pop(0)
        if kind == "literal":
            return Literal(text)
        if kind == "name":
            return Name(text)
        inside = self.choice()
        self.pieces.pop(0)
        if text == "{":
            return Many(inside)
        return Maybe(inside) if text == "[" else inside


_ENDS = {("mark", mark) for mark in ("|", "}", "]", ")")}


# -- recognising --------------------------------------------------------------------------------


class _Matcher:
    """Where what begins at a token may end: all places, so that no choice is made too early."""

    def __init__(self, rules: Mapping[str, Node], tokens: Sequence[Token]) -> None:
        self.rules = rules
        self.tokens = tokens
        self.known: dict[tuple[Node, int], frozenset[int]] = {}

    def ends(self, node: Node, at: int) -> frozenset[int]:
        key = node, at
        if key not in self.known:
            self.known[key] = frozenset(self._ends(node, at))
        return self.known[key]

    def _ends(self, node: Node, at: int) -> Iterable[int]:
        match node:
            case Name(name):
                return self._named(name, at)
            case Literal(text):
                return self._if(at, lambda token: token.text == text and not token.kind)
            case Choice(options):
                return {end for option in options for end in self.ends(option, at)}
            case Maybe(part):
                return {at, *self.ends(part, at)}
            case Many(part):
                return self._closure(part, at)
            case Row(parts):
                return self._row(parts, at)

    def _named(self, name: str, at: int) -> Iterable[int]:
        if name in self.rules:
            return self.ends(self.rules[name], at)
        return self._if(at, lambda token: token.kind == name)

    def _if(self, at: int, fits: Callable[[Token], bool]) -> Iterable[int]:
        return {at + 1} if at < len(self.tokens) and fits(self.tokens[at]) else ()

    def _row(self, parts: Sequence[Node], at: int) -> set[int]:
        places = {at}
        for part in parts:
            places = {end for place in places for end in self.ends(part, place)}
        return places

    def _closure(self, part: Node, at: int) -> set[int]:
        found, new = {at}, {at}
        while new:
            new = {end for place in new for end in self.ends(part, place)} - found
            found |= new
        return found


# -- tokens of the notation ---------------------------------------------------------------------

_TOKEN = re.compile(r"->|\.\.\.|[0-9]+|[A-Za-z_]\w*|[()+\-*/,]|\s+|.", re.DOTALL)


def tokens(text: str, parameters: Iterable[str] = ()) -> tuple[list[Token], str]:
    """The tokens of a contraction, and the rule it must follow."""
    pieces = _TOKEN.findall(text)
    compact = not _has_blank_inside(pieces)
    declared = {*parameters}
    found: list[Token] = []
    before = ""
    for piece in pieces:
        if before.isdigit() and (piece == "(" or _is_name(piece)):
            found.append(Token("", "adjacent"))
        found += _tokens(piece, compact, declared)
        before = piece
    return found, "compact" if compact else "spaced"


def _tokens(piece: str, compact: bool, declared: set[str]) -> list[Token]:
    if piece.isspace():
        return []
    if piece.isdigit():
        return [Token(piece, "number")]
    if not _is_name(piece):
        return [Token(piece)]
    names = list(piece) if compact and piece not in declared else [piece]
    return [Token(name, _kind(name, declared)) for name in names]


def _kind(name: str, declared: set[str]) -> str:
    if name.isdigit():
        return "number"
    return "parameter" if name in declared else "index"


def _is_name(piece: str) -> bool:
    return piece[0].isalpha() or piece[0] == "_"


def _has_blank_inside(pieces: Sequence[str]) -> bool:
    term: list[str] = []
    for piece in [*pieces, ","]:
        if piece not in (",", "->"):
            term.append(piece)
        else:
            if any(map(str.isspace, "".join(term).strip())):
                return True
            term = []
    return False
