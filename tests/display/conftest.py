"""What tests of displays share."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def double_precision() -> Iterator[None]:
    """Let jax keep the 64 bits that it otherwise drops without a word."""
    if not importlib.util.find_spec("jax"):
        yield
        return
    jax = importlib.import_module("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)
