"""The table of maps; :func:`register` adds one, and everything knows it."""

from __future__ import annotations

from contractconv.maps.record import MapRecord

MAPS: dict[str, MapRecord] = {}
