// The painter: the canvas, beside it the picture that follows each stroke, below it the same map in other looks.

const QUIET = 300; // milliseconds without a stroke after which thumbnails are brought up to date and objects sought

function render({ model, el: host }) {
  const status = statusLine();
  const python = connect(model, status.say);
  const state = () => model.get("state");
  const generated = picture("Generated picture", "");
  const photo = el("img", { class: "se-over", alt: "The scene's own picture", hidden: true });
  generated.img.classList.add("se-picture");
  const stack = el("div", { class: "se-stack" });
  generated.img.replaceWith(stack);
  stack.append(generated.img, photo);
  const wipe = slider("Scene's own picture", 0, (share) => showWipe(share));
  const mix = slider("Picture under the map", 0, (share) => (canvas.paper.style.opacity = 1 - share));
  const under = el("img", { class: "se-under", alt: "" });
  const facts = el("p", { class: "se-hint", role: "status", "aria-live": "polite" });

  const canvas = labelCanvas(state().map, {
    changed: (sheet) => strokes.submit(sheet),
    load: (scene) => python.ask({ do: "load", scene }),
  });
  canvas.paper.before(under);
  const strokes = strokeSender({ ...python, ask: watched }, state, () => canvas);
  const strip = looksStrip(python, state);
  const refresh = whenQuiet(python, state, () => strokes.busy());
  const files = mapFiles(python, state);
  const keeper = mapKeeper(state, canvas, Boolean(model.words)); // a notebook keeps its maps itself
  const whole = button("Full screen", "for a projector; Escape ends it", () => root.requestFullscreen());

  async function watched(request, ...buffers) {
    generated.img.setAttribute("aria-busy", "true");
    const done = await python.ask(request, ...buffers);
    generated.img.setAttribute("aria-busy", "false");
    return done;
  }

  whole.hidden = !document.fullscreenEnabled; // a frame around the notebook may not let it
  const beside = picture("", "The other network's picture of the same map");
  const map = el("figure", {}, canvas.stage, el("figcaption", {}, "Label map: paint on it. ? shows the keys"));
  const root = frame(
    "Painter",
    canvas.tools,
    el("div", { class: "se-sides" }, map, generated.element, ...(state().beside ? [beside.element] : [])),
    canvas.palette,
    el("div", { class: "se-tools" }, mix.element, wipe.element, files.element, keeper.element, whole),
    strip.element, facts, status.element,
  );
  root.addEventListener("keydown", (event) => {
    if (canvas.key(event)) event.preventDefault();
  });
  acceptsDrops(root, files.open, strip.style);
  host.append(root);

  /** The scene's own picture over the generated one, from the left as far as `share`. */
  function showWipe(share) {
    photo.hidden = !share;
    photo.style.clipPath = `inset(0 ${100 * (1 - share)}% 0 0)`;
    generated.element.lastChild.textContent = share ? "Left: the scene's own picture. Right: generated" : "Generated picture";
  }

  function update() {
    const now = state();
    strokes.follow();
    setPng(generated.img, now.image);
    setPng(under, now.image);
    wipe.element.hidden = !now.photo.byteLength;
    if (now.photo.byteLength) setPng(photo, now.photo);
    else showWipe(0);
    if (now.beside) {
      setPng(beside.img, now.beside.png);
      beside.element.lastChild.textContent = now.beside.name;
    }
    files.update();
    keeper.update();
    strip.update();
    canvas.offer(now.stamps.found);
    refresh();
    generated.img.alt = `Picture generated from: ${canvas.describe()}`;
    facts.textContent = `New picture: ${now.seconds.toFixed(2)} s, ${now.network}`;
  }
  return follow(model, python, update);
}

/** A slider from 0 to 1 with its name. */
function slider(text, value, change) {
  const input = el("input", { type: "range", min: 0, max: 100, value: 100 * value, "aria-label": text, oninput: () => change(input.value / 100) });
  return { input, element: el("label", { class: "se-field" }, text, input) };
}

