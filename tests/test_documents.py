"""README and docs are executed: what they show is what the library does."""

from __future__ import annotations

import doctest
import pkgutil
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from built_site import missing
from test_imports import is_lacking

import contractconv

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_SESSIONS = [path for path in DOCUMENTS if ">>> " in path.read_text("utf-8")]
# Whoever builds the site runs the sessions of its pages: see tests/documentation.
RUN_HERE = WITH_SESSIONS if missing() else WITH_SESSIONS[:1]
PACKAGE = ROOT / "contractconv"
PEERS = {"dask", "distributed", "einops", "jax", "keras", "torch"}
# Rooms for libraries that are not installed are there, but cannot be walked through.
FOUND = pkgutil.walk_packages(contractconv.__path__, "contractconv.", onerror=lambda name: None)
MODULES = [m.name for m in FOUND]


@pytest.mark.parametrize("path", RUN_HERE, ids=lambda path: path.name)
def test_every_session_in_a_document_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    imported = re.findall(r"^>>> (?:import|from) (\w+)", path.read_text("utf-8"), re.MULTILINE)
    for name in sorted(PEERS.intersection(imported)):
        pytest.importorskip(name)
    result = doctest.testfile(str(path), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0


def imported(name: str) -> ModuleType | None:
    """A module, unless it, or a session in it, is for a library that is not installed."""
    try:
        module = import_module(name)
        text = Path(module.__file__ or "").read_text("utf-8")
        asked = PEERS.intersection(re.findall(r">>> (?:import|from) (\w+)", text))
        return module if all(map(find_spec, asked)) else None
    except (ImportError, contractconv.OperandError) as error:
        if is_lacking(error):
            return None
        raise


def test_every_session_in_a_docstring_runs() -> None:
    names = ["contractconv", *(name for name in MODULES if not name.endswith("__main__"))]
    modules = {name: found for name in names if (found := imported(name)) is not None}
    results = {name: doctest.testmod(module) for name, module in modules.items()}
    assert [name for name, result in results.items() if result.failed] == []
    with_sessions = {name for name, result in results.items() if result.attempted}
    assert with_sessions >= {
        "contractconv",
        "contractconv.api.contract",
        "contractconv.api.contraction",
        "contractconv.api.curvature",
        "contractconv.api.derivation",
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    missing = [link for link in links if not (path.parent / link).exists()]
    assert not missing


def test_the_house_is_as_it_is_described() -> None:
    said = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = re.findall(r"`((?:tests|contractconv)/[\w./]+)`", said)
    assert [name for name in files if not (ROOT / name).exists()] == []
    # Rooms in backticks, and files of theirs with a dot in between.
    rooms = {name.split(".")[1] for name in MODULES}
    dotted = set(re.findall(r"`(\w+)\.([\w.]+)`", said))
    inside = {f"contractconv.{room}.{rest}" for room, rest in dotted if room in rooms}
    assert inside
    assert [name for name in inside if not {name, name.rpartition(".")[0]} & {*MODULES}] == []
    assert [room for room in rooms if f"`{room}" not in said and (PACKAGE / room).is_dir()] == []


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("feature-maps", "b (i+k) (j+l) c, k l c o -> b i j o"),
        ("flatten-to-dense", "b h w c, h w c o -> b o"),
    ],
)
def test_pictures_are_what_the_library_draws(name: str, spec: str) -> None:
    drawn = contractconv.Contraction(spec).svg()
    assert (ROOT / "docs" / f"{name}.svg").read_text(encoding="utf-8") == f"{drawn}\n"


def test_the_picture_of_a_block_is_what_the_library_draws() -> None:
    layers = contractconv.layers
    seen = (layers.Conv(16, 3, padding=1), layers.BatchNorm())
    again = (layers.Conv(16, 3, padding=1), layers.BatchNorm())
    block = layers.Residual([*seen, "relu", *again], map="relu")
    net = contractconv.Network([block, layers.GlobalPool(), layers.Dense(10)])
    drawn = net.diagram((8, 32, 32, 16)).svg
    assert (ROOT / "docs" / "residual-block.svg").read_text(encoding="utf-8").strip() == drawn


def test_a_wrong_session_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\n>>> 1 + 1\n3\n\n```\n")
    runner = doctest.DocTestRunner(verbose=False)
    test = doctest.DocTestParser().get_doctest(page.read_text(), {}, "page", str(page), 0)
    assert runner.run(test, out=lambda _: None).failed == 1
