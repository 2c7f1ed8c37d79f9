// The page: one text, a chosen token, and views of both. It draws; the server computes.

import { about as asking, ask, latest, Refused, write } from "./api.js";
import { comparison } from "./compare.js";
import { el, fill, later, roving, visible } from "./dom.js";
import { editor } from "./editor.js";
import { replayed } from "./replay.js";
import * as share from "./share.js";
import { strip, TEMPERATURES } from "./strip.js";
import { colours, textView } from "./text.js";
import { hint, waterfall } from "./waterfall.js";

const $ = (id) => document.getElementById(id);
const WHY = {
  eos: "⏹ the model ended it", stop_string: "⏹ a stop string", context: "⏹ the context is full", length: "… as many tokens as asked for",
  stopped: "⏹ stopped", error: "⏹ nothing could be drawn", lost: "⏹ the server went away",
};
const TABS = [["why", "Why this token"], ["compare", "Compare"], ["replay", "Replay"], ["strip", "Temperatures"]];

const MIXED = "the link is copied; several recipes wrote this text, and it holds the last, so the text will be another";

const page = { text: null, place: -1, tab: "why", recipe: "", other: "", writing: null, texts: new Map() };
const views = Object.fromEntries(TABS.map(([name]) => [name, el("div", { class: `view ${name}` })]));
const questions = Object.fromEntries(["step", "limits", "compare", "strip", "replay"].map((name) => [name, latest(name)]));
let view, mine, other;

function notice(text, bad = true) {
  $("notice").textContent = text;
  $("notice").className = text ? (bad ? "trouble" : "told") : "";
}

/** Run something that asks the server; what it refuses is said on the page. */
async function trying(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    if (!(error instanceof Refused)) throw error;
    notice(error.message);
    return undefined;
  }
}

// ---------------------------------------------------------------- writing

function start(text) {
  page.text = { ...text, stop: null };
  page.texts.set(text.id, page.text);
  view.start(text.prompt, text.tokens);
  page.place = -1;
  offerColours();
  drawBranches();
  for (const kind of ["trace", "html"]) {
    $(`save-${kind}`).href = `/api/save/${kind}/${text.id}`;
    $(`save-${kind}`).removeAttribute("aria-disabled");
  }
}

async function run(request) {
  if (page.writing) return;
  page.writing = new AbortController();
  $("go").disabled = true;
  $("stop").disabled = false;
  notice("");
  let stop = null;
  try {
    await write(request, (event) => {
      if (event.text) start(event.text);
      else if (event.token) {
        page.text.tokens.push(event.token);
        view.add(event.token);
        if (page.place < 0) choose(event.token.place);
      } else if (event.done) stop = event.done;
      else if (event.error) {
        stop = "error";
        notice(event.error);
      }
    }, page.writing.signal);
  } catch (error) {
    if (error.name === "AbortError") stop = "stopped";
    else if (error instanceof Refused) {
      stop = page.text ? "lost" : null;
      notice(error.message);
    } else throw error;
  } finally {
    page.writing = null;
    $("go").disabled = false;
    $("stop").disabled = true;
    if (stop && page.text) {
      page.text.stop = stop;
      view.ended(WHY[stop] ?? stop);
      drawBranches();
    }
    if (page.text && page.place < 0 && page.text.tokens.length) choose(0);
    else redraw();
  }
}

function most() {
  return Math.max(1, Math.min(1000, Math.round(Number($("most").value)) || 60));
}

function begin() {
  const seed = $("seed").value.trim();
  if (seed && !/^\d{1,20}$/.test(seed)) return notice("seed must be a whole number, or empty for a fresh one");
  return run({ prompt: $("prompt").value, recipe: page.recipe, seed: seed || null, max_new_tokens: most() });
}

/** The same text up to a place, this token there, and on from it. */
function force(text, place, token) {
  const left = Math.max(0, most() - place - 1);
  return run({ text: text.id, step: place + 1, token, recipe: page.recipe, max_new_tokens: left });
}

