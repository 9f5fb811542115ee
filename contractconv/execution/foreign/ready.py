"""What is ready for a call with arrays of another library, so that nothing is looked at again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from contractconv.cache_register import Shelf, kept
from contractconv.engines.portable.libraries import package_of, record_of

Ready = Callable[[Sequence[Any]], Any]
"""Of arrays like those that it is for, makes what is called for."""

# By what is called, extents by name, and the arrays.
_calls = Shelf()


def key_of(
    what: Hashable, named: Mapping[str, int], arrays: Sequence[Any]
) -> tuple[Hashable, ...] | None:
    """What decides how a call is carried out; ``None`` if some arrays are not another library's.

    Args:
        what: what is called.
        named: the extents that were given.
        arrays: what it is called with.

    Example:
        >>> import numpy as np
        >>> key_of("i -> i", {}, [np.ones(2)])
    """
    found: list[Hashable] = [what, *named.items()]
    for array in arrays:
        sign = _signature(type(array))
        if sign is None:
            return None
        found.append(sign(array))
    return tuple(found)


@kept(most=256)
def _signature(kind: type) -> Callable[[Any], Hashable] | None:
    """What decides of an array of some type."""
    package = package_of(kind) or "numpy"
    return None if package == "numpy" else record_of(package).signature


def known(key: tuple[Hashable, ...]) -> Ready | None:
    """What carried out such a call before."""
    found: Ready | None = _calls.get(key)
    return found


def remember(key: tuple[Hashable, ...], ready: Ready) -> None:
    """Keep what carries out a call, for which :func:`known` is asked then."""
    _calls.put(key, ready, 0)
