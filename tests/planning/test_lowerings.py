"""What a plan prints is what runs: the ways that it names are those that a trace hears."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.arrays.run_trace import traced
from contractconv.arrays.views import operand_view, output_view
from contractconv.arrays.workspace import Making
from contractconv.engines.llvm.kernels import native
from contractconv.planning import lowerings
from contractconv.planning.lowerings import GRADIENT, Lowering, register, withdraw
from contractconv.planning.workspace import Workspace

FIRST = "b c (i+k) (j+l), o c k l -> b o i j"
CONV = "b (i+k-1) (j+l-1) c, k l c o -> b i j o"
POOL = "b (2*i+k) (2*j+l) c -> b i j c"
CASES: dict[str, tuple[str, tuple[tuple[int, ...], ...], dict[str, Any]]] = {
    "tiny product": ("i j, j k -> i k", ((8, 8), (8, 8)), {}),
    "product": ("i j, j k -> i k", ((130, 90), (90, 70)), {}),
    "chain": ("i j, j k, k l -> i l", ((130, 90), (90, 70), (70, 40)), {}),
    "outer product": ("i, j -> i j", ((300,), (200,)), {}),
    "Hadamard": ("i j, i j -> i j", ((300, 200), (300, 200)), {}),
    "batched dots": ("i j, i j -> i", ((300, 200), (300, 200)), {}),
    "sum": ("i j -> i", ((300, 200),), {}),
    "transposition": ("i j -> j i", ((300, 200),), {}),
    "convolution": (CONV, ((2, 32, 32, 16), (3, 3, 16, 16)), {}),
    "few channels": (CONV, ((1, 20, 20, 2), (3, 3, 2, 3)), {}),
    "one result": ("(i+k) (j+l), k l -> i j", ((40, 40), (9, 9)), {}),
    "stride": (CONV.replace("(i", "(2*i"), ((1, 32, 32, 8), (3, 3, 8, 8)), {}),
    "a column of taps": (FIRST, ((1, 16, 40, 40), (16, 16, 5, 1)), {}),
    "a row of taps": (FIRST, ((1, 16, 40, 40), (16, 16, 1, 5)), {}),
    "one row met by every tap": ("b (0) (j+l) o, k l c o -> b k j c",
                                 ((2, 1, 90, 8), (3, 3, 8, 8)), {}),
    "channels first": (FIRST, ((2, 16, 30, 32), (16, 16, 3, 3)), {}),
    "groups, channels first": ("b g c (i+k) (j+l), g o c k l -> b g o i j",
                               ((2, 4, 8, 20, 22), (4, 8, 8, 3, 3)), {}),
    "phases, channels first": ("b o i j, o c k l -> b c (2*i+k-1) (2*j+l-1)",
                               ((1, 32, 9, 9), (32, 32, 3, 3)), {}),
    "few rows, padded": ("b o i j, o c k l -> b c (i+k) (j+l)", ((2, 8, 2, 90), (8, 8, 3, 3)), {}),
    "many groups": ("b (i+k) g c, k g c o -> b i g o", ((1, 34, 140, 4), (3, 140, 4, 4)), {}),
    "depthwise": ("b (i+k-1) (j+l-1) c, k l c -> b i j c", ((2, 32, 32, 8), (3, 3, 8)), {}),
    "transposed": ("b i j c, k l c o -> b (2*i+k-1) (2*j+l-1) o",
                   ((2, 12, 12, 8), (3, 3, 8, 8)), {}),
    "scatter of one": ("i, k -> (2*i+k)", ((900,), (33,)), {}),
    "max pooling": (POOL, ((2, 32, 32, 8),), {"reduce": "max", "k": 2, "l": 2}),
    "tiny max pooling": (POOL, ((1, 4, 4, 1),), {"reduce": "max", "k": 2, "l": 2}),
    "mean pooling": (POOL, ((2, 32, 32, 8),), {"reduce": "mean", "k": 2, "l": 2}),
    "overlapping pooling": ("b (2*i+k-1) c -> b i c", ((4, 65, 30),), {"reduce": "min", "k": 3}),
    "products of a window": ("b (2*i+k) c -> b i c", ((4, 65, 30),), {"reduce": "prod", "k": 3}),
}  # fmt: skip


def drawn(shapes: tuple[tuple[int, ...], ...], dtype: str) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return [rng.integers(-3, 4, shape).astype(dtype) for shape in shapes]


def named(text: str) -> set[str]:
    """The ways that a plan names, one in the brackets at the end of each step."""
    return {entry.name for entry in lowerings.table if f"({entry.name})" in text}


@pytest.fixture(params=["llvm", "numpy"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CONTRACTCONV_KERNELS", request.param)
    if request.param == "llvm" and not native.available():
        pytest.skip("there is no compiler")
    return str(request.param)


@pytest.mark.parametrize("algorithm", ["auto", "direct", "toom-cook", "fft"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "complex128", "float16"])
@pytest.mark.parametrize("case", CASES)
def test_what_a_plan_names_is_what_runs(
    kernels: str, case: str, dtype: str, algorithm: Any
) -> None:
    spec, shapes, given = CASES[case]
    extents = dict(given)
    contraction = cc.Contraction(spec, reduce=extents.pop("reduce", "sum"))
    if dtype == "complex128" and contraction.reduce in ("max", "min"):
        dtype = "float32"  # complex numbers have no order
    try:
        run = contraction.compile(*shapes, dtype=dtype, algorithm=algorithm, **extents)
    except cc.AlgorithmError:
        assert algorithm in ("toom-cook", "fft")  # it has nothing to work on
        return
    operands = drawn(shapes, dtype)
    with traced() as ran:
        made = run(*operands)
    assert {one.way for one in ran} == named(str(run.plan)), str(run.plan)
    for n in range(len(shapes)):
        cotangent = np.ones_like(made)
        with traced() as ran:
            run.vjp(n, cotangent, *operands)
        assert {one.way for one in ran} == named(str(run.vjp_plan(n))), str(run.vjp_plan(n))


def test_a_plan_that_names_another_way_would_be_noticed(kernels: str) -> None:
    """A description that lies: the same way under another name."""
    spec, shapes, _ = CASES["product"]
    way = lowerings.lowering_of(cc.Contraction(spec).plan(*shapes).steps[0].choice.chosen.pieces[0],
                                cc.Contraction(spec).plan(*shapes).setting)  # fmt: skip
    lie = Lowering("magic", way.applies, lambda *_: None, way.describe)
    register([lie])
    try:
        run = cc.Contraction(spec).compile(*shapes)
        with traced() as ran:
            run(*drawn(shapes, "float64"))
        assert named(str(run.plan)) == {"magic"} != {one.way for one in ran}
    finally:
        withdraw([lie])


class _Summing:
    """A way from outside of the package: sums of products by numpy.einsum."""

    def __init__(self, seen: list[str], piece: Any) -> None:
        self.seen, self.piece = seen, piece

    def goes_with(self, other: object) -> bool:
        return False

    def workspace(self, together: Any, work: Any) -> Workspace:
        return Workspace()

    def run(self, together: Any, work: Any) -> None:
        self.seen.append(str(self.piece.problem))
        operands = map(operand_view, [self.piece.problem] * 2, (0, 1), work.arrays)
        view = output_view(work.out, self.piece.problem)
        letters = {name: chr(97 + n) for n, name in enumerate(self.piece.problem.indices)}
        given = [(one.array, "".join(map(letters.__getitem__, one.labels))) for one in operands]
        terms = ",".join(labels for _, labels in given)
        spec = f"{terms}->{''.join(map(letters.__getitem__, view.labels))}"
        made = np.einsum(spec, *(array for array, _ in given))
        view.array[...] = view.array + made if work.accumulate else made


@contextmanager
def outsider(only: str = "", **answers: Any) -> Iterator[list[str]]:
    """Such a way in the table, and what it has been given; of one problem, if it is named."""
    seen: list[str] = []

    def applies(piece: Any, setting: Any) -> bool:
        return len(piece.problem.operands) == 2 and only in ("", str(piece.problem))

    def prepare(piece: Any, work: Any) -> _Summing | None:
        return _Summing(seen, piece) if applies(piece, None) else None

    entry = Lowering("from outside", applies, prepare, lambda _: "einsum", **answers)
    register([entry])
    try:
        yield seen
    finally:
        withdraw([entry])


def test_a_way_from_outside_is_taken_and_named() -> None:
    a, b = drawn(((30, 40), (40, 50)), "int64")
    with outsider("i j, j k -> i k") as seen:
        assert np.array_equal(cc.contract("i j, j k -> i k", a, b), a @ b)
        assert seen == ["i j, j k -> i k"]
        plan = cc.Contraction("i j, j k -> i k").plan(a.shape, b.shape, dtype="int64")
        assert plan.steps[0].lowering == "einsum (from outside)"
        assert np.array_equal(cc.contract("i j, k j -> i k", a, b.T), a @ b)
        assert len(seen) == 1


@pytest.mark.parametrize("case", ["product", "convolution"])
def test_a_way_from_outside_is_chosen_if_it_is_faster(kernels: str, case: str) -> None:
    """Even where windows would be decomposed otherwise, and where a kernel would do it."""
    spec, shapes, _ = CASES[case]
    operands = drawn(shapes, "float32")
    before = cc.Contraction(spec).plan(*shapes, dtype="float32").steps[0]
    expected = cc.contract(spec, *operands)
    with outsider(seconds=lambda *_: 1e-12) as seen:
        run = cc.Contraction(spec).compile(*shapes, dtype="float32")
        with traced() as ran:
            made = run(*operands)
        assert not ran
        assert len(seen) == len(run.plan.steps[0].choice.chosen.pieces)
        assert run.plan.steps[0].lowering.endswith("einsum (from outside)")
        assert run.plan.steps[0].choice.chosen.seconds < before.choice.chosen.seconds
        assert np.allclose(made, expected, atol=1e-3)
    with outsider(seconds=lambda *_: 1e3) as seen:
        after = cc.Contraction(spec).plan(*shapes, dtype="float32").steps[0]
        assert after.lowering == before.lowering
        cc.contract(spec, *operands)
        assert not seen


def test_the_error_of_a_way_from_outside_is_what_a_plan_says() -> None:
    spec, shapes, _ = CASES["convolution"]
    with outsider(seconds=lambda *_: 1e-12, error=lambda *_: 0.125):
        step = cc.Contraction(spec).plan(*shapes, dtype="float32").steps[0]
        assert step.choice.chosen.error == 0.125
    assert cc.Contraction(spec).plan(*shapes, dtype="float32").steps[0].choice.chosen.error < 1e-5


def test_a_gradient_from_outside_is_taken_and_named() -> None:
    """Local derivative and backward contraction at once, wherever a gradient is asked for."""
    contraction, x, g = cc.Contraction("i k -> i", reduce="max"), np.zeros((3, 4)), np.ones(3)
    sevens = Lowering(
        "sevens",
        lambda piece, _: str(piece.problem) == "i k -> i",
        lambda *_: None,
        lambda _: "sevens",
        seconds=lambda *_: 1e-12,
        takes=GRADIENT,
        makes=lambda problem, _: Making(lambda given: np.full_like(given[0], 7)),
    )
    register([sevens])
    try:
        run = contraction.compile(x.shape)
        assert "(sevens)" in str(run.vjp_plan(0))
        assert (run.vjp(0, g, x) == 7).all()
        assert (contraction.grad(0)(g, x) == 7).all()
    finally:
        withdraw([sevens])
    assert (contraction.grad(0)(g, x) == [1, 0, 0, 0]).all()
