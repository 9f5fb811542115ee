"""How much memory there is for whoever asks."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")
# What is taken to be there where nobody can be asked.
_GUESSED = 4 << 30


def available_memory() -> int:
    """Bytes that can be taken without anybody being sent to the disk, within limits of a group."""
    found = [n for n in (_of_machine(), _of_group()) if n is not None]
    return min(found, default=_GUESSED)


def _of_machine() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    with suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def _of_group() -> int | None:
    """What is left of the limit that a container has, if it has one."""
    with suppress(OSError, ValueError):
        limit = int((_GROUP / "memory.max").read_text())
        return max(0, limit - int((_GROUP / "memory.current").read_text()))
    return None
