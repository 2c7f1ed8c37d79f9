// Why this token: one row a token, one column a stage, and the ruler on which the draw landed.

import { el, fill, number, visible } from "./dom.js";

/** Draw a step's trace. `force` puts another token here, where that can be done; `hovered` is told which token the pointer is on. */
export function waterfall(root, trace, { force, hovered }) {
  const { stages, draw } = trace;
  const last = stages.length - 1;
  const heads = stages.map((stage, i) =>
    el(
      "th",
      { scope: "col", class: "stage" },
      el("span", { class: "name" }, i === 0 ? "raw" : stage.rule),
      el("span", { class: "faint" }, `${stage.kept.toLocaleString("en")} kept`),
      i && stage.removed ? el("span", { class: "faint" }, `${stage.removed.toLocaleString("en")} out, ${number(stage.removed_mass)}`) : null,
      el("span", { class: "faint", title: `${number(Math.exp(stage.entropy))} effective candidates` }, `H ${number(stage.entropy)}, e^H ${number(Math.exp(stage.entropy))}`),
      stage.temperature === null ? null : el("span", { class: "faint" }, `T ${number(stage.temperature)}`),
    ),
  );
  const rows = stages[0].tokens.map((raw, i) => {
    const cells = stages.map((stage) => stage.tokens[i]);
    const gone = cells[last].logit === null;
    const classes = [raw.id === draw.id ? "drawn" : "", raw.id === trace.drawn ? "here" : "", gone ? "gone" : ""].filter(Boolean).join(" ");
    const put = force
      ? el("button", { type: "button", class: "small put", "aria-label": `Put ${visible(raw.text)} here instead`, title: "Put this token here instead", onclick: () => force(raw.id) }, "↳")
      : el("span", { class: "put" });
    const row = el(
      "tr",
      { class: classes, tabindex: force ? null : "0" },
      el("th", { scope: "row" }, raw.id === trace.drawn ? el("span", { class: "put", title: "in the text" }, "▶") : put, " ", el("span", { class: "word" }, visible(raw.text))),
      cells.map((cell, place) => {
        const before = place ? cells[place - 1] : null;
        if (cell.logit !== null) return bar(cell.p);
        if (before && before.logit === null) return el("td", { class: "nothing" });
        return el("td", { class: "out", title: before ? `removed here; it had ${number(before.p)}` : "" }, before ? el("s", {}, number(before.p)) : "✗");
      }),
    );
    row.addEventListener("pointerenter", () => hovered(raw.id, row));
    row.addEventListener("focusin", () => hovered(raw.id, row));
    return row;
  });
  const rest = stages.map((stage) => el("td", { class: "number faint" }, stage.rest.kept ? `${stage.rest.kept.toLocaleString("en")}: ${number(stage.rest.mass)}` : "–"));
  fill(
    root,
    el(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-label": "The waterfall: tokens by stages" },
      el(
        "table",
        { class: "waterfall" },
        el("caption", {}, `Token ${trace.position + 1}${trace.forced ? ", put here by hand" : ""}, seed ${trace.seed}. ${trace.listed} leading tokens of ${stages[0].kept.toLocaleString("en")}.`),
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "token"), heads)),
        el("tbody", {}, rows),
        el("tfoot", {}, el("tr", {}, el("th", { scope: "row", class: "faint" }, "others"), rest)),
      ),
    ),
    ruler(trace),
    el("p", { class: "limits", "aria-live": "polite" }, "Hover a token, or reach it with Tab, for the settings at which it enters or leaves."),
  );
}

function bar(p) {
  return el("td", { class: "bar" }, el("span", { class: "fill", style: { width: `${(100 * p).toFixed(2)}%` } }), el("span", { class: "p" }, number(p)));
}

/** The line from 0 to 1: the drawn token's share, and where u fell. */
function ruler({ draw }) {
  const at = (x) => `${(100 * x).toFixed(3)}%`;
  return el(
    "figure",
    { class: "draw" },
    el(
      "div",
      { class: "ruler", "aria-hidden": "true" },
      el("i", { class: "share", style: { left: at(draw.low), width: at(draw.high - draw.low) } }),
      el("i", { class: "mark", style: { left: at(draw.u) } }),
    ),
    el("figcaption", {}, `u = ${draw.u.toFixed(6)} lands in [${draw.low.toFixed(6)}, ${draw.high.toFixed(6)}) → `, el("b", {}, visible(draw.text)), `, drawn with p = ${number(draw.p)}`),
  );
}

/** Say under which conditions the token of a row stays. */
export function hint(root, row, limits) {
  row.title = conditions(limits);
  root.querySelector(".limits").textContent = `${row.querySelector(".word").textContent}: ${row.title}`;
}

/** The conditions as sentences. */
function conditions(limits) {
  if (!limits.length) return "no setting of this recipe removes it";
  return limits.map((l) => `${l.rule}: ${l.kept ? "stays while" : "would stay with"} ${l.parameter} ${l.keeps} ${number(l.value)} (now ${number(l.setting)})`).join(" · ");
}
