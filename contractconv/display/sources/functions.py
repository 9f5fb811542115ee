"""Whole functions as source code: a contraction, and its gradient by one operand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from contractconv.calculus.backward import derive
from contractconv.display.sources.body import Body, Factor, Slot
from contractconv.display.sources.dialects import dialect
from contractconv.display.sources.helpers import helpers
from contractconv.display.sources.lines import Lines, fits
from contractconv.display.sources.naming import Letters, Names, checked_names
from contractconv.display.sources.reduced_points import local_derivative, points, reduce_points
from contractconv.display.sources.sizes import Sizes
from contractconv.display.sources.solving import RESULT, only_in_result, solve
from contractconv.display.sources.strings import (
    collects,
    gathered,
    keeps_every_index,
    parameters_in_order,
)
from contractconv.display.sources.text import multiples, total, tupled
from contractconv.display.sources.wrapping import docstring, wrapped
from contractconv.errors import ContractionError, ShapeError
from contractconv.notation.affine import Affine
from contractconv.notation.places import operand_position
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
    if REDUCTIONS[spec.reduce].linear:
        function.sum_up(form)
    else:
        function.reduce()
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
        self.dialect = dialect(library)
        self.operands = checked_names(spec, names)
        taken = Names(spec, self.operands)
        solution = solve(spec, given.extents, self._told())
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
        letters = Letters((*spec.indices, *form.indices))
        self.body = Body(self.dialect, Lines(taken), letters, self.sizes)
        self._guard(form)
        for position, axis in enumerate(form.output):
            if isinstance(axis, Affine) and axis.plain and axis.plain not in spec.indices:
                self.sizes.name_position(axis.plain, (self.target, position))

    def _told(self) -> list[str]:
        """The indices of which the result's shape may tell: a cotangent's of no operand's."""
        if self.given.output_shape is not None:
            return [name for axis in self.spec.output for name in axis.names]
        return only_in_result(self.spec) if self.target != RESULT else []

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

    @property
    def _natural(self) -> bool:
        """Whether the axes of the result have the sizes that they ask for."""
        return self.given.output_shape is None

    @property
    def _like(self) -> str:
        """The array whose dtype the result gets."""
        return self.arrays.get(RESULT, self.operands[0])

    # -- forward -------------------------------------------------------------------------------

    def sum_up(self, form: Spec) -> None:
        """Write a sum or a mean."""
        terms = zip(self.operands, form.inputs, strict=True)
        factors = [self.body.read(array, n, term) for n, (array, term) in enumerate(terms)]
        slots = self.body.slots(RESULT, form.output, natural=self._natural)
        mean = REDUCTIONS[self.spec.reduce].averages
        placed = self._landing(slots) if mean else self._placed(slots)
        value = self.body.contracted([*factors, *placed], _indices(slots), self._like)
        if mean:
            value = self._divided(value, slots, placed)
        self.body.finish(value, RESULT, None, slots)

    def reduce(self) -> None:
        """Write a reduction that looks at every point."""
        found = points(self.body, self.spec, self.operands, self._natural)
        self.body.finish(reduce_points(self.body, found), RESULT, None, found.slots)

    # -- backward ------------------------------------------------------------------------------

    def differentiate_sum(self, form: Spec) -> None:
        """Write the gradient of a sum or a mean."""
        if REDUCTIONS[self.spec.reduce].averages:
            self._average(self.arrays[RESULT])
        others = [n for n in range(len(self.operands)) if n != self.target]
        factors = [
            self.body.read(self.arrays[n], n, term)
            for n, term in zip([RESULT, *others], form.inputs, strict=True)
        ]
        self._collect(factors, form.output)

    def differentiate_reduction(self, target: Term) -> None:
        """Write the gradient of a reduction that looks at every point."""
        found = points(self.body, self.spec, self.operands, self._natural, apart=True)
        local = local_derivative(self.body, found, self._like)
        others = [f for n, f in enumerate(found.factors) if n != self.target]
        term = _with_positions(self.spec.output, found.slots)
        cotangent = self.body.read(self.arrays[RESULT], RESULT, term)
        self._collect([cotangent, local, *others], target)

    def _collect(self, factors: Sequence[Factor], target: Term) -> None:
        slots = self.body.slots(self.target, target)
        placed = self._placed(slots)
        value = self.body.contracted([*factors, *placed], _indices(slots), self._like)
        self.body.finish(value, self.target, self.operands[self.target], slots)

    def _average(self, cotangent: str) -> None:
        """Divide a cotangent by the number of points that were averaged."""
        slots = self.body.slots(RESULT, self.spec.output, natural=self._natural)
        placed = self._landing(slots)
        if placed:
            self.body.split(cotangent, RESULT, self.spec.output)
        self.body.lines.assign(cotangent, self._divided(cotangent, slots, placed, units=True))

    # -- both ----------------------------------------------------------------------------------

    def _placed(self, slots: Sequence[Slot]) -> list[Factor]:
        """Factors that put products where they belong."""
        others = [slot for slot in slots if slot.affine is None or not slot.affine.plain]
        diagonals = []
        for slot in slots:
            if slot.affine is not None and slot.affine.plain and slot.index is not None:
                size = self.sizes.extent(slot.index)
                identity = self.dialect.eye(size, self._like)
                diagonals.append(Factor(identity, (slot.affine.plain, slot.index)))
        return [*self._landing(others), *diagonals]

    def _landing(self, slots: Sequence[Slot]) -> list[Factor]:
        return self.body.place(slots, lambda c: self.dialect.truths(c, self._like))

    def _divided(
        self, value: str, slots: Sequence[Slot], placed: Sequence[Factor], units: bool = False
    ) -> str:
        """Divide by the number of points that land on each element.

        Args:
            value: what to divide.
            slots: the axes of the result.
            placed: where products are put.
            units: whether the value has the axes of size one that the result has.
        """
        present = {*_indices(slots), *(name for factor in placed for name in factor.indices)}
        repeats = self.sizes.extents(n for n in self.spec.indices if n not in present)
        if not placed:
            return f"{value} / max(1, {repeats})" if repeats else value
        out = tuple(slot.index or str(n) for n, slot in enumerate(slots) if slot.index or units)
        counted = tuple(n for n in out if any(n in factor.indices for factor in placed))
        count = self._count(placed, counted)
        count = self.body.lines.new("count", f"{repeats} * {count}" if repeats else count)
        # Nothing lands on an element whose count is zero, so it holds zero already.
        divisor = Factor(f"{count}.clip(1)", counted).among(out)
        if not fits(f"return {value} / {divisor}"):
            value = self.body.lines.new("Y", value)
        return f"{value} / {divisor}"

    def _count(self, placed: Sequence[Factor], counted: tuple[str, ...]) -> str:
        """How many points land on each element, as far as these factors say."""
        factor, *others = placed
        if others or tuple(n for n in factor.indices if n in counted) != counted:
            return self.body.contracted(placed, counted, self._like)
        axes = [str(n) for n, name in enumerate(factor.indices) if name not in counted]
        if not axes:
            return factor.text
        return f"{factor.text}.sum({axes[0] if len(axes) == 1 else tupled(axes)})"

    # -- the text ------------------------------------------------------------------------------

    def module(self, name: str, *doc: str) -> str:
        """Put the module together."""
        head = f"def {name}({', '.join([*self.arrays.values(), *self._keywords()])}):"
        lines = [*self.sizes.lines(), *self.body.lines.texts]
        indent = " " * 4
        body = [row for line in lines for row in wrapped(indent + line)]
        function = "\n".join([*wrapped(head), *docstring(doc, indent), *body]) + "\n"
        called = helpers(lines)
        standard = ["import math", ""] * any("math." in text for text in called)
        imports = "\n".join([*standard, *self.dialect.needed(lines)]).strip()
        return "\n\n".join([*([f"{imports}\n"] * bool(imports)), *called, function])

    def _keywords(self) -> list[str]:
        """The keywords of the function; what was given is what they default to."""
        given = {self.keywords[name]: value for name, value in self.given.extents.items()}
        words = [f"{n}={given[n]}" if n in given else n for n in self.keywords.values()]
        if self.given.output_shape is not None:
            words.append(f"{OUTPUT_SHAPE}={tupled([*map(str, self.given.output_shape)])}")
        return ["*", *words] if words else []


def _indices(slots: Sequence[Slot]) -> tuple[str, ...]:
    return tuple(slot.index for slot in slots if slot.index is not None)


def _with_positions(term: Term, slots: Sequence[Slot]) -> Term:
    """The term with an index alone on each axis on which products are put."""
    indices = {slot.place[1]: slot.index for slot in slots}
    axes = []
    for position, axis in enumerate(term):
        index = indices[position]
        axes.append(Affine.index(index) if isinstance(axis, Affine) and index else axis)
    return tuple(axes)
