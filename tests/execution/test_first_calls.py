"""First calls of several threads at once, with forks in between: everything is made there and then.

A new shape each time, so that plans, programs and tables are made while others make the same ones.
Each test is a process of its own, for what goes wrong is a crash, or that it never ends.
"""

from __future__ import annotations

import ast
import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

import contractconv as cc
from contractconv.engines.llvm.kernels import copy_loops, native
from contractconv.engines.llvm.program import Calls, Place, Prepared, Program, offsets
from contractconv.lazy import Value, remembered
from contractconv.machine.memory import Table

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
compiling = pytest.mark.skipif(not native.available(), reason="there is no compiler")
PACKAGE = Path(cc.__file__).parent

FIRST_CALLS = """
import os, signal, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import contractconv as cc

seconds, os.environ["CONTRACTCONV_KERNELS"] = float(sys.argv[1]), sys.argv[2]
sys.setswitchinterval(1e-6)
cc.set_num_threads(3)
POOL = "b (2*i+k) c -> b i c"

def ones(*shape):
    return np.ones(shape, np.float32)

def matrices(n):
    return (cc.contract("i k, k j -> i j", ones(16 + n, 30), ones(30, 24)) == 30).all()

def layer(n):
    x, w = ones(2, 16 + n, 9), ones(3, 9, 8)
    return (cc.contract("b (i+k) c, k c o -> b i o", x, w, algorithm="direct") == 27).all()

def tiles(n):
    x, w = ones(2, 16 + n, 9), ones(3, 9, 8)
    found = cc.contract("b (i+k) c, k c o -> b i o", x, w, algorithm="toom-cook")
    return np.abs(found - 27).max() < 1e-3

def transposed(n):
    found = cc.contract("b i c, k c o -> b (2*i+k) o", ones(2, 16 + n, 9), ones(2, 9, 8))
    return (found == 9).all()

def pool(n):
    return (cc.contract(POOL, ones(8, 2 * (16 + n), 32), reduce="max", k=2) == 1).all()

def unpool(n):
    x, y = ones(8, 2 * (16 + n), 32), ones(8, 16 + n, 32)
    return cc.Contraction(POOL, reduce="mean").grad(0)(y, x, k=2).sum() == y.sum()

RUN = cc.Contraction("b (i+k) c, k c o -> b i o")

def compiled(n):
    # One object, of which all threads ask everything for the first time.
    run = shared.setdefault(n, RUN.compile((2, 16 + n, 9), (3, 9, 8), dtype="float32"))
    x, w = ones(2, 16 + n, 9), ones(3, 9, 8)
    y = run(x, w)
    return (y == 27).all() and (run.vjp(1, ones(*y.shape), x, w) == y[:, :, 0].size).all()

shared = {}
KINDS = (matrices, layer, tiles, transposed, pool, unpool, compiled)

def call(n):
    return all(kind(n) for kind in KINDS)
"""

AT_ONCE = """
assert call(-1)  # the kernels are there
end, n = time.monotonic() + seconds, 0
with ThreadPoolExecutor(8) as pool_of_threads:
    while time.monotonic() < end or n < 60:
        # All of them are first calls of the same kind.
        kind = matrices if n % 8 else KINDS[n // 8 % len(KINDS)]
        assert all(pool_of_threads.map(kind, [n] * 16))
        n += 1
print("fine")
"""

WITH_FORKS = """
stop, wrong = threading.Event(), []

def work(first):
    n = first
    while not stop.is_set():
        if not call(n % 600):
            wrong.append(n)
        n += 1

def in_child(n):
    child = os.fork()
    if not child:
        signal.alarm(20)
        os._exit(0 if call(n) else 1)
    return os.waitpid(child, 0)[1]

assert call(-1)  # the kernels are there
threads = [threading.Thread(target=work, args=(first,)) for first in (0, 0, 100)]
for thread in threads:
    thread.start()
end, n = time.monotonic() + seconds, 700
try:
    while time.monotonic() < end or n < 705:
        assert in_child(n) == 0
        n += 1
finally:
    stop.set()
for thread in threads:
    thread.join()
assert not wrong
print("fine")
"""


