// Two recipes on the same logits.

import { el, fill, number, visible } from "./dom.js";

/** Draw a comparison of A and B. */
export function comparison(root, found, drawn) {
  const [a, b] = found.recipes;
  const other = found.differences[1];
  const parts = found.parts.map((place) => (place === null ? "draws this very text" : `parts from this text at token ${place + 1}`));
  const facts = [
    ["KL(B‖A)", other.kl === null ? "∞" : `${number(other.kl)} nats`, "what it costs to take B for A; ∞ where B keeps a token that A removes"],
    ["KL(A‖B)", other.kl_back === null ? "∞" : `${number(other.kl_back)} nats`, "the other way round"],
    ["total variation", number(other.tv), "0 the same, 1 nothing in common"],
    ["kept", `A ${a.kept.toLocaleString("en")}, B ${b.kept.toLocaleString("en")}`, "tokens that can come"],
    ["only A keeps", only(other.only_first, other.only_first_leading), ""],
    ["only B keeps", only(other.only_this, other.only_this_leading), ""],
    ["entropy", `A ${number(a.entropy)}, B ${number(b.entropy)} nats`, ""],
    ["with this seed", `A ${parts[0]}; B ${parts[1]}`, "the first token at which another would have been drawn"],
  ];
  const most = Math.max(...found.tokens.flatMap((t) => t.final_p.map((p) => p ?? 0)), 1e-9);
  fill(
    root,
    el("dl", { class: "facts" }, facts.map(([name, value, tip]) => el("div", { title: tip }, el("dt", {}, name), el("dd", {}, value)))),
    el(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-label": "Probabilities under both recipes" },
      el(
        "table",
        { class: "two" },
        el("thead", {}, el("tr", {}, ["token", "raw", "A", "B"].map((h) => el("th", { scope: "col" }, h)))),
        el(
          "tbody",
          {},
          found.tokens.map((token) =>
            el(
              "tr",
              { class: token.id === drawn ? "drawn" : "" },
              el("th", { scope: "row" }, visible(token.text)),
              el("td", { class: "number" }, number(token.raw_p)),
              token.final_p.map((p, i) =>
                p === null
                  ? el("td", { class: "out" }, "✗")
                  : el("td", { class: "bar" }, el("span", { class: i ? "fill second" : "fill", style: { width: `${((100 * p) / most).toFixed(2)}%` } }), el("span", { class: "p" }, number(p))),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

function only(count, leading) {
  if (!count) return "–";
  const named = leading.map((token) => visible(token.text)).join(" ");
  return `${count.toLocaleString("en")}: ${named}${count > leading.length ? " …" : ""}`;
}
