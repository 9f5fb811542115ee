"""What is kept in memory has a budget of bytes, and can be given back."""

from __future__ import annotations

import ast
import copy
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import contractconv as cc
from contractconv import cache_register
from contractconv.cache_register import Shelf, clear_caches, weighed


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A small budget, of which nothing is taken yet."""
    clear_caches()
    monkeypatch.setattr(cache_register, "BUDGET", 100_000)
    yield 100_000
    clear_caches()


def test_the_least_recently_used_goes_first(budget: int) -> None:
    made: list[int] = []

    @weighed(len)
    def block(n: int) -> bytes:
        made.append(n)
        return bytes(budget // 5)

    for n in (0, 1, 2, 0, 3, 4, 0):
        block(n)
    assert made == [0, 1, 2, 3, 4]
    block(1)
    assert made[-1] == 1


def test_all_caches_share_one_budget(budget: int) -> None:
    shelves = [Shelf() for _ in range(5)]
    for n in range(100):
        shelves[n % 5].put(n, n, budget // 20)
        assert cache_register._ledger.total <= budget
    held = sorted(n for shelf in shelves for n in shelf.values())
    assert held == list(range(100 - len(held), 100))
    assert 10 <= len(held) <= 20


def test_what_is_larger_than_the_budget_is_not_kept(budget: int) -> None:
    small, shelf = Shelf(), Shelf()
    small.put("small", 1, 1000)
    shelf.put("large", 2, budget)
    assert (dict(small), dict(shelf)) == ({"small": 1}, {})


def test_a_shelf_that_is_gone_takes_nothing(budget: int) -> None:
    lasting = Shelf()
    lasting.put("first", 1, budget // 10)
    for n in range(30):
        Shelf().put(n, n, budget // 5)
    assert dict(lasting) == {"first": 1}


@pytest.mark.parametrize(
    "travel", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_a_shelf_travels_empty(travel: Callable[[Shelf], Shelf]) -> None:
    shelf = Shelf()
    shelf.put("a", lambda: 1, 10)
    other = travel(shelf)
    assert type(other) is Shelf
    assert (len(shelf), len(other), other.numbers) == (1, 0, {})
    other.put("b", 2, 10)
    assert list(shelf) == ["a"]


def test_put_again_it_counts_once(budget: int) -> None:
    shelf = Shelf()
    for n in range(50):
        shelf.put("same", n, budget // 3)
    assert shelf["same"] == 49
    assert cache_register._ledger.total < budget // 2


def test_threads_share_it(budget: int) -> None:
    @weighed(len)
    def block(n: int) -> bytes:
        return bytes([n]) * (budget // 10)

    wrong: list[int] = []

    def work(start: int) -> None:
        for n in range(start, start + 3000):
            if block(n * n % 37)[0] != n * n % 37:
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sizes = [entry.size for entry in cache_register._ledger.entries.values()]
    assert not wrong
    assert sum(sizes) == cache_register._ledger.total <= budget


def test_something_may_be_put_between_any_two_steps_of_putting(budget: int) -> None:
    inner, outer = Shelf(), Shelf()

    class Key:
        """A key that puts another thing whenever it is looked at, as a finaliser may."""

        deep = 0

        def __hash__(self) -> int:
            if not Key.deep:
                Key.deep += 1
                inner.put("inner", 1, 10)
                Key.deep -= 1
            return 7

    outer.put(Key(), 2, 10)
    sizes = [entry.size for entry in cache_register._ledger.entries.values()]
    assert (dict(inner), list(outer.values())) == ({"inner": 1}, [2])
    assert sum(sizes) == cache_register._ledger.total


def test_a_sum_that_has_gone_wrong_is_counted_anew(
    budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_register, "_COUNTED_ANEW", 4)
    cache_register._ledger.total -= 10 * budget  # what other threads have added was lost
    shelf = Shelf()
    for n in range(100):
        shelf.put(n, n, budget // 10)
    assert 0 < cache_register._ledger.total <= budget
    assert 0 < len(shelf) <= 10


SOAK = """
import gc, tracemalloc
import numpy as np, contractconv as cc
from contractconv import cache_register
cache_register.BUDGET = 1 << 20
tracemalloc.start()

