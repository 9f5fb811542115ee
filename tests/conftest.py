"""What holds for all tests: one thread, no garbage where there is none, how hard one looks.

How hard the property tests look is said by the environment variable HYPOTHESIS_PROFILE:
``ci`` (the default) draws the same cases every time; ``deep`` draws many, and new ones each time.
"""

import gc
import os
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

# The matrices of the tests are too small to be worth sharing between threads, and the pools of
# numpy and torch get into each other's way. BLAS reads this when numpy is imported, later on.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

# A shared machine may stall for seconds: slowness is no finding of a property test.
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("ci", _patient, max_examples=200, derandomize=True)
settings.register_profile("deep", _patient, max_examples=5000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# What is imported and collected, a million objects and more, stays until the end. Looking through
# it for garbage took a third of the time of collecting, and half a second whenever a test asks.
gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module")
def double_precision() -> Iterator[None]:
    """Let jax, where it is installed, keep the 64 bits that it otherwise drops without a word."""
    if not find_spec("jax"):
        yield
        return
    jax = import_module("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)
