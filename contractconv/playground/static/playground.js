"use strict";
// The page: fields, cards, and the conversation with Python, which writes every formula.
// `engine` (engine.js) answers: ask(request) gives a promise, restart() ends what it works on.

const PATIENCE = 3000; // ms that what is outdated may hold up what is wanted
const LIMIT = 20000; // ms after which nobody waits for an answer any more
const element = (id) => document.getElementById(id);
const made = (tag, said = {}) => Object.assign(document.createElement(tag), said);

// --- the conversation --------------------------------------------------------------------------

// One question at a time. What is asked anew drops all that was asked before; an answer to what
// was dropped is not heard.
class Conversation {
  constructor(engine) {
    this.engine = engine;
    this.waiting = [];
    this.running = null;
  }

  // Forget what was asked, and ask this.
  anew(request, heard) {
    this.waiting = [];
    if (this.running) {
      this.running.heard = null;
      this.giveUpAfter(PATIENCE);
    }
    this.ask(request, heard);
  }

  ask(request, heard) {
    this.waiting.push({ request, heard });
    this.next();
  }

  async next() {
    if (this.running || !this.waiting.length) return;
    const question = this.running = this.waiting.shift();
    const answer = await this.answered(question).catch((fault) => ({ failed: fault.message }));
    clearTimeout(this.timer);
    this.running = null;
    question.heard?.(answer);
    this.next();
  }

  async answered(question) {
    await this.engine.ready; // Python may still start, which nobody can hurry
    question.began = performance.now();
    this.giveUpAfter(question.heard ? LIMIT : PATIENCE);
    return this.engine.ask(question.request);
  }

  giveUpAfter(ms) {
    const { began } = this.running;
    if (began === undefined) return;
    clearTimeout(this.timer);
    const left = began + ms - performance.now();
    this.timer = setTimeout(() => this.engine.restart("This takes too long, so it was stopped."), left);
  }
}

const conversation = new Conversation(engine);

// --- fields, and the address that holds them ---------------------------------------------------

const FIELDS = ["spec", "reduce", "parameters", "names", "output_shape", "values"];
let shapes = []; // also those of operands that the string has no more: it may be half typed
let open = {}; // by card, the panel that is open

function request() {
  const said = Object.fromEntries(FIELDS.map((name) => [name, element(name).value]));
  return { ...said, shapes };
}

function show({ shapes: sizes = [], ...said }) {
  FIELDS.forEach((name) => element(name).value = said[name] ?? "");
  element("reduce").value = REDUCTIONS.includes(said.reduce) ? said.reduce : "sum";
  shapes = [...sizes];
  grow();
}

function fromAddress() {
  const said = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));
  if (!said.has("spec")) return false;
  show({ ...Object.fromEntries(said), shapes: (said.get("shapes") ?? "").split(";") });
  open = Object.fromEntries((said.get("open") ?? "").split(" ").filter(Boolean).map((o) => o.split(".")));
  return true;
}

let address = "";

function intoAddress() {
  const { spec, reduce, parameters, names, output_shape, values } = request();
  const said = {
    spec, reduce: reduce === "sum" ? "" : reduce, parameters, names, shapes: shapes.join(";"), output_shape, values,
    open: Object.entries(open).map((pair) => pair.join(".")).join(" "),
  };
  const given = Object.entries(said).filter(([, text]) => text.replaceAll(";", ""));
  address = "#" + given.map(([name, text]) => `${name}=${escaped(text)}`).join("&");
  history.replaceState(null, "", address);
}

// Brackets, too: other programs think that an address ends at one.
function escaped(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt().toString(16).toUpperCase()}`);
}

// A line of text grows with what is typed, instead of scrolling it away.
function grow() {
  const box = element("spec");
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + 2}px`;
}

function showOperands(operands) {
  const place = element("arrays");
  const fields = [...place.children];
  fields.slice(operands.length).forEach((field) => field.remove());
  operands.forEach(({ name, term }, n) => {
    const field = fields[n] ?? place.appendChild(shapeField(n));
    field.firstElementChild.replaceChildren(made("b", { textContent: name }), ` ${term}`);
    if (field.lastElementChild !== document.activeElement) field.lastElementChild.value = shapes[n] ?? "";
  });
}

function shapeField(n) {
  const field = made("div");
  const box = made("input", { id: `shape-${n}`, placeholder: "8x28x28x3", maxLength: 1000, spellcheck: false });
  box.setAttribute("aria-describedby", "notice");
  box.addEventListener("input", () => {
    for (let k = 0; k <= n; k += 1) shapes[k] ??= "";
    shapes[n] = box.value;
  });
  field.append(made("label", { htmlFor: box.id }), box);
  return field;
}

// --- mistakes ----------------------------------------------------------------------------------

const wrongIn = { spec: "fault", reduce: "fault", parameters: "notice", names: "notice", shapes: "notice",
  output_shape: "notice", values: "notice" };

function showFault(fault) {
  ["fault", "notice"].forEach((id) => {
    const said = fault && wrongIn[fault.field] === id ? fault.message : "";
    element(id).hidden = !said;
    if (element(id).textContent !== said) element(id).textContent = said;
  });
  FIELDS.forEach((name) => element(name).ariaInvalid = fault?.field === name ? "true" : "false");
  mark(fault?.field === "spec" ? fault.spans : []);
}

