"""What holds for the tests of the engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def _double_precision() -> Iterator[None]:
    """Let jax, where it is installed, keep the 64 bits that it otherwise drops without a word."""
    try:
        import jax
    except ImportError:
        yield
        return
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)