function drawBranches() {
  const all = [...page.texts.values()];
  if (all.length < 2) return fill($("branches"));
  const children = (parent) => all.filter((t) => (t.parent && page.texts.has(t.parent) ? t.parent : null) === parent);
  const branch = (text) => {
    const own = text.tokens.slice(text.shared, text.shared + 4).map((t) => t.shown || t.label).join("");
    const words = text.parent ? `from token ${text.shared + 1}: ${visible(own)}` : `${visible(text.prompt.slice(-24))} seed ${text.seed}`;
    const below = children(text.id);
    return el("li", {}, el("button", { type: "button", class: "small branch", "aria-current": text.id === page.text?.id ? "true" : null, onclick: () => open(text.id) }, words), below.length ? el("ul", {}, below.map(branch)) : null);
  };
  const back = page.text?.parent && page.texts.has(page.text.parent);
  return fill(
    $("branches"),
    el("details", { open: true }, el("summary", {}, `${all.length} texts`), el("ul", {}, children(null).map(branch))),
    el("button", { type: "button", class: "small", disabled: !back, onclick: () => open(page.text.parent) }, "Undo: back to where it branched"),
  );
}

function open(id) {
  const text = page.texts.get(id);
  if (page.writing || !text) return;
  const place = Math.min(page.place, text.tokens.length - 1);
  start(text);
  page.text = text;
  page.texts.set(id, text);
  view.ended(WHY[text.stop] ?? "");
  choose(Math.max(0, place));
}

// ---------------------------------------------------------------- looking

function choose(place) {
  page.place = place;
  view.choose(place);
  redraw();
}

function offerColours() {
  const stages = ["raw", ...page.text.recipe.split(" | ")].map((s, i) => (i ? `after ${s}` : s));
  const before = $("colour").value;
  fill($("colour"), colours(stages).map(([value, words]) => el("option", { value }, words)));
  $("colour").value = [...$("colour").options].some((o) => o.value === before) ? before : "plain";
  view.colour($("colour").value);
}

/** Draw the view in front, for the chosen token and the recipe as it is now. */
async function redraw() {
  const root = views[page.tab];
  if (!page.text || page.place < 0) return fill(root, el("p", { class: "faint" }, "Write something; then choose a token."));
  return trying(() => ({ why, compare, replay, strip: temperatures })[page.tab](root));
}

async function why(root) {
  const begun = performance.now();
  const { text, place } = page; // what is clicked in a waterfall is about the step it shows, even while another is on its way
  const trace = await questions.step({ text: text.id, step: place + 1, recipe: page.recipe });
  if (!trace) return;
  waterfall(root, trace, {
    force: (token) => force(text, place, token),
    hovered: (token, made) => hovered({ text: text.id, step: place + 1, recipe: page.recipe, tokens: [token] }, made),
  });
  if (page.recipe !== text.recipe) root.prepend(el("p", { class: "told" }, "The recipe is not the one that wrote this text: this is what it makes of the same logits. Write again, or see Replay."));
  performance.measure("redraw", { start: begun });
  const slid = performance.getEntriesByName("slid").pop();
  if (slid) requestAnimationFrame(() => performance.measure("slider to waterfall", { start: slid.startTime }));
  performance.clearMarks("slid");
}

let row = null;

const hovered = (question, made) => {
  row = made;
  asked(question, made);
};

const asked = later(120, async (question, made) => {
  if (!made.isConnected || row !== made) return;
  await trying(async () => {
    const found = await questions.limits(question);
    if (!found || row !== made) return;
    hint(views.why, made, found);
  });
});

async function compare(root) {
  if (!other) {
    const place = el("div", { class: "second" });
    root.append(el("p", { class: "faint" }, "A is the recipe beside the text; B is this one:"), place, el("div", { class: "found" }));
    other = editor(place, page.about, "recipe B", ask, (recipe) => {
      page.other = recipe;
      redraw();
    });
    return other.take(page.other || "temperature(0.8) | top_k(40)");
  }
  if (!page.other) return undefined;
  const found = await questions.compare({ text: page.text.id, step: page.place + 1, recipes: [page.recipe, page.other] });
  if (found) comparison(root.querySelector(".found"), found, page.text.tokens[page.place].id);
  return undefined;
}

