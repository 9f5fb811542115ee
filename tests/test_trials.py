"""Trials without mercy: any string, shape, dtype and layout, and calls that are wrong on purpose.

A trial passes if the numbers are the oracle's, or if the call is refused by one of the library's
own exceptions where the oracle refuses it too. Anything else that is raised is a fault.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from oracle import evaluate, gradient, natural_output_shape, read_spec
from oracle import plain_index as plain
from strategies import Array, Draw, Problem, Shape, problems, seeds, windows

import contractconv as cc
from contractconv import Algorithm, Reduction
from contractconv.engines.llvm.kernels import native

DTYPES = (
    "float32", "float64", "complex64", "complex128", "float16", "int64", "int32", "int8", "uint8",
)  # fmt: skip
ALGORITHMS: tuple[Algorithm, ...] = ("auto", "auto", "direct", "toom-cook", "fft", "measure")
ORDERED: tuple[Reduction, ...] = ("sum", "max", "min", "prod", "mean", "logsumexp")
COMPLEX: tuple[Reduction, ...] = ("sum", "prod", "mean")
LONGEST_CALL = 1.0  # seconds; no problem here has more than some thousand points


@pytest.fixture(scope="module", params=["llvm", "numpy"])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """What computes: compiled kernels, or numpy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTRACTCONV_KERNELS", request.param)
        if request.param == "llvm" and not native.available():
            pytest.skip("there is no compiler")
        yield request.param


# --- what is drawn ---------------------------------------------------------------------------


def _reversed(array: Array) -> Array:
    return np.ascontiguousarray(array[..., ::-1])[..., ::-1] if array.ndim else array


def _spread(array: Array) -> Array:
    wide = np.zeros([2 * size for size in array.shape], array.dtype)
    every_second: Any = (..., *[slice(None, None, 2)] * array.ndim)
    view: Array = wide[every_second]
    view[...] = array
    return view


def _swapped(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder())


