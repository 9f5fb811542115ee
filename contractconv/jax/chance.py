"""What draws first parameters, and the chance of a call, by keys of JAX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from contractconv.errors import OperandError
from contractconv.layers.records import Mask
from contractconv.networks.masks import generator


def generator_of(rng: Any) -> np.random.Generator:
    """What draws first parameters.

    Args:
        rng: a key, or anything that ``numpy.random.default_rng`` takes.

    Raises:
        OperandError: it is neither, or a key that is being traced.
    """
    if not isinstance(rng, jax.Array):
        return generator(rng)
    if isinstance(rng, jax.core.Tracer):
        raise OperandError("parameters are drawn outside of what jax compiles: rng is traced")
    return np.random.default_rng([int(word) for word in _words(rng)])


def masks_of(masks: Sequence[Mask], rng: Any) -> list[Any]:
    """The chance of a call: for each mask truth values.

    Raises:
        OperandError: there is some, and nothing that draws it.
    """
    if not masks:
        return []
    if rng is None:
        raise OperandError("there is chance in this network: say rng=, a key of jax or a seed")
    key = rng if isinstance(rng, jax.Array) else jax.random.key(rng)
    keys = jax.random.split(key, len(masks))
    drawn = zip(keys, masks, strict=True)
    return [jax.random.uniform(k, mask.shape) < mask.kept for k, mask in drawn]


def _words(key: Any) -> Any:
    typed = jax.numpy.issubdtype(key.dtype, jax.dtypes.prng_key)
    return np.ravel(jax.random.key_data(key) if typed else key)
