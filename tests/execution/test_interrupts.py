"""Interrupts at random moments: afterwards everything works as before, and nothing is left over.

Each test is a process of its own, for what an interrupt damages may show much later. With the
hypothesis profile ``deep`` there are 10,000 interrupts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from contractconv.engines.llvm.kernels import native

pytestmark = pytest.mark.skipif(
    not (hasattr(signal, "setitimer") and os.path.isdir("/proc/self/task")), reason="not on Linux"
)
compiling = pytest.mark.skipif(not native.available(), reason="there is no compiler")
DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"

BEGINNING = """
import gc, os, random, signal, sys, time
import numpy as np
import contractconv as cc
from contractconv import uninterrupted
from contractconv.machine import blas, work_sharing
from contractconv.engines.llvm.kernels import copy_loops, dispatch, native, product_loops
from contractconv.engines.llvm.kernels import tile_transforms
from contractconv.engines.llvm.kernels import pooling_loops as pools

random.seed(0)
rng = np.random.default_rng(0)
x, w = (rng.integers(-3, 4, s).astype(np.float32) for s in ((4, 20, 20, 16), (3, 3, 16, 16)))
CONV, POOL = "b (i+k-1) (j+l-1) c, k l c o -> b i j o", "b (2*i+k) (2*j+l) c -> b i j c"
conv = cc.contract(CONV, x.astype(int), w.astype(int))
pooled = np.maximum.reduce([x[:, a::2, b::2] for a in (0, 1) for b in (0, 1)])

def once():
    assert np.array_equal(cc.contract(CONV, x, w, algorithm="direct"), conv)
    for algorithm in ALGORITHMS:
        assert np.abs(cc.contract(CONV, x, w, algorithm=algorithm) - conv).max() < 1e-2
    assert np.array_equal(cc.contract(POOL, x, reduce="max", k=2, l=2), pooled)

class Interrupt(BaseException):
    pass

def interrupt(*_):
    raise random.choice((KeyboardInterrupt, Interrupt))

def resources():
    used = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    pool = blas._pool()
    return {"threads": len(os.listdir("/proc/self/task")), "bytes": used,
            "files": len(os.listdir("/proc/self/fd")), "blas": pool and pool.get()}

def in_child():
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        once()
        cc.set_num_threads(2)
        once()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

def interrupted(wanted, prepare, do):
    prepare()
    start = time.perf_counter()
    do()
    span = time.perf_counter() - start
    interrupts, forks, spent = 0, 0, 0.0
    while interrupts < wanted and spent < LONG:
        if interrupts >= forks * wanted / 3:
            forks += 1
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            in_child()
            signal.signal(signal.SIGALRM, interrupt)
        prepare()
        start = time.perf_counter()
        try:
            # Some come again and again, while the first one is on its way.
            again = random.choice((0, 0, 0, 2e-4))
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 1.2 * span), again)
            try:
                do()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except (KeyboardInterrupt, Interrupt):
            interrupts += 1
        spent += time.perf_counter() - start
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    print(interrupts, "interrupts", forks, "forks")

def at_rest():
    # A thread that has answered is there for a moment more, and so are the files of one that
    # somebody no longer waits for: whoever counts in the midst of it takes them for his own.
    deadline, calm = time.monotonic() + 10, 0
    now = resources()
    while calm < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
        before, now = now, resources()
        unmoved = all(now[name] == before[name] for name in ("threads", "files", "blas"))
        calm = calm + 1 if unmoved and not uninterrupted._busy else 0
    return now

def check(before, growth):
    gc.collect()
    once()
    now = at_rest()
    for name in ("threads", "files"):
        assert now[name] <= before[name], (before, now)
    assert now["blas"] == before["blas"], (before, now)
    assert now["bytes"] <= before["bytes"] + growth, (before, now)

def busy_elsewhere():
    # Seconds that threads other than this one have been running.
    total = 0
    for n in set(os.listdir("/proc/self/task")) - {str(os.getpid())}:
        try:
            total += int(open(f"/proc/self/task/{n}/schedstat").read().split()[0])
        except OSError:  # it has ended meanwhile
            pass
    return total / 1e9

def check_that_helpers_help():
    before, deadline = busy_elsewhere(), time.monotonic() + 20
    while busy_elsewhere() < before + 0.005:
        assert time.monotonic() < deadline, "they do nothing any more"
        once()

COUNT, LONG = int(sys.argv[1]), float(sys.argv[2])
"""

WARM = """
ALGORITHMS = ("toom-cook",)
cc.set_num_threads(3)
for _ in range(3):
    once()
before = at_rest()
interrupted(COUNT, lambda: None, once)
check(before, 64 << 20)
check_that_helpers_help()
"""

LOADING = """
ALGORITHMS = ("toom-cook",)
caches = (
    product_loops.kernel, tile_transforms.kernel, copy_loops.kernel, pools.pooling,
    dispatch.perform, dispatch.lead, dispatch.serve,
)

def forget():
    # Machine code is never given back, so that memory grows by what is loaded again and again.
    native._known.clear()
    for cache in caches:
        cache.cache_clear()
    cc.clear_caches()
    cc.set_num_threads(random.choice((2, 3)))