def _unaligned(array: Array) -> Array:
    room = np.zeros(array.nbytes + 1, np.uint8)
    view = room[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


LAYOUTS = {
    "plain": lambda array: array,
    "columns first": lambda array: array.copy("F"),
    "reversed": _reversed,
    "spread": _spread,
    "swapped bytes": _swapped,
    "unaligned": _unaligned,
}


@dataclass(frozen=True)
class Trial:
    """A problem with everything that a call depends on."""

    problem: Problem
    reduce: Reduction
    operands: tuple[Array, ...]
    algorithm: Algorithm

    @property
    def contraction(self) -> cc.Contraction:
        """What is called."""
        return cc.Contraction(self.problem.spec, self.reduce)


@st.composite
def emptied(draw: Draw) -> Problem:
    """A layer some of whose axes are empty, batch, channels, taps or places alike."""
    problem = draw(windows())
    names = draw(st.sets(st.sampled_from(sorted(problem.extents)), min_size=1, max_size=2))
    extents = problem.extents | dict.fromkeys(names, 0)
    terms = read_spec(problem.spec).inputs
    texts = [term.split() for term in problem.spec.split("->")[0].split(",")]
    shapes = []
    for term, axes, shape in zip(texts, terms, problem.shapes, strict=True):
        assert len(term) == len(axes)
        fixed = [plain(text) for text in term]
        shapes.append(tuple(
            extents[name] if name else draw(st.sampled_from([0, size, size]))
            for name, size in zip(fixed, shape, strict=True)
        ))  # fmt: skip
    out = natural_output_shape(problem.spec, shapes, extents)
    return Problem(problem.spec, tuple(shapes), extents, out)


anything = st.one_of(problems(), windows(), problems(empty=True), emptied())


@st.composite
def trials(draw: Draw) -> Trial:
    problem = draw(anything)
    alike = draw(st.booleans())
    kinds = [draw(st.sampled_from(DTYPES)) for _ in problem.shapes]
    if alike:
        kinds = kinds[:1] * len(kinds)
    common = np.result_type(*kinds) if kinds else np.dtype(float)
    reduce = draw(st.sampled_from(COMPLEX if common.kind == "c" else ORDERED))
    seed = draw(seeds())
    operands = []
    for place, (shape, kind) in enumerate(zip(problem.shapes, kinds, strict=True), 1):
        layout = draw(st.sampled_from(list(LAYOUTS)))
        # Small and positive: nothing wraps around, and nothing rounds but means and exponentials.
        values = np.random.default_rng(4 * seed + place).integers(0, 3, shape)
        array = LAYOUTS[layout](values.astype(kind))
        array.flags.writeable = draw(st.booleans())
        operands.append(array)
    return Trial(problem, reduce, tuple(operands), draw(st.sampled_from(ALGORITHMS)))


# --- asking ----------------------------------------------------------------------------------


def _wide(array: Array) -> Array:
    kind = {"i": "int64", "u": "int64", "f": "float64", "c": "complex128"}[array.dtype.kind]
    return array.astype(kind)


def _timed(call: Any, *arguments: Any, **named: Any) -> Any:
    """What a call gives; a long one is tried once more, as the machine may have stalled."""
    for last in (False, True):
        start = time.perf_counter()
        result = call(*arguments, **named)
        if time.perf_counter() - start <= LONGEST_CALL:
            return result
        assert not last, f"the call took {time.perf_counter() - start:.1f} s"
    raise AssertionError


def _fast_refused(trial: Trial, call: Any, *arguments: Any, **named: Any) -> Any:
    """The result, or ``None`` where an algorithm that was asked for does not apply."""
    try:
        return _timed(call, *arguments, algorithm=trial.algorithm, **named)
    except cc.AlgorithmError:
        assert trial.algorithm in ("toom-cook", "fft")
        return None


def _assert_agrees(result: Array, expected: Array, bulk: Array) -> None:
    assert result.shape == expected.shape
    if result.dtype.kind in "iu":
        exact = expected.astype(result.dtype)
        if result.dtype.itemsize < 8 and np.any(exact != expected):
            return  # beyond what the dtype holds, and no longer the oracle's affair
        np.testing.assert_array_equal(result, exact)
        return
    with np.errstate(over="ignore"):
        rounded = expected.astype(result.dtype)
    finite = np.abs(bulk[np.isfinite(bulk)]).max(initial=1.0)
    tolerance = 64 * np.finfo(result.dtype).eps * finite
    beyond = np.isinf(rounded) & np.isfinite(expected)
    np.testing.assert_allclose(
        np.where(beyond, 0, result), np.where(beyond, 0, rounded), rtol=0, atol=tolerance
    )


# --- trials ----------------------------------------------------------------------------------


@given(trial=trials())
def test_results(engine: str, trial: Trial) -> None:
    problem, wide = trial.problem, [_wide(array) for array in trial.operands]
    note(f"{[(a.dtype, a.strides) for a in trial.operands]}")
    expected = evaluate(problem.spec, wide, problem.extents, problem.output_shape, trial.reduce)
    given_: dict[str, Any] = {"output_shape": problem.output_shape, **problem.extents}
    result = _fast_refused(trial, trial.contraction, *trial.operands, **given_)
    if result is not None:
        _assert_agrees(np.asarray(result), expected, expected)


@given(trial=trials(), seed=seeds())
def test_gradients(engine: str, trial: Trial, seed: int) -> None:
    problem, wide = trial.problem, [_wide(array) for array in trial.operands]
    note(f"{[(a.dtype, a.strides) for a in trial.operands]}")
    rounds = trial.reduce in ("mean", "logsumexp")
    kind = np.result_type(*trial.operands, *([np.float16] if rounds else []))
    cotangent = np.random.default_rng(seed).integers(0, 3, problem.output_shape).astype(kind)
    for n, operand in enumerate(trial.operands):
        expected = gradient(
            problem.spec, n, _wide(cotangent), wide, problem.extents, problem.output_shape,
            trial.reduce,
        )  # fmt: skip
        derivation = trial.contraction.grad(n)
        result = _fast_refused(trial, derivation, cotangent, *trial.operands, **problem.extents)
        if result is None:
            continue
        assert result.shape == operand.shape
        if np.iscomplexobj(expected) and not np.iscomplexobj(result):
            expected = expected.real
        _assert_agrees(np.asarray(result), expected, expected)


@given(trial=trials(), data=st.data())
def test_wrong_extents_are_refused_where_they_are_wrong(
    engine: str, trial: Trial, data: st.DataObject
) -> None:
    problem = trial.problem
    name = data.draw(st.sampled_from(sorted(problem.extents) or [""]))
    if not name:
        return
    changed = problem.extents | {name: data.draw(st.integers(0, 6))}
    wide = [_wide(array) for array in trial.operands]
    try:
        shape = natural_output_shape(problem.spec, problem.shapes, changed)
    except ValueError:
        with pytest.raises(cc.ContractionError):
            trial.contraction(*trial.operands, **changed)
        return
    expected = evaluate(problem.spec, wide, changed, shape, trial.reduce)
    result = _timed(trial.contraction, *trial.operands, **changed)
    _assert_agrees(np.asarray(result), expected, expected)


@given(trial=trials(), data=st.data())
def test_wrong_cotangents_are_refused(engine: str, trial: Trial, data: st.DataObject) -> None:
    problem = trial.problem
    scatters = [plain(t) is None and " " not in t for t in _output_texts(problem.spec)]
    shape = _wrong(problem.output_shape, scatters, data)
    if shape is None:
        return
    cotangent = np.zeros(shape, np.result_type(*trial.operands, np.float16))
    for n in range(len(trial.operands)):
        with pytest.raises(cc.ContractionError) as refused:
            trial.contraction.grad(n)(cotangent, *trial.operands, **problem.extents)
        assert str(shape) in str(refused.value)
        assert str(tuple(problem.output_shape)) in str(refused.value) or any(scatters)


def _output_texts(spec: str) -> list[str]:
    """The axes of the output, as texts."""
    texts, depth = [""], 0
    for letter in spec.partition("->")[2].strip():
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == " " and not depth:
            texts.append("")
        else:
            texts[-1] += letter
    return [text for text in texts if text]


def _wrong(shape: Shape, scatters: list[bool], data: st.DataObject) -> Shape | None:
    """A shape that no result of the problem has."""
    fixed = [place for place, scatter in enumerate(scatters) if not scatter]
    other: bool = data.draw(st.booleans())
    if fixed and other:
        place: int = data.draw(st.sampled_from(fixed))
        size = data.draw(st.integers(0, 9).filter(lambda number: number != shape[place]))
        return (*shape[:place], size, *shape[place + 1 :])
    longer: bool = data.draw(st.booleans())
    return (*shape, 1) if longer or not shape else shape[1:]
