"""A string as a module of PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contractconv.api.contraction import Contraction
from contractconv.errors import ContractionError
from contractconv.execution.torch.constants import Tensor
from contractconv.layers.layer import Layer as StringLayer
from contractconv.networks.network import Network
from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.spec import Axis
from contractconv.programs.build import as_axes
from contractconv.torch.module import Module


class Layer(Module):
    """A layer of PyTorch, as the string of what it does.

    Its parameters have the shapes that the string says. Where these follow from what comes in, they
    are made at the first call, or for the ``shape`` that is given.

    Args:
        spec: the string; what follows is that of :class:`contractconv.Layer`.
        map: what is applied at the end.
        bias: the axes of the result along which a bias is added, ``"o"``; ``True`` for the last.
        reduce: how contributions combine.
        init: what draws the weights.
        inputs: how many operands come in.
        parameters: names in the string that are coefficients, ``"s d p"``.
        weights: what the weights are called; by default ``W``, or ``W_1``, ``W_2``, ...
        output_shape: the shape of the result, where the rules should not choose it.
        shape: that of what comes in; several, if several operands do.
        seed: what draws the first parameters: a number, or a generator of torch or of numpy; by
            default torch's own.
        dtype: of the parameters; by default torch's.
        device: where they are.
        **extents: extents of indices, and values of parameters.

    Raises:
        SpecError: the string is none, or a weight in it has a window.
        ParameterError: the map or the initialiser is unknown.
        ShapeError: an extent is given of something that the string does not have.

    Example:
        >>> import torch
        >>> pool = Layer("b (2*i+k) (2*j+l) c -> b i j c", reduce="max", k=2, l=2)
        >>> model = torch.nn.Sequential(Layer("b h w c, c o -> b h w o", o=4), pool)
        >>> model(torch.ones(2, 6, 6, 3)).shape
        torch.Size([2, 3, 3, 4])
        >>> model[0]
        Layer(b h w c, c o -> b h w o)
    """

    def __init__(
        self,
        spec: str | Contraction,
        /,
        *,
        map: Any = None,
        bias: Any = None,
        reduce: Any = "sum",
        init: Any = None,
        inputs: Any = 1,
        parameters: Any = (),
        weights: Any = None,
        output_shape: Any = None,
        shape: Any = None,
        seed: Any = None,
        dtype: Any = None,
        device: Any = None,
        **extents: int,
    ) -> None:
        part = StringLayer(
            spec, map=map, bias=bias, reduce=reduce, init=init, inputs=inputs,
            parameters=parameters, weights=weights, output_shape=output_shape, **extents,
        )  # fmt: skip
        super().__init__(Network(part, name="layer"), seed=seed, dtype=dtype, device=device)
        self._part = part
        if shape is not None:
            self.make(*([shape] if inputs == 1 else shape))
        elif _are_told(part):
            self._make_without_shape()

    def extra_repr(self) -> str:
        """The string."""
        return self._part.string

    def _seen(self, inputs: Sequence[Tensor]) -> list[tuple[tuple[int, ...], str]]:
        """What the plan depends on: a string says the same of all sizes."""
        if any(x.ndim != len(shape) for x, shape in zip(inputs, self.shapes, strict=False)):
            return super()._seen(inputs)
        pairs = zip(inputs, self.shapes, strict=True)
        return [(shape, str(x.dtype)) for x, shape in pairs]

    def _make_without_shape(self) -> None:
        """Make parameters that any input would have, of some small one."""
        terms = self._part.contraction._spec.inputs[: self._part.inputs]
        try:
            self.make(*(_small(term, self._part.extents) for term in terms))
        except ContractionError:  # then it takes what comes in
            return


def _are_told(part: StringLayer) -> bool:
    """Whether what is given says the shapes of all parameters."""
    spec = part.contraction._spec
    if part.is_tied:
        return False
    if spec.has_dots or part.bias is True:
        return False
    names = {name for term in spec.inputs[part.inputs :] for axis in term for name in axis.names}
    return {*names, *spec.parameters, *as_axes(part.bias or "")} <= part.extents.keys()


def _small(term: Sequence[Axis], extents: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(_size(axis, extents) for axis in term)


def _size(axis: Axis, extents: Mapping[str, int]) -> int:
    """A size that an axis can have."""
    if not isinstance(axis, Affine):
        size = 1
        for name in axis.names:
            size *= extents.get(name, 1)
        return size
    reach = sum(abs(_number(c, extents)) * (extents.get(n, 1) - 1) for n, c in axis.terms)
    return reach + abs(_number(axis.offset, extents)) + 1


def _number(factor: Polynomial, extents: Mapping[str, int]) -> int:
    return factor.bind(extents).number
