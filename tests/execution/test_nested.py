"""A contraction in the midst of another one: in signal handlers, finalisers and their like.

What is computed are small integers, so that every number must be exact; each test is a process of
its own, for what goes wrong may be that it never ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from contractconv.engines.llvm.kernels import native
from contractconv.machine import blas
from contractconv.uninterrupted import Turn

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")

BEGINNING = """
import gc, os, signal, sys, threading, time
import numpy as np
import contractconv as cc
from contractconv.machine import work_sharing

os.environ["CONTRACTCONV_KERNELS"] = sys.argv[1]
cc.set_num_threads(int(sys.argv[2]))
work_sharing.WORTH = 1 << 10  # everything is shared, whatever its size
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


def test_nobody_waits_for_himself_where_the_number_of_threads_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Objects are finalised there as well, and a finaliser may contract."""
    threads, deep = 5, 0
    seen: list[int] = []

    def finalise() -> None:
        nonlocal deep
        if deep < 2:
            deep += 1
            with blas.single():
                seen.append(threads)
            deep -= 1

    def get() -> int:
        finalise()
        return threads

    def change(number: int) -> None:
        nonlocal threads
        finalise()
        threads = number

    monkeypatch.setattr(blas, "_pool", lambda: blas._Pool(get, change, lambda: b"", {}))
    with blas.single():
        assert threads == 1
    assert threads == 5
    assert seen


def test_two_threads_that_wait_for_each_other_go_on() -> None:
    """One holds a turn and waits for a lock; the other holds that lock and waits for the turn."""
    turn, lock = Turn(), threading.Lock()
    first, second = threading.Event(), threading.Event()
    came: list[bool] = []

    def one() -> None:
        with turn.taken() as taken:
            came.append(taken)
            first.set()
            second.wait(20)
            with lock:
                pass

    def other() -> None:
        with lock:
            second.set()
            first.wait(20)
            with turn.taken() as taken:
                came.append(taken)

    both = [threading.Thread(target=work, daemon=True) for work in (one, other)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(20)
    assert not any(thread.is_alive() for thread in both)
    assert came == [True, False]


FIRST = """
import signal, sys, time
import numpy as np
import contractconv as cc

rng = np.random.default_rng(0)
x, w = rng.integers(-3, 4, (2, 18, 18, 8)), rng.integers(-3, 4, (3, 3, 8, 8))
conv = sum(np.tensordot(x[:, k:k + 16, l:l + 16], w[k, l], 1) for k in range(3) for l in range(3))
pool = np.maximum.reduce([x[:, a::2, b::2] for a in (0, 1) for b in (0, 1)])
x, w = x.astype(np.float32), w.astype(np.float32)
calls = depth = 0

def contract():
    found = cc.contract("b (i+k) (j+l) c, k l c o -> b i j o", x, w, algorithm="direct")
    assert np.array_equal(found, conv)
    found = cc.contract("b (2*i+k) (2*j+l) c -> b i j c", x, reduce="max", k=2, l=2)
    assert np.array_equal(found, pool)
    found = cc.contract("i k, k j, j l -> i l", x[0, 0], x[0, 0].T, x[0, 1])
    assert np.array_equal(found, x[0, 0] @ x[0, 0].T @ x[0, 1])

def nested(*_):
    global calls, depth
    if depth < 2:
        depth += 1
        calls += 1
        contract()
        depth -= 1
    signal.setitimer(signal.ITIMER_REAL, 1e-4)

signal.signal(signal.SIGALRM, nested)
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
contract()
run = cc.Contraction("b (i+k) (j+l) c, k l c o -> b i j o").compile(x.shape, w.shape)
run.vjp(0, run(x, w), x, w)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
contract()
print("fine", calls > 0)
"""


@pytest.mark.parametrize("delay", [1e-4, 2e-2, 1e-1])
def test_from_the_very_first_call_on(delay: float) -> None:
    """Rooms are entered, and kernels loaded, while signals ask for the same."""
    ran = subprocess.run(
        [sys.executable, "-c", FIRST, str(delay)],
        env=os.environ, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, "fine True\n"), ran.stderr[-3000:]
