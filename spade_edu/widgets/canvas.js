// A canvas to paint a label map on. Painting happens here, in the browser; whoever made the canvas hears of each
// finished stroke through `changed(sheet)`, and `load(scene)` asks for a scene.

function labelCanvas(map, { changed, load }) {
  const [height, width] = map.size;
  const hand = newHand(map);
  const now = { hand, sheet: sheetOf(map), cursor: null, stroke: null, outlined: true }; // cursor: [x, y]
  const sheets = sheetHistory(now.sheet);
  let locked = false; // a scene is on its way
  let waiting = null; // the scene that was asked for during a stroke

  const commands = {
    tool: turnTool, size: (step) => setSize(hand.size() + step), sizeIs: setSize, shape: turnShape, class: chooseNumber,
    pick: pickHere, flip, clear, go, load: askFor, help: () => help.showModal(), outlines: () => setOutlines(!now.outlined),
    outlinesAre: setOutlines, zoom: (factor) => turnView(factor, sight.onPage(now.cursor), [0, 0]),
    whole: () => turnView(0, sight.onPage(null), [0, 0]),
  };
  const sight = canvasSight(map);
  const { stage } = sight;
  const spoken = el("span", { class: "se-spoken", "aria-live": "polite" });
  const help = helpSheet();
  const bar = canvasTools(map, commands);
  const classes = palette(map, choose);
  const stamps = stampStrip(map, take);

  function draw() {
    sight.drawPaper(now.sheet);
    refresh();
  }

  /** Show what the hand holds and where it is; the map is as it was. */
  function refresh() {
    sight.drawOverlay(now);
    const can = { undo: sheets.can(-1), redo: sheets.can(1), nearer: sight.view.scale() > 1 };
    bar.show({ tool: hand.tool, size: hand.size(), shape: hand.shape, scene: now.sheet.scene, outlines: now.outlined, ...can });
  }

  /** The name of the class under the cursor, beside it; a stamp shows by itself. */
  function nameUnderCursor() {
    const { cursor, stroke } = now;
    if (!cursor || stroke || (hand.tool === "stamp" && hand.object)) return sight.showTip("", cursor);
    sight.showTip(nameAt(cursor) + (hand.tool === "stamp" ? ": right click or I takes it" : ""), cursor);
  }

  const nameAt = (pixel) => map.names[idAt(now.sheet, pixel)];

  function turnView(factor, centre, shift) {
    sight.view.turn(factor, centre, shift);
    refresh();
  }

  // ---- choosing -----------------------------------------------------------------------------------------------
  /** A tool's key or button: the stamp's, pressed again, takes the next object. */
  function turnTool(name) {
    if (name === "stamp" && (hand.tool === "stamp" || !hand.object)) take(stamps.after(hand.object));
    else setTool(name);
  }

  function setTool(name) {
    hand.tool = name;
    refresh();
  }

  function setSize(index) {
    hand.setSize(index);
    refresh();
  }

  function turnShape() {
    hand.turnShape();
    refresh();
  }

  function setOutlines(on) {
    now.outlined = on;
    refresh();
  }

  function choose(id) {
    hand.chosen = id;
    classes.show(id);
    if (hand.tool === "eraser" || hand.tool === "stamp") setTool("brush");
  }

  function chooseNumber(index) {
    if (index < map.offered.length) choose(map.offered[index]);
  }

  /** Take an object for the stamp; null where none is offered. */
  function take(object) {
    hand.take(object);
    stamps.show(object);
    setTool("stamp");
    if (object) spoken.textContent = `${map.names[object.id]} taken`;
  }

  /** Take the class under the cursor; with the stamp, the object. */
  function pickHere() {
    now.cursor ??= [width >> 1, height >> 1];
    if (hand.tool === "stamp") return take(objectAt(now.sheet, now.cursor));
    choose(idAt(now.sheet, now.cursor));
    spoken.textContent = `${nameAt(now.cursor)} taken`;
    sight.drawOverlay(now);
  }

  // ---- painting -----------------------------------------------------------------------------------------------
  function begin(point) {
    if (locked || now.stroke) return;
    if (hand.tool === "stamp" && !hand.object) return pickHere();
    now.stroke = beginStroke(hand, now.sheet, point);
    now.sheet = now.stroke.sheet;
    nameUnderCursor();
    draw();
  }

  function end() {
    if (!now.stroke) return;
    const { before, sheet } = now.stroke;
    endStroke(hand, now.stroke);
    now.stroke = null;
    nameUnderCursor();
    if (same(before.ids, sheet.ids)) draw();
    else keep(sheet);
    if (waiting !== null) askFor(waiting);
  }

  function cancel() {
    if (now.stroke) now.sheet = now.stroke.before;
    now.stroke = null;
    draw();
    if (waiting !== null) askFor(waiting);
  }

  function flip() {
    const { sheet } = now;
    keep({ ...sheet, ids: mirrored(sheet.ids, width), start: mirrored(sheet.start, width), flipped: !sheet.flipped });
  }

  function clear() {
    keep({ ...now.sheet, ids: bytesOf(map.blank).slice() });
  }

  /** A new sheet: undo goes back to the one before, and Python hears of it. */
  function keep(sheet) {
    now.sheet = sheet;
    sheets.push(sheet);
    draw();
    changed(sheet);
  }

  function go(step) {
    if (!sheets.can(step) || now.stroke || locked) return;
    now.sheet = sheets.go(step);
    draw();
    changed(now.sheet);
  }

  // ---- what comes from Python -----------------------------------------------------------------------------------
  /** Ask for a scene: after the stroke that is being painted, and nothing is painted until it has come. */
  async function askFor(scene) {
    if (now.stroke) {
      waiting = scene;
      return;
    }
    [waiting, locked] = [null, true];
    stage.setAttribute("aria-busy", true);
    await load(scene);
    locked = false;
    stage.setAttribute("aria-busy", false);
    refresh(); // a number that was refused goes back to the scene that is shown
  }

  /** Show the map that Python has (another view painted, or a scene was loaded); it can be undone as well. */
  function adopt(newMap) {
    if (now.stroke) return false;
    const { sheet } = now;
    const news = sheetOf(newMap);
    if (same(news.ids, sheet.ids) && news.scene === sheet.scene && news.flipped === sheet.flipped) return true;
    now.sheet = news;
    sheets.push(news);
    draw();
    return true;
  }

  // ---- pointer and keys ---------------------------------------------------------------------------------------
  function pointAt(pixel) {
    now.cursor = pixel;
    sight.drawOverlay(now);
    nameUnderCursor();
  }

  followPointers(sight.overlay, {
    begin(event) {
      now.cursor = sight.pixelOf(event);
      begin(now.cursor);
    },
    move(events, last) {
      for (const event of events.length ? events : [last]) {
        now.cursor = sight.pixelOf(event);
        if (now.stroke) moveStroke(hand, now.stroke, now.cursor);
      }
      if (now.stroke) sight.drawPaper(now.sheet);
      sight.drawOverlay(now);
    },
    end,
    cancel,
    hover: (event) => pointAt(sight.pixelOf(event)),
    leave: () => pointAt(null),
    pick(event) {
      now.cursor = sight.pixelOf(event);
      pickHere();
    },
    view: turnView,
    takesWheel: (down) => document.activeElement === stage && (down < 0 || sight.view.scale() > 1),
  });

  /** Keys of the cursor; gives whether it was one. */
  function cursorKey(event) {
    now.cursor ??= [width >> 1, height >> 1];
    if (event.key in ARROWS) arrow(event);
    else if ((event.key === " " || event.key === "Enter") && now.stroke) end();
    else if (event.key === " " || event.key === "Enter") begin(now.cursor);
    else if (event.key === "Escape" && now.stroke) cancel();
    else return false;
    sight.view.follow(sight.onPage(now.cursor));
    pointAt(now.cursor);
    spoken.textContent = `${nameAt(now.cursor)}, row ${now.cursor[1]}, column ${now.cursor[0]}`;
    return true;
  }

  /** An arrow moves the cursor; with Shift it paints along, pixel by pixel. */
  function arrow({ key, shiftKey }) {
    const far = shiftKey ? 1 : Math.max(1, hand.wide() >> 1);
    if (shiftKey && !now.stroke && (paintsAlong(hand) || spans(hand))) begin(now.cursor);
    const limits = [width - 1, height - 1];
    now.cursor = now.cursor.map((c, i) => Math.min(limits[i], Math.max(0, c + far * ARROWS[key][i])));
    if (!now.stroke) return;
    moveStroke(hand, now.stroke, now.cursor);
    sight.drawPaper(now.sheet);
  }

  stage.addEventListener("keyup", (event) => {
    if (!spans(hand) && ["Shift", " ", "Enter"].includes(event.key)) end(); // a line is ended by the second press
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

  choose(hand.chosen);
  draw();
  return {
    tools: bar.element, palette: el("div", {}, classes.element, stamps.element), paper: sight.paper, adopt, key,
    /** Objects that the stamp offers, as Python found them. */
    offer: stamps.offer,
    stage: el("div", {}, stage, spoken, help),
    /** Where the cursor is, in shares of the map's width and height; null where there is none. */
    cursor: () => now.cursor && [(now.cursor[0] + 0.5) / width, (now.cursor[1] + 0.5) / height],
    /** Put a map of the canvas's size on it, as a stroke would. */
    take: (ids) => keep({ ...now.sheet, ids }),
    /** What is on the canvas, for people who don't see it. */
    describe: () => shares(now.sheet.ids, map.names),
  };
}
