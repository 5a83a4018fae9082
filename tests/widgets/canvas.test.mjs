// The canvas's own work, without a browser: pixels, undo, keys, pointers. Run by test_canvas.py, or `node --test`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const FOLDER = new URL("../../spade_edu/widgets/", import.meta.url);
const SOURCE = ["common.js", "sheet.js", "history.js", "hand.js", "keys.js", "pointer.js"].map((name) => readFileSync(new URL(name, FOLDER), "utf8")).join("\n");
const NAMES = "stamp, drag, rectangle, fill, objectAt, objectOf, resized, place, mirrored, sides, shares, same, sheetHistory, newHand, beginStroke, moveStroke, endStroke, commandOf, keyOfClass, helpRows, KEYS, followPointers";
const { stamp, drag, rectangle, fill, objectAt, objectOf, resized, place, mirrored, sides, shares, same, sheetHistory, newHand, beginStroke, moveStroke, endStroke, commandOf, keyOfClass, helpRows, KEYS, followPointers } =
  new Function(`${SOURCE}\nreturn { ${NAMES} };`)();

/** A sheet from rows of digits. */
function sheet(...rows) {
  return { ids: Uint8Array.from(rows.join(""), Number), width: rows[0].length };
}

function rowsOf({ ids, width }) {
  return [...ids].join("").match(new RegExp(`.{${width}}`, "g"));
}

const seven = () => 7;

/** An object with its pixels in a fixed order. */
const inOrder = (object) => ({ ...object, pixels: object.pixels.map(String).sort() });

test("a brush is round or square, and is cut off at the edges", () => {
  const round = sheet("0000000", "0000000", "0000000", "0000000", "0000000", "0000000");
  stamp(round, [3, 2], { wide: 5, shape: "round" }, seven);
  assert.deepEqual(rowsOf(round), ["0077700", "0777770", "0777770", "0777770", "0077700", "0000000"]);
  const corner = sheet("0000", "0000", "0000");
  stamp(corner, [3, 0], { wide: 3, shape: "square" }, seven);
  assert.deepEqual(rowsOf(corner), ["0077", "0077", "0000"]);
});

test("a line has no holes in any direction", () => {
  for (const [from, to] of [[[0, 0], [5, 2]], [[5, 3], [0, 0]], [[2, 3], [2, 0]], [[1, 1], [1, 1]]]) {
    const map = sheet("000000", "000000", "000000", "000000");
    drag(map, from, to, { wide: 1, shape: "round" }, seven);
    const painted = [...map.ids].filter((id) => id === 7).length;
    assert.equal(painted, 1 + Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])));
  }
});

test("a rectangle from any corner", () => {
  for (const [from, to] of [[[1, 0], [2, 1]], [[2, 1], [1, 0]], [[1, 1], [2, 0]]]) {
    const map = sheet("0000", "0000", "0000");
    rectangle(map, from, to, seven);
    assert.deepEqual(rowsOf(map), ["0770", "0770", "0000"]);
  }
});

test("fill stops at other classes and doesn't turn corners", () => {
  const map = sheet("0011", "0101", "1000");
  fill(map, [0, 0], seven);
  assert.deepEqual(rowsOf(map), ["7711", "7101", "1000"]);
});

test("the ink may differ from pixel to pixel, as the eraser's does", () => {
  const map = sheet("0000");
  drag(map, [0, 0], [3, 0], { wide: 1, shape: "round" }, (k) => k);
  assert.deepEqual(rowsOf(map), ["0123"]);
});

test("an object is taken and placed by its foot", () => {
  const from = sheet("00500", "05550", "00000");
  const object = objectAt(from, [2, 0]);
  assert.deepEqual([object.id, object.width, object.height], [5, 3, 2]);
  const to = sheet("0000", "0000", "0000");
  place(to, object, [3, 2], () => object.id);
  assert.deepEqual(rowsOf(to), ["0000", "0005", "0055"]);
});

test("an object that Python sent is the same as one taken from a map", () => {
  const mask = Uint8Array.from([0, 1, 0, 1, 1, 1]);
  assert.deepEqual(inOrder(objectOf({ id: 5, width: 3, mask: new DataView(mask.buffer) })), inOrder(objectAt(sheet("00500", "05550", "00000"), [2, 0])));
});

