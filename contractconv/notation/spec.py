"""A contraction as pure data: what each axis of each operand and of the result says.

A :class:`Spec` holds no arrays, no sizes and no formulas. Two strings that mean the same
contraction give equal specs, whatever blanks and order of summands they were typed with; each is
written with its summands in the order in which they were typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self, get_args

from contractconv.lazy import Value, remembered
from contractconv.notation.affine import Affine

Reduction = Literal["sum", "max", "min", "prod", "mean", "logsumexp"]
"""How contributions to one element combine."""

REDUCTIONS: list[Reduction] = [*get_args(Reduction)]
"""Their names; :func:`contractconv.reductions.table.register` adds to them."""
SUM: Reduction = "sum"
"""What derivatives are made of."""


class _Whole:
    """An axis that is no expression: what it answers where one is asked what is in it."""

    __slots__ = ()
    plain: None = None
    fractional = False
    largest = 0
    parameters: frozenset[str] = frozenset()

    def bind(self, values: Mapping[str, int]) -> Self:
        """Nothing is in it that could be bound."""
        return self


@dataclass(frozen=True, slots=True)
class Composition(_Whole):
    """A row-major composition ``(h w c)``: the axis ``h*W*C + w*C + c``."""

    names: tuple[str, ...]

    def renamed(self, names: Mapping[str, str]) -> Composition:
        """Return the composition with indices renamed; those not in ``names`` stay."""
        return Composition(tuple(names.get(name, name) for name in self.names))

    def __str__(self) -> str:
        return f"({' '.join(self.names)})"


@dataclass(frozen=True, slots=True)
class Dots(_Whole):
    """The ellipsis: any number of axes, aligned at the right as numpy broadcasts."""

    @property
    def names(self) -> tuple[str, ...]:
        """No index has a name in an ellipsis."""
        return ()

    def renamed(self, names: Mapping[str, str]) -> Dots:
        """Return the ellipsis itself."""
        return self

    def __str__(self) -> str:
        return "..."


Axis = Affine | Composition | Dots
Term = tuple[Axis, ...]
Place = tuple[int, int | None]
"""Where something stands: the term's number (-1: the output) and the axis within it."""
AxisPlace = tuple[int, int]
"""The same of an axis."""


@dataclass(frozen=True)
class Spec(Value):
    """A parsed contraction.

    Attributes:
        inputs: one term (a tuple of axes) for each operand.
        output: the term of the result.
        reduce: how contributions to one element combine; one of :data:`REDUCTIONS`.
        parameters: names of the symbolic coefficients that are still unbound, sorted.
        names: what each operand is called; nothing if they have no names of their own.
        result: what the result is called, if it has a name of its own.
        inside: the computed axes that no point leaves, where that is known from the contraction
            that it was derived from; by default its own extents say it.
    """

    inputs: tuple[Term, ...]
    output: Term
    reduce: Reduction = SUM
    parameters: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    result: str = ""
    inside: frozenset[AxisPlace] | None = field(default=None, compare=False)

    def __hash__(self) -> int:
        return self._hash

    @remembered
    def _hash(self) -> int:
        # Specs are keys of what is ready for the next call.
        return hash((self.inputs, self.output, self.reduce, self.parameters, self.names))

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(sorted(set(self.parameters))))

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms of the operands, then that of the result."""
        return (*self.inputs, self.output)

    @remembered
    def indices(self) -> tuple[str, ...]:
        """Every index once: the output's first, then the reduced ones as they appear."""
        return unique_names((self.output, *self.inputs))

    @property
    def reduced(self) -> tuple[str, ...]:
        """The indices that do not occur in the output, in row-major order."""
        kept = set(unique_names((self.output,)))
        return tuple(name for name in self.indices if name not in kept)

    @property
    def prominence(self) -> tuple[str, ...]:
        """Every index, in the order in which they stand inside an axis that nobody has typed.

        Window positions come before taps: ``(h-k+1)``. Positions are what the first operand has
        by itself (the cotangent, backward), or else the output.
        """
        terms = (*self.inputs[:1], self.output, *self.inputs[1:])
        plain = lone_names(terms)
        return (*plain, *sorted(set(unique_names(self.terms)).difference(plain)))

    @remembered
    def typed(self) -> tuple[Affine, ...]:
        """The expressions on axes, whose summands have the order in which they were typed."""
        return tuple(axis for axis in self.axes if isinstance(axis, Affine))

    @property
    def called(self) -> tuple[str, ...]:
        """What each operand is called: by its own name, or as all are that have none."""
        return self.names or operand_names(len(self.inputs))

    @property
    def arrays(self) -> tuple[str, ...]:
        """The arrays that it is called with: each name once, as it first appears."""
        return tuple(dict.fromkeys(self.called))

    @property
    def array_terms(self) -> dict[str, Term]:
        """The term with which each array first appears, by its name."""
        found: dict[str, Term] = {}
        for name, term in zip(self.called, self.inputs, strict=True):
            found.setdefault(name, term)
        return found

    @property
    def is_tied(self) -> bool:
        """Whether one array stands in several places."""
        return len(set(self.names)) < len(self.names)

    def places_of(self, array: int) -> tuple[int, ...]:
        """The operands that one of the arrays is."""
        name = self.arrays[array]
        return tuple(n for n, other in enumerate(self.called) if other == name)

    @property
    def unnamed(self) -> Spec:
        """The same contraction, whose operands have no names: plans and caches know none."""
        told = self.names or self.result or self.inside is not None
        return replace(self, names=(), result="", inside=None) if told else self

    @property
    def has_dots(self) -> bool:
        """Whether any term has an ellipsis."""
        return any(map(has_dots, self.terms))

    @property
    def axes(self) -> Iterator[Axis]:
        """Every axis, the output's last."""
        return (axis for term in self.terms for axis in term)

    def mapped(self, change: Callable[[Axis], Axis]) -> Spec:
        """Change every axis."""
        *inputs, output = (tuple(map(change, term)) for term in self.terms)
        return replace(self, inputs=tuple(inputs), output=output)

    def bind(self, values: Mapping[str, int]) -> Spec:
        """Put integers in the place of parameters."""
        unbound = tuple(name for name in self.parameters if name not in values)
        return replace(self.mapped(lambda axis: axis.bind(values)), parameters=unbound)

    def __str__(self) -> str:
        return render(self)[0]


