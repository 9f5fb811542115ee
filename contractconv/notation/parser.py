"""From a string to a :class:`~contractconv.notation.spec.Spec`.

A tokenizer, a split into terms and axes, and a precedence parser with explicit stacks: time
is linear in the length of the string, and no nesting is too deep. Nothing that a user typed
is ever evaluated as Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from contractconv.errors import ReductionError, SpecError, spec_error
from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.spec import REDUCTIONS, Axis, Composition, Dots, Spec, Term

_TOKEN = re.compile(
    r"(?P<arrow>->)|(?P<dots>\.\.\.)|(?P<number>\d+)|(?P<name>[^\W\d]\w*)"
    r"|(?P<symbol>[()+\-*/,])|(?P<blank>\s+)|(?P<unknown>.)"
)
_NAME = re.compile(r"[^\W\d]\w*")

# Limits that no sensible contraction meets; they keep an absurd string from costing time.
_LONGEST_STRING = 65_536
_LONGEST_NUMBER = 18
_LONGEST_EXPRESSION = 1_000
_MOST_AXES = 64  # of a numpy array
_LARGEST_POLYNOMIAL = 64

_LOOKALIKES = {
    "→": "'->'", ">": "'->'", "=": "'->'", "−": "'-'", "–": "'-'", "×": "'*'",
    "·": "'*'", "∗": "'*'", "[": "'('", "]": "')'", "{": "'('", "}": "')'", ";": "','",
}  # fmt: skip


class Token(NamedTuple):
    """A piece of the string; ``kind`` is the group of the tokenizer that matched."""

    kind: str
    text: str
    start: int
    end: int


def parse(text: str, reduce: str = "sum", parameters: str | Iterable[str] = ()) -> Spec:
    """Read a contraction string.

    Args:
        text: the string, in the blank-separated or in numpy's style.
        reduce: one of ``"sum"``, ``"max"``, ``"min"``, ``"prod"``, ``"mean"``, ``"logsumexp"``.
        parameters: names that are symbolic integers: ``"s d p"`` or a sequence of names.

    Returns:
        The parsed contraction.

    Raises:
        SpecError: the string is not in the notation; the message points at the place.
        ReductionError: the reduction is unknown.
    """
    if not isinstance(text, str):
        raise SpecError(f"a contraction is a string, not {type(text).__name__}")
    if reduce not in REDUCTIONS:
        known = ", ".join(REDUCTIONS)
        raise ReductionError(f"unknown reduction {reduce!r}: choose one of {known}")
    reader = _Reader(text, frozenset(parameter_names(parameters)))
    return reader.spec(reduce)


def parameter_names(parameters: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return declared parameters as a tuple of names, checked."""
    if parameters is None:
        return ()
    listed = parameters.replace(",", " ").split() if isinstance(parameters, str) else parameters
    names = tuple(listed)
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise SpecError(f"{name!r} is not a name, so it cannot be a parameter")
    return names


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
            raise _unknown_character(text, match.start())
        if kind == "number" and len(match.group()) > _LONGEST_NUMBER:
            raise spec_error("this number is too large", text, match.span())
        tokens.append(Token(kind, match.group(), match.start(), match.end()))
    return tokens


def _unknown_character(text: str, at: int) -> SpecError:
    meant = _LOOKALIKES.get(text[at])
    hint = f"write {meant} instead" if meant else "names are letters, digits and _"
    if text[at] == ".":
        hint = "an ellipsis is three dots: ..."
    return spec_error(f"unknown character {text[at]!r}", text, (at, at + 1), hint=hint)


