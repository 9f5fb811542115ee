"""Contractions with weights: shapes and fans of parameters are read from the string."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from contractconv.api.contraction import Contraction
from contractconv.api.tensor import Tensor, applied
from contractconv.errors import ParameterError, ShapeError, SpecError, with_carets
from contractconv.layers.fans import columns, fans
from contractconv.layers.initialisers import ZEROS, Drawn, Initialiser, as_initialiser
from contractconv.layers.records import Parameter, Product
from contractconv.maps.table import MAPS
from contractconv.notation.affine import Affine
from contractconv.notation.carets import marks
from contractconv.notation.extents import bind, resolve
from contractconv.notation.spec import Spec, Term, unique_names
from contractconv.programs.build import as_axes, contract, result_axes, spelled
from contractconv.programs.sizes import Extent, Size

if TYPE_CHECKING:
    from contractconv.layers.trace import Trace

Shape = tuple[int, ...]
Ending = str | Callable[[Tensor], Tensor] | None
"""A map by its name, or a function of a symbolic tensor."""


def weighted(
    trace: Trace,
    contraction: Contraction,
    inputs: Sequence[Tensor],
    extents: Mapping[str, int],
    *,
    roles: Sequence[str] | None = None,
    init: Any = None,
    bias: Any = None,
    bias_role: str = "bias",
    map: Ending = None,
    output_shape: Shape | None = None,
    name: str | Sequence[str] | None = None,
) -> Tensor:
    """Contract what comes in with weights, whose shapes follow from the string.

    Args:
        trace: what parameters are asked of.
        contraction: its first operands come in, the others are weights.
        inputs: what comes in.
        extents: extents, and values of parameters of the string.
        roles: what the weights are called; by default ``W``, or ``W_1`` and so on.
        init: what draws them: one for all, or one for each by its role.
        bias: names of axes of the result along which a bias is added, ``True`` for the last one.
        bias_role: what that is called.
        map: what is applied then.
        output_shape: the sizes of the result, where the rules should not choose them.
        name: what the axes of the result are called; by default what the string calls them.

    Returns:
        A tensor with the axes of the string's result.

    Raises:
        ShapeError: shapes do not fit, or an extent is missing.
        SpecError: a weight has a window.
    """
    spec = _bound(contraction._spec, extents, [x.axes for x in inputs])
    given = {n: size for n, size in extents.items() if n in spec.indices}
    sizes = _sizes(spec, [trace.shape(x) for x in inputs], given, output_shape)
    weights = _weights(trace, spec, sizes, len(inputs), roles, init, map)
    operands = [*inputs, *(weight.tensor for weight in weights)]
    told = {n: size for n, size in given.items() if n not in _read_whole(spec)}
    shape = None if output_shape is None else _told_sizes(spec, inputs, output_shape)
    node = contract(spec, [x._node for x in operands], told, shape)
    made = Tensor(node) if name is None else Tensor(node).named(name)
    whole, added = _bias(trace, made, bias, bias_role)
    trace.product(
        Product(
            Contraction._of(spec), tuple(operands), told, output_shape, made,
            dict(enumerate(weights, len(inputs))), added,
        )
    )  # fmt: skip
    return ended(whole, map)


def along(
    trace: Trace,
    x: Tensor,
    axes: Sequence[str],
    role: str,
    init: Initialiser,
    trained: bool = True,
) -> Parameter:
    """A parameter along axes of a tensor.

    A part that is shared may meet axes of other names: give its tensor the names that are met, as
    in ``along(...).tensor.named(axes)``.
    """
    sizes = dict(zip(x.axes, trace.shape(x), strict=True))
    return trace.parameter(role, axes, tuple(sizes[a] for a in axes), init, trained=trained)


def ended(x: Tensor, map: Ending) -> Tensor:
    """What a map makes of a tensor.

    Raises:
        ParameterError: there is no such map, or it has more than one argument.
    """
    if map is None:
        return x
    return applied(map, x) if isinstance(map, str) else map(x)


def check_ending(map: Any) -> None:
    """Refuse what is no map of one argument.

    Raises:
        ParameterError: it is none.
    """
    if map is None or (not isinstance(map, str) and callable(map)):
        return
    if map not in MAPS or MAPS[map].arity != 1:
        known = ", ".join(name for name, record in MAPS.items() if record.arity == 1)
        raise ParameterError(
            f"map={map!r} is no map of one argument: give one of {known}, or a function of a "
            "symbolic tensor"
        )


def check_weights(spec: Spec, inputs: int) -> None:
    """Refuse a string whose weights could not be arrays of their own.

    Raises:
        SpecError: an axis of a weight is no index and no composition.
        ParameterError: there are fewer operands than come in.
    """
    if not 1 <= inputs <= len(spec.inputs):
        raise ParameterError(
            f"inputs={inputs}: '{spec}' has {len(spec.inputs)} operands, of which the first ones "
            "come in and the others are weights"
        )
    wrong = [
        (number, position)
        for number, term in enumerate(spec.inputs[inputs:], inputs)
        for position, axis in enumerate(term)
        if not axis.names or (isinstance(axis, Affine) and not axis.plain)
    ]
    if wrong:
        message = "a weight is an array of its own: its axes are indices or compositions"
        hint = "what comes in has windows; how many operands come in is said by inputs="
        raise SpecError(with_carets(message, *marks(spec, wrong), hint))


def _bound(spec: Spec, extents: Mapping[str, int], axes: Sequence[tuple[str, ...]]) -> Spec:
    """The string with numbers for its parameters, and names for its ellipsis."""
    values = {name: extents[name] for name in spec.parameters if name in extents}
    whole = bind(spec, values) if values else spec
    for number, (term, names) in enumerate(zip(whole.inputs, axes, strict=False)):
        if not whole.has_dots and len(term) != len(names):
            shown = " ".join(names)
            message = f"what comes in has the axes '{shown}', but its term has {len(term)}"
            raise ShapeError(with_carets(message, *marks(whole, [(number, None)])))
    weights = [result_axes(term) for term in whole.inputs[len(axes) :]]
    return spelled(whole, [*axes, *weights])


def _sizes(
    spec: Spec, shapes: Sequence[Shape], given: Mapping[str, int], output_shape: Shape | None
) -> dict[str, int]:
    """The extent of every index: what comes in and what was given determine it."""
    data = replace(spec, inputs=spec.inputs[: len(shapes)])
    known = {name: size for name, size in given.items() if name in data.indices}
    missing = [n for n in unique_names(spec.terms) if n not in data.indices and n not in given]
    missing += [
        n for n in unique_names((spec.output,)) if n not in unique_names(data.inputs)
        and n not in given
    ]  # fmt: skip
    if missing:
        places = [
            (number, position)
            for number, term in enumerate(spec.inputs)
            for position, axis in enumerate(term)
            if set(axis.names) & set(missing)
        ]
        listed = ", ".join(missing)
        told = ", ".join(f"{name}=..." for name in missing)
        message = f"how long is {listed}? only a weight has it"
        raise ShapeError(with_carets(message, *marks(spec, places), f"give {told}"))
    problem = resolve(data, shapes, known, output_shape)
    return {**given, **problem.extents}


def _told_sizes(spec: Spec, inputs: Sequence[Tensor], shape: Shape) -> list[int | Size]:
    """The sizes of a result: what comes in says those that it has, so that batches may differ."""
    known = {
        axis.plain: Size.of(Extent(x._node, name))
        for x, term in zip(inputs, spec.inputs, strict=False)
        for name, axis in zip(x.axes, term, strict=True)
        if axis.plain is not None
    }
    return [known.get(a.plain or "", n) for a, n in zip(spec.output, shape, strict=True)]


def _read_whole(spec: Spec) -> set[str]:
    """The indices whose extents the operands of a contraction say themselves."""
    return {axis.plain for term in spec.inputs for axis in term if axis.plain}


def _weights(
    trace: Trace,
    spec: Spec,
    sizes: Mapping[str, int],
    inputs: int,
    roles: Sequence[str] | None,
    init: Any,
    map: Ending,
) -> list[Parameter]:
    terms = spec.inputs[inputs:]
    names = roles or weight_names(len(terms))
    if len(names) != len(terms):
        raise ParameterError(f"{len(names)} names for the {len(terms)} weights of '{spec}'")
    said = fans(spec, sizes, tuple(range(inputs)))
    made = []
    for position, (role, term) in enumerate(zip(names, terms, strict=True), inputs):
        chosen = as_initialiser(init.get(role) if isinstance(init, Mapping) else init, map)
        shape = tuple(prod(sizes[name] for name in axis.names) for axis in term)
        roles_of = columns(spec, position)
        summed, kept = (_axes(term, part) for part in (roles_of.summed, roles_of.made))
        drawn = Drawn(shape, said.fan_in, said.fan_out, len(terms), summed, kept)
        made.append(trace.parameter(role, result_axes(term), shape, chosen, drawn))
    return made


def weight_names(count: int) -> list[str]:
    """What weights are called that have no other names.

    Example:
        >>> weight_names(1), weight_names(2)
        (['W'], ['W_1', 'W_2'])
    """
    return ["W"] if count == 1 else [f"W_{n + 1}" for n in range(count)]


def extents_of_arrays(
    spec: Spec, inputs: int, roles: Sequence[str] | None, init: Any
) -> dict[str, int]:
    """The extents of indices of weights that are given as arrays.

    Example:
        >>> import numpy as np
        >>> from contractconv.notation.parser import parse
        >>> extents_of_arrays(parse("b (i+k) c, k c o -> b i o"), 1, None, np.ones((3, 4, 5)))
        {'k': 3, 'c': 4, 'o': 5}
    """
    terms = spec.inputs[inputs:]
    names = roles or weight_names(len(terms))
    arrays = [init.get(name) if isinstance(init, Mapping) else init for name in names]
    return {
        axis.plain: size
        for array, term in zip(arrays, terms, strict=False)
        for axis, size in zip(term, getattr(array, "shape", ()), strict=False)
        if axis.plain
    }


def _axes(term: Term, names: Collection[str]) -> tuple[int, ...]:
    """The positions of axes on which there are only such indices."""
    return tuple(n for n, axis in enumerate(term) if set(axis.names) <= set(names))


def _bias(trace: Trace, made: Tensor, bias: Any, role: str) -> tuple[Tensor, Parameter | None]:
    """The result with what is added to it, if anything is."""
    if bias is None or bias is False:
        return made, None
    axes = made.axes[-1:] if bias is True else as_axes(bias)
    lacking = [axis for axis in axes if axis not in made.axes]
    if lacking:
        raise ShapeError(
            f"the bias is along '{' '.join(axes)}', but the result has the axes "
            f"'{' '.join(made.axes)}'"
        )
    added = along(trace, made, axes, role, ZEROS)
    return made + added.tensor.named(axes), added
