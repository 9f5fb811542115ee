"""The page without a server: itself, Python for browsers, and the library in Python's memory.

Python comes from npm, pinned and checked, and is kept; sympy, mpmath and opt_einsum are those that
are installed. That Python itself, run by node, compiles and imports them, and answers the examples;
what its memory holds then is a file, with which it goes on in a browser: nothing is imported there
before the first answer. Modules that the memory lacks come after it, as byte code.
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
from collections.abc import Iterable, Iterator, Sequence
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
_RUNTIME = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm")
_LIBRARIES = ("mpmath", "opt_einsum", "sympy")
_ARCHIVES = ("libraries.zip", "contractconv.zip")
_STANDARD = "python313.zip"  # where Pyodide looks for the standard library
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


def _packed(name: str, compressed: bytes) -> str:
    """A script that holds a file: a page that was opened from a disk can load nothing else."""
    return f'PACKED["{name}"] = "{base64.b64encode(compressed).decode()}";\n'


def _packed_files() -> Iterator[tuple[str, bytes]]:
    with _unpacked() as pyodide:
        for name in _RUNTIME:
            yield name, _compressed((pyodide / name).read_bytes())
        # Of all packages that Pyodide knows the page wants none.
        lock = json.loads((pyodide / "pyodide-lock.json").read_text("utf-8"))
        yield "pyodide-lock.json", _compressed(json.dumps(lock | {"packages": {}}).encode())
        yield from _memory(pyodide)


def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


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


# --- modules, and a memory that holds them -------------------------------------------------------


def _byte_code(pyodide: Path, sources: Iterable[tuple[str, Path]]) -> bytes:
    """A zip of modules that Pyodide's Python imports without compiling them."""
    with ZipFile(pyodide / "sources.zip", "w") as archive:
        for name, path in sorted(sources):
            archive.writestr(ZipInfo(name), path.read_bytes())  # of no date: equal if its files are
    (made,) = _by_node(pyodide, "byte_code.mjs", ["sources.zip"], ["modules.zip"])
    return gzip.decompress(made)


def _memory(pyodide: Path) -> Iterator[tuple[str, bytes]]:
    """A memory in which all that the page wants is imported, and the modules that it lacks."""
    (pyodide / "libraries.zip").write_bytes(_byte_code(pyodide, _library_sources()))
    (pyodide / "contractconv.zip").write_bytes(_byte_code(pyodide, _sources("contractconv")))
    made = ["memory.bin", *(f"rest/{name}" for name in (*_ARCHIVES, _STANDARD))]
    for name, content in zip(made, _by_node(pyodide, "memory.mjs", _ARCHIVES, made), strict=True):
        yield Path(name).name, content


def _by_node(pyodide: Path, program: str, given: Sequence[str], made: Sequence[str]) -> list[bytes]:
    """Files, compressed, that a program makes of others beside Pyodide; they are kept."""
    script = Path(__file__).parent / "static" / program
    digest = hashlib.sha256(script.read_bytes())
    for name in given:
        digest.update((pyodide / name).read_bytes())
    names = [f"{PYODIDE}-{digest.hexdigest()[:32]}-{Path(name).name}.gz" for name in made]
    found = [content for content in map(kept, names) if content is not None]
    if len(found) < len(names):
        shutil.copy(script, pyodide)
        _run("node", program, *given, cwd=pyodide)
        found = [_compressed((pyodide / name).read_bytes()) for name in made]
        for name, content in zip(names, found, strict=True):
            keep(name, content)
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
