// The user study: a label map and two pictures; which fits it better? Arrow keys or 1 and 2 answer.

function render({ model, el: host }) {
  const status = statusLine();
  const python = connect(model, status.say);
  const state = () => model.get("state");
  const name = el("input", { type: "text", maxlength: 40, "aria-label": "Your code name", required: true });
  const begin = el(
    "div", { class: "se-tools" },
    el("label", { class: "se-field" }, "Your code name", name), el("button", { type: "button", onclick: start }, "Begin"),
  );
  const label = picture("Label map", "The label map");
  const sides = ["left", "right"].map((side, i) => {
    const img = el("img", { alt: `The ${side} picture` });
    const text = side === "left" ? "← Left (1)" : "Right (2) →";
    const answer = el("button", { type: "button", class: "se-tile", onclick: () => choose(side) }, img, text);
    return { side, key: String(i + 1), img, answer };
  });
  const progress = el("p", { class: "se-hint", "aria-live": "polite" });
  const question = el(
    "div", { class: "se-question" },
    el("p", {}, "Which picture looks more like a photograph of the scene in the label map?"),
    el("div", { class: "se-small" }, label.element),
    el("div", { class: "se-sides" }, ...sides.map((s) => s.answer)),
  );
  const root = frame("Study", begin, question, progress, status.element);
  root.tabIndex = 0;
  host.append(root);

  let shownAt = 0; // when the present pair was first seen here
  let shownPair = -1;
  let sending = false;

  async function start() {
    if (!(await python.ask({ do: "begin", participant: name.value }))) return;
    name.value = ""; // the next person's is another
    root.focus();
  }

  async function choose(side) {
    const { pair, pairs, begun } = state();
    if (sending || !begun || pair === pairs) return;
    sending = true;
    await python.ask({ do: "choose", pair, side, seconds: (performance.now() - shownAt) / 1000 });
    sending = false;
  }

  root.addEventListener("keydown", (event) => {
    if (event.repeat) return;
    if (event.target === name) {
      if (event.key === "Enter") start(); // JupyterLab keeps Enter from sending a form
      return;
    }
    const chosen = sides.find(({ side, key }) => event.key === key || event.key.toLowerCase() === `arrow${side}`);
    if (!chosen) return;
    event.preventDefault();
    choose(chosen.side);
  });

  function update() {
    const now = state();
    const done = now.begun && now.pair === now.pairs;
    begin.hidden = now.begun && !done;
    question.hidden = !now.begun || done;
    progress.textContent = done
      ? "Thank you: all answers are written. The next person can begin."
      : now.begun ? `Pair ${now.pair + 1} of ${now.pairs}` : `${now.pairs} pairs, some seconds each.`;
    if (question.hidden) {
      shownPair = -1;
      return;
    }
    setPng(label.img, now.label);
    for (const { side, img } of sides) setPng(img, now[side]);
    if (shownPair !== now.pair) [shownPair, shownAt] = [now.pair, performance.now()];
  }
  return follow(model, python, update);
}

export default { render };
