"""The page without a server: itself, Python for browsers, and the library in byte code.

Python comes from npm, pinned and checked, and is kept; sympy, mpmath and opt_einsum are those that
are installed. Byte code is written by that Python itself, run by node, so it fits whatever Python
builds the page; browsers do not compile what they load.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile, ZipInfo

from contractconv.disk_cache import keep, kept
from contractconv.errors import ContractionError
from contractconv.playground.page import ALONE, page_files

PYODIDE = "0.29.5"
_SHA512 = (
    "4e462b52ff66f1099f2260032919a9c19ba52f8f04d2e51a0523be76f4502b20"
    "09734aa1f60bbb8e7f1bb721cf8773599b5af6207d98ac9848afb43607dbab03"
)
_RUNTIME = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip")
_LIBRARIES = ("mpmath", "opt_einsum", "sympy")
# Parts of sympy that no other part needs.
_ASIDE = {"categories", "crypto", "diffgeom", "holonomic", "liealgebras", "physics", "stats",
          "vector"}  # fmt: skip


class BuildError(ContractionError):
    """What the build needs is missing; the message says what to do."""


def build(out: str | Path) -> Path:
    """Put the page together in a folder, which works wherever it lies: served, or opened as files.

    Args:
        out: the folder; it is made, and what is in it is written over.

    Returns:
        The page, ``index.html``.

    Raises:
        BuildError: node or npm is missing, or Pyodide cannot be had from npm.
    """
    folder = Path(out)
    (folder / "packed").mkdir(parents=True, exist_ok=True)
    for name, content in page_files(ALONE).items():
        (folder / name).write_bytes(content)
    for name, content in _packed_files():
        (folder / "packed" / f"{name}.js").write_text(_packed(name, content), "ascii")
    return folder / "index.html"


def _packed(name: str, content: bytes) -> str:
    """A script that holds a file: a page that was opened from a disk can load nothing else."""
    text = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
    return f'PACKED["{name}"] = "{text}";\n'


def _packed_files() -> Iterator[tuple[str, bytes]]:
    with _unpacked() as pyodide:
        for name in _RUNTIME:
            yield name, (pyodide / name).read_bytes()
        # Of all packages that Pyodide knows the page wants none.
        lock = json.loads((pyodide / "pyodide-lock.json").read_text("utf-8"))
        yield "pyodide-lock.json", json.dumps(lock | {"packages": {}}).encode()
        yield "libraries.zip", _byte_code(pyodide, _library_sources())
        yield "contractconv.zip", _byte_code(pyodide, _sources("contractconv"))


# --- Python for browsers -----------------------------------------------------------------------


@contextmanager
def _unpacked() -> Iterator[Path]:
    """A folder with the files of Pyodide, as npm has them."""
    with TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(_archive())) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder, "package")


def _archive() -> bytes:
    name = f"pyodide-{PYODIDE}.tgz"
    found = kept(name)
    if found is None or hashlib.sha512(found).hexdigest() != _SHA512:
        found = _from_npm()
        keep(name, found)
    return found


def _from_npm() -> bytes:
    with TemporaryDirectory() as folder:
        _run("npm", "pack", "--silent", f"pyodide@{PYODIDE}", cwd=folder)
        found = Path(folder, f"pyodide-{PYODIDE}.tgz").read_bytes()
    if hashlib.sha512(found).hexdigest() != _SHA512:
        raise BuildError(f"pyodide {PYODIDE}, as npm sent it, is not what it should be")
    return found


def _run(program: str, *arguments: str, cwd: str | Path) -> None:
    path = shutil.which(program)
    if path is None:
        raise BuildError(
            f"{program} is not on the PATH: install Node.js, which brings node and npm"
        )
    done = subprocess.run([path, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{program} {arguments[0]} failed:\n{done.stderr.strip()[-2000:]}")


# --- byte code ---------------------------------------------------------------------------------


def _byte_code(pyodide: Path, sources: Iterable[tuple[str, Path]]) -> bytes:
    """A zip of modules that Pyodide's Python imports without compiling them."""
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        for name, path in sorted(sources):
            archive.writestr(ZipInfo(name), path.read_bytes())  # of no date: equal if its files are
    compiler = Path(__file__).parent / "static" / "byte_code.mjs"
    said = hashlib.sha256(packed.getvalue() + compiler.read_bytes()).hexdigest()
    name = f"byte-code-{PYODIDE}-{said[:32]}.zip"
    found = kept(name)
    if found is None:
        (pyodide / "sources.zip").write_bytes(packed.getvalue())
        shutil.copy(compiler, pyodide)
        _run("node", compiler.name, "sources.zip", "modules.zip", cwd=pyodide)
        found = (pyodide / "modules.zip").read_bytes()
        keep(name, found)
    return found


def _sources(package: str) -> Iterator[tuple[str, Path]]:
    """The modules of an installed package; those that test and time it stay behind."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise BuildError(f"{package} is not installed")
    root = Path(spec.origin).parent
    for path in root.rglob("*.py"):
        inner = path.relative_to(root.parent)
        if not {"tests", "benchmarks"} & {*inner.parts}:
            yield inner.as_posix(), path


def _library_sources() -> Iterator[tuple[str, Path]]:
    for library in _LIBRARIES:
        for name, path in _sources(library):
            if name.split("/")[1] not in _ASIDE:
                yield name, path
