"""Importing the library is light: no heavy dependency, and fewer modules than numpy takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "sympy", "opt_einsum", "llvmlite", "torch", "jax")
REPORT = "import sys; print(*(m for m in {heavy!r} if m in sys.modules))"


def loaded_by(statement: str) -> set[str]:
    """Which heavy modules a fresh interpreter has after a statement."""
    code = f"{statement}; {REPORT.format(heavy=HEAVY)}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def modules_of(statement: str) -> int:
    """How many modules a fresh interpreter loads for a statement."""
    code = f"import sys; before = len(sys.modules); {statement}; print(len(sys.modules) - before)"
    command = [sys.executable, "-c", code]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_import_loads_nothing_heavy() -> None:
    assert loaded_by("import contractconv") == set()


@pytest.mark.parametrize("module", ["numpy", "sympy", "opt_einsum"])
def test_a_heavy_import_would_be_noticed(module: str) -> None:
    assert module in loaded_by(f"import contractconv, {module}")


def test_rooms_are_entered_when_they_are_needed() -> None:
    contract = "import contractconv as cc; cc.contract('i, i ->', [1, 2], [3, 4])"
    assert loaded_by(contract) == {"numpy"}
    compiled = "import contractconv as cc; cc.Contraction('i ->').compile((2,))([1, 2])"
    assert "sympy" not in loaded_by(compiled)
    derive = "import contractconv as cc; str(cc.Contraction('i, i ->').grad(0))"
    assert "sympy" in loaded_by(derive)


WITHOUT_NUMPY = """
import sys
sys.modules["numpy"] = None  # as where it is not installed: browsers
import contractconv as cc

for reduce in ("sum", "mean", "max", "min", "prod", "logsumexp"):
    conv = cc.Contraction("b (2*i+k-1) c, k c o -> b i o", reduce)
    assert conv.output_shape((8, 28, 3), (3, 3, 16)) == (8, 14, 16)
    explained = conv.explain((8, 28, 3), (3, 3, 16), proof=False)
    assert explained.html() and str(explained) and explained.as_dict()
    for derived in (*conv.grads(), conv.jvp(0), conv.jacobian(0), *conv.grad(0).phases()):
        assert derived.formula and derived.latex() and derived.mathml() and derived.svg()
    for library in ("numpy", "torch", "jax"):
        assert conv.code(library) and conv.grad(0).code(library)
    assert conv.grad(0).steps and conv.grad(0).seconds
    assert conv.simplify((8, 28, 3), (3, 3, 16))
"""


def test_formulas_plans_and_source_need_no_numpy() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_NUMPY], check=True)


def test_import_loads_fewer_modules_than_numpy() -> None:
    assert modules_of("import contractconv") <= modules_of("import numpy")


def test_a_slow_import_would_be_noticed() -> None:
    assert modules_of("import contractconv, sympy") > modules_of("import numpy")
