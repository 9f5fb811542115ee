"use strict";
// The engine of a page that `contractconv play` serves: the process beside it answers.

const engine = {
  ready: Promise.resolve(),
  running: null,
  async ask(request) {
    this.running = new AbortController();
    const { signal } = this.running;
    const body = JSON.stringify(request);
    try {
      const response = await fetch("answer", { method: "POST", headers: { "Content-Type": "application/json" }, body, signal });
      return await response.json();
    } catch {
      throw new Error(signal.reason?.said ?? "contractconv play has ended: start it again");
    }
  },
  restart(said) {
    this.running?.abort({ said });
  },
};
