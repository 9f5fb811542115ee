"""Threads change nothing but the time: how many there are, who calls, and what goes wrong."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from strategies import Array, Shape, filled

import contractconv as cc
from contractconv import Algorithm, uninterrupted
from contractconv.engines.llvm.kernels import native, product_loops
from contractconv.engines.llvm.program import Calls, Prepared, Program, offsets
from contractconv.machine import threads
from contractconv.machine.memory import address

COUNTS = (1, 2, 3, 7)
ALGORITHMS: tuple[Algorithm, ...] = ("direct", "toom-cook", "fft")
forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")
compiling = pytest.mark.skipif(not native.available(), reason="there is no compiler")

# Each of them is worth sharing out: above a million multiplications.
LAYERS: dict[str, tuple[str, Shape, Shape]] = {
    "2-D": ("b (i+k-1) (j+l-1) c, k l c o -> b i j o", (2, 20, 20, 32), (3, 3, 32, 24)),
    "channels first": ("b c (i+k-1) (j+l-1), o c k l -> b o i j", (2, 32, 20, 20), (24, 32, 3, 3)),
    "depthwise": ("b (i+k) (j+l) c, k l c -> b i j c", (4, 42, 42, 64), (3, 3, 64)),
    "weight gradient": ("b (i+k) (j+l) c, b i j o -> k l c o", (2, 22, 22, 24), (2, 20, 20, 32)),
    "few channels": ("b (i+k) (j+l), b i j -> k l", (8, 202, 202), (8, 200, 200)),
    "transposed": ("b i j c, k l c o -> b (2*i+k) (2*j+l) o", (2, 12, 12, 48), (4, 4, 48, 24)),
    "matrices": ("i k, k j -> i j", (200, 300), (300, 100)),
    "a long sum": ("i k, k j -> i j", (8, 40_000), (40_000, 8)),
}


@cache
def layer(name: str) -> tuple[str, Array, Array, Array]:
    """A string, its operands of small integers, and the exact result."""
    spec, *shapes = LAYERS[name]
    x, w = (filled(shape, n, 4, "int64") for n, shape in enumerate(shapes, 1))
    return spec, x.astype("float32"), w.astype("float32"), np.asarray(cc.contract(spec, x, w))


def check(name: str = "2-D", algorithm: Algorithm = "direct") -> None:
    """Carry out a layer: exactly by its definition, or nearly so."""
    spec, x, w, wanted = layer(name)
    result = cc.contract(spec, x, w, algorithm=algorithm)
    error = 0.0 if algorithm == "direct" else 1e-4 * float(np.abs(wanted).max())
    assert float(np.abs(result - wanted).max()) <= error


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    cc.set_num_threads(None)


# --- how many there are ----------------------------------------------------------------------


@pytest.mark.parametrize("kernels", ["llvm", "numpy"])
@pytest.mark.parametrize("number", COUNTS)
@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        (name, algorithm)
        for name in LAYERS
        for algorithm in (ALGORITHMS if "(" in LAYERS[name][0] else ["direct"])
    ],
)
def test_results_do_not_depend_on_the_number(
    name: str, algorithm: Algorithm, number: int, kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRACTCONV_KERNELS", kernels)
    cc.set_num_threads(number)
    check(name, algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_rounding_stays_what_it_is(algorithm: Algorithm) -> None:
    spec, *shapes = LAYERS["2-D"]
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype("float32") for shape in shapes)
    exact = cc.contract(spec, x.astype("float64"), w.astype("float64"))
    for number in COUNTS:
        cc.set_num_threads(number)
        result = cc.contract(spec, x, w, algorithm=algorithm)
        assert np.abs(result - exact).max() <= 1e-4 * np.abs(exact).max()


def test_gradients_do_not_depend_on_the_number() -> None:
    spec, x, w, y = layer("2-D")
    wanted = [
        cc.Contraction(spec).grad(n)(y.astype("int64"), *map(np.int64, (x, w))) for n in (0, 1)
    ]
    for number in COUNTS:
        cc.set_num_threads(number)
        for n in (0, 1):
            result = cc.Contraction(spec).grad(n)(y.astype("float64"), *map(np.float64, (x, w)))
            assert np.abs(result - wanted[n]).max() <= 1e-12 * np.abs(wanted[n]).max()


@pytest.mark.parametrize("number", [0, -1, 1.5, 2.0, "2", True, False, [2], np.float64(2)])
def test_a_number_of_threads_is_a_positive_integer(number: Any) -> None:
    cc.set_num_threads(3)
    with pytest.raises(cc.ContractionError) as error:
        cc.set_num_threads(number)
    assert str(error.value) == f"the number of threads is a positive integer, not {number!r}"
    assert threads.get_num_threads() == 3


def test_without_a_number_there_is_a_thread_for_each_processor() -> None:
    cc.set_num_threads(None)
    assert threads.get_num_threads() == len(os.sched_getaffinity(0))


def tasks() -> int:
    """How many threads the system knows of."""
    return len(os.listdir("/proc/self/task"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="not on Linux")
@pytest.mark.parametrize("granted", [0, 1, 7, 50])
def test_threads_that_the_system_refuses(granted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cc.set_num_threads(3)
    check()
    before, begun = tasks(), [0]

    def reluctant(work: Callable[[], object]) -> None:
        if begun[0] == granted:
            raise RuntimeError("can't start new thread")
        begun[0] += 1
        uninterrupted.begin(work)

    for _ in range(3):
        begun[0] = 0
        monkeypatch.setattr(threads, "begin", reluctant)
        with pytest.raises(cc.ContractionError) as error:
            cc.set_num_threads(5000)
        assert str(error.value) == (
            "the system does not begin 5000 threads (can't start new thread): there are 3 as before"
        )
        assert cc.get_num_threads() == 3
        monkeypatch.undo()
        check()
    deadline = time.monotonic() + 5
    while tasks() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert tasks() <= before
    cc.set_num_threads(2)
    check()


def test_without_helpers_the_caller_works_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(work: Callable[[], object]) -> None:
        asked.append(work)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "begin", refuse)
    monkeypatch.setattr(threads, "processors", lambda: 4)
    cc.set_num_threads(1)
    cc.set_num_threads(None)
    for _ in range(3):
        check()
    assert len(asked) <= 1  # what is refused is not asked for again and again


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="not on Linux")
def test_numbers_that_change_leave_no_threads() -> None:
    cc.set_num_threads(2)
    check()
    before = tasks()
    for number in (9, 3, 30, 2, 5, None, 2) * 3:
        cc.set_num_threads(number)
        if number != 30:
            check()
    deadline = time.monotonic() + 5
    while tasks() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert tasks() <= before


# --- sharing out -----------------------------------------------------------------------------


# What the programs of tests work on must live as long as they do.
_alive: list[object] = []


def multiplying(steps: int, kept: list[Any]) -> Calls:
    """A piece: so many multiplications of the same two numbers, which are added to a third."""
    numbers, nothing = np.ones((3, 64), np.float32), offsets()
    numbers[2] = 0
    kept.append(numbers)
    _alive.extend((numbers, nothing))
    p, (first, second, out) = product_loops, (address(row) for row in numbers)
    calls = Calls()
    calls.call(
        p.kernel("float32", p.fitting_tile(1)),
        {
            p.SCALARS: first, p.VECTORS: second, p.OUT: out, p.BATCH: 1, p.BATCH_SCALARS: nothing,
            p.BATCH_VECTORS: nothing, p.BATCH_OUT: nothing, p.ROW_STOP: 1, p.ROWS_AT_ONCE: 1,
            p.ROW_SCALARS: nothing, p.ROW_OUT: nothing, p.LANES: 1, p.TAPS: 1,
            p.TAPS_AT_ONCE: 1, p.TAP_SCALARS: nothing, p.TAP_VECTORS: nothing, p.RUN: steps,
            p.ACCUMULATE: 1,
        },
    )  # fmt: skip
    return calls


def carried_out(*stages: list[int]) -> list[float]:
    """Carry out a program of pieces of so many steps; how many each piece has made."""
    kept: list[Any] = []
    program = Program([[multiplying(steps, kept) for steps in stage] for stage in stages])
    Prepared(program).run({}, np.empty(0, np.float32))
    return [float(numbers[2, 0]) for numbers in kept]


@compiling
@pytest.mark.parametrize("number", COUNTS)
@pytest.mark.parametrize("stages", [[[]], [[1]], [[5, 6]], [[3] * 50], [[], [2], [], [4] * 9, [1]]])
def test_every_piece_is_done_once(stages: list[list[int]], number: int) -> None:
    cc.set_num_threads(number)
    wanted = [float(steps) for stage in stages for steps in stage]
    for _ in range(20):
        assert carried_out(*stages) == wanted


@compiling
def test_a_stage_begins_when_the_one_before_has_ended() -> None:
    cc.set_num_threads(3)
    for _ in range(20):
        kept: list[Any] = []
        first = [multiplying(steps, kept) for steps in (1, 200_000, 300_000)]
        second = [multiplying(7, kept) for _ in range(4)]
        for piece, numbers in zip(second, kept[3:], strict=True):
            # It multiplies by what the longest piece of the first stage has made in the end.
            piece.listed[0][1][product_loops.SCALARS] = address(kept[2]) + 2 * 256
            numbers[1] = 1
        Prepared(Program([first, second])).run({}, np.empty(0, np.float32))
        assert [numbers[2, 0] for numbers in kept[3:]] == [7 * 300_000.0] * 4


@compiling
@pytest.mark.parametrize("pause", [0.0, 0.0005, 0.05, 0.2])
def test_helpers_that_sleep_are_woken(pause: float) -> None:
    cc.set_num_threads(2)
    for _ in range(5):
        time.sleep(pause)
        assert carried_out([1, 2], [3, 4]) == [1, 2, 3, 4]


@compiling
def test_a_program_for_more_threads_than_there_are() -> None:
    kept: list[Any] = []
    program = Program([[multiplying(steps, kept) for steps in (1, 2, 3, 4, 5)]])
    for number in (5, 2, 1, 3):
        cc.set_num_threads(number)
        Prepared(program).run({}, np.empty(0, np.float32))
    assert [numbers[2, 0] for numbers in kept] == [4, 8, 12, 16, 20]


@compiling
def test_programs_that_share_what_they_begin_with() -> None:
    kept: list[Any] = []

    def program(common: object, *steps: int) -> Program:
        return Program([[multiplying(n, kept)] for n in steps], 100, 10, 5, common=common)

    programs = [program("a", 1, 2), program("a", 3, 4), program("b", 5), program(None, 6)]
    joined = Program.joined([*programs, program(None, 7)])
    Prepared(joined).run({}, np.empty(0, np.float32))
    assert [numbers[2, 0] for numbers in kept] == [1, 2, 0, 4, 5, 6, 7]
    assert joined.shared == 4 * 128


@contextmanager
def quickly_switched() -> Iterator[None]:
    """Threads take turns all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(*tasks: Callable[[], object]) -> None:
    """Run tasks in threads of their own; whatever one of them raises is raised."""
    with quickly_switched(), ThreadPoolExecutor(len(tasks)) as pool:
        for future in [pool.submit(task) for task in tasks]:
            future.result(timeout=60)


