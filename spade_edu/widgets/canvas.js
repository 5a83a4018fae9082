// A canvas to paint a label map on. Painting happens here, in the browser; whoever made the canvas hears of each
// finished stroke through `changed(sheet)`, and `load(scene)` asks for a scene.

function labelCanvas(map, { changed, load }) {
  const [height, width] = map.size;
  const zoom = Math.max(2, Math.round(768 / width)); // pixels of the overlay for one of the map
  let sheet = sheetOf(map);
  const sheets = sheetHistory(sheet);
  let [tool, shape] = ["brush", "round"];
  const sizes = { brush: 3, stamp: 3 }; // index in SIZES and in SCALES
  let chosen = map.offered.includes(26) ? 26 : map.offered[0];
  let object = null; // what the stamp places, as it was taken
  let placed = null; // and in the size that was chosen
  let outlined = true;
  let cursor = null; // [x, y]
  let stroke = null; // { before: the sheet, from: [x, y], to: [x, y] }
  let locked = false; // a scene is on its way
  let waiting = null; // the scene that was asked for during a stroke

  // ---- what is seen -------------------------------------------------------------------------------------------
  const paper = el("canvas", { width, height, class: "se-paper" });
  const overlay = el("canvas", { width: width * zoom, height: height * zoom, class: "se-overlay" });
  const tip = el("div", { class: "se-tip", hidden: true });
  const layers = el("div", { class: "se-layers" }, paper, overlay, tip);
  const stage = el(
    "div",
    {
      class: "se-stage", tabindex: 0, role: "application", "aria-roledescription": "label map", title: "",
      "aria-label": `Label map, ${height} by ${width} pixels. Arrows move the cursor, ? shows all keys.`,
    },
    layers,
  );
  const spoken = el("span", { class: "se-spoken", "aria-live": "polite" });
  const help = helpSheet();
  const view = viewport(stage, layers);
  const commands = {
    tool: turnTool, size: (step) => setSize(sizes[sizeOf()] + step), sizeIs: setSize, shape: turnShape, class: chooseNumber, pick: pickHere,
    flip, clear, go, load: askFor, help: () => help.showModal(), outlines: () => setOutlines(!outlined), outlinesAre: setOutlines,
    zoom: (factor) => turnView(factor, onPage(cursor), [0, 0]), whole: () => turnView(0, middleOf(stage), [0, 0]),
  };
  const bar = canvasTools(map, commands);
  const classes = palette(map, choose);
  const stamps = stampStrip(map, take);

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
    if (outlined) {
      const all = (known.all ??= pathOf(sides(sheet, (a, b) => a !== b)));
      strokePath(pen, all, "rgba(0, 0, 0, 0.5)", zoom / 2.4);
      strokePath(pen, all, "rgba(255, 255, 255, 0.9)", zoom / 5);
    }
    if (!cursor) return;
    const under = idAt(sheet, cursor);
    if (!stroke) {
      const around = (known[under] ??= pathOf(sides(sheet, (a, b) => (a === under) !== (b === under))));
      strokePath(pen, around, "black", zoom / 1.6);
      strokePath(pen, around, "white", zoom / 3.2);
    }
    if (tool === "stamp" && placed) drawObject(pen);
    const marks = cursorPath();
    const thin = Math.max(0.4, 1 / view.scale()); // a nearer view makes lines thicker
    strokePath(pen, marks, "black", 3 * thin);
    strokePath(pen, marks, "white", 1.5 * thin);
  }

  function pathOf(lines) {
    const path = new Path2D();
    for (const [x1, y1, x2, y2] of lines) {
      path.moveTo(x1 * zoom, y1 * zoom);
      path.lineTo(x2 * zoom, y2 * zoom);
    }
    return path;
  }

  function strokePath(pen, path, colour, wide) {
    pen.strokeStyle = colour;
    pen.lineWidth = wide;
    pen.lineCap = "round";
    pen.stroke(path);
  }

  /** The object where the stamp would place it. */
  function drawObject(pen) {
    pen.fillStyle = `rgb(${map.colours[placed.id]})`;
    for (const [x, y] of placed.pixels) pen.fillRect((cursor[0] + x) * zoom, (cursor[1] + y) * zoom, zoom, zoom);
  }

  /** What the tool would touch: the brush's ring, the line or rectangle so far, the object's frame. */
  function cursorPath() {
    const path = new Path2D();
    const [x, y] = cursor;
    const box = (left, top, wide, high) => path.rect(left * zoom, top * zoom, wide * zoom, high * zoom);
    if (tool === "stamp" && placed) {
      box(x - middleColumn(placed), y - placed.height + 1, placed.width, placed.height);
    } else if (tool === "rectangle" && stroke) {
      const [[left, right], [top, bottom]] = [0, 1].map((i) => extremes([stroke.from[i], cursor[i]]));
      box(left, top, right - left + 1, bottom - top + 1);
    } else {
      const wide = ["fill", "stamp", "rectangle"].includes(tool) ? 1 : SIZES[sizes.brush];
      const [left, top] = [x - Math.floor(wide / 2), y - Math.floor(wide / 2)];
      if (shape === "square") box(left, top, wide, wide);
      else path.arc((left + wide / 2) * zoom, (top + wide / 2) * zoom, (wide / 2) * zoom, 0, 7);
    }
    if (tool === "line" && stroke) {
      path.moveTo((stroke.from[0] + 0.5) * zoom, (stroke.from[1] + 0.5) * zoom);
      path.lineTo((x + 0.5) * zoom, (y + 0.5) * zoom);
    }
    return path;
  }

  function draw() {
    drawPaper();
    drawOverlay();
    showTools();
  }

  function showTools() {
    const { scene } = sheet;
    bar.show({ tool, size: sizes[sizeOf()], shape, scene, outlines: outlined, undo: sheets.can(-1), redo: sheets.can(1), nearer: view.scale() > 1 });
  }

  /** The name of the class under the cursor, beside it. */
  function nameUnderCursor(aloud) {
    tip.hidden = !cursor || stroke !== null || (tool === "stamp" && object !== null); // which shows by itself
    if (!cursor) return;
    const name = map.names[idAt(sheet, cursor)];
    tip.textContent = tool === "stamp" ? `${name}: right click or I takes it` : name;
    tip.style.left = `${(100 * (cursor[0] + 0.5)) / width}%`;
    tip.style.top = `${(100 * (cursor[1] + 0.5)) / height}%`;
    tip.classList.toggle("se-left", cursor[0] > 0.7 * width);
    if (aloud) spoken.textContent = `${name}, row ${cursor[1]}, column ${cursor[0]}`;
  }

  function turnView(factor, centre, shift) {
    view.turn(factor, centre, shift);
    drawOverlay();
    showTools();
  }

  // ---- choosing -----------------------------------------------------------------------------------------------
  function setTool(name) {
    tool = name;
    showTools();
    drawOverlay();
  }

  /** A tool's key: the stamp's, pressed again, takes the next object. */
  function turnTool(name) {
    if (name === "stamp" && (tool === "stamp" || !object)) take(stamps.after(object));
    else setTool(name);
  }

  const sizeOf = () => (tool === "stamp" ? "stamp" : "brush");

  function setSize(index) {
    sizes[sizeOf()] = Math.min(SIZES.length - 1, Math.max(0, index));
    placed = object && resized(object, SCALES[sizes.stamp]);
    showTools();
    drawOverlay();
  }

  function turnShape() {
    shape = shape === "round" ? "square" : "round";
    showTools();
    drawOverlay();
  }

  function setOutlines(on) {
    outlined = on;
    showTools();
    drawOverlay();
  }

  function choose(id) {
    chosen = id;
    classes.show(id);
    if (tool === "eraser" || tool === "stamp") setTool("brush");
  }

  function chooseNumber(index) {
    if (index < map.offered.length) choose(map.offered[index]);
  }

  /** Take an object for the stamp; null where none is offered. */
  function take(taken) {
    [object, placed] = [taken, taken && resized(taken, SCALES[sizes.stamp])];
    stamps.show(object);
    setTool("stamp");
    if (object) spoken.textContent = `${map.names[object.id]} taken`;
  }

  /** Take the class under the cursor; with the stamp, the object. */
  function pickHere() {
    cursor ??= [width >> 1, height >> 1];
    if (tool === "stamp") return take(objectAt(sheet, cursor));
    choose(idAt(sheet, cursor));
    spoken.textContent = `${map.names[idAt(sheet, cursor)]} taken`;
    drawOverlay();
  }

  // ---- painting -----------------------------------------------------------------------------------------------
  const ink = (k) => (tool === "eraser" ? sheet.start[k] : chosen);

  function begin(point) {
    if (locked || stroke) return;
    if (tool === "stamp" && !object) return pickHere();
    stroke = { before: sheet, from: point, to: point };
    sheet = { ...sheet, ids: sheet.ids.slice() };
    if (tool === "fill") fill(sheet, point, ink);
    else if (tool === "brush" || tool === "eraser") move(point);
    nameUnderCursor();
    draw();
  }

  function move(point) {
    if (tool === "brush" || tool === "eraser") drag(sheet, stroke.to, point, { wide: SIZES[sizes.brush], shape }, ink);
    stroke.to = point;
  }

  function end() {
    if (!stroke) return;
    const { before, from, to } = stroke;
    if (tool === "line") drag(sheet, from, to, { wide: SIZES[sizes.brush], shape }, ink);
    if (tool === "rectangle") rectangle(sheet, from, to, ink);
    if (tool === "stamp") place(sheet, placed, to, () => placed.id);
    stroke = null;
    nameUnderCursor();
    if (same(before.ids, sheet.ids)) draw();
    else keep();
    if (waiting !== null) askFor(waiting);
  }

  function cancel() {
    if (stroke) sheet = stroke.before;
    stroke = null;
    draw();
    if (waiting !== null) askFor(waiting);
  }

  function flip() {
    sheet = { ...sheet, ids: mirrored(sheet.ids, width), start: mirrored(sheet.start, width), flipped: !sheet.flipped };
    keep();
  }

  function clear() {
    sheet = { ...sheet, ids: bytesOf(map.blank).slice() };
    keep();
  }

  /** A new sheet: undo goes back to the one before, and Python hears of it. */
  function keep() {
    sheets.push(sheet);
    draw();
    changed(sheet);
  }

  function go(step) {
    if (!sheets.can(step) || stroke || locked) return;
    sheet = sheets.go(step);
    draw();
    changed(sheet);
  }

  // ---- what comes from Python -----------------------------------------------------------------------------------
  /** Ask for a scene: after the stroke that is being painted, and nothing is painted until it has come. */
  async function askFor(scene) {
    if (stroke) {
      waiting = scene;
      return;
    }
    [waiting, locked] = [null, true];
    stage.setAttribute("aria-busy", true);
    await load(scene);
    locked = false;
    stage.setAttribute("aria-busy", false);
    showTools(); // a number that was refused goes back to the scene that is shown
  }

  /** Show the map that Python has (another view painted, or a scene was loaded); it can be undone as well. */
  function adopt(newMap) {
    if (stroke) return false;
    const news = sheetOf(newMap);
    const known = same(news.ids, sheet.ids) && news.scene === sheet.scene && news.flipped === sheet.flipped;
    if (known) return true;
    sheet = news;
    sheets.push(sheet);
    draw();
    return true;
  }

  // ---- pointer and keys ---------------------------------------------------------------------------------------
  function pixelOf(event) {
    const box = overlay.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * height);
    return [Math.min(width - 1, Math.max(0, x)), Math.min(height - 1, Math.max(0, y))];
  }

  /** The middle of a pixel of the map on the page; without one, of what is seen. */
  function onPage(pixel) {
    if (!pixel) return middleOf(stage);
    const box = overlay.getBoundingClientRect();
    return [box.left + ((pixel[0] + 0.5) / width) * box.width, box.top + ((pixel[1] + 0.5) / height) * box.height];
  }

  function pointAt(event) {
    cursor = pixelOf(event);
    drawOverlay();
    nameUnderCursor();
  }

  followPointers(overlay, {
    begin(event) {
      cursor = pixelOf(event);
      begin(cursor);
    },
    move(events, last) {
      for (const event of events.length ? events : [last]) {
        cursor = pixelOf(event);
        if (stroke) move(cursor);
      }
      if (stroke) drawPaper();
      drawOverlay();
    },
    end,
    cancel,
    hover: pointAt,
    leave() {
      cursor = null;
      drawOverlay();
      nameUnderCursor();
    },
    pick(event) {
      cursor = pixelOf(event);
      pickHere();
    },
    view: turnView,
    takesWheel: (down) => document.activeElement === stage && (down < 0 || view.scale() > 1),
  });

  /** Keys of the cursor; gives whether it was one. */
  function cursorKey(event) {
    cursor ??= [width >> 1, height >> 1];
    if (event.key in ARROWS) {
      const far = event.shiftKey ? 1 : Math.max(1, SIZES[sizes.brush] >> 1);
      const limits = [width - 1, height - 1];
      const goal = cursor.map((c, i) => Math.min(limits[i], Math.max(0, c + far * ARROWS[event.key][i])));
      if (event.shiftKey && !stroke && tool !== "fill" && tool !== "stamp") begin(cursor);
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
    view.follow(onPage(cursor));
    drawOverlay();
    nameUnderCursor(true);
    return true;
  }

  stage.addEventListener("keyup", (event) => {
    const holds = tool === "line" || tool === "rectangle"; // the second press ends these
    if (!holds && ["Shift", " ", "Enter"].includes(event.key)) end();
  });
  stage.addEventListener("blur", end);

  /** Keys that work anywhere in the widget but in its fields; gives whether it was one. */
  function key(event) {
    if (event.target.matches("input[type=number], input[type=text], select") || help.open) return false;
    if (event.target === stage && !event.ctrlKey && !event.metaKey && !event.altKey && cursorKey(event)) return true;
    const found = commandOf(event);
    if (!found) return false;
    commands[found[0]](found[1]);
    return true;
  }

  choose(chosen);
  draw();
  return {
    tools: bar.element, palette: el("div", {}, classes.element, stamps.element), paper, adopt, key,
    /** Objects that the stamp offers, as Python found them. */
    offer: stamps.offer,
    stage: el("div", {}, stage, spoken, help),
    /** Where the cursor is, in shares of the map's width and height; null where there is none. */
    cursor: () => cursor && [(cursor[0] + 0.5) / width, (cursor[1] + 0.5) / height],
    /** Put a map of the canvas's size on it, as a stroke would. */
    take(ids) {
      sheet = { ...sheet, ids };
      keep();
    },
    /** What is on the canvas, for people who don't see it. */
    describe: () => shares(sheet.ids, map.names),
  };
}

