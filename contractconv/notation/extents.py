"""From a spec and shapes to a numeric problem: parameters bound, extents and sizes known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from operator import index as as_integer

from contractconv.cache_register import kept
from contractconv.errors import ContractionError, ParameterError, ShapeError, with_carets
from contractconv.notation.affine import LARGEST_INTEGER, Affine
from contractconv.notation.carets import axes, give, marks, wrong_count, wrong_rank
from contractconv.notation.ellipsis import dots_labels, expand_dots, names_dots
from contractconv.notation.keywords import FOREIGN
from contractconv.notation.problem import Access, Accesses, Problem, Shape
from contractconv.notation.reach import reached
from contractconv.notation.solver import Solver
from contractconv.notation.spec import Axis, Place, Spec, Term

# Places of elements, and bytes of arrays of the widest numbers, are counted in 63 bits.
_FARTHEST, _MOST_ELEMENTS = 2**63, 2**59
_RESULT: Place = (-1, None)


def resolve(
    spec: Spec,
    shapes: Sequence[Shape],
    values: Mapping[str, int] | None = None,
    output_shape: Sequence[int] | None = None,
    cotangent: Shape | None = None,
) -> Problem:
    """Put shapes into a spec.

    Operands and keywords determine what they can. The shape of the result determines what is
    still free, and must agree with the rest.

    Args:
        spec: the contraction.
        shapes: the shape of every operand.
        values: extents of indices and values of parameters, by name.
        output_shape: the shape of the result, where the rules should not choose it.
        cotangent: the shape of an array that should have the result's. It determines the sizes
            of scattered axes and the extents of indices that no operand has, nothing else; the
            result's shape is what it should have been.

    Returns:
        The problem with every extent and size known.

    Raises:
        OperandError: the number of operands is wrong.
        ParameterError: a parameter is unbound.
        ShapeError: ranks or extents disagree, or an extent cannot be determined.
    """
    if len(shapes) != len(spec.inputs):
        raise wrong_count(spec, len(shapes))
    bound, given = split_values(spec, values or {})
    named = expand_dots(bound, shapes, output_shape)
    check_names(named, given)
    sized = tuple(map(tuple, shapes))
    for number, (term, shape) in enumerate(zip(named.inputs, sized, strict=True)):
        if len(term) != len(shape):
            raise wrong_rank(named, sized, number)
    solver = Solver(named, sized, labels=dots_labels(bound, named))
    if output_shape is not None:
        solver.result = _checked_result(solver, output_shape)
    else:
        solver.cotangent = cotangent
    solver.solve(given)
    problem = _problem(solver)
    _check_places(solver, problem)
    return problem


def resolved(
    spec: Spec,
    shapes: tuple[Shape, ...],
    values: Mapping[str, int],
    output_shape: Shape | None,
    cotangent: Shape | None,
) -> Problem:
    """The same as :func:`resolve`, remembered for the next call."""
    if spec.names:
        try:
            return resolved(spec.unnamed, shapes, values, output_shape, cotangent)
        except ContractionError:  # which is told once more, by names
            return resolve(spec, shapes, values, output_shape, cotangent)
    # Numbers that are equal are not all integers: 2.0 must not find what 2 left in the cache.
    if any(type(value) is not int for value in values.values()):
        return resolve(spec, shapes, values, output_shape, cotangent)
    return _resolved(spec, shapes, tuple(sorted(values.items())), output_shape, cotangent)


@kept(most=4096)
def _resolved(
    spec: Spec,
    shapes: tuple[Shape, ...],
    values: tuple[tuple[str, int], ...],
    output_shape: Shape | None,
    cotangent: Shape | None,
) -> Problem:
    return resolve(spec, shapes, dict(values), output_shape, cotangent)


def split_values(spec: Spec, values: Mapping[str, int]) -> tuple[Spec, dict[str, int]]:
    """Separate keyword values into parameters, which are bound, and extents."""
    check_names(spec, values)
    integers = {name: _integer(name, value) for name, value in values.items()}
    parameters = {name: integers.pop(name) for name in spec.parameters if name in integers}
    bound = bind(spec, parameters) if parameters else spec
    if bound.parameters and (needed := _used_parameters(bound)):
        names = ", ".join(needed)
        raise ParameterError(
            with_carets(
                f"unbound: the parameter{'s' * (len(needed) > 1)} {names}",
                *marks(bound, _places_of(bound, needed)),
                f"give {give(needed)} in the call, or bind first with "
                f".bind({', '.join(f'{name}=...' for name in needed)})",
            )
        )
    return bound, integers


def check_values(spec: Spec, values: Mapping[str, int]) -> None:
    """Refuse names that nothing has, and extents that are negative."""
    check_names(spec, values)
    indices = set(spec.indices)
    for name, value in values.items():
        if name in indices and _integer(name, value) < 0:
            raise ShapeError(f"{name}={value}: an extent is not negative")


def check_names(spec: Spec, values: Iterable[str]) -> None:
    """Refuse values of names that a spec does not have."""
    known_names, has_dots = {*spec.indices, *spec.parameters}, spec.has_dots
    for name in values:
        if name not in known_names and not (has_dots and names_dots(name)):
            known = ", ".join((*spec.indices, *spec.parameters)) or "none"
            hint = f"\n{FOREIGN[name]}" if name in FOREIGN else ""
            raise ShapeError(
                f"'{spec}' has no index or parameter called {name!r}; it has: {known}{hint}"
            )


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
    large = [place for place, axis in axes(bound) if axis.largest > LARGEST_INTEGER]
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
    used = set[str]().union(*(axis.parameters for axis in spec.axes))
    return [name for name in spec.parameters if name in used]


def _places_of(spec: Spec, parameters: Iterable[str]) -> list[Place]:
    wanted = set(parameters)
    return [place for place, axis in axes(spec) if axis.parameters & wanted]


def _checked_result(solver: Solver, output_shape: Sequence[int]) -> Shape:
    shape = tuple(_integer("output_shape", size) for size in output_shape)
    count = len(solver.spec.output)
    if len(shape) != count:
        raise solver.error(f"output_shape has {len(shape)} axes, the result has {count}", _RESULT)
    if any(size < 0 for size in shape):
        raise solver.error(f"output_shape={shape} has a negative size", _RESULT)
    return shape


def _problem(solver: Solver) -> Problem:
    """The spec with all numbers put in."""
    spec, extents = solver.spec, solver.extents
    operands = tuple(
        _accesses(term, shape, extents)
        for term, shape in zip(spec.inputs, solver.shapes, strict=True)
    )
    shape = solver.result
    if shape is None:
        told: Sequence[int | None] = [None] * len(spec.output)
        if solver.cotangent is not None and len(solver.cotangent) == len(told):
            told = solver.cotangent
        shape = tuple(
            _output_size(axis, extents, size) for axis, size in zip(spec.output, told, strict=True)
        )
    sizes = tuple((name, extents[name]) for name in spec.indices)
    return Problem(operands, _accesses(spec.output, shape, extents), sizes, spec.reduce, shape)


def _accesses(term: Term, shape: Shape, extents: Mapping[str, int]) -> Accesses:
    accesses: list[Access] = []
    for axis, size in zip(term, shape, strict=True):
        if isinstance(axis, Affine):
            accesses.append(Access.by(axis, size))
        else:
            accesses += [Access.along(name, extents[name]) for name in axis.names]
    return tuple(accesses)


def _output_size(axis: Axis, extents: Mapping[str, int], told: int | None) -> int:
    sizes = [extents[name] for name in axis.names]
    if not isinstance(axis, Affine):
        return prod(sizes)
    if axis.plain:
        return sizes[0]
    if told is not None:
        return told
    if 0 in sizes:
        return 0
    steps = ((c.number, extents[name] - 1) for name, c in axis.terms)
    size: int = reached(axis.offset.number, axis.divisor.number, steps)
    return size


# -- numbers that no machine counts to -------------------------------------------------------------


def _check_places(solver: Solver, problem: Problem) -> None:
    """Refuse what would leave 63 bits, whoever computes with it later."""
    arrays = [*solver.shapes, problem.result_shape]
    for (number, position), axis in axes(solver.spec):
        assert position is not None
        if isinstance(axis, Affine):
            farthest = _farthest(axis, arrays[number][position], solver.extents)
            if farthest >= _FARTHEST:
                raise solver.error(
                    f"{solver.shown(axis)} reaches element {farthest:,}: places have 63 bits",
                    (number, position),
                )
    elements = prod(max(1, size) for size in problem.result_shape)
    if elements >= _MOST_ELEMENTS:
        raise solver.error(
            f"the result has shape {problem.result_shape}: {elements:,} elements are more than "
            "an array can have",
            _RESULT,
        )


def _farthest(axis: Affine, size: int, extents: Mapping[str, int]) -> int:
    """The greatest magnitude on the way to any place of an axis."""
    if axis.plain is not None:
        return max(1, size, extents[axis.plain])
    reach = sum(abs(c.number) * max(1, extents[name]) for name, c in axis.terms)
    return max(abs(axis.offset.number) + reach, axis.divisor.number * max(1, size))