def operand_names(count: int) -> tuple[str, ...]:
    """What operands are called that have no names: by their roles, or by numbers if many."""
    return ("X", "W")[:count] if count <= 2 else tuple(f"T{n}" for n in range(count))


def unique_names(terms: tuple[Term, ...]) -> tuple[str, ...]:
    """The indices of the terms, each once, in the order of first appearance.

    Inside an affine axis, where the order of the summands means nothing, it is alphabetical.
    """
    names: dict[str, None] = {}
    for axis in (axis for term in terms for axis in term):
        names |= dict.fromkeys(sorted(axis.names) if isinstance(axis, Affine) else axis.names)
    return tuple(names)


def lone_names(terms: Iterable[Term]) -> tuple[str, ...]:
    """The indices that stand alone on some axis, each once."""
    return tuple(dict.fromkeys(axis.plain for term in terms for axis in term if axis.plain))


def composed_names(terms: Iterable[Term]) -> frozenset[str]:
    """The indices in compositions."""
    axes = (axis for term in terms for axis in term if isinstance(axis, Composition))
    return frozenset(name for axis in axes for name in axis.names)


def has_dots(term: Term) -> bool:
    """Whether a term has an ellipsis."""
    return any(isinstance(axis, Dots) for axis in term)


def render(spec: Spec) -> tuple[str, dict[Place, tuple[int, int]]]:
    """Write a spec as its canonical string.

    Returns:
        The string, and the half-open span of characters of every term and axis in it.
    """
    bracketed = _needs_blank(spec)
    text, spans = "", dict[Place, tuple[int, int]]()
    for number, term in _numbered(spec):
        text += _before(number, text)
        start = len(text)
        for position, axis in enumerate(term):
            text += " " * (position > 0)
            begin = len(text)
            text += _with_blanks(axis) if bracketed else str(axis)
            spans[number, position] = (begin, len(text))
        spans[number, None] = (start, max(len(text), start + 1))
    return text.rstrip(), spans


def _before(number: int, text: str) -> str:
    if number == -1:
        return "-> " if not text or text.endswith(" ") else " -> "
    return ", " if number else ""


def _numbered(spec: Spec) -> Iterator[tuple[int, Term]]:
    yield from enumerate(spec.inputs)
    yield -1, spec.output


def _needs_blank(spec: Spec) -> bool:
    # Without a blank inside any term, a name of several letters would be read as letters.
    single_axes = all(len(term) <= 1 for term in spec.terms)
    used = {name for axis in spec.axes for name in (*axis.names, *axis.parameters)}
    named = single_axes and any(len(name) > 1 for name in used)
    return named and not composed_names(spec.terms)


def _with_blanks(axis: Axis) -> str:
    inner = str(axis)
    if isinstance(axis, Dots):
        return inner
    return f"( {inner[1:-1] if inner.startswith('(') else inner} )"
