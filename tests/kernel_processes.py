"""Processes of their own, for kernels of which nothing may be remembered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# What a processor must have to stand in for one of each kind.
NEEDED = {"avx512": "avx512vl", "avx2": "avx2", "sse": "sse4.2"}


def run(
    script: Path, *arguments: object, cache: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """A script that was run.

    Args:
        script: it.
        *arguments: what it is given.
        cache: where it keeps what it compiles, if not where we do.
    """
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    given = os.environ | {"PYTHONPATH": paths}
    if cache is not None:
        given["CONTRACTCONV_CACHE"] = str(cache)
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False)