cc.set_num_threads(3)
once()
before = at_rest()
interrupted(COUNT, forget, once)
cc.set_num_threads(3)
check(before, (256 << 20) + COUNT * (1 << 19))
check_that_helpers_help()
"""

COMPILING = """
ALGORITHMS = ()
cc.set_num_threads(3)
once()

def compile_one():
    native.build("idle", "float32", lambda e: e.scratch(1), (os.getpid(), time.time_ns()))

before = at_rest()
interrupted(COUNT, lambda: None, compile_one)
check(before, 256 << 20)
check_that_helpers_help()
"""

BY_NUMPY = """
os.environ["CONTRACTCONV_KERNELS"] = "numpy"
ALGORITHMS = ("toom-cook", "fft")
work_sharing.WORTH = 1
cc.set_num_threads(3)
for _ in range(3):
    once()
before = at_rest()
interrupted(COUNT, lambda: None, once)
check(before, 64 << 20)
"""


def run(script: str, interrupts: int, tmp_path: object = None) -> None:
    many = 10_000 if DEEP else interrupts
    seconds = 500 if DEEP else 1
    # The library of matrix products has threads of its own, which it must have back.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2"}
    if tmp_path is not None:
        environment["CONTRACTCONV_CACHE"] = str(tmp_path)
    command = [sys.executable, "-W", "ignore", "-c", BEGINNING + script, str(many), str(seconds)]
    ran = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=100 + seconds, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr[-3000:]
    print(ran.stdout)


@compiling
def test_interrupts_while_threads_work_together() -> None:
    run(WARM, 600)


@compiling
def test_interrupts_while_kernels_are_loaded() -> None:
    run(LOADING, 100)


@compiling
def test_interrupts_while_kernels_are_compiled(tmp_path: object) -> None:
    run(COMPILING, 100, tmp_path)


def test_interrupts_while_numpy_computes() -> None:
    run(BY_NUMPY, 100)


LOADER_RAISES = """
import gc, os, sys
import numpy as np
import contractconv as cc
from llvmlite import binding

x, w = np.ones((40, 50), np.float32), np.ones((50, 60), np.float32)
loads = binding.ExecutionEngine.finalize_object
calls = []

def fails(engine):
    calls.append(engine)
    if len(calls) % 2:
        raise KeyboardInterrupt
    loads(engine)

binding.ExecutionEngine.finalize_object = fails
for n in range(20):
    try:
        assert (cc.contract("i k, k j -> i j", x[: 20 + n], w) == 50).all()
    except KeyboardInterrupt:
        pass
    calls[:] = calls[:0] + [None] * (len(calls) % 2)
    gc.collect()
binding.ExecutionEngine.finalize_object = loads
assert (cc.contract("i k, k j -> i j", x, w) == 50).all()
print("fine")
"""


@compiling
def test_a_loader_that_raises() -> None:
    """An engine that was not completed takes nothing with it that others need."""
    ran = subprocess.run(
        [sys.executable, "-c", LOADER_RAISES],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout) == (0, "fine\n"), ran.stderr


THEN_THE_END = """
import os, signal, sys, time
import numpy as np
import contractconv as cc

x, w = np.ones((2, 18, 18, 8), np.float32), np.ones((3, 3, 8, 8), np.float32)
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
signal.signal(signal.SIGALRM, lambda *_: sys.exit(7))
while True:
    cc.contract("b (i+k) (j+l) c, k l c o -> b i j o", x, w, algorithm="direct")
"""


@compiling
@pytest.mark.parametrize("delay", [0.2, 0.4, 0.8])
def test_the_end_of_a_process_that_is_compiling(delay: float, tmp_path: object) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", THEN_THE_END, str(delay)],
        env=os.environ | {"CONTRACTCONV_CACHE": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert ran.returncode == 7, ran.stderr[-3000:]


FIRST_CALL = """
import signal, sys
import numpy as np
import contractconv as cc

x, w = np.ones((2, 18, 18, 8), np.float32), np.ones((3, 3, 8, 8), np.float32)

def contract():
    found = cc.contract("b (i+k) (j+l) c, k l c o -> b i j o", x, w, algorithm="direct")
    assert (found == 72).all()
    run = cc.Contraction("b (i+k) (j+l) c, k l c o -> b i j o").compile(x.shape, w.shape)
    assert run.vjp(0, run(x, w), x, w).shape == x.shape

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
try:
    contract()
except KeyboardInterrupt:
    pass
signal.signal(signal.SIGALRM, signal.SIG_IGN)
contract()
print("fine")
"""


@pytest.mark.parametrize("delay", np.geomspace(1e-3, 1.0, 60 if DEEP else 6).tolist())
def test_an_interrupted_first_call(delay: float) -> None:
    """Whatever the first call has imported, or not yet, the second one has everything."""
    ran = subprocess.run(
        [sys.executable, "-c", FIRST_CALL, str(delay)],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, "fine\n"), ran.stderr[-3000:]
