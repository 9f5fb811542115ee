"""What parameters begin with: numbers drawn such that layers keep what passes them at one scale."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod, sqrt
from typing import TYPE_CHECKING, Any, Literal

from contractconv.errors import ParameterError, ShapeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Generator = np.random.Generator

Shape = tuple[int, ...]
Distribution = Literal["normal", "uniform", "truncated"]
Fan = Literal["in", "out", "average"]


@dataclass(frozen=True)
class Drawn:
    """What is drawn, and what it is for.

    Attributes:
        shape: its sizes.
        fan_in: how many products are added up in an element of the result, boundary aside.
        fan_out: how many elements of the result an element of the input reaches.
        weights: how many weights are multiplied in each product.
        summed: the positions of axes that are summed.
        kept: those of axes that the result has, too.
    """

    shape: Shape
    fan_in: Fraction = Fraction(1)
    fan_out: Fraction = Fraction(1)
    weights: int = 1
    summed: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()


def _normal(rng: Generator, shape: Shape) -> Array:
    return rng.standard_normal(shape)


def _uniform(rng: Generator, shape: Shape) -> Array:
    """Evenly distributed numbers with variance one."""
    return rng.uniform(-sqrt(3), sqrt(3), shape)


# The standard deviation of a normal distribution that ends at two deviations.
_LEFT = 0.8796256610342398


def _truncated(rng: Generator, shape: Shape) -> Array:
    """Normally distributed numbers up to two deviations, made as wide as all would be."""
    import numpy as np

    found = rng.standard_normal(shape)
    while (far := np.abs(found) > 2).any():
        found = np.where(far, rng.standard_normal(shape), found)
    return found / _LEFT


_DRAWN: dict[str, Callable[..., Any]] = {
    "normal": _normal,
    "uniform": _uniform,
    "truncated": _truncated,
}


class Initialiser(ABC):
    """What draws the first numbers of a parameter."""

    @abstractmethod
    def __call__(self, rng: Generator, drawn: Drawn) -> Array:
        """Draw an array of ``drawn.shape``, in double precision."""


@dataclass(frozen=True)
class Constant(Initialiser):
    """The same number everywhere."""

    value: float = 0.0

    def __call__(self, rng: Generator, drawn: Drawn) -> Array:
        """Fill an array."""
        import numpy as np

        return np.full(drawn.shape, self.value)


@dataclass(frozen=True)
class Normal(Initialiser):
    """Normally distributed numbers; ``truncated`` draws those again that are far out.

    Attributes:
        deviation: the standard deviation, of the truncated numbers too.
        truncated: whether what is more than two deviations of the whole distribution away is
            drawn again.
        mean: of the numbers.
    """

    deviation: float = 0.01
    truncated: bool = False
    mean: float = 0.0

    def __call__(self, rng: Generator, drawn: Drawn) -> Array:
        """Draw numbers."""
        drawing = _truncated if self.truncated else _normal
        return self.mean + self.deviation * drawing(rng, drawn.shape)


@dataclass(frozen=True)
class Uniform(Initialiser):
    """Evenly distributed numbers, ``low <= x < high``."""

    low: float = -0.05
    high: float = 0.05

    def __call__(self, rng: Generator, drawn: Drawn) -> Array:
        """Draw numbers."""
        found: Array = rng.uniform(self.low, self.high, drawn.shape)
        return found


@dataclass(frozen=True)
class Scaled(Initialiser):
    """Numbers whose variance is ``gain / fan``.

    Where several weights are multiplied, as in kernels in factors, the variance of their product
    is: the sum of all products has the scale that it would have with a single weight.

    Attributes:
        gain: two behind a rectifier, which loses half of the variance; one for a linear layer.
        fan: ``"in"`` keeps the scale of activations, ``"out"`` that of what comes back,
            ``"average"`` is between the two.
        distribution: of the numbers.
    """

    gain: float = 1.0
    fan: Fan = "in"
    distribution: Distribution = "normal"

    def __post_init__(self) -> None:
        if self.fan not in ("in", "out", "average"):
            raise ParameterError(f"fan={self.fan!r}: 'in', 'out' or 'average' is wanted")
        if self.distribution not in _DRAWN:
            raise ParameterError(
                f"distribution={self.distribution!r}: one of {', '.join(_DRAWN)} is wanted"
            )

    def __call__(self, rng: Generator, drawn: Drawn) -> Array:
        """Draw numbers."""
        variance = self.gain / max(float(self._fan(drawn)), 1e-12)
        deviation = sqrt(variance) ** (1 / drawn.weights)
        found: Array = deviation * _DRAWN[self.distribution](rng, drawn.shape)
        return found

    def _fan(self, drawn: Drawn) -> Fraction:
        fans = {"in": drawn.fan_in, "out": drawn.fan_out}
        return fans.get(self.fan, (drawn.fan_in + drawn.fan_out) / 2)


@dataclass(frozen=True)
class Orthogonal(Initialiser):
    """Columns at right angles: as a matrix from what is summed to what is kept, by groups.

    Attributes:
        gain: what the matrix is multiplied by.

    Source: Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks", ICLR (2014).
    """

    gain: float = 1.0

    def __call__(self, rng: Generator, drawn: Drawn) -> Array:
        """Draw a matrix for each group."""
        import numpy as np

        groups = [n for n in range(len(drawn.shape)) if n not in (*drawn.summed, *drawn.kept)]
        order = (*groups, *drawn.summed, *drawn.kept)
        moved = [drawn.shape[n] for n in order]
        rows, columns = (prod(drawn.shape[n] for n in part) for part in (drawn.summed, drawn.kept))
        count = prod(drawn.shape[n] for n in groups)
        matrices = [_orthogonal(rng, rows, columns) for _ in range(count)]
        whole = np.reshape(matrices, moved) if count else np.zeros(moved)
        return self.gain * np.transpose(whole, np.argsort(order))


@dataclass(frozen=True, eq=False)
class Given(Initialiser):
    """An array that there is already."""

    array: Any

    def __call__(self, rng: Generator, drawn: Drawn) -> Array:
        """Take the array.

        Raises:
            ShapeError: it has another shape than the parameter.
        """
        import numpy as np

        found = np.asarray(self.array)
        if found.shape != drawn.shape:
            raise ShapeError(f"an array of shape {found.shape} is given for shape {drawn.shape}")
        return found


@dataclass(frozen=True, eq=False)
class Function(Initialiser):
    """A function of a generator and a shape."""

    function: Callable[[Any, Shape], Any] = field()

    def __call__(self, rng: Generator, drawn: Drawn) -> Array:
        """Call it."""
        return Given(self.function(rng, drawn.shape))(rng, drawn)


def He(fan: Fan = "in", distribution: Distribution = "normal") -> Scaled:
    """Keep the scale behind rectifiers: variance ``2 / fan``.

    Source: He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV (2015), equation 10.
    """
    return Scaled(2.0, fan, distribution)


def Glorot(distribution: Distribution = "normal") -> Scaled:
    """Keep the scale in both directions: variance ``2 / (fan_in + fan_out)``.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS (2010), equation 12.
    """
    return Scaled(1.0, "average", distribution)


def LeCun(distribution: Distribution = "normal") -> Scaled:
    """Keep the scale of a linear layer: variance ``1 / fan_in``.

    Source: LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998), section 4.6.
    """
    return Scaled(1.0, "in", distribution)


ZEROS, ONES = Constant(0.0), Constant(1.0)

INITIALISERS: dict[str, Initialiser] = {
    "he": He(),
    "he_uniform": He(distribution="uniform"),
    "glorot": Glorot(),
    "glorot_uniform": Glorot("uniform"),
    "lecun": LeCun(),
    "lecun_uniform": LeCun("uniform"),
    "orthogonal": Orthogonal(),
    "truncated_normal": Normal(truncated=True),
    "normal": Normal(),
    "uniform": Uniform(),
    "zeros": ZEROS,
    "ones": ONES,
}
"""By name; each is one entry."""

_RECTIFIERS = {"relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "softplus", "celu", "prelu"}


def as_initialiser(given: Any, map: Any = None) -> Initialiser:
    """What a caller meant by an initialiser.

    Args:
        given: a name, an initialiser, a number, an array, a function of a generator and a shape;
            ``None`` for what suits the map behind.
        map: what is applied behind the layer.

    Raises:
        ParameterError: it is none.

    Example:
        >>> as_initialiser(None, "relu")
        Scaled(gain=2.0, fan='in', distribution='normal')
        >>> as_initialiser("glorot")
        Scaled(gain=1.0, fan='average', distribution='normal')
    """
    if given is None:
        return He() if _name_of(map) in _RECTIFIERS else LeCun()
    if isinstance(given, Initialiser):
        return given
    if isinstance(given, str):
        if given in INITIALISERS:
            return INITIALISERS[given]
        raise ParameterError(
            f"there is no initialiser {given!r}; there are {', '.join(INITIALISERS)}"
        )
    if isinstance(given, (int, float)):
        return Constant(float(given))
    if callable(given):
        return Function(given)
    return Given(given)


def check_init(given: Any, roles: Sequence[str] | None = None) -> None:
    """Refuse what is no initialiser, nor several by the names of weights.

    Args:
        given: what a caller gave.
        roles: what the weights are called, where that is known.

    Raises:
        ParameterError: it is none, or there is no such weight.
    """
    if isinstance(given, Mapping) and roles is not None:
        wrong = [name for name in given if name not in roles]
        if wrong:
            listed = ", ".join(map(repr, wrong))
            raise ParameterError(f"init= is for {listed}, but the weights are {', '.join(roles)}")
    for one in given.values() if isinstance(given, Mapping) else [given]:
        as_initialiser(one)


def _name_of(map: Any) -> str:
    return map if isinstance(map, str) else getattr(map, "__name__", "")


def _orthogonal(rng: Generator, rows: int, columns: int) -> Array:
    import numpy as np

    wide = rows < columns
    drawn = rng.standard_normal((columns, rows) if wide else (rows, columns))
    q, r = np.linalg.qr(drawn)
    # Without the signs of r, q would not be spread evenly over all orthogonal matrices.
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q.T if wide else q
