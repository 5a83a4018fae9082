// The style board: each reference beside the label map painted in its style.

function render({ model, el: host }) {
  const status = statusLine();
  const python = connect(model, status.say);
  const state = () => model.get("state");
  const label = picture("Label map", "The label map");
  const base = picture("Base look: strength 0", "The look without a reference");
  const seed = seedField("Base look (seed)", (value) => python.ask({ do: "look", seed: value }));
  const file = el("input", {
    type: "file", accept: "image/*", class: "se-spoken", "aria-label": "Upload a reference picture", onchange: () => upload(file.files[0]),
  });
  const board = el("div", { class: "se-grid se-cards" });
  let cards = [];

  async function upload(chosen) {
    if (!chosen) return;
    await python.ask({ do: "upload", name: chosen.name }, new Uint8Array(await chosen.arrayBuffer()));
    file.value = "";
  }

  function makeCard(card, number) {
    const reference = picture(card.name, `Reference: ${card.name}`);
    const result = picture("", `The label map in the style of ${card.name}`);
    const strengths = latest((strength) => python.ask({ do: "strength", card: number, strength }));
    const slider = el("input", {
      type: "range", min: 0, max: 100, "aria-label": `Strength of ${card.name}`,
      oninput: () => strengths.submit(Number(slider.value) / 100),
    });
    const save = saveLink("Save", `in_style_${number + 1}.png`);
    const remove = el("button", { type: "button", "aria-label": `Remove ${card.name}`, onclick: () => python.ask({ do: "remove", card: number }) }, "Remove");
    const tools = el("span", { class: "se-field" }, el("label", { class: "se-field" }, "Strength", slider), save, remove);
    return { reference, result, slider, save, element: el("div", { class: "se-card" }, reference.element, result.element, tools) };
  }

  const root = frame(
    "Style board",
    el("div", { class: "se-sides se-small" }, label.element, base.element),
    el("div", { class: "se-tools" }, seed.element, el("label", { class: "se-button" }, "Add a picture …", file), el("span", { class: "se-hint" }, "or drop or paste one")),
    board, status.element,
  );
  root.tabIndex = -1;
  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    upload(event.dataTransfer.files[0]);
  });
  root.addEventListener("paste", (event) => upload(event.clipboardData.files[0]));
  host.append(root);

  function update() {
    const now = state();
    setPng(label.img, now.label);
    setPng(base.img, now.base);
    if (document.activeElement !== seed.input) seed.input.value = now.seed;
    if (cards.length !== now.cards.length) {
      for (const element of board.querySelectorAll("img, a")) forgetPng(element);
      cards = now.cards.map(makeCard);
      board.replaceChildren(...cards.map((card) => card.element));
    }
    now.cards.forEach((card, i) => {
      setPng(cards[i].reference.img, card.reference);
      setPng(cards[i].result.img, card.result);
      setPng(cards[i].save, card.result);
      cards[i].reference.element.lastChild.textContent = card.name;
      cards[i].result.element.lastChild.textContent = `In its style, strength ${Math.round(100 * card.strength)} %`;
      if (document.activeElement !== cards[i].slider) cards[i].slider.value = Math.round(100 * card.strength);
    });
  }
  return follow(model, python, update);
}

export default { render };
