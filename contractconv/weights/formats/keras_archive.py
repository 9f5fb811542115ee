"""Keras' archives: a description of the model, which says the order of layers, and its weights."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from contractconv.weights.formats.damage import damage
from contractconv.weights.formats.entries import Entries
from contractconv.weights.formats.hdf5 import from_file, layers_of

_WEIGHTS, _CONFIG = "model.weights.h5", "config.json"


def read(path: Path) -> Entries:
    """Read an archive; nothing that the model is described as is built."""
    with damage(str(path)), zipfile.ZipFile(path) as archive:
        layers = layers_of(archive.read(_CONFIG)) if _CONFIG in archive.namelist() else []
        return from_file(io.BytesIO(archive.read(_WEIGHTS)), layers)
