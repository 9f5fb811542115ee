"""Compiled programs: shapes, numbers, what is refused, threads, forks, pickles, peaks."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from allocations import peak_beyond_result

import contractconv as cc


def layer() -> cc.Program:
    x, W, bias = cc.tensor("x", "b h w c"), cc.tensor("W", "k l c o"), cc.tensor("bias", "o")
    z = cc.contract("b (i+k-1) (j+l-1) c, k l c o -> b i j o", x, W)
    a = cc.relu(z + bias)
    return cc.program(loss=cc.contract("b i j o, b i j o ->", a, a), name="layer").grad()


def arrays(batch: int = 2, seed: int = 0, dtype: str = "float64") -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shapes = {"x": (batch, 9, 8, 3), "W": (3, 3, 3, 5), "bias": (5,)}
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def expected(given: dict[str, Any]) -> list[Any]:
    """The same by numpy, window by window."""
    x, W, bias = given["x"], given["W"], given["bias"]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    z = np.einsum("bijckl,klco->bijo", windows, W) + bias
    a = np.maximum(z, 0)
    back = np.where(a > 0, 2 * a, 0)
    dx = np.zeros_like(padded)
    for k in range(3):
        for m in range(3):
            dx[:, k : k + 9, m : m + 8] += np.einsum("bijo,co->bijc", back, W[k, m])
    dW = np.einsum("bijckl,bijo->klco", windows, back)
    return [(a * a).sum(), dx[:, 1:-1, 1:-1], dW, back.sum((0, 1, 2))]


def agree(made: Any, given: dict[str, Any], rtol: float = 1e-9) -> None:
    for found, wanted in zip(made, expected(given), strict=True):
        np.testing.assert_allclose(found, wanted, rtol, rtol * np.abs(wanted).max(initial=0))


def test_shapes_may_be_said_or_taken_from_the_arrays() -> None:
    given = arrays()
    shapes = {name: array.shape for name, array in given.items()}
    for run in (layer(), layer().compile(), layer().compile(**shapes, dtype="float64")):
        agree(run(**given), given)
        agree(run(*given.values()), given)


def test_a_free_size_may_be_any() -> None:
    run = layer().compile(x=(None, 9, 8, 3), dtype="float64")
    for batch in (1, 4, 0, 2, 4):
        given = arrays(batch)
        agree(run(**given), given)
    with pytest.raises(cc.ShapeError, match="x has shape"):
        run(**(arrays() | {"x": np.ones((2, 9, 9, 3))}))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_have_the_numbers_of_the_inputs(dtype: str) -> None:
    given = arrays(dtype=dtype)
    made = layer()(**given)
    assert {array.dtype for array in made} == {np.dtype(dtype)}
    agree(made, given, 1e-4 if dtype == "float32" else 1e-9)


def test_numbers_that_stand_in_a_program_widen_nothing() -> None:
    x, labels = cc.tensor("x", "i"), cc.tensor("labels", "i", dtype="int64")
    y = 2.5 * x * np.float64(3) + labels + np.array(1.0) + cc.index("i")
    (made,) = cc.compile([cc.grad(cc.contract("i ->", y * y), x)], [x, labels])(
        np.ones(3, np.float32), np.arange(3)
    )
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, 15 * (7.5 + 2 * np.arange(3) + 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda given: {"x": given["x"]}, "called without W, bias"),
        (lambda given: given | {"more": 1}, "which it does not have"),
        (lambda given: given | {"W": np.ones((3, 3, 4, 5))}, "extents disagree"),
        (lambda given: given | {"bias": np.ones(4)}, "has two sizes"),
        (lambda given: given | {"bias": np.ones((5, 1))}, "axes"),
        (lambda given: given | {"bias": "five"}, "bias"),
    ],
)
def test_what_does_not_fit_is_refused(change: Any, message: str) -> None:
    with pytest.raises(cc.ContractionError, match=message):
        layer()(**change(arrays()))


def test_inputs_stay_as_they_are() -> None:
    given = arrays()
    for array in given.values():
        array.flags.writeable = False
    before = {name: array.copy() for name, array in given.items()}
    run = layer().compile(dtype="float64")
    for _ in range(3):
        agree(run(**given), given)
    assert all(np.array_equal(given[name], before[name]) for name in given)


def test_results_belong_to_the_caller() -> None:
    """What is returned is not used again, however often the program runs meanwhile."""
    run = layer().compile(dtype="float64")
    first = arrays(batch=8, seed=1)
    kept = run(**first)
    for seed in range(2, 6):
        run(**arrays(batch=8, seed=seed))
    agree(kept, first)


def test_results_are_no_inputs() -> None:
    x = cc.tensor("x", "i k")
    turned = cc.contract("i k -> k i", x)
    for given in (np.ones((3, 4)), np.ones((6, 4))[::2], np.ones((4, 3)).T):
        for same in (x, x.named("a b"), turned, turned.named("a b")):
            (single,) = cc.compile([same], [x])(given)
            assert not np.shares_memory(single, given)
            one, other = cc.compile([same, x * 2], [x])(given)
            assert not np.shares_memory(one, given)
            assert other.sum() == 2 * given.sum() == 24


def test_operands_may_lie_anyhow() -> None:
    run = layer().compile(dtype="float64")
    plain = arrays()
    turned = {name: np.asfortranarray(array) for name, array in plain.items()}
    twice = {name: np.repeat(array, 2, axis=-1)[..., ::2] for name, array in plain.items()}
    for given in (plain, turned, twice):
        agree(run(**given), plain)


def test_threads_share_a_compiled_program() -> None:
    run = layer().compile(dtype="float64")
    given = [arrays(batch=3, seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for one, made in zip(given, pool.map(lambda g: run(**g), given), strict=True):
                agree(made, one)


def _in_a_child(run: Any, given: dict[str, Any], answers: Any) -> None:
    answers.put([np.asarray(made) for made in run(**given)])


def test_a_child_goes_on() -> None:
    run, given = layer().compile(dtype="float64"), arrays()
    agree(run(**given), given)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_in_a_child, args=(run, given, answers))
    child.start()
    agree(answers.get(), given)
    child.join()
    agree(run(**given), given)


def test_what_is_compiled_can_be_sent() -> None:
    given = arrays()
    for run in (layer().compile(), layer().compile(x=(None, 9, 8, 3), dtype="float64")):
        again = pickle.loads(pickle.dumps(run))
        agree(again(**given), given)
    program = pickle.loads(pickle.dumps(layer()))
    assert program == layer()


def test_clearing_caches_changes_nothing() -> None:
    run, given = layer().compile(dtype="float64"), arrays()
    for _ in range(2):
        agree(run(**given), given)
        cc.clear_caches()


def test_a_mask_is_never_there_as_a_whole() -> None:
    """Of scores of q x k, the mask of q >= k takes no array beside them."""
    s = cc.tensor("s", "b q k")
    masked = cc.where(cc.index("q") >= cc.index("k"), s, 0)
    run = cc.compile(masked, [s], dtype="float32", s=(2, 1024, 1024))
    given = np.ones((2, 1024, 1024), np.float32)
    run(given)
    assert peak_beyond_result(lambda: run(given)) < 1024 * 1024 // 2