@pytest.mark.parametrize("number", [1, 2, 7])
def test_several_threads_that_call_at_once(number: int) -> None:
    cc.set_num_threads(number)
    names = ("2-D", "weight gradient", "matrices", "transposed")

    def call(name: str) -> None:
        for _ in range(4):
            for algorithm in ALGORITHMS[: 1 if name == "matrices" else 2]:
                check(name, algorithm)

    at_once(*(lambda name=name: call(name) for name in names * 2))


def test_the_number_may_change_while_others_compute() -> None:
    stop = time.monotonic() + 1.0

    def change() -> None:
        while time.monotonic() < stop:
            for number in (2, 1, 3, None):
                cc.set_num_threads(number)

    def call() -> None:
        while time.monotonic() < stop:
            check("2-D")
            check("2-D", "toom-cook")

    at_once(change, call, call)


def test_threads_do_not_pile_up() -> None:
    check()
    before = threading.active_count()
    for _ in range(20):
        for number in (2, 3):
            cc.set_num_threads(number)
            check()
    cc.set_num_threads(1)
    deadline = time.monotonic() + 5
    while threading.active_count() > before + 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before + 4


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_operands_are_let_go(algorithm: Algorithm) -> None:
    cc.set_num_threads(3)
    spec, *shapes = LAYERS["2-D"]
    x, w = (np.ones(shape, np.float32) for shape in shapes)
    result = cc.contract(spec, x, w, algorithm=algorithm)
    kept = [weakref.ref(array) for array in (x, w, result)]
    del x, w, result
    deadline = time.monotonic() + 5
    while any(ref() is not None for ref in kept) and time.monotonic() < deadline:
        gc.collect()
    assert [ref() for ref in kept] == [None] * 3


