"""Every map against mpmath, torch and jax, in every kind of numbers, and at its extremes."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from map_oracles import EXACT, applied, columns, extremes, in_jax, in_torch, named, points
from mpmath import mpc, mpf

from contractconv.errors import MapError
from contractconv.lazy import late
from contractconv.maps.derivatives import derivatives
from contractconv.maps.record import MapRecord
from contractconv.maps.table import MAPS, record_of, register, unregister

NAMES = sorted(MAPS)
FLOATS = ["float16", "float32", "float64"]


def test_every_map_has_an_oracle() -> None:
    assert set(EXACT) == set(MAPS)


# -- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", NAMES)
def test_values_are_exact_and_keep_their_kind(name: str, dtype: str) -> None:
    given = columns(name, points(name, 40), dtype)
    found = applied(name, given)
    assert found.dtype == (bool if MAPS[name].kind == "bool" else dtype)
    rows = zip(*[column.tolist() for column in given], strict=True)
    exact = [float(EXACT[name](*map(mpf, row))) for row in rows]
    rounding = float(np.finfo(dtype).eps)
    # One rounding at each of the few steps; what is near zero was a difference of such steps.
    np.testing.assert_allclose(found.astype(float), exact, rtol=8 * rounding, atol=4 * rounding)


def agree(name: str, found: Any, expected: Any, rounding: float) -> None:
    one, other = (np.asarray(values).astype(float) for values in (found, expected))
    np.testing.assert_allclose(one, other, rtol=20 * rounding, atol=4 * rounding, err_msg=name)


# The sign of no number at all is zero, and in float32 an infinite gelu is no number.
WRONG_IN_TORCH = {"sign": (math.nan,), "gelu": (math.inf,)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_values_at_extremes_are_those_of_torch(name: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    rows = [row for row in extremes(name) if row != WRONG_IN_TORCH.get(name)]
    given = columns(name, rows, dtype)
    expected = in_torch(name)(*map(torch.tensor, given)).resolve_conj().numpy()
    found = applied(name, given)
    assert found.dtype == expected.dtype
    agree(name, found, expected, float(np.finfo(dtype).eps))


@pytest.mark.parametrize("name", NAMES)
def test_values_at_extremes_are_those_of_jax(name: str) -> None:
    jax = pytest.importorskip("jax")
    peer = in_jax(name)
    if peer is None:
        return
    rows = extremes(name)
    if name == "leaky_relu":  # jax multiplies zeros by the slope, too
        rows = [row for row in rows if np.isfinite(row[1])]
    given = columns(name, rows, "float32")
    expected = peer(*map(jax.numpy.asarray, given))
    found = applied(name, given)
    assert found.dtype == expected.dtype
    # Its functions are less exact than numpy's.
    agree(name, found, expected, 1e-6)


@pytest.mark.parametrize("name", [n for n in NAMES if not MAPS[n].torch])
def test_what_has_no_name_in_torch_is_made_of_what_has(name: str) -> None:
    assert MAPS[name].unfolded


STABLE = {
    "sigmoid": [(-1e4, 0), (1e4, 1), (-np.inf, 0), (np.inf, 1)],
    "softplus": [(-1e4, 0), (1e4, 1e4), (-np.inf, 0), (np.inf, np.inf)],
    "log_sigmoid": [(-1e4, -1e4), (1e4, 0), (-np.inf, -np.inf), (np.inf, 0)],
    "silu": [(-1e4, 0), (1e4, 1e4), (np.inf, np.inf)],
    "gelu": [(-1e4, 0), (1e4, 1e4), (np.inf, np.inf)],
    "gelu_tanh": [(-1e4, 0), (1e4, 1e4), (np.inf, np.inf)],
    "elu": [(-1e4, -1), (1e4, 1e4), (-np.inf, -1), (np.inf, np.inf)],
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", sorted(STABLE))
def test_nothing_overflows(name: str, dtype: str) -> None:
    given, expected = np.array(STABLE[name]).T.astype(dtype)
    assert applied(name, (given,)).tolist() == expected.tolist()


@pytest.mark.parametrize("name", [n for n in NAMES if MAPS[n].kind == "float"])
def test_tiny_numbers_and_no_numbers_are_kept(name: str) -> None:
    for dtype in FLOATS:
        tiny = np.array([np.finfo(dtype).smallest_subnormal], dtype)
        given = (tiny,) * MAPS[name].arity
        exact = float(EXACT[name](*(mpf(float(tiny[0])),) * MAPS[name].arity))
        found = applied(name, given)
        with np.errstate(over="ignore"):
            expected = np.float64(exact).astype(dtype)
        assert (found == expected) or abs(found - expected) <= 4 * np.spacing(abs(expected)), dtype
        nothing = applied(name, (np.array([np.nan], dtype),) * MAPS[name].arity)
        assert np.isnan(nothing).all()
        assert nothing.dtype == dtype


@pytest.mark.parametrize("name", [n for n in NAMES if not MAPS[n].ordered])
def test_values_of_complex_numbers_are_exact(name: str) -> None:
    record = MAPS[name]
    random = np.random.default_rng(1)
    parts = random.uniform(-2, 2, (2, record.arity, 20))
    for dtype in ("complex64", "complex128"):
        given = tuple((parts[0] + 1j * parts[1]).astype(dtype))
        given = tuple(g.real > 0 if n < record.conditions else g for n, g in enumerate(given))
        found = applied(name, given)
        rows = zip(*[column.tolist() for column in given], strict=True)
        exact = [complex(EXACT[name](*map(mpc, row))) for row in rows]
        rounding = float(np.finfo(dtype).eps)
        np.testing.assert_allclose(found, exact, rtol=20 * rounding, atol=8 * rounding)
        if record.kind != "bool":
            assert found.dtype == (given[-1].real.dtype if record.kind == "real" else dtype)


INTEGERS = [n for n in NAMES if MAPS[n].kind in {"same", "bool"} and n != "real"]


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
@pytest.mark.parametrize("name", INTEGERS)
def test_integers_stay_integers(name: str, dtype: str) -> None:
    record = MAPS[name]
    given = tuple(np.array(v, dtype) for v in ([5, 1, 4, 3], [2, 1, 3, 3], [1, 2, 3, 4]))
    given = given[: record.arity]
    if (name, dtype) in {("negative", "uint8")}:
        given = (np.zeros(4, dtype),)
    found = applied(name, given)
    assert found.dtype == (bool if record.kind == "bool" else dtype)
    rows = zip(*[column.tolist() for column in given], strict=True)
    assert found.tolist() == [EXACT[name](*row) for row in rows]


TRUTHS = [
    "add",
    "multiply",
    "max",
    "min",
    "where",
    *(n for n in INTEGERS if MAPS[n].kind == "bool"),
]


@pytest.mark.parametrize("name", TRUTHS)
def test_truth_values_stay_truth_values(name: str) -> None:
    every = np.array([[False, False, True, True], [False, True, False, True], [True] * 4])
    given = tuple(every[: MAPS[name].arity])
    found = applied(name, given)
    assert found.dtype == bool
    rows = zip(*[column.tolist() for column in given], strict=True)
    assert found.tolist() == [bool(EXACT[name](*row)) for row in rows]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [n for n in NAMES if MAPS[n].arity > 1])
def test_numbers_of_python_widen_nothing(name: str, dtype: str) -> None:
    record = MAPS[name]
    if record.kind == "bool":
        return
    array = np.array([0.5, 2.0], dtype)
    for place in range(record.conditions, record.arity):
        given: list[Any] = [0.5] * record.arity
        given[: record.conditions] = [array > 1] * record.conditions
        given[place] = array
        assert applied(name, tuple(given)).dtype == dtype


SHAPES: list[Any] = [
    np.ones((0, 3)), np.float64(0.5), np.array(0.5), np.full((2, 3, 4), 0.5)[:, ::-2],
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_any_layout_is_fine_and_stays_as_it_is(name: str) -> None:
    for given in SHAPES:
        before = np.array(given)
        if isinstance(given, np.ndarray):
            given.flags.writeable = False
        found = applied(name, (given,) * MAPS[name].arity)
        assert found.shape == before.shape
        assert np.array_equal(before, given)
        one = applied(name, (np.float64(0.5),) * MAPS[name].arity)
        assert (found == one).all()


@pytest.mark.parametrize("name", [n for n in NAMES if MAPS[n].is_ufunc])
def test_ufuncs_write_where_they_are_told(name: str) -> None:
    record = MAPS[name]
    assert isinstance(record.ufunc, np.ufunc)
    given = (np.array([0.5, 2.0]),) * record.arity
    out = np.empty(2, bool if record.kind == "bool" else float)
    assert record.numpy(*given, out=out) is out
    assert np.array_equal(out, applied(name, given))


@pytest.mark.parametrize("name", NAMES)
def test_names_in_torch_and_jax_are_there(name: str) -> None:
    for peer in ("torch", "jax"):
        dotted = getattr(MAPS[name], peer)
        if dotted:
            assert callable(named(pytest.importorskip(peer), dotted))


# -- the table -----------------------------------------------------------------------------------


def test_the_table_needs_neither_numbers_nor_formulas() -> None:
    script = (
        "import sys; import contractconv.maps.table, contractconv.maps.derivatives as d\n"
        "%s\n"
        "assert 'numpy' not in sys.modules and 'sympy' not in sys.modules, 'heavy'"
    )

    def run(line: str) -> subprocess.CompletedProcess[str]:
        stub = "import sys, types; p = types.ModuleType('contractconv')\n"
        stub += f"p.__path__ = {[str(p) for p in __import__('contractconv').__path__]!r}\n"
        stub += "sys.modules['contractconv'] = p\n"
        command = [sys.executable, "-c", stub + script % line]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run("d.derivatives('gelu')").returncode == 0
    assert "heavy" in run("d.derivatives('sin')").stderr


def test_a_map_is_added_and_taken_out_again() -> None:
    register(replace(MAPS["tanh"], name="squashed", derivatives=("g * (1 - squashed(a) ** 2)",)))
    try:
        assert applied("squashed", (np.float64(0.5),)) == np.tanh(0.5)
        first = derivatives("squashed")
        with pytest.raises(MapError, match="there is a map 'squashed' already"):
            register(MAPS["squashed"])
    finally:
        unregister("squashed")
    with pytest.raises(MapError, match="there is no map 'squashed'; there are abs, add"):
        record_of("squashed")
    with pytest.raises(MapError, match="there is no map 'squashed'"):
        derivatives("squashed")
    register(replace(MAPS["exp"], name="squashed"))
    assert derivatives("squashed") != first
    unregister("squashed")


def plain(**changed: Any) -> MapRecord:
    return replace(MapRecord("plain", 1, late("sympy:exp"), late("numpy:exp")), **changed)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (plain(name="two words"), "programs cannot call a map 'two words'"),
        (plain(name="lambda"), "programs cannot call a map 'lambda'"),
        (plain(arity=4), "plain has 4 arguments, not 1 to 3"),
        (plain(derivatives=("g", "g")), "plain has 2 derivatives for 1 arguments"),
        (plain(derivatives=("g * b",)), "plain knows no 'b' in 'g \\* b', only a, y, g"),
        (plain(derivatives=("g * nothing(a)",)), "plain knows no map nothing of 1"),
        (plain(derivatives=("g * exp(a, a)",)), "plain knows no map exp of 2"),
        (plain(derivatives=("g *",)), "this is no expression in maps: 'g \\*'"),
        (plain(unfolded="plain(a)"), "plain knows no map plain of 1"),
        (plain(unfolded="g"), "plain knows no 'g' in 'g', only a"),
    ],
)
def test_a_record_that_cannot_be_understood_is_refused(record: MapRecord, message: str) -> None:
    with pytest.raises(MapError, match=message):
        register(record)
    assert "plain" not in MAPS
