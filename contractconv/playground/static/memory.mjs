// Writes what Python's memory holds once all that the page wants is imported, and the modules that it
// does not hold: node memory.mjs ARCHIVE... writes memory.bin, and rest/ARCHIVE for each on Python's path.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { loadPyodide } from "./pyodide.mjs";

// Calls go through JavaScript, as on an iPhone: where an engine can do without, memory holds the number of
// a function that was added to this engine alone.
Object.defineProperty(globalThis, "navigator", { value: { userAgent: "iPhone", platform: "" } });

const pyodide = await loadPyodide({ _makeSnapshot: true });
for (const name of process.argv.slice(2)) {
  pyodide.FS.writeFile(`/lib/${name}`, readFileSync(name));
  pyodide.runPython(`import sys; sys.path.insert(0, "/lib/${name}")`);
}
const rests = pyodide.runPython(`
import gc
from pathlib import Path
from zipfile import ZipFile

from contractconv.playground.answers import answer_json
from contractconv.playground.warmth import answer_examples

answer_examples()
held = {getattr(module, "__file__", None) for module in sys.modules.values()}

def rest_of(archive):
    rest = Path(f"/tmp/{Path(archive).name}")
    with ZipFile(archive) as whole, ZipFile(rest, "w") as lacking:
        for name in whole.namelist():
            if f"{archive}/{name}" not in held:
                lacking.writestr(whole.getinfo(name), whole.read(name))
    return rest

rests = [rest_of(path) for path in sys.path if path.endswith(".zip")]
" ".join(rest.name for rest in rests)
`).split(" ");
mkdirSync("rest", { recursive: true });
for (const name of rests) writeFileSync(`rest/${name}`, pyodide.FS.readFile(`/tmp/${name}`));
pyodide.runPython(`
del held, rest_of, rests
gc.collect()
gc.freeze()  # what is there now is never looked through again
`);
writeFileSync("memory.bin", pyodide.makeMemorySnapshot());
