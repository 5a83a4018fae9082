// The model of a widget outside a notebook: the same face as Jupyter's, with HTTP behind it.

import widget from "./widget.js";

/** {"base64": ...} becomes a DataView, as bytes do in Jupyter. */
function revive(_key, value) {
  if (typeof value?.base64 !== "string") return value;
  return new DataView(Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)).buffer);
}

function toBase64(bytes) {
  return btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));
}

const listeners = { "change:state": new Set(), "msg:custom": new Set() };
const emit = (event, message) => listeners[event].forEach((listener) => listener(message));
let state = JSON.parse(await (await fetch("state")).text(), revive);

const model = {
  get: () => state,
  on: (event, listener) => listeners[event]?.add(listener),
  off: (event, listener) => listeners[event]?.delete(listener),
  async send({ id, ...request }, _callbacks, buffers = []) {
    const body = JSON.stringify({ request, buffers: buffers.map(toBase64) });
    try {
      const reply = await fetch("ask", { method: "POST", headers: { "Content-Type": "application/json" }, body });
      if (!reply.ok) throw new Error(await reply.text());
      const { error, state: news } = JSON.parse(await reply.text(), revive);
      state = news;
      emit("change:state");
      emit("msg:custom", { answer: id, error });
    } catch (failure) {
      const gone = failure instanceof TypeError; // how fetch says that nobody answers
      emit("msg:custom", { answer: id, error: gone ? "The program is gone: start spade-edu paint again." : failure.message });
    }
  },
};

widget.render({ model, el: document.getElementById("widget") });
