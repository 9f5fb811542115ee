"""Random generators as JSON: they go on where they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from contractconv.errors import CheckpointError

# Words of 64 bits, but for one of them.
_WORDS = {
    "PCG64": np.uint64, "PCG64DXSM": np.uint64, "Philox": np.uint64, "SFC64": np.uint64,
    "MT19937": np.uint32,
}  # fmt: skip


def rng_to_facts(rng: np.random.Generator) -> dict[str, Any]:
    """Describe where a generator is, in JSON.

    Returns:
        The state of its bit generator, and the seed that its children will come from.

    Raises:
        CheckpointError: it is none of numpy's.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> facts = rng_to_facts(rng)
        >>> bool(rng.random() == rng_from_facts(facts).random())
        True
    """
    bits = getattr(rng, "bit_generator", None)
    if type(bits).__name__ not in _WORDS:
        raise CheckpointError(
            f"{rng!r} is no generator that can be kept: make it by numpy.random.default_rng, or "
            f"of one of {', '.join(_WORDS)}"
        )
    return {"state": _plain(bits.state), "seed": _seed(bits.seed_seq)}  # type: ignore[union-attr]


def rng_from_facts(facts: Mapping[str, Any]) -> np.random.Generator:
    """Make a generator that goes on where another one was.

    Raises:
        CheckpointError: the facts describe none.
    """
    try:
        state, seed = facts["state"], facts["seed"]
        name = state["bit_generator"]
        bits = getattr(np.random, name if name in _WORDS else "")(_sequence(seed))
        _check_places(state)
        bits.state = _worded(state, _WORDS[name])
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"these facts describe no random generator: {error!r}") from None
    return np.random.Generator(bits)


def _check_places(state: Mapping[str, Any]) -> None:
    """See that what is read next lies among the words: numpy takes any place, and looks there."""
    places = (state.get("buffer_pos", 0), 4), (state["state"].get("pos", 0), 624)
    if not all(0 <= place <= words for place, words in places):
        raise ValueError("a place lies outside of the words")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _worded(value: Any, words: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _worded(inner, words) for name, inner in value.items()}
    return np.array(value, words) if isinstance(value, list) else value


def _seed(sequence: Any) -> dict[str, Any] | None:
    """What a sequence of seeds is made of; generators have children by it."""
    if not isinstance(sequence, np.random.SeedSequence):
        return None
    return {name: _listed(value) for name, value in sequence.state.items()}


def _listed(value: Any) -> Any:
    plain = _plain(value)
    return [int(word) for word in plain] if isinstance(plain, list | tuple) else plain


def _sequence(seed: Mapping[str, Any] | None) -> np.random.SeedSequence | None:
    return None if seed is None else np.random.SeedSequence(**seed)
