"""Symbolic tensors: what a program is written with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from contractconv.errors import OperandError, ProgramError, ShapeError, with_carets
from contractconv.programs.build import apply, as_axes, named
from contractconv.programs.kinds import DTYPES
from contractconv.programs.lengths import size_of
from contractconv.programs.nodes import Cast, Input, Length, Node, Number, Position
from contractconv.programs.sizes import Extent, Size
from contractconv.programs.text.words import checked_name


class Tensor:
    """A value of a program: it has named axes, and neither sizes nor numbers.

    Operators and maps align by name: what lacks an axis is repeated along it. Two tensors are
    compared element by element by ``==``; ``same_as`` says whether they are the same value.
    """

    __slots__ = ("_node",)
    __array_ufunc__ = None  # numpy's arrays leave operators to us
    _node: Node

    def __init__(self, node: Node) -> None:
        object.__setattr__(self, "_node", node)

    # -- what it is ----------------------------------------------------------------------------

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of its axes."""
        return self._node.axes

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self._node.axes)

    @property
    def label(self) -> str | None:
        """What it is called in a program."""
        return self._node.label

    def called(self, name: str) -> Tensor:
        """The same value under a name that programs write."""
        return Tensor(self._node.called(_checked_name(name)))

    def named(self, axes: str | Iterable[str]) -> Tensor:
        """The same array, whose axes have other names.

        Raises:
            ShapeError: the number of axes differs.
        """
        names = as_axes(axes)
        if len(names) != self.ndim:
            shown = " ".join(names)
            given = f"{len(names)} name{'s' * (len(names) != 1)}"
            message = f"{given} for the {self.ndim} axes '{' '.join(self.axes)}'"
            raise ShapeError(with_carets(message, shown, [(0, len(shown))]))
        return Tensor(named(self._node, names))

    def cast(self, dtype: str | None = None, like: Tensor | None = None) -> Tensor:
        """The same in other numbers: those of a dtype, or those of another tensor."""
        name = None if dtype is None else as_dtype(dtype)
        meant = None if like is None else like._node
        return Tensor(Cast(self.axes, source=self._node, dtype=name, like=meant))

    def at(self, **positions: int | slice) -> Tensor:
        """A part of the array: one element of an axis, which goes, or a slice of it.

        Places may be counted from the end; a slice is read forwards. What lies outside is zero, as
        everywhere: an array has the elements that a slice asks for, whether they are there or not.

        Example:
            >>> x = tensor("x", "b t c")
            >>> x.at(t=-1), x.at(t=slice(2, None))
            (<tensor b c>, <tensor b t c>)
        """
        from contractconv.api.symbolic import part  # it is made of tensors itself

        found = self
        for axis, at in positions.items():
            found = part(found, axis, at)
        return found

    def same_as(self, other: Tensor) -> bool:
        """Whether it says the same of the same tensors."""
        return self._node == other._node

    # -- maps ----------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Tensor:
        return applied("add", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return applied("add", other, self)

    def __sub__(self, other: Any) -> Tensor:
        return applied("subtract", self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return applied("subtract", other, self)

    def __mul__(self, other: Any) -> Tensor:
        return applied("multiply", self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return applied("multiply", other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return applied("divide", self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return applied("divide", other, self)

    def __pow__(self, other: Any) -> Tensor:
        return applied("power", self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return applied("power", other, self)

    def __mod__(self, other: Any) -> Tensor:
        return applied("mod", self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return applied("mod", other, self)

    def __neg__(self) -> Tensor:
        return applied("negative", self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return applied("abs", self)

    def __invert__(self) -> Tensor:
        return applied("logical_not", self)

    def __and__(self, other: Any) -> Tensor:
        return applied("logical_and", self, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Tensor:
        return applied("logical_or", self, other)

    __ror__ = __or__

    def __lt__(self, other: Any) -> Tensor:
        return applied("less", self, other)

    def __le__(self, other: Any) -> Tensor:
        return applied("less_equal", self, other)

    def __gt__(self, other: Any) -> Tensor:
        return applied("greater", self, other)

    def __ge__(self, other: Any) -> Tensor:
        return applied("greater_equal", self, other)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return applied("equal", self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return applied("not_equal", self, other)

    # -- being a value -------------------------------------------------------------------------

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> NoReturn:
        raise ProgramError(
            "a symbolic tensor has no truth value: choose between values with cc.where, and "
            "combine truth values with &, | and ~"
        )

    def __iter__(self) -> NoReturn:
        raise ProgramError("a symbolic tensor has no elements: its sizes are not known yet")

    __len__ = __iter__

    def __matmul__(self, other: Any) -> NoReturn:
        raise ProgramError("which axes does @ mean? write cc.contract('b i, i o -> b o', x, W)")

    __rmatmul__ = __matmul__

    def __setattr__(self, *given: object) -> NoReturn:
        raise AttributeError("a symbolic tensor is immutable")

    def __repr__(self) -> str:
        called = f"{self.label}: " if self.label else ""
        return f"<tensor {called}{' '.join(self.axes) or 'a number'}>"


def tensor(name: str, axes: str | Iterable[str] = "", dtype: str | None = None) -> Tensor:
    """An array that a program is given.

    Args:
        name: what it is called.
        axes: the names of its axes, ``"b h w c"``.
        dtype: the numbers that it has, ``"int64"``; by default those that the program is compiled
            for.

    Raises:
        ProgramError: the name is none.
        SpecError: one of the axes has no name, or that of another one.
        OperandError: the dtype is not one of numbers.

    Example:
        >>> x, W = tensor("x", "b i"), tensor("W", "i o")
        >>> x * 2 + W
        <tensor b i o>
    """
    numbers = None if dtype is None else as_dtype(dtype)
    called = _checked_name(name)
    return Tensor(Input(as_axes(axes), name=called, dtype=numbers, label=called))


def index(name: str, size: int | Tensor | None = None) -> Tensor:
    """An index as a value: along its only axis it holds 0, 1, 2, ...

    Args:
        name: of the axis.
        size: of the axis; by default it follows from what the value meets.

    Example:
        >>> index("q") >= index("k")
        <tensor q k>
    """
    given = None if size is None else Size.of(as_size(size))
    return Tensor(Position(as_axes(name)[:1], size=given))


def size(tensor: Tensor, axis: str) -> Tensor:
    """The size of an axis, as a number; extents of contractions may be such numbers.

    Raises:
        ShapeError: there is no such axis.
    """
    return Tensor(Length((), size=Size.of(Extent(tensor._node, checked_axis(tensor, axis)))))


def applied(function: str, *arguments: Any) -> Tensor:
    """Apply a map to tensors and numbers, aligned by the names of axes."""
    return Tensor(apply(function, *map(as_node, arguments)))


def checked_axis(tensor: Tensor, name: str) -> str:
    """The name of an axis of a tensor, if it is one.

    Raises:
        ShapeError: it is none; the message points at it.
    """
    if name in tensor.axes:
        return name
    message = f"{name!r} is no axis: there are '{' '.join(tensor.axes)}'"
    raise ShapeError(with_carets(message, str(name), [(0, len(str(name)))]))


def as_node(value: Any) -> Node:
    """The node of a tensor, or of a number: Python's, numpy's, or an array without axes.

    Raises:
        OperandError: it is an array, or no number.
    """
    if isinstance(value, Tensor):
        return value._node
    if type(value) in (bool, int, float, complex):
        return Number((), value=value)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return as_node(value.item())
    if hasattr(value, "shape"):
        raise OperandError(
            f"an array of shape {tuple(value.shape)} has no names for its axes: make it an input, "
            "as in cc.tensor('mask', 'q k'), and pass it when the program is run"
        )
    raise OperandError(f"{value!r} is neither a symbolic tensor nor a number")


def as_size(value: Any) -> int | Size:
    """A size that a caller gave: an integer, or what :func:`size` returned, and sums of them.

    Raises:
        ShapeError: it is no size.
    """
    found = size_of(as_node(value)) if isinstance(value, Tensor) else value
    if isinstance(found, bool) or not isinstance(found, (int, Size)):
        raise ShapeError(f"{value!r} is no size: an integer, or a sum of cc.size(x, 'axis')")
    return found


# What numpy makes of Python's numbers.
_PYTHONS = {"float": "float64", "int": "int64", "complex": "complex128"}


def as_dtype(dtype: Any) -> str:
    """The name of a dtype that a tensor can have.

    Raises:
        OperandError: it has another one.
    """
    given = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    name = _PYTHONS.get(given, given)
    if name not in DTYPES:
        raise OperandError(
            f"{dtype!r} is not a dtype of numbers: choose one of {', '.join(DTYPES)}"
        )
    return name


def _checked_name(name: object) -> str:
    return checked_name(name if isinstance(name, str) else repr(name), "a tensor")
