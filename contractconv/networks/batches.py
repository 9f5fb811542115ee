"""What a program takes of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from contractconv.engines.portable.libraries import is_foreign
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
        OperandError: a label in a numpy array is no class; there is chance, and nothing that
            draws it.
    """
    # Whether another library's labels are classes may not be known before they are there.
    if whole.classes is not None and not is_foreign(type(batch[-1])):
        check_labels(np.asarray(batch[-1]), whole.classes)
    return [*fitted(batch, arrays), *drawn_masks(whole.traced, rng)]