def calls(n):
    long = np.ones((3000 + 64 * n, 4), np.float32)
    cc.contract("(i+k-1) c, k c -> i c", long, np.ones((3, 4), np.float32))
    cc.contract("(2*i+k-1) c -> i c", long, k=3, i=1500 + 32 * n, reduce="max")
    pooling = cc.Contraction("(2*i+k) c -> i c", reduce="max").compile((long.shape), k=2)
    pooling.vjp(0, pooling(long), long)
    a, b = np.ones((40 + n, 30)), np.ones((30, 40))
    cc.contract("i j, j k, k l -> i l", a, b, np.ones((40, 20)))
    cc.contract("i j, j k -> i k", a, b, memory_limit=20_000)
    x, w = np.ones((1, 40 + n, 16), np.float32), np.ones((3, 16, 16), np.float32)
    cc.contract("b (i+k-1) c, k c o -> b i o", x, w, algorithm="toom-cook")
    cc.contract("(i+k), k -> i", np.ones(500 + n), np.ones(200), algorithm="fft")

def measured():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]

sizes = []
for n in range({rounds}):
    calls(n)
    assert cache_register._ledger.total <= cache_register.BUDGET
    if n % {every} == {every} - 1:
        sizes.append(measured())
before = measured()
cc.clear_caches()
print(*sizes, before, measured())
"""


def test_new_lengths_take_a_bounded_memory() -> None:
    script = SOAK.replace("{rounds}", "4").replace("{every}", "1")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    *sizes, before, after = map(int, done.stdout.split())
    # Kernels are kept for ever, and plans by number: but no tables beyond the budget.
    assert sizes[-1] < sizes[0] + (4 << 20)
    assert after < before - (1 << 19)


def functions_kept_by(name: str) -> set[str]:
    """Files of the package that take this from functools."""
    package = Path(cc.__file__).parent
    return {
        str(path.relative_to(package).as_posix())
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (
            (isinstance(node, ast.ImportFrom) and node.module == "functools")
            and any(alias.name == name for alias in node.names)
        )
        or (isinstance(node, ast.Attribute) and ast.unparse(node) == f"functools.{name}")
    }


def test_what_is_kept_by_shapes_is_in_the_register() -> None:
    """Whoever keeps results by himself is not cleared: only what one process has once may."""
    assert functions_kept_by("lru_cache") == {"cache_register.py"}
    once = (
        "engines/llvm/kernels/",
        "engines/portable/libraries/table.py",
        "execution/calibration.py",
    )
    assert all(file.startswith((*once, "machine/")) for file in functions_kept_by("cache"))
    assert not functions_kept_by("cached_property")


LEFT = """
import functools, gc
import numpy as np
import contractconv as cc
from contractconv.notation.problem import Problem

for n in range(30):
    x, w = np.ones((2, 20 + n, 8), np.float32), np.ones((3, 8, 8), np.float32)
    c = cc.Contraction("b (i+k-1) c, k c o -> b i o")
    run = c.compile(x.shape, w.shape, dtype="float32")
    run.vjp(0, run(x, w), x, w), run.vjp(1, run(x, w), x, w)
    cc.contract("b (i+k) c -> b i c", x, reduce="max", k=2)
    cc.contract("i j, j k, k l -> i l", np.ones((4, n + 2)), np.ones((n + 2, 3)), np.ones((3, 9)))
    cc.contract("i, (i+k-1) -> k", np.ones(40 + n), np.ones(40), k=5, memory_limit=10_000)
    del run, c
cc.clear_caches()
gc.collect()
print(sum(isinstance(thing, Problem) for thing in gc.get_objects()))
"""


def test_when_they_are_cleared_no_problem_is_left() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, check=True)
    # The ones by which the machine is measured are there once a process.
    assert int(done.stdout) < 20