// What is wrong is underlined where it was typed; Python counts characters, JavaScript halves.
function mark(spans) {
  const letters = [...element("spec").value];
  const wrong = new Set(spans.flatMap(([from, to]) => {
    const start = Math.min(from, letters.length);
    return Array.from({ length: Math.max(1, to - from) }, (_, n) => start + n);
  }));
  const parts = [...letters, " "].map((letter, n) =>
    wrong.has(n) ? made("mark", { textContent: letter }) : document.createTextNode(letter));
  element("marks").replaceChildren(...parts);
  element("marks").normalize();
}

// --- cards -------------------------------------------------------------------------------------

function showCards(cards) {
  element("cards").replaceChildren(...cards.map(card));
}

function card({ name, title, html, panels }) {
  const whole = made("section", { className: "card", id: `card-${name}` });
  whole.setAttribute("aria-labelledby", `title-${name}`);
  const asks = made("div", { className: "asks" });
  const panel = made("div", { className: "panel", id: `panel-${name}`, hidden: true });
  asks.append(...panels.map((one) => asking(name, one)));
  whole.append(
    made("h2", { id: `title-${name}`, textContent: title }),
    made("div", { className: "cc-page", innerHTML: html }), asks, panel);
  asks.querySelector(`[data-panel="${open[name]}"]`)?.toggle(panel, whole);
  return whole;
}

function asking(name, { name: panel, title }) {
  const button = made("button", { type: "button", textContent: title });
  button.dataset.panel = panel;
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-controls", `panel-${name}`);
  button.toggle = (place, whole) => {
    const opens = button.getAttribute("aria-expanded") === "false";
    button.parentElement.querySelectorAll("button").forEach((other) => {
      other.setAttribute("aria-expanded", String(opens && other === button));
    });
    place.hidden = !opens;
    whole.classList.toggle("open", opens);
    if (opens) open[name] = panel;
    else delete open[name];
    if (opens) fetchPanel(name, panel, place);
  };
  button.addEventListener("click", () => {
    const whole = button.closest(".card");
    button.toggle(whole.querySelector(".panel"), whole);
    intoAddress();
  });
  return button;
}

function fetchPanel(name, panel, place) {
  place.setAttribute("aria-busy", "true");
  place.replaceChildren(made("p", { className: "cc-note", textContent: "…" }));
  conversation.ask({ ...request(), card: name, panel }, (answer) => {
    if (open[name] !== panel) return;
    place.removeAttribute("aria-busy");
    if (answer.html) place.replaceChildren(made("div", { className: "cc-page", innerHTML: answer.html }));
    else place.replaceChildren(made("pre", { className: "fault", textContent: answer.failed ?? answer.error.message }));
    place.querySelectorAll(".cc-copies").forEach(copying);
  });
}

const TITLES = { latex: "LaTeX", mathml: "MathML", python: "Python" };

// A button for each text that is there to be copied.
function copying(place) {
  place.append(...Object.entries(place.dataset).map(([name, text]) => {
    const title = TITLES[name] ?? name, button = made("button", { type: "button", textContent: title });
    button.addEventListener("click", () => copy(text, `${title} is in the clipboard`));
    return button;
  }));
  place.hidden = false;
}

async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page from a file, or an old browser, has no clipboard of that kind.
    const box = document.body.appendChild(made("textarea", { value: text }));
    box.select();
    document.execCommand("copy");
    box.remove();
  }
  say(said);
}

// --- what happens ------------------------------------------------------------------------------

function say(text) {
  element("state").textContent = text;
}

function changed() {
  intoAddress();
  const begin = performance.now();
  element("cards").setAttribute("aria-busy", "true");
  conversation.anew(request(), (answer) => heard(answer, performance.now() - begin));
}

function heard(answer, ms) {
  if (answer.failed) {
    say(answer.failed);
    return;
  }
  showFault(answer.error ?? answer.notice);
  if (answer.error) {
    say("Not yet a contraction: below is the last one.");
    return;
  }
  showOperands(answer.operands);
  showCards(answer.cards);
  element("cards").removeAttribute("aria-busy");
  say(`Derived in ${ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`}.`);
}

function start() {
  REDUCTIONS.forEach((name) => element("reduce").append(made("option", { value: name, textContent: name })));
  EXAMPLES.forEach(({ title }, n) => element("example").append(made("option", { value: n, textContent: title })));
  if (!fromAddress()) show(EXAMPLES[0]);
  element("fields").addEventListener("input", ({ target }) => {
    if (target.id !== "example") changed();
  });
  element("fields").addEventListener("submit", (event) => event.preventDefault());
  element("spec").addEventListener("input", () => {
    element("spec").value = element("spec").value.replace(/\s*\n\s*/g, " ");
    mark([]);
    grow();
  });
  element("example").addEventListener("change", ({ target }) => {
    if (target.value === "") return;
    open = {};
    show(EXAMPLES[target.value]);
    target.value = "";
    changed();
  });
  element("share").addEventListener("click", () => copy(location.href, "The link is in the clipboard."));
  addEventListener("hashchange", () => {
    if (location.hash !== address && fromAddress()) changed();
  });
  addEventListener("resize", grow);
  changed();
}

start();
