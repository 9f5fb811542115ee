"""How much memory a call takes, as far as numpy and Python ask for it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any


def peak_beyond_result(call: Callable[[], Any]) -> int:
    """Bytes allocated at the highest point of a call, less those of the result."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        result = call()
        return tracemalloc.get_traced_memory()[1] - before - int(result.nbytes)
    finally:
        tracemalloc.stop()