class _Reader:
    """Reads one string; every method either returns a piece of the spec or raises."""

    def __init__(self, text: str, parameters: frozenset[str]) -> None:
        self.text = text
        self.parameters = parameters
        self.letters = False

    def spec(self, reduce: str) -> Spec:
        tokens = tokenize(self.text)
        self._check_parentheses(tokens)
        left, right = self._split_arrow(tokens)
        groups = _split_commas(left)
        self.letters = not any(_has_inner_blank(group) for group in [*groups, right or []])
        inputs = tuple(self._term(group) for group in groups)
        if right is None and not self.letters:
            raise spec_error(
                "missing arrow", self.text, (len(self.text.rstrip()),) * 2,
                hint="say what the result is, as in 'b h w c, k c -> b h'; only a string without "
                "blanks inside its terms, as in 'ij,jk', may leave it out",
            )  # fmt: skip
        output = implicit_output(inputs) if right is None else self._term(right)
        return Spec(inputs, output, reduce, tuple(self.parameters))

    def _error(self, message: str, *tokens: Token, hint: str = "") -> SpecError:
        spans = [(token.start, token.end) for token in tokens]
        return spec_error(message, self.text, *spans, hint=hint)

    def _check_parentheses(self, tokens: Sequence[Token]) -> None:
        opened: list[Token] = []
        for token in tokens:
            if token.text == "(":
                opened.append(token)
            elif token.text == ")":
                if not opened:
                    raise self._error("unbalanced parentheses: ')' closes nothing", token)
                opened.pop()
            elif opened and token.kind == "arrow":
                raise self._error("unbalanced parentheses: '(' is never closed", opened[-1])
            elif opened and token.text in (",", "..."):
                raise self._error(
                    f"{token.text!r} inside parentheses", token,
                    hint="parentheses hold the index expression of one axis",
                )  # fmt: skip
        if opened:
            raise self._error("unbalanced parentheses: '(' is never closed", opened[-1])

    def _split_arrow(self, tokens: list[Token]) -> tuple[list[Token], list[Token] | None]:
        arrows = [n for n, token in enumerate(tokens) if token.kind == "arrow"]
        if not arrows:
            return tokens, None
        if len(arrows) > 1:
            raise self._error("more than one arrow", *(tokens[n] for n in arrows[:2]))
        left, right = tokens[: arrows[0]], tokens[arrows[0] + 1 :]
        for token in right:
            if token.text == ",":
                raise self._error("a comma after the arrow", token, hint="there is one result")
        return left, right

    def _term(self, tokens: Sequence[Token]) -> Term:
        axes: list[Axis] = []
        tokens = [token for token in tokens if token.kind != "blank"]
        position = 0
        while position < len(tokens):
            token = tokens[position]
            if token.text == "(":
                end = _closing(tokens, position)
                axes.append(self._parenthesised(tokens[position : end + 1]))
                position = end
            elif token.kind == "name":
                axes += [Affine.index(name) for name in self._names(token)]
            elif token.kind == "dots":
                axes.append(self._dots(token, axes))
            else:
                raise self._misplaced(token)
            position += 1
            if len(axes) > _MOST_AXES:
                raise self._error(f"more axes than an array can have ({_MOST_AXES})", token)
        return tuple(axes)

    def _names(self, token: Token) -> list[str]:
        names = list(token.text) if self.letters else [token.text]
        for name in names:
            if name in self.parameters or token.text in self.parameters:
                raise self._error(
                    f"{name!r} is a parameter and cannot be an axis by itself", token,
                    hint=f"for the constant position write ({token.text})",
                )  # fmt: skip
            if not _NAME.fullmatch(name):
                raise self._error(
                    f"{name!r} is not an index", token,
                    hint="no term has a blank inside, so every letter is an index; "
                    "longer names need blanks between them, as in 'x_1 y'",
                )  # fmt: skip
        return names

    def _dots(self, token: Token, axes: Sequence[Axis]) -> Dots:
        if any(isinstance(axis, Dots) for axis in axes):
            raise self._error("a term has at most one ellipsis", token)
        return Dots()

    def _misplaced(self, token: Token) -> SpecError:
        if token.kind == "number":
            hint = f"for the constant position write ({token.text})"
        elif token.text == "-":
            hint = "an arrow is '->', and an index expression stands in parentheses: (i-k)"
        else:
            hint = f"an index expression stands in parentheses, as in (i{token.text}2)"
        return self._error(f"{token.text!r} outside parentheses", token, hint=hint)

    def _parenthesised(self, tokens: Sequence[Token]) -> Axis:
        inner = tokens[1:-1]
        if not inner:
            raise self._error(
                "empty term: there is nothing between these parentheses", tokens[0], tokens[-1],
                hint="for an axis of size one write (0)",
            )  # fmt: skip
        if len(inner) > _LONGEST_EXPRESSION:
            raise self._error("this index expression is too long", tokens[0])
        named = all(token.kind == "name" for token in inner)
        if named and not (len(inner) == 1 and inner[0].text in self.parameters):
            names = [name for token in inner for name in self._names(token)]
            return Composition(tuple(names)) if len(names) > 1 else Affine.index(names[0])
        return _Expression(self, tokens).axis()


