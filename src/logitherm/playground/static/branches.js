// The texts of this page, each below the one that it branched from.

import { el, fill, visible } from "./dom.js";

const MOST = 100;

/** The texts, without the oldest if there are too many. */
export function trimmed(texts) {
  while (texts.size >= MOST) texts.delete(texts.keys().next().value);
  return texts;
}

/** Draw the tree. `open` is told the id of the text to go to. */
export function branches(root, texts, current, open) {
  const all = [...texts.values()];
  if (all.length < 2) return fill(root);
  const children = (parent) => all.filter((text) => (texts.has(text.parent) ? text.parent : null) === parent);
  const item = (text) => {
    const own = text.tokens.slice(text.shared, text.shared + 4).map((t) => t.shown || t.label).join("");
    const words = text.parent ? `from token ${text.shared + 1}: ${visible(own)}` : `${visible([...text.prompt].slice(-24).join(""))} seed ${text.seed}`;
    const below = children(text.id);
    return el("li", {}, el("button", { type: "button", class: "small branch", "aria-current": text.id === current?.id ? "true" : null, onclick: () => open(text.id) }, words), below.length ? el("ul", {}, below.map(item)) : null);
  };
  const closed = root.querySelector("details")?.open === false;
  const back = texts.has(current?.parent);
  return fill(
    root,
    el("details", { open: !closed }, el("summary", {}, `${all.length} texts`), el("ul", {}, children(null).map(item))),
    el("button", { type: "button", class: "small", disabled: !back, onclick: () => open(current.parent) }, "Undo: back to where it branched"),
  );
}
