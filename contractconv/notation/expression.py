"""Operator-precedence parsing of one index expression, with explicit stacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contractconv.errors import SpecError, spec_error
from contractconv.notation.affine import LARGEST_INTEGER, Affine, Polynomial
from contractconv.notation.tokens import Token, unknown_character

# No sensible expression has more summands; more would cost time.
_LARGEST_POLYNOMIAL = 64
_MOST_INDICES = 64


@dataclass(frozen=True, slots=True)
class Source:
    """What is being read, and how.

    Attributes:
        text: the whole contraction string.
        parameters: the declared parameters.
        letters: whether every letter is an index.
    """

    text: str
    parameters: frozenset[str]
    letters: bool

    def error(self, message: str, *tokens: Token, hint: str = "") -> SpecError:
        """Build an error that points at tokens."""
        spans = [(token.start, token.end) for token in tokens]
        return spec_error(message, self.text, *spans, hint=hint)


@dataclass(frozen=True, slots=True)
class _Value:
    """A part of an expression, and the tokens it was read from (first and last)."""

    affine: Affine
    first: Token
    last: Token


# "2i" binds closer than "2*i": (4*h/2s) is 4*h over 2*s.
_PRECEDENCE = {"(": 0, "+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "pos": 3, "2i": 3}


class Expression:
    """Operator-precedence parsing of one parenthesised axis, without recursion."""

    def __init__(self, source: Source, tokens: Sequence[Token]) -> None:
        self.source = source
        self.tokens = tokens
        self.values: list[_Value] = []
        self.operators: list[tuple[str, Token]] = []

    def axis(self) -> Affine:
        """Return the axis that the tokens, parentheses included, say."""
        previous: Token | None = None
        for token in self.tokens:
            self._read(token, previous)
            previous = token
        return self.values[-1].affine

    def _read(self, token: Token, previous: Token | None) -> None:
        if token.kind == "mark":
            raise unknown_character(self.source.text, token.start)
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
            self._close(token)
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
            self._push("2i", token)
            return
        raise self.source.error(
            f"{previous.text!r} and {token.text!r} side by side", previous, token,
            hint="write an operator between them; a composition, as in (h w), is names alone "
            "and is not part of anything else",
        )  # fmt: skip

    def _expect(self, present: bool, token: Token, previous: Token | None) -> None:
        if not present and previous and previous.text == token.text and token.text in "*/":
            doubled = previous.text + token.text
            hint = "a division is exact: one /" if token.text == "/" else "a power is not affine"
            raise self.source.error(f"{doubled!r} is no operator", previous, token, hint=hint)
        if not present:
            raise self.source.error(
                f"empty term: something is missing before {token.text!r}",
                *([previous] if previous else []), token,
            )  # fmt: skip

    def _atom(self, token: Token) -> Affine:
        if token.kind == "number":
            return Affine.of((), Polynomial.of(int(token.text)))
        if token.text in self.source.parameters:
            return Affine.of((), Polynomial.symbol(token.text))
        if self.source.letters and len(token.text) > 1:
            raise self.source.error(
                f"{token.text!r} has several letters, but no term has a blank inside, so every "
                "letter is an index", token,
                hint="put blanks between the axes, or inside the parentheses; or, if it is a "
                f"number to be given later, declare it: parameters={token.text!r}",
            )  # fmt: skip
        return Affine.index(token.text)

    def _push(self, operator: str, token: Token) -> None:
        if operator not in ("neg", "pos"):
            self._reduce_while(_PRECEDENCE[operator])
        self.operators.append((operator, token))

    def _close(self, token: Token) -> None:
        self._reduce_while(1)
        _, opening = self.operators.pop()
        self.values[-1] = _Value(self.values[-1].affine, opening, token)

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
        result = {
            "+": lambda a, b: a.affine + b.affine, "-": lambda a, b: a.affine - b.affine,
            "*": self._multiply, "2i": self._multiply, "/": self._divide,
        }  # fmt: skip
        value = result[operator](left, right)
        self._check_size(value, left, right)
        self.values.append(_Value(value, left.first, right.last))

    def _whole(self, value: _Value) -> None:
        if value.affine.fractional:
            raise self._spanning(
                "a division must span the whole axis", value, value,
                hint="bring it to one denominator: ((h-k+1)/2), not (h/2-k)",
            )  # fmt: skip

    def _multiply(self, left: _Value, right: _Value) -> Affine:
        if left.affine.terms and right.affine.terms:
            a, b = left.affine.names[0], right.affine.names[0]
            if a == b:
                message = f"not affine: this multiplies the index {a!r} by itself"
                raise self._spanning(message, left, right)
            raise self._spanning(
                f"not affine: this multiplies the indices {a!r} and {b!r}", left, right,
                hint=f"an axis composed of both is ({a} {b}); if one of them is a number to be "
                f"given later, declare it: parameters={a!r}",
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
        if len(value.terms) > _MOST_INDICES or any(
            len(p.terms) > _LARGEST_POLYNOMIAL for p in parts
        ):
            message = f"an expression of more than {_MOST_INDICES} different products"
            raise self._spanning(message, left, right)
        if value.largest > LARGEST_INTEGER:
            raise self._spanning("a number of more than 18 digits", left, right)

    def _spanning(self, message: str, left: _Value, right: _Value, hint: str = "") -> SpecError:
        span = (left.first.start, right.last.end)
        return spec_error(message, self.source.text, span, hint=hint)