def _closing(tokens: Sequence[Token], opening: int) -> int:
    depth = 0
    for position in range(opening, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[position].text, 0)
        if not depth:
            return position
    raise AssertionError("parentheses were checked before")


def _split_commas(tokens: Iterable[Token]) -> list[list[Token]]:
    groups: list[list[Token]] = [[]]
    for token in tokens:
        if token.text == ",":
            groups.append([])
        else:
            groups[-1].append(token)
    return groups


def _has_inner_blank(tokens: Sequence[Token]) -> bool:
    solid = [n for n, token in enumerate(tokens) if token.kind != "blank"]
    return bool(solid) and any(t.kind == "blank" for t in tokens[solid[0] : solid[-1]])


def implicit_output(inputs: tuple[Term, ...]) -> Term:
    """Numpy's rule: the ellipsis, then whatever occurs exactly once, in alphabetical order."""
    count: dict[str, int] = {}
    for name in (name for term in inputs for axis in term for name in axis.names):
        count[name] = count.get(name, 0) + 1
    dots = any(isinstance(axis, Dots) for term in inputs for axis in term)
    once = sorted(name for name, times in count.items() if times == 1)
    return (*([Dots()] * dots), *(Affine.index(name) for name in once))


@dataclass(frozen=True, slots=True)
class _Value:
    """A part of an expression, and the tokens it was read from (first and last)."""

    affine: Affine
    first: Token
    last: Token