function middleOf(element) {
  const box = element.getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
}

/** A part of `layers` seen through `stage`: 1 to 8 times as large, never beyond an edge. */
function viewport(stage, layers) {
  let scale = 1;
  let corner = [0, 0]; // of the layers, in pixels of the page, from the stage's own

  /** The corner where `wanted(c, axis, room)` puts it, as far as no edge is passed. */
  function place(wanted) {
    const box = stage.getBoundingClientRect();
    const room = [box.width, box.height];
    corner = corner.map((c, i) => Math.min(0, Math.max(room[i] * (1 - scale), wanted(c, i, room[i]))));
    layers.style.setProperty("--se-scale", scale);
    layers.style.transform = scale > 1 ? `translate(${corner[0]}px, ${corner[1]}px) scale(${scale})` : "";
  }

  function fromStage(point) {
    const box = stage.getBoundingClientRect();
    return [point[0] - box.left, point[1] - box.top];
  }

  return {
    scale: () => scale,
    /** `factor` times as near (0: the whole), with the point of the page `centre` where it was, then moved by `shift`. */
    turn(factor, centre, shift) {
      const before = scale;
      scale = Math.min(8, Math.max(1, scale * factor));
      const held = fromStage(centre);
      place((c, i) => held[i] - ((held[i] - c) * scale) / before + shift[i]);
    },
    /** Move so far that a point of the page is seen, with a tenth of the view around it. */
    follow(point) {
      const at = fromStage(point);
      place((c, i, room) => c + Math.max(0, room / 10 - at[i]) - Math.max(0, at[i] - 0.9 * room));
    },
  };
}
