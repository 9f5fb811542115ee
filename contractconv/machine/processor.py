"""Which processors this machine has: what was measured on others does not hold on them."""

from __future__ import annotations

import platform
from contextlib import suppress
from pathlib import Path

# What tells one kind of processor from another where Linux lists them: x86, then ARM.
_NAMES = (
    "vendor_id", "cpu family", "model", "model name", "stepping", "cache size",
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part",
)  # fmt: skip


def is_arm() -> bool:
    """Whether it is a 64-bit ARM processor, all of which have vectors and numbers of 16 bits."""
    return platform.machine().lower() in ("arm64", "aarch64")


def is_x86() -> bool:
    """Whether it is a processor like Intel's and AMD's."""
    return platform.machine().lower() in ("x86_64", "amd64", "i686")


def kinds(root: Path = Path("/")) -> tuple[str, ...]:
    """The kinds of processors, and how fast they go at most, as far as the system tells.

    Args:
        root: where the system's files lie.

    Example:
        >>> kinds() == kinds()
        True
    """
    told = (platform.machine(), platform.processor())
    return (*told, *_listed(root), *_frequencies(root))


def _listed(root: Path) -> tuple[str, ...]:
    """Each kind in Linux' list once."""
    text = ""
    with suppress(OSError):
        text = (root / "proc/cpuinfo").read_text("utf-8", "replace")
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.partition(":")[::2] for line in block.splitlines())
        named = {name.strip(): value.strip() for name, value in fields.items()}
        found.append(", ".join(named[name] for name in _NAMES if name in named))
    return tuple(sorted({kind for kind in found if kind}))


def _frequencies(root: Path) -> tuple[str, ...]:
    """The most that each kind is allowed, which a user, or a battery, may set lower."""
    found = set()
    for file in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_max_freq"):
        with suppress(OSError):
            found.add(file.read_text("ascii", "replace").strip())
    return tuple(sorted(found))
