// What is seen of a canvas: the map in its own pixels, above it lines between classes and the cursor, nearer or whole.

function canvasSight(map) {
  const [height, width] = map.size;
  const zoom = Math.max(2, Math.round(768 / width)); // pixels of the overlay for one of the map
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
  const view = viewport(stage, layers);
  const pen = overlay.getContext("2d");
  const inks = map.colours.map(([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0); // bytes r, g, b, opaque
  let known = {}; // lines that were found on the present map, by class; all of them under "all"

  function drawPaper(sheet) {
    const pixels = new ImageData(width, height);
    const words = new Uint32Array(pixels.data.buffer);
    sheet.ids.forEach((id, k) => (words[k] = inks[id]));
    paper.getContext("2d").putImageData(pixels, 0, 0);
    known = {};
  }

  /** Lines between classes, so that colours needn't be told apart; the class under the cursor stands out. */
  function drawOverlay({ sheet, hand, cursor, stroke, outlined }) {
    pen.clearRect(0, 0, overlay.width, overlay.height);
    if (outlined) {
      const all = (known.all ??= linesOf(sheet, (a, b) => a !== b));
      line(all, "rgba(0, 0, 0, 0.5)", zoom / 2.4);
      line(all, "rgba(255, 255, 255, 0.9)", zoom / 5);
    }
    if (!cursor) return;
    if (!stroke) drawAround(sheet, idAt(sheet, cursor));
    if (hand.tool === "stamp" && hand.placed) drawObject(hand.placed, cursor);
    const thin = Math.max(0.4, 1 / view.scale()); // a nearer view makes lines thicker
    const marks = reach(hand, cursor, stroke);
    line(marks, "black", 3 * thin);
    line(marks, "white", 1.5 * thin);
  }

  function drawAround(sheet, id) {
    const around = (known[id] ??= linesOf(sheet, (a, b) => (a === id) !== (b === id)));
    line(around, "black", zoom / 1.6);
    line(around, "white", zoom / 3.2);
  }

  /** The object where the stamp would place it. */
  function drawObject({ id, pixels }, cursor) {
    pen.fillStyle = `rgb(${map.colours[id]})`;
    for (const [x, y] of pixels) pen.fillRect((cursor[0] + x) * zoom, (cursor[1] + y) * zoom, zoom, zoom);
  }

  function linesOf(sheet, differs) {
    const path = new Path2D();
    for (const [x1, y1, x2, y2] of sides(sheet, differs)) {
      path.moveTo(x1 * zoom, y1 * zoom);
      path.lineTo(x2 * zoom, y2 * zoom);
    }
    return path;
  }

  function line(path, colour, wide) {
    pen.strokeStyle = colour;
    pen.lineWidth = wide;
    pen.lineCap = "round";
    pen.stroke(path);
  }

  /** What the tool would touch: the brush's ring, the line or rectangle so far, the object's frame. */
  function reach({ tool, shape, placed, wide: widthOf }, cursor, stroke) {
    const path = new Path2D();
    const [x, y] = cursor;
    const box = (left, top, wide, high) => path.rect(left * zoom, top * zoom, wide * zoom, high * zoom);
    if (tool === "stamp" && placed) {
      box(x - middleColumn(placed), y - placed.height + 1, placed.width, placed.height);
    } else if (tool === "rectangle" && stroke) {
      const [[left, right], [top, bottom]] = [0, 1].map((i) => extremes([stroke.from[i], cursor[i]]));
      box(left, top, right - left + 1, bottom - top + 1);
    } else {
      const wide = ["fill", "stamp", "rectangle"].includes(tool) ? 1 : widthOf();
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

  /** Words beside a pixel; none where there is no text. */
  function showTip(text, pixel) {
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    tip.style.left = `${(100 * (pixel[0] + 0.5)) / width}%`;
    tip.style.top = `${(100 * (pixel[1] + 0.5)) / height}%`;
    tip.classList.toggle("se-left", pixel[0] > 0.7 * width);
  }

  /** The pixel of the map at an event; outside of it the nearest. */
  function pixelOf(event) {
    const box = overlay.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * height);
    return [Math.min(width - 1, Math.max(0, x)), Math.min(height - 1, Math.max(0, y))];
  }

  /** The middle of a pixel of the map on the page; without one, of what is seen. */
  function onPage(pixel) {
    const box = (pixel ? overlay : stage).getBoundingClientRect();
    const [x, y] = pixel ? [(pixel[0] + 0.5) / width, (pixel[1] + 0.5) / height] : [0.5, 0.5];
    return [box.left + x * box.width, box.top + y * box.height];
  }

  return { stage, paper, overlay, view, drawPaper, drawOverlay, showTip, pixelOf, onPage };
}

/** A part of `layers` seen through `stage`: 1 to 8 times as large, never beyond an edge. */
function viewport(stage, layers) {
  let scale = 1;
  let corner = [0, 0]; // of the layers, in pixels of the page, from the stage's own

  /** The corner where `wanted(c, axis, room)` puts it, as far as no edge is passed. */
  function moveCorner(wanted) {
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
      moveCorner((c, i) => held[i] - ((held[i] - c) * scale) / before + shift[i]);
    },
    /** Move so far that a point of the page is seen, with a tenth of the view around it. */
    follow(point) {
      const at = fromStage(point);
      moveCorner((c, i, room) => c + Math.max(0, room / 10 - at[i]) - Math.max(0, at[i] - 0.9 * room));
    },
  };
}
