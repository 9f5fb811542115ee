"use strict";
// The engine of a page without a server: Python itself, in a worker.
//
// Its files are scripts that put texts into PACKED, since a page that was opened from a disk may
// load scripts and nothing else. So the page works wherever its folder lies.

const PACKED = {};
const FILES = ["pyodide.asm.wasm", "pyodide.asm.js", "pyodide.js", "python_stdlib.zip", "pyodide-lock.json",
  "libraries.zip", "contractconv.zip"];

// What the worker does; it knows nothing but what it is sent.
function work() {
  let python = null;

  async function unpacked(text) {
    const letters = atob(text), bytes = new Uint8Array(letters.length);
    for (let n = 0; n < letters.length; n += 1) bytes[n] = letters.charCodeAt(n);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  function run(script) {
    const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    importScripts(address);
    URL.revokeObjectURL(address);
  }

  async function start(packed) {
    const files = Object.fromEntries(
      await Promise.all(Object.entries(packed).map(async ([name, text]) => [name, await unpacked(text)])));
    // Pyodide fetches its files from an address: they are here.
    self.fetch = async (address) => {
      const name = String(address).split("/").pop();
      return new Response(files[name], { headers: { "Content-Type": name.endsWith(".wasm") ? "application/wasm" : "" } });
    };
    run(files["pyodide.asm.js"]);
    run(files["pyodide.js"]);
    const pyodide = await loadPyodide({ indexURL: "https://packed.invalid/" });
    for (const name of ["libraries.zip", "contractconv.zip"]) pyodide.FS.writeFile(`/${name}`, files[name]);
    return pyodide.runPython(`
      import sys
      sys.path[:0] = ["/contractconv.zip", "/libraries.zip"]
      from contractconv.playground.answers import answer_json
      answer_json`);
  }

  self.onmessage = async ({ data }) => {
    try {
      if (data.packed) {
        python = await start(data.packed);
        postMessage({ started: true });
      } else {
        postMessage({ answer: python(data.request) });
      }
    } catch (fault) {
      postMessage({ failed: String(fault.message ?? fault).trim().split("\n").pop() });
    }
  };
}

const loaded = Promise.all(FILES.map((name) => new Promise((found, missed) => {
  const script = document.createElement("script");
  script.src = `packed/${name}.js`;
  script.onload = found;
  script.onerror = () => missed(new Error(`packed/${name}.js is missing`));
  document.head.append(script);
})));

const engine = {
  start() {
    const source = URL.createObjectURL(new Blob([`(${work})()`], { type: "text/javascript" }));
    this.worker = new Worker(source);
    this.ready = loaded.then(() => this.told({ packed: PACKED }));
    this.ready.catch(() => {}); // whoever asks is told
  },
  // One question at a time: the next message is its answer.
  told(message) {
    return new Promise((answered, refused) => {
      this.refused = refused;
      this.worker.onmessage = ({ data }) => (data.failed ? refused(new Error(data.failed)) : answered(data));
      this.worker.onerror = (event) => refused(new Error(event.message));
      this.worker.postMessage(message);
    });
  },
  async ask(request) {
    for (let ready = null; ready !== this.ready; await ready) ready = this.ready; // it may start anew
    const { answer } = await this.told({ request: JSON.stringify(request) });
    return JSON.parse(answer);
  },
  restart(said) {
    this.worker.terminate();
    this.refused?.(new Error(said));
    this.start();
  },
};

engine.start();
