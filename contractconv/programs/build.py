"""Making nodes, with every mistake said before anything is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count

from contractconv.errors import OperandError, ProgramError, ShapeError, spec_error, with_carets
from contractconv.maps.table import MAPS
from contractconv.notation.affine import Affine
from contractconv.notation.carets import marks, wrong_count
from contractconv.notation.extents import check_names
from contractconv.notation.spec import Axis, Dots, Spec, Term, has_dots
from contractconv.notation.tokens import NAME
from contractconv.programs.nodes import (
    Axes,
    Contract,
    Length,
    Map,
    Named,
    Node,
    Number,
    Position,
)
from contractconv.programs.sizes import Extent, Size

Given = Mapping[str, int | Size]


def contract(
    spec: Spec,
    operands: Sequence[Node],
    extents: Given | None = None,
    shape: Sequence[int | Size] | None = None,
    local: bool = False,
    like: Node | None = None,
) -> Contract:
    """Contract nodes as a string says; see :class:`Contract`.

    Args:
        spec: the string; the axes of an ellipsis are spelled out.
        operands: a node for each term.
        extents: extents of indices, and values of parameters.
        shape: the sizes of the result, where the rules should not choose them.
        local: whether the local derivative of the reduction is meant.
        like: a node whose sizes, and names of axes, the result has.

    Raises:
        OperandError: the number of operands is wrong.
        ShapeError: an operand has not as many axes as its term, or a name is unknown.
    """
    if len(operands) != len(spec.inputs):
        raise wrong_count(spec, len(operands))
    for number, operand in enumerate(operands):
        _check_rank(spec, number, operand)
    whole = spelled(spec, [operand.axes for operand in operands])
    given = {name: Size.of(value) for name, value in (extents or {}).items()}
    check_names(whole, given)
    _check_parameters(whole, given)
    told = shape if like is None else sizes_of(like)
    sizes = None if told is None else tuple(map(Size.of, told))
    if sizes is not None and len(sizes) != len(whole.output):
        raise ShapeError(
            f"output_shape has {len(sizes)} axes, the result of '{whole}' {len(whole.output)}"
        )
    term = local_axes(whole) if local else whole.output
    axes = result_axes(term) if like is None else like.axes
    return Contract(
        axes, spec=whole, operands=tuple(operands), extents=tuple(given.items()), shape=sizes,
        local=local,
    )  # fmt: skip


def apply(function: str, *arguments: Node) -> Map:
    """Apply a map to nodes, which are aligned by the names of their axes.

    Raises:
        ProgramError: there is no such map, or it has another number of arguments.
    """
    record = MAPS.get(function)
    if record is None:
        raise ProgramError(f"there is no map called {function!r}; there are: {', '.join(MAPS)}")
    if len(arguments) != record.arity:
        wanted = f"{record.arity} argument{'s' * (record.arity != 1)}"
        raise ProgramError(f"{function} has {wanted}, not {len(arguments)}")
    # Whoever has most axes says their order: a mask, or a bias, in front changes nothing.
    longest = max(arguments, key=lambda argument: len(argument.axes))
    axes = dict.fromkeys(name for node in (longest, *arguments) for name in node.axes)
    return Map(tuple(axes), function=function, arguments=arguments)


def joined(function: str, nodes: Sequence[Node]) -> Node:
    """A map of two arguments, applied to nodes one after the other: their sum, or their product."""
    whole, *others = nodes
    for node in others:
        whole = apply(function, whole, node)
    return whole


def is_one(node: Node) -> bool:
    """Whether a node is the number one, by which nothing need be multiplied."""
    return isinstance(node, Number) and node.value == 1


def named(source: Node, axes: Axes) -> Node:
    """Give the axes of a node other names."""
    if axes == source.axes:
        return source
    inner = source.source if isinstance(source, Named) else source
    return inner if inner.axes == axes else Named(axes, source=inner)


def plain_spec(inputs: Iterable[Axes], output: Axes) -> Spec:
    """The sum of products over axes by their names.

    Example:
        >>> print(plain_spec([("b", "i"), ("i", "o")], ("b", "o")))
        b i, i o -> b o
    """
    return Spec(tuple(map(_term, inputs)), _term(output))


def repeated(source: Node, like: Node) -> Node:
    """The same values, with the axes of another node, along which they are repeated.

    Only those axes are open that are open there, too.
    """
    if source.axes == like.axes and source.open_axes <= like.open_axes:
        return source
    if like.open_axes:
        return _everywhere(source, like)
    whole = set(source.axes) == set(like.axes) and not source.open_axes
    spec = plain_spec([source.axes], like.axes)
    return contract(spec, [source]) if whole else contract(spec, [source], like=like)


def _everywhere(source: Node, like: Node) -> Node:
    """The same as :func:`repeated`, by a mask that always holds: no contraction has open axes."""
    zero = Number((), value=0)
    sizes = [None if n in like.open_axes else Size.of(Extent(like, n)) for n in like.axes]
    places = [Position((n,), size=size) for n, size in zip(like.axes, sizes, strict=True)]
    always = joined("logical_and", [apply("greater_equal", place, zero) for place in places])
    return apply("where", always, source, zero)


def with_sizes(source: Node, like: Node, axes: Iterable[str]) -> Node:
    """The same values, with the sizes that some axes of another node have.

    Args:
        source: a node in which some axes are open, or lacking.
        like: a node that has these axes.
        axes: which these are; along those that are lacking, values are repeated.
    """
    told = {name: Size.of(Extent(like, name)) for name in axes}
    if not told:
        return source
    lacking = (name for name in told if name not in source.axes)
    return contract(plain_spec([source.axes], (*source.axes, *lacking)), [source], told)


def total(factors: Sequence[Node], axes: Axes, like: Node) -> Node:
    """The product of nodes, summed over all but some axes.

    Args:
        factors: the nodes.
        axes: those that are kept.
        like: a node that has all axes, and the sizes of those that are open.
    """
    held = dict.fromkeys(name for factor in factors for name in factor.axes)
    if len(factors) == 1 and set(held) == set(axes):
        return transposed(factors[0], axes)
    closed = {name for factor in factors for name in factor.axes if name not in factor.open_axes}
    told = {name: Size.of(Extent(like, name)) for name in held if name not in closed}
    return contract(plain_spec([factor.axes for factor in factors], axes), factors, told)


def transposed(source: Node, axes: Axes) -> Node:
    """The same array with its axes in another order."""
    return source if source.axes == axes else contract(plain_spec([source.axes], axes), [source])


def size_of(node: Node, name: str) -> Length:
    """The size of an axis of a node, as a number."""
    return Length((), size=Size.of(Extent(node, name)))


def sizes_of(node: Node) -> tuple[Size, ...]:
    """The sizes of the axes of a node, as expressions."""
    return tuple(Size.of(Extent(node, name)) for name in node.axes)


def as_axes(text: str | Iterable[str]) -> Axes:
    """Read the names of axes.

    Raises:
        SpecError: something is no name, or stands twice.

    Example:
        >>> as_axes("b h w c")
        ('b', 'h', 'w', 'c')
    """
    names = tuple(text.replace(",", " ").split()) if isinstance(text, str) else tuple(text)
    shown = " ".join(map(str, names))
    at = 0
    for number, name in enumerate(names):
        span = (at, at + len(str(name)))
        if not isinstance(name, str) or not NAME.fullmatch(name):
            hint = "axes are names with blanks between them, as in 'b h w c'"
            raise spec_error(f"{name!r} is not a name", shown, span, hint=hint)
        if name in names[:number]:
            raise spec_error(f"two axes are called {name!r}", shown, span)
        at = span[1] + 1
    return names


def position_of(node: Node, name: str) -> int:
    """The number of the axis that has a name.

    Raises:
        ShapeError: there is none.
    """
    if name not in node.axes:
        shown = " ".join(node.axes)
        raise ShapeError(f"there is no axis {name!r}: the axes are '{shown}'")
    return node.axes.index(name)


# -- what a string says of named axes --------------------------------------------------------------


def result_axes(term: Term) -> Axes:
    """The names of the axes of a result.

    An index gives its own; an expression that of its first index, a composition those of all.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> result_axes(parse("i k, h w -> (2*i+k) (h w) (0) i").output)
        ('i', 'h_w', 'at', 'i_2')
    """
    found: dict[str, None] = {}
    for axis in term:
        found[unused(_name(axis), found)] = None
    return tuple(found)


def local_axes(spec: Spec) -> Term:
    """The axes of the local derivative of a contraction's reduction."""
    from contractconv.calculus.local_derivative import local_term  # sympy is slow to import

    return local_term(spec) or ()


