"""From a string to a :class:`~contractconv.notation.spec.Spec`.

Tokens, then terms and axes, then the expression of each axis. Time is linear in the length of the
string, and no nesting is too deep. Nothing that a user typed is ever evaluated as Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from contractconv.errors import ReductionError, SpecError, spec_error
from contractconv.notation.affine import Affine
from contractconv.notation.expression import Expression, Source
from contractconv.notation.spec import (
    REDUCTIONS,
    Axis,
    Composition,
    Dots,
    Reduction,
    Spec,
    Term,
    has_dots,
)
from contractconv.notation.tokens import NAME, Token, is_index, tokenize, unknown_character

# Limits that no sensible contraction meets; they keep an absurd string from costing time.
_LONGEST_EXPRESSION = 1_000
_MOST_AXES = 64  # of a numpy array


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
    reduction = as_reduction(reduce)
    reader = _Reader(text, frozenset(parameter_names(parameters)))
    return reader.spec(reduction)


def as_reduction(reduce: object) -> Reduction:
    """Refuse what is not the name of a reduction."""
    if not isinstance(reduce, str) or reduce not in REDUCTIONS:
        known = ", ".join(REDUCTIONS)
        raise ReductionError(f"unknown reduction {reduce!r}: choose one of {known}")
    return reduce


def parameter_names(parameters: object) -> tuple[str, ...]:
    """Return declared parameters as a tuple of names, checked."""
    if parameters is None:
        return ()
    if isinstance(parameters, str):
        parameters = parameters.replace(",", " ").split()
    if not isinstance(parameters, Iterable):
        raise SpecError(f"parameters are names, as in parameters='s d p', not {parameters!r}")
    names = tuple(parameters)
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise SpecError(f"{name!r} is not a name, so it cannot be a parameter")
    return names


class _Reader:
    """Reads one string; every method either returns a piece of the spec or raises."""

    def __init__(self, text: str, parameters: frozenset[str]) -> None:
        self.source = Source(text, parameters, letters=False)

    def spec(self, reduce: Reduction) -> Spec:
        tokens = tokenize(self.source.text)
        self._check_parentheses(tokens)
        left, right = self._split_arrow(tokens)
        groups = _split_commas(left)
        letters = not any(_has_inner_blank(group) for group in [*groups, right or []])
        self.source = replace(self.source, letters=letters)
        inputs = tuple(self._term(group) for group in groups)
        if right is None and not letters:
            raise spec_error(
                "missing arrow", self.source.text, (len(self.source.text.rstrip()),) * 2,
                hint="say what the result is, as in 'b h w c, k c -> b h'; only a string without "
                "blanks inside its terms, as in 'ij,jk', may leave it out",
            )  # fmt: skip
        output = implicit_output(inputs) if right is None else self._term(right)
        spec = Spec(inputs, output, reduce, tuple(self.source.parameters))
        self._check_mentioned(tokens, spec)
        return spec

    def _check_mentioned(self, tokens: Sequence[Token], spec: Spec) -> None:
        """An index that cancels out would still repeat every point: refuse to guess."""
        known = {*spec.indices, *self.source.parameters}
        for token in tokens:
            if token.kind == "name" and token.text not in known:
                names = token.text if self.source.letters else [token.text]
                if any(name not in known for name in names):
                    raise self.source.error(f"the index {token.text!r} cancels out", token)

    def _check_parentheses(self, tokens: Sequence[Token]) -> None:
        opened: list[Token] = []
        last_closing = max((t.start for t in tokens if t.text == ")"), default=-1)
        for token in tokens:
            if token.text == "(":
                opened.append(token)
            elif token.text == ")":
                if not opened:
                    raise self.source.error("unbalanced parentheses: ')' closes nothing", token)
                opened.pop()
            elif opened and token.kind == "arrow":
                raise self.source.error(
                    "unbalanced parentheses: '(' is not closed before the arrow", opened[-1]
                )
            elif opened and token.text in (",", "...") and token.start < last_closing:
                raise self.source.error(
                    f"{token.text!r} inside parentheses", token,
                    hint="parentheses hold the index expression of one axis",
                )  # fmt: skip
        if opened:
            raise self.source.error("unbalanced parentheses: '(' is never closed", opened[-1])

    def _split_arrow(self, tokens: list[Token]) -> tuple[list[Token], list[Token] | None]:
        arrows = [n for n, token in enumerate(tokens) if token.kind == "arrow"]
        if not arrows:
            return tokens, None
        if len(arrows) > 1:
            raise self.source.error("more than one arrow", *(tokens[n] for n in arrows[:2]))
        left, right = tokens[: arrows[0]], tokens[arrows[0] + 1 :]
        commas = [token for token in right if token.text == ","]
        if commas:
            raise self.source.error("a comma after the arrow", commas[0], hint="one result only")
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
            elif token.kind in ("name", "mark"):
                axes += [Affine.index(name) for name in self._names(token)]
            elif token.kind == "dots":
                axes.append(self._dots(token, axes))
            else:
                raise self._misplaced(token)
            position += 1
            if len(axes) > _MOST_AXES:
                raise self.source.error(f"more axes than an array can have ({_MOST_AXES})", token)
        return tuple(axes)

    def _names(self, token: Token) -> list[str]:
        names = list(token.text) if self.source.letters else [token.text]
        for name in names:
            if name in self.source.parameters or token.text in self.source.parameters:
                raise self.source.error(
                    f"{name!r} is a parameter and cannot be an axis by itself", token,
                    hint=f"for the constant position write ({token.text})",
                )  # fmt: skip
            if self.source.letters and not is_index(name):
                if not name.isascii():
                    raise unknown_character(self.source.text, token.start + token.text.index(name))
                raise self.source.error(
                    f"{name!r} is not an index", token,
                    hint="no term has a blank inside, so every letter is an index; "
                    "longer names need a blank between them, as in 'x_1 y', or inside "
                    "parentheses, as in '( x_1 )'",
                )  # fmt: skip
        return names

    def _dots(self, token: Token, axes: Sequence[Axis]) -> Dots:
        if has_dots(tuple(axes)):
            raise self.source.error("a term has at most one ellipsis", token)
        return Dots()

    def _misplaced(self, token: Token) -> SpecError:
        if token.text == "1":
            hint = "an axis of size one is written (0); an index expression has parentheses: (2*i)"
        elif token.kind == "number":
            hint = (
                f"for the constant position write ({token.text}); "
                "an index expression has parentheses: (2*i)"
            )
        elif token.text == "-":
            hint = "an arrow is '->', and an index expression stands in parentheses: (i-k)"
        else:
            hint = f"an index expression stands in parentheses, as in (i{token.text}2)"
        return self.source.error(f"{token.text!r} outside parentheses", token, hint=hint)

    def _parenthesised(self, tokens: Sequence[Token]) -> Axis:
        inner = tokens[1:-1]
        if not inner:
            raise self.source.error(
                "empty term: there is nothing between these parentheses", tokens[0], tokens[-1],
                hint="for an axis of size one write (0)",
            )  # fmt: skip
        if len(inner) > _LONGEST_EXPRESSION:
            message = f"an index expression of more than {_LONGEST_EXPRESSION} tokens"
            raise self.source.error(message, tokens[0])
        named = all(token.kind in ("name", "mark") for token in inner)
        if named and not (len(inner) == 1 and inner[0].text in self.source.parameters):
            names = [name for token in inner for name in self._names(token)]
            return Composition(tuple(names)) if len(names) > 1 else Affine.index(names[0])
        return Expression(self.source, tokens).axis()


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
    dots = any(map(has_dots, inputs))
    once = sorted(name for name, times in count.items() if times == 1)
    return (*([Dots()] * dots), *(Affine.index(name) for name in once))
