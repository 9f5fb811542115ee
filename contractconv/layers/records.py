"""What is known of a traced network: its parameters, and its parts where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contractconv.layers.initialisers import Drawn, Initialiser

if TYPE_CHECKING:
    from contractconv.api.contraction import Contraction
    from contractconv.api.tensor import Tensor
    from contractconv.layers.part import Part

Path = tuple[str, ...]
"""Where something is in a nested dict."""


@dataclass(frozen=True, eq=False)
class Parameter:
    """An array that a network has: what is trained, or a statistic that runs along.

    Attributes:
        path: where it is in the nested dict of parameters, ``("conv_1", "W")``.
        axes: the names of its axes, ``("k", "l", "c", "o")``.
        shape: their sizes.
        init: what draws it.
        drawn: what that needs to know.
        trained: whether it has a gradient; a running statistic has none.
        tensor: the input of the program.
    """

    path: Path
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    init: Initialiser
    drawn: Drawn
    trained: bool
    tensor: Tensor

    @property
    def name(self) -> str:
        """Its path as one word, ``"conv_1.W"``."""
        return ".".join(self.path)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{a}={n}" for a, n in zip(self.axes, self.shape, strict=True))
        return f"<parameter {self.name}: {sizes or 'a number'}>"


@dataclass(frozen=True, eq=False)
class Product:
    """A contraction of what comes in with weights.

    Attributes:
        contraction: the string, its parameters bound.
        operands: what it contracts, weights among them.
        extents: those of indices that were given.
        output_shape: the sizes of the result, where the rules do not choose them.
        result: what it makes, before bias and map.
        weights: the weights among the operands, by their position.
        bias: what is added to the result.
    """

    contraction: Contraction
    operands: tuple[Tensor, ...]
    extents: Mapping[str, int]
    output_shape: tuple[int, ...] | None
    result: Tensor
    weights: Mapping[int, Parameter]
    bias: Parameter | None


@dataclass(frozen=True, eq=False)
class Call:
    """A part, where it stands in a network.

    Attributes:
        path: what it is called, after the parts that it is in.
        part: the part.
        inputs: what it was given.
        output: what it made.
        parameters: its own.
        products: the contractions with weights among what it does.
    """

    path: Path
    part: Part
    inputs: tuple[Tensor, ...]
    output: Tensor
    parameters: tuple[Parameter, ...]
    products: tuple[Product, ...]


@dataclass(frozen=True, eq=False)
class Mask:
    """Chance that is drawn for each call: truth values, each true with a probability.

    Attributes:
        tensor: the input of the program.
        shape: its sizes.
        kept: how likely each is true.
    """

    tensor: Tensor
    shape: tuple[int, ...]
    kept: float
