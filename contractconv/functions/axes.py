"""Axes that a caller names, and what sums of products over named axes are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from contractconv.api.tensor import Tensor, applied, as_node, as_size, size
from contractconv.errors import OperandError, ShapeError, with_carets
from contractconv.notation.parser import parse
from contractconv.notation.spec import SUM, Reduction
from contractconv.programs.build import as_axes, contract, plain_spec
from contractconv.programs.kinds import Kinds, is_differentiable, is_weak
from contractconv.programs.nodes import Axes

Named = str | Iterable[str]
"""Names of axes: ``"h w"``, or a list of them."""


def axes_of(x: Tensor, axes: Named | None, what: str = "the tensor") -> Axes:
    """Read names of axes that a tensor has; ``None`` for all of them.

    Raises:
        SpecError: something is no name, or stands twice.
        ShapeError: the tensor has no axis of a name; the message points at it.

    Example:
        >>> from contractconv.api.tensor import tensor
        >>> axes_of(tensor("x", "b h w c"), "h w")
        ('h', 'w')
    """
    if axes is None:
        return x.axes
    names = as_axes(axes)
    _check(names, x.axes, f"{what} has the axes '{' '.join(x.axes)}', and none called")
    return names


def axis_of(x: Tensor, axis: str, what: str = "the tensor") -> str:
    """Read the name of one axis that a tensor has.

    Raises:
        ShapeError: it has none of this name, or several names are given.
    """
    names = axes_of(x, axis, what)
    if len(names) != 1:
        shown = " ".join(names)
        raise ShapeError(with_carets("one axis is wanted here", shown, [(0, max(1, len(shown)))]))
    return names[0]


def check_within(inner: Tensor, axes: Axes, what: str, of: str) -> None:
    """Check that a tensor has no axes but some.

    Raises:
        ShapeError: it has; the message points at them.
    """
    _check(inner.axes, axes, f"{what} is along '{' '.join(inner.axes)}', {of} '{' '.join(axes)}':")


def without(axes: Axes, gone: Iterable[str]) -> Axes:
    """Axes but for some."""
    left_out = set(gone)
    return tuple(name for name in axes if name not in left_out)


def contracted(
    text: str, tensors: Sequence[Tensor], extents: Mapping[str, int | Tensor] | None = None
) -> Tensor:
    """Contract tensors as a string says."""
    sizes = {name: as_size(value) for name, value in (extents or {}).items()}
    return Tensor(contract(parse(text), [t._node for t in tensors], sizes))


def product(tensors: Sequence[Tensor], axes: Axes, reduce: Reduction = SUM) -> Tensor:
    """The product of tensors, aligned by name, reduced over all axes but some.

    Example:
        >>> from contractconv.api.tensor import tensor
        >>> product([tensor("x", "b i"), tensor("W", "i o")], ("b", "o"))
        <tensor b o>
    """
    spec = replace(plain_spec([t.axes for t in tensors], axes), reduce=reduce)
    return Tensor(contract(spec, [t._node for t in tensors]))


def summed(x: Tensor, weight: Tensor, axes: Iterable[str]) -> Tensor:
    """A tensor times a weight, summed over axes that both have.

    Raises:
        ShapeError: one of them lacks such an axis.
    """
    gone = axes_of(weight, axes, "the weight")
    axes_of(x, gone)
    kept = without(x.axes, gone)
    return product([x, weight], (*kept, *without(weight.axes, x.axes)))


def reduced(x: Tensor, axes: Axes, reduce: Reduction) -> Tensor:
    """Reduce a tensor over some of its axes; over none it is what it was."""
    return product([x], without(x.axes, axes), reduce) if axes else x


def number_of(x: Tensor, axes: Axes) -> Tensor:
    """How many elements there are along some axes, as a number."""
    sizes = [size(x, axis) for axis in axes]
    whole = sizes[0] if sizes else Tensor(as_node(1))
    for other in sizes[1:]:
        whole = whole * other
    return whole


def stopped(x: Tensor) -> Tensor:
    """The same value, which counts as a constant where it is differentiated."""
    return applied("stop_gradient", x)


def cast_like(x: Tensor, like: Tensor) -> Tensor:
    """The same in the numbers of another tensor, if it has others."""
    kinds = Kinds()
    if kinds[x._node] == kinds[like._node]:
        return x
    return x.cast(like=like)


def holds_integers(x: Tensor) -> bool:
    """Whether a tensor holds integers or truth values, whatever a program is compiled for."""
    numbers = Kinds()[x._node]
    return is_weak(numbers) or not is_differentiable(numbers)


def check_integers(x: Tensor, what: str, hint: str) -> None:
    """Check that a tensor holds integers.

    Raises:
        OperandError: it holds other numbers.
    """
    if not holds_integers(x):
        raise OperandError(f"{what} are integers: declare them so, as in {hint}")


def _check(names: Axes, known: Axes, message: str) -> None:
    shown, at = " ".join(names), 0
    wrong = []
    for name in names:
        if name not in known:
            wrong.append((name, (at, at + len(name))))
        at += len(name) + 1
    if wrong:
        listed = ", ".join(repr(name) for name, _ in wrong)
        raise ShapeError(with_carets(f"{message} {listed}", shown, [span for _, span in wrong]))
