"""What there is to know of a reduction: everything that anybody asks stands in one record.

A record imports neither numpy nor sympy: its numbers and formulas are functions, which are imported
when they are first called. What a record lacks (``None``) is done in the general way, or refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isinf
from typing import Any

from contractconv.errors import ReductionError

Sum = Callable[[Any, tuple[int, ...]], Any]
"""Adds an array along axes, with digits enough for long sums."""
Writer = Any
"""Writes source code; a class of a higher room, ``display.source_code.pointwise.Writer``."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign over the reduced indices, in every script.

    Attributes:
        text, latex, mathml: how it is written.
        neutral: what adds nothing to it.
        sympy: makes an expression of what is reduced and of ranges ``(index, low, high)``.
    """

    text: str
    latex: str
    mathml: str
    neutral: float
    sympy: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of numbers, in every script: ``%s`` is what it is applied to.

    Example:
        >>> square = Function("(%s)²", "(%s)^2", "<msup>%s<mn>2</mn></msup>", lambda x: x**2)
        >>> square.text % "x", square.sympy(3)
        ('(x)²', 9)
    """

    text: str
    latex: str
    mathml: str
    sympy: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Template:
    """A formula about what is reduced, in every script, by what stands in it.

    ``%(point)s`` is what is reduced at one point, ``%(indices)s`` its reduced indices;
    ``%(other)s`` and ``%(another)s`` are the same at another point, with a prime, ``%(others)s``
    its indices below a sign; ``%(result)s`` is the element of the result, ``%(count)s`` the number
    of points of which it is made.

    Example:
        >>> Template("exp(%(point)s − %(result)s)", "", "").text % {"point": "x", "result": "y"}
        'exp(x − y)'
    """

    text: str
    latex: str
    mathml: str


@dataclass(frozen=True, slots=True)
class Local:
    """The local derivative: how a result changes with each contribution.

    Attributes:
        letter: what it is called in formulas.
        meaning: what it holds, as a phrase.
        values: the same in numbers, from contributions ``(points, ...)``, their validity, and a
            :data:`Sum`, in the same shape; zero where a point is not valid.
        exact: the same of a list of numbers of Python, for certificates.
        source: writes it to a variable, ``source(writer, values, variable)``.
        change: how it changes: from contributions ``(points, ...)``, their changes, and their
            validity.
        changed: what that is, as a phrase.
        portable: the values on arrays of any library, from the library, the name of the dtype,
            contributions ``(..., points)`` with the identity where none is valid, and validity.
        portable_change: likewise how they change, with the changes before the validity.
        formula: what it holds, as a formula.
    """

    letter: str = "P"
    meaning: str = ""
    values: Callable[[Any, Any, Sum], Any] | None = None
    exact: Callable[[list[Any]], list[Any]] | None = None
    source: Callable[[Writer, str, str], None] | None = None
    change: Callable[[Any, Any, Any], Any] | None = None
    changed: str = ""
    portable: Callable[[Any, str, Any, Any], Any] | None = None
    portable_change: Callable[[Any, str, Any, Any, Any], Any] | None = None
    formula: Template | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One reduction.

    Attributes:
        name: what ``reduce=`` takes.
        identity: what an element holds on which nothing lands; an infinity is, for integers, the
            last one of them.
        combine: the function of two contributions, as numpy's ufunc is called; or of two results
            of parts.
        sign: over the reduced indices.
        noun: what a result is, ``"maximum"``.
        verb: what becomes of contributions, ``"summed"``; ``"the maximum of them is taken"`` if
            there is none.
        local: the local derivative; nothing is said of a sum's, which is one.
        at_once: reduces axes of an array, ``at_once(array, axes, sum)``, in the memory of three
            such arrays; ``None`` if ``combine`` does it one by one.
        portable: the same on arrays of any library, ``portable(library, array, axes)``, of results
            of parts too; ``None`` if the library has it, by the name of ``combine``.
        definition: the same of a list of Python's numbers, for certificates.
        source: writes the same as an expression, ``source(writer, array, axes)``.
        outside, inside: functions of the whole, and of each contribution.
        linear: whether it adds contributions, so that products may be summed in any order.
        averages: whether that sum is divided by the number of points.
        chooses: whether the result is one of the contributions, and its derivative one at the
            first of these in row-major order.
        ordered: whether it needs numbers that can be compared, which complex ones cannot.
        exact: whether integers stay integers, in results and local derivatives.
        keeps_one: whether a single contribution is itself the result.
    """

    name: str
    identity: float
    combine: str
    sign: Sign
    noun: str
    verb: str = ""
    local: Local = Local()
    at_once: Callable[[Any, tuple[int, ...], Sum], Any] | None = None
    portable: Callable[[Any, Any, tuple[int, ...]], Any] | None = None
    definition: Callable[[list[Any]], Any] | None = None
    source: Callable[[Writer, str, tuple[int, ...]], str] | None = None
    outside: Function | None = None
    inside: Function | None = None
    linear: bool = False
    averages: bool = False
    chooses: bool = False
    ordered: bool = False
    exact: bool = True
    keeps_one: bool = True

    @property
    def is_sum(self) -> bool:
        """Whether contributions are added, and that is all."""
        return self.linear and not self.averages

    @property
    def multiplies(self) -> bool:
        """Whether contributions are multiplied, so that integers soon become large."""
        return self.combine == "multiply"

    @property
    def needs_infinity(self) -> bool:
        """Whether the identity is an infinity even for integers, which become floats."""
        return isinf(self.identity) and not self.exact

    def asked(self, answer: Any, what: str) -> Any:
        """What the record says, if it does.

        Raises:
            ReductionError: it says nothing.
        """
        if not answer:
            raise ReductionError(f"reduce={self.name!r} has no {what}")
        return answer