test("an object keeps its foot when it grows and shrinks", () => {
  const object = objectAt(sheet("00500", "05550", "00000"), [2, 0]);
  assert.deepEqual(inOrder(resized(object, 1)), inOrder(object));
  const to = sheet("00000000", "00000000", "00000000", "00000000");
  const large = resized(object, 2);
  place(to, large, [3, 3], () => large.id);
  assert.deepEqual(rowsOf(to), ["00055000", "00055000", "05555550", "05555550"]);
  assert.deepEqual(resized(object, 0.01), { id: 5, width: 1, height: 1, pixels: [[0, 0]] });
});

/** What a stroke through points leaves of a map of three rows, with a hand that holds `held`. */
function painted(held, ...points) {
  const hand = Object.assign(newHand({ offered: [7] }), held);
  const before = { ...sheet("00000", "00500", "00000"), start: Uint8Array.from("111111111111111", Number) };
  const stroke = beginStroke(hand, before, points[0]);
  for (const point of points.slice(1)) moveStroke(hand, stroke, point);
  endStroke(hand, stroke);
  assert.deepEqual(rowsOf(before), ["00000", "00500", "00000"]); // what undo goes back to
  return rowsOf(stroke.sheet);
}

test("each tool's stroke, from where it begins to where it ends", () => {
  const thin = { sizes: { brush: 0, stamp: 3 } };
  const bent = [[0, 0], [4, 0], [4, 2]];
  assert.deepEqual(painted({ tool: "brush", ...thin }, ...bent), ["77777", "00507", "00007"]);
  assert.deepEqual(painted({ tool: "eraser", ...thin }, ...bent), ["11111", "00501", "00001"]);
  assert.deepEqual(painted({ tool: "line", ...thin }, ...bent), ["70000", "07700", "00077"]);
  assert.deepEqual(painted({ tool: "rectangle" }, ...bent), ["77777", "77777", "77777"]);
  assert.deepEqual(painted({ tool: "fill" }, [0, 0]), ["77777", "77577", "77777"]);
});

test("the stamp has a size of its own, and follows to where it is let go", () => {
  const hand = newHand({ offered: [7] });
  hand.tool = "stamp";
  hand.take(objectAt(sheet("00000", "00500", "00000"), [2, 1]));
  hand.setSize(5);
  assert.deepEqual([hand.placed.width, hand.wide(), hand.size()], [2, 5, 5]);
  hand.tool = "brush";
  assert.equal(hand.size(), 3);
  assert.deepEqual(painted({ tool: "stamp", placed: hand.placed }, [0, 0], [3, 2]), ["00000", "00555", "00055"]);
});

test("mirrored twice is the same", () => {
  const map = sheet("012", "345");
  assert.deepEqual([...mirrored(map.ids, 3)], [2, 1, 0, 5, 4, 3]);
  assert.ok(same(mirrored(mirrored(map.ids, 3), 3), map.ids));
});

test("sides lie between different neighbours, not across the end of a row", () => {
  assert.deepEqual(sides(sheet("01", "01"), (a, b) => a !== b), [[1, 0, 1, 1], [1, 1, 1, 2]]);
  assert.deepEqual(sides(sheet("00", "11"), (a, b) => a !== b), [[0, 1, 1, 1], [1, 1, 2, 1]]);
});

test("what is on a map, in words", () => {
  assert.equal(shares(Uint8Array.from([1, 1, 1, 0]), ["road", "sky"]), "sky 75 %, road 25 %");
});

test("undo, do again, and a new sheet after an undo", () => {
  const sheets = sheetHistory("a");
  assert.equal(sheets.can(-1), false);
  sheets.push("b");
  sheets.push("c");
  assert.equal(sheets.go(-1), "b");
  assert.equal(sheets.can(1), true);
  sheets.push("d");
  assert.equal(sheets.can(1), false);
  assert.equal(sheets.go(-1), "b");
  for (let i = 0; i < 300; i++) sheets.push(i);
  let steps = 0;
  while (sheets.can(-1)) [sheets.go(-1), steps++];
  assert.equal(steps, 199);
});

/** A key event: what it writes, and the place of the key. */
function press(key, code = "", held = {}) {
  return { key, code, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...held };
}

test("the brush's keys work on every keyboard", () => {
  const keyboards = [
    press("[", "BracketLeft"), // American
    press("[", "Digit8", { ctrlKey: true, altKey: true }), // German on Windows: AltGr is Ctrl and Alt
    press("[", "Digit8"), // German on Linux
    press("[", "Digit5", { altKey: true }), // German on a Mac
    press("-", "Slash"), press("-", "Digit6"), press("-", "NumpadSubtract"),
  ];
  for (const event of keyboards) assert.deepEqual(commandOf(event), ["size", -1], JSON.stringify(event));
  for (const event of [press("]", "BracketRight"), press("+", "Equal", { shiftKey: true }), press("+", "BracketRight")]) {
    assert.deepEqual(commandOf(event), ["size", 1]);
  }
});

