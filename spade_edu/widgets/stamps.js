// Objects that are offered as stamps: small pictures in their class's colour, of which one is chosen.

/** A radiogroup whose `take(object)` is called with the chosen one; offer(stamps) fills it, show(object) marks one. */
function stampStrip(map, take) {
  const buttons = el("span", { class: "se-group" });
  const element = el(
    "div", { class: "se-tools se-stamps", role: "radiogroup", "aria-label": "Stamps: objects to place", hidden: true },
    el("span", { "aria-hidden": "true" }, "Place"), buttons,
  );
  let objects = [];
  walkRadios(element, () => [...buttons.children], (index) => take(objects[index]));

  function offer(stamps) {
    if (stamps.length === objects.length) return;
    objects = stamps.map(objectOf);
    buttons.replaceChildren(...objects.map((object, i) => stampButton(stamps[i].name, object, map.colours[object.id], take)));
    element.hidden = !objects.length;
    show(null);
  }

  function show(object) {
    const shown = objects.indexOf(object);
    [...buttons.children].forEach((button, i) => markRadio(button, i === shown, i === Math.max(0, shown)));
  }

  return {
    element, offer, show,
    /** The one after `object`; the first where it is none of them. */
    after: (object) => objects[(objects.indexOf(object) + 1) % objects.length] ?? object,
  };
}

function stampButton(name, object, colour, take) {
  const picture = el("canvas", { width: object.width, height: object.height, class: "se-stamp" });
  const pen = picture.getContext("2d");
  pen.fillStyle = `rgb(${colour})`;
  for (const [x, y] of object.pixels) pen.fillRect(x + middleColumn(object), y + object.height - 1, 1, 1);
  return el(
    "button", { type: "button", role: "radio", title: `${keyOf("tool", "stamp")}: stamp; again: the next`, onclick: () => take(object) },
    picture, capital(name),
  );
}
