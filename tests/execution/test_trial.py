"""Where kernels cannot be made or run numpy does everything, and a line says so."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contractconv.engines.llvm.kernels import native, self_check

compiling = pytest.mark.skipif(not native.available(), reason="there is no compiler")
HERE = Path(__file__).parent

# What is asked of a process: each result is right, and kernels are there or not.
SHORT = """
import sys
import numpy as np, contractconv as cc
from contractconv.engines.llvm.kernels import native
{before}
x, w = np.arange(600).reshape(2, 20, 15), np.arange(360).reshape(3, 15, 8) % 7
{between}
layer = cc.Contraction("b (i+k-1) c, k c o -> b i o")
found = layer(x.astype("float32"), w.astype("float32"))
assert (found == layer(x, w)).all()
print(native.available())
"""
LONG = """
import sys
import numpy as np, contractconv as cc
from contractconv.engines.llvm.kernels import native
{before}
x = np.arange(4 * 18 * 18 * 8).reshape(4, 18, 18, 8) % 7
w = np.arange(3 * 3 * 8 * 16).reshape(3, 3, 8, 16) % 5
conv = cc.Contraction("b (i+k-1) (j+l-1) c, k l c o -> b i j o")
pool = cc.Contraction("b (2*i+k) (2*j+l) c -> b i j c", reduce="max")
compiled = conv.compile(x.shape, w.shape, dtype="float32", algorithm="direct")
{between}
exact, slope = conv(x, w), conv.grad(1)(conv(x, w), x, w)
halved = pool(x, k=2, l=2)

def check(found, wanted):
    assert abs(found - wanted).max() <= 1e-4 * abs(wanted).max()

floats = [(x.astype(dtype), w.astype(dtype)) for dtype in ("float32", "float64")]
for a, b in floats:
    for algorithm in ("auto", "direct", "toom-cook"):
        check(conv(a, b, algorithm=algorithm), exact)
    check(cc.contract(conv, a, b, memory_limit=10**6), exact)
    check(conv.grad(1)(exact.astype(a.dtype), a, b), slope)
    check(pool(a, k=2, l=2), halved)
    check(
        pool.grad(0)(halved.astype(a.dtype), a, k=2, l=2), pool.grad(0)(halved, x, k=2, l=2)
    )
check(compiled(*floats[0]), exact)
check(compiled.vjp(1, exact.astype("float32"), *floats[0]), slope)
print(native.available())
"""
BROKEN = "contractconv: numpy does what kernels would do, only slower: "
COMPILING = "contractconv: compiling kernels for this machine (once)"


def answer(
    cache: Path, asked: str = SHORT, before: str = "", between: str = "", path: Path = HERE
) -> tuple[str, str]:
    """Whether kernels are available to a process, and what it says."""
    paths = os.pathsep.join([str(path), *filter(None, sys.path)])
    given = os.environ | {"PYTHONPATH": paths, "CONTRACTCONV_CACHE": str(cache)}
    run = subprocess.run(
        [sys.executable, "-c", asked.format(before=before, between=between)], env=given,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.strip(), run.stderr


# --- memory that may not be made executable ------------------------------------------------------

FORBID = "import ctypes; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0"


def can_be_forbidden() -> bool:
    return (
        sys.platform == "linux"
        and not subprocess.run(
            [sys.executable, "-c", FORBID], capture_output=True, check=False
        ).returncode
    )


forbidding = pytest.mark.skipif(not can_be_forbidden(), reason="the system does not forbid it")


@forbidding
@compiling
def test_where_memory_may_not_be_made_executable(tmp_path: Path) -> None:
    found, said = answer(tmp_path, LONG, before=FORBID)
    assert found == "False"
    assert said == f"{BROKEN}this process may not make memory executable\n"


@forbidding
@compiling
@pytest.mark.parametrize("warm", ["", "pool(x.astype('f'), k=2, l=2)"])
def test_where_it_may_no_longer(warm: str, tmp_path: Path) -> None:
    """A process that shuts itself in after it has begun to work."""
    found, said = answer(tmp_path, LONG, between=f"native.available()\n{warm}\n{FORBID}")
    assert found == "False"
    assert said.splitlines()[-1] == f"{BROKEN}this process may not make memory executable"
    assert said.count("\n") == 1 + bool(warm)


@forbidding
def test_asking_tells_who_may_from_who_may_not() -> None:
    room = "contractconv.engines.llvm.kernels.self_check"
    code = f"from {room} import may_execute as ask; a=ask(); {FORBID}; "
    run = subprocess.run(
        [sys.executable, "-c", f"{code}print(a, ask())"], capture_output=True, text=True, check=True
    )
    assert run.stdout == "True False\n"


# --- compilers that are none ---------------------------------------------------------------------

# In front of the real llvmlite, which it lets in and then breaks.
REAL = f"""
import sys
sys.path = [path for path in sys.path if {"llvmlite-is-broken"!r} not in path]
del sys.modules["llvmlite"]
import llvmlite
from llvmlite import binding
def fail(*given, **named):
    raise RuntimeError("it does not work\\nat all")
