// The explorer: the canvas, and gamma and beta of one SPADE layer and channel beside it.

function render({ model, el: host }) {
  const status = statusLine();
  const python = connect(model, status.say);
  const state = () => model.get("state");

  const canvas = labelCanvas(state().map, {
    changed: (sheet) => strokes.submit(sheet),
    load: (scene) => python.ask({ do: "load", scene }),
  });
  const strokes = strokeSender(python, state, () => canvas);

  const layers = state().layers.map(({ name, size }, i) => el("option", { value: i }, `${name} (${size.join("x")})`));
  const layer = el("select", { "aria-label": "SPADE layer", onchange: choose }, ...layers);
  const channel = el("input", { type: "range", min: 0, "aria-label": "Channel", oninput: choose });
  const number = el("output", {});
  const choices = latest((l, c) => python.ask({ do: "choose", layer: l, channel: c }));
  const value = el("p", { class: "se-hint", "aria-live": "polite" }, "Point at a map to read its values.");
  const maps = { gamma: valueMap("gamma"), beta: valueMap("beta") };

  function choose() {
    choices.submit(Number(layer.value), Number(channel.value));
  }

  function valueMap(name) {
    const shown = picture("", `Map of ${name}`);
    shown.img.classList.add("se-pixels");
    shown.img.addEventListener("pointermove", (event) => read(event, shown.img));
    return shown;
  }

  /** Read gamma and beta under the pointer. */
  function read(event, img) {
    const now = state();
    const [height, width] = now.layers[now.layer].size;
    const box = img.getBoundingClientRect();
    const x = Math.min(width - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * width)));
    const y = Math.min(height - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * height)));
    const at = (view) => view.getFloat32(4 * (y * width + x), true).toFixed(3);
    value.textContent = `Row ${y}, column ${x}: gamma ${at(now.gamma.values)}, beta ${at(now.beta.values)}`;
  }

  const root = frame(
    "Explorer",
    canvas.tools,
    el(
      "div", { class: "se-tools" },
      el("label", { class: "se-field" }, "Layer", layer), el("label", { class: "se-field" }, "Channel", channel, number),
    ),
    el(
      "div", { class: "se-sides se-three" },
      el("figure", {}, canvas.stage, el("figcaption", {}, "Label map: paint on it")), maps.gamma.element, maps.beta.element,
    ),
    value, canvas.palette, status.element,
  );
  root.addEventListener("keydown", (event) => {
    if (canvas.key(event)) event.preventDefault();
  });
  host.append(root);

  function update() {
    const now = state();
    strokes.follow();
    if (!choices.busy) {
      layer.value = now.layer;
      channel.max = now.channels - 1;
      channel.value = now.channel;
    }
    number.textContent = `${now.channel} of ${now.channels}`;
    for (const [name, { img, element }] of Object.entries(maps)) {
      setPng(img, now[name].png);
      img.style.aspectRatio = `${now.map.size[1]} / ${now.map.size[0]}`;
      element.lastChild.replaceChildren(`${name} `, scale(now[name].limit));
    }
  }

  function scale(limit) {
    const text = limit.toPrecision(2);
    return el("span", { class: "se-scale" }, `−${text}`, el("span", { class: "se-bar" }), `+${text}`);
  }

  return follow(model, python, update);
}

export default { render };
