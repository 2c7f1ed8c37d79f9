// Another recipe over a text that exists: which tokens would now be impossible, likelier, or drawn differently.

import { el, fill, number, visible } from "./dom.js";

const PLOTS = [
  ["confidence", "raw p", (t) => t.raw_p, 1],
  ["surprise", "−log final p", (t) => -Math.log(Math.max(t.final_p, 1e-12)), 8],
  ["entropy", "raw, nats", (t) => t.raw_entropy, 6],
  ["temperature", "used", (t) => t.temperature, 2],
];

/** What a recipe makes of a token: a sign, a word, and whether the seed would now draw another. */
export function fate(token, now) {
  const other = now.drawn && now.drawn.id !== token.id;
  const close = Math.abs(now.p - token.final_p) <= 1e-9 * Math.max(now.p, token.final_p);
  const [sign, word] = now.p === 0 ? ["✗", "impossible"] : close ? ["=", "same"] : now.p > token.final_p ? ["▲", "likelier"] : ["▼", "less likely"];
  return { sign, word, other };
}

/** Draw the text with small plots under its words. `choose` is told a token's place. */
export function replayed(root, tokens, found, choose) {
  const under = Object.fromEntries(found.tokens.map((token) => [token.place, token]));
  const counts = { impossible: 0, "less likely": 0, same: 0, likelier: 0 };
  let others = 0;
  let parts = null;
  const columns = tokens.map((token) => {
    const now = under[token.place];
    const { sign, word, other } = fate(token, now);
    counts[word] += 1;
    others += other ? 1 : 0;
    if (other && parts === null) parts = token.place;
    const says = `${visible(token.label)}: ${word}, p ${number(token.final_p)} → ${number(now.p)}${other ? `; the seed would draw ${visible(now.drawn.text)}` : ""}`;
    return el(
      "button",
      { type: "button", class: `column ${word.replace(" ", "-")}${other ? " other" : ""}`, title: says, "aria-label": says, onclick: () => choose(token.place) },
      el("span", { class: "word" }, (token.shown || token.label).replace(/\n/g, "⏎")),
      el("span", { class: "sign" }, `${sign}${other ? " ≠" : ""}`),
      PLOTS.map(([name, , value, most]) => el("span", { class: `plot ${name}` }, el("i", { style: { height: `${Math.min(100, (100 * value(token)) / most).toFixed(1)}%` } }))),
    );
  });
  const said = Object.entries(counts).map(([word, count]) => `${count} ${word}`).join(", ");
  fill(
    root,
    el("p", { id: "replay-said" }, `Of ${tokens.length} tokens ${said}. `, parts === null ? "The seed draws the same text." : `The seed would draw another token ${others} times (≠), first at token ${parts + 1}, where a text of its own would part.`),
    el("p", { class: "faint" }, `Plots, from above: ${PLOTS.map(([name, what]) => `${name} (${what})`).join(", ")}. Computed from the stored logits, without the model; tokens before each are as they are in the text.`),
    el("div", { class: "columns", dir: "auto" }, columns),
  );
}