test("digits choose classes by their place, with Shift ten further", () => {
  assert.deepEqual(commandOf(press("1", "Digit1")), ["class", 0]);
  assert.deepEqual(commandOf(press("0", "Digit0")), ["class", 9]);
  assert.deepEqual(commandOf(press("!", "Digit1", { shiftKey: true })), ["class", 10]);
  assert.deepEqual(commandOf(press("&", "Digit1")), ["class", 0]); // French
  assert.deepEqual(commandOf(press("4", "Numpad4")), ["class", 3]);
  for (const [index, key] of [[0, "1"], [9, "0"], [10, "Shift 1"], [19, "Shift 0"], [20, ""]]) assert.equal(keyOfClass(index), key);
});

test("keys of the browser and letters with Alt are left alone", () => {
  for (const event of [press("b", "KeyB", { ctrlKey: true }), press("f", "KeyF", { metaKey: true }), press("b", "KeyB", { altKey: true }),
    press("1", "Digit1", { ctrlKey: true }), press("Tab"), press("F5")]) {
    assert.equal(commandOf(event), null, JSON.stringify(event));
  }
  assert.deepEqual(commandOf(press("Z", "KeyZ", { ctrlKey: true, shiftKey: true })), ["go", 1]);
  assert.deepEqual(commandOf(press("z", "KeyZ", { metaKey: true })), ["go", -1]);
});

test("every key is in the help, and none has two meanings", () => {
  const all = KEYS.flatMap(([keys]) => keys);
  assert.equal(new Set(all).size, all.length);
  assert.ok(helpRows().every(([keys, words]) => keys && words));
});

/** A canvas of which one hears what happens, and a hand that touches it. */
function touched() {
  const listeners = {};
  const heard = [];
  const element = { addEventListener: (name, listener) => (listeners[name] = listener), setPointerCapture() {} };
  const names = ["begin", "move", "end", "cancel", "hover", "leave", "pick", "view"];
  followPointers(element, Object.fromEntries(names.map((name) => [name, () => heard.push(name)])));
  const hand = (name, pointerId, at, more = {}) =>
    listeners[`pointer${name}`]({ pointerId, button: 0, altKey: false, clientX: at, clientY: 0, timeStamp: 0, pointerType: "touch", ...more });
  return { heard, hand };
}

test("a palm that comes later neither paints nor ends the stroke", () => {
  const { heard, hand } = touched();
  hand("down", 1, 10);
  hand("move", 1, 20);
  hand("down", 2, 300, { timeStamp: 900 });
  hand("move", 2, 310);
  hand("up", 2, 310);
  hand("move", 1, 30);
  hand("up", 1, 30);
  assert.deepEqual(heard, ["begin", "move", "move", "end"]);
});

test("two fingers at once move the view, and what the first painted is dropped", () => {
  const { heard, hand } = touched();
  hand("down", 1, 10);
  hand("down", 2, 50, { timeStamp: 60 });
  hand("move", 2, 90);
  hand("up", 1, 10);
  hand("move", 2, 95);
  hand("up", 2, 95);
  hand("down", 3, 10, { timeStamp: 2000 });
  hand("up", 3, 10);
  assert.deepEqual(heard, ["begin", "cancel", "view", "begin", "end"]);
});

test("right click and Alt click take what is there", () => {
  const { heard, hand } = touched();
  hand("down", 1, 10, { button: 2, pointerType: "mouse" });
  hand("up", 1, 10, { button: 2, pointerType: "mouse" });
  hand("down", 1, 10, { altKey: true, pointerType: "mouse" });
  assert.deepEqual(heard, ["pick", "pick"]);
});

test("the middle button moves the view and paints nothing", () => {
  const { heard, hand } = touched();
  hand("down", 1, 10, { button: 1, pointerType: "mouse" });
  hand("move", 1, 30, { pointerType: "mouse" });
  hand("up", 1, 30, { button: 1, pointerType: "mouse" });
  hand("move", 1, 40, { pointerType: "mouse" });
  assert.deepEqual(heard, ["view", "hover"]);
});