# --- other processes -------------------------------------------------------------------------


def in_child(task: Callable[[], object], seconds: int = 20) -> int:
    """Do something in a forked process; its status is 0 if nothing was raised."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    try:
        task()
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode())
        os._exit(1)
    os._exit(0)


every_algorithm = tuple((name, a) for name in ("2-D", "weight gradient") for a in ALGORITHMS)


def check_all() -> None:
    for name, algorithm in every_algorithm:
        check(name, algorithm)


@forking
@pytest.mark.parametrize("number", [1, 2, 3])
def test_forked_children_compute_and_so_do_their_parents(number: int) -> None:
    cc.set_num_threads(number)
    check_all()
    assert in_child(check_all) == 0
    check_all()

    def choose_and_fork() -> None:
        cc.set_num_threads(2)
        check()
        os._exit(in_child(check))

    # A child may have children, and choose for itself.
    assert in_child(choose_and_fork) == 0
    assert threads.get_num_threads() == number


@forking
def test_a_child_of_a_process_that_is_computing() -> None:
    cc.set_num_threads(3)
    check_all()
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            check_all()

    others = [threading.Thread(target=call) for _ in range(2)]
    for other in others:
        other.start()
    try:
        assert [in_child(check_all) for _ in range(5)] == [0] * 5
    finally:
        stop.set()
        for other in others:
            other.join()


@forking
@compiling
def test_a_child_of_a_process_that_is_compiling() -> None:
    entered, leave = threading.Event(), threading.Event()

    def compiling_slowly(emitter: Any) -> None:
        entered.set()
        leave.wait(30)

    x, w = np.ones((37, 111), np.float32), np.ones((111, 41), np.float32)
    cc.contract("i k, k j -> i j", x[:36], w, algorithm="direct")  # the child has it to load only
    other = threading.Thread(
        target=native.build, args=("slow", "float32", compiling_slowly, time.time_ns())
    )
    other.start()
    assert entered.wait(30)
    product_loops.kernel.cache_clear()
    native._known.clear()
    try:
        status = in_child(lambda: cc.contract("i k, k j -> i j", x, w, algorithm="direct"), 10)
    finally:
        leave.set()
        other.join()
    assert status == 0


@forking
def test_a_pool_of_forked_processes() -> None:
    spec, x, w, wanted = layer("2-D")
    cc.set_num_threads(2)
    check()
    with multiprocessing.get_context("fork").Pool(3) as pool:
        for result in pool.starmap(cc.contract, [(spec, x, w)] * 6):
            assert np.abs(np.asarray(result) - wanted).max() <= 1e-4 * np.abs(wanted).max()
    check()


def test_a_process_of_its_own() -> None:
    spec, x, w, wanted = layer("2-D")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result = pool.apply(cc.contract, (spec, x, w), {"algorithm": "direct"})
    np.testing.assert_array_equal(result, wanted)


AT_THE_END = """
import atexit, threading
import numpy as np
import contractconv as cc

