"""Importing the library is light: no heavy dependency, and hardly any time beyond numpy's."""

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


def seconds_of(statement: str) -> float:
    """The least of several measurements: what the import costs when nothing else disturbs."""
    code = (
        f"import time; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    )
    command = [sys.executable, "-c", code]
    return min(
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    )


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


def test_import_costs_little_beside_numpy() -> None:
    assert seconds_of("import contractconv") <= 1.3 * seconds_of("import numpy")


def test_a_slow_import_would_be_noticed() -> None:
    assert seconds_of("import contractconv, sympy") > 1.3 * seconds_of("import numpy")
