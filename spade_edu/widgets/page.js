// The model of a widget outside a notebook: the same face as Jupyter's, with HTTP behind it.

import widget from "./widget.js";

/** {"base64": ...} becomes a DataView, as bytes do in Jupyter. */
function revive(_key, value) {
  if (typeof value?.base64 !== "string") return value;
  const text = atob(value.base64);
  const bytes = new Uint8Array(text.length); // a loop: Uint8Array.from takes ten times as long
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  return new DataView(bytes.buffer);
}

function toBase64(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

const listeners = { "change:state": new Set(), "msg:custom": new Set() };
const emit = (event, message) => listeners[event].forEach((listener) => listener(message));
const readState = async () => JSON.parse(await (await fetch("state")).text(), revive);
let state = await readState();
let asked = 0; // requests on their way

const model = {
  words: {
    silent: "Still working: the program has not answered yet.",
    gone: "The program is away. Your strokes are kept and sent when it is back: start spade-edu paint again with the same --port.",
  },
  get: () => state,
  on: (event, listener) => listeners[event]?.add(listener),
  off: (event, listener) => listeners[event]?.delete(listener),
  async send({ id, ...request }, _callbacks, buffers = []) {
    const body = JSON.stringify({ request, buffers: buffers.map(toBase64) });
    asked += 1;
    try {
      const reply = await fetch("ask", { method: "POST", headers: { "Content-Type": "application/json" }, body });
      if (!reply.ok) throw new Error(await reply.text());
      const { error, state: news } = JSON.parse(await reply.text(), revive);
      state = news;
      emit("change:state");
      emit("msg:custom", { answer: id, error });
    } catch (failure) {
      const away = failure instanceof TypeError; // how fetch says that nobody answers
      emit("msg:custom", { answer: id, error: failure.message, away });
    }
    asked -= 1;
  },
};

/** Another tab may have painted while this one was out of sight. */
window.addEventListener("focus", async () => {
  if (asked) return;
  try {
    state = await readState();
    emit("change:state");
  } catch {
    // the next request says that nobody answers
  }
});

document.title = `spade_edu: paint a scene (${state.network})`;
widget.render({ model, el: document.getElementById("widget") });
document.querySelector(".se-stage").focus({ preventScroll: true });
