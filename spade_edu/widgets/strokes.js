// Strokes on their way to Python, for every widget with a canvas.

const RETRY = 2000; // milliseconds between tries while Python is away

/** Sends sheets, one at a time and only the newest. Each goes with the map that this view knew, so that Python can put
 *  a stroke beside what another view has painted meanwhile. submit(sheet); follow() shows Python's map when none is sent. */
function strokeSender(python, state, canvas) {
  let known = state().map; // what Python has, as far as this view knows
  let newest = null;
  const queue = latest(send);

  async function send() {
    let done = null;
    while (done === null) { // Python is away: the stroke is kept until it is back
      const { ids, scene, flipped } = newest;
      const request = { do: "paint", scene, flipped, before_scene: known.scene, before_flipped: known.flipped };
      done = await python.ask(request, ids, bytesOf(known.ids));
      if (done) known = { ids: viewOf(ids), scene, flipped };
      if (done === null) await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }

  /** Where Python refused a stroke, this takes it off again; undo brings it back. */
  function follow() {
    if (!queue.busy && canvas().adopt(state().map)) known = state().map;
  }

  return {
    follow,
    busy: () => queue.busy,
    async submit(sheet) {
      newest = sheet;
      await queue.submit(sheet);
      follow();
    },
  };
}

function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
