"""Contractions, slices and derivatives of symbolic tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, overload

from contractconv.api.tensor import Tensor, applied, as_node, as_size, checked_axis
from contractconv.errors import OperandError, ParameterError, ShapeError
from contractconv.maps.table import MAPS
from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.keywords import merged
from contractconv.notation.spec import Spec
from contractconv.planning.options import unsaid
from contractconv.programs.build import contract, named, plain_spec, repeated, transposed
from contractconv.programs.gradients import added, gradients, tangents
from contractconv.programs.kinds import TRUTH
from contractconv.programs.nodes import Cast, Input, Map, Named, Node, Number
from contractconv.programs.sizes import Extent, Size

if TYPE_CHECKING:
    from contractconv.api.contraction import Contraction


def contracted(
    forward: Contraction,
    operands: Sequence[Any],
    keywords: Mapping[str, Any],
    extents: object,
    given: Mapping[str, Any],
) -> Tensor:
    """Contract symbolic tensors, numbers among them.

    Args:
        forward: the contraction.
        operands: tensors, numbers, and arrays without axes.
        keywords: extents and parameters by keyword: integers, or sizes of tensors.
        extents: the same in a mapping.
        given: the other options of the call.

    Raises:
        ParameterError: an option that says how a contraction is carried out.
    """
    for name, value in given.items():
        if name not in _UNDERSTOOD and not unsaid({name: value}):
            raise ParameterError(
                f"{name}={value!r} is for arrays: a program plans its contractions by itself"
            )
    sizes = {name: as_size(value) for name, value in merged(extents, keywords).items()}
    shape = given.get("output_shape")
    told = None if shape is None else [as_size(value) for value in shape]
    nodes = [as_node(operand) for operand in operands]
    made = Tensor(contract(forward._spec, nodes, sizes, told))
    if given.get("bias") is not None:
        bias = as_node(given["bias"])
        made = made + Tensor(bias).named(made.axes[-len(bias.axes) :] if bias.axes else ())
    return made if given.get("activation") is None else applied(given["activation"], made)


_UNDERSTOOD = ("output_shape", "bias", "activation")


@overload
def grad(loss: Tensor, wrt: Tensor, cotangent: Tensor | float | None = None) -> Tensor: ...


@overload
def grad(
    loss: Tensor, wrt: Sequence[Tensor], cotangent: Tensor | float | None = None
) -> list[Tensor]: ...


def grad(
    loss: Tensor, wrt: Tensor | Sequence[Tensor], cotangent: Tensor | float | None = None
) -> Tensor | list[Tensor]:
    """Derive the gradient of a loss, as a program again.

    Args:
        loss: a number; or any tensor, with a cotangent.
        wrt: the tensor, or tensors, by which it is differentiated: inputs, or values on the way.
        cotangent: what comes back to ``loss``, with the same axes; one, for a number.

    Returns:
        A tensor with the axes of ``wrt``; a list of them, in order, for several. Its numbers are
        those of ``wrt``.

    Raises:
        ShapeError: there is no cotangent, and the loss has axes; or the cotangent has others.
        OperandError: a tensor of integers.

    Example:
        >>> import contractconv as cc
        >>> x, W = cc.tensor("x", "b i"), cc.tensor("W", "i o")
        >>> y = cc.contract("b i, i o -> b o", x, W)
        >>> cc.grad(cc.contract("b o ->", y * y), W)
        <tensor i o>
    """
    targets = _listed(wrt)
    back = _cotangent(loss, cotangent)
    nodes = [_checked(target)._node for target in targets]
    output, *wanted = _split([loss._node, *nodes])
    made = [Tensor(node) for node in gradients([output], [back], wanted)]
    return made[0] if isinstance(wrt, Tensor) else made


def jvp(output: Tensor, wrt: Tensor | Sequence[Tensor], tangent: Any) -> Tensor:
    """Derive how a tensor changes, if others change in some directions: a Jacobian times vectors.

    Args:
        output: the tensor.
        wrt: what changes.
        tangent: how it does; one tensor for each of ``wrt``, with its axes.

    Returns:
        A tensor with the axes of ``output``.

    Example:
        >>> import contractconv as cc
        >>> x, v = cc.tensor("x", "i"), cc.tensor("v", "i")
        >>> cc.jvp(cc.contract("i, i ->", x, x), x, v)
        <tensor a number>
    """
    targets = _listed(wrt)
    directions = _directions(wrt, tangent, "a tangent")
    split, *wanted = _split([output._node, *(_checked(w)._node for w in targets)])
    (made,) = tangents([split], wanted, directions)
    return Tensor(made)


def hvp(loss: Tensor, wrt: Tensor | Sequence[Tensor], vector: Any) -> Any:
    """Derive the Hessian of a loss times a vector: how the gradient changes in its direction.

    Args:
        loss: a number.
        wrt: the tensor, or tensors, by which it is differentiated twice.
        vector: one tensor for each of ``wrt``, with its axes.

    Returns:
        As :func:`grad` does.
    """
    targets = _listed(wrt)
    directions = _directions(wrt, vector, "a vector")
    slopes = grad(loss, targets)
    products = [_inner(s._node, v) for s, v in zip(slopes, directions, strict=True)]
    return grad(Tensor(added(products)), wrt)


def gauss_newton(loss: Tensor, output: Tensor, wrt: Tensor | Sequence[Tensor], vector: Any) -> Any:
    """Derive the Gauss-Newton matrix times a vector: the Hessian by an output, seen through it.

    Args:
        loss: a number, made of ``output``.
        output: the value on the way, a network's logits, in which the loss is convex.
        wrt: the tensor, or tensors.
        vector: one tensor for each of ``wrt``, with its axes.

    Returns:
        As :func:`grad` does: ``Jᵀ H J v``, with ``J`` the Jacobian of the output and ``H`` the
        Hessian of the loss by the output.
    """
    pushed = jvp(output, wrt, vector)
    curved = jvp(grad(loss, output), output, pushed)
    return grad(output, wrt, cotangent=curved)


def _listed(wrt: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """The tensors by which something is differentiated: one, or several."""
    return [wrt] if isinstance(wrt, Tensor) else list(wrt)


def _directions(wrt: Tensor | Sequence[Tensor], given: Any, what: str) -> list[Node]:
    """What each of them is given, with its axes."""
    targets = _listed(wrt)
    values = [given] if isinstance(wrt, Tensor) else list(given)
    if len(values) != len(targets):
        raise OperandError(f"{len(targets)} tensors change in {len(values)} directions")
    return [_aligned(v, w, what) for v, w in zip(values, targets, strict=True)]


def _split(nodes: Sequence[Node]) -> list[Node]:
    """The same nodes; contractions whose gradients are among them meet in pairs.

    Otherwise each gradient would have as many gradients again as the contraction has operands.
    """
    from contractconv.planning.programs.shared_products import shared  # an order is planned

    return shared(nodes)


def _cotangent(loss: Tensor, given: Any) -> Node:
    if given is None and loss.ndim:
        raise ShapeError(
            f"the loss has the axes '{' '.join(loss.axes)}': sum it up, as in cc.contract("
            f"'{' '.join(loss.axes)} ->', loss), or give a cotangent with these axes"
        )
    return Number((), value=1) if given is None else _aligned(given, loss, "the cotangent")


def _aligned(given: Any, like: Tensor, what: str) -> Node:
    """What has to have the axes of a tensor, in its order; a number is repeated."""
    node = as_node(given)
    if node.axes and set(node.axes) != set(like.axes):
        raise ShapeError(
            f"{what} has the axes '{' '.join(node.axes)}', "
            f"what it belongs to '{' '.join(like.axes)}'"
        )
    return repeated(node, like._node)


def _checked(target: Any) -> Tensor:
    if not isinstance(target, Tensor):
        raise OperandError(f"{target!r} is no symbolic tensor to differentiate by")
    return target


def _inner(first: Node, second: Node) -> Node:
    """The inner product of two nodes with the same axes."""
    return contract(plain_spec([first.axes, second.axes], ()), [first, second])


# -- parts of tensors ----------------------------------------------------------------------------


def part(source: Tensor, axis: str, at: int | slice) -> Tensor:
    """A slice, or one element, of an axis: a contraction whose axis has an offset."""
    name = checked_axis(source, axis)
    total = Size.of(Extent(source._node, name))
    if isinstance(at, slice):
        return _sliced(source, name, at, total)
    offset = Size.of(at) if at >= 0 else total + at
    spec = _moved(source, name, offset, 0)
    kept = tuple(a for a in spec.output if a.plain != name)
    return _made(source, Spec(spec.inputs, kept, parameters=spec.parameters), {"start": offset})


def _sliced(source: Tensor, axis: str, at: slice, total: Size) -> Tensor:
    step = 1 if at.step is None else at.step
    if step < 1:
        raise ShapeError(f"a step of {step}: axes are read forwards; write '(n-1-i)' to turn one")
    start = _bound(at.start, total, Size.of(0))
    stop = _bound(at.stop, total, total)
    count = stop - start
    if step > 1 and count.number is None:
        if at.stop is not None:
            raise ShapeError(
                "a slice with a step, and an end counted from the other end, has no size"
            )
        return _made(source, _moved(source, axis, start, step), {"start": start})
    number = count if count.number is None else Size.of(max(0, -(-count.number // step)))
    return _made(source, _moved(source, axis, start, step), {"start": start, axis: number})


def _bound(given: int | None, total: Size, missing: Size) -> Size:
    if given is None:
        return missing
    return Size.of(given) if given >= 0 else total + given


# The index of a window of a single point.
_POINT = "point"


def _moved(source: Tensor, axis: str, start: Size, step: int) -> Spec:
    """A string that reads an axis from a start on."""
    plain = tuple(map(Affine.index, source.axes))
    number = start.number
    offset = Polynomial.symbol("start") if number is None else Polynomial.of(number)
    factors = [(axis, Polynomial.of(step))] if step else []
    if step == 1 and not number:
        # A plain axis is as long as the array: one with a window of a single point need not be.
        factors.append((_POINT, Polynomial.of(1)))
    moved = Affine.of(factors, offset)
    term = tuple(moved if a.plain == axis else a for a in plain)
    return Spec((term,), plain, parameters=() if number is not None else ("start",))


def _made(source: Tensor, spec: Spec, given: Mapping[str, Size]) -> Tensor:
    return _as_it_was(Tensor(contract(spec, [source._node], _told(spec, given))), [source])


def _as_it_was(made: Tensor, sources: Sequence[Tensor]) -> Tensor:
    """What was only moved: truth values are not counted then, as they are where they are added."""
    return made.cast(TRUTH) if all(_are_truths(source._node) for source in sources) else made


def _are_truths(node: Node) -> bool:
    while isinstance(node, Named):
        (node,) = node.sources
    if isinstance(node, Map):
        return MAPS[node.function].kind == TRUTH
    return isinstance(node, Input | Cast) and node.dtype == TRUTH


def _told(spec: Spec, given: Mapping[str, Size]) -> dict[str, Size]:
    """What a string does not say itself: of a start at zero, the window's single point."""
    known = {*spec.indices, *spec.parameters}
    told = {name: size for name, size in given.items() if name in known}
    return told | ({_POINT: Size.of(1)} if _POINT in spec.indices else {})


