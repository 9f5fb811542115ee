"""What comes back to a network's output when its Fisher matrix is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contractconv.api.tensor import Tensor, applied, index
from contractconv.errors import ParameterError
from contractconv.functions.axes import axis_of, number_of, reduced, stopped, without
from contractconv.functions.softmax import softmax
from contractconv.programs.nodes import Input

Fisher = Literal["sampled", "empirical", "exact"]
FISHERS = ("sampled", "empirical", "exact")
LOSSES = ("cross_entropy", "mse", "binary_cross_entropy")
NOISE = "noise"


@dataclass(frozen=True)
class Likelihood:
    """The distribution whose negative logarithm a loss is the mean of.

    Attributes:
        loss: ``"cross_entropy"``: one of some classes, whose logits the output is; ``"mse"``: a
            normal distribution of variance 1/2 around the output, each element by itself;
            ``"binary_cross_entropy"``: yes or no, for each element by itself.
        output: the output of the network.
        axis: of it, that of the classes; of the other losses the one whose elements belong to
            one example, which ``"exact"`` goes through.
        size: of that axis, which ``"exact"`` needs.
    """

    loss: str
    output: Tensor
    axis: str
    size: int | None = None

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ParameterError(f"loss={self.loss!r}: choose one of {', '.join(LOSSES)}")
        axis_of(self.output, self.axis, "the output")

    @property
    def terms(self) -> Tensor:
        """Of how many negative logarithms the loss is the mean."""
        axes = self.output.axes
        return number_of(
            self.output, without(axes, [self.axis]) if self.loss == "cross_entropy" else axes
        )

    @property
    def noise(self) -> Tensor:
        """The input that :func:`drawn` numbers are passed as: the axes of the output."""
        return Tensor(Input(self.output.axes, name=NOISE, label=NOISE))

    def sampled(self) -> Tensor:
        """What comes back to the output from targets that the network itself is asked for."""
        y, noise = self.output, self.noise
        if self.loss == "cross_entropy":
            noisy = y + noise
            drawn = _truth(noisy >= reduced(noisy, (self.axis,), "max"))
            # Two that are equally great are half a label each.
            slope = softmax(y, self.axis) - drawn / reduced(drawn, (self.axis,), "sum")
        elif self.loss == "mse":
            slope = sqrt(2) * noise
        else:
            share = applied("sigmoid", y)
            slope = share - _truth(noise < share)
        return stopped(slope / self.terms)

    def roots(self) -> list[Tensor]:
        """The columns of a root of the loss's Hessian by the output, each divided by the terms.

        Raises:
            ParameterError: the size of the axis is not known, or examples have other axes beside.
        """
        if self.size is None or len(self.output.axes) != 2:
            raise ParameterError(
                "fisher='exact' goes through the columns of the loss's Hessian, one backward pass "
                "each: give the size of the output's axis; there must be no other one beside it "
                f"and the batch, and there are '{' '.join(self.output.axes)}'"
            )
        return [stopped(self._root(n) / self.terms) for n in range(self.size)]

    def _root(self, n: int) -> Tensor:
        y, here = self.output, _truth(index(self.axis, self.size) == n)
        if self.loss == "cross_entropy":
            shares = softmax(y, self.axis)
            return applied("sqrt", shares.at(**{self.axis: n})) * (here - shares)
        if self.loss == "mse":
            return here * (sqrt(2) + 0 * y)
        share = applied("sigmoid", y)
        return here * applied("sqrt", share * (1 - share))


def drawn(loss: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the numbers from which a program makes targets.

    Args:
        loss: as of :class:`Likelihood`.
        shape: of the output.
        rng: whose numbers they are.

    Returns:
        Of classes Gumbel's, the greatest of which picks one when they are added to logits; of
        the others normal or uniform ones.

    Source: Gumbel, "Statistical theory of extreme values and some practical applications" (1954).
    """
    if loss == "cross_entropy":
        return rng.gumbel(size=shape)
    return rng.standard_normal(shape) if loss == "mse" else rng.random(shape)


def _truth(condition: Tensor) -> Tensor:
    return applied("where", condition, 1, 0)
