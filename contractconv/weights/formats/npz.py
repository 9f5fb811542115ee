"""Numpy's archives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from contractconv.weights.formats.damage import damage
from contractconv.weights.formats.entries import Entries, as_array


def read(path: Path) -> Entries:
    """Read an archive; what was pickled in it is refused."""
    with damage(str(path)), np.load(path, allow_pickle=False) as archive:
        # An empty name is one that a damaged directory may have.
        return Entries((name, as_array(archive[name], name)) for name in archive.files)


def write(path: Path, entries: Mapping[str, Any]) -> None:
    """Write an archive."""
    with path.open("wb") as file:
        np.savez(file, **entries)
