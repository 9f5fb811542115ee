"""Runs the tests of kernels on kernels for one kind of processors: a process of its own.

    python kernels_of.py TARGET [ARGUMENTS OF PYTEST]

Targets are those of ``processor_targets.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from processor_targets import aim

TESTS = Path(__file__).parent / "test_kernels.py"


def main(target: str, *others: str) -> int:
    """Aim at the target before anything is compiled; return the status of the tests."""
    aim(target)
    return pytest.main(["-q", "-o", "addopts=", "-p", "no:cacheprovider", str(TESTS), *others])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
