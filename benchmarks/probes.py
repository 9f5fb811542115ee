"""What a process can find out about itself: its time, its memory, and whether it was alone."""

from __future__ import annotations

import ctypes
import gc
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.peers import Prepared

# A library warms up (threads, caches) for this share of the time that it is measured.
WARM_UP = 0.25


def timed(run: Callable[[], Any], seconds: float) -> dict[str, Any]:
    """Call repeatedly for some time, at least once.

    Returns:
        The median of a call in seconds, the number of calls, and `foreign`: how many cores other
        processes kept busy meanwhile.
    """
    gc.collect()
    gc.disable()
    repeated(run, WARM_UP * seconds)
    busy, own, start = _busy_seconds(), time.process_time(), time.perf_counter()
    times = repeated(run, seconds)
    elapsed = time.perf_counter() - start
    foreign = _busy_seconds() - busy - (time.process_time() - own)
    gc.enable()
    # /proc/stat counts in ticks, one clock for each core.
    blur = (os.cpu_count() or 1) / os.sysconf("SC_CLK_TCK")
    return {
        "seconds": statistics.median(times),
        "calls": len(times),
        "foreign": max(0.0, foreign - blur) / elapsed,
    }


def repeated(run: Callable[[], Any], seconds: float) -> list[float]:
    """The time of each call, for as many calls as it takes to fill so many seconds."""
    times: list[float] = []
    left = seconds
    while not times or left > 0:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
        left -= times[-1]
    return times


def _busy_seconds() -> float:
    """How long all cores together were busy since the machine started; 0 where nobody counts."""
    counts = Path("/proc/stat")
    if not counts.exists():
        return 0.0
    user, nice, system, _idle, _waiting, *interrupts = map(
        int, counts.read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def peak_growth(prepared: Prepared) -> int:
    """By how many bytes the memory of the process grew during one call, beyond the result.

    The kernel keeps the peak; writing 5 to `clear_refs` resets it to the present (proc(5)).
    """
    gc.collect()
    # What earlier calls have freed must not be used again unseen.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    result = prepared.run()
    grown = _resident("VmHWM") - before
    return max(0, grown - prepared.array(result).nbytes)


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field))
    return 1024 * int(line.split()[1])
