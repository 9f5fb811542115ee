"""Chance in a training: what is drawn follows from a seed and from where the training is.

So a training that is gone on with anywhere draws what it would have drawn, and nothing has to be
kept for that.
"""

from __future__ import annotations

import numpy as np

from contractconv.errors import ParameterError

_ORDER, _STEP = 1, 2


def of_parameters(seed: int) -> np.random.Generator:
    """What draws the first parameters: the same as in ``net.init(seed, ...)``."""
    return np.random.default_rng(seed)


def of_epoch(seed: int, epoch: int) -> np.random.Generator:
    """What draws the order in which an epoch takes its data; epochs are counted from 0."""
    return np.random.default_rng((seed, _ORDER, epoch))


def of_step(seed: int, step: int) -> np.random.Generator:
    """What changes a batch and loses numbers in a step; steps are counted from 1."""
    return np.random.default_rng((seed, _STEP, step))


def check_seed(seed: object) -> None:
    """Refuse what is no seed.

    Raises:
        ParameterError: it is no integer, or below zero.
    """
    if type(seed) is not int or seed < 0:
        raise ParameterError(f"seed={seed!r}: an integer is wanted, zero or above")
