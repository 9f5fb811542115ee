"""The site, built from its pages, and what that needs."""

from __future__ import annotations

import subprocess
import sys
import zlib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
_NEEDED = ("sphinx", "myst_parser", "furo", "sphinx_copybutton", "sphinx_design")


def missing() -> list[str]:
    """What has to be installed before the site can be built."""
    return [name for name in _NEEDED if find_spec(name) is None]


def built(out: Path) -> Path:
    """Build the site, unless that has been tried; the playground has tests of its own.

    Raises:
        AssertionError: something went wrong, or there was a warning.
    """
    said = out.with_suffix(".log")
    if not said.exists():
        said.write_text(_build(out), encoding="utf-8")
    failure = said.read_text(encoding="utf-8")
    assert not failure, failure
    return out


def _build(out: Path) -> str:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-D", "playground=0",
               str(ROOT / "docs"), str(out)]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def names_of(site: Path) -> set[str]:
    """The names of Python's things in the inventory that Sphinx leaves for other sites."""
    *_, packed = (site / "objects.inv").read_bytes().split(b"\n", 4)
    lines = zlib.decompress(packed).decode().splitlines()
    return {name for name, kind, *_ in map(str.split, lines) if kind.startswith("py:")}
