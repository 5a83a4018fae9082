// Pixels of a label map: pure functions, which know no page. A sheet is what undo goes back to: its ids, the map below
// them (`start`, which the eraser brings back), its width, the scene it is of, and whether that is flipped.
// A point is [column, row]; `ink(k)` is the id that pixel k gets.

/** The sheet of a map that Python sent. */
function sheetOf(map) {
  const { size, scene, flipped } = map;
  return { ids: bytesOf(map.ids).slice(), start: bytesOf(map.start).slice(), width: size[1], scene, flipped };
}

function idAt(sheet, [x, y]) {
  return sheet.ids[y * sheet.width + x];
}

/** Whether offset (i, j) of a brush `wide` pixels across is part of it. */
const SHAPES = {
  round: (i, j, wide) => (i - (wide - 1) / 2) ** 2 + (j - (wide - 1) / 2) ** 2 <= (wide / 2) ** 2,
  square: () => true,
};

function put(sheet, x, y, ink) {
  const { ids, width } = sheet;
  const k = y * width + x;
  if (x >= 0 && x < width && y >= 0 && k < ids.length) ids[k] = ink(k);
}

/** One print of the brush. */
function stamp(sheet, [x, y], { wide, shape }, ink) {
  const corner = Math.floor(wide / 2);
  for (let j = 0; j < wide; j++) {
    for (let i = 0; i < wide; i++) {
      if (SHAPES[shape](i, j, wide)) put(sheet, x + i - corner, y + j - corner, ink);
    }
  }
}

/** Prints of the brush all along a line. */
function drag(sheet, [x1, y1], [x2, y2], brush, ink) {
  const steps = Math.max(Math.abs(x2 - x1), Math.abs(y2 - y1), 1);
  for (let i = 0; i <= steps; i++) {
    const [x, y] = [x1 + ((x2 - x1) * i) / steps, y1 + ((y2 - y1) * i) / steps];
    stamp(sheet, [Math.round(x), Math.round(y)], brush, ink);
  }
}

/** A filled rectangle with two opposite corners. */
function rectangle(sheet, [x1, y1], [x2, y2], ink) {
  for (let y = Math.min(y1, y2); y <= Math.max(y1, y2); y++) {
    for (let x = Math.min(x1, x2); x <= Math.max(x1, x2); x++) put(sheet, x, y, ink);
  }
}

/** The pixels that hang together with a point and have its class. */
function region(sheet, [x, y]) {
  const { ids, width } = sheet;
  const [seen, found, todo] = [new Uint8Array(ids.length), [], [y * width + x]];
  const id = ids[todo[0]];
  while (todo.length) {
    const k = todo.pop();
    if (seen[k] || ids[k] !== id) continue;
    seen[k] = 1;
    found.push(k);
    const column = k % width;
    if (column > 0) todo.push(k - 1);
    if (column < width - 1) todo.push(k + 1);
    if (k >= width) todo.push(k - width);
    if (k + width < ids.length) todo.push(k + width);
  }
  return found;
}

function fill(sheet, point, ink) {
  for (const k of region(sheet, point)) sheet.ids[k] = ink(k);
}

/** The object at a point, to be placed elsewhere: its id, and its pixels relative to the middle of its foot. */
function objectAt(sheet, point) {
  const { width } = sheet;
  const places = region(sheet, point).map((k) => [k % width, Math.floor(k / width)]);
  const [left, right] = extremes(places.map(([x]) => x));
  const [top, bottom] = extremes(places.map(([, y]) => y));
  const object = { id: idAt(sheet, point), width: right - left + 1, height: bottom - top + 1 };
  return { ...object, pixels: places.map(([x, y]) => [x - left - middleColumn(object), y - bottom]) };
}

function middleColumn({ width }) {
  return (width - 1) >> 1;
}

/** The object of a stamp that Python sent: a mask of `width` columns. */
function objectOf({ id, width, mask }) {
  const inside = bytesOf(mask);
  const object = { id, width, height: inside.length / width };
  const pixels = [];
  inside.forEach((byte, k) => {
    if (byte) pixels.push([(k % width) - middleColumn(object), Math.floor(k / width) + 1 - object.height]);
  });
  return { ...object, pixels };
}

/** An object `factor` times as large, its pixels repeated or left out. */
function resized(object, factor) {
  const large = {
    id: object.id, width: Math.max(1, Math.round(object.width * factor)), height: Math.max(1, Math.round(object.height * factor)),
  };
  const key = (x, y) => y * object.width + x;
  const inside = new Set(object.pixels.map(([x, y]) => key(x + middleColumn(object), y + object.height - 1)));
  const pixels = [];
  for (let y = 0; y < large.height; y++) {
    for (let x = 0; x < large.width; x++) {
      const from = key(Math.floor(((x + 0.5) * object.width) / large.width), Math.floor(((y + 0.5) * object.height) / large.height));
      if (inside.has(from)) pixels.push([x - middleColumn(large), y + 1 - large.height]);
    }
  }
  return { ...large, pixels };
}

/** The least and the largest; by loops, as a region may have more pixels than a call takes arguments. */
function extremes(numbers) {
  let [low, high] = [Infinity, -Infinity];
  for (const n of numbers) [low, high] = [Math.min(low, n), Math.max(high, n)];
  return [low, high];
}

/** An object with its foot at a point; what falls outside is cut off. */
function place(sheet, object, [x, y], ink) {
  for (const [i, j] of object.pixels) put(sheet, x + i, y + j, ink);
}

function mirrored(ids, width) {
  return ids.map((_, k) => ids[k + width - 1 - 2 * (k % width)]);
}

/** The sides [x1, y1, x2, y2] between neighbouring pixels for whose ids differs(a, b) holds. */
function sides({ ids, width }, differs) {
  const found = [];
  for (let k = 0; k < ids.length; k++) {
    const [x, y] = [k % width, Math.floor(k / width)];
    if (x + 1 < width && differs(ids[k], ids[k + 1])) found.push([x + 1, y, x + 1, y + 1]);
    if (k + width < ids.length && differs(ids[k], ids[k + width])) found.push([x, y + 1, x + 1, y + 1]);
  }
  return found;
}

/** What is on a map in words, the largest part first, for people who don't see it. */
function shares(ids, names) {
  const counts = new Map();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  return sorted.map(([id, n]) => `${names[id]} ${Math.round((100 * n) / ids.length)} %`).join(", ");
}
