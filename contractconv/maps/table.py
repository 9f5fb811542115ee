"""The table of maps; :func:`register` adds one, and everything knows it."""

from __future__ import annotations

from contractconv.cache_register import clear_caches
from contractconv.errors import MapError
from contractconv.maps.activations import ACTIVATIONS
from contractconv.maps.arithmetic import ARITHMETIC
from contractconv.maps.comparisons import COMPARISONS
from contractconv.maps.elementary import ELEMENTARY
from contractconv.maps.record import MapRecord

_RECORDS = (*ARITHMETIC, *COMPARISONS, *ELEMENTARY, *ACTIVATIONS)

MAPS: dict[str, MapRecord] = {record.name: record for record in _RECORDS}


def record_of(name: str) -> MapRecord:
    """What there is to know of a map.

    Raises:
        MapError: there is none of this name.
    """
    try:
        return MAPS[name]
    except KeyError:
        raise MapError(f"there is no map {name!r}; there are {', '.join(sorted(MAPS))}") from None


def register(record: MapRecord) -> None:
    """Add a map.

    Args:
        record: what there is to know of it; programs know its name from now on. Of a formula,
            :func:`~contractconv.maps.user_maps.from_sympy` makes one.

    Raises:
        MapError: there is one of this name.

    Example:
        >>> from dataclasses import replace
        >>> register(replace(MAPS["tanh"], name="squashed"))
        >>> MAPS["squashed"].numpy(0.0)
        0.0
        >>> unregister("squashed")
    """
    if record.name in MAPS:
        raise MapError(f"there is a map {record.name!r} already")
    MAPS[record.name] = record


def unregister(name: str) -> None:
    """Take a map out again that :func:`register` has added."""
    del MAPS[name]
    # Another one may come by this name.
    clear_caches()
