// The painter: the canvas, and beside it the picture that follows each stroke.

function render({ model, el: host }) {
  const status = statusLine();
  const python = connect(model, status.say);
  const state = () => model.get("state");
  const generated = picture("Generated picture", "");
  const saveMap = saveLink("Save map", "label_map.png");
  const saveImage = saveLink("Save picture", "generated.png");

  const strokes = latest(async (sheet) => {
    generated.img.setAttribute("aria-busy", "true");
    const done = await python.ask({ do: "paint", scene: sheet.scene, flipped: sheet.flipped }, sheet.ids);
    generated.img.setAttribute("aria-busy", "false");
    if (!done) canvas.adopt(state().map); // refused: back to the map that Python has
  });
  const canvas = labelCanvas(state().map, {
    changed: strokes.submit,
    load: (scene) => python.ask({ do: "load", scene }),
  });
  const looks = latest((seed) => python.ask({ do: "look", seed }));
  const seed = seedField("Look (seed)", looks.submit);

  const map = el("figure", {}, canvas.stage, el("figcaption", {}, "Label map: paint on it"));
  const root = frame(
    "Painter",
    canvas.tools,
    el("div", { class: "se-sides" }, map, generated.element),
    canvas.palette,
    el("div", { class: "se-tools" }, ...(state().seed === null ? [] : [seed.element]), saveMap, saveImage),
    status.element,
  );
  root.addEventListener("keydown", (event) => {
    if (canvas.key(event)) event.preventDefault();
  });
  host.append(root);

  function update() {
    if (!strokes.busy) canvas.adopt(state().map);
    setPng(generated.img, state().image);
    setPng(saveImage, state().image);
    setPng(saveMap, state().saved);
    generated.img.alt = `Picture generated from: ${canvas.describe()}`;
    if (document.activeElement !== seed.input) seed.input.value = state().seed;
  }
  return follow(model, python, update);
}

export default { render };
