"""First parameters, drawn by our initialisers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from contractconv.layers.records import Parameter
from contractconv.networks.masks import generator

# Seeds that torch's generators draw for numpy's.
_SEEDS = 2**63 - 1


def generator_of(seed: Any) -> np.random.Generator:
    """What draws numbers.

    Args:
        seed: a number, or a generator of torch or of numpy; by default torch's own.

    Raises:
        OperandError: it is none of these.
    """
    if seed is None or isinstance(seed, torch.Generator):
        seed = int(torch.randint(_SEEDS, (), generator=seed))
    return generator(seed)


def drawn(parameter: Parameter, by: np.random.Generator) -> torch.Tensor:
    """The first numbers of a parameter, in double precision."""
    found = parameter.init(by, parameter.drawn)
    return torch.from_numpy(np.array(found, np.float64, order="C"))
