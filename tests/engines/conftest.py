"""What holds for the tests of the engines."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="module")
def _double_precision(double_precision: None) -> None:
    """All of them meet double precision."""
