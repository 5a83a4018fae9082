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
    const { img, element } = picture("", `Map of ${name}`);
    const mark = el("div", { class: "se-mark", hidden: true });
    const stack = el("div", { class: "se-stack" });
    img.classList.add("se-pixels");
    for (const kind of ["pointermove", "pointerdown"]) img.addEventListener(kind, (event) => read(event, img));
    img.replaceWith(stack);
    stack.append(img, mark);
    return { img, element, mark };
  }

  /** Read gamma and beta under the pointer. */
  function read(event, img) {
    const box = img.getBoundingClientRect();
    point([(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
  }

  let pointed = null; // what is read, in shares of a map's width and height

  /** One place on all maps: a mark, and the numbers there. */
  function point(place) {
    pointed = place?.map((c) => Math.min(0.9999, Math.max(0, c))) ?? null;
    for (const { mark } of Object.values(maps)) {
      mark.hidden = !pointed;
      if (pointed) [mark.style.left, mark.style.top] = pointed.map((c) => `${100 * c}%`);
    }
    if (!pointed) return;
    const now = state();
    const [height, width] = now.layers[now.layer].size;
    const [x, y] = [Math.floor(pointed[0] * width), Math.floor(pointed[1] * height)];
    const at = (view) => view.getFloat32(4 * (y * width + x), true).toFixed(3);
    value.textContent = `Row ${y}, column ${x}: gamma ${at(now.gamma.values)}, beta ${at(now.beta.values)}`;
  }

  const overview = el("img", { class: "se-overview", alt: "gamma of all channels, to choose from", onclick: pickChannel });
  const frameOfChosen = el("div", { class: "se-chosen" });

  function pickChannel(event) {
    const now = state();
    const box = overview.getBoundingClientRect();
    const rows = Math.ceil(now.channels / now.overview.columns);
    const column = Math.floor(((event.clientX - box.left) / box.width) * now.overview.columns);
    const picked = Math.floor(((event.clientY - box.top) / box.height) * rows) * now.overview.columns + column;
    if (picked < now.channels) choices.submit(now.layer, picked);
  }

  function showChosen(now) {
    const [columns, rows] = [now.overview.columns, Math.ceil(now.channels / now.overview.columns)];
    Object.assign(frameOfChosen.style, {
      left: `${(100 * (now.channel % columns)) / columns}%`, top: `${(100 * Math.floor(now.channel / columns)) / rows}%`,
      width: `${100 / columns}%`, height: `${100 / rows}%`,
    });
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
    value, el("div", { class: "se-stack" }, overview, frameOfChosen), canvas.palette, status.element,
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
    number.textContent = `${now.channel + 1} of ${now.channels}`;
    setPng(overview, now.overview.png);
    showChosen(now);
    point(pointed); // the numbers of the present channel
    for (const [name, { img, element }] of Object.entries(maps)) {
      setPng(img, now[name].png);
      img.style.aspectRatio = `${now.map.size[1]} / ${now.map.size[0]}`;
      element.lastChild.replaceChildren(`${name} `, scale(now[name].limit));
    }
  }

  canvas.stage.addEventListener("pointermove", () => point(canvas.cursor()));
  canvas.stage.addEventListener("keyup", () => point(canvas.cursor()));

  function scale(limit) {
    const text = limit.toPrecision(2);
    return el("span", { class: "se-scale" }, `−${text}`, el("span", { class: "se-bar" }), `+${text}`);
  }

  return follow(model, python, update);
}

export default { render };
