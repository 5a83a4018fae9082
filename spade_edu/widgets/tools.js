// What stands around the canvas: toolbar, palette and help. They call commands by the names in keys.js.

const TOOLS = ["brush", "line", "rectangle", "fill", "stamp", "eraser"];

function button(text, title, onclick) {
  return el("button", { type: "button", title, onclick }, text);
}

function capital(word) {
  return word[0].toUpperCase() + word.slice(1);
}

/** The toolbar: `does` maps commands to functions; show(state) brings it up to date. */
function canvasTools(map, does) {
  const toolButtons = TOOLS.map((name) =>
    el("button", { type: "button", "data-tool": name, title: keyOf("tool", name), onclick: () => does.tool(name) }, capital(name)),
  );
  const shape = button("", `${keyOf("shape")}: shape of the brush`, () => does.shape());
  const shown = el("output", {});
  const range = el("input", {
    type: "range", min: 0, max: SIZES.length - 1, "aria-label": "Brush size", oninput: () => does.sizeIs(Number(range.value)),
  });
  const undo = button("Undo", keyOf("go", -1), () => does.go(-1));
  const redo = button("Redo", keyOf("go", 1), () => does.go(1));
  const outlines = el("input", { type: "checkbox", checked: true, onchange: () => does.outlinesAre(outlines.checked) });
  const whole = button("Whole map", "back from nearer", () => does.whole());
  const scenes = sceneField(map, does);
  const element = el(
    "div", { class: "se-tools", role: "toolbar", "aria-label": "Tools" },
    el("span", { class: "se-group", role: "group", "aria-label": "Tool" }, ...toolButtons),
    el("label", { class: "se-field" }, "Size", range, shown), shape,
    el("span", { class: "se-group" }, undo, redo),
    el("span", { class: "se-group" }, button("Flip", keyOf("flip"), () => does.flip()), button("Clear", "an empty scene", () => does.clear())),
    ...(map.scenes ? [scenes.element] : []),
    el("label", { class: "se-field", title: keyOf("outlines") }, outlines, "Outlines"),
    whole, button("?", `${keyOf("help")}: keys`, () => does.help()),
  );
  arrowsWalk(element);

  function show(state) {
    for (const b of toolButtons) b.setAttribute("aria-pressed", b.dataset.tool === state.tool);
    range.value = state.size;
    const stamping = state.tool === "stamp";
    shown.textContent = stamping ? `${SCALES[state.size]}x` : SIZES[state.size];
    range.setAttribute("aria-valuetext", stamping ? `${SCALES[state.size]} times` : `${SIZES[state.size]} pixels`);
    range.setAttribute("aria-label", stamping ? "Stamp size" : "Brush size");
    shape.textContent = `${capital(state.shape)} brush`;
    undo.setAttribute("aria-disabled", !state.undo); // not `disabled`: the focus would be lost, and the keys with it
    redo.setAttribute("aria-disabled", !state.redo);
    outlines.checked = state.outlines;
    whole.hidden = !state.nearer;
    scenes.show(state.scene);
  }
  return { element, show };
}

function sceneField(map, does) {
  const last = map.scenes - 1;
  const input = el("input", {
    type: "number", min: 0, max: last, placeholder: `0–${last}`, "aria-label": "Scene of the data set",
    onchange: () => (input.value === "" ? show(shown) : does.load(Math.trunc(Number(input.value)))),
  });
  const element = el(
    "span", { class: "se-group se-scenes" },
    el("label", { class: "se-field" }, "Scene", input),
    button("Previous", "previous scene of the data set", () => does.load((Math.max(shown, 0) + last) % (last + 1))),
    button("Next", "next scene of the data set", () => does.load((shown + 1) % (last + 1))),
    button("Random", "any scene of the data set", () => does.load(Math.floor(Math.random() * (last + 1)))),
  );
  let shown = -1;
  function show(scene) {
    shown = scene;
    input.value = scene < 0 ? "" : scene;
  }
  return { element, show };
}

/** Left and right go from button to button of a toolbar, Tab leaves it. */
function arrowsWalk(element) {
  const buttons = [...element.querySelectorAll("button, input[type=checkbox]")];
  const rest = (one) => buttons.forEach((b) => (b.tabIndex = b === one ? 0 : -1));
  rest(buttons[0]);
  element.addEventListener("focusin", (event) => buttons.includes(event.target) && rest(event.target));
  element.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const visible = buttons.filter((b) => !b.hidden);
    if (!step || !visible.includes(event.target)) return;
    event.preventDefault();
    event.stopPropagation();
    visible[(visible.indexOf(event.target) + step + visible.length) % visible.length].focus();
  });
}

/** The classes to paint with: those that are scored first, with keys; the others folded. */
function palette(map, choose) {
  const unseen = new Set(map.unseen);
  const swatches = [...map.offered, ...map.others].map((id) => {
    const key = keyOfClass(map.offered.indexOf(id) < 0 ? 99 : map.offered.indexOf(id));
    const title = unseen.has(id) ? "not in the training pictures: nobody knows what comes" : key && `key ${key}`;
    const colour = el("span", { class: "se-swatch", style: `background: rgb(${map.colours[id]})` });
    const mark = unseen.has(id) ? [el("span", { class: "se-hint" }, "(never seen)")] : [];
    const hint = key ? [el("kbd", { "aria-hidden": "true" }, key.replace("Shift ", "⇧"))] : [];
    return el(
      "button", { type: "button", role: "radio", "data-id": id, title, onclick: () => choose(id) },
      colour, map.names[id], ...mark, ...hint,
    );
  });
  const ids = [...map.offered, ...map.others];
  const [main, rest] = [swatches.slice(0, map.offered.length), swatches.slice(map.offered.length)];
  const folded = el("details", { class: "se-rest" }, el("summary", {}, "Other classes"), el("div", { class: "se-palette" }, ...rest));
  const element = el(
    "div", { role: "radiogroup", "aria-label": "Class to paint" },
    el("div", { class: "se-palette" }, ...main), ...(rest.length ? [folded] : []),
  );

  function show(chosen) {
    if (map.others.includes(chosen)) folded.open = true;
    for (const s of swatches) {
      const on = Number(s.dataset.id) === chosen;
      markRadio(s, on, on);
    }
  }

  walkRadios(element, () => (folded.open ? swatches : main), (index) => choose(ids[index]));
  return { element, show };
}

/** Whether a radio is chosen, and whether Tab stops at it: at one of a group, within which arrows move. */
function markRadio(radio, chosen, stop) {
  radio.setAttribute("aria-checked", chosen);
  radio.tabIndex = stop ? 0 : -1;
}

/** Arrows go from radio to radio of a group and choose. */
function walkRadios(element, radios, choose) {
  element.addEventListener("keydown", (event) => {
    const all = radios();
    const here = all.indexOf(event.target);
    if (!(event.key in ARROWS) || here < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const [right, down] = ARROWS[event.key];
    const goal = (here + right + down + all.length) % all.length;
    choose(goal);
    all[goal].focus();
  });
}

/** Hands and keys, on a sheet over the widget that Escape closes. */
function helpSheet() {
  const rows = helpRows().map(([keys, words]) => el("tr", {}, el("th", { scope: "row" }, keys), el("td", {}, words)));
  const close = el("button", { type: "button", onclick: () => element.close() }, "Close");
  const element = el("dialog", { class: "se-help", "aria-label": "Keys" }, close, el("table", {}, ...rows));
  return element;
}
