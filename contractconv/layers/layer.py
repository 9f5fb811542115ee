"""A layer is a string, the shapes of its parameters, which follow from it, and a map."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from contractconv.api.contraction import Contraction
from contractconv.errors import OperandError, SpecError
from contractconv.layers.initialisers import check_init
from contractconv.layers.part import Part
from contractconv.layers.products import (
    Ending,
    check_ending,
    check_weights,
    extents_of_arrays,
    weight_names,
    weighted,
)
from contractconv.layers.tied import arranged_for
from contractconv.notation.extents import check_names

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.layers.trace import Trace


@dataclass(frozen=True)
class Said:
    """What a layer says of tensors of some shape: its string, with numbers.

    Attributes:
        contraction: what comes in, times weights.
        extents: those that nothing else says, and values of parameters.
        output_shape: the sizes of the result, where the rules do not choose them.
        names: what the axes of the result are called; by default as the string calls them.
        roles: what the weights are called.
    """

    contraction: Contraction
    extents: Mapping[str, int] = field(default_factory=dict)
    output_shape: tuple[int, ...] | None = None
    names: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None


class StringPart(Part):
    """A part that is one string, with a bias and a map behind it.

    Attributes:
        map: what is applied at the end.
        bias: the axes of the result along which a bias is added.
        init: what draws the weights.
        inputs: how many operands of the string come in.
    """

    map: Ending = None
    bias: str | bool | None = None
    init: Any = None
    inputs: int = 1

    @abstractmethod
    def _said(self, trace: Trace, *tensors: Tensor) -> Said:
        """The string, for what comes in."""

    @property
    @abstractmethod
    def contraction(self) -> Contraction:
        """The string, with symbols for what depends on the sizes of what comes in."""

    @property
    def string(self) -> str:
        """The string of the contraction, and what is done then."""
        reduce = self.contraction.reduce
        shown = str(self.contraction) + (" + bias" if self.bias else "")
        ends = [] if reduce == "sum" else [f"reduce {reduce}"]
        ends += [] if self.map is None else [map_name(self.map)]
        return ", ".join((shown, *ends))

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        if len(tensors) != self.inputs:
            raise OperandError(f"'{self.contraction}' takes {self.inputs}, not {len(tensors)}")
        said = self._said(trace, *tensors)
        taken = self._taken(tensors)
        count = len(said.contraction._spec.inputs) - len(taken)
        check_init(self.init, said.roles or weight_names(count))
        return weighted(
            trace, said.contraction, taken, said.extents, roles=said.roles, init=self.init,
            bias=self._along(said.names), map=self.map, output_shape=said.output_shape,
            name=said.names,
        )  # fmt: skip

    def _taken(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """The first operands of the string, of what comes in."""
        return tensors

    def _along(self, names: tuple[str, ...] | None) -> str | bool | None:
        """Along which axes of the result, which may be called so, a bias is added."""
        return self.bias


class Layer(StringPart):
    """A layer, as the string of what it does.

    Its first operand comes in; the others are weights, whose shapes follow from the string, from
    what comes in, and from the extents that are given.

    Args:
        spec: the string.
        map: what is applied at the end: the name of a map, ``"relu"``, or a function of a
            symbolic tensor.
        bias: the axes of the result along which a bias is added, ``"o"``; ``True`` for the last.
        reduce: how contributions combine; max pooling is a layer without weights.
        init: what draws the weights: a name (``"he"``, ``"glorot"``, ``"lecun"``,
            ``"orthogonal"``, ``"truncated_normal"``, ``"zeros"``, ...), an object of
            :mod:`contractconv.layers.initialisers`, an array, a function of a generator and a
            shape; or one for each weight by its name. By default ``"he"`` before a rectifier, or
            else ``"lecun"``.
        inputs: how many operands come in.
        parameters: names in the string that are coefficients, ``"s d p"``.
        weights: what the weights are called; by default as the contraction calls them, or ``W``,
            ``W_1``, ``W_2``, ...
        output_shape: the shape of the result, where the rules should not choose it.
        name: what the layer is called in its network.
        **extents: extents of indices that nothing else says, and values of parameters; arrays in
            ``init`` say theirs.

    Raises:
        SpecError: the string is none, or a weight in it has a window.
        ParameterError: the map or the initialiser is unknown.
        ShapeError: an extent is given of something that the string does not have.

    Example:
        >>> import contractconv as cc
        >>> conv = Layer("b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o", k=3, l=3, o=64, bias="o",
        ...              map="relu")
        >>> print(conv)
        b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o + bias, relu
        >>> net = cc.Network(conv)
        >>> net.parameters((8, 28, 28, 32))
        [<parameter W: k=3, l=3, c=32, o=64>, <parameter bias: o=64>]
    """

    kind: ClassVar[str] = "layer"

    # Any: a checker takes ``**extents`` of integers for a candidate of every keyword.
    def __init__(
        self,
        spec: str | Contraction,
        /,
        *,
        map: Any = None,
        bias: Any = None,
        reduce: Any = "sum",
        init: Any = None,
        inputs: int = 1,
        parameters: Any = (),
        weights: Any = None,
        output_shape: Any = None,
        name: Any = None,
        **extents: int,
    ) -> None:
        self._written = _contraction(spec, reduce, parameters)
        arranged = arranged_for(self._written, inputs)
        self._contraction, self._copies = arranged.contraction, arranged.copies
        check_ending(map)
        check_weights(self._contraction._spec, len(self._copies))
        check_names(self._contraction._spec, extents)
        check_init(init)
        self.map, self.bias, self.init, self.inputs = map, bias, init, inputs
        self.name, self.extents = name, dict(extents)
        roles = arranged.roles if weights is None else tuple(weights)
        count = len(self._copies)
        sizes = extents_of_arrays(self._contraction._spec, count, roles, init) | self.extents
        self._what = Said(self._contraction, sizes, output_shape, roles=roles)

    @property
    def contraction(self) -> Contraction:
        """The string."""
        return self._contraction

    @property
    def is_tied(self) -> bool:
        """Whether something that comes in stands in several places."""
        return len(set(self._copies)) < len(self._copies)

    def _taken(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        return [tensors[n] for n in self._copies]

    def _said(self, trace: Trace, *tensors: Tensor) -> Said:
        return self._what

    def __repr__(self) -> str:
        given = "".join(f", {name}={value}" for name, value in self.extents.items())
        return f"Layer({str(self.contraction)!r}{given})"


def map_name(map: Ending) -> str:
    """What a map is called."""
    return map if isinstance(map, str) else getattr(map, "__name__", "a function")


def _contraction(spec: Any, reduce: Any, parameters: Any) -> Contraction:
    if isinstance(spec, Contraction):
        return spec
    if not isinstance(spec, str):
        raise SpecError(
            f"a layer is made of a string, not of {type(spec).__name__}: what is made already "
            f"stands in a network as it is, and is wrapped by Module for torch or jax"
        )
    return Contraction(spec, reduce, parameters)