async function replay(root) {
  if (page.writing) return fill(root, el("p", { class: "faint" }, "The text is being written."));
  const found = await questions.replay({ text: page.text.id, recipe: page.recipe });
  if (found) replayed(root, page.text.tokens, found, choose);
  return undefined;
}

async function temperatures(root) {
  const found = await questions.strip({ text: page.text.id, step: page.place + 1, temperatures: TEMPERATURES });
  if (found) strip(root, found);
}

function show(tab) {
  page.tab = tab;
  for (const button of $("tabs").children) {
    const on = button.dataset.tab === tab;
    button.setAttribute("aria-selected", String(on));
    button.tabIndex = on ? 0 : -1;
  }
  fill($("view"), views[tab]);
  $("view").setAttribute("aria-labelledby", `tab-${tab}`);
  redraw();
}

// ---------------------------------------------------------------- the page

function state() {
  const forced = (page.text?.tokens ?? []).filter((t) => t.forced).map((t) => [t.place, t.id]);
  const { prompt, seed } = page.text ?? { prompt: $("prompt").value, seed: $("seed").value };
  return { prompt, seed, forced, wrote: page.text?.recipe, recipe: page.recipe, other: page.other, most: page.text?.tokens.length || most(), tab: page.tab, place: page.place, colour: $("colour").value };
}

/** Make again what an address says: the same tokens, if the model is the same. */
async function restore(kept) {
  $("prompt").value = kept.prompt;
  $("seed").value = kept.seed ?? "";
  $("most").value = kept.n ?? 60;
  page.other = kept.other ?? "";
  await mine.take(kept.wrote ?? kept.recipe);
  if (kept.seed) {
    const put = Array.isArray(kept.put) ? kept.put : [];
    await begin();
    for (const [place, token] of put) await force(page.text, place, token);
  }
  if (kept.wrote) await mine.take(kept.recipe);
  if (kept.colour) {
    $("colour").value = kept.colour;
    view.colour($("colour").value || "plain");
  }
  show(views[kept.tab] ? kept.tab : "why");
  if (page.text && kept.at >= 0 && kept.at < page.text.tokens.length) choose(kept.at);
}

function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").textContent = dark ? "Light" : "Dark";
}

function size(about) {
  if (!about.parameters) return about.model;
  return `${about.model}, ${(about.parameters / 1e6).toPrecision(2)} M parameters`;
}

async function open_() {
  theme(matchMedia("(prefers-color-scheme: dark)").matches);
  $("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme !== "dark"));
  page.about = await asking();
  const { about } = page;
  $("model").textContent = `${size(about)}, ${about.vocabulary.toLocaleString("en")} tokens. ${about.about ?? ""}`;
  view = textView($("text"), $("tip"), choose);
  mine = editor($("recipe"), about, "the recipe", ask, (recipe) => {
    page.recipe = recipe;
    redraw();
  });
  for (const [name, title] of TABS) {
    const button = el("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "view", onclick: () => show(name) }, title);
    button.dataset.tab = name;
    $("tabs").append(button);
  }
  roving($("tabs"), "[role=tab]", (button) => show(button.dataset.tab));
  $("go").addEventListener("click", begin);
  $("stop").addEventListener("click", () => page.writing?.abort());
  $("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) begin();
  });
  addEventListener("keydown", (event) => event.key === "Escape" && page.writing?.abort());
  $("colour").addEventListener("change", () => view.colour($("colour").value));
  fill($("colour"), colours(["raw"]).map(([value, words]) => el("option", { value }, words)));
  $("share").addEventListener("click", async () => {
    const address = share.written(state());
    history.replaceState(null, "", address);
    try {
      await navigator.clipboard.writeText(address);
      notice(page.text?.mixed ? MIXED : "the link is copied; it holds prompt, recipe and seed, and writes the text again", false);
    } catch {
      notice("the link stands in the address bar; it holds prompt, recipe and seed", false);
    }
  });
  addEventListener("hashchange", () => {
    const kept = share.read(location.hash);
    if (kept) trying(() => restore(kept));
  });
  const kept = share.read(location.hash);
  if (kept) await restore(kept);
  else {
    await mine.take(about.presets[0].recipe);
    show("why");
  }
  document.documentElement.dataset.ready = "yes";
}

trying(open_);
