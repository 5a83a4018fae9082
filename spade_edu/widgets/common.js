// Shared by all widgets: elements, pictures, requests to Python, the line that says what goes on.

const PATIENCE = 4000; // milliseconds after which a request that Python hasn't heard is called lost
const SILENT = "No answer from Python. If another cell is running, wait for it; else the kernel is gone: run this cell again.";
const GONE = "The kernel is gone: run this cell again.";

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

/** Show (in an img) or offer (in an a) a PNG file that came from Python. */
function setPng(element, view) {
  const key = element instanceof HTMLAnchorElement ? "href" : "src";
  const old = element[key];
  element[key] = URL.createObjectURL(new Blob([bytesOf(view)], { type: "image/png" }));
  if (old.startsWith("blob:")) URL.revokeObjectURL(old);
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

/**
 * Requests to Python. ask(request, ...buffers) resolves to whether Python did it; `say` gets the line for the user.
 * Python answers twice, when it has heard and when it is done: silence means that the kernel is busy or gone.
 */
function connect(model, say) {
  const waiting = new Map();
  const mine = Math.random().toString(36).slice(2); // views share a model, so each knows its own requests
  let count = 0;

  function ask(request, ...buffers) {
    const id = `${mine}-${++count}`;
    return new Promise((resolve) => {
      waiting.set(id, { resolve, timer: setTimeout(() => say(SILENT), PATIENCE) });
      try {
        model.send({ ...request, id }, undefined, buffers);
      } catch {
        say(GONE);
      }
    });
  }

  function listen(message) {
    const id = message.heard ?? message.answer;
    const request = waiting.get(id);
    if (!request) return;
    clearTimeout(request.timer);
    if (message.answer === undefined) return say("");
    waiting.delete(id);
    say(message.error);
    request.resolve(!message.error);
  }

  /** The host says that the line to the kernel was cut or laid again: see whether somebody is at the other end. */
  function check() {
    const id = `${mine}-${++count}`;
    waiting.set(id, { resolve: () => {}, timer: setTimeout(() => say(GONE), PATIENCE / 2) });
    try {
      model.send({ do: "ping", id });
    } catch {
      say(GONE);
    }
  }

  model.on("msg:custom", listen);
  model.on("comm_live_update", check);
  function close() {
    model.off("msg:custom", listen);
    model.off("comm_live_update", check);
    for (const { timer } of waiting.values()) clearTimeout(timer);
  }
  return { ask, close };
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
