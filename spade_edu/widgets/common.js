// Shared by all widgets: elements, pictures, requests to Python, the line that says what goes on.

const PATIENCE = 4000; // milliseconds after which a request that Python hasn't heard is called lost

/** An element: attributes by name, listeners as onclick and the like, then its children. */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** The frame of a widget. JupyterLab leaves the keys pressed in it alone (its shortcuts would add and delete cells). */
function frame(name, ...children) {
  return el("section", { class: `spade-edu ${name}`, "aria-label": name, "data-lm-suppress-shortcuts": "true" }, ...children);
}

/** The line under a widget that says what went wrong; screen readers read it out. */
function statusLine() {
  const element = el("p", { class: "se-status", role: "status", "aria-live": "polite" });
  const say = (text) => {
    if (element.textContent !== text) element.textContent = text;
  };
  return { element, say };
}

/** Bytes from Python arrive as a DataView. */
function bytesOf(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function same(a, b) {
  return a.length === b.length && a.every((byte, k) => byte === b[k]);
}

const shownPngs = new WeakMap(); // element: the file that it shows

/** Show (in an img) or offer (in an a) a PNG file that came from Python; one that is shown already is left alone. */
function setPng(element, view) {
  if (same(shownPngs.get(element) ?? [], bytesOf(view))) return;
  shownPngs.set(element, bytesOf(view));
  const key = element instanceof HTMLAnchorElement ? "href" : "src";
  const old = element[key];
  element[key] = URL.createObjectURL(new Blob([bytesOf(view)], { type: "image/png" }));
  if (old.startsWith("blob:")) URL.revokeObjectURL(old);
}

/** Give back what setPng took, before an element is thrown away. */
function forgetPng(element) {
  const file = element.href ?? element.src;
  if (file?.startsWith("blob:")) URL.revokeObjectURL(file);
}

/** A picture with a caption. */
function picture(caption, alt) {
  const img = el("img", { alt });
  return { img, element: el("figure", {}, img, el("figcaption", {}, caption)) };
}

/** A link that saves what setPng gives it. */
function saveLink(text, file) {
  return el("a", { class: "se-button", download: file, href: "#" }, text);
}

/** What is said while nothing is heard; a page of its own has other words (page.js). */
const NOTEBOOK_WORDS = {
  silent: "No answer from Python. If another cell is running, wait for it; else the kernel is gone: run this cell again.",
  gone: "The kernel is gone: run this cell again.",
};

/**
 * Requests to Python. ask(request, ...buffers) resolves to true when Python did it, false when it refused, null when it
 * never heard; `say` gets the line for the user. Python answers twice, when it has heard and when it is done.
 */
function connect(model, say) {
  const words = model.words ?? NOTEBOOK_WORDS;
  const waiting = new Map(); // in the order of sending
  const mine = Math.random().toString(36).slice(2); // views share a model, so each knows its own requests
  let count = 0;

  function ask(request, ...buffers) {
    return new Promise((resolve) => send(request, buffers, { resolve, line: words.silent }));
  }

  /** As ask, for what the user didn't ask for: the line keeps what it says. */
  function whisper(request) {
    return new Promise((resolve) => send(request, [], { resolve, line: null }));
  }

  function send(request, buffers, { resolve, line }) {
    const id = `${mine}-${++count}`;
    const ping = request.do === "ping";
    waiting.set(id, { resolve, ping, quiet: line === null, timer: setTimeout(() => line && say(line), PATIENCE) });
    try {
      model.send({ ...request, id }, undefined, buffers);
    } catch {
      say(words.gone);
    }
  }

  function finish(id, result) {
    const { resolve, timer } = waiting.get(id);
    clearTimeout(timer);
    waiting.delete(id);
    resolve(result);
  }

  function listen(message) {
    const id = message.heard ?? message.answer;
    if (!waiting.has(id)) return;
    const { ping, quiet, timer } = waiting.get(id);
    if (message.answer === undefined) {
      clearTimeout(timer);
      if (!quiet) say("");
      if (ping) finish(id, true); // which has no other answer
      return;
    }
    if (!quiet) say(message.away ? words.gone : message.error);
    finish(id, message.away ? null : !message.error);
  }

  /** The host says that the line to the kernel was cut or laid again: see whether somebody is at the other end. What
   *  was sent before and is still open when Python hears of this was lost on the way. */
  function check() {
    const before = [...waiting.keys()];
    const lost = () => before.filter((id) => waiting.has(id)).forEach((id) => finish(id, null));
    send({ do: "ping" }, [], { resolve: lost, line: words.gone });
  }

  model.on("msg:custom", listen);
  model.on("comm_live_update", check);
  function close() {
    model.off("msg:custom", listen);
    model.off("comm_live_update", check);
    for (const { timer } of waiting.values()) clearTimeout(timer);
  }
  return { ask, whisper, close };
}

/** Call `update` now and whenever Python's state changes; gives what anywidget calls when the view is closed. */
function follow(model, python, update) {
  model.on("change:state", update);
  update();
  return () => {
    model.off("change:state", update);
    python.close();
  };
}

/** Send one at a time; of what comes in meanwhile only the latest is sent. */
function latest(send) {
  let next = null;
  const queue = { busy: false, submit };
  async function submit(...values) {
    next = values;
    if (queue.busy) return;
    queue.busy = true;
    while (next) {
      const now = next;
      next = null;
      await send(...now);
    }
    queue.busy = false;
  }
  return queue;
}

/** A number field for a seed, with a button that draws another one. */
function seedField(text, change) {
  const input = el("input", { type: "number", min: 0, max: 2 ** 31 - 100, step: 1, "aria-label": text });
  const set = (value) => {
    input.value = value;
    change(Number(value));
  };
  input.addEventListener("change", () => set(Math.max(0, Math.trunc(Number(input.value) || 0))));
  const another = el("button", { type: "button", onclick: () => set(Math.floor(Math.random() * 100000)) }, "Another");
  return { input, element: el("label", { class: "se-field" }, text, input, another) };
}
