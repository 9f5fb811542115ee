"""A contraction in the midst of another one: in signal handlers, finalisers and their like.

What is computed are small integers, so that every number must be exact; each test is a process of
its own, for what goes wrong may be that it never ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from contractconv.kernels import native

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")

BEGINNING = """
import gc, os, signal, sys, threading, time
import numpy as np
import contractconv as cc
from contractconv.execution import sharing

os.environ["CONTRACTCONV_KERNELS"] = sys.argv[1]
cc.set_num_threads(int(sys.argv[2]))
sharing.WORTH = 1 << 10  # everything is shared, whatever its size
rng = np.random.default_rng(0)

def drawn(*shape):
    return rng.integers(-3, 4, shape)

CASES = [
    ("b (i+k-1) (j+l-1) c, k l c o -> b i j o", drawn(2, 18, 18, 8), drawn(3, 3, 8, 8)),
    ("b (i+k) (j+l) c, b i j o -> k l c o", drawn(2, 14, 14, 8), drawn(2, 12, 12, 8)),
    ("b i j c, k l c o -> b (2*i+k) (2*j+l) o", drawn(2, 9, 9, 8), drawn(4, 4, 8, 8)),
    ("b (i+k-1) (j+l-1) c, k l c -> b i j c", drawn(2, 18, 18, 8), drawn(3, 3, 8)),
    ("i k, k j -> i j", drawn(90, 70), drawn(70, 80)),
]
wanted = [cc.contract(*case) for case in CASES]
calls = 0

def contract(algorithm="direct", which=range(len(CASES))):
    for n in which:
        (spec, *operands), right = CASES[n], wanted[n]
        x, w = (array.astype(np.float32) for array in operands)
        found = cc.contract(spec, x, w, algorithm=algorithm if "(" in spec else "direct")
        error = np.abs(found - right).max()
        assert error == 0 if algorithm == "direct" else error < 0.01, (spec, algorithm, error)

depth = threading.local()

def nested(*_):
    # What is nested takes the same scratch as what it is nested in, and other sizes of it.
    global calls
    now = getattr(depth, "now", 0)
    if now < 3:
        depth.now = now + 1
        calls += 1
        contract(("direct", "toom-cook", "fft")[calls % 3], (calls % 5,))
        depth.now = now

for algorithm in ("direct", "toom-cook", "fft"):
    contract(algorithm)

def meanwhile():
    end = time.monotonic() + 0.3
    while time.monotonic() < end or calls < 20:
        for algorithm in ("direct", "toom-cook", "fft"):
            contract(algorithm)
"""

HANDLER = """
signal.signal(signal.SIGALRM, nested)
signal.setitimer(signal.ITIMER_REAL, 1e-3, 2e-3)
meanwhile()
signal.setitimer(signal.ITIMER_REAL, 0)
"""

FINALISER = """
class Finalised:
    def __init__(self):
        self.itself = self

    def __del__(self):
        nested()

gc.set_threshold(60, 5, 5)
sys.unraisablehook = lambda raised: os._exit(3)
end = time.monotonic() + 0.3
while time.monotonic() < end or calls < 20:
    for algorithm in ("direct", "toom-cook", "fft"):
        Finalised()
        contract(algorithm)
gc.disable()
"""

COLLECTOR = """
def collected(phase, _):
    if phase == "start":
        try:
            nested()
        except BaseException:
            os._exit(3)

gc.callbacks.append(collected)
gc.set_threshold(60, 5, 5)
meanwhile()
gc.callbacks.clear()
"""

PROFILER = """
# A function that Python calls at every call and return: between any two steps.
steps = 0

def profile(frame, event, _):
    global steps
    steps += 1
    if steps % 40 == 0 and "contractconv" in frame.f_code.co_filename:
        sys.setprofile(None)
        nested()
        sys.setprofile(profile)

sys.setprofile(profile)
meanwhile()
sys.setprofile(None)
"""

THREADS = """
# Other threads contract as well, and get into each other's way.
signal.signal(signal.SIGALRM, nested)
others = [threading.Thread(target=meanwhile) for _ in range(3)]
signal.setitimer(signal.ITIMER_REAL, 1e-3, 3e-3)
for other in others:
    other.start()
meanwhile()
signal.setitimer(signal.ITIMER_REAL, 0)
for other in others:
    other.join()
"""

WAYS = {
    "handler": HANDLER, "finaliser": FINALISER, "collector": COLLECTOR, "profiler": PROFILER,
    "threads": THREADS,
}  # fmt: skip


compiling = pytest.mark.skipif(not native.available(), reason="there is no compiler")


@pytest.mark.parametrize(
    ("way", "kernels", "threads"),
    [
        *((way, "numpy", threads) for way in ("handler", "finaliser") for threads in (1, 3)),
        ("collector", "numpy", 3), ("profiler", "numpy", 1), ("threads", "numpy", 3),
        *(pytest.param(way, "llvm", 3, marks=compiling) for way in WAYS),
    ],
)  # fmt: skip
def test_a_contraction_inside_a_contraction(way: str, kernels: str, threads: int) -> None:
    script = BEGINNING + WAYS[way] + "\ncontract()\nprint('fine', calls >= 20)\n"
    ran = subprocess.run(
        [sys.executable, "-c", script, kernels, str(threads)],
        env=os.environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, "fine True\n"), ran.stderr[-3000:]
