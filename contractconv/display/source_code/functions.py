"""Whole functions as source code: a contraction, and its gradient by one operand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from contractconv.calculus.backward import derive
from contractconv.display.source_code.dialects import dialect
from contractconv.display.source_code.helpers import helpers
from contractconv.display.source_code.lines import Lines
from contractconv.display.source_code.meetings import contraction
from contractconv.display.source_code.naming import Letters, Names, checked_names
from contractconv.display.source_code.pointwise import local_derivative
from contractconv.display.source_code.printer import Printer
from contractconv.display.source_code.sizes import Sizes
from contractconv.display.source_code.solving import RESULT, solve
from contractconv.display.source_code.strings import (
    collects,
    gathered,
    keeps_every_index,
    parameters_in_order,
)
from contractconv.display.source_code.text import multiples, total, tupled
from contractconv.display.source_code.wrapping import docstring, wrapped
from contractconv.engines.portable.translation import Contraction, translated
from contractconv.errors import ContractionError, ShapeError
from contractconv.notation.affine import Affine
from contractconv.notation.carets import operand_position
from contractconv.notation.spec import SUM, Spec, Term
from contractconv.reductions.table import REDUCTIONS


@dataclass(frozen=True)
class Given:
    """What a caller says beyond the operands; it is what the keywords of a function default to.

    Attributes:
        extents: of indices, by name.
        output_shape: the shape of the result, where the rules should not choose it.
    """

    extents: Mapping[str, int] = field(default_factory=dict)
    output_shape: Sequence[int] | None = None


NOTHING = Given()

LOCAL = -2  # the number of the local derivative among the arrays


def forward_source(spec: Spec, library: str, names: Sequence[str], given: Given = NOTHING) -> str:
    """Write a contraction as a Python module with one function, ``forward``.

    Args:
        spec: the contraction; parameters may be symbolic.
        library: ``"numpy"``, ``"torch"`` or ``"jax"``.
        names: what to call the operands.
        given: extents and a shape of the result that the rules would not choose.

    Returns:
        The text of the module. The function takes the operands and, by keyword, the unbound
        parameters, the extents that no shape determines, and whatever was given. Sizes that
        disagree raise a ``ValueError``.

    Raises:
        ContractionError: the library is unknown, the contraction has an ellipsis, or it has more
            indices than an einsum has letters.
        OperandError: the names do not fit the operands.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> print(forward_source(parse("b h w c -> b"), "numpy", ["X"]))
        import numpy as np
        <BLANKLINE>
        <BLANKLINE>
        def forward(X):
            \"\"\"b h w c -> b\"\"\"
            return np.einsum("bhwc->b", X)
        <BLANKLINE>
    """
    _check(spec, given)
    form = gathered(spec) if REDUCTIONS[spec.reduce].is_sum else spec
    function = _Function(spec, form, library, names, given)
    function.contract(form)
    return function.module("forward", f"{spec}{_reduction(spec)}")


def gradient_source(
    forward: Spec, operand: int, library: str, names: Sequence[str], given: Given = NOTHING
) -> str:
    """Write the gradient of a contraction as a Python module with one function, ``gradient``.

    Args:
        forward: the contraction; parameters may be symbolic.
        operand: the position of the operand to differentiate by.
        library: ``"numpy"``, ``"torch"`` or ``"jax"``.
        names: what to call the operands.
        given: extents and a shape of the result that the rules would not choose.

    Returns:
        The text of the module. The function takes the cotangent, all operands and, by keyword,
        what the function takes whose gradient it is, which :func:`forward_source` writes. Of
        the indices that no operand has, the cotangent tells.

    Raises:
        ContractionError: the library is unknown, the contraction has an ellipsis, or it has more
            indices than an einsum has letters.
        OperandError: there is no such operand, or the names do not fit the operands.
    """
    _check(forward, given)
    operand = operand_position(forward, operand)
    formulas = derive(forward, operand)
    record = REDUCTIONS[forward.reduce]
    idle = record.keeps_one and keeps_every_index(forward)
    every_point = not (record.linear or idle)
    # Without a local derivative that has an axis for each index, the gradient is that of a sum.
    one = formulas if every_point else derive(replace(forward, reduce=SUM), operand)
    gather = not every_point and collects(one)
    form = one.gather if gather else one.scatter
    function = _Function(forward, form, library, names, given, operand)
    if every_point:
        function.differentiate_reduction(form.output)
    else:
        function.differentiate_sum(form)
    head = f"The gradient of {forward}{_reduction(forward)} by {function.operands[operand]}:"
    return function.module("gradient", head, str(formulas.gather if gather else formulas.scatter))


def _check(spec: Spec, given: Given) -> None:
    if spec.has_dots:
        raise ContractionError(
            f"'{spec}' has an ellipsis, which stands for any number of axes; "
            "for source code, write the axes out or give the shapes"
        )
    shape = given.output_shape
    if shape is not None and len(shape) != len(spec.output):
        raise ShapeError(
            f"output_shape={tuple(shape)} has {len(shape)} axes, the result of '{spec}' has "
            f"{len(spec.output)}"
        )


def _reduction(spec: Spec) -> str:
    return f' (reduce="{spec.reduce}")' * (not REDUCTIONS[spec.reduce].is_sum)


# The keyword of a shape of the result that was given.
OUTPUT_SHAPE = "output_shape"


class _Function:
    """One function while it is written; a gradient, if an operand is given."""

    def __init__(
        self,
        spec: Spec,
        form: Spec,
        library: str,
        names: Sequence[str],
        given: Given,
        operand: int | None = None,
    ) -> None:
        self.spec = spec
        self.given = given
        self.target = RESULT if operand is None else operand
        self.operands = checked_names(spec, names)
        taken = Names(spec, self.operands)
        solution = solve(spec, given.extents, given.output_shape is not None, operand is not None)
        keywords = [*parameters_in_order(spec), *solution.arguments]
        self.keywords = {name: taken.argument(name) for name in keywords}
        self.arrays = dict(enumerate(self.operands))
        shapes = {n: f"{name}.shape" for n, name in self.arrays.items()}
        if operand is not None:
            self.arrays = {RESULT: taken.fresh("G", "dY", "cotangent"), **self.arrays}
            shapes[RESULT] = f"{self.arrays[RESULT]}.shape"
        elif given.output_shape is not None:
            shapes[RESULT] = OUTPUT_SHAPE
        self.sizes = Sizes(spec, solution, shapes, self.keywords, taken)
        letters, like = Letters((*spec.indices, *form.indices)), self.arrays.get(RESULT, names[0])
        self.lines = Lines(taken)
        self.printer = Printer(dialect(library), self.lines, letters, self.sizes, self.arrays, like)
        self._guard(form)
        for position, axis in enumerate(form.output):
            if isinstance(axis, Affine) and axis.plain and axis.plain not in spec.indices:
                self.sizes.name_position(axis.plain, (self.target, position))

    def _guard(self, form: Spec) -> None:
        """Refuse what was given and does not fit, and divisions by zero."""
        if self.given.output_shape is not None and self.target != RESULT:
            shape = self.sizes.shapes[RESULT]
            self.sizes.refuse(
                f"tuple({shape}) != tuple({OUTPUT_SHAPE})",
                f"the cotangent has shape {{tuple({shape})}}, the result {{tuple({OUTPUT_SHAPE})}}",
            )
        axes = [axis for each in (self.spec, form) for term in each.terms for axis in term]
        divisors = [axis.divisor for axis in axes if isinstance(axis, Affine)]
        for divisor in dict.fromkeys(d for d in divisors if d.constant is None):
            text = total(multiples(divisor, self.sizes.rename))
            self.sizes.refuse(f"{text} == 0", f"division by zero: {divisor}")

    def contract(self, form: Spec) -> None:
        """Write the contraction."""
        made = self._contraction(form)
        self.printer.finish(translated(made), made.output, None)

    def differentiate_sum(self, form: Spec) -> None:
        """Write the gradient of a sum or a mean."""
        if REDUCTIONS[self.spec.reduce].averages:
            made = self._contraction(self.spec)
            mean = self.printer.divided(self.arrays[RESULT], made.output, made.reduced, True)
            self.lines.assign(self.arrays[RESULT], mean)
        self._collect(zip([RESULT, *self._others], form.inputs, strict=True), form.output)

    def differentiate_reduction(self, target: Term) -> None:
        """Write the gradient of a reduction that looks at every point."""
        made = self._contraction(self.spec)
        local = local_derivative(self.printer, made)
        self.printer.arrays[LOCAL] = local.text
        points = tuple(map(Affine.index, local.labels))
        landed = zip(made.output, self.printer.slots(made.output), strict=True)
        term = _with_positions(self.spec.output, {a.place[1]: slot for a, slot in landed})
        others = [(n, self.spec.inputs[n]) for n in self._others]
        self._collect([(RESULT, term), (LOCAL, points), *others], target)

    @property
    def _others(self) -> list[int]:
        return [n for n in range(len(self.operands)) if n != self.target]

    def _contraction(self, form: Spec) -> Contraction:
        natural, result = self.given.output_shape is None, (RESULT, form.output)
        return contraction(self.sizes, enumerate(form.inputs), result, self.spec.reduce, natural)

    def _collect(self, operands: Iterable[tuple[int, Term]], target: Term) -> None:
        made = contraction(self.sizes, operands, (self.target, target), SUM)
        self.printer.finish(translated(made), made.output, self.operands[self.target])

    # -- the text ------------------------------------------------------------------------------

    def module(self, name: str, *doc: str) -> str:
        """Put the module together."""
        head = f"def {name}({', '.join([*self.arrays.values(), *self._keywords()])}):"
        lines = [*self.sizes.lines(), *self.lines.texts]
        indent = " " * 4
        body = [row for line in lines for row in wrapped(indent + line)]
        function = "\n".join([*wrapped(head), *docstring(doc, indent), *body]) + "\n"
        called = helpers(lines)
        standard = ["import math", ""] * any("math." in text for text in called)
        imports = "\n".join([*standard, *self.printer.dialect.needed(lines)]).strip()
        return "\n\n".join([*([f"{imports}\n"] * bool(imports)), *called, function])

    def _keywords(self) -> list[str]:
        """The keywords of the function; what was given is what they default to."""
        given = {self.keywords[name]: value for name, value in self.given.extents.items()}
        words = [f"{n}={given[n]}" if n in given else n for n in self.keywords.values()]
        if self.given.output_shape is not None:
            words.append(f"{OUTPUT_SHAPE}={tupled([*map(str, self.given.output_shape)])}")
        return ["*", *words] if words else []


def _with_positions(term: Term, slots: Mapping[int | None, str | None]) -> Term:
    """The term with an index alone on each axis on which products are put."""
    indices = (slots.get(position) for position in range(len(term)))
    return tuple(
        Affine.index(index) if isinstance(axis, Affine) and index else axis
        for axis, index in zip(term, indices, strict=True)
    )
