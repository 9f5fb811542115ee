// Writes the byte code of a zip of modules, by the Python that will import it: node byte_code.mjs ZIP
// writes modules.zip.
import { loadPyodide } from "./pyodide.mjs";

const pyodide = await loadPyodide();
pyodide.FS.mkdir("/here");
pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root: "." }, "/here");
pyodide.globals.set("names", pyodide.toPy([`/here/${process.argv[2]}`, "/here/modules.zip"]));
pyodide.runPython(`
from importlib._bootstrap_external import _code_to_hash_pyc
from zipfile import ZipFile, ZipInfo

with ZipFile(names[0]) as sources, ZipFile(names[1], "w") as modules:
    for name in sources.namelist():
        code = compile(sources.read(name), name, "exec", dont_inherit=True, optimize=2)
        modules.writestr(ZipInfo(f"{name}c"), _code_to_hash_pyc(code, bytes(8), False))
`);
