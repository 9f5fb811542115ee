"""Whatever a user holds is copied, pickled and sent to other processes, at any moment."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import os
import pickle
import pickletools
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from strategies import filled

import contractconv as cc

SPEC = "b (2*i+k-1) (j+l) c, k l c o -> b i j o"
X, W = (filled(shape, n, 4, "int64").astype("float32") for n, shape in
        enumerate(((2, 17, 18, 8), (3, 3, 8, 8)), 1))  # fmt: skip
POOL = cc.Contraction("b (2*i+k) c -> b i c", reduce="max")
P = filled((4, 64, 32), 3, 9, "int64").astype("float32")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    cc.set_num_threads(None)


def compiled(used: bool, algorithm: Any = "auto") -> Any:
    run = cc.Contraction(SPEC).compile(X.shape, W.shape, dtype="float32", algorithm=algorithm)
    if used:
        cc.set_num_threads(2)
        y = run(X, W, bias=np.ones(8, np.float32), activation="relu")
        for n in (0, 1):
            run.vjp(n, y, X, W)
        run(X, W)
    return run


def pooling(used: bool) -> Any:
    run = POOL.compile(P.shape, k=2, dtype="float32")
    if used:
        run.vjp(0, run(P), P)
    return run


def explained(used: bool) -> Any:
    made = cc.Contraction("(2*i+k), k -> i").explain((9,), (3,))
    if used:
        str(made), made.html(), made.as_dict()
    return made


def derivation(used: bool) -> Any:
    made = cc.Contraction("(2*i+k) c, k c o -> i o").grad(0)
    if used:
        made(np.ones((4, 3)), np.ones((9, 2)), np.ones((3, 2, 3)), k=3)
        str(made), made.sympy, made.steps, made.seconds, made.gather, made.code("numpy")
    return made


CONV = cc.Contraction("b (i+k) c, k c o -> b i o")
THINGS: dict[str, Callable[[bool], Any]] = {
    "Compiled": compiled,
    "Compiled, fast": lambda used: compiled(used, "toom-cook"),
    "Compiled pooling": pooling,
    "Plan": lambda used: compiled(used).plan,
    "Plan of a gradient": lambda used: compiled(used).vjp_plan(1),
    "Plan of three": lambda used: CONV.plan((2, 9, 3), (3, 3, 4)),
    "Contraction": lambda used: CONV,
    "Derivation": derivation,
    "Derived": lambda used: CONV.jvp(0),
    "Jacobian": lambda used: CONV.jacobian(1),
    "Curvature": lambda used: CONV.curvature(1),
    "Curvature's product": lambda used: CONV.curvature(1).product(root=True),
    "Kronecker factors": lambda used: CONV.curvature(1).kronecker("expand"),
    "Certificate": lambda used: CONV.grad(1).verify(),
    "Explanation": explained,
    "steps": lambda used: derivation(used).steps,
    "seconds": lambda used: derivation(used).seconds,
    "an error": lambda used: cc.ShapeError("these shapes do not fit"),
}


def by_pickle(protocol: int) -> Callable[[Any], Any]:
    return lambda thing: pickle.loads(pickle.dumps(thing, protocol))


WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": by_pickle(n) for n in range(2, pickle.HIGHEST_PROTOCOL + 1)},
}


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("thing", THINGS)
def test_everything_is_copied_and_pickled(thing: str, used: bool) -> None:
    made = THINGS[thing](used)
    for way in WAYS.values():
        other = way(made)
        assert type(other) is type(made)
        assert (repr(other), str(other)) == (repr(made), str(made))
        # A copy of a copy, and the first one as well as before.
        assert str(way(other)) == str(made)


@pytest.mark.parametrize("way", ["copy", "deepcopy", f"pickle {pickle.HIGHEST_PROTOCOL}"])
@pytest.mark.parametrize("algorithm", ["auto", "direct", "toom-cook", "fft"])
@pytest.mark.usefixtures("engine")
def test_copies_compute_the_same(algorithm: str, way: str) -> None:
    for used in (False, True):
        run = compiled(used, algorithm)
        other = WAYS[way](run)
        assert str(other.plan) == str(run.plan)
        y = run(X, W)
        assert np.array_equal(other(X, W), y)
        for n in (0, 1):
            assert np.array_equal(other.vjp(n, y, X, W), run.vjp(n, y, X, W))
        assert str(other.vjp_plan(1)) == str(run.vjp_plan(1))
        del run
        gc.collect()
        assert np.array_equal(other(X, W), y)


@pytest.mark.parametrize("thing", ["Compiled", "Compiled, fast", "Compiled pooling", "Plan"])
def test_pickles_hold_what_things_are_made_of_and_no_more(thing: str) -> None:
    """Neither machine code nor memory: a thing that was used is the same pickle as a new one."""
    new, used = (pickle.dumps(THINGS[thing](flag)) for flag in (False, True))
    assert len(used) < 2 * len(new) + 1000
    assert len(new) < 20_000
    names = [
        argument for stored in (new, used) for _, argument, _ in pickletools.genops(stored)
        if isinstance(argument, str)
    ]  # fmt: skip
    modules = {name for name in names if name in sys.modules and "." in name}
    assert all(name.startswith(("contractconv.", "numpy")) for name in modules), modules
    assert not {"ctypes", "_ctypes", "_reconstruct", "ndarray"} & set(names)


def test_plans_that_travel_are_found_again() -> None:
    """Hashes of strings differ from process to process: a problem does not bring its own along."""
    stored = pickle.dumps(CONV.plan((2, 9, 3), (3, 3, 4)).problem)
    script = f"""
import pickle, sys
import contractconv as cc
found = pickle.loads({stored!r})
made = cc.Contraction("b (i+k) c, k c o -> b i o").plan((2, 9, 3), (3, 3, 4)).problem
assert found == made and hash(found) == hash(made) and len({{found, made}}) == 1
"""
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)


METHODS = [name for name in ("fork", "spawn") if name in multiprocessing.get_all_start_methods()]


@pytest.mark.parametrize("method", METHODS)
def test_pools_of_processes(method: str) -> None:
    new, used, pool_layer = compiled(False), compiled(True), pooling(True)
    y = used(X, W)
    with multiprocessing.get_context(method).Pool(2) as pool:
        for run in (new, used):
            for found, factor in zip(pool.starmap(run, [(X, W), (2 * X, W)]), (1, 2), strict=True):
                assert np.array_equal(found, factor * y)
        (gradient,) = pool.starmap(used.vjp, [(1, y, X, W)])
        assert np.array_equal(gradient, used.vjp(1, y, X, W))
        for found, array in zip(pool.map(pool_layer, [P, -P]), (P, -P), strict=True):
            assert np.array_equal(found, pool_layer(array))
    assert np.array_equal(used(X, W), y)