def _name(axis: Axis) -> str:
    if axis.plain is not None:
        return axis.plain
    if isinstance(axis, Affine):
        return axis.names[0] if axis.names else "at"
    return "_".join(axis.names)


def unused(name: str, taken: Iterable[str]) -> str:
    """A name that is not taken: the one that is wished for, or that with a number.

    Example:
        >>> unused("k", ["h", "k"])
        'k_2'
    """
    taken = set(taken)
    names: Iterator[str] = (f"{name}_{n}" for n in count(2))
    return name if name not in taken else next(n for n in names if n not in taken)


def _term(axes: Axes) -> Term:
    return tuple(map(Affine.index, axes))


def spelled(spec: Spec, axes: Sequence[Axes]) -> Spec:
    """The string without an ellipsis, whose axes are called as those of the operands are."""
    if not spec.has_dots:
        return spec
    stood = [_dots_axes(term, names) for term, names in zip(spec.inputs, axes, strict=True)]
    longest = max(stood, key=len, default=())
    taken = {*spec.indices, *spec.parameters}
    names: list[str] = []
    for name in longest:
        names.append(unused(name, {*taken, *names}))
    inputs = (
        _put(term, names[len(names) - len(s) :]) for term, s in zip(spec.inputs, stood, strict=True)
    )
    return replace(spec, inputs=tuple(inputs), output=_put(spec.output, names))


