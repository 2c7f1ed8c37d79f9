// What both widgets share: a place of their own on the page, and questions to the kernel.

import { Refused } from "../../playground/static/api.js";

/** An element in a shadow tree: no style of the notebook reaches in, none of ours reaches out. */
export function place(host) {
  const shadow = host.attachShadow({ mode: "open" });
  const root = document.createElement("div");
  const style = document.createElement("style");
  style.textContent = `${STYLE} :host { background: none; }`; // the notebook's own paper
  shadow.append(style, root);
  const dress = () => (host.dataset.theme = dark(host) ? "dark" : "light");
  const changes = new MutationObserver(dress);
  changes.observe(document.body, { attributes: true });
  requestAnimationFrame(dress);
  return [root, () => changes.disconnect()];
}

/** Whether what lies under an element is dark, whoever's notebook it is. */
function dark(host) {
  for (let under = host.parentNode; under; under = under.parentNode ?? under.host) {
    if (!(under instanceof Element)) continue;
    const [r, g, b, a] = getComputedStyle(under).backgroundColor.match(/[\d.]+/g).map(Number);
    if (a !== 0) return 0.299 * r + 0.587 * g + 0.114 * b < 128;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Questions to the kernel, as editor.js asks them of a server: the answer, or Refused with what was not liked. */
export function asking(model) {
  const waiting = new Map();
  const own = crypto.randomUUID?.() ?? String(Math.random());
  let count = 0;
  const heard = (said) => {
    const asked = waiting.get(said.id);
    if (!asked) return; // another view of the same widget asked
    waiting.delete(said.id);
    if ("wrong" in said) asked.refuse(new Refused(said.wrong, true));
    else asked.answer(said.answer);
  };
  model.on("msg:custom", heard);
  const ask = (name, data) =>
    new Promise((answer, refuse) => {
      const id = `${own} ${++count}`;
      waiting.set(id, { answer, refuse });
      model.send({ id, data });
    });
  return [ask, () => model.off("msg:custom", heard)];
}