/** The same map in every look, small; a click chooses one. */
function looksStrip(python, state) {
  const looks = latest((look) => python.ask({ do: "look", look }));
  const tiles = el("div", { class: "se-strip", role: "radiogroup", "aria-label": "Look" });
  const others = button("Other draws", "looks drawn from N(0, 1)", () => python.ask({ do: "draws", seed: Math.floor(Math.random() * 100000) }));
  const file = el("input", { type: "file", accept: "image/*", class: "se-spoken", "aria-label": "Style of a picture", onchange: () => style(file.files[0]) });
  const add = el("label", { class: "se-button" }, "Style of a picture …", file);
  const element = el("div", {}, tiles, el("div", { class: "se-tools" }, others, add));
  let shown = [];
  walkRadios(tiles, () => shown.map((t) => t.element), (look) => looks.submit(look));

  async function style(picked) {
    if (picked) await python.ask({ do: "style", name: picked.name.replace(/\.\w+$/, "") }, new Uint8Array(await picked.arrayBuffer()));
    file.value = "";
  }

  function tile(look) {
    const img = el("img", { alt: "" });
    const name = el("span", {});
    return { img, name, element: el("button", { type: "button", role: "radio", class: "se-tile", onclick: () => looks.submit(look) }, img, name) };
  }

  function update() {
    const { looks: now, chosen, takesPictures } = state();
    element.hidden = !now.length;
    add.hidden = !takesPictures;
    if (shown.length !== now.length) {
      shown = now.map((_, i) => tile(i));
      tiles.replaceChildren(...shown.map((t) => t.element));
    }
    now.forEach((look, i) => {
      shown[i].name.textContent = look.name;
      markRadio(shown[i].element, i === chosen, i === chosen);
      if (look.png.byteLength) setPng(shown[i].img, look.png);
      shown[i].img.classList.toggle("se-old", !look.fresh);
    });
  }

  return { element, update, style };
}

/** While nobody paints, one at a time and so on with each answer: thumbnails are brought up to date, then objects sought. */
function whenQuiet(python, state, busy) {
  let timer = null;
  return function refresh() {
    clearTimeout(timer);
    const { looks, stamps } = state();
    const look = looks.findIndex(({ fresh }) => !fresh);
    if (look < 0 && stamps.done) return;
    const request = look >= 0 ? { do: "thumbnail", look } : { do: "stamps" };
    timer = setTimeout(() => (busy() ? refresh() : python.whisper(request)), QUIET);
  };
}

/** Saving picture and map, opening a map. */
function mapFiles(python, state) {
  const saveMap = saveLink("Save map", "label_map.png");
  const saveImage = saveLink("Save picture", "generated.png");
  const file = el("input", { type: "file", accept: "image/png", class: "se-spoken", "aria-label": "Open map", onchange: () => open(file.files[0]) });
  const saveLarge = button("Save 4x", "four times as large, smoothed", async () => {
    if (!(await python.ask({ do: "enlarge" }))) return;
    const link = saveLink("", saveImage.download.replace(".png", "_4x.png"));
    setPng(link, state().large);
    link.click();
  });
  const element = el("span", { class: "se-group" }, saveImage, saveLarge, saveMap, el("label", { class: "se-button" }, "Open map …", file));
  let count = 0;

  async function open(picked) {
    if (picked) await python.ask({ do: "open" }, new Uint8Array(await picked.arrayBuffer()));
    file.value = "";
  }

  /** Names that don't collide: the scene, and a number that grows with each map. */
  function update() {
    const { map, image, saved } = state();
    const tail = `${map.scene < 0 ? "own" : `scene${map.scene}`}_${clock()}_${++count}.png`;
    for (const [link, name, view] of [[saveMap, "label_map", saved], [saveImage, "generated", image]]) {
      setPng(link, view);
      link.download = `${name}_${tail}`;
    }
  }
  return { element, open, update };
}

/** The browser keeps the last map; where the program was started anew, a button brings it back. */
function mapKeeper(state, canvas, wanted) {
  const { size, names, ids } = state().map;
  const name = `spade_edu map ${size.join("x")} ${names.join()}`;
  const kept = wanted ? localStorage.getItem(name) : null;
  const first = textOf(bytesOf(ids));
  const back = button("Bring back your last map", "the browser has kept it", () => {
    canvas.take(Uint8Array.from(kept, (c) => c.charCodeAt(0)));
    element.hidden = true;
  });
  const element = el("span", {}, back);
  element.hidden = !kept || kept.length !== size[0] * size[1] || kept === first;

  function update() {
    const now = textOf(bytesOf(state().map.ids));
    if (wanted && now !== first) localStorage.setItem(name, now);
  }
  return { element, update };
}

function textOf(bytes) {
  return Array.from(bytes, (b) => String.fromCharCode(b)).join("");
}

/** Day, hour and minute, for the name of a file. */
function clock() {
  return new Date().toISOString().slice(5, 16).replace(/\D/g, "");
}

/** A map that is dropped is opened, any other picture gives its style. */
function acceptsDrops(element, openMap, takeStyle) {
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", async (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file) await ((await isPalettePng(file)) ? openMap(file) : takeStyle(file));
  });
}

/** Whether a file is a PNG with a palette or grey values, as label maps are: byte 25 holds the kind of colour. */
async function isPalettePng(file) {
  const bytes = new Uint8Array(await file.slice(0, 26).arrayBuffer());
  return bytes[1] === 80 && bytes[2] === 78 && bytes[3] === 71 && (bytes[25] === 3 || bytes[25] === 0);
}

export default { render };