"""
BREAKS = {
    "too old": "del binding.create_pass_builder, binding.create_pipeline_tuning_options",
    "no targets": "binding.initialize_native_target = fail",
    "no target": "binding.Target.from_default_triple = fail",
    "no parser": "binding.parse_assembly = fail",
    "no machine code": "binding.TargetMachine.emit_object = fail",
    "no engine": "binding.create_mcjit_compiler = fail",
    "no processor": "binding.get_host_cpu_name = fail",
    "no function": "binding.ExecutionEngine.get_function_address = lambda engine, name: 0",
    "wrong numbers": "import ctypes; away = ctypes.cast(ctypes.CDLL(None).labs, ctypes.c_void_p)\n"
    "binding.ExecutionEngine.get_function_address = lambda engine, name: away.value",
}
IMPORTS = {
    "its library is missing": "raise OSError('Could not find/load shared object file')",
    "a library of its library is missing": "raise ImportError('libLLVM.so: cannot open')",
    "a module is missing": "raise ModuleNotFoundError('no', name='llvmlite.binding.ffi')",
    "an attribute is missing": "raise AttributeError('module has no attribute')",
    "it is empty": "",
    "it is no Python": "???",
}
FAKES = {name: REAL + text for name, text in BREAKS.items()} | IMPORTS


def fake(tmp_path: Path, source: str) -> Path:
    room = tmp_path / "llvmlite-is-broken"
    (room / "llvmlite").mkdir(parents=True)
    (room / "llvmlite" / "__init__.py").write_text(source)
    return room


@compiling
@pytest.mark.parametrize("name", FAKES)
def test_a_compiler_that_does_not_do(name: str, tmp_path: Path) -> None:
    room = fake(tmp_path, FAKES[name])
    found, said = answer(tmp_path / "kept", path=room)
    assert found == "False"
    assert said.startswith(BROKEN)
    assert said.count("\n") == 1


@compiling
@pytest.mark.parametrize("name", ["too old", "no machine code", "no engine"])
def test_a_compiler_that_breaks_later(name: str, tmp_path: Path) -> None:
    """Of what was kept a first kernel runs, but no other one can be made."""
    kept = tmp_path / "kept"
    ready = "native.available(); print(native.available()); sys.exit()"
    assert answer(kept, between=ready) == ("True", "")
    found, said = answer(kept, path=fake(tmp_path, FAKES[name]))
    assert found == "False"
    assert said.splitlines()[-1].startswith(BROKEN)


def test_no_compiler_is_nothing_to_talk_about(tmp_path: Path) -> None:
    missing = "raise ModuleNotFoundError('no', name='llvmlite')"
    assert answer(tmp_path / "kept", path=fake(tmp_path, missing)) == ("False", "")


@compiling
@pytest.mark.parametrize(
    "processor",
    [
        "binding.get_host_cpu_features = fail",
        "binding.get_host_cpu_features = lambda: {}",
        "binding.get_host_cpu_name = lambda: 'generic'",
        "binding.get_host_cpu_name = lambda: 'never-heard-of'",
        "binding.get_host_cpu_name = lambda: ''",
        "binding.get_host_cpu_features = lambda: {'never-heard-of': True, 'avx512f': False}",
    ],
)
def test_processors_of_which_little_is_known(processor: str, tmp_path: Path) -> None:
    found, said = answer(tmp_path / "kept", path=fake(tmp_path, REAL + processor))
    assert found == "True", said
    assert COMPILING in said
    assert BROKEN not in said


# --- what is tried -------------------------------------------------------------------------------

WRONG: dict[str, Callable[[float, float, int], float]] = {
    "nothing done": lambda x, y, place: 7.0,
    "no product": lambda x, y, place: x,
    "no sum": lambda x, y, place: x * y,
    "the last lane": lambda x, y, place: x * y + x + (place == 7),
    "the tail": lambda x, y, place: x * y + x if place < 8 else 7.0,
    "beyond the tail": lambda x, y, place: x * y + x,
}


def computed(formula: Callable[[float, float, int], float], beyond: bool) -> Callable[[int], None]:
    """The trial's kernel, as Python does it."""

    def kernel(table: int) -> None:
        x, y, out, count = (ctypes.c_int64 * 4).from_address(table)
        floats = ctypes.c_float * 8
        given = list(zip(floats.from_address(x), floats.from_address(y), strict=True))
        result = (ctypes.c_float * 16).from_address(out)
        for place in range(16 if beyond else 8 + count):
            result[place] = formula(*given[place % 8], place)

    return kernel


def test_a_right_kernel_is_told_from_wrong_ones() -> None:
    assert self_check.holds(computed(lambda x, y, place: x * y + x, False), 8)
    for name, formula in WRONG.items():
        assert not self_check.holds(computed(formula, name == "beyond the tail"), 8), name


def test_tests_are_not_of_another_compiler() -> None:
    spec = importlib.util.find_spec("llvmlite")
    assert spec is None or "llvmlite-is-broken" not in str(spec.origin)


@compiling
def test_what_is_wrong_with_a_kernel_is_no_fault_of_the_compiler(tmp_path: Path) -> None:
    """A mistake in what writes kernels is not covered up by numpy."""

    def mistaken(emitter: object) -> None:
        raise AttributeError("no such instruction")

    with pytest.raises(AttributeError, match="no such instruction"):
        native.build("mistaken", "float32", mistaken, tmp_path)
    assert native.available()
