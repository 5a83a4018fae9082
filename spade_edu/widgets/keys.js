// The keys of the canvas: one table, from which keys, the help and the tooltips are made.

/** A key is what `event.key` says, in small letters; Ctrl is the Mac's Command too.
 * @type {[keys: string[], command: string, argument: string | number | null, words: string][]} */
const KEYS = [
  [["b"], "tool", "brush", "brush"],
  [["l"], "tool", "line", "line"],
  [["r"], "tool", "rectangle", "rectangle"],
  [["f"], "tool", "fill", "fill a region"],
  [["s"], "tool", "stamp", "stamp: places an object; again: the next one"],
  [["e"], "tool", "eraser", "eraser: brings the scene back"],
  [["[", "-"], "size", -1, "smaller brush or stamp"],
  [["]", "+", "="], "size", 1, "larger brush or stamp"],
  [["q"], "shape", null, "round or square brush"],
  [["i"], "pick", null, "take the class under the cursor, with the stamp the object"],
  [["h"], "flip", null, "flip left and right"],
  [["o"], "outlines", null, "outlines between classes"],
  [["ctrl z"], "go", -1, "undo"],
  [["ctrl y", "ctrl shift z"], "go", 1, "do again"],
  [["z"], "zoom", 1.5, "nearer"],
  [["x"], "zoom", 1 / 1.5, "farther"],
  [["?"], "help", null, "these keys"],
];

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** What a key asks for, as [command, argument], or null. The character goes before the place of the key: a German
 *  keyboard writes "[" with AltGr and 8, and AltGr looks like Alt, or like Ctrl and Alt. */
function commandOf(event) {
  const character = event.key.toLowerCase();
  const written = character === "[" || character === "]";
  const held = !written && (event.ctrlKey || event.metaKey);
  if (event.altKey && !written) return null;
  const wanted = held ? `ctrl ${event.shiftKey ? "shift " : ""}${character}` : character;
  const row = KEYS.find(([keys]) => keys.includes(wanted));
  if (row) return [row[1], row[2]];
  const index = held ? null : digitOf(event);
  return index === null ? null : ["class", index];
}

/** 0 to 9 for the digits 1 to 9 and 0, 10 to 19 with Shift. The place of the key says which: with Shift it writes
 *  another character, on a French keyboard without. */
function digitOf(event) {
  const digit = event.code?.match(/^Digit(\d)$/)?.[1] ?? event.key.match(/^\d$/)?.[0];
  if (digit === undefined) return null;
  return ((Number(digit) + 9) % 10) + (event.shiftKey ? 10 : 0);
}

/** The key of class number `index` of the palette, as text. */
function keyOfClass(index) {
  if (index >= 20) return "";
  return (index < 10 ? "" : "Shift ") + String((index + 1) % 10);
}

/** The first key of a command, as text: for a tooltip. */
function keyOf(command, argument = null) {
  const row = KEYS.find((r) => r[1] === command && r[2] === argument);
  return row ? keyName(row[0][0]) : "";
}

function keyName(key) {
  return key.split(" ").map((part) => part[0].toUpperCase() + part.slice(1)).join(" ");
}

/** Hands and keys in words: [keys, words]. */
function helpRows() {
  return [
    ["Mouse", "left paints; right, or Alt click, takes the class or the object; wheel: nearer; middle button: moves the view"],
    ["Fingers", "one paints; two together bring the view nearer and move it"],
    ["Arrows", "move the cursor; with Shift they paint along"],
    ["Space or Enter", "use the tool where the cursor is; Escape drops a stroke"],
    ["1 to 9, 0", "the first ten classes; with Shift the next ten"],
    ...KEYS.map(([keys, , , words]) => [keys.map(keyName).join(" or "), words]),
  ];
}
