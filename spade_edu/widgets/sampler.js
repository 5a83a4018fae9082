// The sampler: a grid of looks of one label map; kept ones below, and a walk between two of them.

function render({ model, el: host }) {
  const status = statusLine();
  const python = connect(model, status.say);
  const state = () => model.get("state");
  const label = picture("Label map", "The label map that all pictures are made from");
  const draws = latest((value) => python.ask({ do: "fresh", seed: value }));
  const seed = seedField("First seed", draws.submit);
  const grid = el("div", { class: "se-grid", role: "group", "aria-label": "Looks: click one to keep it" });
  const kept = el("div", { class: "se-grid", role: "group", "aria-label": "Kept looks" });

  const tiles = state().tiles.map((_, tile) => {
    const img = el("img", { alt: "" });
    const keep = el("button", { type: "button", class: "se-tile", onclick: () => python.ask({ do: "keep", tile }) }, img);
    const title = el("figcaption", {});
    const more = el("button", { type: "button", onclick: () => python.ask({ do: "around", tile }) }, "More like this");
    grid.append(el("figure", {}, keep, title, more));
    return { img, keep, title, more };
  });

  // Between two kept looks.
  const [first, second] = ["From", "To"].map((text) => el("select", { "aria-label": text, onchange: walk }));
  const walks = latest((from, to, at) => python.ask({ do: "blend", first: from, second: to, at }));
  const slider = el("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Position between the two", oninput: walk });
  const blended = picture("", "The look between the two");
  const saveBlended = saveLink("Save", "between.png");
  const between = el(
    "div", { class: "se-between" },
    el("div", { class: "se-tools" }, "Between", first, slider, second, saveBlended), blended.element,
  );

  function walk() {
    walks.submit(Number(first.value), Number(second.value), Number(slider.value) / 100);
  }

  const root = frame(
    "Sampler",
    el("div", { class: "se-tools" }, label.element, seed.element),
    el("p", { class: "se-hint" }, "Click a picture to keep it."),
    grid, el("h4", {}, "Kept"), kept, between, status.element,
  );
  host.append(root);

  function update() {
    const now = state();
    setPng(label.img, now.label);
    if (document.activeElement !== seed.input) seed.input.value = now.seed;
    now.tiles.forEach((tile, i) => showTile(tiles[i], tile));
    grid.setAttribute("aria-busy", draws.busy);
    showKept(now.kept);
    showBetween(now);
    if (now.kept.length > 1 && !now.blended && !walks.busy) walk();
  }

  function showTile({ img, keep, title, more }, tile) {
    setPng(img, tile.png);
    img.alt = tile.title;
    title.textContent = tile.title;
    keep.setAttribute("aria-pressed", tile.kept);
    more.setAttribute("aria-label", `More like ${tile.title}`);
  }

  let shown = "";

  /** Made anew only when something else is kept: the focus stays where it is. */
  function showKept(tiles) {
    const titles = tiles.map((tile) => tile.title).join();
    if (titles === shown && kept.children.length) return;
    shown = titles;
    for (const element of kept.querySelectorAll("img, a")) forgetPng(element);
    kept.replaceChildren(...tiles.map(keptFigure));
    if (!tiles.length) kept.append(el("p", { class: "se-hint" }, "Nothing yet."));
  }

  function keptFigure(tile, i) {
    const img = el("img", { alt: tile.title });
    const save = saveLink("Save", `look_${i + 1}.png`);
    save.setAttribute("aria-label", `Save ${tile.title} with its recipe`);
    setPng(img, tile.png);
    setPng(save, tile.png);
    const letGo = el("button", { type: "button", "aria-label": `Let ${tile.title} go`, onclick: () => python.ask({ do: "let_go", kept: i }) }, "Let go");
    return el("figure", {}, img, el("figcaption", {}, `${i + 1}: ${tile.title}`), save, letGo);
  }

  function showBetween(now) {
    between.hidden = now.kept.length < 2;
    const fresh = first.options.length !== now.kept.length;
    for (const select of [first, second]) {
      const { value } = select;
      select.replaceChildren(...now.kept.map((tile, i) => el("option", { value: i }, `${i + 1}: ${tile.title}`)));
      select.value = value;
    }
    if (fresh) [first.value, second.value] = [Math.max(0, now.kept.length - 2), now.kept.length - 1];
    blended.element.hidden = saveBlended.hidden = !now.blended;
    if (!now.blended) return;
    setPng(blended.img, now.blended.png);
    setPng(saveBlended, now.blended.png);
    blended.element.lastChild.textContent = now.blended.title;
    if (document.activeElement !== slider) slider.value = Math.round(100 * now.blended.at);
  }

  return follow(model, python, update);
}

export default { render };