_PRECEDENCE = {"(": 0, "+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "pos": 3}


class _Expression:
    """Operator-precedence parsing of one parenthesised axis, without recursion."""

    def __init__(self, reader: _Reader, tokens: Sequence[Token]) -> None:
        self.reader = reader
        self.tokens = tokens
        self.values: list[_Value] = []
        self.operators: list[tuple[str, Token]] = []

    def axis(self) -> Affine:
        previous: Token | None = None
        for token in self.tokens:
            self._read(token, previous)
            previous = token
        return self.values[-1].affine

    def _read(self, token: Token, previous: Token | None) -> None:
        after_value = previous is not None and (
            previous.kind in ("name", "number") or previous.text == ")"
        )
        if token.kind in ("name", "number"):
            self._juxtaposed(token, previous, after_value)
            self.values.append(_Value(self._atom(token), token, token))
        elif token.text == "(":
            self._juxtaposed(token, previous, after_value)
            self.operators.append(("(", token))
        elif token.text == ")":
            self._expect(after_value, token, previous)
            self._close()
        elif after_value:
            self._push(token.text, token)
        elif token.text in "+-":
            self._push({"-": "neg", "+": "pos"}[token.text], token)
        else:
            self._expect(False, token, previous)

    def _juxtaposed(self, token: Token, previous: Token | None, after_value: bool) -> None:
        """Read ``2i`` and ``2(i+k)`` as products; refuse other neighbours."""
        if not after_value or previous is None:
            return
        if previous.kind == "number" and token.kind != "number" and previous.end == token.start:
            self._push("*", token)
            return
        raise self.reader._error(
            f"{previous.text!r} and {token.text!r} side by side", previous, token,
            hint="write an operator between them; a composition, as in (h w), is names alone",
        )  # fmt: skip

    def _expect(self, present: bool, token: Token, previous: Token | None) -> None:
        if not present:
            raise self.reader._error(
                f"empty term: something is missing before {token.text!r}",
                *([previous] if previous else []), token,
            )  # fmt: skip

    def _atom(self, token: Token) -> Affine:
        if token.kind == "number":
            return Affine.of((), Polynomial.of(int(token.text)))
        if token.text in self.reader.parameters:
            return Affine.of((), Polynomial.symbol(token.text))
        if self.reader.letters and len(token.text) > 1:
            raise self.reader._error(
                f"{token.text!r} has several letters, but no term has a blank inside, so every "
                "letter is an index", token,
                hint="put blanks between the axes, or declare it: "
                f"parameters={token.text!r}",
            )  # fmt: skip
        return Affine.index(token.text)

    def _push(self, operator: str, token: Token) -> None:
        if operator not in ("neg", "pos"):
            self._reduce_while(_PRECEDENCE[operator])
        self.operators.append((operator, token))

    def _close(self) -> None:
        self._reduce_while(1)
        self.operators.pop()

    def _reduce_while(self, precedence: int) -> None:
        while self.operators and _PRECEDENCE[self.operators[-1][0]] >= precedence:
            self._apply(*self.operators.pop())

    def _apply(self, operator: str, token: Token) -> None:
        right = self.values.pop()
        if operator in ("neg", "pos"):
            sign = Polynomial.of(-1 if operator == "neg" else 1)
            self._whole(right)
            self.values.append(_Value(right.affine.scaled(sign), token, right.last))
            return
        left = self.values.pop()
        self._whole(left)
        self._whole(right)
        result = {"+": self._add, "-": self._subtract, "*": self._multiply, "/": self._divide}
        value = result[operator](left, right)
        self._check_size(value, left, right)
        self.values.append(_Value(value, left.first, right.last))

    def _whole(self, value: _Value) -> None:
        if value.affine.fractional:
            raise self._spanning(
                "a division must span the whole axis", value, value,
                hint="bring it to one denominator: ((h-k+1)/2), not (h/2-k)",
            )  # fmt: skip

    def _add(self, left: _Value, right: _Value) -> Affine:
        return left.affine + right.affine

    def _subtract(self, left: _Value, right: _Value) -> Affine:
        return left.affine + right.affine.scaled(Polynomial.of(-1))

    def _multiply(self, left: _Value, right: _Value) -> Affine:
        if left.affine.terms and right.affine.terms:
            a, b = left.affine.names[0], right.affine.names[0]
            raise self._spanning(
                f"not affine: this multiplies the indices {a!r} and {b!r}", left, right,
                hint=f"if {a!r} or {b!r} is a number to be given later, declare it: "
                f"parameters={a!r}",
            )  # fmt: skip
        if left.affine.terms:
            return left.affine.scaled(right.affine.offset)
        return right.affine.scaled(left.affine.offset)

    def _divide(self, left: _Value, right: _Value) -> Affine:
        if right.affine.terms:
            name = right.affine.names[0]
            raise self._spanning(
                f"not affine: this divides by the index {name!r}", left, right,
                hint=f"if {name!r} is a number to be given later, declare it: "
                f"parameters={name!r}",
            )  # fmt: skip
        if not right.affine.offset:
            raise self._spanning("division by zero", right, right)
        return left.affine.over(right.affine.offset)

    def _check_size(self, value: Affine, left: _Value, right: _Value) -> None:
        parts = [value.offset, value.divisor, *(coefficient for _, coefficient in value.terms)]
        if any(len(part.terms) > _LARGEST_POLYNOMIAL for part in parts):
            raise self._spanning("this expression has too many different products", left, right)

    def _spanning(self, message: str, left: _Value, right: _Value, hint: str = "") -> SpecError:
        span = (left.first.start, right.last.end)
        return spec_error(message, self.reader.text, span, hint=hint)
