"""What tests, benchmarks and documents import of the package is there: inside strings, too.

Scripts of processes are strings, which no type checker reads. And tests are collected where nothing
is installed but what they are run with: a peer is imported by those that compare with it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from contractconv.errors import OperandError

ROOT = Path(__file__).parent.parent
FILES = sorted(
    path
    for folder in ("tests", "benchmarks", "examples", "docs")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".md")
)
IMPORT = re.compile(r"from (contractconv[.\w]*) import (\w[\w, ]*)")


PEERS = {"cupy", "cupyx", "dask", "jax", "torch"}


def is_lacking(error: Exception) -> bool:
    """Whether a library is not installed that what was imported is for."""
    lack = error.__cause__ if isinstance(error, OperandError) else error
    name = getattr(lack, "name", None) or ""
    return isinstance(lack, ModuleNotFoundError) and name.partition(".")[0] in PEERS


def missing(text: str) -> list[str]:
    """The names that a text imports and that are not there."""
    found = []
    for room, names in IMPORT.findall(text):
        for name in (part.strip().split(" ")[0] for part in names.split(",")):
            try:
                module = import_module(room)
                if name and not hasattr(module, name):
                    import_module(f"{room}.{name}")
            except (ImportError, OperandError) as error:
                if not is_lacking(error):
                    found.append(f"{room}.{name}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_is_there(path: Path) -> None:
    assert missing(path.read_text(encoding="utf-8")) == []


def test_what_is_missing_would_be_noticed() -> None:
    assert missing("'from contractconv.nowhere " + "import some, thing'") == [
        "contractconv.nowhere.some", "contractconv.nowhere.thing"
    ]  # fmt: skip
    assert missing("from contractconv.errors " + "import nothing") == [
        "contractconv.errors.nothing"
    ]


# What the package and the extra `test` bring, beside Python itself.
BROUGHT = {
    "contractconv", "numpy", "opt_einsum", "sympy", "mpmath", "llvmlite", "matplotlib", "mlxtend",
    "tqdm", "pytest", "hypothesis",
}  # fmt: skip
# Where the modules lie that tests share with the site and the benchmarks: they are followed.
FOLLOWED = {"extensions": ROOT / "docs", "benchmarks": ROOT} | {
    path.stem: path.parent for path in (ROOT / "examples").glob("*.py")
}
# What tests that skip begin as processes of their own.
SCRIPTS = {"on_devices.py", "two_processes.py", "sharding_processes.py"}
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if path.name not in SCRIPTS)
OURS = {part for path in TESTS for part in path.relative_to(ROOT / "tests").with_suffix("").parts}


def needed(text: str) -> Iterator[str]:
    """The packages that a module imports as it is imported itself, and what those import."""
    for module in _imported(text):
        package = module.split(".")[0]
        if package not in FOLLOWED:
            yield package
        elif (file := FOLLOWED[package].joinpath(*module.split("."))).with_suffix(".py").exists():
            yield from needed(file.with_suffix(".py").read_text(encoding="utf-8"))


def _imported(text: str) -> Iterator[str]:
    """The modules that a text imports, and names that may be modules."""
    left: list[ast.AST] = [ast.parse(text)]
    while left:
        node = left.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        for_checkers = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not for_checkers and not isinstance(node, ast.FunctionDef | ast.Lambda):
            left.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_peer_is_needed_to_collect_tests(path: Path) -> None:
    brought = BROUGHT | OURS | sys.stdlib_module_names
    assert set(needed(path.read_text(encoding="utf-8"))) <= brought


def test_what_is_needed_would_be_noticed() -> None:
    text = "if TYPE_CHECKING:\n import a\ntry:\n import b.c\nfinally: pass\ndef f():\n import d"
    assert set(needed(text + "\nfrom e.f import g")) == {"b", "e"}
    assert "docutils" in set(needed("from extensions.layer_pages import LayerParser"))
    assert "docutils" in set(needed("from extensions import layer_pages"))
