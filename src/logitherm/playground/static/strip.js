// One step at many temperatures.

import { el, fill, number, visible } from "./dom.js";

export const TEMPERATURES = [0.1, 0.2, 0.5, 0.7, 1, 1.5, 2, 5, 10, 100];

/** Draw the leading tokens at each temperature. */
export function strip(root, found) {
  const best = found.columns.map((column) => Math.max(...column.p));
  fill(
    root,
    el("p", { class: "faint" }, "The model's own logits divided by T, with no other rule: cold rows gather on the leader, hot ones come near to uniform."),
    el(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-label": "Probabilities by temperature" },
      el(
        "table",
        { class: "strip" },
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "token"), found.columns.map((c) => el("th", { scope: "col", class: "number" }, `T ${number(c.t)}`)))),
        el(
          "tbody",
          {},
          found.tokens.map((token, i) =>
            el(
              "tr",
              {},
              el("th", { scope: "row" }, visible(token.text)),
              found.columns.map((c, j) => el("td", { class: "number heat", style: { "--x": (c.p[i] / Math.max(best[j], 1e-12)).toFixed(4) } }, number(c.p[i]))),
            ),
          ),
        ),
        el("tfoot", {}, el("tr", {}, el("th", { scope: "row" }, "entropy"), found.columns.map((c) => el("td", { class: "number faint" }, number(c.entropy))))),
      ),
    ),
  );
}
