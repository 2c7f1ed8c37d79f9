// The recipe: cards of rules to add, drag, switch off and remove, with sliders; and its text, always in step.

import { Refused } from "./api.js";
import { el, fill, later } from "./dom.js";

const PLAIN = "temperature(1.0)"; // what no rule at all is
const FAMILIES = { temperature: "Temperatures", cutoff: "Cutoffs", other: "Others" };

/** An editor in an element. `ask("recipe", {recipe})` reads a text; `changed` is told the recipe's whenever it changes. */
export function editor(root, about, name, ask, changed) {
  const rules = Object.fromEntries(about.rules.map((rule) => [rule.name, rule]));
  let cards = []; // {name, values, on}
  let version = 0;
  let unread = false; // whether something was typed that the cards do not say

  const text = el("textarea", { rows: 2, spellcheck: false, "aria-label": `${name} as text`, dir: "ltr", class: "code" });
  const trouble = el("p", { class: "trouble", role: "alert" });
  const remarks = el("ul", { class: "remarks", "aria-label": "Remarks on the recipe" });
  const list = el("ol", { class: "cards", "aria-label": `Rules of ${name}, in order` });
  const presets = el("select", { "aria-label": "Presets" }, el("option", { value: "" }, "Preset …"));
  for (const preset of about.presets) presets.append(el("option", { value: preset.recipe, title: preset.about }, preset.name));
  const adding = el("select", { "aria-label": "Add a rule" }, el("option", { value: "" }, "Add a rule …"));
  for (const [family, title] of Object.entries(FAMILIES)) {
    const some = about.rules.filter((rule) => rule.family === family);
    adding.append(el("optgroup", { label: title }, some.map((rule) => el("option", { value: rule.name, title: rule.summary }, rule.name))));
  }
  root.append(el("div", { class: "line" }, presets, adding), list, text, trouble, remarks);

  presets.addEventListener("change", () => presets.value && take(presets.value).then(() => (presets.value = "")));
  adding.addEventListener("change", () => {
    const rule = rules[adding.value];
    adding.value = "";
    cards.splice(rule.first ? 0 : cards.length, 0, { name: rule.name, values: structuredClone(rule.values), on: true });
    draw();
    tell();
  });
  const reading = later(250, () => take(text.value, { typed: true }));
  text.addEventListener("input", () => {
    version += 1; // what is on its way must not write over what is being typed
    unread = true;
    reading();
  });

  /**
   * Read a recipe's text on the server; what it says of it replaces the cards. Whether it could be read.
   * typed: it stands in the text already. heard: somebody else changed it, and must not be told of it later as of ours.
   */
  async function take(recipe, { typed = false, heard = false } = {}) {
    const own = ++version;
    try {
      const read = await ask("recipe", { recipe });
      if (own !== version) return false;
      cards = read.rules.map(({ name, values }) => ({ name, values, on: true }));
      unread = false;
      said("", read.remarks);
      draw();
      list.dataset.recipe = read.recipe; // of which text the cards are
      if (!typed) text.value = read.recipe;
      if (!heard) changed(read.recipe);
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (own !== version) return false;
      unread = true;
      text.value = recipe; // to be mended there
      said(error.message);
      return false;
    }
  }

  /** The recipe that the editor shows, read by the server just now; null if it cannot be read, which then stands there. */
  async function settled() {
    const recipe = unread ? text.value : written() || PLAIN;
    try {
      return (await ask("recipe", { recipe })).recipe;
    } catch (error) {
      if (!error.recipe) throw error;
      said(error.message);
      return null;
    }
  }

  /** What the cards say, to the server; it answers with the same recipe in its own words, or with what is wrong. */
  const tell = () => telling(++version);
  const telling = later(15, async (own) => {
    if (own !== version) return;
    const recipe = written();
    text.value = recipe;
    unread = false;
    if (!recipe) {
      said("");
      return changed(PLAIN);
    }
    changed(recipe);
    try {
      const read = await ask("recipe", { recipe });
      if (own !== version) return;
      text.value = read.recipe;
      said("", read.remarks);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (own === version) said(error.message);
    }
  });

  function said(wrong, found = []) {
    trouble.textContent = wrong;
    text.setAttribute("aria-invalid", wrong ? "true" : "false");
    fill(remarks, (found ?? []).map((remark) => el("li", {}, remark)));
  }

  function written() {
    return cards.filter((card) => card.on).map(ruleText).join(" | ");
  }

  function ruleText(card) {
    const rule = rules[card.name];
    const [first, ...others] = rule.parameters;
    const given = others.filter((p) => !same(card.values[p.name], p.default)).map((p) => `${p.name}=${literal(card.values[p.name], p)}`);
    return `${card.name}(${[...(first ? [literal(card.values[first.name], first)] : []), ...given].join(", ")})`;
  }

  function move(from, to) {
    if (to < 0 || to >= cards.length || from === to) return;
    cards.splice(to, 0, ...cards.splice(from, 1));
    draw();
    list.children[to]?.querySelector(".grip").focus();
    tell();
  }

  /** The cards anew; what had the focus has it again, if the same rule is still there. */
  function draw() {
    const focused = list.getRootNode().activeElement;
    const place = [...list.children].findIndex((item) => item.contains(focused));
    const label = focused?.getAttribute("aria-label");
    fill(list, cards.map((card, place) => drawn(card, place)));
    const again = place < 0 ? [] : (list.children[place]?.querySelectorAll("[aria-label]") ?? []);
    [...again].find((one) => one.getAttribute("aria-label") === label)?.focus();
  }

  function drawn(card, place) {
    const rule = rules[card.name];
    const item = el("li", { class: card.on ? "card" : "card off" });
    const grip = el(
      "button",
      {
        type: "button",
        class: "grip",
        title: "Drag, or use the arrow keys",
        "aria-label": `Move ${card.name}, rule ${place + 1} of ${cards.length}`,
        onkeydown: (event) => {
          const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
          if (step) {
            event.preventDefault();
            move(place, place + step);
          }
        },
        onpointerdown: (event) => drag(event, item, place),
      },
      "⠿",
    );
    const on = el("input", {
      type: "checkbox",
      checked: card.on,
      "aria-label": `${card.name} is on`,
      onchange: () => {
        card.on = on.checked;
        item.classList.toggle("off", !card.on);
        tell();
      },
    });
    const out = el("button", { type: "button", class: "small", "aria-label": `Remove ${card.name}`, onclick: () => (cards.splice(place, 1), draw(), tell()) }, "✕");
    const title = el("details", {}, el("summary", {}, card.name), el("pre", { class: "about" }, rule.about));
    item.append(el("div", { class: "head" }, grip, on, title, out), ...rule.parameters.map((p) => parameter(card, p)));
    return item;
  }

  function parameter(card, p) {
    const value = card.values[p.name];
    const set = (given) => {
      card.values[p.name] = given;
      tell();
    };
    const label = `${card.name}.${p.name}`;
    if (p.kind === "choice") {
      const select = el("select", { "aria-label": label, onchange: () => set(select.value) }, p.options.map((o) => el("option", { value: o, selected: o === value }, o)));
      return el("label", { class: "parameter", title: p.tip }, el("span", {}, p.name), select);
    }
    const named = { class: "value", "aria-label": p.unit ? `${label}, ${p.unit}` : label };
    const own = p.kind === "text" ? el("textarea", { ...named, rows: 2, dir: "auto" }) : el("input", { ...named, type: "text", size: 8 });
    own.value = shown(value, p);
    own.addEventListener("change", () => {
      set(read(own.value, p));
      if (slide) slide.value = own.value;
    });
    const [low, high, step] = p.slider ?? [];
    const slide =
      p.slider && typeof value === "number"
        ? el("input", {
            type: "range", min: String(low), max: String(high), step: String(step), value: String(value), "aria-label": `${label}, slider`,
            oninput: () => {
              performance.mark("slid");
              own.value = slide.value;
              set(Number(slide.value));
            },
          })
        : null;
    return el("div", { class: "parameter", title: p.tip ?? "" }, el("span", {}, p.name), slide, own, el("span", { class: "faint unit" }, p.unit ?? ""));
  }

  /** Mouse, pen and finger: the card follows, and stands where it is let go. */
  function drag(event, item, place) {
    if (event.button) return;
    event.preventDefault();
    const finger = event.pointerId;
    const others = [...list.children];
    const begin = event.clientY;
    let to = place;
    item.classList.add("dragged");
    const follow = (now) => {
      if (now.pointerId !== finger) return;
      item.style.transform = `translateY(${now.clientY - begin}px)`;
      to = others.reduce((found, other, i) => {
        const box = other.getBoundingClientRect();
        const middle = box.top + box.height / 2;
        return i < place && now.clientY < middle ? Math.min(found, i) : i > place && now.clientY > middle ? Math.max(found, i) : found;
      }, place);
    };
    const end = (now) => {
      if (now.pointerId !== finger) return;
      removeEventListener("pointermove", follow);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      item.classList.remove("dragged");
      item.style.transform = "";
      if (now.type === "pointerup") move(place, to);
    };
    addEventListener("pointermove", follow);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  }

  return { take, settled, get recipe() { return written() || PLAIN; } };
}

function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A value as recipe text. */
function literal(value, p) {
  if (value === null) return "None";
  if (Array.isArray(value)) return `[${value.map((one) => literal(one, p)).join(", ")}]`;
  if (typeof value !== "string") return String(value);
  if (/^-?inf$/.test(value) && p.kind !== "text" && p.unit !== WORDS) return value;
  if (p.kind === "number" && /^[a-z_]+\(.*\)$/.test(value)) return value; // a schedule
  return JSON.stringify(value);
}

const WORDS = "texts or token ids";

function shown(value, p) {
  if (value === null) return "";
  return p.kind === "text" || typeof value === "string" ? value : Array.isArray(value) ? JSON.stringify(value) : String(value);
}

/** What was typed into a field: a number also as people write it (.5), and as it is if it is none, for the server to say so. */
function read(text, p) {
  if (p.kind === "text") return text;
  const typed = text.trim();
  if (typed === "") return null;
  if (p.kind === "number" && !typed.startsWith("[")) return Number.isFinite(Number(typed)) ? Number(typed) : typed;
  try {
    return JSON.parse(typed);
  } catch {
    return typed;
  }
}
