"""What a program takes of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from contractconv.networks.inputs import fitted
from contractconv.networks.losses import check_labels
from contractconv.networks.masks import drawn_masks

if TYPE_CHECKING:
    from contractconv.networks.traced import Objective


def taken(whole: Objective, batch: Sequence[Any], arrays: Sequence[Any], rng: Any) -> list[Any]:
    """The arrays of a batch in the numbers of parameters, and the chance of a network.

    Args:
        whole: the network with its loss.
        batch: what comes in, then what is wanted.
        arrays: the parameters.
        rng: what draws chance, if there is any.

    Raises:
        OperandError: a label is no class; there is chance, and nothing that draws it.
    """
    if whole.classes is not None:
        check_labels(np.asarray(batch[-1]), whole.classes)
    return [*fitted(batch, arrays), *drawn_masks(whole.traced, rng)]