def concatenated(tensors: Sequence[Tensor], axis: str) -> Tensor:
    """Tensors one behind the other along an axis: each placed at an offset, and added."""
    if not tensors:
        raise OperandError("there is nothing to concatenate")
    first = tensors[0]
    for other in tensors:
        checked_axis(other, axis)
        if set(other.axes) != set(first.axes):
            raise ShapeError(
                f"tensors with the axes '{' '.join(first.axes)}' and '{' '.join(other.axes)}' "
                "cannot stand behind each other"
            )
    nodes = [transposed(tensor._node, first.axes) for tensor in tensors]
    sizes = [Size.of(Extent(node, axis)) for node in nodes]
    whole = [Size.of(Extent(nodes[0], name)) for name in first.axes]
    whole[first.axes.index(axis)] = sum(sizes, start=Size(()))
    offsets = accumulate(sizes[:-1], initial=Size(()))
    placed = [_placed(node, axis, at, whole) for node, at in zip(nodes, offsets, strict=True)]
    return _as_it_was(Tensor(added(placed)), tensors)


def _placed(node: Node, axis: str, start: Size, whole: Sequence[Size]) -> Node:
    """An array of zeros in which another one stands from a start on."""
    read = _moved(Tensor(node), axis, start, 1)
    spec = Spec((read.output,), read.inputs[0], parameters=read.parameters)
    return named(contract(spec, [node], _told(spec, {"start": start}), whole), node.axes)