cc.set_num_threads(2)
x, w = np.ones((2, 20, 20, 32), np.float32), np.ones((3, 3, 32, 24), np.float32)

def call(*when):
    y = cc.contract("b (i+k) (j+l) c, k l c o -> b i j o", x, w, algorithm="direct")
    print(*when, y.min(), y.max())

atexit.register(call, "at exit")
call("before")
threading.Thread(target=lambda: [threading.main_thread().join(), call("after main")]).start()
"""


def test_the_end_of_a_program() -> None:
    command = [sys.executable, "-c", AT_THE_END]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=4, check=False)
    lines = ["before 288.0 288.0", "after main 288.0 288.0", "at exit 288.0 288.0"]
    assert (ran.returncode, ran.stdout.splitlines()) == (0, lines), ran.stderr


# --- when something goes wrong ---------------------------------------------------------------


@contextmanager
def raised_after(seconds: float, error: type[BaseException]) -> Iterator[None]:
    """What a timeout does: a signal that raises, wherever the program is by then."""

    def give_up(*_: object) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@forking
@compiling
@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError])
def test_who_waits_for_helpers_waits_to_the_end(error: type[BaseException]) -> None:
    cc.set_num_threads(2)
    kept: list[Any] = []
    program = Program([[multiplying(steps, kept) for steps in (100_000_000, 300_000_000)]])
    with raised_after(0.05, error), pytest.raises(error):
        Prepared(program).run({}, np.empty(0, np.float32))
    assert [numbers[2, 0] > 1 for numbers in kept] == [True, True]
    check()


@forking
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_interrupted_contractions_leave_everything_usable(algorithm: Algorithm) -> None:
    cc.set_num_threads(3)
    spec, x, w, _ = layer("2-D")
    check("2-D", algorithm)
    pauses = np.geomspace(1e-4, 2e-2, 12)
    assert all(b > a for a, b in pairwise(pauses))
    for pause in pauses:
        try:
            with raised_after(float(pause), KeyboardInterrupt):
                for _ in range(40):
                    cc.contract(spec, x, w, algorithm=algorithm)
        except KeyboardInterrupt:
            pass
        check("2-D", algorithm)
