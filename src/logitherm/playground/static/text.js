// The text, token by token: coloured by what one asks of it, with its leading alternatives on hover.

import { el, fill, number, roving, visible } from "./dom.js";

/** What a token can be coloured by. Stages of the recipe are added by name. */
const MEASURES = {
  plain: () => null,
  surprise: (token) => ["l", Math.min(1, -Math.log(Math.max(token.final_p, 1e-12)) / 8)],
  entropy: (token) => ["l", Math.min(1, token.raw_entropy / 6)],
  temperature: (token) => ["l", Math.min(1, token.temperature / 2)],
};

/** The options of the colour menu for a recipe's stages: value and words. */
export function colours(stages) {
  const named = stages.map((stage, i) => [`p${i}`, `probability, ${stage}`]);
  return [["plain", "none"], ...named, ["surprise", "surprise, final"], ["entropy", "entropy, raw"], ["temperature", "temperature used"]];
}

/** The text in an element; `choose` is told the place of a token that is clicked or reached with the arrow keys. */
export function textView(root, tip, choose) {
  const prompt = el("span", { class: "prompt" });
  const tokens = el("span", { role: "listbox", "aria-label": "The text, token by token", class: "tokens" });
  const end = el("bdi", { class: "end faint" });
  root.append(prompt, tokens, end);
  let all = [];
  let by = "plain";
  let chosen = -1;

  tokens.addEventListener("click", (event) => {
    const made = event.target.closest(".token");
    if (made) choose(Number(made.dataset.place));
  });
  roving(tokens, ".token", (made) => choose(Number(made.dataset.place)));
  for (const kind of ["pointerover", "focusin"]) tokens.addEventListener(kind, (event) => hint(event.target.closest?.(".token")));
  for (const kind of ["pointerleave", "focusout"]) tokens.addEventListener(kind, () => hint(null));

  function hint(made) {
    tip.hidden = !made;
    if (!made) return;
    const token = all[Number(made.dataset.place)];
    fill(
      tip,
      el("p", {}, el("b", {}, visible(token.label)), ` final p ${number(token.final_p)}, raw ${number(token.raw_p)}${token.forced ? ", put here by hand" : ""}`),
      el("p", { class: "faint" }, `entropy ${number(token.raw_entropy)} → ${number(token.final_entropy)} nats, T ${number(token.temperature)}, ${token.kept.toLocaleString("en")} could come`),
      el("table", {}, token.leading.map((l) => el("tr", {}, el("td", {}, visible(l.text)), el("td", { class: "number" }, number(l.final_p))))),
    );
    const box = made.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8)) + scrollX}px`;
    const below = box.bottom + tip.offsetHeight + 12 < innerHeight;
    tip.style.top = `${(below ? box.bottom + 6 : Math.max(0, box.top - tip.offsetHeight - 6)) + scrollY}px`;
  }

  function paint(made, token) {
    const stage = /^p(\d+)$/.exec(by);
    const found = stage ? ["p", token.p[Math.min(Number(stage[1]), token.p.length - 1)]] : MEASURES[by](token);
    made.style.background = found ? `rgb(var(--${found[0]}) / calc(${found[1].toFixed(4)} * var(--most)))` : "";
  }

  function made(token) {
    const text = token.shown || (token.ends ? "■" : token.label.startsWith("\\x") ? "" : token.label);
    const words = text.replace(/\n/g, "⏎\n");
    const classes = ["token", token.shown ? "" : "odd", token.forced ? "forced" : ""].filter(Boolean).join(" ");
    const option = el("span", { class: classes, role: "option", tabindex: "-1", "aria-selected": "false", "aria-label": visible(token.label) }, words || "·");
    option.dataset.place = token.place;
    paint(option, token);
    return option;
  }

  return {
    start(text, given) {
      prompt.textContent = text;
      all = [...given];
      chosen = -1;
      fill(tokens, all.map(made));
      if (tokens.firstChild) tokens.firstChild.tabIndex = 0;
      end.textContent = "";
      hint(null);
    },
    add(token) {
      all.push(token);
      const added = made(token);
      if (!tokens.firstChild) added.tabIndex = 0;
      tokens.append(added);
    },
    choose(place) {
      if (tokens.children[chosen]) {
        tokens.children[chosen].setAttribute("aria-selected", "false");
        tokens.children[chosen].tabIndex = -1;
      }
      chosen = place;
      const now = tokens.children[place];
      if (now) {
        now.setAttribute("aria-selected", "true");
        if (tokens.firstChild) tokens.firstChild.tabIndex = -1;
        now.tabIndex = 0;
      }
    },
    colour(measure) {
      by = measure;
      all.forEach((token, i) => paint(tokens.children[i], token));
    },
    /** Put into a menu what this can be coloured by; what was chosen stays, if it can. */
    offer(menu, recipe) {
      const stages = ["raw", ...recipe.split(" | ").filter(Boolean)].map((stage, i) => (i ? `after ${stage}` : stage));
      const before = menu.value;
      fill(menu, colours(stages).map(([value, words]) => el("option", { value }, words)));
      menu.value = [...menu.options].some((option) => option.value === before) ? before : "plain";
      this.colour(menu.value);
    },
    ended(why) {
      end.textContent = why ? ` ${why}` : "";
    },
    get tokens() {
      return all;
    },
  };
}