def _dots_axes(term: Term, axes: Axes) -> Axes:
    start = next((n for n, axis in enumerate(term) if isinstance(axis, Dots)), len(axes))
    return axes[start : start + max(0, len(axes) - len(term) + 1)]


def _put(term: Term, names: Sequence[str]) -> Term:
    """A term with names in the place of its ellipsis."""
    parts = (_term(tuple(names)) if isinstance(axis, Dots) else (axis,) for axis in term)
    return tuple(axis for part in parts for axis in part)


def _check_rank(spec: Spec, number: int, operand: Node) -> None:
    term, rank = spec.inputs[number], len(operand.axes)
    if rank == len(term) or (has_dots(term) and rank >= len(term) - 1):
        return
    shown, called = " ".join(operand.axes), operand.label or f"operand {number}"
    has = (
        f"operand {number} is the number {operand.value}"
        if isinstance(operand, Number)
        else (f"{called} has the {rank} ax{'i' if rank == 1 else 'e'}s '{shown}'")
    )
    wanted = f"at least {len(term) - 1}" if has_dots(term) else str(len(term))
    message = f"{has}, but its term has {wanted}"
    raise ShapeError(with_carets(message, *marks(spec, [(number, None)])))


def _check_parameters(spec: Spec, given: Mapping[str, Size]) -> None:
    missing = [name for name in spec.parameters if name not in given]
    if missing:
        raise OperandError(
            f"'{spec}' has the parameters {', '.join(missing)}: give "
            f"{', '.join(f'{name}=...' for name in missing)} in the call, or bind them"
        )
