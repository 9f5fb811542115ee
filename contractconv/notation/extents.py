"""Extents, output shapes and the ellipsis: from a spec and shapes to a numeric problem.

The rules, each applied as far as it goes: an index that stands alone has its axis's size; a
keyword gives any extent; a composition divides exactly; an affine input axis with one unknown
index determines it, with as much allowed past its end as the expression reaches below zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from operator import index as as_integer

from contractconv.errors import ParameterError, ShapeError, with_carets
from contractconv.notation.affine import LARGEST_INTEGER, Affine
from contractconv.notation.ellipsis import expand_dots
from contractconv.notation.places import axes, marks, shapes_line, wrong_count, wrong_rank
from contractconv.notation.problem import Access, Accesses, Problem, Shape
from contractconv.notation.spec import Axis, Composition, Place, Spec, Term

_KEYWORD: Place = (-2, None)


def resolve(
    spec: Spec,
    shapes: Sequence[Shape],
    values: Mapping[str, int] | None = None,
    output_shape: Sequence[int] | None = None,
) -> Problem:
    """Put shapes into a spec.

    Args:
        spec: the contraction.
        shapes: the shape of every operand.
        values: extents of indices and values of parameters, by name.
        output_shape: the shape of the result, where the rules should not choose it.

    Returns:
        The problem with every extent and size known.

    Raises:
        OperandError: the number of operands is wrong.
        ParameterError: a parameter is unbound.
        ShapeError: ranks or extents disagree, or an extent cannot be determined.
    """
    if len(shapes) != len(spec.inputs):
        raise wrong_count(spec, len(shapes))
    bound, extents = split_values(spec, values or {})
    named = expand_dots(bound, shapes, output_shape)
    solver = _Solver(named, tuple(map(tuple, shapes)), output_shape)
    solver.solve(extents)
    return solver.problem()


def split_values(spec: Spec, values: Mapping[str, int]) -> tuple[Spec, dict[str, int]]:
    """Separate keyword values into parameters, which are bound, and extents."""
    _check_names(spec, values)
    integers = {name: _integer(name, value) for name, value in values.items()}
    parameters = {name: integers.pop(name) for name in spec.parameters if name in integers}
    bound = bind(spec, parameters) if parameters else spec
    if bound.parameters and (needed := _used_parameters(bound)):
        names = ", ".join(needed)
        give = ", ".join(f"{name}=..." for name in needed)
        raise ParameterError(
            with_carets(
                f"unbound: the parameter{'s' * (len(needed) > 1)} {names}",
                *marks(bound, _places_of(bound, needed)),
                f"give {give} in the call, or bind first with .bind({give})",
            )
        )
    return bound, integers


def check_values(spec: Spec, values: Mapping[str, int]) -> None:
    """Refuse names that nothing has, and extents that are negative."""
    _check_names(spec, values)
    for name, value in values.items():
        if name in spec.indices and _integer(name, value) < 0:
            raise ShapeError(f"{name}={value}: an extent is not negative")


def _check_names(spec: Spec, values: Iterable[str]) -> None:
    for name in values:
        if name not in spec.indices and name not in spec.parameters:
            known = ", ".join((*spec.indices, *spec.parameters)) or "none"
            raise ShapeError(f"'{spec}' has no index or parameter called {name!r}; it has: {known}")


def bind(spec: Spec, values: Mapping[str, int]) -> Spec:
    """Put integers in the place of declared parameters.

    Raises:
        ParameterError: a name is not a parameter, or a divisor would become zero.
    """
    for name in values:
        if name not in spec.parameters:
            known = ", ".join(spec.parameters) or "none"
            reason = (
                f"it is an index: give its extent, {name}=..., in the call"
                if name in spec.indices
                else f"the declared ones are: {known}"
            )
            raise ParameterError(f"{name!r} is not a parameter of '{spec}'; {reason}")
    numbers = {name: _integer(name, value) for name, value in values.items()}
    given = ", ".join(f"{name}={value}" for name, value in numbers.items())
    for place, axis in axes(spec):
        if isinstance(axis, Affine) and not axis.divisor.bind(numbers):
            raise ParameterError(
                with_carets(f"division by zero with {given}", *marks(spec, [place]))
            )
    bound = spec.bind(numbers)
    large = [p for p, a in axes(bound) if isinstance(a, Affine) and a.largest > LARGEST_INTEGER]
    if large:
        message = f"a number of more than 18 digits with {given}"
        raise ParameterError(with_carets(message, *marks(spec, large)))
    for name in (name for name in spec.indices if name not in bound.indices):
        places = [place for place, axis in axes(spec) if name in axis.names]
        message = f"the index {name!r} cancels out with {given}"
        raise ParameterError(with_carets(message, *marks(spec, places)))
    return bound


def _integer(name: str, value: object) -> int:
    try:
        number = as_integer(value)  # type: ignore[arg-type]
    except TypeError:
        raise ParameterError(
            f"{name}={value!r} is not an integer (it is a {type(value).__name__})"
        ) from None
    if abs(number) > LARGEST_INTEGER:
        raise ParameterError(f"{name} is a number of more than 18 digits")
    return number


def _used_parameters(spec: Spec) -> list[str]:
    used: set[str] = set()
    for _, axis in axes(spec):
        if isinstance(axis, Affine):
            used |= axis.parameters
    return [name for name in spec.parameters if name in used]


def _places_of(spec: Spec, parameters: Iterable[str]) -> list[Place]:
    wanted = set(parameters)
    return [p for p, axis in axes(spec) if isinstance(axis, Affine) and axis.parameters & wanted]


class _Solver:
    """Finds the extents of one spec (ellipsis spelled out, parameters bound)."""

    def __init__(
        self, spec: Spec, shapes: tuple[Shape, ...], output_shape: Sequence[int] | None
    ) -> None:
        self.spec = spec
        self.shapes = shapes
        self.output_shape = None if output_shape is None else self._checked_output(output_shape)
        self.extents: dict[str, int] = {}
        self.sources: dict[str, Place] = {}
        for number, (term, shape) in enumerate(zip(spec.inputs, shapes, strict=True)):
            if len(term) != len(shape):
                raise wrong_rank(spec, shapes, number)

    def _checked_output(self, output_shape: Sequence[int]) -> Shape:
        shape = tuple(_integer("output_shape", size) for size in output_shape)
        if len(shape) != len(self.spec.output):
            raise self._error(
                f"output_shape has {len(shape)} axes, the result has {len(self.spec.output)}",
                (-1, None),
            )
        if any(size < 0 for size in shape):
            raise self._error(f"output_shape={shape} has a negative size", (-1, None))
        return shape

    def _error(self, message: str, *places: Place, hint: str = "") -> ShapeError:
        known = ", ".join(f"{name}={size}" for name, size in getattr(self, "extents", {}).items())
        lines = [hint, shapes_line(self.shapes), f"so far: {known}" if known else ""]
        text, spans = marks(self.spec, places)
        return ShapeError(with_carets(message, text, spans, "\n".join(filter(None, lines))))

    def solve(self, given: Mapping[str, int]) -> None:
        """Determine every extent, or say which one is missing."""
        self._take_keywords(given)
        self._take_plain()
        while self._take_compositions() or self._take_affine():
            pass
        self._check_known()
        self._check_compositions()

    # -- the rules -----------------------------------------------------------------------------

    def _take_keywords(self, given: Mapping[str, int]) -> None:
        for name, value in given.items():
            if value < 0:
                raise self._error(f"{name}={value}: an extent is not negative")
            self._set(name, value, _KEYWORD)

    def _take_plain(self) -> None:
        for place, axis, size in self._sized():
            if isinstance(axis, Affine) and axis.plain:
                self._set(axis.plain, size, place)

    def _take_compositions(self) -> bool:
        progress = False
        for place, axis, size in self._sized():
            if isinstance(axis, Composition):
                unknown = sorted({name for name in axis.names if name not in self.extents})
                if len(unknown) == 1:
                    extent = self._factor(place, axis, size, unknown[0])
                    self._set(unknown[0], extent, place)
                    progress = True
        return progress

    def _factor(self, place: Place, axis: Composition, size: int, unknown: str) -> int:
        known = prod(self.extents[name] for name in axis.names if name != unknown)
        times = axis.names.count(unknown)
        if known:
            root = round((size / known) ** (1 / times))
            for extent in (root - 1, root, root + 1) if times > 1 else (size // known,):
                if extent >= 0 and known * extent**times == size:
                    return extent
        elif size == 0:
            raise self._error(
                f"{axis} has size 0 whatever {unknown} is", place, hint=f"give {unknown}=..."
            )
        raise self._error(
            f"the composition {axis} does not come out: {size} is not {known} times a whole number"
            + f" to the power {times}" * (times > 1),
            place,
        )

    def _take_affine(self) -> bool:
        found: dict[str, tuple[int, Place]] = {}
        for place, axis, size in self._sized(inputs_only=True):
            if not isinstance(axis, Affine) or axis.fractional or axis.plain:
                continue
            unknown = [name for name in axis.names if name not in self.extents]
            if len(unknown) == 1:
                extent = self._window_count(place, axis, size, unknown[0])
                before = found.setdefault(unknown[0], (extent, place))
                if before[0] != extent:
                    raise self._disagree(unknown[0], *before, extent, place)
        for name, (extent, place) in found.items():
            self._set(name, extent, place)
        return bool(found)

    def _window_count(self, place: Place, axis: Affine, size: int, unknown: str) -> int:
        """How many values of ``unknown`` stay inside, by the boundary rule."""
        coefficients = {name: _number(c.constant) for name, c in axis.terms}
        step = coefficients.pop(unknown)
        low = high = _number(axis.offset.constant)
        for name, coefficient in coefficients.items():
            span = coefficient * max(0, self.extents[name] - 1)
            low, high = low + min(0, span), high + max(0, span)
        if step < 0:  # the mirror image: as much as reaches past the end is allowed below zero
            low, high = size - 1 - high, size - 1 - low
        room = size - 1 + max(0, -low) - high
        extent = room // abs(step) + 1
        if extent < bool(coefficients):  # without a window, nothing at all is fine: x[2:] of two
            span, padded = high - low + 1, size + 2 * max(0, -low)
            beyond = f" ({padded} with the boundary)" * (padded > size)
            raise self._error(
                f"window larger than its axis: {axis} spans {span} element{'s' * (span != 1)}, "
                f"the axis has {size}{beyond}"
                if coefficients
                else f"{axis} begins beyond its axis of size {size}",
                place,
                hint=f"give the extent, {unknown}=..., if the window is meant to reach outside",
            )
        return extent

    # -- bookkeeping ---------------------------------------------------------------------------

    def _sized(self, inputs_only: bool = False) -> Iterable[tuple[Place, Axis, int]]:
        for place, axis in axes(self.spec):
            number, position = place
            assert position is not None
            if number >= 0:
                yield place, axis, self.shapes[number][position]
            elif self.output_shape is not None and not inputs_only:
                yield place, axis, self.output_shape[position]

    def _set(self, name: str, extent: int, place: Place) -> None:
        before = self.extents.setdefault(name, extent)
        source = self.sources.setdefault(name, place)
        if before != extent:
            raise self._disagree(name, before, source, extent, place)

    def _disagree(
        self, name: str, first: int, source: Place, second: int, place: Place
    ) -> ShapeError:
        return self._error(
            f"extents disagree: {name} is {first} {_where(source)}, but {second} {_where(place)}",
            *(p for p in (source, place) if p != _KEYWORD),
        )

    def _check_known(self) -> None:
        missing = [name for name in self.spec.indices if name not in self.extents]
        if not missing:
            return
        for place, axis in axes(self.spec):
            unknown = [name for name in dict.fromkeys(axis.names) if name in missing]
            if len(unknown) > 1 and place[0] >= 0:
                listed = " and ".join(unknown)
                raise self._error(
                    f"{len(unknown)} unknown extents on one axis: {listed}", place,
                    hint=_what_to_give(unknown, axis),
                )  # fmt: skip
        name = missing[0]
        places = [place for place, axis in axes(self.spec) if name in axis.names]
        only_output = all(number < 0 for number, _ in places)
        reason = "it occurs only in the output" if only_output else "a division determines none"
        hint = f"give {name}=..."
        if only_output and len(name) > 1 and set(name) <= set(self.spec.indices):
            hint += f"; or did you mean '{' '.join(name)}'? {name!r} is one index"
        raise self._error(f"unknown extent: {name}; {reason}", *places, hint=hint)

    def _check_compositions(self) -> None:
        for place, axis, size in self._sized():
            if isinstance(axis, Composition):
                factors = [self.extents[name] for name in axis.names]
                if prod(factors) != size:
                    product = "*".join(map(str, factors))
                    raise self._error(
                        f"the composition {axis} does not come out: {product} = {prod(factors)}, "
                        f"the axis has {size}",
                        place,
                    )

    # -- the result ----------------------------------------------------------------------------

    def problem(self) -> Problem:
        """Return the spec with all numbers put in."""
        operands = tuple(
            self._accesses(term, shape)
            for term, shape in zip(self.spec.inputs, self.shapes, strict=True)
        )
        shape = self.output_shape or tuple(self._output_size(axis) for axis in self.spec.output)
        sizes = tuple((name, self.extents[name]) for name in self.spec.indices)
        output = self._accesses(self.spec.output, shape)
        return Problem(operands, output, sizes, self.spec.reduce, shape)

    def _accesses(self, term: Term, shape: Shape) -> Accesses:
        accesses: list[Access] = []
        for axis, size in zip(term, shape, strict=True):
            if isinstance(axis, Affine):
                accesses.append(_access(axis, size))
            else:
                accesses += [Access.along(name, self.extents[name]) for name in axis.names]
        return tuple(accesses)

    def _output_size(self, axis: Axis) -> int:
        sizes = [self.extents[name] for name in axis.names]
        if not isinstance(axis, Affine):
            return prod(sizes)
        if 0 in sizes:
            return 0
        access = _access(axis, 0)
        low, high = access.reach(self.extents)
        least = -(-low // access.divisor)
        return max(0, high // access.divisor + 1 - max(0, -least))


def _access(axis: Affine, size: int) -> Access:
    return Access(
        tuple((name, _number(coefficient.constant)) for name, coefficient in axis.terms),
        _number(axis.offset.constant),
        _number(axis.divisor.constant),
        size,
    )


def _number(value: int | None) -> int:
    assert value is not None, "parameters are bound before extents are solved"
    return value


def _what_to_give(unknown: Sequence[str], axis: Axis) -> str:
    listed = [f"{name}=..." for name in unknown]
    if isinstance(axis, Affine) and axis.fractional:
        return f"give {' and '.join(listed)}"
    enough = f"{len(listed) - 1} of " * (len(listed) > 2)
    return f"give {enough}{', '.join(listed) if enough else ' or '.join(listed)}"


def _where(place: Place) -> str:
    number, position = place
    if place == _KEYWORD:
        return "by keyword"
    return f"on axis {position} of {'the output' if number < 0 else f'operand {number}'}"
