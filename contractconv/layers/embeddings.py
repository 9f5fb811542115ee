"""Embeddings: a vector for each token, and for each position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from contractconv import functions as F
from contractconv.api.contraction import Contraction
from contractconv.errors import ShapeError
from contractconv.functions.axes import check_integers
from contractconv.layers.initialisers import Normal, as_initialiser, check_init
from contractconv.layers.options import check_count, check_number
from contractconv.layers.part import Part
from contractconv.layers.products import weighted
from contractconv.programs.build import unused

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.layers.trace import Trace


@dataclass(frozen=True, eq=False, repr=False)
class Embedding(Part):
    """The vector of each token: its code, which is one at the token, times a table.

    Integers come in; a token that is not in the table reads zeros.

    Args:
        vocabulary: how many tokens there are.
        features: how long their vectors are.
        init: what draws the table; by default standard normal numbers.
        name: what it is called in its network.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> str(Embedding(1000, 64))
        '... v, v c -> ... c, of codes [token = v]'
    """

    kind: ClassVar[str] = "embedding"
    takes_integers = True
    vocabulary: int
    features: int
    init: Any = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_init(self.init, ("W",))
        check_count(self.vocabulary, "vocabulary")
        check_count(self.features, "features")

    @property
    def contraction(self) -> Contraction:
        """The string, of codes and the table."""
        return Contraction("... v, v c -> ... c")

    @property
    def string(self) -> str:
        """The string, and what comes into it."""
        return f"{self.contraction}, of codes [token = v]"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        tokens = self._only(tensors)
        check_integers(tokens, "tokens", 'cc.Network(..., inputs=cc.tensor("x", "b t", "int64"))')
        code = F.one_hot(tokens, unused("v", tokens.axes), self.vocabulary)
        return weighted(
            trace, self.contraction, [code], {"c": self.features},
            init=Normal(1.0) if self.init is None else self.init,
            name=(*tokens.axes, unused("c", tokens.axes)),
        )  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Positions(Part):
    """Waves are added that say where something stands, along the axis before the last one.

    Args:
        base: how much longer the longest wave is than the shortest.
        name: what it is called in its network.

    Example:
        >>> str(Positions())
        '... t c + waves t c, of lengths 2 pi to 2 pi 10000.0'

    Source: Vaswani et al., "Attention is all you need", NeurIPS (2017), section 3.5.
    """

    kind: ClassVar[str] = "positions"
    base: float = 10000.0
    name: str | None = None

    def __post_init__(self) -> None:
        check_number(self.base, "base", 1)

    @property
    def string(self) -> str:
        """What is added."""
        return f"... t c + waves t c, of lengths 2 pi to 2 pi {self.base}"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = self._only(tensors)
        _check_positions(x)
        axis, feature = x.axes[-2:]
        return x + F.sinusoidal(x, axis, feature, self.base)


@dataclass(frozen=True, eq=False, repr=False)
class LearnedPositions(Part):
    """A vector that is learnt is added for each position, along the axis before the last one.

    Args:
        length: how many positions there are; what comes in may be shorter.
        init: what draws the table; by default normal numbers with deviation 0.02.
        name: what it is called in its network.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> str(LearnedPositions(512))
        '... t c + W t c'

    Source: Gehring et al., "Convolutional sequence to sequence learning", ICML (2017), section 3.1.
    """

    kind: ClassVar[str] = "learned_positions"
    length: int
    init: Any = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_init(self.init)
        check_count(self.length, "length")

    @property
    def string(self) -> str:
        """What is added."""
        return "... t c + W t c"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = self._only(tensors)
        _check_positions(x)
        axis, feature = x.axes[-2:]
        length, features = trace.shape(x)[-2:]
        if length > self.length:
            raise ShapeError(f"there are {self.length} positions, and {length} come in")
        init = Normal(0.02) if self.init is None else as_initialiser(self.init)
        table = trace.parameter("W", (axis, feature), (self.length, features), init).tensor
        used = table.named((axis, feature))
        return x + (used.at(**{axis: slice(0, length)}) if length < self.length else used)


def _check_positions(x: Tensor) -> None:
    if x.ndim < 2:
        shown = " ".join(x.axes)
        raise ShapeError(f"positions are along the axis before the last one: '{shown}' has none")
