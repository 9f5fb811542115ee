"""The package from outside: its names, its version, and its types as a checker sees them."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import contractconv as cc

USAGE = Path(__file__).parent / "typed" / "usage.py"


def test_the_names_that_are_listed_are_the_names_that_are_public() -> None:
    assert dir(cc) == sorted(cc.__all__)
    assert [name for name in cc.__all__ if not is_there(name)] == []


def is_there(name: str) -> bool:
    """Whether there is something, or else what to install for it is said."""
    try:
        return getattr(cc, name) is not None
    except cc.OperandError as error:
        return re.search(rf"{name} is missing: pip install", str(error)) is not None


def test_what_calls_return_can_be_imported() -> None:
    from contractconv import Certificate, Compiled, Derived, Explanation, Plan

    layer = cc.Contraction("(i+k), k -> i")
    assert isinstance(layer.plan((4,), (2,)), Plan)
    assert isinstance(layer.compile((4,), (2,)), Compiled)
    assert isinstance(layer.jvp(0), Derived)
    assert isinstance(layer.grad(0).verify(), Certificate)
    assert isinstance(layer.explain(), Explanation)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'contractconv' has no attribute 'contrct'"):
        _ = cc.contrct


def test_one_version() -> None:
    assert cc.__version__ == metadata.version("contractconv")
    command = [sys.executable, "-m", "contractconv", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == f"contractconv {cc.__version__}\n"


def check(script: Path) -> subprocess.CompletedProcess[str]:
    """What mypy says of a script that lies by itself."""
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", script.name]
    return subprocess.run(command, cwd=script.parent, capture_output=True, text=True, check=False)


def test_a_checker_sees_every_type(tmp_path: Path) -> None:
    script = tmp_path / "usage.py"
    script.write_text(USAGE.read_text())
    said = check(script)
    assert said.returncode == 0, said.stdout


def test_a_checker_finds_what_is_misspelt(tmp_path: Path) -> None:
    script = tmp_path / "usage.py"
    script.write_text(
        "import contractconv as cc\n"
        'cc.Contraction("i ->", reduce="summ")\n'
        'cc.contract("i ->", [1], algorithm="fast")\n'
        'cc.Contraction("i ->").plan((3,)).coost\n'
        'cc.Contraction("i ->").compile((3,))([1.0], algorithm="direct")\n'
    )
    said = check(script)
    lines = [int(number) for number in re.findall(r":(\d+): error:", said.stdout)]
    assert lines == [2, 3, 4, 5]