def run(script: str, kernels: str, seconds: float) -> None:
    command = [sys.executable, "-W", "ignore", "-X", "faulthandler", "-c", FIRST_CALLS + script]
    ran = subprocess.run(
        [*command, str(60.0 if DEEP else seconds), kernels],
        env=os.environ, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, "fine\n"), ran.stderr[-3000:]


@pytest.mark.parametrize("kernels", [pytest.param("llvm", marks=compiling), "numpy"])
def test_first_calls_of_several_threads_at_once(kernels: str) -> None:
    run(AT_ONCE, kernels, 1.5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")
@pytest.mark.parametrize("kernels", [pytest.param("llvm", marks=compiling), "numpy"])
def test_forks_while_other_threads_make_first_calls(kernels: str) -> None:
    run(WITH_FORKS, kernels, 0.5)


# --- who keeps an address owns what it leads to ------------------------------------------------


class Owned(np.ndarray):
    """An array of which one can see whether it is still there."""


def owned(count: int) -> Owned:
    return np.zeros(count, np.int64).view(Owned)


def test_a_table_owns_what_it_points_to() -> None:
    table, target = Table((2, 3)), owned(4)
    seen = weakref.ref(target)
    table.point((0, 1), target)
    copy = table.copy()
    del target, table
    gc.collect()
    assert seen() is not None
    assert copy.numbers[0, 1] == seen().ctypes.data  # type: ignore[union-attr]
    del copy
    gc.collect()
    assert seen() is None


def test_a_table_owns_what_is_lent_until_it_lets_go() -> None:
    table, first, second = Table((2, 3)), owned(4), owned(5)
    seen = [weakref.ref(first), weakref.ref(second)]
    table.lend(1, [first, second])
    del first, second
    gc.collect()
    assert [list(row) for row in table.numbers] == [[0, *(r().ctypes.data for r in seen)]] * 2  # type: ignore[union-attr]
    table.lend(1, [owned(3), owned(3)])
    gc.collect()
    assert [r() for r in seen] == [None, None]
    last = owned(2)
    seen = [weakref.ref(last)]
    table.lend_alike(range(2), last, 8)
    address = last.ctypes.data
    assert table.numbers[:, :2].tolist() == [[address + 8] * 2] * 2
    del last
    table.let_go()
    gc.collect()
    assert seen[0]() is None


@compiling
def test_a_prepared_program_owns_its_tables() -> None:
    source, target = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    calls = Calls()
    calls.call(
        copy_loops.kernel("float32", "runs", False),
        {
            copy_loops.SOURCE: Place("in"),
            copy_loops.TARGET: Place("out"),
            copy_loops.ALONG_TARGET: 64,
            copy_loops.ALONG_SOURCE: 64,
            copy_loops.SOURCE_STEP: 4,
            copy_loops.TARGET_STEP: 4,
            copy_loops.OUTER: 1,
            copy_loops.OUTER_SOURCE: offsets(),
            copy_loops.OUTER_TARGET: offsets(),
        },
    )
    prepared = Prepared(Program([[calls]]))
    del calls
    gc.collect()
    for _ in range(50):  # whatever was freed is taken for something else
        np.full(8, -1, np.int64)
        target[:] = 0
        prepared.run({"in": source}, target)
        assert np.array_equal(source, target)


# --- what is remembered ------------------------------------------------------------------------


def test_no_attribute_is_remembered_behind_a_lock() -> None:
    """``functools.cached_property`` has one lock for all objects, or none, by Python's version."""
    for path in PACKAGE.rglob("*.py"):
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }
        assert "cached_property" not in names, path


def test_only_tables_keep_addresses() -> None:
    """Elsewhere an address is asked for and used at once."""
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == "address"
    }
    assert found == {
        "engines/llvm/program.py",  # where scratch is cut into lines of the cache
        "arrays/mapped.py",  # which keeps the mapped file itself beside where it begins
    }


class Counted(Value):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    @remembered
    def answer(self) -> object:
        """A new object each time."""
        self.asked += 1
        return object()


def test_what_is_remembered_is_worked_out_once() -> None:
    counted = Counted()
    assert counted.answer is counted.answer
    assert counted.asked == 1
    assert Counted.answer.__doc__ == "A new object each time."
    assert Counted().answer is not counted.answer
