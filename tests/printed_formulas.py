"""Printed formulas, read from nothing but their text; what they are worth says `printed_values`.

Nothing here is shared with the library or with the oracle.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_TOKEN = re.compile(
    rf"(?P<where>\s\s+where\s)|\s*(?:(?P<big>(?:[ΣΠ]|(?:arg)?max|(?:arg)?min)_\{{)|(?P<number>\d+)|(?P<raised>[{_RAISED}]+)"
    rf"|(?P<name>(?:[^\W\d]|[∂…])(?:(?![{_RAISED}])\w)*…?['′″]*)|(?P<sign>[^\s\w]))"
)
_SIGNS = {"−": "-", "*": "·", "×": "·", "|": "∣"}
# Digits may stand low in a name; and there are two signs for a prime.
_SAME = str.maketrans("'₀₁₂₃₄₅₆₇₈₉", "′0123456789")
_LAST = ("·", "log", "agree")  # of these, conditions are said of the last part
_RELATIONS = ("=", "≠", "<", "≤", "∣")


class Unreadable(ValueError):
    """What is printed cannot be read, or means more than one thing."""


# --- what a formula consists of --------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True)
class Name:
    """An index, a parameter, a size, or an array without axes."""

    text: str


@dataclass(frozen=True)
class Composed:
    """An axis ``(h w c)``."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Together:
    """``(i,k)``: several positions, compared as one."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Element:
    """``X[b, 2*i+k]``."""

    array: str
    axes: tuple[Node, ...]


@dataclass(frozen=True)
class Operation:
    """A sum, product, quotient, power or function of what is in it."""

    sign: str
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Big:
    """``Σ_{k,c} ...``: a reduction of all that stands behind it."""

    sign: str
    indices: tuple[str, ...]
    body: Node
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Condition:
    """``0 ≤ h-k < N_i``: expressions, and the relations between them."""

    parts: tuple[Node, ...]
    relations: tuple[str, ...]


@dataclass(frozen=True)
class Indicator:
    """``1[0 ≤ h-k < N_i]``: one where all conditions hold, zero elsewhere."""

    conditions: tuple[Condition, ...]


Node = Number | Name | Composed | Together | Element | Operation | Big | Indicator


@dataclass(frozen=True)
class Formula:
    """``name[axes] = body``; the conditions are in what they are said of.

    Where nothing contributes, an element is ``otherwise``.
    """

    name: str
    axes: tuple[Node, ...]
    body: Node
    otherwise: Node = Number(0)


# --- reading ---------------------------------------------------------------------------------


class _Reader:
    """Tokens, taken one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [*_tokens(text)]
        self.place = 0

    def next(self, ahead: int = 0) -> str:
        """What stands there, without taking it; nothing at the end."""
        place = self.place + ahead
        return self.tokens[place][1] if place < len(self.tokens) else ""

    def kind(self, ahead: int = 0) -> str:
        """Of what kind that is."""
        place = self.place + ahead
        return self.tokens[place][0] if place < len(self.tokens) else "end"

    def take(self, expected: str = "") -> str:
        """The next token, which must be the expected one, if one is."""
        token = self.next()
        if not token or (expected and token != expected):
            raise Unreadable(f"{self.text!r}: {token or 'the end'!r} instead of {expected!r}")
        self.place += 1
        return token

    def skip(self, token: str) -> bool:
        """Whether the next token is this one, which is taken then."""
        found = self.next() == token
        self.place += found
        return found

    # -- one rule each ---------------------------------------------------------------------------

    def formula(self) -> Formula:
        """``name[axes] = sum   where condition, condition, else sum``."""
        name = self.take()
        if name == "∂":
            name += self.pairing()
        axes = self.axes() if self.next() == "[" else ()
        self.take("=")
        body = self.sum()
        conditions = self.conditions() if self.kind() == "where" and self.take() else ()
        otherwise = self.sum() if conditions and self.skip("else") else Number(0)
        if self.next():
            raise Unreadable(f"{self.text!r}: nothing may follow, but {self.next()!r} does")
        self.check_scopes(body, conditions)
        return Formula(name, axes, _confined(body, conditions), otherwise)

    def pairing(self) -> str:
        """``⟨V, dX⟩/∂W`` behind the first ``∂``: what is differentiated, and by what."""
        signs = ("⟨", "", ",", "", "⟩", "/", "")
        return "".join(self.take(sign) for sign in signs)

    def check_scopes(self, body: Node, conditions: tuple[Condition, ...]) -> None:
        """Refuse a condition of which nobody says whose index it is about."""
        bound = Counter(
            name for node in walk(body) if isinstance(node, Big) for name in node.indices
        )
        said = {name for condition in conditions for name in letters(condition)}
        unclear = [name for name in said if bound[name] > 1]
        if unclear:
            raise Unreadable(f"{self.text!r}: of which {unclear[0]} is the condition?")

    def conditions(self) -> tuple[Condition, ...]:
        """Conditions, between commas."""
        found = [self.condition()]
        while self.skip(",") and self.next() != "else":
            found.append(self.condition())
        return tuple(found)

    def condition(self) -> Condition:
        """Expressions with relations between them."""
        parts, relations = [self.sum()], []
        while self.next() in _RELATIONS:
            relations.append(self.take())
            parts.append(self.sum())
        if not relations:
            raise Unreadable(f"{self.text!r}: a condition that says nothing")
        return Condition(tuple(parts), tuple(relations))

    def axes(self) -> tuple[Node, ...]:
        """``[axis, axis]``; none of a scalar that is called like an index."""
        self.take("[")
        if self.skip("]"):
            return ()
        found = [self.axis()]
        while self.skip(","):
            found.append(self.axis())
        self.take("]")
        return tuple(found)

    def axis(self) -> Node:
        """A composition, or an expression."""
        end = 1
        while self.kind(end) == "name":
            end += 1
        if self.next() == "(" and end > 2 and self.next(end) == ")":
            names = [self.next(place) for place in range(1, end)]
            self.place += end + 1
            return Composed(tuple(names))
        return self.sum()

    def sum(self) -> Node:
        """Products with signs between them."""
        parts = [self.signed()]
        while self.next() in ("+", "-"):
            parts.append(self.signed())
        return parts[0] if len(parts) == 1 else Operation("+", tuple(parts))

    def signed(self) -> Node:
        """A product with its sign."""
        if self.skip("-"):
            return Operation("·", (Number(-1), self.product()))
        self.skip("+")
        return self.product()

    def product(self) -> Node:
        """Factors; a fraction is of the one before and the one behind the stroke."""
        factors = [self.power()]
        while True:
            if self.skip("/"):
                factors.append(Operation("/", (factors.pop(), self.power())))
                if self.begins_factor():
                    raise Unreadable(f"{self.text!r}: is {self.next()!r} below the stroke, too?")
            elif self.skip("·") or self.begins_factor():
                factors.append(self.power())
            else:
                return factors[0] if len(factors) == 1 else Operation("·", tuple(factors))

    def begins_factor(self) -> bool:
        """Whether a factor follows without a sign."""
        return self.kind() in ("number", "name", "big") or self.next() == "("

    def power(self) -> Node:
        """A factor, raised or not."""
        base = self.factor()
        if self.kind() != "raised":
            return base
        exponent = int("".join(str(_RAISED.index(digit)) for digit in self.take()))
        return Operation("·", (base,) * exponent)

    def factor(self) -> Node:
        """A number, a name, an element, a function, a reduction, or a sum in parentheses."""
        kind, token = self.kind(), self.take()
        if kind == "big":
            return self.big(token.removesuffix("_{"))
        if token == "(":
            inside = self.sum()
            self.take(")")
            return inside
        if token == "∞":
            return Number(inf)
        if kind not in ("number", "name"):
            raise Unreadable(f"{self.text!r}: {token!r} begins nothing")
        return self.named(token)

    def named(self, token: str) -> Node:
        """A name or a number, with what belongs to it."""
        if token == "1" and self.next() == "[":
            return self.indicator()
        if self.next() == "[":
            return Element(token, self.axes())
        if self.is_function(token):
            return Operation(token, self.arguments())
        return Number(int(token)) if token.isdecimal() else Name(token)

    def indicator(self) -> Node:
        """``[k = argmax_{k'} ...]``, whether both sides agree; ``[0 ≤ i < N_h]``, if it holds."""
        self.take("[")
        start = self.place
        left = self.positions()
        if left is not None and self.skip("=") and self.next().startswith("arg"):
            found: Node = Operation("agree", (left, self.sum()))
        else:
            self.place = start
            found = Indicator(self.conditions())
        self.take("]")
        return found

    def positions(self) -> Together | None:
        """``k`` or ``(i,k)``."""
        if self.kind() == "name":
            return Together((self.take(),))
        if not self.skip("("):
            return None
        names = [self.take()]
        while self.skip(","):
            names.append(self.take())
        return Together(tuple(names)) if self.skip(")") else None

    def is_function(self, token: str) -> bool:
        """Whether a function is meant, no index of that name."""
        applied = self.next() == "(" and token in ("δ", "max", "exp", "log")
        return applied or (token == "log" and self.kind() in ("big", "name"))

    def arguments(self) -> tuple[Node, ...]:
        """``(a, b)``; of a logarithm what stands behind it."""
        if not self.skip("("):
            return (self.power(),)
        found = [self.sum()]
        while self.skip(","):
            found.append(self.sum())
        self.take(")")
        return tuple(found)

    def big(self, sign: str) -> Big:
        """Indices up to the brace, and everything behind it that is multiplied."""
        indices = self.positions() or Together(())
        others: tuple[Condition, ...] = ()
        if self.skip("≠"):
            others = (Condition((indices, self.positions() or Together(())), ("≠",)),)
        names = [*indices.names]
        while self.skip(","):
            names.append(self.take())
        self.take("}")
        return Big(sign, tuple(names), self.product(), others)


