"""Which entries of a neighbour a layer of ours wants, and how they lie there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from contractconv.errors import WeightsError
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.spec import Term, unique_names
from contractconv.programs.text.words import close_to
from contractconv.weights.layouts import CANONICAL, FRAMEWORKS, Flatten, Framework, Row, Rows
from contractconv.weights.roles import Weight, weight_of
from contractconv.weights.terms import Layout, Roles, Side, layout

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.layers.records import Call, Parameter, Product

Shape = tuple[int, ...]
ShapeOf = Callable[["Tensor"], Shape]


@dataclass(frozen=True)
class Binding:
    """A parameter, or a part of it, and the entry that it is in.

    Attributes:
        parameter: ours.
        row: where the neighbour has it.
        layout: how it lies there.
    """

    parameter: Parameter
    row: Row
    layout: Layout


@dataclass(frozen=True)
class Known:
    """What is known of the axes of a parameter.

    Attributes:
        roles: the names of its axes by role.
        extents: their sizes.
        ours: how it lies with us, where that is not what a row says.
    """

    roles: Roles
    extents: Mapping[str, int]
    ours: Side | str = "A"


def framework_of(name: str) -> Framework:
    """Look a neighbour up.

    Raises:
        WeightsError: there is none of this name.
    """
    if name not in FRAMEWORKS:
        near = close_to(name, list(FRAMEWORKS))
        raise WeightsError(f"framework={name!r} is none of {', '.join(FRAMEWORKS)}{near}")
    return FRAMEWORKS[name]


def bindings(
    call: Call, framework: Framework, shape_of: ShapeOf, flatten: Flatten | None
) -> list[list[Binding]]:
    """The ways in which a neighbour may keep the parameters of a layer, the likeliest first.

    Args:
        call: the layer, where it stands.
        framework: the neighbour.
        shape_of: the shape of a tensor of the network.
        flatten: in which order images are flattened; by default as the neighbour does.

    Raises:
        WeightsError: the neighbour has no such layer, or no place for an axis of it.
    """
    kinds, known = _known(call, shape_of, flatten or framework.flatten)
    found = [
        _bound(rows, known, call)
        for kind in kinds
        for rows in framework.layers.get(kind, ())
        if {*known} <= {*rows}
    ]
    whole = [each for each in found if not any(b.layout.homeless for b in each)]
    if not whole:
        raise _without_place(call, kinds, known, found)
    return whole


def with_layout(binding: Binding, said: Mapping[str, str]) -> Binding:
    """The same, with the layout that somebody says the neighbour's array has.

    Args:
        binding: of a parameter.
        said: layouts by the names of parameters, ``{"W": "k l o c"}``.

    Raises:
        SpecError: the layout is no term of the notation.
        ShapeError: it has not the axes of the parameter.
    """
    text = said.get(binding.parameter.path[-1])
    if text is None:
        return binding
    ours, extents = binding.layout.ours, binding.layout.extents
    spec = parse(f"{ours} -> {text}")
    given = {name: size for name, size in extents.items() if name in spec.indices}
    shape = resolve(spec, [ours.shape], given).result_shape
    theirs = Side(tuple(map(str, spec.output)), shape, unique_names((spec.output,)))
    return replace(binding, layout=Layout(theirs, ours, extents))


def name_of(call: Call) -> str:
    """What a layer is called."""
    return ".".join(call.path) or call.part.kind


def _bound(rows: Rows, known: Mapping[str, Known], call: Call) -> list[Binding]:
    by_role = {p.path[-1]: p for p in call.parameters}
    ordered = zip(known.items(), by_role.values(), strict=True)
    return [
        Binding(parameter, row, _laid(row, what))
        for (role, what), parameter in ordered
        for row in rows[role]
    ]


def _laid(row: Row, known: Known) -> Layout:
    return layout(row.theirs, row.ours or known.ours, known.roles, known.extents)


def _without_place(
    call: Call, kinds: Sequence[str], known: Mapping[str, Known], found: list[list[Binding]]
) -> WeightsError:
    shown = f"{name_of(call)}: {call.part}"
    if not found:
        wanted = ", ".join(known)
        return WeightsError(
            f"{shown}\nthere is no layer of the neighbour with its parameters {wanted} "
            f"(looked for: {' or '.join(kinds)}); layouts= says how another one lies"
        )
    axes = ", ".join(name for b in found[0] for name in b.layout.homeless)
    return WeightsError(
        f"{shown}\nthe layout {found[0][0].layout.theirs} of the neighbour has no place for the "
        f"axis {axes}"
    )


# -- roles of axes -------------------------------------------------------------------------------

_TABLES = ("embedding", "learned_positions")


def _known(
    call: Call, shape_of: ShapeOf, flatten: Flatten
) -> tuple[Sequence[str], dict[str, Known]]:
    """What a layer is, and what is known of its parameters, by the role that rows call them."""
    kind = call.part.kind
    if kind in _TABLES:
        return ["embedding"], {p.path[-1]: _plain(p, flatten) for p in call.parameters}
    if kind in CANONICAL:
        return [kind], {p.path[-1]: _canonical(kind, p) for p in call.parameters}
    if len(call.products) == 1:
        return _of_product(call, call.products[0], shape_of, flatten)
    return [kind], {p.path[-1]: _plain(p, flatten) for p in call.parameters}


def _canonical(kind: str, parameter: Parameter) -> Known:
    """A parameter whose axes stand in a known order."""
    letters = CANONICAL[kind].get(parameter.path[-1], "A").split()
    roles = {letter: (axis,) for letter, axis in zip(letters, parameter.axes, strict=True)}
    return Known(roles, _sizes(parameter), " ".join(letters))


def _plain(parameter: Parameter, flatten: Flatten) -> Known:
    """A parameter along axes of what comes in: scales and shifts, tables."""
    return Known({"A": parameter.axes, "F": _flattened(parameter.axes, flatten)}, _sizes(parameter))


def _of_product(
    call: Call, product: Product, shape_of: ShapeOf, flatten: Flatten
) -> tuple[Sequence[str], dict[str, Known]]:
    """The weights of a contraction, and its bias."""
    spec = product.contraction._spec
    shapes = [shape_of(operand) for operand in product.operands]
    extents = resolve(spec, shapes, product.extents, product.output_shape).extents
    inputs = min(product.weights)
    transposed = call.part.kind == "transposed"
    found = [weight_of(spec, n, inputs, transposed) for n in sorted(product.weights)]
    names = ["W"] if len(found) == 1 else [f"W_{n + 1}" for n in range(len(found))]
    known = {}
    for name, n, weight in zip(names, sorted(product.weights), found, strict=True):
        roles = {**weight.roles, "U": found[0].roles["K"], "~": tuple(weight.turned)}
        if weight.kind == "dense":
            roles["C"] = _flattened(roles["C"], flatten)
        known[name] = Known(roles, extents, _side(spec.inputs[n], extents))
    if product.bias is not None:
        known["bias"] = _plain(product.bias, flatten)
    return _kinds(found), known


def _kinds(weights: Sequence[Weight]) -> Sequence[str]:
    """What a neighbour may call a layer with these weights."""
    first = weights[0]
    by_itself = first.kind == "conv" and not first.roles["C"] and first.roles["G"]
    if len(weights) == 2:
        return ["separable"] if by_itself else ["product"]
    return ["depthwise", "conv"] if by_itself else [first.kind]


def _side(term: Term, extents: Mapping[str, int]) -> Side:
    """A weight as the string of its layer has it."""
    shape = tuple(prod(extents[name] for name in axis.names) for axis in term)
    return Side(tuple(map(str, term)), shape, unique_names((term,)))


def _flattened(axes: tuple[str, ...], flatten: Flatten) -> tuple[str, ...]:
    """Axes of an image, channels last, in the order in which they are flattened."""
    return (*axes[-1:], *axes[:-1]) if flatten == "NCHW" else axes


def _sizes(parameter: Parameter) -> dict[str, int]:
    return dict(zip(parameter.axes, parameter.shape, strict=True))
