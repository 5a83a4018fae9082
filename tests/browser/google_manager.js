// A stand-in for Google's widget manager: it gives a widget's ES module a model with get, set, on, off, save_changes and
// send, fed by a kernel's comm messages, and nothing else. How messages travel (by HTTP) is the test's own affair.

const bytesFrom = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const textFrom = (bytes) => btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));

/** Put binary parts where the kernel took them out. */
function withBuffers({ state, buffer_paths: paths }, buffers) {
  paths.forEach((path, i) => {
    const last = path.at(-1);
    const holder = path.slice(0, -1).reduce((part, key) => part[key], state);
    holder[last] = new DataView(bytesFrom(buffers[i]).buffer);
  });
  return state;
}

function modelOf(state, post) {
  const listeners = new Map();
  const emit = (event, ...values) => [...(listeners.get(event) ?? [])].forEach((listener) => listener(...values));
  const model = {
    get: (name) => state[name],
    set: (name, value) => (state[name] = value),
    save_changes() {},
    on: (event, listener) => listeners.set(event, [...(listeners.get(event) ?? []), listener]),
    off: (event, listener) => listeners.set(event, (listeners.get(event) ?? []).filter((l) => l !== listener)),
    send: (content, _callbacks, buffers = []) => post({ content, buffers: buffers.map(asBytes).map(textFrom) }),
  };
  function receive({ data, buffers }) {
    if (data.method === "custom") return emit("msg:custom", data.content, []);
    const news = withBuffers(data, buffers);
    Object.assign(state, news);
    Object.keys(news).forEach((name) => emit(`change:${name}`));
  }
  return { model, receive };
}

function asBytes(part) {
  return ArrayBuffer.isView(part) ? new Uint8Array(part.buffer, part.byteOffset, part.byteLength) : new Uint8Array(part);
}

const post = (message) => fetch("message", { method: "POST", body: JSON.stringify(message) });
const messages = async (from) => (await fetch(`messages?${from}`)).json();

const [opened, ...missed] = await messages(0);
const state = withBuffers(opened.data, opened.buffers);
const { model, receive } = modelOf(state, post);
document.head.append(Object.assign(document.createElement("style"), { textContent: state._css }));
const { default: widget } = await import(URL.createObjectURL(new Blob([state._esm], { type: "text/javascript" })));
await widget.render({ model, el: document.querySelector("#output") });

for (let seen = 1 + missed.length, news = missed; ; seen += news.length) {
  news.forEach(receive);
  await new Promise((resolve) => setTimeout(resolve, 20));
  news = await messages(seen);
}
