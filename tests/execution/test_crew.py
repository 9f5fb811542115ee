"""Helpers that are handed work in machine code: nothing is lost, whenever they sleep or wake."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.kernels.dispatch import AWAKE, BEGUN
from contractconv.machine.threads import team

pytestmark = pytest.mark.skipif(not native.available(), reason="kernels are not compiled")

SHORT = cc.Contraction("b (i+k-1) (j+l-1) c, k l c -> b i j c")
SHAPES = (8, 28, 28, 128), (3, 3, 128)


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Iterator[None]:
    yield
    cc.set_num_threads(None)


def operands(seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x, w = (rng.integers(-4, 5, shape).astype(np.float32) for shape in SHAPES)
    return x, w


def expected(x: Any, w: Any) -> Any:
    return SHORT(x.astype(np.int64), w.astype(np.int64))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_results_do_not_depend_on_helpers(threads: int) -> None:
    x, w = operands()
    cc.set_num_threads(threads)
    for pause in (0, 0, 0.02, 0, 0.0005, 0.05):  # awake, asleep, and about to fall asleep
        time.sleep(pause)
        assert np.array_equal(SHORT(x, w), expected(x, w))


def test_many_turns_at_every_distance() -> None:
    x, w = operands()
    run, right = SHORT.compile(*SHAPES, dtype="float32"), expected(x, w)
    cc.set_num_threads(2)
    for n in range(300):
        time.sleep((n % 30) * 2e-5)  # helpers fall asleep somewhere within
        assert np.array_equal(run(x, w), right)


def test_a_helper_that_fell_asleep_while_python_was_busy_is_woken() -> None:
    """It cannot say so to Python as long as somebody has its lock."""
    cc.set_num_threads(2)
    # Windows by direct sums: BLAS, which may be faster for a product, has threads of its own.
    long = cc.Contraction("b (i+k-1) (j+l-1) c, k l c o -> b i j o")
    shapes = (16, 56, 56, 64), (3, 3, 64, 64)
    run = long.compile(*shapes, dtype="float32", algorithm="direct")
    ones = [np.ones(shape, np.float32) for shape in shapes]
    run(*ones)
    helpers = team().take()
    assert helpers is not None
    rows = helpers.kept._rows.numbers
    team().give(helpers)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)  # nobody else gets the lock
    try:
        # Where others have the processors, it may not be awake in time.
        assert any(takes_part_after_sleep(lambda: run(*ones), rows) for _ in range(50))
    finally:
        sys.setswitchinterval(interval)


def takes_part_after_sleep(work: Callable[[], object], rows: Any) -> bool:
    """Whether the first helper takes part in some work, having fallen asleep after some more."""
    work()
    begun, until = int(rows[0, BEGUN]), time.perf_counter() + 30
    while rows[0, AWAKE]:
        assert time.perf_counter() < until, "it never falls asleep"
    work()
    return int(rows[0, BEGUN]) > begun


def test_several_python_threads_share_the_helpers() -> None:
    cc.set_num_threads(2)
    wrong: list[int] = []

    def work(seed: int) -> None:
        x, w = operands(seed)
        right = expected(x, w)
        for _ in range(40):
            if not np.array_equal(SHORT(x, w), right):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_number_of_threads_changes_in_between() -> None:
    x, w = operands()
    right = expected(x, w)
    for n in range(30):
        cc.set_num_threads(n % 4 + 1)
        assert np.array_equal(SHORT(x, w), right)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_has_helpers_of_its_own() -> None:
    script = """
import os, numpy as np, contractconv as cc
cc.set_num_threads(2)
c = cc.Contraction("b (i+k-1) (j+l-1) c, k l c -> b i j c")
x, w = np.ones((8, 28, 28, 128), np.float32), np.ones((3, 3, 128), np.float32)
first = c(x, w)
child = os.fork()
assert np.array_equal(c(x, w), first)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    subprocess.run(command, check=True, timeout=60)


def test_a_process_may_end_at_any_moment() -> None:
    script = """
import sys, time, numpy as np, contractconv as cc
cc.set_num_threads(2)
x, w = np.ones((8, 28, 28, 128), np.float32), np.ones((3, 3, 128), np.float32)
cc.contract("b (i+k-1) (j+l-1) c, k l c -> b i j c", x, w)
time.sleep(float(sys.argv[1]))
"""
    for pause in (0, 1e-4, 3e-4, 6e-4, 1e-3):
        command = [sys.executable, "-c", script, str(pause)]
        subprocess.run(command, check=True, timeout=60)
