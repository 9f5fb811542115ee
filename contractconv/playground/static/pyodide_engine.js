"use strict";
// The engine of a page without a server: Python itself, in a worker.
//
// Its files are scripts that put texts into PACKED, since a page that was opened from a disk may
// load scripts and nothing else. So the page works wherever its folder lies. Python begins with a
// memory that holds what the page wants; modules that it may want besides come later.

const PACKED = {};
const FIRST = ["memory.bin", "pyodide.asm.wasm", "pyodide.asm.js", "pyodide.js", "pyodide-lock.json"];
const LATER = ["python313.zip", "libraries.zip", "contractconv.zip"];

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
    const files = Object.fromEntries(Object.entries(packed).map(([name, text]) => [name, unpacked(text)]));
    // Pyodide fetches its files from an address: they are here.
    self.fetch = async (address) => {
      const name = String(address).split("/").pop();
      return new Response(await files[name], { headers: { "Content-Type": name.endsWith(".wasm") ? "application/wasm" : "" } });
    };
    run(await files["pyodide.asm.js"]);
    run(await files["pyodide.js"]);
    python = await loadPyodide({ indexURL: "https://packed.invalid/", _loadSnapshot: files["memory.bin"] });
  }

  async function add(packed) {
    for (const [name, text] of Object.entries(packed)) python.FS.writeFile(`/lib/${name}`, await unpacked(text));
    python.runPython("import importlib; importlib.invalidate_caches()");
  }

  const tasks = {
    start,
    add,
    answer: (request) => python.globals.get("answer_json")(request),
  };

  self.onmessage = async ({ data: { number, task, given } }) => {
    try {
      postMessage({ number, answer: await tasks[task](given) });
    } catch (fault) {
      postMessage({ number, failed: String(fault.message ?? fault).trim().split("\n").pop() });
    }
  };
}

// The texts of files by name.
async function packed(names) {
  await Promise.all(names.map((name) => new Promise((found, missed) => {
    const script = document.createElement("script");
    script.src = `packed/${name}.js`;
    script.onload = found;
    script.onerror = () => missed(new Error(`packed/${name}.js is missing`));
    document.head.append(script);
  })));
  return Object.fromEntries(names.map((name) => [name, PACKED[name]]));
}

// A browser makes code fast once it has run for a while. Strings like those that people type are
// answered before anybody asks: nobody reads these answers.
const BEFOREHAND = [2, 3, 2, 3].map((stride) => JSON.stringify({
  spec: `b (${stride}*i+k-1) (${stride}*j+l-1) c, k l c o -> b i j o`, reduce: "sum", shapes: ["8x28x28x3", "3x3x3x16"],
}));

const first = packed(FIRST);
let others = null;
const later = () => (others ??= packed(LATER));

const engine = {
  asked: 0,
  waiting: new Map(),
  start() {
    const source = URL.createObjectURL(new Blob([`(${work})()`], { type: "text/javascript" }));
    this.worker = new Worker(source);
    this.worker.onmessage = ({ data }) => this.heard(data);
    this.worker.onerror = (event) => this.giveUp(event.message);
    this.ready = first.then((files) => this.told("start", files));
    this.whole = this.ready.then(later).then((files) => this.told("add", files));
    [this.ready, this.whole].forEach((promise) => promise.catch(() => {})); // whoever asks is told
    this.whole.then(() => this.warm(this.worker)).catch(() => {});
  },
  async warm(worker) {
    for (const request of BEFOREHAND) {
      if (worker !== this.worker || this.waiting.size) return; // somebody asks
      await this.told("answer", request);
    }
  },
  told(task, given) {
    this.asked += 1;
    this.worker.postMessage({ number: this.asked, task, given });
    return new Promise((answered, refused) => this.waiting.set(this.asked, { answered, refused }));
  },
  heard({ number, answer, failed }) {
    const { answered, refused } = this.waiting.get(number);
    this.waiting.delete(number);
    if (failed) refused(new Error(failed));
    else answered(answer);
  },
  giveUp(said) {
    this.waiting.forEach(({ refused }) => refused(new Error(said)));
    this.waiting.clear();
  },
  async ask(request) {
    for (let ready = null; ready !== this.ready; await ready) ready = this.ready; // it may start anew
    const text = JSON.stringify(request), whole = this.whole;
    const answer = JSON.parse(await this.told("answer", text));
    if (!answer.failed) return answer;
    await whole; // it may have wanted a module that comes later
    return JSON.parse(await this.told("answer", text));
  },
  restart(said) {
    this.worker.terminate();
    this.giveUp(said);
    this.start();
  },
};

engine.start();
