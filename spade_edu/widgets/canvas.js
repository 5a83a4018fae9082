// A canvas to paint a label map on. Painting happens here, in the browser; whoever made the canvas hears of each
// finished stroke through `changed(sheet)`. A sheet is what undo goes back to: ids, the map below them (`start`, which
// the eraser brings back), the scene it is of, and whether that is flipped.

const SIZES = [1, 2, 3, 5, 8, 12, 20, 32]; // brush diameters in pixels of the map
const TOOLS = { brush: "b", line: "l", fill: "f", eraser: "e" };
const MOST_SHEETS = 200;
const HELP =
  "Keys: arrows move the cursor, Shift and arrows paint along, Space applies the tool; 1 to 9, 0 and Shift choose a " +
  "class; B brush, L line, F fill, E eraser; [ and ] change the size; H flips; Ctrl Z undoes, Ctrl Y does again.";

function labelCanvas(map, { changed, load }) {
  const [height, width] = map.size;
  const zoom = Math.max(2, Math.round(768 / width)); // pixels of the overlay for one of the map
  let sheet = sheetOf(map);
  let sheets = [sheet]; // undo: sheets[at] is shown
  let at = 0;
  let tool = "brush";
  let size = 3; // index in SIZES
  let chosen = map.offered.includes(26) ? 26 : map.offered[0];
  let cursor = null; // [x, y]
  let stroke = null; // { ids before it, from: [x, y], moved to: [x, y] }

  // ---- what is seen -------------------------------------------------------------------------------------------
  const paper = el("canvas", { width, height, class: "se-paper" });
  const overlay = el("canvas", { width: width * zoom, height: height * zoom, class: "se-overlay" });
  const tip = el("div", { class: "se-tip", hidden: true });
  const stage = el(
    "div",
    {
      class: "se-stage", tabindex: 0, role: "application", "aria-roledescription": "label map", title: "",
      "aria-label": `Label map, ${height} by ${width} pixels. ${HELP}`,
    },
    paper, overlay, tip,
  );
  const spoken = el("span", { class: "se-spoken", "aria-live": "polite" });
  const outlines = el("input", { type: "checkbox", checked: true, onchange: drawOverlay });
  const toolButtons = Object.entries(TOOLS).map(([name, key]) =>
    el("button", { type: "button", "data-tool": name, title: `${name} (${key.toUpperCase()})`, onclick: () => setTool(name) }, capital(name)),
  );
  const sizeShown = el("output", {});
  const sizeRange = el("input", {
    type: "range", min: 0, max: SIZES.length - 1, "aria-label": "Brush size", oninput: () => setSize(Number(sizeRange.value)),
  });
  const undoButton = button("Undo", "Ctrl Z", () => goTo(at - 1));
  const redoButton = button("Redo", "Ctrl Y", () => goTo(at + 1));
  const sceneInput = el("input", {
    type: "number", min: 0, max: map.scenes - 1, placeholder: `0–${map.scenes - 1}`, "aria-label": "Scene of the data set",
    onchange: () => load(Math.trunc(Number(sceneInput.value))),
  });
  const nextScene = button("Next", "next scene of the data set", () => load((sheet.scene + 1) % map.scenes));
  const scenes = el("span", { class: "se-field" }, el("label", { class: "se-field" }, "Scene", sceneInput), nextScene);
  const tools = el(
    "div", { class: "se-tools", role: "toolbar", "aria-label": "Tools" },
    el("span", { class: "se-group", role: "group", "aria-label": "Tool" }, ...toolButtons),
    el("label", { class: "se-field" }, "Size", sizeRange, sizeShown),
    el("span", { class: "se-group" }, undoButton, redoButton),
    el("span", { class: "se-group" }, button("Flip", "H", flip), button("Clear", "", clear)),
    ...(map.scenes ? [scenes] : []),
    el("label", { class: "se-field" }, outlines, "Outlines"),
  );
  const swatches = map.offered.map((id, i) => {
    const [key, shift] = shortcut(i);
    const colour = el("span", { class: "se-swatch", style: `background: rgb(${map.colours[id]})` });
    return el(
      "button",
      { type: "button", role: "radio", "data-id": id, title: key ? `key ${shift ? "Shift " : ""}${key}` : "", onclick: () => choose(id) },
      colour, map.names[id], ...(key ? [el("kbd", { "aria-hidden": "true" }, (shift ? "⇧" : "") + key)] : []),
    );
  });
  const palette = el("div", { class: "se-palette", role: "radiogroup", "aria-label": "Class to paint" }, ...swatches);

  function button(text, key, onclick) {
    return el("button", { type: "button", title: key, onclick }, text);
  }

  const inks = map.colours.map(([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0); // bytes r, g, b, opaque
  let known = {}; // lines that were found on the present map, by class; all of them under "all"

  function drawPaper() {
    const pixels = new ImageData(width, height);
    const words = new Uint32Array(pixels.data.buffer);
    sheet.ids.forEach((id, k) => (words[k] = inks[id]));
    paper.getContext("2d").putImageData(pixels, 0, 0);
    known = {};
  }

  /** Lines between classes, so that colours needn't be told apart; the class under the pointer stands out. */
  function drawOverlay() {
    const pen = overlay.getContext("2d");
    pen.clearRect(0, 0, overlay.width, overlay.height);
    if (outlines.checked) {
      const all = (known.all ??= edges((a, b) => a !== b));
      strokePath(pen, all, "rgba(0, 0, 0, 0.5)", zoom / 2.4);
      strokePath(pen, all, "rgba(255, 255, 255, 0.9)", zoom / 5);
    }
    if (!cursor) return;
    const under = sheet.ids[cursor[1] * width + cursor[0]];
    if (!stroke) {
      const around = (known[under] ??= edges((a, b) => (a === under) !== (b === under)));
      strokePath(pen, around, "black", zoom / 1.6);
      strokePath(pen, around, "white", zoom / 3.2);
    }
    drawBrush(pen);
  }

  function drawBrush(pen) {
    const reach = tool === "fill" ? 1 : SIZES[size];
    const middle = cursor.map((c) => (c + 0.5 + (reach % 2 ? 0 : -0.5)) * zoom);
    for (const [colour, wide] of [["black", 3], ["white", 1.5]]) {
      pen.beginPath();
      pen.arc(...middle, (reach / 2) * zoom, 0, 7);
      if (stroke && tool === "line") {
        pen.moveTo(...stroke.from.map((c) => (c + 0.5) * zoom));
        pen.lineTo(...middle);
      }
      pen.strokeStyle = colour;
      pen.lineWidth = wide;
      pen.stroke();
    }
  }

  /** The sides of pixels between neighbours for which differs(id, id) holds. */
  function edges(differs) {
    const path = new Path2D();
    const { ids } = sheet;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const k = y * width + x;
        if (x + 1 < width && differs(ids[k], ids[k + 1])) side(path, x + 1, y, x + 1, y + 1);
        if (y + 1 < height && differs(ids[k], ids[k + width])) side(path, x, y + 1, x + 1, y + 1);
      }
    }
    return path;
  }

  function side(path, x1, y1, x2, y2) {
    path.moveTo(x1 * zoom, y1 * zoom);
    path.lineTo(x2 * zoom, y2 * zoom);
  }

  function strokePath(pen, path, colour, wide) {
    pen.strokeStyle = colour;
    pen.lineWidth = wide;
    pen.lineCap = "round";
    pen.stroke(path);
  }

  function draw() {
    drawPaper();
    drawOverlay();
    undoButton.disabled = at === 0;
    redoButton.disabled = at === sheets.length - 1;
    sceneInput.value = sheet.scene < 0 ? "" : sheet.scene;
  }

  /** The name of the class under the cursor, beside it. */
  function nameUnderCursor(aloud) {
    tip.hidden = !cursor || stroke !== null;
    if (!cursor) return;
    const name = map.names[sheet.ids[cursor[1] * width + cursor[0]]];
    tip.textContent = name;
    tip.style.left = `${(100 * (cursor[0] + 0.5)) / width}%`;
    tip.style.top = `${(100 * (cursor[1] + 0.5)) / height}%`;
    tip.classList.toggle("se-left", cursor[0] > 0.7 * width);
    if (aloud) spoken.textContent = `${name}, row ${cursor[1]}, column ${cursor[0]}`;
  }

  // ---- choosing -----------------------------------------------------------------------------------------------
  function setTool(name) {
    tool = name;
    for (const b of toolButtons) b.setAttribute("aria-pressed", b.dataset.tool === name);
    drawOverlay();
  }

  function setSize(index) {
    size = Math.min(SIZES.length - 1, Math.max(0, index));
    sizeRange.value = size;
    sizeShown.textContent = SIZES[size];
    sizeRange.setAttribute("aria-valuetext", `${SIZES[size]} pixels`);
    drawOverlay();
  }

  function choose(id) {
    chosen = id;
    for (const s of swatches) {
      const on = Number(s.dataset.id) === id;
      s.setAttribute("aria-checked", on);
      s.tabIndex = on ? 0 : -1; // arrows move within the group, Tab leaves it
    }
    if (tool === "eraser") setTool("brush");
  }

  // ---- painting -----------------------------------------------------------------------------------------------
  function begin(point) {
    stroke = { before: sheet.ids, from: point, at: point };
    sheet = { ...sheet, ids: sheet.ids.slice() };
    if (tool === "fill") fill(point);
    else if (tool !== "line") drag(point, point);
    nameUnderCursor();
    draw();
  }

  function move(point) {
    if (tool === "brush" || tool === "eraser") drag(stroke.at, point);
    stroke.at = point;
  }

  function end() {
    if (!stroke) return;
    if (tool === "line") drag(stroke.from, stroke.at);
    const { before } = stroke;
    stroke = null;
    if (same(before, sheet.ids)) return draw();
    remember();
    changed(sheet);
  }

  function cancel() {
    if (stroke) sheet = { ...sheet, ids: stroke.before };
    stroke = null;
    draw();
  }

  /** Stamp the brush all along a line. */
  function drag([x1, y1], [x2, y2]) {
    const steps = Math.max(Math.abs(x2 - x1), Math.abs(y2 - y1), 1);
    for (let i = 0; i <= steps; i++) {
      stamp(Math.round(x1 + ((x2 - x1) * i) / steps), Math.round(y1 + ((y2 - y1) * i) / steps));
    }
  }

  function stamp(x, y) {
    const wide = SIZES[size];
    const middle = (wide - 1) / 2;
    for (let j = 0; j < wide; j++) {
      for (let i = 0; i < wide; i++) {
        const [px, py] = [x + i - Math.floor(wide / 2), y + j - Math.floor(wide / 2)];
        const inside = (i - middle) ** 2 + (j - middle) ** 2 <= (wide / 2) ** 2;
        if (inside && px >= 0 && py >= 0 && px < width && py < height) set(py * width + px);
      }
    }
  }

  function set(k) {
    sheet.ids[k] = tool === "eraser" ? sheet.start[k] : chosen;
  }

  /** Give the connected region of one class around a point the chosen class. */
  function fill([x, y]) {
    const old = sheet.ids[y * width + x];
    if (old === chosen) return;
    const todo = [y * width + x];
    while (todo.length) {
      const k = todo.pop();
      if (sheet.ids[k] !== old) continue;
      sheet.ids[k] = chosen;
      const column = k % width;
      if (column > 0) todo.push(k - 1);
      if (column < width - 1) todo.push(k + 1);
      if (k >= width) todo.push(k - width);
      if (k < width * (height - 1)) todo.push(k + width);
    }
  }

  function flip() {
    sheet = { ...sheet, ids: mirrored(sheet.ids), start: mirrored(sheet.start), flipped: !sheet.flipped };
    remember();
    changed(sheet);
  }

  function mirrored(ids) {
    return ids.map((_, k) => ids[k + width - 1 - 2 * (k % width)]);
  }

  function clear() {
    sheet = { ...sheet, ids: bytesOf(map.blank).slice() };
    remember();
    changed(sheet);
  }

  // ---- undo ---------------------------------------------------------------------------------------------------
  function remember() {
    sheets = [...sheets.slice(0, at + 1), sheet].slice(-MOST_SHEETS);
    at = sheets.length - 1;
    draw();
  }

  function goTo(index) {
    if (index < 0 || index >= sheets.length || stroke) return;
    at = index;
    sheet = sheets[at];
    draw();
    changed(sheet);
  }

  /** Show the map that Python has (another view painted, or a scene was loaded); it can be undone as well. */
  function adopt(newMap) {
    if (stroke) return;
    const news = sheetOf(newMap);
    const known = same(news.ids, sheet.ids) && news.scene === sheet.scene && news.flipped === sheet.flipped;
    if (known) return;
    sheet = news;
    remember();
  }

  // ---- pointer and keys ---------------------------------------------------------------------------------------
  function pixelOf(event) {
    const box = overlay.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * height);
    return [Math.min(width - 1, Math.max(0, x)), Math.min(height - 1, Math.max(0, y))];
  }

  overlay.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || stroke) return; // one finger paints
    overlay.setPointerCapture(event.pointerId);
    cursor = pixelOf(event);
    begin(cursor);
  });
  overlay.addEventListener("pointermove", (event) => {
    const events = event.getCoalescedEvents?.() ?? [];
    for (const e of events.length ? events : [event]) {
      cursor = pixelOf(e);
      if (stroke) move(cursor);
    }
    if (stroke) drawPaper();
    drawOverlay();
    nameUnderCursor();
  });
  overlay.addEventListener("pointerup", end);
  overlay.addEventListener("pointercancel", cancel);
  overlay.addEventListener("pointerleave", () => {
    if (stroke) return;
    cursor = null;
    drawOverlay();
    nameUnderCursor();
  });

  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  function stageKey(event) {
    cursor ??= [width >> 1, height >> 1];
    if (event.key in STEPS) {
      const far = event.shiftKey ? 1 : Math.max(1, SIZES[size] >> 1);
      const limits = [width - 1, height - 1];
      const goal = cursor.map((c, i) => Math.min(limits[i], Math.max(0, c + far * STEPS[event.key][i])));
      if (event.shiftKey && !stroke && tool !== "fill") begin(cursor);
      cursor = goal;
      if (stroke) {
        move(cursor);
        drawPaper();
      }
    } else if (event.key === " " || event.key === "Enter") {
      if (stroke) end();
      else begin(cursor);
    } else if (event.key === "Escape" && stroke) cancel();
    else return false;
    drawOverlay();
    nameUnderCursor(true);
    return true;
  }

  stage.addEventListener("keyup", (event) => {
    const paints = tool !== "line" && (event.key === "Shift" || event.key === " " || event.key === "Enter");
    if (paints) end();
  });
  stage.addEventListener("blur", end);

  /** Keys that work anywhere in the widget but in its fields. */
  function key(event) {
    if (event.target.matches("input[type=number], input[type=text], select")) return false;
    if (event.ctrlKey || event.metaKey) {
      const letter = event.key.toLowerCase();
      if (letter === "z") goTo(event.shiftKey ? at + 1 : at - 1);
      else if (letter === "y") goTo(at + 1);
      else return false;
      return true;
    }
    if (event.target === stage && stageKey(event)) return true;
    const digit = event.code?.match(/^Digit(\d)$/)?.[1];
    if (digit) return chooseByKey(digit, event.shiftKey);
    const named = Object.keys(TOOLS).find((name) => TOOLS[name] === event.key.toLowerCase());
    if (named) setTool(named);
    else if (event.key.toLowerCase() === "h") flip();
    else if (event.key === "[" || event.key === "]") setSize(size + (event.key === "[" ? -1 : 1));
    else return false;
    return true;
  }

  function chooseByKey(digit, shift) {
    const index = (digit === "0" ? 9 : Number(digit) - 1) + (shift ? 10 : 0);
    if (index >= map.offered.length) return false;
    choose(map.offered[index]);
    return true;
  }

  palette.addEventListener("keydown", (event) => {
    if (!(event.key in STEPS)) return;
    event.preventDefault();
    const step = event.key === "ArrowLeft" || event.key === "ArrowUp" ? -1 : 1;
    const index = (map.offered.indexOf(chosen) + step + swatches.length) % swatches.length;
    choose(map.offered[index]);
    swatches[index].focus();
  });

  setTool("brush");
  setSize(size);
  choose(chosen);
  draw();
  return {
    tools, palette, adopt, key,
    stage: el("div", {}, stage, spoken),
    /** What is on the canvas, for people who don't see it. */
    describe: () => shares(sheet.ids, map.names),
  };
}

function sheetOf(map) {
  return { ids: bytesOf(map.ids).slice(), start: bytesOf(map.start).slice(), scene: map.scene, flipped: map.flipped };
}

function same(a, b) {
  return a.length === b.length && a.every((id, k) => id === b[k]);
}

function capital(word) {
  return word[0].toUpperCase() + word.slice(1);
}

/** Digits choose the first ten classes, Shift and digits the next ten. */
function shortcut(index) {
  return index < 20 ? [String((index + 1) % 10), index >= 10] : [null, false];
}

function shares(ids, names) {
  const counts = new Map();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  return sorted.map(([id, n]) => `${names[id]} ${Math.round((100 * n) / ids.length)} %`).join(", ");
}
