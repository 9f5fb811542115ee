"""Chance in networks: truth values that are drawn outside of a program, for each call of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contractconv.errors import OperandError

if TYPE_CHECKING:
    from numpy.random import Generator

    from contractconv.networks.traced import Traced


def drawn_masks(network: Traced, rng: Any) -> list[Any]:
    """Draw the chance that a network needs for one call.

    Args:
        network: the network, as it is in training.
        rng: a seed, a generator, or anything that ``numpy.random.default_rng`` takes.

    Raises:
        OperandError: there is some, and nothing that draws it.
    """
    if not network.masks:
        return []
    if rng is None:
        raise OperandError("there is chance in this network: say rng=, a seed or a generator")
    drawn = generator(rng)
    return [drawn.random(mask.shape) < mask.kept for mask in network.masks]


def generator(rng: Any) -> Generator:
    """What draws.

    Args:
        rng: a seed, a generator, or anything that ``numpy.random.default_rng`` takes.

    Raises:
        OperandError: it is none of these.
    """
    import numpy as np

    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise OperandError(f"rng={rng!r} is neither a seed nor a generator: {error}") from None
