// The style board: each reference beside the label map painted in its style.

function render({ model, el: host }) {
  const status = statusLine();
  const python = connect(model, status.say);
  const state = () => model.get("state");
  const label = picture("Label map", "The label map");
  const base = picture("Base look: strength 0", "The look without a reference");
  const seed = seedField("Base look (seed)", (value) => python.ask({ do: "look", seed: value }));
  const file = el("input", { type: "file", accept: "image/*", "aria-label": "Upload a reference picture", onchange: upload });
  const board = el("div", { class: "se-grid se-cards" });
  const cards = [];

  async function upload() {
    const [chosen] = file.files;
    if (!chosen) return;
    await python.ask({ do: "upload", name: chosen.name }, new Uint8Array(await chosen.arrayBuffer()));
    file.value = "";
  }

  function addCard(card, number) {
    const reference = picture(card.name, `Reference: ${card.name}`);
    const result = picture("", `The label map in the style of ${card.name}`);
    const strengths = latest((strength) => python.ask({ do: "strength", card: number, strength }));
    const slider = el("input", {
      type: "range", min: 0, max: 100, "aria-label": `Strength of ${card.name}`,
      oninput: () => strengths.submit(Number(slider.value) / 100),
    });
    const strengthField = el("label", { class: "se-field" }, "Strength", slider);
    board.append(el("div", { class: "se-card" }, reference.element, result.element, strengthField));
    setPng(reference.img, card.reference);
    cards.push({ result, slider });
  }

  const root = frame(
    "Style board",
    el("div", { class: "se-sides se-small" }, label.element, base.element),
    el("div", { class: "se-tools" }, seed.element, el("label", { class: "se-field" }, "Add a picture", file)),
    board, status.element,
  );
  host.append(root);

  function update() {
    const now = state();
    setPng(label.img, now.label);
    setPng(base.img, now.base);
    if (document.activeElement !== seed.input) seed.input.value = now.seed;
    now.cards.forEach((card, i) => {
      if (i === cards.length) addCard(card, i);
      setPng(cards[i].result.img, card.result);
      cards[i].result.element.lastChild.textContent = `In its style, strength ${Math.round(100 * card.strength)} %`;
      if (document.activeElement !== cards[i].slider) cards[i].slider.value = Math.round(100 * card.strength);
    });
  }
  return follow(model, python, update);
}

export default { render };