def _confined(body: Node, conditions: tuple[Condition, ...]) -> Node:
    """A body under conditions: they are said of the reduction that stands last, if there is one."""
    if isinstance(body, Big):
        return Big(body.sign, body.indices, body.body, body.conditions + conditions)
    if isinstance(body, Operation) and body.sign in _LAST:
        *before, last = body.parts
        if _reduces(last):
            return Operation(body.sign, (*before, _confined(last, conditions)))
    return Big("", (), body, conditions)


def _reduces(node: Node) -> bool:
    """Whether a reduction stands last in a product."""
    if isinstance(node, Operation) and node.sign in _LAST:
        return _reduces(node.parts[-1])
    return isinstance(node, Big)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if match is None:
            raise Unreadable(f"{text!r}: what is {text[place:]!r}?")
        kind = match.lastgroup or ""
        token = match.group(kind)
        yield kind, _SIGNS.get(token, token) if kind == "sign" else token.translate(_SAME)
        place = match.end()


def read(text: str) -> Formula:
    """The formula that a text says.

    Raises:
        Unreadable: it says none.
    """
    return _Reader(text).formula()


def letters(condition: Condition) -> set[str]:
    """All names in a condition."""
    found: set[str] = set()
    for part in condition.parts:
        for node in walk(part):
            found.update([node.text] if isinstance(node, Name) else ())
            found.update(node.names if isinstance(node, Composed | Together) else ())
    return found


def walk(node: Node) -> Iterator[Node]:
    """An expression and all that is in it, what conditions say included."""
    yield node
    inner: tuple[Node, ...] = ()
    if isinstance(node, Element):
        inner = node.axes
    elif isinstance(node, Operation):
        inner = node.parts
    elif isinstance(node, Big):
        inner = (node.body, *(part for condition in node.conditions for part in condition.parts))
    elif isinstance(node, Indicator):
        inner = tuple(part for condition in node.conditions for part in condition.parts)
    for part in inner:
        yield from walk(part)
