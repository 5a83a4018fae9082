// What the hand on a canvas holds, and what that does to a sheet. No page: a stroke is begun, moved and ended.

const SIZES = [1, 2, 3, 5, 8, 12, 20, 32]; // brush diameters in pixels of the map
const SCALES = [0.3, 0.45, 0.67, 1, 1.5, 2.2, 3.3, 5]; // of a stamp

function newHand(map) {
  const sized = () => (hand.tool === "stamp" ? "stamp" : "brush"); // whose size is shown and changed
  const hand = {
    tool: "brush",
    shape: "round", // of the brush
    sizes: { brush: 3, stamp: 3 }, // indices in SIZES and SCALES
    chosen: map.offered.includes(26) ? 26 : map.offered[0], // a class
    object: null, // what the stamp places, as it was taken
    placed: null, // and in the size that was chosen
    size: () => hand.sizes[sized()],
    setSize(index) {
      hand.sizes[sized()] = Math.min(SIZES.length - 1, Math.max(0, index));
      if (hand.object) hand.take(hand.object);
    },
    turnShape: () => (hand.shape = hand.shape === "round" ? "square" : "round"),
    take(object) {
      hand.object = object;
      hand.placed = object && resized(object, SCALES[hand.sizes.stamp]);
    },
    wide: () => SIZES[hand.sizes.brush],
  };
  return hand;
}

const paintsAlong = (hand) => hand.tool === "brush" || hand.tool === "eraser";
const spans = (hand) => hand.tool === "line" || hand.tool === "rectangle"; // from where a stroke begins to where it ends
const inkOf = (hand, sheet) => (k) => (hand.tool === "eraser" ? sheet.start[k] : hand.chosen);

/** A stroke that begins at a point: `sheet` is its own, `before` stays as it was. */
function beginStroke(hand, before, point) {
  const stroke = { before, sheet: { ...before, ids: before.ids.slice() }, from: point, to: point };
  if (hand.tool === "fill") fill(stroke.sheet, point, inkOf(hand, stroke.sheet));
  moveStroke(hand, stroke, point);
  return stroke;
}

function moveStroke(hand, stroke, point) {
  const { sheet, to } = stroke;
  if (paintsAlong(hand)) drag(sheet, to, point, { wide: hand.wide(), shape: hand.shape }, inkOf(hand, sheet));
  stroke.to = point;
}

function endStroke(hand, { sheet, from, to }) {
  const ink = inkOf(hand, sheet);
  if (hand.tool === "line") drag(sheet, from, to, { wide: hand.wide(), shape: hand.shape }, ink);
  if (hand.tool === "rectangle") rectangle(sheet, from, to, ink);
  if (hand.tool === "stamp") place(sheet, hand.placed, to, () => hand.placed.id);
}
